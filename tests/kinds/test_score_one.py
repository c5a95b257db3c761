"""One verdict at a time, as a camera over a line needs it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.errors import InputError, ReferenceTooSmall
from dn2.kinds.image import pipeline
from dn2.store import cache as cache_module


@pytest.fixture(scope="module")
def frames(world: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted((world / "other").iterdir())]


@pytest.fixture
def model(world: Path) -> dn2.Model:
    return dn2.fit(world / "normal", backbone=str(world / "tiny.onnx"))


def test_it_is_the_verdict_of_score(model: dn2.Model, frames: list[np.ndarray], world: Path) -> None:
    assert [model.score_one(frame) for frame in frames[:3]] == [model.score(frame)[0] for frame in frames[:3]]
    path = sorted((world / "other").iterdir())[0]
    expected = model.score([path])[0]
    assert model.score_one(str(path)) == model.score_one(path) == expected
    assert model.score_one(path.read_bytes()).anomaly_score == expected.anomaly_score
    assert model.score_one(frames[0], false_alarm_rate=0.5).is_anomaly == model.score(frames[0]).at(0.5)[0].is_anomaly


def test_it_starts_no_thread_and_opens_no_file_or_cache(
    model: dn2.Model, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.score_one(frames[0])
    expected, before = model.score(frames[1])[0], threading.active_count()
    started: list[Any] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    monkeypatch.setattr(pipeline, "ThreadPoolExecutor", None)
    monkeypatch.setattr(cache_module, "_File", None)
    monkeypatch.setattr(dn2.Cache, "get", None)
    monkeypatch.setattr(dn2.Cache, "put", None)
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setattr("os.open", None)
    row = model.score_one(frames[1])
    monkeypatch.undo()
    assert (row, started, threading.active_count()) == (expected, [], before)


def test_threads_score_at_once(model: dn2.Model, frames: list[np.ndarray]) -> None:
    expected = [model.score(frame)[0] for frame in frames]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(model.score_one, frames * 5)) == expected * 5


def test_the_same_picture_of_pillow_may_be_given_to_several_threads(model: dn2.Model, world: Path) -> None:
    paths = sorted((world / "other").iterdir())[:6]
    pictures = [Image.open(path) for path in paths for _ in range(4)]
    same = [picture for picture in map(Image.open, paths) for _ in range(4)]
    expected = [row.anomaly_score for row in model.score(pictures)]
    with ThreadPoolExecutor(4) as threads:
        assert [row.anomaly_score for row in threads.map(model.score_one, same)] == expected


def test_several_items_and_rates_out_of_reach_are_refused(model: dn2.Model, frames: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="score_one takes one picture, got a list"):
        model.score_one(frames[:2])
    with pytest.raises(ReferenceTooSmall):
        model.score_one(frames[0], false_alarm_rate=1e-6)
    with pytest.raises(dn2.UnreadableItem, match="No such file"):
        model.score_one("missing.png")


@pytest.mark.parametrize(
    ("fitted", "item", "many"),
    [
        (np.random.default_rng(0).normal(size=(50, 3)), [1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]]),
        ([f"the meeting is at {n}" for n in range(30)], "hello there", ["hello there"]),
        ({"a": np.random.default_rng(0).normal(size=50), "b": [1.5, 2] * 25}, {"a": 9}, [{"a": 9}]),
    ],
    ids=["vector", "text", "table"],
)
def test_every_other_kind_gives_the_verdict_of_score(fitted: Any, item: Any, many: Any) -> None:
    model = dn2.fit(fitted, **({"backbone": "characters"} if isinstance(item, str) else {}))
    assert model.score_one(item) == model.score(many)[0]
    with pytest.raises(InputError, match="score_one takes one"):
        model.score_one([many, many])

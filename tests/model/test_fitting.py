"""Making a model: presets, contaminated sets, centroids; what is passed on, and what is refused before the work."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dn2
import naive
from dn2 import InputError, Model, ReferenceTooSmall
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.presets import PRESETS, get_preset
from small_models import own_cache, saved_unsorted, unsorted, world

__all__ = ["own_cache", "saved_unsorted", "unsorted", "world"]  # fixtures


@pytest.fixture(scope="session")
def tiny(world: Path) -> str:
    return str(world / "tiny.onnx")


@pytest.fixture
def dirty(saved_unsorted: Path) -> Model:
    return dn2.load(saved_unsorted)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Learn which backbone is asked for, and give a small one in its place."""
    asked: dict[str, Any] = {}
    made = PlainImageEmbedder

    def embedder(backbone: str, **options: Any) -> PlainImageEmbedder:
        asked["backbone"] = backbone
        return made(backbone if backbone.endswith(".onnx") else asked["instead"], **options)

    monkeypatch.setattr("dn2.kinds.image.kind.PlainImageEmbedder", embedder)
    return asked


# Presets


@pytest.mark.parametrize(
    ("preset", "backbone", "k"),
    [("fast", None, None), ("default", "lite0", 2), ("accurate", None, None)],
)
def test_a_preset_names_a_backbone_and_a_number_of_neighbors(
    world: Path, tiny: str, chosen: dict[str, Any], preset: str, backbone: str | None, k: int | None
) -> None:
    chosen["instead"] = tiny
    model = dn2.fit(world / "normal", preset=preset)
    assert chosen["backbone"] == (backbone or PRESETS[preset].backbone)
    assert model.detector.steps.n_neighbors == (k or PRESETS[preset].neighbors_among(len(model.items)))
    other = dn2.fit(world / "normal", backbone=tiny, neighbors=3)
    assert (chosen["backbone"], other.detector.steps.n_neighbors) == (tiny, 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_backbone_of_every_preset_exists(preset: str) -> None:
    assert dn2.ImageEmbedder(get_preset(preset).backbone).normalize == "root-unit"


@pytest.mark.parametrize(("n", "k"), [(1, 2), (19, 2), (20, 2), (30, 3), (99, 9), (100, 10), (5000, 10)])
def test_few_items_have_few_neighbors(n: int, k: int) -> None:
    assert PRESETS["accurate"].neighbors_among(n) == k
    assert PRESETS["default"].neighbors_among(n) == 2


@pytest.mark.parametrize("name", ["", "best", "Fast"])
def test_an_unknown_preset_is_refused_with_the_known_ones(world: Path, name: Any) -> None:
    with pytest.raises(InputError, match="preset must be one of fast, default, accurate, got"):
        dn2.fit(world / "normal", preset=name)


@pytest.mark.parametrize(
    ("options", "k"),
    [
        ({}, 2),
        ({"preset": "accurate"}, 4),
        ({"contaminated": True}, 10),
        ({"contaminated": True, "neighbors": 4}, 4),
        ({"index": "kmeans:3"}, 1),
        ({"index": "exact"}, 2),
        ({"index": "kmeans:3", "preset": "accurate"}, 1),
        ({"index": "kmeans:3", "contaminated": True, "drop": 0.1}, 1),
    ],
)
def test_the_number_of_neighbors_follows_from_what_is_fitted(
    world: Path, tiny: str, options: dict[str, Any], k: int
) -> None:
    assert dn2.fit(world / "normal", backbone=tiny, **options).detector.steps.n_neighbors == k


@pytest.mark.parametrize(
    ("n", "rate", "whitened"),
    [(9_999, None, False), (10_000, None, True), (10_000, 1 / 5_001, True), (10_000, 1 / 5_002, False)],
)
def test_a_preset_whitens_a_large_set_whose_half_supports_the_rate(n: int, rate: float | None, whitened: bool) -> None:
    assert PRESETS["accurate"].whitens_among(n, rate) == whitened
    assert not PRESETS["default"].whitens_among(n, rate)


@pytest.mark.parametrize(
    ("options", "whitened"),
    [
        ({}, False),
        ({"whiten": True}, True),
        ({"preset": "accurate"}, True),
        ({"preset": "accurate", "whiten": False}, False),
        ({"preset": "accurate", "false_alarm_rate": 0.03}, False),
        ({"contaminated": True}, False),
        ({"contaminated": True, "whiten": True}, True),
    ],
)
def test_what_is_whitened_follows_from_the_preset_unless_it_is_said(
    world: Path, tiny: str, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], whitened: bool
) -> None:
    monkeypatch.setattr("dn2.kinds.image.presets.WHITEN_FROM", 40)
    model = dn2.fit(world / "normal", backbone=tiny, **options)
    assert (model.detector.steps.whiten is not None) == whitened
    assert ("whitening" in {step.name for step in model.calibration.learnt}) == whitened
    assert (model.calibration.method == "split") == (whitened or "contaminated" in options)


def test_a_rate_that_a_half_cannot_support_is_refused_before_the_work_if_whitening_is_asked_for(
    world: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.image.kind.embed_items", lambda *_, **__: pytest.fail("embedded"))
    with pytest.raises(ReferenceTooSmall, match=r"0\.02 needs at least 49 items that calibrate, got 20 of 40"):
        dn2.fit(world / "normal", backbone=tiny, whiten=True, false_alarm_rate=0.02)


@pytest.mark.parametrize(("preset", "n", "k"), [("default", 500, 10), ("default", 40, 4), ("accurate", 500, 10)])
def test_groups_have_more_neighbors(preset: str, n: int, k: int) -> None:
    assert PRESETS[preset].for_groups().neighbors_among(n) == k


# Contaminated sets


def test_anomalies_among_the_items_are_set_aside_by_name(dirty: Model, unsorted: Path) -> None:
    fours = sorted(path.name for path in unsorted.glob("four-*"))
    assert set(fours) <= set(dirty.set_aside)
    assert len(dirty.set_aside) < 40
    about = dirty.describe()
    assert about["contamination"]["aside"] == len(dirty.set_aside)
    assert 0 <= about["contamination"]["low"] <= about["contamination"]["estimate"] <= about["contamination"]["high"]
    assert about["calibration"]["method"] == "split"
    assert about["calibration"]["sample_size"] + about["calibration"]["trimmed"] == 36


def test_what_stands_aside_is_no_evidence_and_is_itself_anomalous(dirty: Model, unsorted: Path) -> None:
    fours = {path.name for path in unsorted.glob("four-*")}
    result = dirty.score(unsorted)
    assert not {one.item for row in result for one in row.neighbors} & set(dirty.set_aside)
    order = sorted(result, key=lambda row: -row.anomaly_score)
    assert {row.item for row in order[:12]} == fours
    for row in result:
        assert (row.neighbors[0].distance == 0) == (row.item not in dirty.set_aside)


def test_scores_are_those_of_what_is_left(dirty: Model, world: Path) -> None:
    reference = np.concatenate(dirty.detector.blocks)
    kept = [row for item, row in zip(dirty.items, reference, strict=True) if item.name not in dirty.set_aside]
    queries = dirty.embedder.transform(sorted((world / "other").iterdir()))
    for row, query in zip(dirty.score(world / "other"), queries, strict=True):
        assert row.anomaly_score == pytest.approx(naive.mean_squared_distance(query, kept, 10), rel=1e-5)


def test_an_item_taken_back_is_found_at_distance_0(dirty: Model, unsorted: Path, tmp_path: Path) -> None:
    name = dirty.set_aside[0]
    assert dirty.score(unsorted / name).rows[0].neighbors[0].distance > 0
    others = dirty.set_aside[1:]
    assert dirty.readmit(name) is dirty
    (first, *_) = dirty.score(unsorted / name).rows[0].neighbors
    assert (first.item, first.distance) == (name, 0)
    assert dirty.set_aside == others
    dirty.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.set_aside == others
    again.readmit(others).remove(others[:1])
    assert again.set_aside == []


@pytest.mark.parametrize("names", [["nobody.png"], ["nobody.png", "aside"], ["kept"], ["aside", "kept"]])
def test_what_does_not_stand_aside_cannot_be_taken_back_and_nothing_changes(dirty: Model, names: list[str]) -> None:
    before = dirty.set_aside
    kept = next(item.name for item in dirty.items if item.name not in before)
    named = [{"aside": before[0], "kept": kept}.get(name, name) for name in names]
    with pytest.raises(InputError, match=r"has no item 'nobody\.png'|is not set aside; Model\.set_aside"):
        dirty.readmit(named)
    assert dirty.set_aside == before


def test_taking_back_nothing_changes_nothing(dirty: Model, world: Path, tiny: str) -> None:
    before = dirty.set_aside
    assert dirty.readmit([]).set_aside == before
    plain = dn2.fit(world / "more", backbone=tiny)
    assert plain.readmit([]).set_aside == []
    with pytest.raises(InputError, match="is not set aside"):
        plain.readmit(plain.items[0].name)


def test_items_added_and_removed_again_change_no_score(dirty: Model, world: Path) -> None:
    expected, aside = dirty.score(world / "more").rows, dirty.set_aside
    dirty.add(world / "other").remove(sorted(path.name for path in (world / "other").iterdir()))
    assert dirty.score(world / "more").rows == expected
    assert dirty.set_aside == aside


def test_an_item_removed_and_added_again_changes_no_score(
    dirty: Model, world: Path, unsorted: Path, tmp_path: Path
) -> None:
    expected, aside = dirty.score(world / "other").rows, sorted(dirty.set_aside)
    kept = next(item.name for item in dirty.items if item.name not in aside)
    for name in (aside[0], kept):
        folder = tmp_path / f"only {name}"
        folder.mkdir()
        shutil.copy(unsorted / name, folder)
        dirty.remove(name).add(folder)
        assert dirty.items[-1].name == name
    assert sorted(dirty.set_aside) == aside
    assert dirty.score(world / "other").rows == expected


def test_removing_so_many_that_too_few_are_left_is_refused_and_nothing_changes(dirty: Model, world: Path) -> None:
    expected = dirty.score(world / "other").rows
    with pytest.raises(ReferenceTooSmall, match="10 neighbours need at least 11 reference items"):
        dirty.remove([item.name for item in dirty.items[:60]])
    assert len(dirty.items) == 72
    assert dirty.score(world / "other").rows == expected


# Centroids


def test_centroids_take_the_place_of_items_and_one_stands_for_each(world: Path, tiny: str) -> None:
    model = dn2.fit(world / "normal", backbone=tiny, index="kmeans:4")
    centroids = model.detector.learnt.search.means
    queries = model.embedder.transform(sorted((world / "other").iterdir()))
    names = [item.name for item in model.items]
    for row, query in zip(model.score(world / "other"), queries, strict=True):
        (distance, place), *_ = naive.nearest(query, centroids, 1)
        assert row.anomaly_score == pytest.approx(distance, rel=1e-5)
        assert [one.item for one in row.neighbors] == [names[model.detector.learnt.search.representatives[place]]]
        assert row.neighbors[0].distance == pytest.approx(distance**0.5, rel=1e-5)
    assert (model.set_aside, model.describe()["contamination"]) == ([], None)
    evaluation, _ = model.evaluate(world / "more", world / "other")
    assert evaluation.roc_auc > 0.95


# Refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"index": "kmeans:0"}, "the index must be auto, exact, kdtree, kmeans-tree"),
        ({"index": "tree"}, "the index must be auto, exact, kdtree, kmeans-tree"),
        ({"index": "tree", "neighbors": 1}, "the index must be auto, exact, kdtree, kmeans-tree"),
        ({"index": "kmeans:3", "neighbors": 2}, "neighbors must be 1 where items are compared with centroids, got 2"),
        ({"drop": 0.5}, "drop is for a set that is contaminated"),
        ({"first_neighbors": 2}, "first_neighbors is for a set that is contaminated"),
        ({"contaminated": True, "drop": 1.0}, "at least 0 and less than 1, got 1"),
        ({"contaminated": True, "first_neighbors": 0}, "first_neighbors must be an integer of at least 1"),
        ({"normalize": "l1"}, "normalize must be one of none, unit, root-unit"),
        ({"normalize": "l1", "groups": True}, "normalize must be one of none, unit, root-unit"),
    ],
)
def test_options_that_cannot_be_are_refused_before_the_work(
    world: Path, tiny: str, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr("dn2.kinds.image.kind.embed_items", lambda *_, **__: pytest.fail("worked"))
    folder = world if options.get("groups") else world / "normal"
    with pytest.raises(InputError, match=words):
        dn2.fit(folder, backbone=tiny, **options)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_a_tiny_contaminated_folder_is_fitted_or_refused_in_words(
    world: Path, tiny: str, tmp_path: Path, n: int
) -> None:
    files = sorted((world / "more").iterdir())[:n]
    with pytest.raises(ReferenceTooSmall, match="10 neighbours need at least 11 reference items"):
        dn2.fit(files, backbone=tiny, contaminated=True)
    model = dn2.fit(files, backbone=tiny, contaminated=True, neighbors=1, drop=0.0)
    assert model.set_aside == []
    assert [row.neighbors[0].distance for row in model.score(files)] == [0] * n
    with pytest.raises(ReferenceTooSmall, match=f"{n} centroids need at least {n} reference items"):
        dn2.fit(files, backbone=tiny, index=f"kmeans:{n}")

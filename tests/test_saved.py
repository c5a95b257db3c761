"""What was learnt, and groups, to disk and back; learnt parts that are damaged."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

import dn2
from dn2 import Model, ModelError
from dn2.neighbors.learnt import Learnt
from small_models import (
    contents,
    flip_a_bit,
    folder,
    lots,
    own_cache,
    replace_part,
    reseal,
    saved,
    saved_lots,
    saved_unsorted,
    small_shards,
    unsorted,
    world,
)

__all__ = [  # fixtures
    "folder",
    "lots",
    "own_cache",
    "saved",
    "saved_lots",
    "saved_unsorted",
    "small_shards",
    "unsorted",
    "world",
]

WAYS: dict[str, dict[str, Any]] = {
    "contaminated": {"contaminated": True, "drop": 0.3},
    "estimated": {"contaminated": True},
    "paper's": {"contaminated": True, "drop": 0.5, "first_neighbors": 2, "n_neighbors": 2},
    "centroids": {"index": "kmeans:4"},
    "both": {"index": "kmeans:4", "contaminated": True, "drop": 0.3},
    "whitened": {"whiten": True},
    "all": {"index": "kmeans:4", "contaminated": True, "drop": 0.3, "whiten": True},
}


@pytest.fixture
def learnt(saved_unsorted: Path, tmp_path: Path) -> Path:
    """A copy of a saved model with items set aside, to be changed."""
    return Path(shutil.copytree(saved_unsorted, tmp_path / "unsorted.dn2"))


def everything(model: Model, world: Path) -> tuple[Any, ...]:
    rows = [*model.score(world / "other"), *model.score(world / "more")]
    return rows, model.describe(), model.set_aside, model.near_duplicates(), list(model.items)


# There and back


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_learnt_is_the_same_once_saved_and_loaded(
    world: Path, unsorted: Path, tmp_path: Path, way: str
) -> None:
    model = dn2.fit(unsorted, backbone=str(world / "tiny.onnx"), **WAYS[way])
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert everything(again, world) == everything(model, world)
    manifest, parts = contents(tmp_path / "m.dn2")
    assert manifest == {**manifest, **model.describe()}
    (arrays,) = parts["learnt"]
    assert arrays["aside"].tolist() == model.detector.aside_.tolist()
    assert len(arrays["centroids"]) == (4 if "index" in WAYS[way] else 0)
    assert bool(len(arrays["directions"])) == ("whiten" in WAYS[way])
    for one in (model, again):
        one.add(world / "other").remove(sorted(path.name for path in (world / "other").iterdir())[:3])
    assert everything(again, world) == everything(model, world)


def test_what_a_person_took_back_stays_so(learnt: Path, world: Path) -> None:
    model = dn2.load(learnt)
    back = model.set_aside[:2]
    model.readmit(back).save(learnt)
    again = dn2.load(learnt)
    assert everything(again, world) == everything(model, world)
    again.add(world / "other").save(learnt)
    assert not set(back) & set(dn2.load(learnt).set_aside)


def test_saving_the_same_again_changes_no_byte(learnt: Path) -> None:
    before = {path.name: path.read_bytes() for path in learnt.iterdir()}
    dn2.load(learnt).save(learnt)
    assert {path.name: path.read_bytes() for path in learnt.iterdir()} == before


def test_a_model_that_learnt_nothing_has_no_such_part(saved: Path) -> None:
    manifest, parts = contents(saved)
    assert "learnt" not in parts
    assert (manifest["groups"], manifest["contamination"]) == (None, None)


# Damage


GOOD: dict[str, Any] = asdict(Learnt.nothing(192)) | {
    "aside": np.arange(5, dtype=np.int64),
    "readmitted": np.empty(0, np.int64),
    "directions": np.eye(192, dtype=np.float32)[:2],
    "factors": np.array([0.5, 1], np.float32),
    "centroids": np.empty((0, 192), np.float32),
    "representatives": np.empty(0, np.int64),
    "share": np.array([0.1, 0.0, 0.2]),
}

DAMAGED: dict[str, dict[str, Any]] = {
    "a position too high": {"aside": np.array([72])},
    "a negative position": {"aside": np.array([-1, 3])},
    "positions in a table": {"aside": np.arange(4).reshape(2, 2)},
    "positions of 32 bits": {"aside": np.arange(5, dtype=np.int32)},
    "positions with fractions": {"aside": np.arange(5, dtype=np.float64)},
    "every item": {"aside": np.arange(72)},
    "all but too few": {"aside": np.arange(63)},
    "taken back too high": {"readmitted": np.array([1000])},
    "taken back negative": {"readmitted": np.array([-5])},
    "centroids of another length": {"centroids": np.zeros((1, 191), np.float32), "representatives": np.array([0])},
    "centroids of 64 bits": {"centroids": np.zeros((1, 192)), "representatives": np.array([0])},
    "centroids without names": {"centroids": np.zeros((1, 192), np.float32)},
    "names without centroids": {"representatives": np.array([0])},
    "a name too high": {"centroids": np.zeros((1, 192), np.float32), "representatives": np.array([72])},
    "centroids that are no numbers": {
        "centroids": np.full((1, 192), np.nan, np.float32),
        "representatives": np.array([0]),
    },
    "directions of another length": {"directions": np.zeros((2, 191), np.float32)},
    "directions of 64 bits": {"directions": np.eye(192)[:2]},
    "directions that are no numbers": {"directions": np.full((2, 192), np.nan, np.float32)},
    "directions without factors": {"factors": np.empty(0, np.float32)},
    "factors in a table": {"factors": np.ones((2, 1), np.float32)},
    "factors of 64 bits": {"factors": np.ones(2)},
    "a factor of 0": {"factors": np.array([0, 1], np.float32)},
    "a factor above 1": {"factors": np.array([1.5, 1], np.float32)},
    "a factor that is no number": {"factors": np.array([np.nan, 1], np.float32)},
    "a share of two": {"share": np.array([0.1, 0.2])},
    "a share above 1": {"share": np.array([0.1, 0.0, 1.5])},
    "a negative share": {"share": np.array([0.1, -0.1, 0.5])},
    "a share that is none": {"share": np.array([np.nan, 0.0, 0.5])},
    "a share in a table": {"share": np.zeros((1, 3))},
    "one array more": {"more": np.zeros(1)},
}


NOT_THOSE = "leave-one-out distances that are not those of the reference set"


def test_a_learnt_part_of_the_right_form_that_is_not_that_of_the_items_is_refused(learnt: Path) -> None:
    replace_part(learnt, "learnt", save_tensors(GOOD))
    with pytest.raises(ModelError, match=NOT_THOSE):
        dn2.load(learnt)


@pytest.mark.parametrize("what", DAMAGED)
def test_a_learnt_part_of_another_form_is_refused(learnt: Path, what: str) -> None:
    replace_part(learnt, "learnt", save_tensors({**GOOD, **DAMAGED[what]}))
    with pytest.raises(ModelError, match=r"does not hold together \(.*\); fit it again") as refused:
        dn2.load(learnt)
    assert NOT_THOSE not in str(refused.value)


@pytest.mark.parametrize("missing", GOOD)
def test_a_learnt_part_without_one_of_its_arrays_is_refused(learnt: Path, missing: str) -> None:
    replace_part(learnt, "learnt", save_tensors({name: array for name, array in GOOD.items() if name != missing}))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(learnt)


def test_a_model_that_learnt_without_what_it_learnt_is_refused(learnt: Path) -> None:
    reseal(learnt, lambda manifest: manifest["parts"].pop("learnt"))
    with pytest.raises(ModelError, match="needs what it learnt"):
        dn2.load(learnt)


def test_a_model_that_learns_nothing_with_a_learnt_part_is_refused(learnt: Path) -> None:
    reseal(learnt, lambda manifest: manifest["detector"].update(contaminated=False, drop=None))
    with pytest.raises(ModelError, match="needs what it learnt, and only that one"):
        dn2.load(learnt)


def test_a_flipped_bit_in_what_was_learnt_is_found(learnt: Path) -> None:
    flip_a_bit(learnt, "learnt")
    with pytest.raises(ModelError, match="does not match its digest"):
        dn2.load(learnt)


@pytest.mark.parametrize(
    "change",
    [
        {"index": "kmeans:0"},
        {"index": 5},
        {"index": "tree"},
        {"drop": 1.5},
        {"drop": "half"},
        {"first_neighbors": 0},
        {"index": "kmeans:3"},
        {"contaminated": None, "drop": None},
    ],
)
def test_parameters_that_cannot_be_are_refused(learnt: Path, change: dict[str, Any]) -> None:
    reseal(learnt, lambda manifest: manifest["detector"].update(change))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(learnt)


UNIT = {"members": "unit", "pooling": "mean"}
WRONG = [{**UNIT, **one} for one in ({"members": "l1"}, {"members": None}, {"pooling": "max"}, {"more": 1})]


@pytest.mark.parametrize("groups", ["mean", 5, ["unit"], {"pooling": "mean"}, {"members": "unit"}, *WRONG])
def test_groups_of_another_form_are_refused(saved_lots: Path, tmp_path: Path, groups: Any) -> None:
    copy = Path(shutil.copytree(saved_lots, tmp_path / "lots.dn2"))
    reseal(copy, lambda manifest: manifest.update(groups=groups))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(copy)

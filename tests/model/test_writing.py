"""What was learnt, and groups, to disk and back; learnt parts that are damaged."""

from __future__ import annotations

import shutil
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
    networks_once,
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
    "networks_once",
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
    "paper's": {"contaminated": True, "drop": 0.5, "first_neighbors": 2, "neighbors": 2},
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
    assert arrays.get("cleaning.aside", np.empty(0)).tolist() == model.detector.aside.tolist()
    assert len(arrays.get("centroids.means", ())) == (4 if "index" in WAYS[way] else 0)
    assert {name.partition(".")[0] for name in arrays} == {"limits"} | {
        part
        for part, option in (("cleaning", "contaminated"), ("centroids", "index"), ("whitening", "whiten"))
        if option in WAYS[way]
    }
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


DRAW: dict[str, Any] = {
    "limits.limit": np.array([2**63], np.uint64),
    "limits.size": np.array([72]),
    "limits.strata": np.zeros(1, np.uint64),
}
CLEANED: dict[str, Any] = DRAW | {
    "cleaning.aside": np.arange(5, dtype=np.int64),
    "cleaning.suspects": np.arange(7, dtype=np.int64),
    "cleaning.readmitted": np.empty(0, np.int64),
    "cleaning.share": np.array([0.1, 0.0, 0.2]),
}
WHITENED: dict[str, Any] = DRAW | {
    "whitening.directions": np.eye(192, dtype=np.float32)[:2],
    "whitening.factors": np.array([0.5, 1], np.float32),
}
CLUSTERED: dict[str, Any] = DRAW | {
    "centroids.means": np.zeros((1, 192), np.float32),
    "centroids.representatives": np.array([0]),
}
NAN = np.float32(np.nan)

# What is wrong with each, beside a good part of its form.
DAMAGED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a position too high": (CLEANED, {"cleaning.aside": np.array([72])}),
    "a negative position": (CLEANED, {"cleaning.aside": np.array([-1, 3])}),
    "positions in a table": (CLEANED, {"cleaning.aside": np.arange(4).reshape(2, 2)}),
    "positions of 32 bits": (CLEANED, {"cleaning.aside": np.arange(5, dtype=np.int32)}),
    "positions with fractions": (CLEANED, {"cleaning.aside": np.arange(5, dtype=np.float64)}),
    "every item": (CLEANED, {"cleaning.suspects": np.arange(72)}),
    "all but too few": (CLEANED, {"cleaning.aside": np.arange(63), "cleaning.suspects": np.arange(63)}),
    "set aside and no suspects": (CLEANED, {"cleaning.suspects": np.arange(1, 7)}),
    "suspects twice": (CLEANED, {"cleaning.suspects": np.array([0, 1, 2, 3, 4, 4])}),
    "taken back too high": (CLEANED, {"cleaning.readmitted": np.array([1000])}),
    "taken back negative": (CLEANED, {"cleaning.readmitted": np.array([-5])}),
    "a share of two": (CLEANED, {"cleaning.share": np.array([0.1, 0.2])}),
    "a share above 1": (CLEANED, {"cleaning.share": np.array([0.1, 0.0, 1.5])}),
    "a negative share": (CLEANED, {"cleaning.share": np.array([0.1, -0.1, 0.5])}),
    "a share of NaN": (CLEANED, {"cleaning.share": np.array([np.nan, 0.0, 0.5])}),
    "a share in a table": (CLEANED, {"cleaning.share": np.zeros((1, 3))}),
    "one array more": (CLEANED, {"more": np.zeros(1)}),
    "one array of a part more": (CLEANED, {"cleaning.more": np.zeros(1)}),
    "a draw of two": (CLEANED, {"limits.limit": np.array([1, 2], np.uint64)}),
    "a draw of signed numbers": (CLEANED, {"limits.limit": np.array([1])}),
    "a size with fractions": (CLEANED, {"limits.size": np.array([72.0])}),
    "centroids of another length": (CLUSTERED, {"centroids.means": np.zeros((1, 191), np.float32)}),
    "centroids of 64 bits": (CLUSTERED, {"centroids.means": np.zeros((1, 192))}),
    "centroids without names": (CLUSTERED, {"centroids.representatives": np.empty(0, np.int64)}),
    "names without centroids": (CLUSTERED, {"centroids.means": np.empty((0, 192), np.float32)}),
    "no centroids": (
        CLUSTERED,
        {"centroids.means": np.empty((0, 192), np.float32), "centroids.representatives": np.empty(0, np.int64)},
    ),
    "a name too high": (CLUSTERED, {"centroids.representatives": np.array([72])}),
    "centroids of NaN": (CLUSTERED, {"centroids.means": np.full((1, 192), NAN)}),
    "directions of another length": (WHITENED, {"whitening.directions": np.zeros((2, 191), np.float32)}),
    "directions of 64 bits": (WHITENED, {"whitening.directions": np.eye(192)[:2]}),
    "directions of NaN": (WHITENED, {"whitening.directions": np.full((2, 192), NAN)}),
    "directions without factors": (WHITENED, {"whitening.factors": np.empty(0, np.float32)}),
    "factors in a table": (WHITENED, {"whitening.factors": np.ones((2, 1), np.float32)}),
    "factors of 64 bits": (WHITENED, {"whitening.factors": np.ones(2)}),
    "a factor of 0": (WHITENED, {"whitening.factors": np.array([0, 1], np.float32)}),
    "a factor above 1": (WHITENED, {"whitening.factors": np.array([1.5, 1], np.float32)}),
    "a factor of NaN": (WHITENED, {"whitening.factors": np.array([NAN, 1], np.float32)}),
}


NOT_THOSE = "leave-one-out distances must be those of the reference set"


def test_a_learnt_part_of_the_right_form_that_is_not_that_of_the_items_is_refused(learnt: Path) -> None:
    replace_part(learnt, "learnt", save_tensors(CLEANED))
    with pytest.raises(ModelError, match=NOT_THOSE):
        dn2.load(learnt)


@pytest.mark.parametrize("what", DAMAGED)
def test_a_learnt_part_of_another_form_is_refused(what: str) -> None:
    good, damage = DAMAGED[what]
    Learnt.from_arrays(good).check(72, 192, 10)
    with pytest.raises((ValueError, TypeError)):
        Learnt.from_arrays(good | damage).check(72, 192, 10)


@pytest.mark.parametrize("what", ["a position too high", "a share of NaN", "one array more"])
def test_a_model_with_a_learnt_part_of_another_form_is_refused(learnt: Path, what: str) -> None:
    good, damage = DAMAGED[what]
    replace_part(learnt, "learnt", save_tensors(good | damage))
    with pytest.raises(ModelError, match=r"does not hold together \(.*\); fit it again") as refused:
        dn2.load(learnt)
    assert NOT_THOSE not in str(refused.value)


@pytest.mark.parametrize("part", [WHITENED, CLUSTERED, CLEANED | WHITENED, CLEANED | CLUSTERED, DRAW])
def test_a_learnt_part_that_the_steps_do_not_learn_is_refused(learnt: Path, part: dict[str, Any]) -> None:
    replace_part(learnt, "learnt", save_tensors(part))
    with pytest.raises(ModelError, match="must be what the steps learn"):
        dn2.load(learnt)


@pytest.mark.parametrize("missing", CLEANED)
def test_a_learnt_part_without_one_of_its_arrays_is_refused(learnt: Path, missing: str) -> None:
    replace_part(learnt, "learnt", save_tensors({name: array for name, array in CLEANED.items() if name != missing}))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(learnt)


def test_a_model_that_learnt_without_what_it_learnt_is_refused(learnt: Path) -> None:
    reseal(learnt, lambda manifest: manifest["contents"].pop("learnt"))
    with pytest.raises(ModelError, match="needs what it learnt"):
        dn2.load(learnt)


def test_a_model_that_learns_nothing_with_a_learnt_part_is_refused(learnt: Path) -> None:
    reseal(learnt, lambda manifest: manifest["detector"].update(clean=None))
    with pytest.raises(ModelError, match="needs what it learnt"):
        dn2.load(learnt)


def test_a_flipped_bit_in_what_was_learnt_is_found(learnt: Path) -> None:
    flip_a_bit(learnt, "learnt")
    with pytest.raises(ModelError, match="does not match its digest"):
        dn2.load(learnt)


SEARCH: dict[str, Any] = {"index": "auto", "recall": 0.999, "storage": "auto", "memory": None}


@pytest.mark.parametrize(
    "change",
    [
        {"search": {**SEARCH, "index": "kmeans:0"}},
        {"search": {**SEARCH, "index": 5}},
        {"search": {**SEARCH, "index": "tree"}},
        {"search": {**SEARCH, "index": "kmeans:3"}},
        {"search": {**SEARCH, "storage": []}},
        {"search": {**SEARCH, "recall": "most"}},
        {"search": {**SEARCH, "index": "exact", "recall": 0.5}},
        {"search": {**SEARCH, "more": 1}},
        {"search": {}},
        {"search": None},
        {"clean": {"drop": 1.5, "first_neighbors": None}},
        {"clean": {"drop": "half", "first_neighbors": None}},
        {"clean": {"drop": 0.3, "first_neighbors": 0}},
        {"clean": {"drop": 0.3}},
        {"clean": True},
        {"clean": None},
        {"whiten": None},
        {"whiten": 1},
        {"scale": 5},
        {"scale": {"categorical": 5}},
        {"scale": {"categorical": []}},
        {"windows": {"window": 1}},
        {"normalize": None},
        {"n_neighbors": 2.5},
        {"false_alarm_rate": "0.1"},
        {"more": 1},
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

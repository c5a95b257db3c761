"""A model: fit, score, add, remove, evaluate; and what it does when something is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save as save_tensors
from sklearn.base import clone

import dn2
import naive
from dn2 import Cache, InputError, Model, ModelError, NotReproducible, ReferenceTooSmall
from dn2.kinds.image.kind import ImageKind
from dn2.kinds.image.transformer import ImageEmbedder
from dn2.model.embedding import embed
from dn2.neighbors.detector import Detector
from dn2.neighbors.steps import Steps
from dn2.store.packed import PackedBytes
from small_models import (
    contents,
    folder,
    own_cache,
    places_of,
    replace_part,
    reseal,
    saved,
    small_shards,
    world,
    write_backbone,
    write_digits,
)

__all__ = ["folder", "own_cache", "saved", "small_shards", "world"]  # fixtures


@pytest.fixture
def model(saved: Path) -> Model:
    return dn2.load(saved)


@pytest.fixture(scope="session")
def tiny(world: Path) -> str:
    return str(world / "tiny.onnx")


def state(model: Model) -> tuple[Any, ...]:
    """Everything that must not change when a change is refused."""
    return (
        list(model.items),
        [bytes(thumbnail) for thumbnail in model.kind.thumbnails],
        [np.asarray(block).tobytes() for block in model.detector.blocks],
        [array.tobytes() for array in vars(model.detector.leave_one_out).values()],
        model.calibration.scores.tobytes(),
        model.false_alarm_rate,
        model.detector.offset,
    )


def reference_of(model: Model) -> np.ndarray:
    return np.concatenate(model.detector.blocks)


# Scoring


def test_a_score_is_the_mean_of_the_squared_distances_to_the_nearest_reference_items(model: Model, world: Path) -> None:
    result = model.score(world / "other")
    queries = model.embedder.transform(sorted((world / "other").iterdir()))
    reference, names = reference_of(model), [item.name for item in model.items]
    assert len(result) == 12
    for row, query in zip(result, queries, strict=True):
        near = naive.nearest(query, reference, 2)
        assert [one.item for one in row.neighbors] == [names[place] for _, place in near]
        assert [one.distance for one in row.neighbors] == pytest.approx([d**0.5 for d, _ in near], rel=1e-5)
        assert row.anomaly_score == pytest.approx(np.mean([one.distance**2 for one in row.neighbors]), rel=1e-12)


def test_a_p_value_is_the_share_of_reference_items_that_score_as_high(model: Model, world: Path) -> None:
    calibration = naive.leave_one_out_scores(reference_of(model), 2)
    for row in [*model.score(world / "other"), *model.score(world / "more")]:
        assert row.p_value == pytest.approx(float(naive.p_value(row.anomaly_score, calibration)), abs=1e-12)


def test_an_item_is_anomalous_where_its_p_value_is_at_most_the_rate(model: Model, world: Path) -> None:
    for rate in (None, 0.1, 0.5):
        result = model.score([world / "more", world / "other"], false_alarm_rate=rate)
        used = 1 / 41 if rate is None else rate
        assert result.false_alarm_rate == used
        assert [row.is_anomaly for row in result] == [row.p_value <= used for row in result]
        assert {row.is_anomaly for row in result} == {True, False}


def test_other_digits_are_told_from_the_digit_shown(model: Model, world: Path) -> None:
    result = model.score([world / "more", world / "other"])
    order = sorted(result, key=lambda row: row.anomaly_score)
    assert [row.item.split("/")[0] for row in order] == ["more"] * 8 + ["other"] * 12


def test_a_reference_file_is_scored_with_itself_at_distance_exactly_zero(model: Model, world: Path) -> None:
    result = model.score(world / "normal")
    assert len(result) == 40
    for row in result:
        assert (row.neighbors[0].item, row.neighbors[0].distance) == (row.item, 0.0)
        assert row.neighbors[1].distance > 0


def test_scoring_again_gives_the_same_bits(model: Model, saved: Path, world: Path) -> None:
    assert model.score(world / "other").rows == dn2.load(saved).score(world / "other").rows


def test_the_order_and_company_of_queries_change_nothing(model: Model, world: Path) -> None:
    files = sorted((world / "other").iterdir())
    alone = [model.score(file).rows[0] for file in files]
    assert list(model.score(reversed(files))) == alone[::-1]


def test_queries_beyond_one_batch_are_scored_like_the_others(
    model: Model, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.score(world / "other").rows
    monkeypatch.setattr("dn2.kinds.image.kind.ImageKind.queries_at_once", 5)
    assert model.score(world / "other").rows == whole


def test_a_rate_that_the_reference_set_cannot_support_is_refused_before_the_work(model: Model, world: Path) -> None:
    model.kind.embedder.embed = None  # type: ignore[assignment]
    with pytest.raises(ReferenceTooSmall, match="needs at least 999 reference items, got 40; add 959 more"):
        model.score(world / "other", false_alarm_rate=0.001)
    for options in ({"false_alarm_rate": 0.0}, {"false_alarm_rate": 1.5}, {"fdr": 0.0}, {"fdr": 1.5}):
        with pytest.raises(InputError, match="between 0 and 1"):
            model.score(world / "other", **options)
    with pytest.raises(InputError, match="two ways to decide"):
        model.score(world / "other", false_alarm_rate=0.1, fdr=0.1)


def test_results_decide_anew_as_the_model_would(model: Model, world: Path) -> None:
    assert model.score(world / "more").at(0.3) == model.score(world / "more", false_alarm_rate=0.3)


@pytest.mark.parametrize("level", [0.02, 0.05, 0.9])
def test_a_false_discovery_rate_decides_the_batch_by_benjamini_and_hochberg(
    model: Model, world: Path, tmp_path: Path, level: float
) -> None:
    shutil.copytree(world, tmp_path / "in")
    (tmp_path / "in" / "more" / "0000.png").write_text("no picture")
    result = model.score([tmp_path / "in" / "more", tmp_path / "in" / "other"], fdr=level)
    (broken,) = result.errors
    assert (broken.item, broken.is_anomaly) == ("more/0000.png", None)
    readable = [row for row in result if row.error is None]
    p_values = [Fraction(round(row.p_value * 41), 41) for row in readable]
    expected = naive.benjamini_hochberg(p_values, Fraction(level).limit_denominator(1000))
    assert [row.is_anomaly for row in readable] == expected
    assert any(expected) == (level > 0.04)
    assert result.false_alarm_rate is None


def test_progress_counts_to_the_end(model: Model, world: Path, tiny: str) -> None:
    calls: list[tuple[int, int]] = []
    model.score(world / "other", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 12) for done in range(1, 13)]
    calls.clear()
    dn2.fit(world / "more", backbone=tiny, progress=lambda done, total: calls.append((done, total)))
    assert calls == [*((done, 8) for done in range(1, 9)), (8, 8)]  # embedded, then calibrated


# Fitting


def test_a_fit_keeps_name_place_digest_and_thumbnail_of_every_item(model: Model, world: Path) -> None:
    files = sorted((world / "normal").iterdir())
    assert [item.name for item in model.items] == [file.name for file in files]
    for item, file, thumbnail in zip(model.items, files, model.kind.thumbnails, strict=True):
        assert item.path == str(file)
        assert item.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert max(Image.open(io.BytesIO(thumbnail)).size) <= 96


def test_the_default_rate_is_one_in_a_hundred_or_the_smallest_attainable(world: Path, tiny: str) -> None:
    assert dn2.fit(world / "normal", backbone=tiny).false_alarm_rate == 1 / 41
    vectors = np.random.default_rng(0).gamma(1.0, size=(150, 192)).astype(np.float32)
    assert Model(ImageKind(ImageEmbedder(tiny)), Detector.fit(Steps(), vectors), []).false_alarm_rate == 0.01


def test_a_rate_that_the_items_cannot_support_is_refused_before_the_work(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.image.kind.embed_items", None)
    with pytest.raises(ReferenceTooSmall, match="needs at least 99 reference items, got 40"):
        dn2.fit(world / "normal", false_alarm_rate=0.01)
    for learning in ({"contaminated": True}, {"index": "kmeans:3"}):
        with pytest.raises(ReferenceTooSmall, match="at least 24 items that calibrate, got 20 of 40; add 8 more"):
            dn2.fit(world / "normal", false_alarm_rate=0.04, **learning)


def test_a_rate_that_the_readable_items_cannot_support_is_refused(world: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copytree(world / "more", tmp_path / "in")
    (tmp_path / "in" / "x.png").write_text("no picture")
    with pytest.raises(ReferenceTooSmall, match="needs at least 9 reference items, got 8"):
        dn2.fit(tmp_path / "in", backbone=tiny, false_alarm_rate=0.1)


def test_parameters_are_recorded_and_used(world: Path, tiny: str, tmp_path: Path) -> None:
    model = dn2.fit(
        world / "normal", backbone=tiny, neighbors=3, false_alarm_rate=0.25, normalize="unit", precision="f32"
    )
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    for one in (model, again):
        about = one.describe()
        chosen = {"n_neighbors": 3, "false_alarm_rate": 0.25, "normalize": "unit"}
        others = {"scale": None, "whiten": False, "clean": None, "windows": None}
        others |= {"search": {"index": "auto", "recall": 0.999, "storage": "auto", "memory": None}}
        others |= {"calibrate": {"confidence": None, "smooth": False, "seed": 0, "hold_out": False}}
        assert about["detector"] == chosen | others
        assert about["embedder"]["precision"] == "f32"
        assert len(one.score(world / "other").rows[0].neighbors) == 3
        assert np.linalg.norm(reference_of(one), axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert again.describe() == model.describe()


def test_unreadable_items_are_listed_and_left_out(world: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copytree(world / "normal", tmp_path / "in")
    (tmp_path / "in" / "0000a.png").write_bytes(b"")
    (tmp_path / "in" / "zzz.png").write_text("no picture")
    model = dn2.fit(tmp_path / "in", backbone=tiny)
    assert [(row.item, row.anomaly_score) for row in model.unreadable] == [("0000a.png", None), ("zzz.png", None)]
    assert "empty" in str(model.unreadable[0].error)
    assert len(model.items) == len(reference_of(model)) == 40
    whole = dn2.fit(world / "normal", backbone=tiny)
    assert model.score(world / "other").rows == whole.score(world / "other").rows
    rows = model.score(tmp_path / "in")
    assert [row.item for row in rows.errors] == ["0000a.png", "zzz.png"]
    assert [row.item for row in rows] == sorted(path.name for path in (tmp_path / "in").iterdir())
    assert all(row.neighbors[0].item == row.item for row in rows if row.error is None)


def test_nothing_readable_is_refused_with_the_first_reason(world: Path, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_text("no picture")
    with pytest.raises(InputError, match=r"none of the 2 items can be read; 'a\.png': not a picture"):
        dn2.fit(tmp_path / "in", backbone=tiny)
    model = dn2.fit(world / "more", backbone=tiny)
    before = state(model)
    with pytest.raises(InputError, match="none of the 2 items can be read"):
        model.add(tmp_path / "in")
    assert state(model) == before
    assert [row.error is not None for row in model.score(tmp_path / "in")] == [True, True]


def test_too_few_items_are_refused_with_the_number_it_takes(world: Path, tiny: str) -> None:
    files = sorted((world / "more").iterdir())
    with pytest.raises(ReferenceTooSmall, match=r"2 neighbours need at least 3 reference items, got .*2; add 1 more"):
        dn2.fit(files[:2], backbone=tiny)
    assert len(dn2.fit(files[:3], backbone=tiny).items) == 3


def test_copies_and_near_copies_are_reported(world: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copytree(world / "normal", tmp_path / "in")
    files = sorted((tmp_path / "in").iterdir())
    shutil.copy(files[5], tmp_path / "in" / "a-copy.png")
    pixels = np.array(Image.open(files[9]))
    pixels[3, 3] ^= 1
    Image.fromarray(pixels).save(tmp_path / "in" / "b-near.png")
    assert (tmp_path / "in" / "b-near.png").read_bytes() != files[9].read_bytes()
    model = dn2.fit(tmp_path / "in", backbone=tiny)
    pairs = {("a-copy.png", files[5].name), (files[5].name, "a-copy.png")}
    pairs |= {("b-near.png", files[9].name), (files[9].name, "b-near.png")}
    assert set(model.near_duplicates()) == pairs
    found = model.describe()["suspicion"]
    assert (found["repeats"], found["near_copies"], found["findings"]) == (2, 2, [])
    assert "Of 42 items 2 are exact copies of others, and 2 near ones" in " ".join(model.state.assumptions())
    model.remove(["a-copy.png", "b-near.png"])
    assert model.near_duplicates() == []


def test_a_cache_saves_the_network_the_work(
    world: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache.sqlite")
    first = dn2.fit(world / "normal", backbone=tiny, cache=cache)
    monkeypatch.setattr("dn2.networks.openvino.Network.start", None)
    again = dn2.fit(world / "normal", backbone=tiny, cache=cache)
    assert state(again) == state(first)


# Changing the reference set


def fresh(model: Model, keep: list[int]) -> Model:
    """Fit anew on the embeddings of some of a model's items."""
    detector = Detector.fit(model.detector.steps, reference_of(model)[keep])
    thumbnails = PackedBytes.of(model.kind.thumbnails[place] for place in keep)
    return Model(ImageKind(model.embedder, None, thumbnails), detector, [model.items[place] for place in keep])


def files_named(folder: Path) -> dict[str, str]:
    """Return the files of a model as it is, each by its digest."""
    return dict(json.loads((folder / "model.json").read_text())["files"])


def test_adding_and_removing_the_same_items_changes_no_bit(
    folder: Path, world: Path, tmp_path: Path, small_shards: None
) -> None:
    model = dn2.load(folder)
    before = state(model)
    rows = [*model.score(world / "other"), *model.score(world / "normal")]
    names = [path.name for path in sorted((world / "more").iterdir())]
    model.add(world / "more")
    assert [item.name for item in model.items[40:]] == names
    assert model.score(world / "more").rows[0].neighbors[0].distance == 0.0
    model.remove(names)
    assert state(model) == before
    assert [*model.score(world / "other"), *model.score(world / "normal")] == rows
    # and by way of the disk
    files = files_named(folder)
    model.add(world / "more").save(folder)
    assert len(dn2.load(folder).items) == 48
    dn2.load(folder).remove(names).save(folder)
    assert files_named(folder) == files
    after = dn2.load(folder)
    assert [*after.score(world / "other"), *after.score(world / "normal")] == rows


@pytest.fixture(scope="module")
def loaded(saved: Path) -> Model:
    return dn2.load(saved)


@settings(max_examples=30)
@given(removed=st.sets(st.integers(0, 39), max_size=37))
def test_removing_items_equals_never_having_had_them(loaded: Model, world: Path, removed: set[int]) -> None:
    changed = fresh(loaded, list(range(40)))
    changed.remove([loaded.items[place].name for place in removed])
    expected = fresh(loaded, [place for place in range(40) if place not in removed])
    assert state(changed) == state(expected)
    assert changed.score(world / "other").rows == expected.score(world / "other").rows


def test_removing_an_item_equals_a_fit_on_a_folder_without_it(
    model: Model, world: Path, tiny: str, tmp_path: Path
) -> None:
    shutil.copytree(world / "normal", tmp_path / "in")
    gone = model.items[17].name
    (tmp_path / "in" / gone).unlink()
    expected = dn2.fit(tmp_path / "in", backbone=tiny)
    model.remove(gone)
    assert model.score(world / "other").rows == expected.score(world / "other").rows
    assert model.describe() == expected.describe()


def test_an_added_item_counts_from_then_on(model: Model, world: Path, tiny: str) -> None:
    model.add(world / "more")
    expected = dn2.fit([*sorted((world / "normal").iterdir()), *sorted((world / "more").iterdir())], backbone=tiny)
    assert model.calibration.n_reference == 48
    assert model.describe() == expected.describe()
    for row, other in zip(model.score(world / "other"), expected.score(world / "other"), strict=True):
        assert (row.anomaly_score, row.p_value) == (other.anomaly_score, other.p_value)


def test_a_name_that_the_model_has_already_is_refused_and_nothing_changed(model: Model, world: Path) -> None:
    before = state(model)
    with pytest.raises(InputError, match=r"has an item '\d+\.png' already \(40 such names in all\)"):
        model.add([world / "normal" / ".." / "normal"])
    assert state(model) == before


def test_a_known_name_among_new_ones_is_refused_and_nothing_changed(model: Model, world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "more", tmp_path / "in")
    write_digits(tmp_path / "in", places_of(4)[:1])[0].rename(tmp_path / "in" / model.items[7].name)
    before = state(model)
    with pytest.raises(InputError, match="1 such names in all"):
        model.add(tmp_path / "in")
    assert state(model) == before


def test_an_unknown_name_is_refused_and_nothing_changed(model: Model) -> None:
    before = state(model)
    with pytest.raises(InputError, match=r"has no item 'nobody\.png'; Model\.items lists"):
        model.remove([model.items[0].name, "nobody.png"])
    assert state(model) == before


def test_removing_nothing_changes_nothing(model: Model) -> None:
    before = state(model)
    model.remove([])
    assert state(model) == before


def test_one_name_may_be_given_as_a_string_and_twice(model: Model) -> None:
    first, second = model.items[0].name, model.items[1].name
    model.remove(first).remove([second, second])
    assert len(model.items) == len(reference_of(model)) == 38


@pytest.mark.parametrize("left", [0, 1, 2])
def test_removing_too_many_is_refused_and_nothing_changed(model: Model, left: int) -> None:
    before = state(model)
    with pytest.raises(ReferenceTooSmall, match="need at least 3 reference items"):
        model.remove([item.name for item in model.items[left:]])
    assert state(model) == before


def test_removing_so_many_that_the_rate_is_not_attainable_is_refused_and_nothing_changed(
    world: Path, tiny: str
) -> None:
    model = dn2.fit(world / "normal", backbone=tiny, false_alarm_rate=0.025)
    before, rows = state(model), model.score(world / "other").rows
    with pytest.raises(ReferenceTooSmall, match="needs at least 39 reference items, got 38"):
        model.remove([item.name for item in model.items[:2]])
    assert state(model) == before
    assert model.score(world / "other").rows == rows
    assert len(model.remove(model.items[0].name).items) == 39


@pytest.mark.parametrize("change", ["add", "remove"])
@pytest.mark.parametrize(
    "step",
    [
        "neighbors.leave_one_out.LeaveOneOut._completed",
        "neighbors.calibrating.mean_squared_distance",
        "kinds.image.kind.PackedBytes.compact",
    ],
)
def test_a_change_that_fails_anywhere_changes_nothing(
    model: Model, world: Path, monkeypatch: pytest.MonkeyPatch, change: str, step: str
) -> None:
    before = state(model)

    def fail(*_: object) -> None:
        raise MemoryError

    work, what = (model.add, world / "more") if change == "add" else (model.remove, model.items[0].name)
    with monkeypatch.context() as patch:
        patch.setattr(f"dn2.{step}", fail)
        with pytest.raises((MemoryError, AttributeError)):
            work(what)
    assert state(model) == before


# Evaluation


def test_an_evaluation_is_that_of_the_scores_and_decisions(model: Model, world: Path, tmp_path: Path) -> None:
    fives = tmp_path / "fives"
    write_digits(fives, places_of(6)[:30])
    (fives / "broken.png").write_text("no picture")
    evaluation, unreadable = model.evaluate(world / "more", [world / "other", fives])
    assert [row.item for row in unreadable] == ["fives/broken.png"]
    rows = [*model.score(world / "more"), *model.score([world / "other", fives])]
    rows = [row for row in rows if row.error is None]
    truth = [False] * 8 + [True] * 42
    scores = [row.anomaly_score for row in rows]
    assert (evaluation.n_normal, evaluation.n_anomalous) == (8, 42)
    assert evaluation.roc_auc == pytest.approx(naive.roc_auc(scores, truth))
    assert evaluation.fpr_at_95_tpr == pytest.approx(naive.fpr_at_tpr(scores, truth, 0.95))
    assert evaluation.false_alarm_rate == model.false_alarm_rate
    assert evaluation.false_alarms == sum(row.is_anomaly for row in rows[:8]) / 8
    assert evaluation.detected == sum(row.is_anomaly for row in rows[8:]) / 42


def test_an_evaluation_without_one_readable_item_of_a_class_is_refused(
    model: Model, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(InputError, match="needs normal and anomalous items, got 8 and 0"):
        model.evaluate(world / "more", tmp_path / "x.png")
    with pytest.raises(InputError, match="needs normal and anomalous items, got 0 and 12"):
        model.evaluate(tmp_path / "x.png", world / "other")


# Disk


def test_a_saved_and_loaded_model_is_the_same_model(saved: Path, world: Path, tiny: str) -> None:
    model, again = dn2.fit(world / "normal", backbone=tiny), dn2.load(saved)
    assert again.items == model.items
    assert list(again.kind.thumbnails) == list(model.kind.thumbnails)
    assert again.describe() == model.describe()
    assert reference_of(again).tobytes() == reference_of(model).tobytes()
    assert again.score(world / "other").rows == model.score(world / "other").rows


def test_what_inspect_says_is_what_the_file_says(saved: Path) -> None:
    manifest, _ = contents(saved)
    assert json.loads(json.dumps(dn2.load(saved).describe())).items() <= manifest.items()


def test_a_network_lies_in_the_model_and_its_files_are_never_needed_again(world: Path, tmp_path: Path) -> None:
    backbone = write_backbone(tmp_path / "nets")
    model = dn2.fit(world / "normal", backbone=f"lite0@32+{backbone}")
    model.save(tmp_path / "m.dn2")
    shutil.rmtree(tmp_path / "nets")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.embedder.backbone == "lite0@32+tiny.onnx"
    assert again.describe() == model.describe()
    assert again.score(world / "other").rows == model.score(world / "other").rows
    again.add(world / "more").save(tmp_path / "m.dn2")
    again.save(tmp_path / "other.dn2")
    shutil.rmtree(tmp_path / "m.dn2")
    assert len(dn2.load(tmp_path / "other.dn2").items) == 48
    assert clone(again.embedder).transform([next((world / "more").iterdir())]).shape == (1, 1280 + 192)


def test_other_golden_embeddings_are_refused_with_the_way_out(folder: Path) -> None:
    _, parts = contents(folder)
    golden = parts["golden"][0]
    replace_part(folder, "golden", save_tensors({**golden, "embeddings": golden["embeddings"] * np.float32(1.05)}))
    with pytest.raises(NotReproducible, match=r"does not reproduce .* fit .* with precision='f32'"):
        dn2.load(folder)


def test_golden_embeddings_within_the_tolerance_are_taken(folder: Path) -> None:
    _, parts = contents(folder)
    golden = parts["golden"][0]
    replace_part(folder, "golden", save_tensors({**golden, "embeddings": golden["embeddings"] * np.float32(1.0001)}))
    assert len(dn2.load(folder).items) == 40


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_golden_embeddings_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    _, parts = contents(folder)
    golden = parts["golden"][0]
    replace_part(folder, "golden", save_tensors({**golden, "embeddings": golden["embeddings"] * np.float32(value)}))
    with np.errstate(invalid="ignore"), pytest.raises(ModelError):
        dn2.load(folder)


def test_another_backbone_of_the_same_name_is_refused(world: Path, tmp_path: Path) -> None:
    backbone = write_backbone(tmp_path)
    dn2.fit(world / "more", backbone=backbone).save(tmp_path / "m.dn2")
    (tmp_path / "tiny.json").write_text('{"size": [64, 64], "mean": [0.5, 0.5, 0.5]}')
    with pytest.raises(NotReproducible, match="is not the one that the model was made with"):
        dn2.load(tmp_path / "m.dn2", backbone=backbone)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(dn2.BackboneError, match="cannot be read"):
        dn2.load(tmp_path / "m.dn2", backbone=backbone)
    assert len(dn2.load(tmp_path / "m.dn2").items) == 8


def test_another_way_to_prepare_pictures_is_refused_with_the_release_that_has_it(folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["dn2"] = "0.0.7"
        manifest["embedder"]["preprocessing"]["reading"] = 0

    reseal(folder, change)
    with pytest.raises(NotReproducible, match=r"use dn2 0\.0\.7 or fit again"):
        dn2.load(folder)


def test_the_built_in_backbone_makes_a_model_that_loads_and_tells_digits_apart(world: Path, tmp_path: Path) -> None:
    model = dn2.fit(world / "normal")
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.describe()["embedder"]["dimension"] == 1280
    evaluation, unreadable = again.evaluate(world / "more", world / "other")
    assert (evaluation.roc_auc, unreadable) == (1.0, [])
    assert model.score(world / "other").rows == again.score(world / "other").rows


def test_embeddings_alone_are_those_of_the_network_with_names(world: Path, tiny: str, tmp_path: Path) -> None:
    shutil.copytree(world / "more", tmp_path / "in")
    (tmp_path / "in" / "0000.png").write_text("no picture")
    embedded = embed(tmp_path / "in", "image", None, None, {"backbone": tiny})
    files = sorted((world / "more").iterdir())
    assert [item.name for item in embedded.items] == [file.name for file in files]
    assert embedded.vectors.tobytes() == ImageEmbedder(tiny).transform(files).tobytes()
    assert [row.item for row in embedded.unreadable] == ["0000.png"]
    # The network pools 8 x 8 pixels of the picture at 64 x 64; this is the same by hand, in one colour of three.
    pixels = np.asarray(Image.open(files[0]).resize((64, 64), Image.Resampling.BICUBIC), np.float64) / 255
    by_hand = pixels.reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(embedded.vectors[0].reshape(3, 64), [by_hand] * 3, rtol=0.02, atol=0.002)


def test_nothing_is_logged_when_nothing_is_wrong(
    world: Path, tiny: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="dn2"):
        dn2.fit(world / "normal", backbone=tiny, cache=Cache(tmp_path / "c.sqlite")).save(tmp_path / "m.dn2")
        dn2.load(tmp_path / "m.dn2").score(world / "other")
    assert caplog.records == []


def test_more_items_than_memory_has_room_for_are_refused_before_the_work(
    saved: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.system.bounds.free_memory", lambda: 5_000)
    with pytest.raises(InputError, match=r"what is found of 12 items takes about .* give it in parts"):
        dn2.load(saved).score(world / "other")

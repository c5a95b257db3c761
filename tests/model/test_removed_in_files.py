"""Large sets: what is unchanged keeps its files, and removed rows stay in them, listed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors

import dn2
from dn2 import Model, ModelError
from dn2.neighbors import blocks as blocks_module
from dn2.neighbors import recheck
from dn2.neighbors.search import cells, finding_cells
from dn2.store import bundle, versions
from dn2.store.bundle import Bundle
from small_models import contents, folder, own_cache, replace_part, reseal, saved, small_shards, start_python, world
from store.test_bundle import Stepper, Stopped

__all__ = ["folder", "own_cache", "saved", "small_shards", "world"]  # fixtures

ALL = np.random.default_rng(5).standard_normal((90, 4)).astype(np.float32)
QUERIES = np.random.default_rng(6).standard_normal((7, 4)).astype(np.float32)
BLOCK = 8


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep shards small, let them keep removed rows, and keep no versions, whose files would stay, too."""
    monkeypatch.setattr(versions, "MOST_VERSIONS", 0)
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", BLOCK)
    monkeypatch.setattr(blocks_module, "REWRITTEN_AT_ONCE", 0)


def file_of(folder: Path, rows: Sequence[int]) -> Path:
    """Write some of the vectors, each named by its number."""
    path = folder / "vectors.npz"
    np.savez(path, embeddings=ALL[list(rows)], items=np.array([f"v{row}" for row in rows]))
    return path


def fitted(folder: Path, rows: Sequence[int]) -> Model:
    return dn2.fit(file_of(folder, rows), kind="vector", neighbors=2, index="exact")


def state(model: Model) -> tuple[Any, ...]:
    """Return what a model says, but for what depends on its history alone."""
    about = model.describe()
    del about["removed_in_files"]
    return [item.name for item in model.items], about, list(model.score(QUERIES)), model.near_duplicates()


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """A saved model of 30 vectors in four shards."""
    fitted(tmp_path, range(30)).save(tmp_path / "v.dn2")
    return tmp_path / "v.dn2"


@pytest.fixture
def thinned(vectors: Path) -> Path:
    """The same without three of them, whose rows are still in the files."""
    dn2.load(vectors).remove(["v1", "v12", "v15"]).save(vectors)
    return vectors


# What a save leaves as it is


def test_a_remove_writes_a_list_and_leaves_the_shards_as_they_are(vectors: Path) -> None:
    before = stamps(vectors)
    dn2.load(vectors).remove(["v1", "v12", "v15"]).save(vectors)
    after = stamps(vectors)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert sorted({name.rpartition("-")[0] for name in changed}) == ["", "reference-scores", "removed"]
    assert contents(vectors)[1]["removed"][0]["rows"].tolist() == [1, 12, 15]
    assert Bundle(vectors).problems() == []
    assert state(dn2.load(vectors)) == state(
        fitted(vectors.parent, [row for row in range(30) if row not in (1, 12, 15)])
    )


def test_an_add_leaves_all_but_the_last_shard_as_it_is(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stamps(vectors)
    model = dn2.load(vectors).add(file_of(vectors.parent, [40, 41]))
    written = []
    monkeypatch.setattr(bundle, "save_tensors", lambda arrays: written.append(set(arrays)) or save_tensors(arrays))
    model.save(vectors)
    assert sorted(map(sorted, written)) == [["distances", "members", "neighbors"], ["draws", "embeddings"]]
    kept = {name for name, stamp in stamps(vectors).items() if before.get(name) == stamp}
    assert sorted(name.rpartition("-")[0] for name in kept) == ["items"] * 3 + ["reference"] * 3


def test_a_model_just_saved_knows_its_files_too(tmp_path: Path) -> None:
    model = fitted(tmp_path, range(30))
    model.save(tmp_path / "v.dn2")
    before = stamps(tmp_path / "v.dn2")
    model.remove("v3").save(tmp_path / "v.dn2")
    model.remove("v4").save(tmp_path / "v.dn2")
    shards = {name: stamp for name, stamp in before.items() if name.startswith(("items", "reference-"))}
    assert len(shards.items() & stamps(tmp_path / "v.dn2").items()) == 8
    assert (model.describe()["removed_in_files"], len(dn2.load(tmp_path / "v.dn2").items)) == (2, 28)


def test_a_shard_that_has_lost_more_than_a_quarter_is_rewritten(thinned: Path) -> None:
    model = dn2.load(thinned)
    assert (
        model.describe()["removed_in_files"]
        == json.loads((thinned / "model.json").read_text())["removed_in_files"]
        == 3
    )
    model.remove("v14").save(thinned)  # three of the eight of this shard
    assert contents(thinned)[1]["removed"][0]["rows"].tolist() == [1]
    assert b"v12" not in b"".join(path.read_bytes() for path in thinned.glob("items-*"))
    assert dn2.load(thinned).describe()["removed_in_files"] == 1


def test_little_to_rewrite_leaves_nothing_of_a_removed_item(thinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "REWRITTEN_AT_ONCE", 2 * BLOCK * 4 * 4)
    dn2.load(thinned).remove(["v0", "v9"]).save(thinned)
    assert "removed" not in contents(thinned)[1]
    held = b"".join(path.read_bytes() for path in thinned.glob("items-*"))
    assert [name for name in ("v0", "v1", "v9", "v12", "v15") if f'"{name}"'.encode() in held] == []
    assert dn2.load(thinned).describe()["removed_in_files"] == 0


def test_another_folder_gets_everything_that_is_kept_and_nothing_else(thinned: Path, tmp_path: Path) -> None:
    model = dn2.load(thinned)
    model.save(tmp_path / "other.dn2")
    fresh = fitted(tmp_path, [row for row in range(30) if row not in (1, 12, 15)])
    again = dn2.load(tmp_path / "other.dn2")
    assert state(again) == state(fresh)
    assert (model.describe()["removed_in_files"], again.describe()["removed_in_files"]) == (0, 0)
    assert "removed" not in contents(tmp_path / "other.dn2")[1]
    # and from there on its files are known, by the rows that they have
    before = stamps(tmp_path / "other.dn2")
    model.remove("v2").save(tmp_path / "other.dn2")
    assert contents(tmp_path / "other.dn2")[1]["removed"][0]["rows"].tolist() == [1]
    assert (
        sum(name.startswith("reference-") for name, _ in before.items() & stamps(tmp_path / "other.dn2").items()) == 4
    )
    assert state(dn2.load(tmp_path / "other.dn2")) == state(model)


def test_a_file_that_has_vanished_fails_the_save_before_it_counts(thinned: Path, tmp_path: Path) -> None:
    model = dn2.load(thinned)
    (victim,) = [thinned / name for name in contents_names(thinned, "items")[:1]]
    victim.unlink()
    before = (thinned / "model.json").read_bytes()
    model.remove("v20")
    with pytest.raises(ModelError, match=f"has lost its file {victim.name} meanwhile; save at another place"):
        model.save(thinned)
    assert (thinned / "model.json").read_bytes() == before
    model.save(tmp_path / "other.dn2")
    assert len(dn2.load(tmp_path / "other.dn2").items) == 26


def contents_names(folder: Path, kind: str) -> list[str]:
    return list(json.loads((folder / "model.json").read_text())["contents"][kind])


def test_a_model_without_its_folder_is_saved_whole(thinned: Path) -> None:
    model = dn2.load(thinned)
    shutil.rmtree(thinned)
    model.save(thinned)
    assert Bundle(thinned).problems() == []
    assert state(dn2.load(thinned)) == state(model)


def test_loading_hashes_only_some_rows_again(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [block.draws.tolist() for block in fitted(vectors.parent, range(30)).detector.blocks]
    hashed, blake2b = [], hashlib.blake2b
    monkeypatch.setattr(hashlib, "blake2b", lambda *given, **options: (hashed.append(1), blake2b(*given, **options))[1])
    monkeypatch.setattr(recheck, "A_FEW", 2)
    assert [block.draws.tolist() for block in dn2.load(vectors).detector.blocks] == expected
    assert len(hashed) == 2 * len(expected)
    model = dn2.load(vectors).remove("v9")
    model.save(vectors)
    assert dn2.load(vectors).detector.blocks[1].draws.tolist() == expected[1][:1] + expected[1][2:]


# Any history


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 12)),
        st.tuples(st.just("remove"), st.integers(1, 12)),
        st.tuples(st.sampled_from(["save", "save elsewhere", "load"]), st.just(0)),
    ),
    min_size=3,
    max_size=9,
)


@settings(max_examples=12)
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_history_gives_the_model_that_never_had_what_was_removed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], seed: int
) -> None:
    folder, rng = tmp_path_factory.mktemp("history"), random.Random(seed)
    places = itertools.cycle([folder / "a.dn2", folder / "b.dn2"])
    place, present, left = next(places), list(range(20)), list(range(20, 90))
    model = fitted(folder, present)
    model.save(place)
    for step, count in steps:
        if step == "add":
            new, left = left[:count], left[count:]
            if new:
                model.add(file_of(folder, new))
                present += new
        elif step == "remove":
            gone = set(rng.sample(present, min(count, len(present) - 5)))
            model.remove([f"v{row}" for row in gone])
            present = [row for row in present if row not in gone]
        elif step == "save elsewhere":
            place = next(places)
            shutil.rmtree(place, ignore_errors=True)
            model.save(place)
        else:
            model.save(place)
            model = dn2.load(place) if step == "load" else model
    model.save(place)
    again, fresh = dn2.load(place), fitted(folder, present)
    assert state(model) == state(again) == state(fresh)
    assert Bundle(place).problems() == []
    removed = contents(place)[1].get("removed", [{"rows": []}])[0]["rows"]
    assert len(removed) == model.describe()["removed_in_files"] == again.describe()["removed_in_files"]
    assert all(len(block) >= 0.75 * len(block.stored) for block in again.detector.blocks)


def test_pictures_keep_their_thumbnails(folder: Path, world: Path, small_shards: None) -> None:
    model = dn2.load(folder)
    shown = {item.name: bytes(one) for item, one in zip(model.items, model.kind.thumbnails, strict=True)}
    gone = [model.items[place].name for place in (0, 17, 18)]
    before = stamps(folder)
    model.remove(gone).save(folder)
    assert sum(name.startswith("thumbnails") for name, _ in before.items() & stamps(folder).items()) == 3
    model = dn2.load(folder).add(world / "more")
    model.save(folder)
    again = dn2.load(folder)
    expected = dn2.fit([world / "normal"], backbone=str(world / "tiny.onnx")).remove(gone).add(world / "more")
    assert [*again.score(world / "other")] == [*expected.score(world / "other")]
    assert [bytes(one) for one in again.kind.thumbnails] == [bytes(one) for one in expected.kind.thumbnails]
    assert all(
        shown[item.name] == bytes(one) for item, one in zip(again.items[:37], again.kind.thumbnails, strict=False)
    )


def test_tables_keep_their_values(tmp_path: Path) -> None:
    lines = [f"r{row},{value:.3f},{'ab'[row % 2]}" for row, value in enumerate(ALL[:40].ravel()[:60])]
    (tmp_path / "t.csv").write_text("\n".join(["name,x,c", *lines]))
    model = dn2.fit(tmp_path / "t.csv", id_column="name")
    model.save(tmp_path / "t.dn2")
    before = stamps(tmp_path / "t.dn2")
    dn2.load(tmp_path / "t.dn2").remove(["r2", "r50"]).save(tmp_path / "t.dn2")
    assert sum(name.startswith("values") for name, _ in before.items() & stamps(tmp_path / "t.dn2").items()) == 8
    again = dn2.load(tmp_path / "t.dn2")
    model.remove(["r2", "r50"])
    np.testing.assert_array_equal(again.kind.values, model.kind.values)
    assert [*again.score(tmp_path / "t.csv")] == [*model.score(tmp_path / "t.csv")]


# Codes of a search that compresses


class WithCodes:
    """Stands for a detector whose search has codes; they are the first two bytes of rows, or something else."""

    def __init__(self, model: Model, other: int = 0) -> None:
        self.blocks = model.detector.blocks
        self.every = [block.stored.view(np.uint8)[:, :2] + np.uint8(other) for block in self.blocks]
        self.codes = [np.asarray(block).view(np.uint8)[:, :2] + np.uint8(other) for block in self.blocks]

    def into(self, model: Model) -> Model:
        for block, of_all in zip(self.blocks, self.every, strict=True):
            block.all_codes = np.ascontiguousarray(of_all)
        return model


def test_codes_are_saved_kept_and_thinned_with_their_shards(vectors: Path) -> None:
    model = dn2.load(vectors)
    WithCodes(model).into(model).save(vectors)
    again = dn2.load(vectors)
    expected = WithCodes(model).codes
    assert all(np.array_equal(block.codes, codes) for block, codes in zip(again.detector.blocks, expected, strict=True))
    before = stamps(vectors)
    again.remove(["v1", "v12"])
    WithCodes(again).into(again).save(vectors)
    kept = before.items() & stamps(vectors).items()
    assert sum(name.startswith("codes") for name, _ in kept) == 4
    third = dn2.load(vectors)
    codes = [block.codes for block in third.detector.blocks]
    assert all(np.array_equal(one, other) for one, other in zip(codes, WithCodes(third).codes, strict=True))
    # learnt anew, they are written anew, the shards are not
    WithCodes(third, other=1).into(third).save(vectors)
    kept = before.items() & stamps(vectors).items()
    assert sum(name.startswith("codes") for name, _ in kept) == 0
    assert sum(name.startswith("reference-") for name, _ in kept) == 4
    fourth = dn2.load(vectors)
    codes = [block.codes for block in fourth.detector.blocks]
    assert all(np.array_equal(one, other) for one, other in zip(codes, WithCodes(third, other=1).codes, strict=True))


def test_codes_of_what_was_saved_elsewhere_are_not_written_again(thinned: Path, tmp_path: Path) -> None:
    model, place = dn2.load(thinned), tmp_path / "other.dn2"
    WithCodes(model).into(model).save(place)
    before = stamps(place)
    with pytest.MonkeyPatch.context() as patch:
        written: list[set[str]] = []
        patch.setattr(bundle, "save_tensors", lambda arrays: written.append(set(arrays)) or save_tensors(arrays))
        model.remove("v20").save(place)
    assert {"codes"} not in written
    assert sum(name.startswith("codes") for name, _ in before.items() & stamps(place).items()) == 4
    again = dn2.load(place)
    codes = [block.codes for block in again.detector.blocks]
    assert all(np.array_equal(one, other) for one, other in zip(codes, WithCodes(again).codes, strict=True))


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((7, 2), np.uint8),
        np.zeros((9, 2), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((8, 2), np.int64),
        np.zeros((8, 2), np.float32),
    ],
    ids=lambda codes: f"{codes.shape} {codes.dtype}",
)
def test_codes_of_another_form_are_refused(vectors: Path, codes: Any) -> None:
    model = dn2.load(vectors)
    WithCodes(model).into(model).save(vectors)
    replace_part(vectors, "codes", save_tensors({"codes": codes}), 1)
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(vectors)


def test_codes_of_too_few_blocks_are_refused(vectors: Path) -> None:
    model = dn2.load(vectors)
    WithCodes(model).into(model).save(vectors)
    reseal(vectors, lambda manifest: manifest["contents"]["codes"].pop())
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(vectors)


# Lists and shards that are damaged


@pytest.mark.parametrize(
    "rows",
    [
        np.array([-1, 3, 4]),
        np.array([3, 4, 30]),
        np.array([12, 3, 4]),
        np.array([3, 3, 4]),
        np.array([[1, 2, 3]]),
        np.array([1, 2, 3], np.int32),
        np.array([1.0, 2.0, 3.0]),
        np.array([1, 2, 3], np.uint64),
        np.arange(8),
        np.array([1, 12, 2**62]),
        np.array([3, 4]),
    ],
    ids=str,
)
def test_a_list_of_removed_rows_that_cannot_be_is_refused(thinned: Path, rows: Any) -> None:
    replace_part(thinned, "removed", save_tensors({"rows": rows}))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(thinned)


@pytest.mark.parametrize("data", [b"", save_tensors({"more": np.arange(3)})], ids=["empty", "another array"])
def test_a_list_that_is_something_else_is_refused(thinned: Path, data: bytes) -> None:
    replace_part(thinned, "removed", data)
    with pytest.raises(ModelError):
        dn2.load(thinned)


def test_a_model_without_its_list_is_refused(thinned: Path) -> None:
    reseal(thinned, lambda manifest: manifest["contents"].pop("removed"))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(thinned)


@pytest.mark.parametrize(
    "draws", [np.zeros(7, np.uint64), np.zeros(8, np.int64), np.zeros((8, 1), np.uint64)], ids=["few", "signed", "2-d"]
)
def test_draws_of_another_form_are_refused(vectors: Path, draws: Any) -> None:
    replace_part(vectors, "reference", save_tensors({"embeddings": ALL[:8], "draws": draws}))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(vectors)


@pytest.mark.parametrize("storage", ["float16", "uint8"])
def test_compact_shards_are_saved_and_keep_removed_rows_too(tmp_path: Path, storage: str) -> None:
    def fit(rows: Sequence[int]) -> Model:
        return dn2.fit(file_of(tmp_path, rows), kind="vector", neighbors=2, index="exact", storage=storage)

    fit(range(30)).save(tmp_path / "v.dn2")
    dn2.load(tmp_path / "v.dn2").remove(["v1", "v12"]).save(tmp_path / "v.dn2")
    dn2.load(tmp_path / "v.dn2").add(file_of(tmp_path, [40])).save(tmp_path / "v.dn2")
    again = dn2.load(tmp_path / "v.dn2")
    assert state(again) == state(fit([*(row for row in range(30) if row not in (1, 12)), 40]))
    assert {str(block.stored.dtype) for block in again.detector.blocks} == {storage}
    assert again.describe()["removed_in_files"] == 2


@pytest.mark.parametrize("wanted", ["float32", "float16", "uint8", "auto", None, "float64"])
@pytest.mark.parametrize("storage", ["float16", "uint8"])
def test_a_shard_stored_in_another_way_than_the_model_is_refused(
    vectors: Path, storage: str, wanted: str | None
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        del manifest["detector"]["search"]["storage"]
        if wanted is not None:
            manifest["detector"]["search"]["storage"] = wanted

    reseal(vectors, change)
    compact = blocks_module.encode(ALL[:8], storage)
    replace_part(vectors, "reference", save_tensors({"embeddings": compact, "draws": np.zeros(8, np.uint64)}))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(vectors)


def test_rows_of_no_numbers_are_refused(vectors: Path) -> None:
    only_scales = {"embeddings": np.zeros((8, 8), np.uint8), "draws": np.zeros(8, np.uint64)}
    for number in range(4):
        rows = {name: array[: 8 if number < 3 else 6] for name, array in only_scales.items()}
        replace_part(vectors, "reference", save_tensors(rows), number)
    reseal(
        vectors, lambda manifest: (manifest.update(dimension=0), manifest["detector"]["search"].update(storage="uint8"))
    )
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(vectors)


@pytest.fixture
def approximate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved model whose search reduces vectors and keeps codes of them."""
    monkeypatch.setattr(finding_cells, "REDUCED_FROM", 4)
    monkeypatch.setattr(finding_cells, "REDUCED_TO", 5)
    rows = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    dn2.fit(rows, index="approximate", recall=0.5).save(tmp_path / "a.dn2")
    return tmp_path / "a.dn2"


def test_an_approximate_search_is_loaded_with_its_codes_and_finds_the_same(
    approximate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    fitted_again = dn2.fit(rows, index="approximate", recall=0.5)
    monkeypatch.setattr(cells.CellSearch, "encode", None)
    loaded = dn2.load(approximate)
    for one, other in zip(loaded.detector.search(rows), fitted_again.detector.search(rows), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("damage", ["a cell that there is not", "more bytes", "more candidates than there may be"])
def test_codes_and_cells_that_do_not_fit_together_are_refused(approximate: Path, damage: str) -> None:
    _, parts = contents(approximate)
    codes, learnt = parts["codes"][0]["codes"].copy(), dict(parts["learnt"][0])
    if damage == "more candidates than there may be":
        learnt["cells.probing"] = learnt["cells.probing"] * [1, 1e12, 1, 1, 1, 1, 1, 1]
        replace_part(approximate, "learnt", save_tensors(learnt))
    else:
        codes[3, 0] = 255
        wide = np.concatenate([codes, codes], axis=1) if damage == "more bytes" else codes
        replace_part(approximate, "codes", save_tensors({"codes": wide}), 0)
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(approximate)


# Writers that are stopped


def changed(model: Model, change: str, path: Path) -> Model:
    return model.remove(["v0", "v17"]) if change == "remove" else model.add(path)


@pytest.mark.parametrize("error", [Stopped, partial(OSError, 28, "No space left on device")], ids=["killed", "full"])
@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_change_stopped_at_any_step_leaves_the_old_model_or_the_new_one(
    thinned: Path, tmp_path: Path, change: str, error: Callable[[], BaseException]
) -> None:
    more = file_of(tmp_path, range(50, 60))
    old = state(dn2.load(thinned))
    new = state(changed(dn2.load(thinned), change, more))
    source = Path(shutil.copytree(thinned, tmp_path / "source.dn2"))
    found = []
    for stop_at in itertools.count(1):
        shutil.rmtree(thinned)
        shutil.copytree(source, thinned)
        model = changed(dn2.load(thinned), change, more)
        stepper = Stepper(stop_at, error)
        with pytest.MonkeyPatch.context() as patch:
            stepper.into(patch)
            with contextlib.suppress(Stopped, dn2.InputError):
                model.save(thinned)
        again = dn2.load(thinned)
        assert Bundle(thinned).problems() == []
        found.append(state(again) == new)
        assert found[-1] or state(again) == old
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle.os, "fsync", lambda _: None)
            (again if found[-1] else changed(again, change, more)).save(thinned)
        assert state(dn2.load(thinned)) == new
        assert {path.name for path in thinned.iterdir()} == {"model.json", *Bundle(thinned).manifest["files"]}
        if stepper.count < stop_at:
            break
    assert found == sorted(found)
    assert {*found} == {False, True}
    assert len(found) > 15


# Adds and removes in turn, saved at the place where it was loaded, until it is killed.
CHANGER = """
import sys
import dn2
from dn2.neighbors import blocks
blocks.BLOCK_ROWS, blocks.REWRITTEN_AT_ONCE = 8, 0
place, new = sys.argv[1:]
model = dn2.load(place)
names = [f"v{row}" for row in range(50, 60)]
print("ready", flush=True)
while True:
    model.add(new).save(place)
    model.remove(names[::2]).save(place)
    model.remove(names[1::2]).save(place)
"""


def test_changers_killed_at_random_moments_leave_a_whole_model(thinned: Path) -> None:
    rng = random.Random(4)
    more = file_of(thinned.parent, range(50, 60))
    base = [row for row in range(30) if row not in (1, 12, 15)]
    states = [state(fitted(thinned.parent, [*base, *new])) for new in ([], range(50, 60), range(51, 60, 2))]
    file_of(thinned.parent, range(50, 60))
    for _ in range(2):
        process = start_python(CHANGER, thinned, more)
        assert process.stdout is not None
        ready = process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.2))
        process.send_signal(signal.SIGKILL)
        assert (ready, process.communicate()[1]) == ("ready\n", "")
        assert Bundle(thinned).problems() == []
        assert state(dn2.load(thinned)) in states
        model = dn2.load(thinned)
        if gone := [item.name for item in model.items if item.name in {f"v{row}" for row in range(50, 60)}]:
            model.remove(gone).save(thinned)
        assert state(dn2.load(thinned)) == states[0]

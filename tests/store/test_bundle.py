"""Saved models: whole or refused, whatever happens to the writer, the disk, or the folder's sender."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import os
import random
import shutil
import signal
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_tensors

import dn2
from dn2.errors import Dn2Error, InputError, ModelError
from dn2.store import bundle, versions, writing
from dn2.store.bundle import Bundle
from small_models import contents, replace_part, reseal, start_python

KINDS = ("golden", "items", "network", "reference", "reference-scores", "thumbnails")

# Saves the contents of two models in turn at one place until it is killed.
SAVER = f"""
import itertools, json, sys
from pathlib import Path
from typing import Any
import safetensors.numpy
from dn2.store import bundle
{inspect.getsource(contents)}
target, *sources = map(Path, sys.argv[1:])
models = [contents(source) for source in sources]
print("ready", flush=True)
for manifest, parts in itertools.cycle(models):
    bundle.save(target, manifest, parts, None, overwrite=True)
"""


@pytest.fixture(scope="module")
def changed(saved: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model: the saved one without an item and with some more; not to be changed."""
    model = dn2.load(saved)
    model.remove(model.items[3].name).add(world / "more")
    place = tmp_path_factory.mktemp("changed") / "zeros.dn2"
    model.save(place)
    return place


def digest_of(folder: Path) -> str:
    return json.loads((folder / "model.json").read_text())["digest"]


def file_of(folder: Path, kind: str, number: int = 0) -> Path:
    return folder / json.loads((folder / "model.json").read_text())["contents"][kind][number]


def assert_refused(folder: Path, match: str) -> None:
    """Both loading and verifying must refuse, each in one line."""
    with pytest.raises(ModelError, match=match) as refused:
        dn2.load(folder)
    assert "\n" not in str(refused.value)
    with contextlib.suppress(ModelError):
        assert Bundle(folder).problems()


# What is saved


def test_a_model_names_every_one_of_its_files_with_their_digests(saved: Path) -> None:
    manifest = json.loads((saved / "model.json").read_text())
    assert {path.name for path in saved.iterdir()} == {"model.json", *manifest["files"]}
    assert {name for names in manifest["contents"].values() for name in names} == set(manifest["files"])
    assert sorted(manifest["contents"]) == list(KINDS)
    assert [len(manifest["contents"][kind]) for kind in KINDS] == [1, 3, 1, 3, 1, 3]
    assert all(digest[:16] in name for name, digest in manifest["files"].items())
    assert Bundle(saved).problems() == []


def test_saving_the_same_again_changes_no_byte(folder: Path, saved: Path) -> None:
    manifest, parts = contents(saved)
    bundle.save(folder, manifest, parts, None, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in saved.iterdir()
    }


def test_add_and_remove_rewrite_only_the_shards_that_they_touch(folder: Path, world: Path, small_shards: None) -> None:
    def stamps() -> list[tuple[str, int, int]]:
        paths = [file_of(folder, kind, number) for kind in ("items", "reference") for number in range(3)]
        return [(path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]

    before = stamps()
    model = dn2.load(folder)
    model.remove(model.items[20].name).save(folder)
    after = stamps()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True] * 2
    model.add(world / "more").save(folder)
    assert [one == other for one, other in zip(after, stamps(), strict=True)] == [True, True, False] * 2
    assert len(dn2.load(folder).items) == 40 - 1 + 8


def test_files_that_nothing_names_go_and_foreign_files_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_VERSIONS", 0)
    old = {path.name for path in folder.iterdir()}
    (folder / "README.txt").write_text("mine")
    (folder / "items-0123456789abcdef.jsonl").write_text("left over")
    (folder / "reference-0123456789abcdef.safetensors.tmp").write_text("left over")
    (folder / "model.json.tmp").write_text("left over")
    model = dn2.load(folder)
    model.remove(model.items[0].name).save(folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.txt", "model.json", *json.loads((folder / "model.json").read_text())["files"]}
    assert len(old - names) == 4  # the shard's items and embeddings, the scores, the thumbnails


def test_a_numpy_number_as_parameter_is_saved_as_a_number(saved: Path, tmp_path: Path) -> None:
    manifest, parts = contents(saved)
    assert manifest["detector"]["n_neighbors"] == 2
    manifest["detector"]["n_neighbors"] = np.int64(2)
    bundle.save(tmp_path / "m.dn2", manifest, parts, None)
    assert digest_of(tmp_path / "m.dn2") == digest_of(saved)


# Damage


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_any_file_is_found(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, kind: str, place: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped") / "zeros.dn2"
    shutil.copytree(saved, folder)
    path = file_of(folder, kind)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    assert Bundle(folder).problems() == [f"{path.name} does not match its digest"]
    assert_refused(folder, "does not match its digest")


def test_a_byte_changed_added_or_removed_in_the_manifest_is_found(folder: Path) -> None:
    path = folder / "model.json"
    whole = path.read_bytes()
    spaces = [place for place in range(len(whole)) if whole[place : place + 1].isspace()]  # JSON would not notice
    assert len(spaces) > 100
    for place in {*spaces, *range(0, len(whole), 7), *range(len(whole) - 90, len(whole))}:
        head, tail = whole[:place], whole[place + 1 :]
        flipped = head + bytes([whole[place] ^ 1]) + tail
        for damaged in [flipped] if place % 5 else [flipped, head + tail, head + b" " + whole[place:]]:
            path.write_bytes(damaged)
            with pytest.raises(ModelError):
                Bundle(folder)
    path.write_bytes(whole + b"\n")
    assert_refused(folder, "damaged")


@pytest.mark.parametrize("kind", [*KINDS, "model.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "longer", "folder", "pipe"])
def test_a_file_that_is_not_whole_is_found(folder: Path, kind: str, damage: str) -> None:
    path = folder / kind if kind == "model.json" else file_of(folder, kind)
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "pipe":
        os.mkfifo(path)
    elif damage != "missing":
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "longer": data + b"\0"}[damage])
    assert_refused(folder, "damaged|no dn2 model" if kind == "model.json" else path.name)


def test_every_damaged_file_is_named(folder: Path) -> None:
    broken = [file_of(folder, "items", 1), file_of(folder, "reference", 2)]
    broken[0].unlink()
    broken[1].write_bytes(b"x")
    assert_refused(folder, f"{broken[0].name} is missing; {broken[1].name} does not match its digest; restore it")


def test_a_large_reference_is_left_to_verify(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "CHECKED_AT_LOAD", 1000)
    path = file_of(folder, "reference", 1)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert len(dn2.load(folder).items) == 40
    assert Bundle(folder).problems() == [f"{path.name} does not match its digest"]
    path.write_bytes(data[:-1])  # but a file that is too short is not mapped
    with pytest.raises(ModelError, match=path.name):
        dn2.load(folder)
    path.unlink()
    assert_refused(folder, f"{path.name} is missing")


def test_a_large_file_of_any_kind_that_lies_beside_each_shard_is_left_to_verify(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads((folder / "model.json").read_text())["mapped"] == ["thumbnails", "reference"]
    monkeypatch.setattr(bundle, "CHECKED_AT_LOAD", 1000)
    reseal(folder, lambda manifest: manifest.update(mapped=["reference"]))
    path = file_of(folder, "thumbnails")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert_refused(folder, f"{path.name} does not match its digest")
    reseal(folder, lambda manifest: manifest.update(mapped=["reference", "thumbnails"]))
    assert len(dn2.load(folder).items) == 40


def test_what_is_read_whole_cannot_be_left_to_verify(folder: Path) -> None:
    reseal(folder, lambda manifest: manifest["mapped"].append("golden"))
    with pytest.raises(ModelError, match=r"model\.json says that its golden are mapped"):
        dn2.load(folder)


@pytest.mark.parametrize("mapped", [["none"], "reference", {"reference": 1}, [["reference"]], None])
def test_a_list_of_mapped_files_that_dn2_would_not_write_is_refused(folder: Path, mapped: Any) -> None:
    reseal(folder, lambda manifest: manifest.update(mapped=mapped))
    assert_refused(folder, "does not list the model's files")


# Other releases


def test_a_later_format_is_refused_with_the_release_that_reads_it(folder: Path) -> None:
    reseal(folder, lambda manifest: manifest.update(format=3, readable_from="7.8.9"))
    assert_refused(folder, r"has format 3, this dn2 reads 2; it takes dn2 7\.8\.9: pip install --upgrade dn2")


def test_a_later_format_may_be_sealed_in_another_way(folder: Path) -> None:
    (folder / "model.json").write_text('{"format": 12, "readable_from": "7.8.9", "signature": "..."}')
    assert_refused(folder, r"it takes dn2 7\.8\.9")


def test_a_format_from_before_the_first_release_is_refused(folder: Path) -> None:
    reseal(folder, lambda manifest: manifest.update(format=1))
    assert_refused(folder, "has format 1, from before the first release; fit it again")


@pytest.mark.parametrize("version", [0, -1, "2", None, 2.0, True, [2], 10**30])
def test_a_format_that_never_was_is_refused(folder: Path, version: Any) -> None:
    reseal(folder, lambda manifest: manifest.update(format=version))
    assert_refused(folder, "damaged")


# A folder from someone who knows the format


OUTSIDE = ["../secret-0123456789abcdef.jsonl", "/etc/passwd", "a/items-0123456789abcdef.jsonl", "..", "", "model.json"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("listed", [True, False])
def test_a_file_outside_of_the_folder_is_never_opened(folder: Path, name: str, listed: bool) -> None:
    (folder / "a").mkdir()
    for place in (folder.parent / "secret-0123456789abcdef.jsonl", folder / "a" / "items-0123456789abcdef.jsonl"):
        shutil.copy(file_of(folder, "items"), place)

    def change(manifest: dict[str, Any]) -> None:
        old = manifest["contents"]["items"][0]
        manifest["contents"]["items"][0] = name
        if listed:
            manifest["files"][name] = manifest["files"].pop(old)

    reseal(folder, change)
    assert_refused(folder, "that dn2 would not write")


def test_a_file_without_a_digest_is_refused(folder: Path) -> None:
    reseal(folder, lambda manifest: manifest["files"].pop(manifest["contents"]["thumbnails"][0]))
    assert_refused(folder, "that dn2 would not write")


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b"[" * 100_000, b'{"format": 2}', b"\xff\xfe", b"1" * 9999]
)
def test_a_manifest_that_is_something_else_is_refused(folder: Path, text: bytes) -> None:
    (folder / "model.json").write_bytes(text)
    assert_refused(folder, "damaged")


@pytest.mark.parametrize("key", ["files", "contents", "embedder", "detector", "golden_tolerance"])
@pytest.mark.parametrize("value", [None, "x", [], {"items": 5}, [[5]]])
def test_a_manifest_of_another_form_is_refused(folder: Path, key: str, value: Any) -> None:
    reseal(folder, lambda manifest: manifest.update({key: value}))
    with pytest.raises(ModelError):
        dn2.load(folder)


@pytest.mark.parametrize("key", ["files", "contents", "embedder", "detector", "golden_tolerance"])
def test_a_manifest_without_what_loading_needs_is_refused(folder: Path, key: str) -> None:
    reseal(folder, lambda manifest: manifest.pop(key))
    with pytest.raises(ModelError):
        dn2.load(folder)


def header(length: int, entry: Any, data: bytes = b"") -> bytes:
    text = entry if isinstance(entry, bytes) else json.dumps({"embeddings": entry}).encode()
    return struct.pack("<Q", len(text) if length < 0 else length) + text + data


MATRIX = {"dtype": "F32", "shape": [16, 192], "data_offsets": [0, 16 * 192 * 4]}
MALFORMED = {
    "nothing": b"",
    "no header": b"\1\2\3",
    "a header of 2^63 bytes": header(1 << 63, b"{}"),
    "a header of 1 GiB": header(1 << 30, b"{}", bytes(1000)),
    "a header longer than the file": header(5000, b"{}"),
    "a header that is no JSON": header(-1, b"{{{{{{{{"),
    "a header nested without end": header(-1, b"[" * 100_000),
    "no such array": header(-1, b'{"other": 1}'),
    "an array that is a number": header(-1, 5),
    "no shape": header(-1, {"dtype": "F32", "data_offsets": [0, 4]}),
    "data beyond the file": header(-1, MATRIX, bytes(100)),
    "data before the file": header(-1, {**MATRIX, "data_offsets": [-100_000, 0]}, bytes(20_000)),
    "data before the file, of the right size": header(
        -1, {**MATRIX, "data_offsets": [-100_000, 12_288 - 100_000]}, bytes(20_000)
    ),
    "data that begins in the header": header(-1, {**MATRIX, "data_offsets": [-8, 12_280]}, bytes(20_000)),
    "more data than the shape has": header(-1, {**MATRIX, "data_offsets": [0, 20_000]}, bytes(20_000)),
    "a shape of fractions": header(-1, {**MATRIX, "shape": [16.0, 192]}, bytes(20_000)),
    "a shape of truth values": header(-1, {**MATRIX, "shape": [True, 3072]}, bytes(20_000)),
    "data at no place": header(-1, {**MATRIX, "data_offsets": ["x"]}, bytes(20_000)),
    "data between places": header(-1, {**MATRIX, "data_offsets": [1, 12289]}, bytes(20_000)),
    "negative rows": header(-1, {**MATRIX, "shape": [-16, 192]}, bytes(20_000)),
    "a shape beyond all memory": header(-1, {**MATRIX, "shape": [1 << 62, 1 << 62]}, bytes(20_000)),
    "a shape beyond all numbers": header(-1, {**MATRIX, "shape": [1 << 80, 192]}, bytes(20_000)),
    "one dimension": header(-1, {**MATRIX, "shape": [16 * 192]}, bytes(20_000)),
    "another dimension": header(-1, {**MATRIX, "shape": [32, 96]}, bytes(20_000)),
    "no rows": header(-1, {**MATRIX, "shape": [0, 192]}, bytes(20_000)),
    "an unknown type": header(-1, {**MATRIX, "dtype": "F8_E4M3"}, bytes(20_000)),
    "another type": header(-1, {**MATRIX, "dtype": "U8"}, bytes(20_000)),
    "a type that is a list": header(-1, {**MATRIX, "dtype": ["F32"]}, bytes(20_000)),
}


@pytest.mark.parametrize("what", MALFORMED)
@pytest.mark.parametrize("kind", ["reference", "golden"])
def test_a_malformed_array_file_is_refused(folder: Path, kind: str, what: str) -> None:
    replace_part(folder, kind, MALFORMED[what])
    with pytest.raises(ModelError):
        dn2.load(folder)


NOT_THOSE = "leave-one-out distances must be those of the reference set"


def scores(**changes: Any) -> bytes:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "members": np.arange(40),
        "distances": np.sort(rng.gamma(1.0, size=(40, 2)).astype(np.float32)),
        "neighbors": (np.arange(80).reshape(40, 2) + 1) % 40,
        **changes,
    }
    return save_tensors({name: array for name, array in arrays.items() if array is not None})


def test_scores_of_the_right_form_that_are_not_those_of_the_items_are_refused(folder: Path) -> None:
    replace_part(folder, "reference-scores", scores())
    with pytest.raises(ModelError, match=NOT_THOSE):
        dn2.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": np.arange(41)},
        {"members": np.arange(40) + 1},
        {"members": np.arange(40) - 1},
        {"members": np.arange(40, dtype=np.int32)},
        {"members": np.arange(40).reshape(40, 1)},
        {"members": np.zeros(0, np.int64)},
        {"neighbors": np.full((40, 2), 40)},
        {"neighbors": np.full((40, 2), -1)},
        {"neighbors": np.full((40, 3), 1)},
        {"neighbors": np.full((40, 2), 1.0)},
        {"distances": np.ones((40, 3), np.float32)},
        {"distances": np.ones((40, 2), np.float64)},
        {"distances": np.full((40, 2), -1, np.float32)},
        {"distances": np.full((40, 2), np.nan, np.float32)},
        {"distances": np.full((40, 2), np.inf, np.float32)},
        {"distances": np.tile(np.array([2, 1], np.float32), (40, 1))},
        {"members": np.zeros(40, np.int64)},
        {"members": np.arange(40)[::-1].copy()},
        {"distances": None},
        {"more": np.ones(1)},
    ],
    ids=str,
)
def test_scores_of_another_form_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    replace_part(folder, "reference-scores", scores(**changes))
    with pytest.raises(ModelError, match="does not hold together") as refused:
        dn2.load(folder)
    assert NOT_THOSE not in str(refused.value)


def item(**changes: Any) -> str:
    return json.dumps({"item": "a", "path": "/a", "sha256": "00", **changes}) + "\n"


@pytest.mark.parametrize(
    "rows",
    [
        item() * 16,
        item() * 15,
        item() * 17,
        item(item=5) * 16,
        item(item=None) * 16,
        item(path=["x"]) * 16,
        item(sha256={}) * 16,
        item(item="\ud800") * 16,
        "5\n" * 16,
        '{"item": "a"}\n' * 16,
        "{\n" * 16,
        "[" * 100_000 + "\n" + item() * 15,
    ],
    ids=lambda rows: rows[:20],
)
def test_items_of_another_form_are_refused(folder: Path, rows: str) -> None:
    replace_part(folder, "items", rows.encode())
    with pytest.raises(ModelError):
        dn2.load(folder)


@pytest.mark.parametrize("picture", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_golden_inputs_that_are_no_pictures_are_refused(folder: Path, picture: bytes) -> None:
    arrays = {
        "data": np.frombuffer(picture * 4, np.uint8),
        "ends": np.arange(1, 5) * len(picture),
        "embeddings": np.ones((4, 192), np.float32),
    }
    replace_part(folder, "golden", save_tensors(arrays))
    with pytest.raises(ModelError):
        dn2.load(folder)


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, one in inside for found in paths_in(one, (*path, key))]


ODD = st.sampled_from([None, True, -1, 0, 1e308, float("nan"), 1 << 70, "", "x", "../x", "\ud800", [], [[]], {}])


@settings(max_examples=40)
@given(data=st.data(), odd=ODD)
def test_any_odd_value_in_a_sealed_manifest_is_loaded_or_refused_but_never_a_crash(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, odd: Any
) -> None:
    folder = tmp_path_factory.mktemp("odd") / "zeros.dn2"
    shutil.copytree(saved, folder)

    def change(manifest: dict[str, Any]) -> None:
        *parents, last = data.draw(st.sampled_from(paths_in(manifest)))
        for key in parents:
            manifest = manifest[key]
        manifest[last] = odd

    reseal(folder, change)
    with contextlib.suppress(Dn2Error):
        dn2.load(folder)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(place=st.floats(0, 1, exclude_max=True), in_header=st.booleans(), byte=st.integers(0, 255))
def test_any_byte_in_a_sealed_file_is_loaded_or_refused_but_never_a_crash(
    saved: Path,
    world: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    place: float,
    in_header: bool,
    byte: int,
) -> None:
    folder = tmp_path_factory.mktemp("bytes") / "zeros.dn2"
    shutil.copytree(saved, folder)
    data = bytearray(file_of(folder, kind).read_bytes())
    data[int(place * (min(300, len(data)) if in_header else len(data)))] = byte
    replace_part(folder, kind, bytes(data))
    with contextlib.suppress(Dn2Error):
        model = dn2.load(folder)
        assert len(model.items) == 40
        assert len(model.score(world / "other")) == 12


# Writers that are stopped


class Stopped(BaseException):
    """Stands for the end of the process."""


class Stepper:
    """Counts what a save does to the disk, and raises at one of these steps."""

    def __init__(self, stop_at: int, error: Callable[[], BaseException]) -> None:
        self.count, self.stop_at, self.error = 0, stop_at, error

    def step(self) -> None:
        self.count += 1
        if self.count == self.stop_at:
            raise self.error()

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **options: Any) -> Any:
            self.step()
            return work(*arguments, **options)

        return stepping

    def open(self, path: Any, mode: str = "r", **options: Any) -> Any:
        if "w" not in mode:
            return open(path, mode, **options)
        self.step()
        file = open(path, mode, **options)  # noqa: SIM115
        whole = file.write

        def write(data: bytes) -> None:
            try:
                self.step()
            except BaseException:
                whole(data[: len(data) // 2])
                raise
            whole(data)

        class Stepping:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: Any) -> None:
                file.close()

            def __getattr__(self, name: str) -> Any:
                return write if name == "write" else getattr(file, name)

        return Stepping()

    def into(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(writing, "open", self.open, raising=False)
        patch.setattr(bundle.os, "fsync", self.before(lambda _: None))
        for name in ("replace", "open"):
            patch.setattr(bundle.os, name, self.before(getattr(os, name)))
        for name in ("unlink", "mkdir", "iterdir"):
            patch.setattr(Path, name, self.before(getattr(Path, name)))


def stopped_saves(folder: Path, source: Path, error: Callable[[], BaseException], reset: Callable[[], None]) -> Any:
    """Save at a folder, stopped at the first step, then at the second, ... until a save gets through."""
    manifest, parts = contents(source)
    for stop_at in itertools.count(1):
        reset()
        stepper = Stepper(stop_at, error)
        with pytest.MonkeyPatch.context() as patch:
            stepper.into(patch)
            with contextlib.suppress(Stopped, InputError):
                bundle.save(folder, manifest, parts, None, overwrite=True)
        yield stop_at
        if stepper.count < stop_at:
            return


def assert_holds(folder: Path, model: Path) -> None:
    """Every file of a model is in a folder, byte for byte; more may be."""
    for path in model.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()


def save_again(folder: Path, model: Path) -> None:
    """Save over what an interrupted save left: it is all that is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle.os, "fsync", lambda _: None)
        bundle.save(folder, *contents(model), None, overwrite=True)
    assert_holds(folder, model)
    assert {path.name for path in folder.iterdir()} == {path.name for path in model.iterdir()}


@pytest.mark.parametrize("error", [Stopped, partial(OSError, 28, "No space left on device")], ids=["killed", "full"])
def test_a_save_stopped_at_any_step_leaves_the_old_model_or_the_new_one(
    saved: Path, changed: Path, folder: Path, error: Callable[[], BaseException]
) -> None:
    def reset() -> None:
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)

    old, new = digest_of(saved), digest_of(changed)
    found = []
    for _ in stopped_saves(folder, changed, error, reset):
        found.append(digest_of(folder))
        assert_holds(folder, {old: saved, new: changed}[found[-1]])
        save_again(folder, changed)
    first_new = found.index(new)
    assert found == [old] * first_new + [new] * (len(found) - first_new)
    assert first_new > 30
    assert len(found) - first_new > 5


def test_a_first_save_stopped_at_any_step_leaves_no_model_or_the_new_one(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new.dn2"
    found = []
    for _ in stopped_saves(folder, saved, Stopped, lambda: shutil.rmtree(folder, ignore_errors=True)):
        found.append((folder / "model.json").exists())
        if found[-1]:
            assert_holds(folder, saved)
        else:
            with pytest.raises(ModelError, match=r"no dn2 model|there is no model"):
                dn2.load(folder)
        save_again(folder, saved)
    assert found == sorted(found)
    assert {*found} == {False, True}


def test_killed_writers_always_leave_a_whole_model(saved: Path, changed: Path, tmp_path: Path) -> None:
    folder, rng = tmp_path / "target.dn2", random.Random(2)
    shutil.copytree(saved, folder)
    for _ in range(5):
        writers = [start_python(SAVER, folder, saved, changed) for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.1))
        for writer in writers:
            assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
        assert [writer.communicate()[1] for writer in writers] == ["", ""]
        assert Bundle(folder).problems() == []
        assert len(dn2.load(folder).items) == {digest_of(saved): 40, digest_of(changed): 47}[digest_of(folder)]


def test_a_reader_gets_a_whole_model_while_another_process_saves(saved: Path, changed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "target.dn2"
    shutil.copytree(saved, folder)
    writer = start_python(SAVER, folder, saved, changed)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        seen = [len(dn2.load(folder).items) for _ in range(15)]
        while len({*seen}) == 1 and len(seen) < 1_000:  # where the writer had no turn
            seen.append(len(dn2.load(folder).items))
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()
    assert {*seen} == {40, 47}


# Other writers, other folders


def test_a_model_changed_by_someone_else_is_not_overwritten(folder: Path) -> None:
    mine, theirs = dn2.load(folder), dn2.load(folder)
    theirs.remove(theirs.items[0].name).save(folder)
    after_theirs = digest_of(folder)
    mine.remove(mine.items[1].name)
    with pytest.raises(ModelError, match="changed by someone else meanwhile; load it again and repeat"):
        mine.save(folder)
    assert digest_of(folder) == after_theirs
    mine.save(folder.parent / "mine.dn2")
    assert len(dn2.load(folder.parent / "mine.dn2").items) == 39


def test_a_model_may_be_saved_again_and_again(folder: Path) -> None:
    model = dn2.load(folder)
    for left in (39, 38, 37):
        model.remove(model.items[0].name).save(folder)
        assert len(dn2.load(folder).items) == left


def test_a_model_whose_folder_is_gone_can_be_saved_there_again(folder: Path) -> None:
    model = dn2.load(folder)
    shutil.rmtree(folder)
    model.save(folder)
    assert len(dn2.load(folder).items) == 40


def test_the_model_of_another_fit_is_replaced_only_when_asked_to(folder: Path, saved: Path, world: Path) -> None:
    other = dn2.fit(world / "more", backbone=str(world / "tiny.onnx"))
    message = r"is a model already \(40 reference items of the kind image, written 20\d\d-.*\).*overwrite=True"
    for _ in range(2):  # a refusal does not make it the one that was saved here
        with pytest.raises(InputError, match=message):
            other.save(folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in saved.iterdir()}
    assert_holds(folder, saved)
    other.save(folder, overwrite=True)
    assert len(dn2.load(folder).items) == 8
    assert Bundle(folder).problems() == []
    other.remove(other.items[0].name).save(folder)  # now it is


def test_a_copy_of_a_loaded_model_does_not_replace_another(folder: Path, saved: Path, changed: Path) -> None:
    with pytest.raises(InputError, match="is a model already"):
        dn2.load(changed).save(folder)
    assert_holds(folder, saved)


def test_a_damaged_model_is_replaced_only_when_asked_to(folder: Path, saved: Path) -> None:
    (folder / "model.json").write_text("{")
    with pytest.raises(InputError, match=r"is a model already \(damaged, or not dn2's\); give another name"):
        dn2.load(saved).save(folder)
    assert (folder / "model.json").read_text() == "{"
    dn2.load(saved).save(folder, overwrite=True)
    assert_holds(folder, saved)


def test_of_two_first_saves_at_one_place_the_later_is_refused(
    saved: Path, changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, place, locked = dn2.load(saved), tmp_path / "new.dn2", bundle.lock_folder

    def someone_was_faster(folder: Path) -> Any:
        monkeypatch.setattr(bundle, "lock_folder", locked)
        shutil.copytree(changed, place, dirs_exist_ok=True)
        return locked(folder)

    monkeypatch.setattr(bundle, "lock_folder", someone_was_faster)
    with pytest.raises(InputError, match="is a model already"):
        model.save(place)
    assert {path.name for path in place.iterdir()} == {path.name for path in changed.iterdir()}
    assert_holds(place, changed)


@pytest.mark.parametrize("made", ["a folder with files", "a file", "a dangling link"])
def test_what_is_no_model_is_refused_and_left_as_it_is(saved: Path, tmp_path: Path, made: str) -> None:
    place = tmp_path / "holiday"
    if made == "a folder with files":
        place.mkdir()
        (place / "beach.jpg").write_bytes(b"sea")
        (place / "items-0123456789abcdef.jsonl").write_bytes(b"not ours")
    elif made == "a file":
        place.write_bytes(b"sea")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists and is no dn2 model; give another name"):
        dn2.load(saved).save(place)
    if made == "a folder with files":
        assert {path.name: path.read_bytes() for path in place.iterdir()} == {
            "beach.jpg": b"sea",
            "items-0123456789abcdef.jsonl": b"not ours",
        }
    else:
        assert place.is_symlink() or place.read_bytes() == b"sea"


def test_an_empty_folder_and_a_missing_one_are_taken(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model = dn2.load(saved)
    for place in (tmp_path / "empty", tmp_path / "a" / "b" / "c.dn2"):
        model.save(place)
        assert len(dn2.load(place).items) == 40


def test_a_place_that_cannot_be_written_is_refused_in_one_line(saved: Path, tmp_path: Path) -> None:
    model = dn2.load(saved)
    with pytest.raises(InputError, match="cannot be written") as refused:
        model.save("/proc/dn2/zeros.dn2")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("made", ["nothing", "an empty folder", "a folder with files", "a file"])
def test_loading_what_is_no_model_says_how_to_make_one(tmp_path: Path, made: str) -> None:
    place = tmp_path / "holiday"
    if made == "a file":
        place.write_bytes(b"sea")
    elif made != "nothing":
        place.mkdir()
        if made == "a folder with files":
            (place / "beach.jpg").write_bytes(b"sea")
    with pytest.raises(ModelError, match=r"(is no dn2 model|there is no model).*make one with dn2.fit"):
        dn2.load(place)

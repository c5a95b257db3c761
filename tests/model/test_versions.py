"""The versions of a saved model: listed, one step back, and gone where something is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dn2
from dn2.errors import InputError, ModelError
from dn2.model.loading import verify
from dn2.store import versions
from dn2.store.bundle import Bundle

ROWS = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Save a model of some rows."""
    dn2.fit(ROWS).save(tmp_path / "m.dn2")
    return tmp_path / "m.dn2"


def change(folder: Path, times: int) -> None:
    """Add a row, so many times."""
    for place in range(times):
        n = len(dn2.load(folder).items)
        dn2.load(folder).add(ROWS[:1] + place + 1, names=[f"new {n}"]).save(folder)


def test_each_change_is_a_version_and_undo_goes_back_to_the_bit(folder):
    bits, scores = [(folder / "model.json").read_bytes()], [dn2.load(folder).score(ROWS[:9] + 0.5).rows]
    for step in (lambda model: model.add([[9, 9, 9, 9]], names=["far"]), lambda model: model.remove("row 7")):
        step(dn2.load(folder)).save(folder)
        bits.append((folder / "model.json").read_bytes())
        scores.append(dn2.load(folder).score(ROWS[:9] + 0.5).rows)
    listed = dn2.load(folder).history()
    assert [(one.change, one.items) for one in listed] == [("", 60), ("1 item added", 61), ("1 item removed", 60)]
    assert [bool(one.at) for one in listed] == [False, True, True]
    for back in (1, 0):
        model = dn2.load(folder)
        assert model.undo().items == (61, 60)[1 - back]
        assert (folder / "model.json").read_bytes() == bits[back]
        assert model.score(ROWS[:9] + 0.5).rows == scores[back] == dn2.load(folder).score(ROWS[:9] + 0.5).rows
        assert len(model.history()) == back + 1
    with pytest.raises(InputError, match=r"has no earlier version: it is as it was fitted"):
        model.undo()


def test_several_changes_saved_at_once_are_one_version_and_none_is_none(folder):
    dn2.load(folder).add([[9, 9, 9, 9]], names=["far"]).remove(["row 1", "row 2"]).save(folder)
    dn2.load(folder).save(folder)
    assert [one.change for one in dn2.load(folder).history()] == ["", "1 item added; 2 items removed"]


def test_only_so_many_versions_are_kept_and_nothing_that_only_others_name(folder, monkeypatch):
    monkeypatch.setattr(versions, "MOST_VERSIONS", 3)
    change(folder, 6)
    assert [one.items for one in dn2.load(folder).history()] == [63, 64, 65, 66]
    named = versions.named_by(folder, Bundle(folder).manifest)
    assert {path.name for path in folder.iterdir()} == named
    for n in (65, 64, 63):
        model = dn2.load(folder)
        assert len(model.items) == n + 1
        assert model.undo().items == n
    with pytest.raises(InputError, match="has no earlier version"):
        model.undo()


def test_a_copy_and_a_new_fit_begin_without_versions(folder, tmp_path):
    change(folder, 1)
    dn2.load(folder).save(tmp_path / "copy.dn2")
    assert len(dn2.load(tmp_path / "copy.dn2").history()) == 1
    dn2.fit(ROWS[:50]).save(folder, overwrite=True)
    assert [one.items for one in dn2.load(folder).history()] == [50]
    assert not list(folder.glob("version-*"))


def test_a_model_that_was_never_saved_has_no_versions():
    model = dn2.fit(ROWS)
    assert model.history() == []
    with pytest.raises(InputError, match="save it before it is changed"):
        model.undo()


def test_a_damaged_version_is_named_and_the_model_stays(folder):
    change(folder, 1)
    before = (folder / "model.json").read_bytes()
    (kept,) = folder.glob("version-*.json")
    lost = json.loads(kept.read_bytes())["contents"]["reference-scores"][0]
    (folder / lost).unlink()
    with pytest.raises(ModelError, match=f"the last version of .* is damaged: {lost}"):
        dn2.load(folder).undo()
    with pytest.raises(ModelError, match=f"{lost} is missing"):
        verify(folder)
    kept.write_bytes(kept.read_bytes()[:-9])
    with pytest.raises(ModelError, match="is damaged"):
        dn2.load(folder).undo()
    assert (folder / "model.json").read_bytes() == before
    assert len(dn2.load(folder).items) == 61


@pytest.mark.parametrize("name", ["../elsewhere.json", "model.json", "version-12.json"])
def test_a_version_is_a_file_of_the_folder_that_dn2_wrote(folder, name):
    change(folder, 1)
    text = (folder / "model.json").read_text()
    manifest = json.loads(text)
    manifest["versions"][0][3] = name
    manifest.pop("digest")
    (folder / "model.json").write_bytes(versions_seal(manifest))
    with pytest.raises(ModelError, match="does not list versions as dn2 does"):
        dn2.load(folder).history()


def versions_seal(manifest: dict) -> bytes:
    """Write a manifest with its digest."""
    from dn2.store.manifest import seal

    return seal(manifest)[0]


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_remains_of_what_is_forgotten(tmp_path):
    from small_models import write_digits

    write_digits(tmp_path / "good", range(40))
    secret = tmp_path / "good" / "0017.png"
    secret.rename(tmp_path / "good" / "Jane Doe.png")
    cache = dn2.Cache(tmp_path / "cache" / "cache.sqlite")
    model = dn2.fit(tmp_path / "good", backbone="lite0@32", cache=cache)
    model.save(tmp_path / "m.dn2")
    thumbnail = bytes(model.kind.thumbnails[[item.name for item in model.items].index("Jane Doe.png")])
    model.remove("0001.png").save(tmp_path / "m.dn2")
    cache.close()
    assert b"Jane Doe" in content_of(tmp_path / "m.dn2")
    assert thumbnail in content_of(tmp_path / "m.dn2")
    assert thumbnail[-200:] in content_of(tmp_path / "cache")

    loaded = dn2.load(tmp_path / "m.dn2", cache=dn2.Cache(tmp_path / "cache" / "cache.sqlite"))
    loaded.remove("Jane Doe.png", forget=True).save(tmp_path / "m.dn2")
    for place in ("m.dn2", "cache"):
        assert b"Jane Doe" not in content_of(tmp_path / place)
        assert thumbnail[-200:] not in content_of(tmp_path / place)
    assert [(one.change, one.items) for one in loaded.history()] == [("1 item forgotten", 38)]
    with pytest.raises(InputError, match="forgot"):
        loaded.undo()


def test_a_row_of_a_large_set_and_a_message_are_forgotten(tmp_path, monkeypatch):
    from dn2.neighbors import blocks

    monkeypatch.setattr(blocks, "REWRITTEN_AT_ONCE", 0)  # as of a large set, whose files keep removed rows
    texts = {f"m{number}": f"train {number} is late by {number % 7} minutes" for number in range(60)}
    texts["m7"] = "the password of Jane Doe is swordfish"
    model = dn2.fit(texts, kind="text", backbone="characters")
    model.save(tmp_path / "m.dn2")
    model.remove("m7").save(tmp_path / "m.dn2")
    assert b"swordfish" in content_of(tmp_path / "m.dn2")
    with pytest.raises(InputError, match="the model has no item 'm7'"):
        dn2.load(tmp_path / "m.dn2").remove("m7", forget=True)
    dn2.load(tmp_path / "m.dn2").remove("m8", forget=True).save(tmp_path / "m.dn2")
    assert b"swordfish" not in content_of(tmp_path / "m.dn2")
    assert b"train 8 is" not in content_of(tmp_path / "m.dn2")
    assert len(dn2.load(tmp_path / "m.dn2").items) == 58

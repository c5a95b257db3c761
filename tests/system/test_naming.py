"""Every name and path can be written, is found again from what is written, and is one with its other spelling."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

import dn2
from dn2.errors import InputError, ModelError, UnreadableItem
from dn2.inputs.files import find_again, find_items
from dn2.kinds.table.evidence import RowEvidence
from dn2.results.files import read_rows
from dn2.store.bundle import Bundle
from dn2.system.naming import encodable, find_spelling, identity, path_of_text, path_to_text, read_back, writable
from small_models import own_cache, saved, world, write_digits

__all__ = ["own_cache", "saved", "world"]

ANY_TEXT = st.text(st.one_of(st.sampled_from("\\xu5ce9d8 \n"), st.characters(exclude_categories=())))
SURROGATES = st.characters(categories=("Cs",))
ODD = [
    b"caf\xe9",
    rb"caf\xe9",
    rb"caf\x5cxe9",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"line\nbreak",
    b"\r",
    b"\t",
    b"\x1b[31m",
    b"\x7f",
    "\u202egnp".encode(),
    "👩\u200d🔬".encode(),
    b" leading",
    b"trailing ",
    b"-dash",
    b"@list",
    b"[1]*?",
    b"A",
    b"a",
    b'"quotes"\'',
    b"=1+2,a;b",
    rb"back\slash\new",
    "cafe\u0301".encode(),
]


def is_name(raw: bytes) -> bool:
    return b"\0" not in raw and b"/" not in raw and not raw.startswith(b".")


ANY_BYTES = st.one_of(st.sampled_from(ODD), st.binary(min_size=1, max_size=12)).filter(is_name)


# Texts


@given(ANY_TEXT)
@example("\udce9")
@example(r"\xe9")
@example("\\\udce9")
@example("\\x5c\udce9\\xe9\\ud800\ud800")
def test_every_text_can_be_written_and_is_read_back(text: str) -> None:
    written = writable(text)
    assert written.encode().decode() == written
    assert read_back(written) == text
    assert encodable(text) == encodable(text).encode().decode()
    assert encodable(written) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain é 🙂 \\ C:\\new.png", "plain é 🙂 \\ C:\\new.png"),
        ("caf\udce9", r"caf\xe9"),
        (r"caf\xe9", r"caf\x5cxe9"),
        (r"caf\x41 \xEF \u0041", r"caf\x41 \xEF \u0041"),
        ("half \ud83d", r"half \ud83d"),
        (r"half \ud83d", r"half \x5cud83d"),
    ],
)
def test_what_is_written_is_as_it_was_wherever_it_can_be(text: str, written: str) -> None:
    assert writable(text) == written


@given(st.lists(ANY_BYTES, min_size=1, max_size=3).map(b"/".join))
def test_every_path_is_found_again_from_its_text(raw: bytes) -> None:
    written = path_to_text(os.fsdecode(raw))
    assert written.encode()
    assert os.fsencode(path_of_text(written)) == raw


def test_a_text_that_no_path_is_written_as_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        path_of_text(r"\ud83d")


def test_an_error_can_be_written_whatever_it_names() -> None:
    assert str(UnreadableItem(f"{os.fsdecode(b'caf' + bytes([0xE9]))} cannot be read")) == r"caf\xe9 cannot be read"


# Two spellings


@given(st.text())
def test_composed_and_decomposed_spellings_are_one_name(text: str) -> None:
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    assert {identity(form) for form in forms} == {unicodedata.normalize("NFC", text)}


COMPOSED, DECOMPOSED = "caf\u00e9.png", "cafe\u0301.png"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders `nfc` and `nfd`, each with its spelling of one name."""
    monkeypatch.chdir(tmp_path)
    for folder, name in (("nfc", COMPOSED), ("nfd", DECOMPOSED)):
        write_digits(tmp_path / folder, [len(folder + name)])[0].rename(tmp_path / folder / name)
    return tmp_path


def test_a_file_is_found_in_either_spelling_and_named_as_it_is(two: Path) -> None:
    for typed in ("nfd/" + COMPOSED, "nfd/" + DECOMPOSED):
        (item,) = find_items(typed, frozenset({".png"}))
        assert item.name == "nfd/" + DECOMPOSED
        assert find_spelling(typed) == "nfd/" + DECOMPOSED
    for name in (COMPOSED, DECOMPOSED):
        item_again = find_again(two / "nfc", name, frozenset({".png"}), group=False)
        assert item_again is not None
        assert item_again.path.name == COMPOSED
    Path("list.txt").write_text(f"nfd/{COMPOSED}\nnfc/{DECOMPOSED}\n", encoding="utf-8")
    assert [item.path.exists() for item in find_items("@list.txt", frozenset({".png"}))] == [True, True]


def test_two_spellings_in_one_folder_are_one_name_given_twice(two: Path) -> None:
    shutil.copy(f"nfd/{DECOMPOSED}", f"nfc/{DECOMPOSED}")
    with pytest.raises(InputError, match="two inputs give an item the name"):
        find_items("nfc", frozenset({".png"}))


def test_an_item_is_removed_in_either_spelling_and_not_added_in_both(two: Path, saved: Path) -> None:
    model = dn2.load(saved)
    for added, typed in (("nfd", COMPOSED), ("nfc", DECOMPOSED), ("nfd", DECOMPOSED)):
        model.add(added)
        for folder in ("nfc", "nfd"):
            with pytest.raises(InputError, match=r"has an item .* already"):
                model.add(folder)
        assert len(model.remove(typed).items) == 40


def test_ids_of_two_spellings_are_one_id() -> None:
    ids = [f"n{number}" for number in range(8)] + [COMPOSED, DECOMPOSED]
    model = dn2.fit({"x": np.arange(10.0), "id": ids}, id_column="id")
    assert [row.error for row in model.unreadable] == [f"the id {DECOMPOSED!r} is taken by row 9"]


# Anything goes through everything


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY_BYTES, min_size=4, max_size=6, unique_by=lambda raw: identity(os.fsdecode(raw))), ANY_BYTES)
@example(ODD[:12], b"folder \xe9")
@example(ODD[12:], rb"folder \xe9")
def test_names_and_paths_of_any_bytes_survive(world: Path, tmp_path: Path, raw: list[bytes], folder: bytes) -> None:
    shutil.rmtree(tmp_path)
    top = tmp_path / os.fsdecode(folder)
    files = {one + b".png": os.path.join(os.fsencode(top / "in"), one + b".png") for one in raw}
    (top / "in").mkdir(parents=True)
    for number, path in enumerate(files.values()):
        Image.fromarray(np.full((8, 8), 9 * number, np.uint8)).save(os.fsdecode(path))
    model = dn2.fit(top / "in", backbone=str(world / "tiny.onnx"))
    model.save(top / "m.dn2")
    assert Bundle(top / "m.dn2").problems() == []
    loaded = dn2.load(top / "m.dn2")
    assert loaded.items == model.items
    assert {os.fsencode(item.path) for item in loaded.items} == set(files.values())
    results = loaded.score(top / "in")
    for ending in ("csv", "jsonl", "parquet"):
        results.save(top / f"r.{ending}")
        assert read_rows(top / f"r.{ending}", None) == list(results)
    results.to_html(top / "r.html")
    (top / "r.html").read_bytes().decode()
    for row in results:
        found = find_again(top / "in", row.item, frozenset({".png"}), group=False)
        assert found is not None
        assert os.fsencode(found.path) in files.values()
    last = loaded.items[-1]
    loaded.remove(last.name).add(last.path).save(top / "m.dn2")
    assert {os.fsencode(item.path) for item in dn2.load(top / "m.dn2").items} == set(files.values())


def test_a_working_folder_of_any_bytes_serves(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / os.fsdecode(b"w\xe9")
    shutil.copytree(world / "more", place / "in")
    shutil.copy(world / "tiny.onnx", place)
    shutil.copy(world / "tiny.json", place)
    monkeypatch.chdir(place)
    dn2.fit("in", backbone="tiny.onnx").save("m.dn2")
    model = dn2.load("m.dn2")
    assert all(Path(item.path).exists() for item in model.items)
    assert len(model.score("in")) == 8


def test_a_working_folder_that_is_gone_stops_nothing_that_is_given_by_its_whole_path(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    dn2.fit(world / "more", backbone=str(world / "tiny.onnx")).save(tmp_path / "m.dn2")
    assert len(dn2.load(tmp_path / "m.dn2").score(world / "more")) == 8
    with pytest.raises(InputError, match=r"the working folder cannot be found .*; give whole paths"):
        dn2.fit(".")
    with pytest.raises(InputError, match=r"m\.dn2 cannot be written: No such file or directory; give its whole path"):
        dn2.fit(np.arange(9.0).reshape(-1, 1)).save("m.dn2")


@pytest.mark.parametrize("path", ["nul\0", "half \ud800", "half \ud800/*"])
def test_what_no_path_can_be_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    model = dn2.fit(np.arange(9.0).reshape(-1, 1))
    results = model.score(np.arange(3.0).reshape(-1, 1))
    for refused in (lambda: dn2.fit(path), lambda: model.save(path), lambda: results.save(f"{path}.csv")):
        with pytest.raises(InputError, match="no path"):
            refused()
    with pytest.raises(ModelError, match="no path"):
        dn2.load(path)


def test_cells_ids_and_labels_that_are_no_utf_8_survive(tmp_path: Path) -> None:
    odd = ["\udcff", "\ud800", r"\xff", "plain", COMPOSED, DECOMPOSED, "nul\0", "new\nline"]
    table = {"x": np.random.default_rng(0).normal(size=40), "c": odd * 5, "i\ud800d": [f"\ud800{n}" for n in range(40)]}
    model = dn2.fit(table, id_column=r"i\ud800d")
    model.save(tmp_path / "m.dn2")
    queries = {"x": np.full(8, 9.0), "c": [f"new {one}" for one in odd], "i\ud800d": odd}
    results = dn2.load(tmp_path / "m.dn2").score(queries)
    assert [row.item for row in results][:3] == [r"\xff", r"\ud800", r"\x5cxff"]
    for ending in ("csv", "jsonl", "parquet"):
        results.save(tmp_path / f"r.{ending}")
        assert read_rows(tmp_path / f"r.{ending}", RowEvidence) == list(results)


def test_a_parquet_of_texts_that_are_no_utf_8_is_read(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    raw = pyarrow.array([b"caf\xe9 %d" % number for number in range(9)])
    texts = pyarrow.StringArray.from_buffers(9, *raw.buffers()[1:])
    path = tmp_path / "r.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": np.arange(9.0), "id": texts}), path)
    path = path.rename(tmp_path / os.fsdecode(b"\xe9.parquet"))
    assert [item.name for item in dn2.fit(path, id_column="id").items] == [rf"caf\xe9 {number}" for number in range(9)]


# The command, in a world of bytes


def test_the_command_takes_and_shows_any_bytes_in_any_locale(saved: Path, world: Path, tmp_path: Path) -> None:
    pictures = sorted((world / "more").iterdir())
    (tmp_path / "in").mkdir()
    for raw, picture in zip(ODD, pictures, strict=False):
        shutil.copy(picture, os.path.join(os.fsencode(tmp_path / "in"), raw + b".png"))
    shutil.copytree(saved, tmp_path / os.fsdecode(b"m\xe9.dn2"))
    command = """
import sys
from dn2.cli import main
sys.argv[0] = "dn2"
main()
"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    environment["PYTHONCOERCECLOCALE"] = "0"
    arguments = [b"score", b"m\xe9.dn2", b"in", b"-o", b"r\xe9.csv", b"--report", b"p\xe9.html"]
    done = subprocess.run(
        [sys.executable, "-c", command, *arguments], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert b"written to r\\xe9.csv and p\\xe9.html" in done.stderr
    (rows,) = [read_rows(path, None) for path in tmp_path.glob("r*.csv")]
    assert {row.item for row in rows} == {path_to_text(os.fsdecode(raw + b".png")) for raw in ODD[: len(pictures)]}

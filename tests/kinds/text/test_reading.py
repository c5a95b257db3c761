"""Reading messages: text files, JSON Lines, tables, columns in memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dn2.errors import InputError
from dn2.kinds.text import reading as texts
from dn2.kinds.text.reading import read_texts


def write(path: Path, content: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def write_jsonl(path: Path, *records: Any) -> str:
    return write(path, "".join(f"{json.dumps(record)}\n" for record in records))


def test_a_text_file_has_a_message_a_line_and_blank_lines_are_none(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("m.txt"), "\ufeffone\r\n\r\n  \ntwo, and more\nlast")
    found = read_texts("m.txt")
    assert found.texts == ["one", "two, and more", "last"]
    assert found.names == ["m.txt:1", "m.txt:4", "m.txt:5"]
    assert found.errors == {}
    assert found.paths == ["m.txt"] * 3
    assert len(set(found.digests)) == 1


def test_text_files_in_a_folder_are_a_message_each(tmp_path: Path) -> None:
    write(tmp_path / "mails/b.txt", "second\nline\n")
    write(tmp_path / "mails/a/a.txt", "first")
    write(tmp_path / "mails/c.txt", "")
    found = read_texts(tmp_path / "mails")
    assert found.names == ["b.txt", "c.txt", "a/a.txt"]
    assert found.texts == ["second\nline", "", "first"]


def test_a_line_that_is_no_utf_8_keeps_its_byte_for_the_error(tmp_path: Path) -> None:
    found = read_texts(write(tmp_path / "m.txt", b"fine\ncaf\xe9\xd0\xf8\nfine again\n"))
    assert found.texts == ["fine", "caf\udce9\udcd0\udcf8", "fine again"]


def test_utf_16_is_read_by_its_mark(tmp_path: Path) -> None:
    assert read_texts(write(tmp_path / "m.txt", "häagen\nzwei\n".encode("utf-16"))).texts == ["häagen", "zwei"]
    with pytest.raises(InputError, match="begins as UTF-16 and does not go on as such"):
        read_texts(write(tmp_path / "m.txt", b"\xff\xfea"))


def test_a_line_without_end_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "LONGEST_TEXT", 10)
    found = read_texts(write(tmp_path / "m.txt", "0123456789\n" + "x" * 35 + "\nlast"))
    assert found.texts == ["0123456789", "", "last"]
    assert found.errors == {1: texts.TOO_LONG}
    assert found.names[2].endswith(":3")
    write(tmp_path / "folder" / "a.txt", "x" * 11)
    write(tmp_path / "folder" / "b.txt", "0123456789\n")
    found = read_texts(tmp_path / "folder")
    assert (found.texts, found.errors) == (["", "0123456789"], {0: texts.TOO_LONG})


def test_a_file_that_cannot_be_read_is_one_error_in_a_folder_of_messages(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "first")
    write(tmp_path / "b.txt", b"\xff\xfea")
    (tmp_path / "c.txt").symlink_to(tmp_path / "gone.txt")
    found = read_texts(tmp_path)
    assert found.names == ["a.txt", "b.txt", "c.txt"]
    assert found.texts == ["first", "", ""]
    assert "begins as UTF-16" in found.errors[1]
    assert "cannot be read: No such file" in found.errors[2]
    assert (len(found.paths), len(found.digests)) == (3, 3)


def test_a_folder_is_one_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "mails/a.txt", "first\nline")
    write(tmp_path / "lines.txt", "one\ntwo")
    monkeypatch.chdir(tmp_path / "mails")
    write(tmp_path / "list.txt", f"{tmp_path}/mails\n")
    assert read_texts(f"@{tmp_path}/list.txt").texts == ["first\nline"]
    assert read_texts(iter([".", "../lines.txt"])).texts == ["first\nline", "one", "two"]


def test_json_lines_are_texts_or_records(tmp_path: Path) -> None:
    assert read_texts(write_jsonl(tmp_path / "t.jsonl", "one", "two")).texts == ["one", "two"]
    path = write_jsonl(tmp_path / "r.jsonl", {"id": 7, "body": "one", "n": 1}, {"id": "x", "body": "two", "n": 2})
    found = read_texts(path, id_column="id")
    assert (found.texts, found.names, found.column) == (["one", "two"], ["7", "x"], "body")
    assert read_texts(path, column="n").texts == ["1", "2"]


def test_a_record_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    lines = ['{"id": 1, "body": "a"}', "{", "[1]", '{"id": 2}', '{"id": 3, "body": {"x": 1}}', '{"id": 1, "body": "b"}']
    found = read_texts(write(tmp_path / "r.jsonl", "\n".join(lines)), column="body", id_column="id")
    assert found.texts == ["a", "", "", "", "", ""]
    assert found.errors[1].startswith("it is no JSON")
    assert found.errors[2] == "it is to be a text or a record, got list"
    assert found.errors[1] == "it is no JSON: Expecting property name enclosed in double quotes, at character 2"
    assert found.errors[3] == "'body' is missing"
    assert found.errors[4] == "'body' is to be a text, got dict"
    assert found.errors[5] == f"the id '1' is taken by {tmp_path}/r.jsonl:1"


def test_the_column_is_chosen_by_all_records(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "r.jsonl", {"n": 1, "body": None}, {"n": 2, "body": "two"})
    assert read_texts(path).texts == ["", "two"]
    with pytest.raises(InputError, match=r"say which column .* 'title', 'body'"):
        read_texts(write_jsonl(tmp_path / "r.jsonl", {"title": "x", "body": None}, {"title": "y", "body": "two"}))


def test_a_nested_line_cannot_exhaust_the_stack(tmp_path: Path) -> None:
    found = read_texts(write(tmp_path / "r.jsonl", "[" * 200_000 + '\n"fine"\n'))
    assert found.texts == ["", "fine"]
    assert found.errors[0].startswith("it is ")


def test_a_table_keeps_every_cell_as_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'n;body\n1;none\n2;3,5\n3;"a ""b""\nc"\n4;\n5;?\n')
    for column in ("body", None):
        found = read_texts(path, column=column)
        assert found.texts == ["none", "3,5", 'a "b"\nc', "", "?"]
        assert found.column == "body"
    assert read_texts(path, column="n").texts == ["1", "2", "3", "4", "5"]


def test_a_broken_row_of_a_table_is_an_error_of_its_own(tmp_path: Path) -> None:
    found = read_texts(
        write(tmp_path / "t.csv", "id,body\n1,one\n2,two,three\n3,last\n"), column="body", id_column="id"
    )
    assert found.texts == ["one", "", "last"]
    assert "3 cells" in found.errors[1]


@pytest.mark.parametrize("make", [pd.Series, pl.Series, lambda values: np.array(values, dtype=object)])
def test_a_column_in_memory_is_read(make: Any) -> None:
    found = read_texts(make(["one", None, "three"]))
    assert found.texts == ["one", "", "three"]
    assert found.names == ["row 1", "row 2", "row 3"]
    assert found.errors == {1: "it is missing"}


def test_a_column_in_memory_has_the_names_of_pandas_and_bytes_that_are_no_utf_8_are_kept_for_the_error() -> None:
    assert read_texts(pd.Series(["one", "two"], index=["a", "b"])).names == ["a", "b"]
    assert read_texts(pd.Series(["one", b"caf\xe9"])).texts == ["one", "caf\udce9"]


def test_a_frame_is_read() -> None:
    found = read_texts(
        pd.DataFrame({"body": ["one", "two"], "n": [1, 2], "id": ["a", "b"]}), column="body", id_column="id"
    )
    assert (found.texts, found.names) == (["one", "two"], ["a", "b"])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, r"say which column holds the messages, .*'a', 'b'"),
        ({"column": "c"}, "there is none of the columns 'c'; there is 'a', 'b', 'n'"),
        ({"column": "a", "id_column": "c"}, "there is no column 'c'"),
    ],
)
def test_a_column_that_cannot_be_chosen_is_asked_for(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why):
        read_texts(write(tmp_path / "t.csv", "a,b,n\nx,y,1\nz,w,2\n"), **options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, r"say which column holds the messages, .*'a', 'b'"),
        ({"column": "c"}, "no record has 'c'; there is 'a', 'b', 'n'"),
        ({"column": "a", "id_column": "c"}, "no record has 'c'"),
    ],
)
def test_a_member_that_cannot_be_chosen_is_asked_for(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why):
        read_texts(write_jsonl(tmp_path / "t.jsonl", {"a": "x", "b": "y", "n": 1}), **options)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'body' cannot both hold the messages and name them"):
        read_texts(pd.DataFrame({"body": ["a"]}), column="body", id_column="body")
    plain = write(tmp_path / "m.txt", "one\n")
    with pytest.raises(InputError, match=r"files of one kind, got '.jsonl', '.txt'"):
        read_texts([plain, write_jsonl(tmp_path / "m.jsonl", "x")])
    with pytest.raises(InputError, match=r"files of one kind, got '.png'"):
        read_texts(write(tmp_path / "m.png", "one\n"))
    with pytest.raises(InputError, match="holds no message; a text file given by itself holds one a line"):
        read_texts(write(tmp_path / "empty.txt", "\n\n"))
    with pytest.raises(InputError, match="holds no record"):
        read_texts(write(tmp_path / "empty.jsonl", ""))
    with pytest.raises(InputError, match="no column holds text, only 'n'"):
        read_texts(write(tmp_path / "n.csv", "n\n1\n2\n"))


@pytest.mark.parametrize("suffix", ["txt", "jsonl", "csv"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"lines.{suffix}")
    with pytest.raises(InputError, match="it is a pipe and no regular file"):
        read_texts(str(tmp_path / f"lines.{suffix}"))


def test_a_record_that_is_no_json_in_an_odd_way_is_an_error_of_its_row(tmp_path):
    odd = [
        "[" * 99_999,
        "9" * 9_999,
        '{"body": ' * 99_999,
        "\0",
        '{"body": NaN}',
        '{"body": "\\ud800"}',
        '{"body": [1]}',
    ]
    (tmp_path / "lines.jsonl").write_text("\n".join([*odd, '{"body": "fine"}']))
    read = read_texts(str(tmp_path / "lines.jsonl"), column="body")
    assert len(read.names) == 8
    assert {0, 1, 2, 3, 6} <= read.errors.keys()
    assert read.texts[7] == "fine"

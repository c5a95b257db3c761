from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from dn2 import bounds
from dn2.errors import InputError
from dn2.store import reading
from dn2.store.reading import read_rows
from dn2.store.results import Results
from dn2.store.rows import Member, Neighbor, Row

ROWS = [
    Row("a, \"b\"\n'c'", 1.25, 1 / 3, False, (Neighbor("x;1", 0.5), Neighbor("ü", 1.5))),
    Row("broken", error='not "read"'),
    Row("odd", 2e-9, 0.01, True, (Neighbor("x", 0.0),)),
]
GROUPS = [
    Row("lot", 1.0, 0.5, False, (Neighbor("g", 1.0),), members=(Member("m", 0.75), Member("n", error="empty"))),
    Row("empty", error="a group without pictures", members=()),
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("rows", [ROWS, GROUPS])
def test_reading_gives_back_what_was_written(tmp_path: Path, ending: str, rows: list[Row]) -> None:
    path = tmp_path / f"results.{ending}"
    Results(rows, 0.05, 99).save(path)
    assert read_rows(path) == rows


def test_what_a_spreadsheet_saved_again_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("item,anomaly_score,p_value,is_anomaly,neighbors,error\na,1,0.5,FALSE,,\n", encoding="utf-8-sig")
    assert read_rows(path) == [Row("a", 1.0, 0.5, False)]


def test_evidence_longer_than_a_field_of_csv_usually_is_can_be_read(tmp_path: Path) -> None:
    rows = [Row("a", 1.0, 0.5, False, tuple(Neighbor(f"{n:0100d}", float(n)) for n in range(2_000)))]
    Results(rows, 0.05, 99).to_csv(tmp_path / "results.csv")
    assert read_rows(tmp_path / "results.csv") == rows


HEAD = "item,anomaly_score,p_value,is_anomaly,neighbors,error\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows"),
        (HEAD, "holds no rows"),
        ("item,score\na,1\n", "row 1: a results file has the columns item, .*; anomaly_score, p_value, .* is missing"),
        (HEAD + "a,1,0.5,false,[],\nb,nan,0.5,false,[],\n", r"row 2: not as dn2 writes it \(no finite number"),
        (HEAD + "a,one,0.5,false,[],\n", r"row 1: not as dn2 writes it \(could not convert"),
        (HEAD + "a,1,0.5,perhaps,[],\n", "is_anomaly must be true, false or empty, got 'perhaps'"),
        (HEAD + "a,1,0.5,false,[,\n", "row 1: not as dn2 writes it"),
        (HEAD + "a,1\n", "either an error, or all of"),
        (HEAD + "a,,,,,\n", "either an error, or all of"),
        (HEAD + "a,1,0.5,false,[],broken\n", "either an error, or all of"),
        (HEAD + "a,-1,0.5,false,[],\n", "a score of -1 with a p-value of 0.5"),
        (HEAD + "a,1,0,false,[],\n", "a score of 1 with a p-value of 0"),
        (HEAD + "a,1,7,false,[],\n", "a score of 1 with a p-value of 7"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": NaN}]",\n', "no finite number"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": null}]",\n', "a neighbor without a distance"),
        (HEAD + 'a,1,0.5,false,"[{""item"": 3, ""distance"": 1}]",\n', "a name that is no text: 3"),
        (HEAD + "a,1,0.5,false,[1],\n", "row 1: not as dn2 writes it"),
        (HEAD + 'a,1,0.5,false,[],"open\n', "row 1: unexpected end of data"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": -1}]",\n', "a neighbor at a distance of -1"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": 1e999}]",\n', "no finite number"),
        (HEAD + f'a,1,0.5,false,"[{{""item"": ""x"", ""distance"": {"9" * 999}}}]",\n', "row 1: not as dn2 writes it"),
        (
            HEAD + f'a,1,0.5,false,"[{{""item"": ""x"", ""distance"": {"9" * 9_999}}}]",\n',
            "row 1: not as dn2 writes it",
        ),
        (HEAD + f"a,1,0.5,false,{'[' * 99_999},\n", "row 1: not as dn2 writes it"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""\\ud800"", ""distance"": 1}]",\n', "surrogates not allowed"),
        (HEAD + "a,1e999,0.5,false,[],\n", "no finite number"),
        (
            HEAD.strip()
            + ',columns\na,1,0.5,false,[],,"[{""column"": ""c"", ""share"": 1, ""value"": NaN, ""neighbors"": []}]"',
            "no",
        ),
        (HEAD.strip() + ',members\na,1,0.5,false,[],,"[{""item"": ""m"", ""share"": 1, ""error"": [3]}]"', "no text"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_by_its_row(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_rows(path)


@pytest.mark.parametrize(
    "text", ["[]\n", "3\n", "{\n", json.dumps({"item": "a"}) + "\n", "[" * 99_999, "9" * 9_999, '{"a":' * 99_999, "\0"]
)
def test_json_lines_that_hold_something_else_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"results\.jsonl"):
        read_rows(tmp_path / "results.jsonl")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    for ending, words in (("csv", "row 1: .*codec"), ("jsonl", "row 1: .*codec"), ("parquet", "is no Parquet file")):
        path = tmp_path / f"results.{ending}"
        path.write_bytes(b"\xff\xfe\x00rubbish")
        with pytest.raises(InputError, match=words):
            read_rows(path)


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"results\.csv cannot be read: No such file"):
        read_rows(tmp_path / "results.csv")
    with pytest.raises(InputError, match="must end in"):
        read_rows(tmp_path / "results.txt")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"results.{ending}")
    with pytest.raises(InputError, match="it is a pipe and no regular file"):
        read_rows(tmp_path / f"results.{ending}")


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_FIELD", 1_000)
    for ending, start in (("csv", HEAD), ("jsonl", "")):
        (tmp_path / f"results.{ending}").write_text(start + "x" * 5_000)
        with pytest.raises(InputError, match="row 1: a line has at most 1,000 characters"):
            read_rows(tmp_path / f"results.{ending}")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_that_take_more_memory_than_is_free_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    Results([Row(f"{number:0500d}", 1.0, 0.5, False) for number in range(1_000)], 0.05, 99).save(
        tmp_path / f"results.{ending}"
    )
    monkeypatch.setattr(bounds, "free_memory", lambda: 400_000.0)
    with pytest.raises(InputError, match=r"from row 1,000 on, takes about 0\.000.* GB of memory"):
        read_rows(tmp_path / f"results.{ending}")


def test_a_name_that_a_spreadsheet_takes_for_a_formula_stays_as_it_is(tmp_path: Path) -> None:
    rows = [Row(name, 1.0, 0.5, False) for name in ("=1+1", "+1", "-1", "@a", "\tx", "\rx", "'=1", '"=1"')]
    for ending in ("csv", "jsonl", "parquet"):
        Results(rows, 0.05, 99).save(tmp_path / f"results.{ending}")
        assert read_rows(tmp_path / f"results.{ending}") == rows


def test_the_limit_of_fields_stays_what_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    Results(ROWS, 0.05, 99).to_csv(tmp_path / "results.csv")
    read_rows(tmp_path / "results.csv")
    assert csv.field_size_limit() == before

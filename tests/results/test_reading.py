"""Results files back to rows: all of what was written, and nothing else."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.errors import InputError
from dn2.kinds.image.evidence import GroupEvidence, Member
from dn2.kinds.registry import KINDS, kind_of
from dn2.kinds.series.evidence import Curve, IntervalEvidence
from dn2.kinds.table.evidence import Contribution, RowEvidence
from dn2.kinds.text.evidence import MessageEvidence, Wording
from dn2.results import files as reading
from dn2.results.files import read_rows
from dn2.results.results import Results
from dn2.results.rows import Evidence, Neighbor, Row
from dn2.system import bounds

ROWS = [
    Row("a, \"b\"\n'c'", 1.25, 1 / 3, False, (Neighbor("x;1", 0.5), Neighbor("ü", 1.5))),
    Row("broken", error='not "read"'),
    Row("odd", 2e-9, 0.01, True, (Neighbor("x", 0.0),)),
]
NEAR = (Neighbor("g", 1.0), Neighbor("h", 1.5))
STRANGE = '=1+1, "x"\r\n\u2028é😀'


def row(evidence: Evidence) -> Row:
    return Row("one", 1.0, 0.5, False, NEAR, evidence=evidence)


def lost(evidence: Evidence | None) -> Row:
    return Row("lost", error="empty", evidence=evidence)


KINDS_OF_ROWS: dict[str, tuple[type[Evidence] | None, list[Row]]] = {
    "plain": (None, ROWS),
    "groups": (
        GroupEvidence,
        [
            row(GroupEvidence((Member("m", 1.75), Member(STRANGE, -0.75), Member("n", error=STRANGE)))),
            row(GroupEvidence((Member("m", 1.0),))),
            lost(GroupEvidence(())),
            lost(GroupEvidence((Member("n", error="empty"),))),
        ],
    ),
    "rows": (
        RowEvidence,
        [
            row(
                RowEvidence(
                    (
                        Contribution(STRANGE, 0.75, 1.5, (2, None)),
                        Contribution("b", 0.25, STRANGE, ("", True)),
                        Contribution("c", 1e-12, None, (1e300, -1)),
                    )
                )
            ),
            row(RowEvidence(())),
            lost(RowEvidence(())),
        ],
    ),
    "messages": (
        MessageEvidence,
        [
            row(MessageEvidence(Wording(STRANGE, (STRANGE, "new"), ("", "near")))),
            row(MessageEvidence(Wording("", (), ()))),
            lost(MessageEvidence(None)),
        ],
    ),
    "intervals": (
        IntervalEvidence,
        [
            row(IntervalEvidence("0", "9.5", (Curve(STRANGE, 1.0, (1.0, -2.5), ((0.0, 1e-9), (3.0, 4.0))),))),
            row(IntervalEvidence("2026-01-01T00:00:00", "2026-01-02T00:00:00", None)),
            lost(IntervalEvidence(None, None, None)),
        ],
    ),
}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", KINDS_OF_ROWS)
def test_reading_gives_back_what_was_written(tmp_path: Path, ending: str, kind: str) -> None:
    evidence, rows = KINDS_OF_ROWS[kind]
    path = tmp_path / f"results.{ending}"
    Results(rows, 0.05, 99).save(path)
    assert read_rows(path, evidence) == rows


def test_every_evidence_of_a_kind_is_among_them() -> None:
    assert {kind_of(kind).evidence for kind in KINDS} == {evidence for evidence, _ in KINDS_OF_ROWS.values()}


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ANY_EVIDENCE = st.one_of(
    st.builds(GroupEvidence, st.tuples(st.builds(Member, TEXTS, FINITE | st.none(), TEXTS | st.none()))),
    st.builds(
        RowEvidence,
        st.tuples(
            st.builds(
                Contribution, TEXTS, FINITE, st.none() | TEXTS | FINITE | st.integers(), st.tuples(TEXTS | FINITE)
            )
        ),
    ),
    st.builds(MessageEvidence, st.builds(Wording, TEXTS, st.tuples(TEXTS), st.tuples(TEXTS, TEXTS))),
    st.builds(
        IntervalEvidence,
        TEXTS.filter(bool),
        TEXTS.filter(bool),
        st.tuples(st.builds(Curve, TEXTS, FINITE, st.tuples(FINITE, FINITE), st.tuples(st.tuples(FINITE)))),
    ),
)


@given(ANY_EVIDENCE)
def test_any_evidence_comes_back_from_its_record_as_values_and_as_json(evidence: Evidence) -> None:
    record = evidence.as_record()
    assert set(record) == set(evidence.file_columns)
    as_json = {name: json.dumps(value) if isinstance(value, (list, dict)) else value for name, value in record.items()}
    for one in (json.loads(json.dumps(record)), as_json):
        assert type(evidence).from_record(one) == evidence


def test_what_a_spreadsheet_saved_again_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("item,anomaly_score,p_value,is_anomaly,neighbors,error\na,1,0.5,FALSE,,\n", encoding="utf-8-sig")
    assert read_rows(path, None) == [Row("a", 1.0, 0.5, False)]


def test_evidence_longer_than_a_field_of_csv_usually_is_can_be_read(tmp_path: Path) -> None:
    rows = [Row("a", 1.0, 0.5, False, tuple(Neighbor(f"{n:0100d}", float(n)) for n in range(2_000)))]
    Results(rows, 0.05, 99).to_csv(tmp_path / "results.csv")
    assert read_rows(tmp_path / "results.csv", None) == rows


HEAD = "item,anomaly_score,p_value,is_anomaly,neighbors,error\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows"),
        (HEAD, "holds no rows"),
        ("item,score\na,1\n", "row 1: a results file has the columns item, .*; anomaly_score, p_value, .* is missing"),
        (
            HEAD + "a,1,0.5,false,[],\nb,nan,0.5,false,[],\n",
            r"row 2: not as dn2 writes it \(a number must be finite, got",
        ),
        (HEAD + "a,one,0.5,false,[],\n", r"row 1: not as dn2 writes it \(could not convert"),
        (HEAD + "a,1,0.5,perhaps,[],\n", "is_anomaly must be true, false or empty, got 'perhaps'"),
        (HEAD + "a,1,0.5,false,[,\n", "row 1: not as dn2 writes it"),
        (HEAD + "a,1\n", "either an error, or all of"),
        (HEAD + "a,,,,,\n", "either an error, or all of"),
        (HEAD + "a,1,0.5,false,[],broken\n", "either an error, or all of"),
        (HEAD + "a,-1,0.5,false,[],\n", "a score of -1 with a p-value of 0.5"),
        (HEAD + "a,1,0,false,[],\n", "a score of 1 with a p-value of 0"),
        (HEAD + "a,1,7,false,[],\n", "a score of 1 with a p-value of 7"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": NaN}]",\n', "a number must be finite, got"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": null}]",\n', "a number is missing, got None"),
        (HEAD + 'a,1,0.5,false,"[{""item"": 3, ""distance"": 1}]",\n', "a name must be a text, got 3"),
        (HEAD + "a,1,0.5,false,[1],\n", "row 1: not as dn2 writes it"),
        (HEAD + 'a,1,0.5,false,[],"open\n', "row 1: unexpected end of data"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": -1}]",\n', "a neighbor at a distance of -1"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": 1e999}]",\n', "a number must be finite, got"),
        (HEAD + f'a,1,0.5,false,"[{{""item"": ""x"", ""distance"": {"9" * 999}}}]",\n', "row 1: not as dn2 writes it"),
        (
            HEAD + f'a,1,0.5,false,"[{{""item"": ""x"", ""distance"": {"9" * 9_999}}}]",\n',
            "row 1: not as dn2 writes it",
        ),
        (HEAD + f"a,1,0.5,false,{'[' * 99_999},\n", "row 1: not as dn2 writes it"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""\\ud800"", ""distance"": 1}]",\n', "surrogates not allowed"),
        (HEAD + "a,1e999,0.5,false,[],\n", "a number must be finite, got"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": ""1""}]",\n', "a number is missing, got '1'"),
        (HEAD + 'a,1,0.5,false,"[{""item"": ""x"", ""distance"": true}]",\n', "a number is missing, got True"),
        (HEAD + 'a,1,0.5,false,"{""item"": ""x""}",\n', "a list is missing, got {'item': 'x'}"),
        (HEAD + 'a,1,0.5,false,"""x""",\n', "a list is missing, got 'x'"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_by_its_row(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_rows(path, None)


MEMBER = {"item": "m", "share": 1.0, "error": None}
COLUMN = {"column": "c", "share": 1.0, "value": 1, "neighbors": [1, None]}
WORDING = {"value": "v", "new_words": ["v"], "neighbors": ["n"]}
CURVE = {"column": "c", "share": 1.0, "value": [1.0, 2.0], "neighbors": [[1.0, 2.0]]}
FOREIGN: list[tuple[type[Evidence], dict[str, Any], str]] = [
    (GroupEvidence, {"members": {"item": "m"}}, "a list is missing, got {'item': 'm'}"),
    (GroupEvidence, {"members": '"m"'}, "a list is missing, got 'm'"),
    (GroupEvidence, {"members": 0}, "a list is missing, got 0"),
    (GroupEvidence, {"members": [[]]}, "mapping"),
    (GroupEvidence, {"members": [{"item": "m"}]}, "missing"),
    (GroupEvidence, {"members": [MEMBER | {"more": 1}]}, "unexpected"),
    (GroupEvidence, {"members": [MEMBER | {"item": None}]}, "a name must be a text, got None"),
    (GroupEvidence, {"members": [MEMBER | {"item": "\ud800"}]}, "surrogates not allowed"),
    (GroupEvidence, {"members": [MEMBER | {"share": "1"}]}, "a number is missing, got '1'"),
    (GroupEvidence, {"members": [MEMBER | {"share": float("inf")}]}, "a number must be finite, got inf"),
    (GroupEvidence, {"members": [MEMBER | {"error": [3]}]}, "a name must be a text, got "),
    (RowEvidence, {"columns": "[1"}, "Expecting"),
    (RowEvidence, {"columns": [COLUMN | {"column": 1}]}, "a name must be a text, got 1"),
    (RowEvidence, {"columns": [COLUMN | {"share": None}]}, "a number is missing, got None"),
    (RowEvidence, {"columns": [COLUMN | {"share": True}]}, "a number is missing, got True"),
    (RowEvidence, {"columns": [COLUMN | {"value": float("nan")}]}, "a number must be finite, got nan"),
    (RowEvidence, {"columns": [COLUMN | {"value": [1]}]}, "a value must be a number or a text, got "),
    (RowEvidence, {"columns": [COLUMN | {"neighbors": "ab"}]}, "a list is missing, got 'ab'"),
    (MessageEvidence, {"text": "[]"}, "mapping"),
    (MessageEvidence, {"text": 0}, "mapping"),
    (MessageEvidence, {"text": {}}, "missing"),
    (MessageEvidence, {"text": WORDING | {"value": 1}}, "a name must be a text, got 1"),
    (MessageEvidence, {"text": WORDING | {"new_words": "ab"}}, "a list is missing, got 'ab'"),
    (MessageEvidence, {"text": WORDING | {"neighbors": [1]}}, "a name must be a text, got 1"),
    (IntervalEvidence, {"start": 1, "end": "2"}, "a name must be a text, got 1"),
    (IntervalEvidence, {"start": "1", "end": "2", "curves": {}}, "a list is missing, got {}"),
    (IntervalEvidence, {"start": "1", "end": "2", "curves": [CURVE | {"value": "12"}]}, "a list is missing, got '12'"),
    (IntervalEvidence, {"start": "1", "end": "2", "curves": [CURVE | {"neighbors": ["12"]}]}, "a list is missing"),
    (IntervalEvidence, {"start": "1", "end": "2", "curves": [CURVE | {"value": [None]}]}, "a number is missing"),
]


@pytest.mark.parametrize(("evidence", "more", "words"), FOREIGN)
def test_evidence_that_is_something_else_is_refused_by_its_row(
    tmp_path: Path, evidence: type[Evidence], more: dict[str, Any], words: str
) -> None:
    good = row(evidence.from_record(dict.fromkeys(evidence.file_columns))).as_dict()
    lines = [good, {**good, **more}]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(InputError, match=f"row 2: not as dn2 writes it .*{re.escape(words)}"):
        read_rows(path, evidence)


@pytest.mark.parametrize(
    "text", ["[]\n", "3\n", "{\n", json.dumps({"item": "a"}) + "\n", "[" * 99_999, "9" * 9_999, '{"a":' * 99_999, "\0"]
)
def test_json_lines_that_hold_something_else_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.jsonl").write_text(text)
    with pytest.raises(InputError, match=r"results\.jsonl"):
        read_rows(tmp_path / "results.jsonl", None)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    for ending, words in (("csv", "row 1: .*codec"), ("jsonl", "row 1: .*codec"), ("parquet", "is no Parquet file")):
        path = tmp_path / f"results.{ending}"
        path.write_bytes(b"\xff\xfe\x00rubbish")
        with pytest.raises(InputError, match=words):
            read_rows(path, None)


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"results\.csv cannot be read: No such file"):
        read_rows(tmp_path / "results.csv", None)
    with pytest.raises(InputError, match="must end in"):
        read_rows(tmp_path / "results.txt", None)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"results.{ending}")
    with pytest.raises(InputError, match="it is a pipe and no regular file"):
        read_rows(tmp_path / f"results.{ending}", None)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_FIELD", 1_000)
    for ending, start in (("csv", HEAD), ("jsonl", "")):
        (tmp_path / f"results.{ending}").write_text(start + "x" * 5_000)
        with pytest.raises(InputError, match="row 1: a line has at most 1,000 characters"):
            read_rows(tmp_path / f"results.{ending}", None)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_that_take_more_memory_than_is_free_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    Results([Row(f"{number:0500d}", 1.0, 0.5, False) for number in range(1_000)], 0.05, 99).save(
        tmp_path / f"results.{ending}"
    )
    monkeypatch.setattr(bounds, "free_memory", lambda: 400_000.0)
    with pytest.raises(InputError, match=r"from row 1,000 on, takes about 0\.000.* GB of memory"):
        read_rows(tmp_path / f"results.{ending}", None)


def test_a_name_that_a_spreadsheet_takes_for_a_formula_stays_as_it_is(tmp_path: Path) -> None:
    rows = [Row(name, 1.0, 0.5, False) for name in ("=1+1", "+1", "-1", "@a", "\tx", "\rx", "'=1", '"=1"')]
    for ending in ("csv", "jsonl", "parquet"):
        Results(rows, 0.05, 99).save(tmp_path / f"results.{ending}")
        assert read_rows(tmp_path / f"results.{ending}", None) == rows


def test_the_limit_of_fields_stays_what_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    Results(ROWS, 0.05, 99).to_csv(tmp_path / "results.csv")
    read_rows(tmp_path / "results.csv", None)
    assert csv.field_size_limit() == before

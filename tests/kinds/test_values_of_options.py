"""Values that options and inputs from memory have in real programs: numbers of numpy, nothing, and what is neither."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.errors import InputError, ReferenceTooSmall

ROWS = np.random.default_rng(0).normal(size=(120, 4))


@pytest.mark.parametrize(
    "options",
    [
        {"neighbors": np.int64(3)},
        {"false_alarm_rate": np.float32(0.05)},
        {"memory": np.int64(4_000_000_000)},
        {"memory": "4000000000"},
        {"whiten": np.bool_(True)},
    ],
    ids=str,
)
def test_numbers_of_numpy_are_values_with_and_without_a_kind(options: dict[str, Any]) -> None:
    for kind in (None, "vector"):
        assert len(dn2.fit(ROWS, kind=kind, **options).items) == len(ROWS)


@pytest.mark.parametrize("nothing", [None, (), []])
def test_an_option_without_a_value_does_not_tell_the_kind(nothing: Any) -> None:
    frame = pd.DataFrame(ROWS, columns=list("abcd"))
    assert dn2.fit(frame, values=nothing).kind.name == "table"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"contaminated": 1.0}, "contaminated must be True or False"),
        ({"contaminated": np.array([1, 2])}, "contaminated must be True or False"),
        ({"memory": 4.5e9}, "memory must be a text or an integer, got 4500000000.0"),
        ({"recall": 0.999, "index": "exact"}, "recall is for a search that may miss some"),
    ],
)
def test_a_value_that_an_option_cannot_have_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        dn2.fit(ROWS, **options)


@pytest.mark.parametrize("nothing", [None, 5])
def test_what_is_no_input_is_refused_in_words(nothing: Any) -> None:
    with pytest.raises(InputError, match=f"inputs are named by paths, or come from memory, got {nothing}"):
        dn2.fit(nothing)


def test_a_dict_of_more_columns_than_rows_is_said_to_be_read_as_a_table(caplog: pytest.LogCaptureFixture) -> None:
    by_name = {f"part {number}": row for number, row in enumerate(ROWS)}
    assert dn2.fit(by_name).kind.name == "table"
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "the dict is read as a table of 120 columns and 4 rows; if it holds 120 vectors by name, say kind='vector'"
    ]
    assert dn2.fit(by_name, kind="vector").items[7].name == "part 7"
    caplog.clear()
    for columns, options in ((by_name, {"kind": "table"}), ({"a": ROWS[:, 0], "b": ROWS[:, 1]}, {})):
        dn2.fit(columns, **options)
    assert "is read as a table" not in caplog.text


def test_a_number_beyond_floats_is_an_error_of_its_row() -> None:
    model = dn2.fit([[10**400, 1.0], *ROWS[:, :2].tolist()])
    assert [(row.item, row.error) for row in model.unreadable] == [("row 1", "a number is too large")]


def test_an_unattainable_rate_of_series_against_themselves_is_refused_before_the_work() -> None:
    calls: list[Any] = []
    for rate, error in ((5, InputError), (0.001, ReferenceTooSmall)):
        with pytest.raises(error):
            dn2.score_self(
                np.zeros(20_000), window=50, false_alarm_rate=rate, progress=lambda *done: calls.append(done)
            )
    assert calls == []
    with pytest.raises(ReferenceTooSmall):
        dn2.score_self(np.zeros(5), window=2, false_alarm_rate=0.001)


def test_deciding_anew_and_at_once_say_the_same_way_out() -> None:
    model = dn2.fit(ROWS, whiten=True)
    said = []
    for decide in (
        lambda: model.score(ROWS[:2], false_alarm_rate=0.001),
        lambda: model.score(ROWS[:2]).at(0.001),
    ):
        with pytest.raises(ReferenceTooSmall) as refused:
            decide()
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_what_has_not_been_scored_can_be_shown_and_compared() -> None:
    assert repr(dn2.Row("a")) == "<Row 'a': not scored>"
    assert dn2.fit(ROWS).calibration != dn2.fit(ROWS).calibration


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("a.xlsx", r"give the frame pandas\.read_excel\('.*a\.xlsx'\)"),
        ("a.sqlite", "save its table as CSV or Parquet"),
        ("a.csv.zip", "unpack it first"),
    ],
)
@pytest.mark.parametrize("kind", [None, "table"])
def test_files_that_no_kind_reads_are_refused_with_the_way_out(
    name: str, way_out: str, kind: str | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=way_out):
        dn2.fit(tmp_path / name, kind=kind)


def test_files_of_another_kind_are_refused_and_not_scored_as_nothing(tmp_path: Path) -> None:
    model = dn2.fit(ROWS)
    (tmp_path / "new.csv").write_text("a\n1\n")
    for inputs in (tmp_path / "new.csv", [str(tmp_path / "new.csv")]):
        with pytest.raises(InputError, match=r"new\.csv holds no vectors: it is of the kind table"):
            model.score(inputs)


@pytest.mark.parametrize("ending", [".log", ".ndjson", ".log.gz", ".jsonl.gz"])
def test_logs_and_records_by_other_endings_are_messages(ending: str, tmp_path: Path) -> None:
    lines = [f"pump {number % 7} reports {number % 5} bar" for number in range(60)]
    written = "\n".join(lines if "log" in ending else [f'{{"text": "{line}"}}' for line in lines]).encode()
    (tmp_path / f"a{ending}").write_bytes(gzip.compress(written) if ending.endswith(".gz") else written)
    model = dn2.fit(tmp_path / f"a{ending}", backbone="characters")
    assert (model.kind.name, len(model.items)) == ("text", 60)

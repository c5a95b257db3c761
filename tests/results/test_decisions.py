"""Accept, warn, reject: two rates, and what is decided by them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dn2 import InputError, ReferenceTooSmall, Results, Row
from dn2.results.decisions import check_warn_rate
from dn2.results.files import read_rows

CONTRACT = ["item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error"]


@pytest.fixture
def results() -> Results:
    """Four rows with 99 calibrating items, not decided yet."""
    p_values = {"usual": 0.5, "odd": 0.05, "broken": None, "strange": 0.01}
    rows = [Row(name, p and 1 / p, p, error=None if p else "empty") for name, p in p_values.items()]
    return Results(rows, None, 99)


def decisions(results: Results) -> list[str | None]:
    return [row.decision for row in results]


def test_what_the_laxer_rate_flags_beyond_the_rate_is_a_warning(results: Results) -> None:
    decided = results.at(0.01, warn_rate=0.05)
    assert decisions(decided) == ["accept", "warn", None, "reject"]
    assert [row.is_anomaly for row in decided] == [row.is_anomaly for row in results.at(0.01)]
    assert [row.item for row in decided.warnings] == ["odd"]
    assert repr(decided) == "<Results: 3 items, 1 anomalous at 1 in 100, 1 warning at 1 in 20; 1 not read>"
    said = "3 items, 1 anomalous at 1 false alarm in 100, 1 warning at 1 in 20; 1 could not be read"
    assert decided.summary() == said
    assert repr(decided[1]) == "<Row 'odd': anomaly score 20, p-value 0.05, warn>"
    assert decisions(decided[1:]) == ["warn", None, "reject"]
    anew = decided.at(0.05)
    assert decisions(anew) == [None] * 4
    assert anew == results.at(0.05)


@given(st.integers(1, 300), st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.data())
def test_decisions_follow_from_the_p_value_and_both_rates(m: int, rate: float, warn_rate: float, data: Any) -> None:
    ranks = data.draw(st.lists(st.integers(1, m + 1), min_size=1))
    rows = [Row(str(n), 1.0, rank / (m + 1)) for n, rank in enumerate(ranks)]
    assume(1 / (m + 1) <= rate)
    between = [rank for rank in range(1, m + 1) if rate < rank / (m + 1) <= warn_rate]
    if rate < warn_rate and between:
        found = decisions(Results(rows, None, m).at(rate, warn_rate=warn_rate))
        named = {True: "reject", False: {True: "warn", False: "accept"}}
        assert found == [
            "reject" if row.p_value <= rate else named[False][row.p_value <= warn_rate]  # type: ignore[index, operator]
            for row in rows
        ]
    else:
        with pytest.raises(InputError, match="warn_rate"):
            Results(rows, None, m).at(rate, warn_rate=warn_rate)


@pytest.mark.parametrize("warn_rate", [0.01, 0.005, 0.0, -1, 1, 7, math.nan, math.inf, "0.05", True])
def test_a_rate_to_warn_at_that_is_not_laxer_is_refused(warn_rate: Any, results: Results) -> None:
    with pytest.raises(InputError, match=r"warn_rate must lie between the rate to reject at, 0\.01, and 1, got "):
        results.at(0.01, warn_rate=warn_rate)


def test_a_rate_to_warn_at_that_would_never_warn_is_refused_with_one_that_does() -> None:
    with pytest.raises(InputError, match=r"in steps of 1 / 300; ask for 0\.0134$"):
        check_warn_rate(0.0132, 0.01, 299)
    check_warn_rate(0.0134, 0.01, 299)


def test_the_rate_itself_must_be_attainable(results: Results) -> None:
    with pytest.raises(ReferenceTooSmall):
        results.at(0.001, warn_rate=0.05)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_decision_is_the_last_column_of_a_file_and_comes_back(
    results: Results, ending: str, tmp_path: Path
) -> None:
    decided, path = results.at(0.01, warn_rate=0.05), tmp_path / f"r.{ending}"
    decided.save(path)
    frame = pandas.read_json(path, lines=True) if ending == "jsonl" else getattr(pandas, f"read_{ending}")(path)
    assert list(frame.columns) == list(decided.columns) == [*CONTRACT, "decision"]
    assert frame["decision"].fillna("").tolist() == ["accept", "warn", "", "reject"]
    assert list(decided.to_pandas().columns) == [*CONTRACT, "decision"]
    assert read_rows(path) == decided.rows


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (
            "a,1,0.5,false,,,reject\n",
            "decision must be accept, warn, reject or empty, and reject where is_anomaly is true",
        ),
        ("a,1,0.01,true,,,warn\n", "decision must be"),
        ("a,1,0.5,false,,,perhaps\n", "decision must be .* got 'perhaps'"),
        ("a,,,,,empty,accept\n", "decision must be"),
        ("a,1,0.5,false,,,accept\nb,1,0.5,false,,,\n", "decision must be given of all items that could be read"),
    ],
)
def test_a_file_whose_decisions_do_not_go_together_is_refused(cells: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(",".join([*CONTRACT, "decision"]) + f"\n{cells}")
    with pytest.raises(InputError, match=why):
        read_rows(tmp_path / "r.csv")

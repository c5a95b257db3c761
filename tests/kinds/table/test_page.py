"""What makes rows of a table strange, on a page."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from dn2.kinds.table.evidence import Contribution
from dn2.kinds.table.page import LONGEST_VALUE
from dn2.report import shortening
from dn2.results.rows import Row
from small_report import explained, written_table

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u2028\u202e&lt;"


def test_the_columns_that_make_rows_strange_are_named_once_and_point_to_their_rows(tmp_path: Path) -> None:
    rows = [
        explained(
            "a", 1, Contribution("seats", 0.75, 480, (7, 5)), Contribution("plan", 0.25, "basic", ("team", "team"))
        ),
        Row("lost", error="empty"),
        explained("copy", 0),
        explained("b", 2, Contribution("plan", 1.0, None, ("team", None))),
    ]
    assert written_table(tmp_path / "page.html", rows)["kind"] == {
        "name": ["plan", "seats"],
        "items": [2, 0],
        "starts": [0, 1, 3],
        "column": [0, 1, 0],
        "share": [1.0, 0.75, 0.25],
        "value": [None, 480, "basic"],
        "near": [["team", None], [7, 5], ["team", "team"]],
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1 + 0.2, 0.3),
        (1234567.891, 1234567.9),
        (5.0, 5),
        (True, True),
        (math.nan, None),
        (math.inf, "inf"),
        (2**60, "1152921504606846976"),
        ("2025-03-01T00:00:00", "2025-03-01"),
        ("2025-03-01T23:59:00", "2025-03-01 23:59:00"),
        (HOSTILE, HOSTILE),
        ("a" * LONGEST_VALUE, "a" * LONGEST_VALUE),
        ("a" * 60 + "b" * 60, "a" * 40 + " … " + "b" * 37),
    ],
)
def test_a_cell_of_a_table_is_shown_as(tmp_path: Path, value: object, shown: object) -> None:
    rows = [explained("a", 1, Contribution("x", 1.0, value, (value, 1)))]
    found = written_table(tmp_path / "page.html", rows)["kind"]
    assert found["value"] == [shown]
    assert found["near"] == [[shown, 1]]
    assert "<img" not in (tmp_path / "page.html").read_text("utf-8")
    assert [type(one) for one in found["value"]] == [type(shown)]


def test_long_names_of_columns_and_values_are_shortened_and_the_page_says_so(tmp_path: Path) -> None:
    rows = [explained("a", 1, Contribution("c" * 90, 1.0, "v" * 90, ("short", "n" * 90)))]
    (name,) = written_table(tmp_path / "page.html", rows)["kind"]["name"]
    assert len(name) == LONGEST_VALUE
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "Names of columns and values shortened to 80 characters: 3." in text


def test_the_most_anomalous_rows_are_explained_and_the_page_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortening, "MOST_EXPLAINED", 3)
    path = tmp_path / "page.html"
    data = written_table(path, [explained(str(n), n, Contribution("x", 1.0, n, (0, 0))) for n in range(5)])
    assert (data["kind"]["items"], data["kind"]["value"]) == ([4, 3, 2], [4, 3, 2])
    assert "shown for the 3 most anomalous rows; a results file has them for all." in path.read_text("utf-8")


def test_rows_to_audit_are_explained_whatever_they_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortening, "MOST_EXPLAINED", 2)
    rows = [explained(str(n), n, Contribution("x", 1.0, n, (0, 0))) for n in range(5)]
    rows[1] = replace(rows[1], audit=True)
    assert written_table(tmp_path / "page.html", rows)["kind"]["items"] == [1, 4]

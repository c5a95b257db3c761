"""When intervals are and what they look like, on a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dn2.kinds.series.evidence import Curve, IntervalEvidence
from dn2.kinds.series.page import LONGEST_DRAWN, Section
from dn2.report import shortening
from dn2.results.rows import Row
from small_report import row, written


def interval(name: str, start: str, score: float, *values: float) -> Row:
    curves = (
        (Curve("flow", 0.75, values, ((1.0, 2.0), (3.0, 4.0))), Curve("heat", 0.25, values, ())) if values else None
    )
    return row(f"{name}:{start}", score, 0.01, "near", evidence=IntervalEvidence(start, f"{start}9", curves))


def test_curves_of_the_most_anomalous_intervals_and_the_place_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortening, "MOST_EXPLAINED", 1)
    rows = [interval("one", "10", 2, 5.0, 6.0), interval("two", "20", 3, 7.0, 8.0), interval("one", "30", 9)]
    rows[2] = replace(rows[2], evidence=replace(rows[2].evidence, peak="305"))
    data = written(tmp_path / "page.html", [*rows, Row("lost", error="short")], section=Section)
    assert data["kind"] == {
        "items": [1],
        "curves": [[["flow", 0.75, [7.0, 8.0], [[1.0, 2.0], [3.0, 4.0]]], ["heat", 0.25, [7.0, 8.0], []]]],
        "around": [None],
        "series": ["one", "two"],
        "owner": [0, 1, 0],
        "start": ["10", "20", "30"],
        "end": ["109", "209", "309"],
        "peak": ["10", "20", "305"],
    }
    said = "The values of the 1 most anomalous intervals are drawn; a results file has those of all."
    assert said in (tmp_path / "page.html").read_text("utf-8")


def test_long_curves_are_thinned_out_evenly(tmp_path: Path) -> None:
    rows = [interval("one", "10", 2, *map(float, range(3 * LONGEST_DRAWN)))]
    (((_, _, value, _), _),) = written(tmp_path / "page.html", rows, section=Section)["kind"]["curves"]
    assert value == list(range(0, 3 * LONGEST_DRAWN, 3))


def test_a_page_without_an_interval_has_nothing_to_show(tmp_path: Path) -> None:
    assert written(tmp_path / "page.html", [row("a", 1, 0.5)], section=Section)["kind"] is None

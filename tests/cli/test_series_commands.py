"""The commands on series; run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dn2
from made_series import write_series


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of series, which is where the commands run."""
    write_series(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


FIT = ("fit", "pump.csv", "--time", "time", "--window", "60", "-o", "pump.dn2")


def test_series_are_fitted_scored_and_described(plant: Path, dn2_command) -> None:
    done = dn2_command(*FIT)
    assert done.status == 0
    assert "pump.dn2: 3,941 reference items, false-alarm rate 1 in " in done.err
    assert "Measured: with the first half of the windows as reference, " in done.err
    done = dn2_command("score", "pump.dn2", "new_pump.csv", "--points", "points.csv")
    assert "nearest windows (distance)" in done.out
    first = done.out.splitlines()[1]
    assert first.startswith("new_pump.csv:2024-04-01T")
    assert " to 2024-04-0" in first
    assert "pressure (" in first or "flow (" in first
    assert "written to points.csv" in done.err
    points = pd.read_csv("points.csv")
    assert len(points) == 1_600
    assert list(points) == ["series", "time", "anomaly_score", "p_value", "is_anomaly", "error"]
    done = dn2_command("inspect", "pump.dn2")
    assert "60 points, by time, 1 min apart" in done.out
    assert "pressure, flow" in done.out
    assert "blocks, " in done.out
    assert "The rate is the share of intervals of normal series that are flagged" in done.out


def test_a_series_is_scored_against_itself(plant: Path, dn2_command) -> None:
    done = dn2_command("score", "--self", "new_pump.csv", "--time", "time", "--window", "60", "--json")
    assert done.status == 0
    assert "scored against themselves: a rate flags that share of the intervals, whatever they are" in done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    assert sum(one["is_anomaly"] for one in found) == 1
    assert all(one["start"] <= one["end"] for one in found)
    expected = dn2.score_self("new_pump.csv", time="time", window=60)
    assert [one["anomaly_score"] for one in found] == [row.anomaly_score for row in expected]


def test_one_of_several_series_is_named(plant: Path, dn2_command) -> None:
    done = dn2_command(
        *(
            "score",
            "--self",
            "pumps.csv",
            "--time",
            "time",
            "--id-column",
            "pump",
            "--values",
            "flow",
            "--window",
            "60",
        ),
        *("-o", "r.csv", "--report", "r.html"),
    )
    assert done.status == 0
    assert set(pd.read_csv("r.csv")["item"].str.partition(":")[0]) == {"north", "south"}
    assert "compared with themselves" in Path("r.html").read_text()


def test_a_page_is_made_of_a_results_file_later(plant: Path, dn2_command) -> None:
    dn2_command(*FIT)
    dn2_command("score", "pump.dn2", "new_pump.csv", "-o", "r.csv", "--report", "now.html")
    done = dn2_command("report", "r.csv", "--model", "pump.dn2", "-o", "later.html")
    assert done.status == 0
    drawn = [
        Path(name).read_text().partition('"curves":')[2].partition('"around":')[0]  # which the results file lacks
        for name in ("now.html", "later.html")
    ]
    assert drawn[0] == drawn[1] != ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ("score", "pump.dn2"),
            "nothing to score: give INPUT after MODEL, dn2 score pump.dn2 INPUT; or --self, for series",
        ),
        (
            ("score", "pump.dn2", "new_pump.csv", "--time", "time"),
            "--time can be given with --self alone: a model knows what it was fitted with",
        ),
        (
            ("score", "--self", "new_pump.csv", "--fdr", "0.1"),
            "items scored against themselves are ranked by one rate; leave out --fdr, and ask for --false-alarm-rate",
        ),
        (("score", "--self", "new_pump.csv", "--warn-rate", "0.1"), "are ranked by one rate; leave out --warn-rate"),
        (("score", "--self", "new_pump.csv", "-o", "new_pump.csv"), "new_pump.csv is among the inputs"),
        (("score", "--self", "new_pump.csv", "-o", "a.csv", "--points", "./a.csv"), "would both be written to a.csv"),
        (("score", "pump.dn2", "new_pump.csv", "--time", ""), "--time can be given with --self alone"),
        (("score", "--self", "new_pump.csv", "--points", "p.txt"), "a file of points must end in .csv or .parquet"),
        (("score", "--self", "new_pump.csv", "--time", "when"), "there is no column 'when'; there is "),
        (
            ("fit", "pump.csv", "--time", "time", "--window", "9000", "-o", "m.dn2"),
            "a window of 9,000 points is longer",
        ),
        (
            ("fit", "pump.csv", "--kind", "table", "--window", "9", "-o", "m.dn2"),
            "--window belongs to the kind series, ",
        ),
        (("embed", "pump.csv", "--time", "t", "-o", "v.npz"), "No such option: --time"),
        (("fit", "pump.csv", "--time", "time", "--contaminated", "-o", "m.dn2"), "by dn2 score --self"),
        (("bench", "series", ".", "--backbone", "lite0"), "--backbone does not belong to series, but to one-class,"),
        (
            ("bench", "tabular", ".", "--reference", "4"),
            "--reference does not belong to tabular, but to series: leave it out",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(plant: Path, dn2_command, arguments, why: str) -> None:
    done = dn2_command(*arguments)
    assert (done.status, done.out) == (2, "")
    assert why in done.err
    assert done.err.count("\n") == 1


def test_points_of_what_is_no_series_are_refused(plant: Path, dn2_command) -> None:
    dn2_command("fit", "pump.csv", "--kind", "table", "-o", "table.dn2")
    done = dn2_command("score", "table.dn2", "new_pump.csv", "--points", "p.csv")
    assert (done.status, done.err) == (
        2,
        "dn2: only series have points, and items here are of the kind table: leave p.csv out\n",
    )


def test_a_model_is_refused_where_series_are_scored_against_themselves(dn2_command, tmp_path: Path) -> None:
    dn2.fit(np.random.default_rng(0).normal(size=(60, 3))).save(tmp_path / "m.dn2")
    (tmp_path / "new.csv").write_text("value\n" + "1\n2\n" * 100)
    for inputs in (("m.dn2", "new.csv"), ("new.csv", "m.dn2")):
        done = dn2_command("score", "--self", *(tmp_path / name for name in inputs))
        assert done.status == 2
        assert "with --self series are scored without a model, and" in done.err

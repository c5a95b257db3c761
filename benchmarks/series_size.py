"""What scoring a series of a million points against itself takes, and what the approximate search loses.

Run: python benchmarks/series_size.py [--points 1000000]

The series is made: a day of 288 points whose size follows the week, with autocorrelated noise, and in it 200 stretches
of 30 to 120 points where the day is shifted by some hours.  The command runs in a process of its own, timed whole,
reading the CSV and writing intervals and points.  The loss is measured on 50,000 points of the same series, and on
47,635 of NAB's (three of its volumes of tweets), against the exact search of the same windows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter
from sklearn.metrics import roc_auc_score

import dn2
from common import Report, begin
from table_size import say_cost, size

WINDOW = 128
DAY, WEEK = 288, 7 * 288
ANOMALIES = 200
TWEETS = ("AAPL", "AMZN", "CRM")

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Sizes:
    """How many points the series has, and how many of them the loss is measured on."""

    points: int = 1_000_000
    part: int = 50_000


SMALLEST = Sizes(points=4_000, part=2_000)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print time and memory of the command, then what is lost."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    points, report = run.sizes.points, run.report("series_size")
    values, truth = made(points)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series, intervals, scores = (folder / one for one in ("series.csv", "intervals.csv", "points.csv"))
        np.savetxt(
            series, np.column_stack([np.arange(points) * 300, values]), ["%d", "%.6g"], ",", header="t,x", comments=""
        )
        report.say(f"{points:,} points, {size(series)} of CSV, window {WINDOW}")
        asked = ["score", "--self", str(series), "--time", "t", "--window", str(WINDOW)]
        asked += ["-o", str(intervals), "--points", str(scores)]
        say_cost(report, "score --self", asked, here=run.smallest)
        report.say(f"written: {size(intervals)} of intervals, {size(scores)} of points")
    part = slice(0, run.sizes.part)
    lost(report, f"{run.sizes.part:,} points of it", {"x": values[part]}, truth[part])
    with np.load(run.need("nab/nab.npz")) as arrays:
        names = [f"realTweets/Twitter_volume_{one}" for one in TWEETS]
        tweets = [arrays[f"{one}/v"].astype(np.float64) for one in names]
        known = np.concatenate([arrays[f"{one}/window"] for one in names]).astype(bool)
    scaled = np.concatenate([(one - one.mean()) / one.std() for one in tweets])
    lost(
        report, f"{len(scaled):,} points of NAB", {"x": scaled, "id": np.repeat(TWEETS, list(map(len, tweets)))}, known
    )
    report.save()


def made(points: int) -> tuple[Values, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Make a series, and tell which of its points are anomalous."""
    rng, t = np.random.default_rng(0), np.arange(points, dtype=np.float64)
    shift, truth = np.zeros(points), np.zeros(points, bool)
    for at in rng.choice(points // 1_000 - 1, min(ANOMALIES, points // 2_000), replace=False):
        some = slice(1_000 * at, 1_000 * at + int(rng.integers(30, 120)))
        shift[some], truth[some] = rng.uniform(40, 140), True
    phase = 2 * np.pi * (t + shift) / DAY
    day = np.sin(phase) + 0.5 * np.sin(2 * phase + 1)
    noise = lfilter([1], [1, -0.95], 0.1 * rng.normal(size=points))
    return day * (1 + 0.3 * np.sin(2 * np.pi * t / WEEK)) + noise, truth


def lost(report: Report, what: str, columns: dict[str, Any], truth: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    """Print what the approximate search does not find."""
    options: dict[str, Any] = {"window": WINDOW, "id_column": "id" if "id" in columns else None}
    before = time.perf_counter()
    models = {name: dn2.fit(columns, kind="series", index=name, **options) for name in ("exact", "approximate")}
    exact, near = (model.detector.leave_one_out.distances for model in models.values())
    scores = {}
    for name in models:
        results = dn2.score_self(columns, index=name, **options)
        assert results.points is not None
        scores[name] = results.points.scores
    change = np.abs(scores["approximate"] / scores["exact"] - 1)
    areas = {name: roc_auc_score(truth, one) for name, one in scores.items()}
    search = models["approximate"].describe()["search"]
    seconds = time.perf_counter() - before
    report.say(f"{what}: {search['searched']} of {search['cells']} cells searched, all four runs {seconds:.0f} s")
    report.say(f"  nearest neighbours found      {100 * (near <= exact).mean():8.2f} %")
    report.say(
        f"  change of a point's score     {100 * change.mean():8.4f} % on average, {100 * change.max():.2f} % at most"
    )
    report.say(f"  ROC AUC exact, approximate    {100 * areas['exact']:8.3f} %, {100 * areas['approximate']:.3f} %")


if __name__ == "__main__":
    main()

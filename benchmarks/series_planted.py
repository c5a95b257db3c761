"""How often an anomaly planted in a real series is among the first three intervals, for five kinds of them.

Run: python benchmarks/series_planted.py [--trials 200]

The series are the longest parts without a labelled anomaly of three of NAB's: taxi rides in New York, one value each
half hour; the temperature of an office, one an hour; the traffic on a road, uneven and full of noise.  Each is scored
against itself with all defaults.  What is planted, and where, is drawn at random; sizes are in standard deviations of
the series: a spike of 1 to 3 points by 3 to 6 of them; a shift of the level by 1 to 2 of them for one to three days; a
day that is missing, a straight line in its place; one to three days at twice the speed; one to three days at one value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import dn2
from common import begin

# Of each series the points of a day.
SERIES = {"realKnownCause/nyc_taxi": 48, "realKnownCause/ambient_temperature_system_failure": 24}
SERIES |= {"realTraffic/occupancy_6005": 144}
EDGE = 200  # points at both ends where nothing is planted
FIRST = 3

Values = np.ndarray[Any, np.dtype[np.float64]]


def spike(values: Values, at: int, day: int, rng: np.random.Generator) -> int:
    """Let some points stand out."""
    stop = at + int(rng.integers(1, 4))
    values[at:stop] += rng.choice([-1, 1]) * rng.uniform(3, 6) * values.std()
    return stop


def level_shift(values: Values, at: int, day: int, rng: np.random.Generator) -> int:
    """Shift the level for some days."""
    stop = at + int(rng.integers(day, 3 * day))
    values[at:stop] += rng.choice([-1, 1]) * rng.uniform(1, 2) * values.std()
    return stop


def missing_beat(values: Values, at: int, day: int, rng: np.random.Generator) -> int:
    """Leave out a day: a straight line is in its place."""
    values[at : at + day] = np.linspace(values[at], values[at + day], day)
    return at + day


def frequency_change(values: Values, at: int, day: int, rng: np.random.Generator) -> int:
    """Let some days pass at twice the speed."""
    length = int(rng.integers(day, 3 * day))
    values[at : at + length] = values[at : at + 2 * length][::2].copy()
    return at + length


def flat_line(values: Values, at: int, day: int, rng: np.random.Generator) -> int:
    """Repeat one value for some days."""
    stop = at + int(rng.integers(day, 3 * day))
    values[at:stop] = values[at]
    return stop


KINDS: dict[str, Callable[[Values, int, int, np.random.Generator], int]] = {
    "spike": spike,
    "level shift": level_shift,
    "missing beat": missing_beat,
    "frequency change": frequency_change,
    "flat line": flat_line,
}


@dataclass(frozen=True)
class Sizes:
    """How many trials of a kind there are, and on which series."""

    trials: int = 200
    series: tuple[str, ...] = tuple(SERIES)


SMALLEST = Sizes(trials=1, series=tuple(SERIES)[:1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the shares of trials, by kind and series."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    trials, report = run.sizes.trials, run.report("series_planted")
    report.say(f"{trials} trials each; % where an interval that overlaps it is the first, and among the first {FIRST}")
    with np.load(run.need("nab/nab.npz")) as arrays:
        known = {name: normal_part(arrays[f"{name}/v"], arrays[f"{name}/window"]) for name in run.sizes.series}
    for name, values in known.items():
        report.say(f"{name}, {len(values):,} points")
        for kind, plant in KINDS.items():
            ranks = np.array([rank(values, SERIES[name], plant, trial) for trial in range(trials)])
            report.say(f"  {kind:<18}{100 * (ranks < 1).mean():8.1f}{100 * (ranks < FIRST).mean():8.1f}")
    report.save()


def normal_part(values: Values, window: Values) -> Values:
    """Return the longest part without a labelled anomaly."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], window, [1]])))
    firsts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - firsts))
    return values[firsts[longest] : stops[longest]].astype(np.float64)


def rank(values: Values, day: int, plant: Callable[..., int], trial: int) -> int:
    """Plant an anomaly and return how many intervals come before it."""
    rng, changed = np.random.default_rng(trial), values.copy()
    at = int(rng.integers(EDGE, len(values) - EDGE - 6 * day))
    stop = plant(changed, at, day, rng)
    rows = sorted(dn2.score_self(changed).rows, key=lambda row: -(row.anomaly_score or 0))
    hits = [n for n, row in enumerate(rows) if int(row.start or 0) < stop and int(row.end or 0) >= at]
    return min(hits, default=len(rows))


if __name__ == "__main__":
    main()

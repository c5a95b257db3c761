"""Series on an even grid: where the points of a series lie in time, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Numbers, Positions

SHARE_BRIDGED = 10  # a gap of up to a tenth of a window is bridged
EVEN, SHARE_EVEN = 0.25, 0.9  # stamps are even if 90 % of the steps are whole, to within a quarter


class Stretch(NamedTuple):
    """A part of a series without long gaps, put on an even grid.

    rows : its rows in the series; places : (r,) the grid points of these rows.
    values : (p, c) of all grid points, interpolated between rows.
    even : whether rows lie on grid points; else grid points lie a step apart, from the first row on."""

    rows: slice
    places: Positions
    values: Numbers
    even: bool

    def times(self, times: Numbers, step: float) -> Numbers:
        """Return the times of all points, (p,), given the times of the rows of the series, (n,)."""
        times_of_rows, points = times[self.rows], np.arange(float(len(self.values)))
        times_of_points: Numbers = (
            np.interp(points, self.places, times_of_rows) if self.even else times_of_rows[0] + step * points
        )
        return times_of_points


def longest_gap(window: int) -> int:
    """Return the most steps that may be missing within a stretch: a tenth of a window."""
    return window // SHARE_BRIDGED


def seconds_of(stamps: np.ndarray[Any, Any]) -> Numbers:
    """Return stamps, (n,) ascending, as numbers: seconds after the first, or in the unit of the stamps."""
    with np.errstate(over="ignore"):
        since = stamps - stamps[0]
    seconds: Numbers = since / np.timedelta64(1, "s") if since.dtype.kind == "m" else since.astype(np.float64)
    return seconds


def find_step(times: Sequence[Numbers]) -> float:
    """Find the usual time between two points: the (lower) median over all series; 1 if every series has one point."""
    with np.errstate(invalid="ignore"):
        steps = np.sort(np.concatenate([np.diff(times_of_series) for times_of_series in times]))
    return float(steps[(len(steps) - 1) // 2]) if len(steps) else 1.0


def is_even(times: Numbers, step: float) -> bool:
    """Tell whether times, (n,) ascending, lie a whole number of steps apart, up to jitter and few exceptions."""
    steps = np.diff(times) / step
    whole = np.rint(steps)
    even = (whole >= 1) & (np.abs(steps - whole) <= EVEN)
    return len(steps) == 0 or bool(even.mean() >= SHARE_EVEN)


def longest_run(times: Numbers, step: float, gap: int) -> int:
    """Return how many points the longest part of a series without a gap of more than so many steps has."""
    return max(_points(knots) for _, knots in _cut(times, step, gap))


def stretches_of(times: Numbers, values: Numbers, step: float, gap: int) -> Iterator[Stretch]:
    """Cut a series at gaps of more than so many steps, and put each part on an even grid.

    times : (n,) ascending; values : (n, c).  Values at even stamps stay, and missing ones between them are
    interpolated; with uneven stamps all are interpolated, on a grid that starts at the first."""
    even = is_even(times, step)
    for rows, knots in _cut(times, step, gap):
        count = _points(knots)
        grid = np.arange(float(count))
        bridged = np.empty((count, values.shape[1]))
        for number, column in enumerate(values[rows].T):
            bridged[:, number] = np.interp(grid, knots, column)
        yield Stretch(rows, np.minimum(np.rint(knots).astype(np.int64), count - 1), bridged, even)


def _cut(times: Numbers, step: float, gap: int) -> Iterator[tuple[slice, Numbers]]:
    """Give the rows of each part without a long gap, and their places, (r,), in steps after its first row."""
    even, steps = is_even(times, step), np.diff(times) / step
    cuts = np.flatnonzero(steps > gap + 1.5) + 1
    for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(times)], strict=True):
        if even:
            taken = np.maximum(np.rint(steps[first : last - 1]), 1)
            yield slice(first, last), np.concatenate([[0.0], np.cumsum(taken)])
        else:
            yield slice(first, last), (times[first:last] - times[first]) / step


def _points(knots: Numbers) -> int:
    return int(knots[-1]) + 1

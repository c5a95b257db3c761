"""Series on an even grid: where the points of a series lie in time, and what lies between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Values = np.ndarray[Any, np.dtype[np.float64]]
Positions = np.ndarray[Any, np.dtype[np.int64]]

SHARE_BRIDGED = 10  # a gap is bridged if it is no longer than one in so many of a window's points
EVEN, SHARE_EVEN = 0.25, 0.9  # stamps are even if so many of the steps are whole ones, but for a part of a step


class Stretch(NamedTuple):
    """A part of a series without long gaps, put on an even grid.

    rows : those of the series; places : (r,) the points of the grid where they lie.
    values : (p, c) of all points, interpolated where no row lies.
    even : whether rows lie on points; else points lie a step apart from the first row on."""

    rows: slice
    places: Positions
    values: Values
    even: bool

    def times(self, times: Values, step: float) -> Values:
        """Return the times of all points, (p,), given those of the rows of the series, (n,)."""
        known, points = times[self.rows], np.arange(float(len(self.values)))
        found: Values = np.interp(points, self.places, known) if self.even else known[0] + step * points
        return found


def longest_gap(window: int) -> int:
    """Return how many steps may be missing from a stretch: a tenth of a window."""
    return window // SHARE_BRIDGED


def seconds_of(stamps: np.ndarray[Any, Any]) -> Values:
    """Return stamps, (n,) ascending, as numbers: seconds after the first, or in the unit of the stamps."""
    with np.errstate(over="ignore"):
        since = stamps - stamps[0]
    seconds: Values = since / np.timedelta64(1, "s") if since.dtype.kind == "m" else since.astype(np.float64)
    return seconds


def find_step(times: Sequence[Values]) -> float:
    """Find the usual time between two points: the median over all series, one that is there; 1 if none has two."""
    with np.errstate(invalid="ignore"):
        steps = np.sort(np.concatenate([np.diff(one) for one in times]))
    return float(steps[(len(steps) - 1) // 2]) if len(steps) else 1.0


def is_even(times: Values, step: float) -> bool:
    """Tell whether times, (n,) ascending, lie a whole number of steps apart, most of them and but for a jitter."""
    steps = np.diff(times) / step
    whole = np.rint(steps)
    even = (whole >= 1) & (np.abs(steps - whole) <= EVEN)
    return len(steps) == 0 or bool(even.mean() >= SHARE_EVEN)


def longest_run(times: Values, step: float, gap: int) -> int:
    """Return how many points the longest part of a series has where no more than so many steps are missing."""
    return max(_points(knots) for _, knots in _cut(times, step, gap))


def stretches_of(times: Values, values: Values, step: float, gap: int) -> Iterator[Stretch]:
    """Cut a series where more than so many steps are missing, and put each part on an even grid.

    times : (n,) ascending; values : (n, c).  Even stamps keep their values, and what is missing between them is
    interpolated; uneven ones are interpolated on the grid that starts at the first."""
    even = is_even(times, step)
    for rows, knots in _cut(times, step, gap):
        count = _points(knots)
        grid = np.arange(float(count))
        bridged = np.empty((count, values.shape[1]))
        for number, column in enumerate(values[rows].T):
            bridged[:, number] = np.interp(grid, knots, column)
        yield Stretch(rows, np.minimum(np.rint(knots).astype(np.int64), count - 1), bridged, even)


def _cut(times: Values, step: float, gap: int) -> Iterator[tuple[slice, Values]]:
    """Give the rows of each part without a long gap, and where they lie, in steps after its first: (r,)."""
    even, steps = is_even(times, step), np.diff(times) / step
    cuts = np.flatnonzero(steps > gap + 1.5) + 1
    for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(times)], strict=True):
        if even:
            taken = np.maximum(np.rint(steps[first : last - 1]), 1)
            yield slice(first, last), np.concatenate([[0.0], np.cumsum(taken)])
        else:
            yield slice(first, last), (times[first:last] - times[first]) / step


def _points(knots: Values) -> int:
    return int(knots[-1]) + 1

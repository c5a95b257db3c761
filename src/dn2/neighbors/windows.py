"""Windows that slide over series: which of them overlap, the scores of points, and the intervals that these form.

Windows lie on a line of points: one at a place p covers the points p ... p + window - 1.  The points of all series lie
on it one after the other, and so windows of different series never overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Array, Distances, Positions, Scores
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, rows_at
from dn2.neighbors.calibration import Calibration, MeasuredFalseAlarms, mean_squared_distance
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.rates import DEFAULT_RATE
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded

HALF = 0.5  # of its highest score an interval keeps at both ends
MEASURED_WITH = 20_000  # windows of either half that tell what p-values are worth


class Intervals(NamedTuple):
    """Stretches of points that do not overlap, in order, each with one peak: their first points, those past their last,
    and the highest, (m,) each."""

    starts: Positions
    stops: Positions
    peaks: Positions


def check_places(places: Any, n: int, window: int) -> Positions:
    """Return the places of n windows, by default those of one series, (n,); longer gaps than a window are as one.

    Raises InputError unless places are n whole numbers of at least 0 that ascend."""
    given = np.arange(n) if places is None else np.asarray(places)
    whole = given.shape == (n,) and given.dtype.kind in "iu" and n > 0 and given.max() <= np.iinfo(np.int64).max
    if whole:
        given = given.astype(np.int64)
    if not whole or given[0] < 0 or (given[1:] <= given[:-1]).any():
        raise InputError(f"the places of {n:,} windows must be {n:,} ascending whole numbers, got {places!r}")
    close: Positions = given[0] + np.cumsum(np.minimum(np.diff(given, prepend=given[0]), window))
    return close


def overlapping(places: Positions, window: int) -> Positions:
    """Return for each window which windows overlap it, itself among them: (n, 2) the first, and the one past the
    last."""
    first = np.searchsorted(places, places - window, side="right")
    stop = np.searchsorted(places, places + window, side="left")
    return np.stack([first, stop], axis=1).astype(np.int64)


def check_apart(places: Positions, window: int, k: int) -> None:
    """Raise ReferenceTooSmall where a window has fewer than k others that do not overlap it."""
    spans = overlapping(places, window)
    left = len(places) - int((spans[:, 1] - spans[:, 0]).max(initial=0))
    if left < k:
        points = int(places[-1] - places[0]) + window
        raise ReferenceTooSmall(
            f"a window of {window:,} points is compared with others that do not overlap it: that takes a series of at "
            f"least {3 * window + k - 2:,} points, got {points:,}; give more, or a window of "
            f"{max(2, (points + 2 - k) // 3):,} at most"
        )


def point_scores(scores: Scores, places: Positions, window: int) -> Scores:
    """Score points by the mean over the windows that cover them.

    scores : (n,) of windows.  Returns (p,) from the first window's first point to the last one's last; NaN for points
    that no window covers."""
    count = int(places[-1] - places[0]) + 1
    placed, there = np.zeros((2, count + 2 * (window - 1)))
    placed[places - places[0] + window - 1], there[places - places[0] + window - 1] = scores, 1
    sums, counts = (np.lib.stride_tricks.sliding_window_view(row, window).sum(axis=1) for row in (placed, there))
    points: Scores = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return points


def cut(points: Scores, places: Positions) -> Intervals:
    """Cut points into intervals around the peaks of their scores, which lie a window apart at least.

    points : as `point_scores` returns them.  An interval ends where the score is lowest on the way to the next peak, or
    falls below half of the peak.  Intervals depend on no threshold, and so normal and queried series are cut alike."""
    window = len(points) - int(places[-1] - places[0])
    jumps = np.flatnonzero(np.diff(places) > 1)
    firsts = places[np.concatenate([[0], jumps + 1])] - places[0]
    ends = np.minimum(
        places[np.append(jumps, len(places) - 1)] - places[0] + window, np.append(firsts[1:], len(points))
    )
    runs = [_cut_run(points[first:end], int(first), window) for first, end in zip(firsts, ends, strict=True)]
    return Intervals(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))


def _cut_run(points: Scores, first: int, window: int) -> Intervals:
    """Cut a run of points that are all covered, of which the first lies at some place."""
    from scipy.signal import find_peaks

    low = np.full(1, -np.inf)  # so that a peak may lie at the ends
    peaks = find_peaks(np.concatenate([low, points, low]), distance=window)[0] - 1
    valleys = [_valley(points, p, q) for p, q in pairwise(peaks.tolist())]
    starts, stops = [], []
    for peak, start, stop in zip(peaks, [0, *valleys], [*valleys, len(points)], strict=True):
        below = points[start:stop] < HALF * points[peak]
        before, after = np.flatnonzero(below[: peak - start]), np.flatnonzero(below[peak - start :])
        starts.append(start + before[-1] + 1 if len(before) else start)
        stops.append(peak + after[0] if len(after) else stop)
    return Intervals(*(np.array(ends, np.int64) + first for ends in (starts, stops, peaks)))


def _valley(points: Scores, p: int, q: int) -> int:
    """Return where the score is lowest between two peaks, on the side of the lower one: no point in between is higher
    than that peak, such as a shoulder that lies too near to the other."""
    if points[p] >= points[q]:
        first = p + int(np.flatnonzero(points[p:q] > points[q]).max(initial=0))
        return first + int(np.argmin(points[first:q]))
    last = p + int(np.flatnonzero(points[p : q + 1] > points[p])[0])
    return p + int(np.argmin(points[p : last + 1]))


@dataclass(frozen=True)
class WindowPlaces:
    """Where the windows of a reference set lie.

    window : points of each; places : (n,) their first points on the line, ascending.
    measured : the false alarms counted in the windows; None where they were not."""

    window: int
    places: Positions
    measured: MeasuredFalseAlarms | None = None

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        arrays = {"window": np.array([self.window]), "places": self.places}
        return arrays if self.measured is None else arrays | {"measured": np.array(self.measured, np.float64)}

    @classmethod
    def from_arrays(cls, window: Positions, places: Positions, measured: Scores | None = None) -> Self:
        """Restore what `as_arrays` gave.  Raises ValueError for arrays of another form."""
        if window.shape != (1,) or window.dtype.kind not in "iu" or window[0] < 2:
            raise ValueError(f"a window must be one whole number of at least 2, got {window}")
        alarms = None
        if measured is not None:
            if measured.shape != (4,) or not np.isfinite(measured).all():
                raise ValueError(f"measured false alarms must be four numbers, got {measured}")
            intervals, flagged, rate, windows = measured.tolist()
            alarms = MeasuredFalseAlarms(int(intervals), int(flagged), rate, int(windows))
        return cls(int(window[0]), check_places(places, len(places), int(window[0])), alarms)

    @property
    def excluded(self) -> Excluded:
        """What each window is not compared with: those that overlap it."""
        return Excluded(overlapping(self.places, self.window))

    def scored(self, distances: Distances) -> tuple[Scores, Intervals]:
        """Return the scores of points, and their intervals.

        distances : (n, k) of each window to its neighbours among those that do not overlap it, squared L2."""
        points = point_scores(mean_squared_distance(distances), self.places, self.window)
        return points, cut(points, self.places)

    def calibrate(self, distances: Distances) -> Calibration:
        """Calibrate by blocks: with the highest scores of the intervals that reference series are cut into.

        distances : as for `scored`."""
        points, intervals = self.scored(distances)
        peaks = np.sort(points[intervals.peaks])
        return Calibration(peaks, len(self.places), window=self.window, measured=self.measured)

    def with_measured(self, blocks: Sequence[Block], k: int, asked: float | None) -> Self:
        """Measure what the p-values are worth: see `MeasuredFalseAlarms`.

        blocks : of the windows' rows; asked : a false-alarm rate, if any."""
        middle = min(len(self.places), 2 * MEASURED_WITH) // 2  # of the first windows, where there are very many
        later = np.searchsorted(self.places, self.places[middle] + self.window)
        first, second = WindowPlaces(self.window, self.places[:middle]), self.places[later : 2 * middle]
        excluded = first.excluded
        if len(second) < self.window or middle - excluded.most < k:
            return self
        known, queries = (rows_at(blocks, part) for part in (np.arange(middle), np.arange(later, later + len(second))))
        index = ExactIndex([known])
        loo = LeaveOneOut.of(index.blocks, index, np.arange(middle), k, excluded)
        calibration = first.calibrate(loo.distances)
        rate = max(DEFAULT_RATE if asked is None else asked, calibration.smallest_rate)
        points, intervals = WindowPlaces(self.window, second).scored(index.search(queries, k)[0])
        flagged = int((calibration.p_value(points[intervals.peaks]) <= rate).sum())
        return replace(self, measured=MeasuredFalseAlarms(len(intervals.peaks), flagged, rate, 2 * middle))

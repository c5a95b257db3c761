"""Windows of series: where they lie, and which parts are too short for one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Numbers, Positions
from dn2.errors import InputError, ReferenceTooSmall
from dn2.kinds.series.embedder import LARGEST_DEFAULT, SeriesEmbedder, choose_window
from dn2.kinds.series.evidence import IntervalEvidence
from dn2.kinds.series.grid import Stretch, find_step, is_even, longest_gap, longest_run, seconds_of, stretches_of
from dn2.kinds.series.reading import SeriesRead, warn_of
from dn2.kinds.series.stamps import stamp_texts, step_in_words
from dn2.results.rows import Row
from dn2.system.interface import option
from dn2.system.processes import cached_property

logger = logging.getLogger("dn2")


MOST_WINDOWS, MOST_NUMBERS = 8_192, 1 << 24  # embedded at once


SAME_STEP = 0.1  # the time between points may differ by this share from that of the reference series


MOST_GRID = 4  # grid points for each row, at most: more uneven stamps are refused


class PlacedStretch(NamedTuple):
    """A stretch of a series on the line of all points.

    owner : the position of its series; first : the place of its first point on the line."""

    owner: int
    stretch: Stretch
    first: int


@dataclass(frozen=True)
class Windows:
    """The windows of series, and the parts that are too short for one.

    read : the series; window, step : points of a window, and the time between two of them.
    placed : the stretches that are long enough, one after the other on a line of points.
    short : (owner, stretch) of the others; errors : by name, why a series or a row is left out."""

    read: SeriesRead
    window: int
    step: float
    placed: Sequence[PlacedStretch]
    short: Sequence[tuple[int, Stretch]]
    errors: Mapping[str, str]

    @cached_property
    def places(self) -> Positions:
        """Where the windows lie, (n,)."""
        return np.concatenate([placed.first + np.arange(self.count(placed), dtype=np.int64) for placed in self.placed])

    @property
    def names(self) -> Sequence[str]:
        """The names of the windows: the series, and the stamp of the first point."""
        return self._names

    @cached_property
    def _names(self) -> Sequence[str]:
        return [
            f"{self.read.series[placed.owner].name}:{stamp}"
            for placed in self.placed
            for stamp in stamp_texts(self.stamps(placed)[: self.count(placed)])
        ]

    @property
    def paths(self) -> Sequence[str]:
        """The files of the series."""
        return [series.path for series in self.read.series]

    def named(self, names: Sequence[str]) -> Windows:
        """Return the same windows with other names of the series."""
        series = [replace(item, name=name) for item, name in zip(self.read.series, names, strict=True)]
        return replace(self, read=replace(self.read, series=series))

    def count(self, placed: PlacedStretch) -> int:
        """Return the number of windows of a stretch."""
        return len(placed.stretch.values) - self.window + 1

    @property
    def most_intervals(self) -> int:
        """The most intervals that these series can be cut into, with peaks a window apart."""
        return sum((len(placed.stretch.values) - 1) // self.window + 1 for placed in self.placed)

    def stamps(self, placed: PlacedStretch) -> np.ndarray[Any, Any]:
        """Return the stamps of all points of a stretch, interpolated between rows."""
        stamps_of_rows = self.read.series[placed.owner].stamps
        since = placed.stretch.times(seconds_of(stamps_of_rows), self.step)
        stamps: np.ndarray[Any, Any] = stamps_of_rows[0] + (
            np.rint(1e6 * since).astype("timedelta64[us]") if stamps_of_rows.dtype.kind == "M" else since
        )
        return stamps

    def owners(self, points: Positions) -> Positions:
        """Return the position of the stretch of each point on the line."""
        firsts = [placed.first for placed in self.placed]
        return np.searchsorted(firsts, points, side="right") - 1

    def stamps_at(self, points: Positions) -> list[str]:
        """Return the stamps of points on the line, which ascend."""
        owners = self.owners(points)
        texts: list[str] = []
        for owner in np.unique(owners).tolist():
            placed = self.placed[owner]
            texts += stamp_texts(self.stamps(placed)[points[owners == owner] - placed.first])
        return texts

    def unscored(self) -> Iterator[Row]:
        """Give rows with errors: of stretches that are too short for a window, and of unreadable series and rows."""
        for owner, stretch in self.short:
            series = self.read.series[owner]
            first, last = stamp_texts(series.stamps[stretch.rows][[0, -1]])
            yield Row(f"{series.name}:{first}", error=self.too_short(stretch), evidence=IntervalEvidence(first, last))
        for name, reason in self.errors.items():
            yield Row(name, error=reason, evidence=IntervalEvidence())

    def too_short(self, stretch: Stretch) -> str:
        """Say why a stretch has no window."""
        return f"{len(stretch.values):,} points between gaps are fewer than a window of {self.window:,}"


def place(read: SeriesRead, window: int, step: float) -> Windows:
    """Cut series into stretches without long gaps, on a grid with this step.

    Raises InputError unless at least one is as long as a window."""
    placed: list[PlacedStretch] = []
    short: list[tuple[int, Stretch]] = []
    errors, uneven, after, gap = dict(read.errors), [], 0, longest_gap(window)
    in_seconds = any(series.stamps.dtype.kind == "M" for series in read.series)
    for owner, series in enumerate(read.series):
        times = seconds_of(series.stamps)
        if problem := _problem(times, step, gap, in_seconds=in_seconds):
            errors[series.name] = problem
            continue
        if not is_even(times, step):
            uneven.append(series.name)
        for stretch in stretches_of(times, series.values, step, gap):
            if len(stretch.values) < window:
                short.append((owner, stretch))
                continue
            placed.append(PlacedStretch(owner, stretch, after))
            after += len(stretch.values)
    warn_of(
        uneven, f"its stamps are uneven; values are interpolated, {step_in_words(step, in_seconds=in_seconds)} apart"
    )
    if not placed:
        longest = max((len(stretch.values) for _, stretch in short), default=0)
        why = next(iter(errors.values())) if errors and not short else f"the longest has {longest:,}"
        raise InputError(f"no series has {window:,} points without a long gap, the length of a window: {why}")
    return Windows(read, window, step, placed, short, errors)


def _problem(times: Numbers, step: float, gap: int, *, in_seconds: bool) -> str | None:
    """Say why times, (n,), cannot be put on a grid."""
    if not np.isfinite(times).all():
        return "its stamps are too far apart to be told apart"
    if len(times) < 2:
        return None
    own_step = find_step([times])
    if is_even(times, own_step) and abs(own_step - step) > SAME_STEP * step:
        own, reference = (step_in_words(one, in_seconds=in_seconds) for one in (own_step, step))
        return f"its points are {own} apart, those of the reference {reference}; bring it to the same step"
    if np.minimum(np.diff(times) / step, gap + 1).sum() > MOST_GRID * len(times):
        median = step_in_words(step, in_seconds=in_seconds)
        return f"its stamps are too uneven for a step of {median}, the median; bring them to an even one"
    return None


def cut_windows(read: SeriesRead, window: int | None) -> tuple[Windows, SeriesEmbedder]:
    """Cut series into windows of so many points, by default chosen by the longest series, and learn their scale.

    Raises InputError for a window longer than all series, ReferenceTooSmall for series that are too short."""
    times = [seconds_of(series.stamps) for series in read.series]
    step = find_step(times)
    if not (0 < step < np.inf and all(np.isfinite(times_of_series).all() for times_of_series in times)):
        raise InputError(f"the stamps must be numbers that can be told apart; the step between them is {step:g}")
    chosen, longest = _choose_window(times, step, window)
    if chosen < 2:
        raise ReferenceTooSmall(f"a series without long gaps must have 8 points at least, got {longest}")
    if chosen > longest:
        raise InputError(
            f"a window of {chosen:,} points is longer than every series: the longest without long gaps has "
            f"{longest:,}; give a window of {max(2, choose_window(longest)):,} or so"
        )
    if window is None:
        logger.info("windows of %d points, by the length of the series; %s sets another", chosen, option("window"))
    windows = place(read, chosen, step)
    embedder = SeriesEmbedder.learn(read.columns, chosen, step, [placed.stretch for placed in windows.placed])
    return windows, embedder


def _choose_window(times: Sequence[np.ndarray[Any, Any]], step: float, window: int | None) -> tuple[int, int]:
    """Return the length of windows, as given or by the longest series, and the most points of a series
    without a gap that is long for such windows."""
    chosen = LARGEST_DEFAULT if window is None else window
    while True:
        longest = max(longest_run(times_of_series, step, longest_gap(chosen)) for times_of_series in times)
        shorter = choose_window(longest)
        if window is not None or shorter >= chosen:
            return chosen, longest
        chosen = shorter


def batches(counts: Sequence[int], at_once: int) -> Iterator[list[tuple[int, int, int]]]:
    """Cut stretches into batches of (stretch, first window, one past the last).

    counts : the number of windows of each stretch; at_once : of windows in a batch, at most."""
    batch: list[tuple[int, int, int]] = []
    room = at_once
    for number, count in enumerate(counts):
        first = 0
        while first < count:
            last = min(count, first + room)
            batch.append((number, first, last))
            room -= last - first
            first = last
            if not room:
                yield batch
                batch, room = [], at_once
    if batch:
        yield batch

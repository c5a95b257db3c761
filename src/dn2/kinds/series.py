"""Windows of series."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from dn2.embed.grid import (
    Stretch,
    find_step,
    is_even,
    longest_gap,
    longest_run,
    seconds_of,
    stretches_of,
)
from dn2.embed.series import LARGEST_DEFAULT, SeriesEmbedder, choose_window
from dn2.embedding import Progress
from dn2.errors import InputError, ReferenceTooSmall
from dn2.kinds.keeping_nothing import KeepingNothing
from dn2.kinds.kind import Batch, Reference, ReferenceItem
from dn2.kinds.rows import check_column_name
from dn2.kinds.series_rows import SeriesRead, read_series, say_of, stamp_texts
from dn2.neighbors.blocks import Positions
from dn2.neighbors.checks import check_length
from dn2.processes import cached_property
from dn2.store.bundle import Bundle
from dn2.store.cache import Cache
from dn2.store.rows import Row
from dn2.store.shards import Kept

logger = logging.getLogger("dn2")

MOST_WINDOWS, MOST_NUMBERS = 8_192, 1 << 24  # that are embedded at once
SAME_STEP = 0.1  # by which share the time between points may differ from that of the reference series
MOST_GRID = 4  # times as many points as rows: uneven stamps that need more are refused


class Placed(NamedTuple):
    """A stretch of a series: which series it belongs to, the stretch, and the place of its first point on the line of
    all points."""

    owner: int
    stretch: Stretch
    first: int


@dataclass(frozen=True)
class Windows:
    """The windows of series, and what has none.

    read : the series; window, step : points of a window, and the time between two of them.
    placed : their stretches that are long enough, one after the other on a line of points.
    short : (owner, stretch) of the others; errors : by name, why a series or a row is left out."""

    read: SeriesRead
    window: int
    step: float
    placed: Sequence[Placed]
    short: Sequence[tuple[int, Stretch]]
    errors: Mapping[str, str]

    @cached_property
    def places(self) -> Positions:
        """Where the windows lie, (n,)."""
        return np.concatenate([one.first + np.arange(self.count(one), dtype=np.int64) for one in self.placed])

    @cached_property
    def names(self) -> Sequence[str]:
        """The names of the windows: the series, and the stamp of the first point."""
        return [
            f"{self.read.series[one.owner].name}:{stamp}"
            for one in self.placed
            for stamp in stamp_texts(self.stamps(one)[: self.count(one)])
        ]

    @property
    def paths(self) -> Sequence[str]:
        """The files of the series."""
        return [one.path for one in self.read.series]

    def count(self, placed: Placed) -> int:
        """Return how many windows a stretch has."""
        return len(placed.stretch.values) - self.window + 1

    @property
    def most_intervals(self) -> int:
        """How many intervals these series can be cut into, whose peaks lie a window apart."""
        return sum((len(one.stretch.values) - 1) // self.window + 1 for one in self.placed)

    def stamps(self, placed: Placed) -> np.ndarray[Any, Any]:
        """Return the stamps of all points of a stretch, interpolated where no row lies."""
        known = self.read.series[placed.owner].stamps
        since = placed.stretch.times(seconds_of(known), self.step)
        stamps: np.ndarray[Any, Any] = known[0] + (
            np.rint(1e6 * since).astype("timedelta64[us]") if known.dtype.kind == "M" else since
        )
        return stamps

    def owners(self, points: Positions) -> Positions:
        """Return which stretch each point of the line belongs to."""
        firsts = [one.first for one in self.placed]
        return np.searchsorted(firsts, points, side="right") - 1

    def stamps_at(self, points: Positions) -> list[str]:
        """Return the stamps of some points of the line, ascending."""
        owners = self.owners(points)
        texts: list[str] = []
        for owner in np.unique(owners).tolist():
            placed = self.placed[owner]
            texts += stamp_texts(self.stamps(placed)[points[owners == owner] - placed.first])
        return texts

    def unscored(self) -> Iterator[Row]:
        """Give rows of what has no window: parts that are too short, and what could not be read."""
        for owner, stretch in self.short:
            series = self.read.series[owner]
            first, last = stamp_texts(series.stamps[stretch.rows][[0, -1]])
            yield Row(f"{series.name}:{first}", error=self.too_short(stretch), start=first, end=last)
        for name, reason in self.errors.items():
            yield Row(name, error=reason)

    def too_short(self, stretch: Stretch) -> str:
        """Say why a stretch has no window."""
        return f"{len(stretch.values):,} points between gaps are fewer than a window of {self.window:,}"


def place(read: SeriesRead, window: int, step: float) -> Windows:
    """Cut series into stretches without long gaps, on a grid of some step.

    Raises InputError if none is as long as a window."""
    placed: list[Placed] = []
    short: list[tuple[int, Stretch]] = []
    errors, uneven, after, gap = dict(read.errors), [], 0, longest_gap(window)
    for owner, one in enumerate(read.series):
        times = seconds_of(one.stamps)
        if problem := _problem(times, step, gap):
            errors[one.name] = problem
            continue
        if not is_even(times, step):
            uneven.append(one.name)
        for stretch in stretches_of(times, one.values, step, gap):
            if len(stretch.values) < window:
                short.append((owner, stretch))
                continue
            placed.append(Placed(owner, stretch, after))
            after += len(stretch.values)
    say_of(uneven, f"its stamps are uneven; values are interpolated, {step:g} apart")
    if not placed:
        longest = max((len(one.values) for _, one in short), default=0)
        why = next(iter(errors.values())) if errors and not short else f"the longest has {longest:,}"
        raise InputError(f"no series has {window:,} points without a long gap, the length of a window: {why}")
    return Windows(read, window, step, placed, short, errors)


def _problem(times: np.ndarray[Any, np.dtype[np.float64]], step: float, gap: int) -> str | None:
    """Say why times, (n,), cannot be put on a grid."""
    if not np.isfinite(times).all():
        return "its stamps are too far apart to be told apart"
    if len(times) < 2:
        return None
    own = find_step([times])
    if is_even(times, own) and abs(own - step) > SAME_STEP * step:
        return f"its points are {own:g} apart, those of the reference {step:g}; bring it to the same step"
    if np.minimum(np.diff(times) / step, gap + 1).sum() > MOST_GRID * len(times):
        return f"its stamps are too uneven for a step of {step:g}, the median; bring them to an even one"
    return None


@dataclass(frozen=True)
class Series(KeepingNothing):
    """Windows that slide over series; see `Kind`.

    time : the column of stamps, id_column : that of the names of series; None where there is none."""

    name: ClassVar[str] = "series"
    one: ClassVar[str] = "interval"
    many: ClassVar[str] = "intervals"
    embedder: SeriesEmbedder
    time: str | None = None
    id_column: str | None = None

    @classmethod
    def learn(
        cls, read: SeriesRead, window: int | None, time: str | None, id_column: str | None
    ) -> tuple[Self, Windows]:
        """Find out the time between points, the length of windows where it is not given, and the scale of columns.

        Returns the windows of the series, too.
        Raises InputError for a window longer than all series, ReferenceTooSmall for series that are too short."""
        check_length(window)
        times = [seconds_of(one.stamps) for one in read.series]
        step = find_step(times)
        if not (0 < step < np.inf and all(np.isfinite(one).all() for one in times)):
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
            logger.info("windows of %d points, by the length of the series; --window, or window=, sets another", chosen)
        found = place(read, chosen, step)
        embedder = SeriesEmbedder.learn(read.columns, chosen, step, [one.stretch for one in found.placed])
        return cls(embedder, time, id_column), found

    @property
    def dimension(self) -> int:
        """The length of a window's embedding."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> Windows:
        """Read series from tables or an array.  Raises InputError if none has a window."""
        names = self.embedder.columns
        read = read_series(inputs, time=self.time, values=names, id_column=self.id_column, progress=progress)
        if tuple(read.columns) != names:
            raise InputError(f"the model has the columns {', '.join(names)}, got {', '.join(read.columns)}")
        return place(read, self.embedder.window, self.embedder.step)

    def embed(self, found: Windows, progress: Progress | None) -> Iterator[Batch]:
        """Embed windows in order, so many at a time, of many short series together."""
        at_once = max(1, min(MOST_WINDOWS, MOST_NUMBERS // self.dimension))
        done, total = 0, len(found.places)
        for pieces in _batches([found.count(one) for one in found.placed], at_once):
            parts = [self.embedder.embed(found.placed[one].stretch.values, *ends) for one, *ends in pieces]
            vectors = np.concatenate(parts)
            yield Batch(found.names[done : done + len(vectors)], {}, np.arange(len(vectors)), vectors, None)
            done += len(vectors)
            if progress is not None:
                progress(done, total)

    def reference(self, found: Windows, progress: Progress | None) -> Reference:
        """Embed the windows of normal series."""
        vectors = np.empty((len(found.names), self.dimension), np.float32)
        done = 0
        for batch in self.embed(found, progress):
            vectors[done : done + len(batch.vectors)] = batch.vectors
            done += len(batch.vectors)
        origins = [found.read.series[one.owner] for one in found.placed for _ in range(found.count(one))]
        items = [ReferenceItem(name, one.path, one.digest) for name, one in zip(found.names, origins, strict=True)]
        return Reference(items, vectors, list(found.unscored()), self, found.places)

    def describe(self) -> dict[str, Any]:
        """Say what is compared."""
        about = {"kind": self.name, "embedder": self.embedder.as_dict()}
        return {**about, "time": self.time, "id_column": self.id_column}

    @classmethod
    def restore(cls, files: Bundle, kept: Kept, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the embedder and the names of columns."""
        manifest = files.manifest
        named = manifest["time"], manifest["id_column"]
        for one in named:
            check_column_name(one)
        return cls(SeriesEmbedder.from_dict(manifest["embedder"]), *named)


def _choose_window(times: Sequence[np.ndarray[Any, Any]], step: float, window: int | None) -> tuple[int, int]:
    """Return the length of windows, as given or by the longest series, and how many points that has without a gap that
    is long for such windows."""
    chosen = LARGEST_DEFAULT if window is None else window
    while True:
        longest = max(longest_run(one, step, longest_gap(chosen)) for one in times)
        shorter = choose_window(longest)
        if window is not None or shorter >= chosen:
            return chosen, longest
        chosen = shorter


def _batches(counts: Sequence[int], at_once: int) -> Iterator[list[tuple[int, int, int]]]:
    """Cut stretches, given how many windows each has, into batches: (stretch, first window, one past the last)."""
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

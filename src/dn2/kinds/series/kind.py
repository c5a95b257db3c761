"""Windows of series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from dn2.arrays import Progress, Scores
from dn2.errors import InputError
from dn2.inputs.memory import is_series
from dn2.inputs.names import list_few
from dn2.inputs.tables import TABLE_SUFFIXES
from dn2.inputs.writing import NOTHING_SAID, Said
from dn2.kinds.batches import check_column_name, stack_vectors
from dn2.kinds.exchange import NOTHING, Batch, Belonging, Judge, ReadColumn, Reference, ReferenceItem, ScoredItems
from dn2.kinds.kind import Kind
from dn2.kinds.scoring import OpenedApart
from dn2.kinds.series import words
from dn2.kinds.series.embedder import SeriesEmbedder
from dn2.kinds.series.evidence import IntervalEvidence
from dn2.kinds.series.intervals import search_apart, search_windows, to_intervals
from dn2.kinds.series.options import SeriesOptions
from dn2.kinds.series.points import points_writer_for
from dn2.kinds.series.reading import read_series
from dn2.kinds.series.stamps import KINDS_OF_STAMPS
from dn2.kinds.series.windows import MOST_NUMBERS, MOST_WINDOWS, Windows, batches, cut_windows, place
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.rates import attainable_rate
from dn2.neighbors.steps import Steps
from dn2.neighbors.steps import Windows as WindowsStep
from dn2.store.bundle import Bundle
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows
from dn2.system.workers import each

USUAL_NEIGHBORS = 1  # a second neighbour would overlap the first and be nearly the same


@dataclass(frozen=True, repr=False)
class SeriesKind(Kind[Windows]):
    """Windows that slide over series; see `Kind`.

    time : the column of stamps; id_column : the column of the names of series; None for data without it.
    said : how numbers and dates are written; stamps : the kind of stamps, see `dn2.kinds.series.stamps`."""

    name: ClassVar[str] = "series"
    one: ClassVar[str] = "interval"
    many: ClassVar[str] = "intervals"
    options: ClassVar[type[SeriesOptions]] = SeriesOptions
    suffixes: ClassVar[frozenset[str]] = TABLE_SUFFIXES
    evidence: ClassVar[type[IntervalEvidence]] = IntervalEvidence
    nearest: ClassVar[str] = "windows"
    piped: ClassVar[str] = ".csv"
    has_false_discoveries: ClassVar[bool] = False
    embedder: SeriesEmbedder
    time: str | None = None
    id_column: str | None = None
    said: Said = NOTHING_SAID
    stamps: str | None = None

    @classmethod
    def claims(cls, inputs: Any, suffixes: frozenset[str]) -> bool:
        """See `Kind`."""
        return is_series(inputs)

    @classmethod
    def learn(
        cls, inputs: Any, options: SeriesOptions, cache: Cache | None, progress: Progress | None
    ) -> tuple[Self, Windows]:
        """Learn the time between points, the length of windows unless it is given, and the scale of columns.

        Raises InputError for a window longer than all series, ReferenceTooSmall for series that are too short."""
        read = read_series(
            inputs,
            time=options.time,
            values=options.values,
            id_column=options.id_column,
            said=options.said(),
            progress=progress,
        )
        windows, embedder = cut_windows(read, options.window)
        return cls(embedder, read.time or options.time, options.id_column, read.said, read.stamps), windows

    @property
    def brief(self) -> str:
        """See `Kind`."""
        return f"{self.embedder.window:,} points each"

    @property
    def dimension(self) -> int:
        """The length of a window's embedding."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> Windows:
        """Read series from tables or from memory.  Raises InputError unless at least one has a window."""
        names = self.embedder.columns
        read = read_series(
            inputs,
            time=self.time,
            values=names,
            id_column=self.id_column,
            model_columns=names,
            model_stamps=self.stamps,
            said=self.said,
            progress=progress,
        )
        if tuple(read.columns) != names:
            raise InputError(f"the model has the columns {', '.join(names)}, got {', '.join(read.columns)}")
        return place(read, self.embedder.window, self.embedder.step)

    def embed(self, found_items: Windows, progress: Progress | None) -> Iterator[Batch]:
        """Embed windows in order, in batches that may join many short series."""
        at_once = max(1, min(MOST_WINDOWS, MOST_NUMBERS // self.dimension))
        done, total = 0, len(found_items.places)
        for pieces in batches([found_items.count(stretch) for stretch in found_items.placed], at_once):
            parts = [self.embedder.embed(found_items.placed[number].stretch.values, *ends) for number, *ends in pieces]
            vectors = np.concatenate(parts)
            yield Batch(found_items.names[done : done + len(vectors)], {}, np.arange(len(vectors)), vectors, None)
            done += len(vectors)
            if progress is not None:
                progress(done, total)

    def embed_one(self, item: Any) -> Batch:
        """Raise InputError: the verdict on an interval takes the points around it."""
        raise InputError("score_one takes one item, and an interval needs the series around it; Model.score takes that")

    def reference(self, found_items: Windows, progress: Progress | None) -> Reference:
        """Embed the windows of normal series."""
        vectors = stack_vectors(self.embed(found_items, progress), len(found_items.names), self.dimension)
        origins = [
            found_items.read.series[placed.owner]
            for placed in found_items.placed
            for _ in range(found_items.count(placed))
        ]
        items = [
            ReferenceItem(name, series.path, series.digest)
            for name, series in zip(found_items.names, origins, strict=True)
        ]
        return Reference(items, vectors, list(found_items.unscored()), self, found_items.places)

    def steps(self, options: SeriesOptions, n: int) -> Steps:
        """See `Kind`."""
        return replace(super().steps(options, n), windows=WindowsStep(self.embedder.window))

    def usual_neighbors(self, options: SeriesOptions, n: int) -> int:
        """See `Kind`."""
        return USUAL_NEIGHBORS

    def check_rate(self, rate: float | None, found_items: Windows) -> None:
        """See `Kind`."""
        attainable_rate(rate, found_items.most_intervals, what="intervals of reference series")

    def score(
        self, judge: Judge, found_items: Windows, progress: Progress | None, belonging: Belonging = NOTHING
    ) -> ScoredItems:
        """Score the points of series, and the intervals that they form: see `Kind`."""
        near = search_windows(judge.detector, self.embed(found_items, progress))
        return to_intervals(self.embedder, judge, found_items, near, judge.calibration.p_value)

    def score_apart(
        self,
        judge: Judge,
        model: OpenedApart,
        found_items: Windows,
        progress: Progress | None,
        belonging: Belonging = NOTHING,
    ) -> ScoredItems:
        """See `Kind`.  Workers find the neighbours of windows."""
        batches = (batch.vectors for batch in self.embed(found_items, progress))
        distances, positions = zip(*each(search_apart, model, batches), strict=True)
        near = np.concatenate(distances), np.concatenate(positions)
        return to_intervals(self.embedder, judge, found_items, near, judge.calibration.p_value)

    @classmethod
    def check_points(cls, path: Path) -> None:
        """See `Kind`."""
        points_writer_for(path)

    def score_itself(self, judge: Judge, found_items: Windows) -> ScoredItems:
        """Score each interval among all of the series."""
        interval_scores = judge.calibration.scores  # of the intervals themselves

        def p_value(scores: Scores) -> Scores:
            return (len(interval_scores) - np.searchsorted(interval_scores, scores, side="left")) / len(interval_scores)

        loo = judge.detector.leave_one_out
        scored = to_intervals(self.embedder, judge, found_items, (loo.distances, loo.neighbors), p_value)
        return replace(scored, sample_size=len(interval_scores) - 1, guarantee=words.AMONG_THEMSELVES)

    @classmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See `Kind`."""
        return words.say(about)

    def remarks(self, judge: Judge) -> list[str]:
        """See `Kind`."""
        return [
            f"values: {list_few(self.embedder.columns)}",
            f"window: {words.window(self.describe())}",
            *self.assumptions(judge.calibration)[-1:],
        ]

    @property
    def columns(self) -> Sequence[ReadColumn]:
        """See `Kind`."""
        return [ReadColumn(name, "values", True) for name in self.embedder.columns]

    def assumptions(self, calibration: Calibration) -> list[str]:
        """See `Kind`."""
        return words.assumptions(calibration)

    def describe(self) -> dict[str, Any]:
        """Say which columns and windows are compared."""
        about = {"kind": self.name, "embedder": self.embedder.as_dict()}
        writing = asdict(self.said)
        return {**about, "time": self.time, "stamps": self.stamps, "id_column": self.id_column, "writing": writing}

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the embedder and the names of columns."""
        manifest = files.manifest
        column_names = manifest["time"], manifest["id_column"]
        for name in column_names:
            check_column_name(name)
        if manifest["stamps"] not in (None, *KINDS_OF_STAMPS):
            raise ValueError(f"stamps of the kind {manifest['stamps']!r:.80}")
        said = Said.from_dict(manifest["writing"])
        return cls(SeriesEmbedder.from_dict(manifest["embedder"]), *column_names, said, manifest["stamps"])

    def check_steps(self, steps: Steps) -> None:
        """See `Kind`."""
        if steps.windows != WindowsStep(self.embedder.window):
            raise ValueError("windows of another length than were compared")

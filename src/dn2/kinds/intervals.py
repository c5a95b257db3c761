"""What a model says of series: of their points, and of the intervals that these form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dn2.embedding import Progress
from dn2.kinds.kind import ReferenceItem
from dn2.kinds.series import Series, Windows
from dn2.kinds.series_rows import stamp_texts
from dn2.neighbors.blocks import Positions, Vectors, rows_at
from dn2.neighbors.conformal import Scores, mean_squared_distance
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Distances
from dn2.neighbors.windows import Line
from dn2.store.points import Points
from dn2.store.rows import Curve, Neighbor, Row

CURVES_NAMED = 3  # columns whose values are shown
LONGEST_CURVE = 200  # values; of longer windows, evenly placed ones
DIGITS = 6


class Scored(NamedTuple):
    """Rows, of which the first m are intervals; points; and the embeddings of their strangest windows, (m, d)."""

    rows: list[Row]
    points: Points
    vectors: Vectors


def search_windows(
    kind: Series, detector: KNNDetector, found: Windows, progress: Progress | None
) -> tuple[Distances, Positions]:
    """Find the neighbours of all windows of series among those of the reference."""
    parts = [detector.search(batch.vectors) for batch in kind.embed(found, progress)]
    distances, positions = zip(*parts, strict=True)
    return np.concatenate(distances), np.concatenate(positions)


def to_intervals(
    kind: Series,
    detector: KNNDetector,
    items: Sequence[ReferenceItem],
    found: Windows,
    near: tuple[Distances, Positions],
    p_value: Callable[[Scores], Scores],
) -> Scored:
    """Score the points of series, and cut them into intervals with their evidence.

    near : the distances and positions of the neighbours of all windows, (n, k) each."""
    distances, positions = near
    points, intervals = Line(found.window, found.places).scored(distances)
    strangest = _strangest(mean_squared_distance(distances), found.places, intervals.peaks, found.window)
    owners = found.owners(intervals.peaks)
    scores = points[intervals.peaks]
    first, last = found.stamps_at(intervals.starts), found.stamps_at(intervals.stops - 1)
    vectors = np.empty((len(strangest), kind.dimension), np.float32)
    rows: list[Row] = []
    for number, (window, p) in enumerate(zip(strangest.tolist(), p_value(scores).tolist(), strict=True)):
        placed = found.placed[owners[number]]
        at = int(found.places[window]) - placed.first
        vectors[number] = kind.embedder.embed(placed.stretch.values, at, at + 1)[0]
        lengths = np.sqrt(distances[window].astype(np.float64)).tolist()
        near_by = [Neighbor(items[one].name, far) for one, far in zip(positions[window], lengths, strict=True)]
        curves = _curves(kind, vectors[number], rows_at(detector.blocks_, positions[window]))
        start, end = first[number], last[number]
        name = f"{found.read.series[placed.owner].name}:{start}"
        known = float(scores[number]), p, None, tuple(near_by)
        rows.append(Row(name, *known, start=start, end=end, curves=tuple(curves)))
    rows += found.unscored()
    return Scored(rows, _points(found, points, p_value), vectors)


def _strangest(scores: Scores, places: Positions, peaks: Positions, window: int) -> Positions:
    """Return the position of the window that scores highest of those that cover each peak."""
    places = places - places[0]
    first, last = np.searchsorted(places, peaks - window, side="right"), np.searchsorted(places, peaks, side="right")
    return np.array([a + int(np.argmax(scores[a:b])) for a, b in zip(first, last, strict=True)], np.int64)


def _curves(kind: Series, vector: Any, near: Vectors) -> Iterator[Curve]:
    """Give the values of a window and of its neighbours, of the columns that make it strangest."""
    embedder = kind.embedder
    shares = embedder.by_column(vector, near)
    step = -(-embedder.window // LONGEST_CURVE)
    values = embedder.values_of(np.concatenate([vector[None], near]))[:, ::step]
    total = shares.sum()
    for number in np.argsort(-shares, kind="stable")[:CURVES_NAMED].tolist():
        own, *others = [tuple(float(f"{one:.{DIGITS}g}") for one in curve) for curve in values[:, :, number].tolist()]
        share = float(shares[number] / total) if total > 0 else 0.0
        yield Curve(embedder.columns[number], share, own, tuple(others))


def _points(found: Windows, points: Scores, p_value: Callable[[Scores], Scores]) -> Points:
    """Give each row of the series the score of its point."""
    names: list[str] = []
    times: list[str] = []
    scores: list[Scores] = []
    errors: dict[int, str] = {}
    series_of = found.read.series
    own_scores = [np.full(len(series.stamps), np.nan) for series in series_of]
    own_reasons = [np.full(len(series.stamps), found.errors.get(series.name), object) for series in series_of]
    for owner, stretch, first in found.placed:
        own_scores[owner][stretch.rows] = points[first + stretch.places]
    for owner, stretch in found.short:
        own_reasons[owner][stretch.rows] = found.too_short(stretch)
    for series, own, reasons in zip(series_of, own_scores, own_reasons, strict=True):
        stamps = np.concatenate([series.stamps, series.missing])
        reasons = np.concatenate([reasons, np.full(len(series.missing), "it lacks a value", object)])
        order = np.argsort(stamps, kind="stable")
        scores.append(np.concatenate([own, np.full(len(series.missing), np.nan)])[order])
        errors |= {len(times) + place: reason for place, reason in enumerate(reasons[order]) if reason is not None}
        times += stamp_texts(stamps[order])
        names += [series.name] * len(stamps)
    every = np.concatenate(scores)
    scored = ~np.isnan(every)
    p_values = np.full(len(every), np.nan)
    p_values[scored] = p_value(every[scored])
    return Points(names, times, every, p_values, errors)

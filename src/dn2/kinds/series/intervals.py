"""Scores of points of series, and of the intervals that these points form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dn2.arrays import Distances, Numbers, Positions, Scores, Vector, Vectors
from dn2.kinds.exchange import Batch, Judge, ScoredItems
from dn2.kinds.scoring import OpenedApart
from dn2.kinds.series.embedder import SeriesEmbedder
from dn2.kinds.series.evidence import Curve, IntervalEvidence, Surroundings
from dn2.kinds.series.points import Points
from dn2.kinds.series.stamps import stamp_texts
from dn2.kinds.series.windows import PlacedStretch, Windows
from dn2.neighbors.blocks import rows_at
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.detector import Detector
from dn2.neighbors.windows import WindowPlaces
from dn2.results.context import places_on_map
from dn2.results.rows import Neighbor, Row

CURVES_NAMED = 3  # columns whose values are shown
LONGEST_CURVE = 200  # values; longer windows are thinned out evenly
DIGITS = 6
LENGTHS_AROUND, LONGEST_AROUND = 2, 240  # windows on either side of an interval that are drawn; values of them at most


def search_windows(detector: Detector, batches: Iterable[Batch]) -> tuple[Distances, Positions]:
    """Find the neighbours of all windows among the reference windows: distances and positions, (n, k) each."""
    distances, positions = zip(*(detector.search(batch.vectors) for batch in batches), strict=True)
    return np.concatenate(distances), np.concatenate(positions)


def search_apart(model: OpenedApart, vectors: Vectors) -> tuple[Distances, Positions]:
    """Find the neighbours of some windows, in a worker."""
    return model.state.detector.search(vectors)


def to_intervals(
    embedder: SeriesEmbedder,
    judge: Judge,
    windows: Windows,
    near: tuple[Distances, Positions],
    p_value: Callable[[Scores], Scores],
) -> ScoredItems:
    """Score the points of series, and cut them into intervals with their evidence.

    near : the distances and positions of the neighbours of all windows, (n, k) each."""
    distances, positions = near
    points, intervals = WindowPlaces(windows.window, windows.places).scored(distances)
    strangest = _strangest_windows(mean_squared_distance(distances), windows.places, intervals.peaks, windows.window)
    owners = windows.owners(intervals.peaks)
    scores = points[intervals.peaks]
    first, last = windows.stamps_at(intervals.starts), windows.stamps_at(intervals.stops - 1)
    highest = windows.stamps_at(intervals.peaks)
    lows, highs = _around(windows, intervals.starts, intervals.stops, owners)
    before, behind = windows.stamps_at(lows), windows.stamps_at(highs - 1)
    on_map = set(places_on_map(len(strangest)).tolist())
    vectors: dict[int, Vector] = {}
    rows: list[Row] = []
    for number, (window, p) in enumerate(zip(strangest.tolist(), p_value(scores).tolist(), strict=True)):
        placed = windows.placed[owners[number]]
        at = int(windows.places[window]) - placed.first
        vector = embedder.embed(placed.stretch.values, at, at + 1)[0]
        if number in on_map:
            vectors[number] = vector
        lengths = np.sqrt(distances[window].astype(np.float64)).tolist()
        near_by = zip(positions[window], lengths, strict=True)
        neighbors = tuple(Neighbor(judge.items[position].name, far) for position, far in near_by)
        curves = tuple(_curves(embedder, vector, rows_at(judge.detector.blocks, positions[window])))
        start, end = first[number], last[number]
        values = _thinned(placed, lows[number], highs[number], embedder.columns.index(curves[0].column))
        around = Surroundings(before[number], behind[number], values)
        evidence = IntervalEvidence(start, end, curves, highest[number], around)
        name = f"{windows.read.series[placed.owner].name}:{start}"
        rows.append(Row(name, float(scores[number]), p, None, neighbors, evidence=evidence))
    rows += windows.unscored()
    return ScoredItems(
        rows, vectors, points=_points_of_windows(windows, points, p_value), counted="intervals to compare with"
    )


def _around(windows: Windows, starts: Positions, stops: Positions, owners: Positions) -> tuple[Positions, Positions]:
    """Return where the surroundings of intervals begin and end on the line, within their stretches: (n,) each."""
    firsts = np.array([placed.first for placed in windows.placed])[owners]
    ends = firsts + np.array([len(placed.stretch.values) for placed in windows.placed])[owners]
    beside = LENGTHS_AROUND * windows.window
    return np.maximum(firsts, starts - beside), np.minimum(ends, stops + beside)


def _thinned(placed: PlacedStretch, low: int, high: int, column: int) -> Numbers:
    """Return the values of a column of a stretch between two points on the line, evenly thinned out: (p,)."""
    values = placed.stretch.values[low - placed.first : high - placed.first, column]
    chosen = np.linspace(0, len(values) - 1, min(LONGEST_AROUND, len(values)))
    thinned: Numbers = values[np.rint(chosen).astype(int)]
    return thinned


def _strangest_windows(scores: Scores, places: Positions, peaks: Positions, window: int) -> Positions:
    """Return, for each peak, the position of the highest-scoring window that covers it."""
    places = places - places[0]
    first, last = np.searchsorted(places, peaks - window, side="right"), np.searchsorted(places, peaks, side="right")
    return np.array([a + int(np.argmax(scores[a:b])) for a, b in zip(first, last, strict=True)], np.int64)


def _curves(embedder: SeriesEmbedder, vector: Vector, near: Vectors) -> Iterator[Curve]:
    """Give the values of a window and of its neighbours in the columns that make it strangest."""
    shares = embedder.by_column(vector, near)
    step = -(-embedder.window // LONGEST_CURVE)
    values = embedder.values_of(np.concatenate([vector[None], near]))[:, ::step]
    total = shares.sum()
    for number in np.argsort(-shares, kind="stable")[:CURVES_NAMED].tolist():
        curve_of_window, *curves_of_neighbors = [
            tuple(float(f"{value:.{DIGITS}g}") for value in curve) for curve in values[:, :, number].tolist()
        ]
        share = float(shares[number] / total) if total > 0 else 0.0
        yield Curve(embedder.columns[number], share, curve_of_window, tuple(curves_of_neighbors))


def _points_of_windows(windows: Windows, points: Scores, p_value: Callable[[Scores], Scores]) -> Points:
    """Give each row of the series the score of its point."""
    names: list[str] = []
    times: list[str] = []
    scores: list[Scores] = []
    errors: dict[int, str] = {}
    series_of = windows.read.series
    scores_by_series = [np.full(len(series.stamps), np.nan) for series in series_of]
    reasons_by_series = [np.full(len(series.stamps), windows.errors.get(series.name), object) for series in series_of]
    for owner, stretch, first in windows.placed:
        scores_by_series[owner][stretch.rows] = points[first + stretch.places]
    for owner, stretch in windows.short:
        reasons_by_series[owner][stretch.rows] = windows.too_short(stretch)
    for series, scores_of_series, reasons in zip(series_of, scores_by_series, reasons_by_series, strict=True):
        stamps = np.concatenate([series.stamps, series.missing])
        reasons = np.concatenate([reasons, np.full(len(series.missing), "it lacks a value", object)])
        order = np.argsort(stamps, kind="stable")
        scores.append(np.concatenate([scores_of_series, np.full(len(series.missing), np.nan)])[order])
        errors |= {len(times) + place: reason for place, reason in enumerate(reasons[order]) if reason is not None}
        times += stamp_texts(stamps[order])
        names += [series.name] * len(stamps)
    all_scores = np.concatenate(scores)
    scored = ~np.isnan(all_scores)
    p_values = np.full(len(all_scores), np.nan)
    p_values[scored] = p_value(all_scores[scored])
    return Points(names, times, all_scores, p_values, errors)

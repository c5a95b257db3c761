"""Scoring: items to rows, through a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dn2.embedding import Progress
from dn2.evidence import ScoredItems, places_on_map
from dn2.kinds.intervals import search_windows, to_intervals
from dn2.kinds.kind import Batch, Found
from dn2.kinds.series import Series, Windows
from dn2.neighbors.blocks import Positions
from dn2.neighbors.conformal import Scores, false_discoveries, mean_squared_distance
from dn2.neighbors.exact import Distances
from dn2.store.results import Results
from dn2.store.rows import Neighbor, Row

if TYPE_CHECKING:
    from dn2.model import Model
    from dn2.state import State

AMONG_THEMSELVES = [
    "The series are compared with themselves, each window with those that do not overlap it.",
    "A p-value is the share of all intervals that score as high. A rate therefore flags that share of them, whatever "
    "they are: it ranks intervals, and does not say that any is an anomaly.",
]


def score_items(model: Model, now: State, found: Found, progress: Progress | None) -> Results:
    """Score items by what a model is now, and decide nothing yet."""
    if isinstance(now.kind, Series) and isinstance(found, Windows):
        near = search_windows(now.kind, now.detector, found, progress)
        return _intervals(model, now, found, near, now.calibration.p_value, now.calibration.sample_size)
    evidence = ScoredItems(model, now.calibration, now.kind.files(found), places_on_map(len(found.names)))
    rows: list[Row] = []
    for batch in now.kind.embed(found, progress):
        evidence.keep(len(rows) + batch.places, batch.vectors)
        rows += _rows(now, batch)
    return Results(rows, None, now.calibration.sample_size, evidence)


def score_reference(model: Model, found: Found) -> Results:
    """Score the series that a model was fitted on, each interval among all of them, and decide nothing yet."""
    now = model.state
    assert isinstance(found, Windows)
    known = now.calibration.scores  # those of the intervals themselves

    def p_value(scores: Scores) -> Scores:
        return (len(known) - np.searchsorted(known, scores, side="left")) / len(known)

    loo = now.detector.leave_one_out_
    near = loo.distances, loo.neighbors
    return _intervals(model, now, found, near, p_value, len(known) - 1, AMONG_THEMSELVES)


def _intervals(
    model: Model,
    now: State,
    found: Windows,
    near: tuple[Distances, Positions],
    p_value: Callable[[Scores], Scores],
    sample_size: int,
    guarantee: Sequence[str] = (),
) -> Results:
    assert isinstance(now.kind, Series)
    scored = to_intervals(now.kind, now.detector, now.items, found, near, p_value)
    evidence = ScoredItems(model, now.calibration, None, places_on_map(len(scored.vectors)), guarantee=guarantee)
    evidence.keep(np.arange(len(scored.vectors)), scored.vectors)
    return Results(scored.rows, None, sample_size, evidence, points=scored.points)


def discover(results: Results, level: float) -> Results:
    """Decide all rows together at a false-discovery rate."""
    readable = [row for row in results if row.p_value is not None]
    flagged = iter(false_discoveries(np.array([row.p_value for row in readable]), level))
    rows = [row if row.p_value is None else replace(row, is_anomaly=bool(next(flagged))) for row in results]
    return replace(results, rows=rows, false_discovery_rate=level)


def _rows(now: State, batch: Batch) -> Iterator[Row]:
    if len(batch.vectors):
        distances, positions = now.detector.search(batch.vectors)
    else:
        k = int(now.detector.n_neighbors)
        distances, positions = np.empty((0, k), np.float32), np.empty((0, k), np.int64)
    scores = mean_squared_distance(distances)
    lengths = np.sqrt(distances.astype(np.float64))
    found = zip(scores, now.calibration.p_value(scores), lengths, positions, strict=True)
    explained = now.kind.explain(now.detector, batch, distances, positions)
    for place, (name, more) in enumerate(zip(batch.names, explained, strict=True)):
        if place in batch.errors:
            yield Row(name, error=batch.errors[place], **more)
            continue
        score, p_value, apart, near = next(found)
        neighbors = tuple(Neighbor(now.items[one].name, float(far)) for far, one in zip(apart, near, strict=True))
        yield Row(name, float(score), float(p_value), None, neighbors, **more)

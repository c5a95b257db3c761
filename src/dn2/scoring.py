"""Scoring: items to rows, through a model."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dn2.embedding import Progress
from dn2.errors import InputError
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

DEVIATIONS = 3.0  # beyond which a number is not by chance

AMONG_THEMSELVES = [
    "The series are compared with themselves, each window with those that do not overlap it.",
    "A p-value is the share of all intervals that score as high. A rate therefore flags that share of them, whatever "
    "they are: it ranks intervals, and does not say that any is an anomaly.",
]


def score_items(model: Model, now: State, found: Found, progress: Progress | None) -> Results:
    """Score items by what a model is now, and decide nothing yet."""
    size = now.calibration.sample_size
    if isinstance(now.kind, Series) and isinstance(found, Windows):
        near = search_windows(now.kind, now.detector, found, progress)
        results = _intervals(model, now, found, near, now.calibration.p_value, size)
        return replace(results, reference_items=_at_distance_zero(now, results.rows))
    evidence = ScoredItems(model, now.calibration, now.kind.files(found), places_on_map(len(found.names)))
    rows: list[Row] = []
    known = Counter(item.sha256 for item in now.items if item.sha256)
    again: Counter[str] = Counter()
    for batch in now.kind.embed(found, progress):
        evidence.keep(len(rows) + batch.places, batch.vectors)
        again.update(digest for digest in batch.digests if digest in known)
        rows += _rows(now, batch)
    n_known = max((known & again).total(), _at_distance_zero(now, rows))
    return Results(rows, None, size, evidence, reference_items=n_known)


def _at_distance_zero(now: State, rows: Sequence[Row]) -> int:
    """Count the rows that lie at distance 0 of a reference item; 0 if they may be so many by chance, because that many
    reference items are copies of others, too."""
    n = sum(row.error is None for row in rows)
    at_zero = sum(bool(row.neighbors) and row.neighbors[0].distance == 0 for row in rows)
    nearest = now.detector.leave_one_out_.distances[:, 0]
    share = float((nearest == 0).mean())
    deviation = math.sqrt(share * (1 - share) * n * (1 + n / len(nearest)))
    return at_zero if at_zero > share * n + DEVIATIONS * deviation else 0


def check_apart(normal: Found, anomalous: Found) -> None:
    """Raise InputError for a file that is to be both normal and anomalous."""
    real = [{os.path.realpath(path) for path in set(found.paths) if path} for found in (normal, anomalous)]
    if both := real[0] & real[1]:
        raise InputError(
            f"an item is either normal or anomalous, and {min(both)!r} is given as both ({len(both):,} such in all); "
            "leave it out of one of them"
        )


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

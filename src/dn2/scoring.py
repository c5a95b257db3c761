"""Scoring: items to rows, through a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dn2.embedding import Progress
from dn2.evidence import ScoredItems, places_on_map
from dn2.kinds.kind import Batch, Found
from dn2.neighbors.conformal import false_discoveries, mean_squared_distance
from dn2.store.results import Neighbor, Results, Row

if TYPE_CHECKING:
    from dn2.model import Model


def score_items(model: Model, found: Found, progress: Progress | None) -> Results:
    """Score items, and decide nothing yet."""
    evidence = ScoredItems(model, model.kind.files(found), places_on_map(len(found.names)))
    rows: list[Row] = []
    for batch in model.kind.embed(found, progress):
        evidence.keep(len(rows) + batch.places, batch.vectors)
        rows += _rows(model, batch)
    return Results(rows, None, model.calibration.sample_size, evidence)


def discover(results: Results, level: float) -> Results:
    """Decide all rows together at a false-discovery rate."""
    readable = [row for row in results if row.p_value is not None]
    flagged = iter(false_discoveries(np.array([row.p_value for row in readable]), level))
    rows = [row if row.p_value is None else replace(row, is_anomaly=bool(next(flagged))) for row in results]
    return replace(results, rows=rows, false_discovery_rate=level)


def _rows(model: Model, batch: Batch) -> Iterator[Row]:
    if len(batch.vectors):
        distances, positions = model.detector.search(batch.vectors)
    else:
        k = int(model.detector.n_neighbors)
        distances, positions = np.empty((0, k), np.float32), np.empty((0, k), np.int64)
    scores = mean_squared_distance(distances)
    lengths = np.sqrt(distances.astype(np.float64))
    found = zip(scores, model.calibration.p_value(scores), lengths, positions, strict=True)
    explained = model.kind.explain(model.detector, batch, distances, positions)
    for place, (name, more) in enumerate(zip(batch.names, explained, strict=True)):
        if place in batch.errors:
            yield Row(name, error=batch.errors[place], **more)
            continue
        score, p_value, apart, near = next(found)
        neighbors = tuple(Neighbor(model.items[one].name, float(far)) for far, one in zip(apart, near, strict=True))
        yield Row(name, float(score), float(p_value), None, neighbors, **more)

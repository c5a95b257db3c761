"""Scoring: items to rows, through a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dn2.embed.pipeline import Embedded
from dn2.embedding import Progress, Vectors, embed, unreadable_members
from dn2.evidence import ScoredItems, places_on_map
from dn2.inputs.files import Item
from dn2.neighbors.conformal import false_discoveries, mean_squared_distance
from dn2.neighbors.exact import Positions
from dn2.neighbors.groups import Pooling
from dn2.store.results import Member, Neighbor, Results, Row

if TYPE_CHECKING:
    from dn2.model import Model

QUERIES_AT_ONCE = 1024
MEMBERS_NAMED = 10


def score_items(model: Model, items: Sequence[Item], progress: Progress | None) -> Results:
    """Score items, and decide nothing yet."""
    evidence = ScoredItems(model, items, places_on_map(len(items)))
    embedded = embed(model.embedder, items, pooling=model.pooling)
    pairs = zip(items, _watched(embedded, len(items), progress), strict=True)
    rows: list[Row] = []
    while batch := _batch(pairs):
        evidence.keep(len(rows), [one.vector for _, one in batch])
        rows += _rows(model, batch)
    return Results(rows, None, model.calibration.sample_size, evidence)


def discover(results: Results, level: float) -> Results:
    """Decide all rows together at a false-discovery rate."""
    readable = [row for row in results if row.p_value is not None]
    flagged = iter(false_discoveries(np.array([row.p_value for row in readable]), level))
    rows = [row if row.p_value is None else replace(row, is_anomaly=bool(next(flagged))) for row in results]
    return replace(results, rows=rows, false_discovery_rate=level)


def _rows(model: Model, batch: Sequence[tuple[Item, Embedded]]) -> Iterator[Row]:
    vectors = [one.vector for _, one in batch if one.vector is not None]
    found = zip(*_search(model, np.stack(vectors)), strict=True) if vectors else iter(())
    for item, one in batch:
        if one.vector is None:
            members = None if model.pooling is None else unreadable_members(item, one)
            yield Row(item.name, error=one.error, members=members)
            continue
        score, p_value, distances, positions = next(found)
        neighbors = tuple(
            Neighbor(model.items[position].name, float(distance))
            for distance, position in zip(distances, positions, strict=True)
        )
        members = None if model.pooling is None else _members(model, model.pooling, item, one, positions)
        yield Row(item.name, float(score), float(p_value), None, neighbors, members=members)


def _members(model: Model, pooling: Pooling, item: Item, one: Embedded, positions: Positions) -> tuple[Member, ...]:
    """List the members that pull a group away from its neighbors most, then those that could not be read."""
    readable = [
        (member.name, embedded.vector)
        for member, embedded in zip(item.members or (), one.members, strict=True)
        if embedded.vector is not None
    ]
    members = np.stack([vector for _, vector in readable])
    shares = pooling.shares(members, model.detector.compared_with(pooling.pool(members), positions))
    most = np.argsort(-shares, kind="stable")[:MEMBERS_NAMED]
    named = [Member(readable[place][0], float(shares[place])) for place in most]
    return (*named, *unreadable_members(item, one))


def _search(model: Model, vectors: Vectors) -> tuple[Any, Any, Any, Any]:
    distances, positions = model.detector.search(vectors)
    scores = mean_squared_distance(distances)
    return scores, model.calibration.p_value(scores), np.sqrt(distances.astype(np.float64)), positions


def _batch(pairs: Iterator[tuple[Item, Embedded]]) -> list[tuple[Item, Embedded]]:
    """Take items for one search: so many, or groups with so many members together."""
    batch: list[tuple[Item, Embedded]] = []
    files = 0
    while files < QUERIES_AT_ONCE and (pair := next(pairs, None)) is not None:
        batch.append(pair)
        files += max(1, len(pair[1].members))
    return batch


def _watched(embedded: Iterable[Embedded], total: int, progress: Progress | None) -> Iterator[Embedded]:
    for done, one in enumerate(embedded, 1):
        yield one
        if progress is not None:
            progress(done, total)

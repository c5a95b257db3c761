"""Exact nearest neighbours: matrix products propose candidates, direct distances decide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import faiss
import numpy as np

from dn2.neighbors.blocks import Block, Positions, Vectors, first_positions, rows_at

Distances = np.ndarray[Any, np.dtype[np.float32]]
Keys = np.ndarray[Any, np.dtype[np.uint64]]

QUERIES_AT_ONCE = 16_384  # for short rows faiss turns to matrix products, three times as fast, only with thousands
SPARE_CANDIDATES = 8
MOST_CANDIDATES = 256  # beyond this, comparing with everything directly is no slower
DISTANCES_AT_ONCE = 1 << 22
GATHERED_AT_ONCE = 1 << 21  # numbers of rows that must be decoded: they stay in the processor's cache
REACH_ROUNDED = 1.01  # a share by which no direct distance is off


class ExactIndex:
    """The k nearest rows by squared L2, provably, with ties broken by position.

    blocks : the reference set; arrays of shape (n_i, d), C-contiguous float32 (memory maps too), are searched in place.
        A position counts through all of them.

    Distances expanded as |x|^2 + |y|^2 - 2xy are fast, but off by rounding: a copy would not lie at distance 0.
    They only propose candidates; the distances returned are computed directly, pair by pair, and so depend on
    nothing but the pair.  A query whose candidates cannot be shown to contain its neighbours gets more of them."""

    def __init__(self, blocks: Sequence[Block | Vectors]) -> None:
        self.blocks = [block if isinstance(block, Block) else Block(block) for block in blocks]
        self.starts = first_positions(self.blocks)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def search(self, queries: Vectors, k: int, exclude: Positions | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest reference rows of each query.

        queries : (n_queries, d) float32, C-contiguous.
        exclude : (n_queries,) the position that is no neighbour of each query, for leave-one-out.
        Returns squared L2 distances and positions, both (n_queries, k), nearest first.  k must not exceed the
        number of rows (less the excluded one)."""
        distances = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            excluded = None if exclude is None else exclude[part]
            distances[part], positions[part] = self._search(queries[part], k, excluded)
        return distances, positions

    def _search(self, queries: Vectors, k: int, exclude: Positions | None) -> tuple[Distances, Positions]:
        distances = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        rows = np.arange(len(queries))
        count = k + (exclude is not None) + SPARE_CANDIDATES
        while len(rows) and count <= min(MOST_CANDIDATES, len(self) - 1):
            some = queries if len(rows) == len(queries) else queries[rows]
            candidates, floor = self._propose(some, count)
            near = self._nearest(some, candidates, k, None if exclude is None else exclude[rows])
            proven = near[0][:, -1] < floor - self._rounding_error(some, near[0][:, -1])
            distances[rows[proven]], positions[rows[proven]] = near[0][proven], near[1][proven]
            rows, count = rows[~proven], 8 * count
        if len(rows):
            excluded = None if exclude is None else exclude[rows]
            distances[rows], positions[rows] = self._compare_with_all(queries[rows], k, excluded)
        return distances, positions

    def _propose(self, queries: Vectors, count: int) -> tuple[Positions, Distances]:
        """Return (n, count) candidates and, per query, a distance (rounded) that nothing else is nearer than."""
        distances = np.empty((len(queries), 0), np.float32)
        positions = np.empty((len(queries), 0), np.int64)
        for start, rows in self._parts():
            near, ids = faiss.knn(queries, rows, min(count, len(rows)))
            distances = np.concatenate([distances, near], axis=1)
            positions = np.concatenate([positions, ids + start], axis=1)
            if distances.shape[1] > count:
                best = np.argpartition(distances, count - 1, axis=1)[:, :count]
                distances = np.take_along_axis(distances, best, axis=1)
                positions = np.take_along_axis(positions, best, axis=1)
        return positions, distances.max(axis=1)

    def _nearest(
        self, queries: Vectors, candidates: Positions, k: int, exclude: Positions | None
    ) -> tuple[Distances, Positions]:
        distances = self.distances(queries, candidates)
        if exclude is not None:
            distances[candidates == exclude[:, None]] = np.inf
        return nearest_first(distances, candidates, k)

    def _compare_with_all(self, queries: Vectors, k: int, exclude: Positions | None) -> tuple[Distances, Positions]:
        """Search by direct distances alone, for queries with too many neighbours about equally near."""
        best = np.full((len(queries), k), ~np.uint64(0))
        for start, block in self._parts():
            ids = np.arange(len(block), dtype=np.int64)
            open_ = np.flatnonzero(_unpacked(best[:, -1])[0] != 0)  # k copies at lower positions stay the nearest
            step = max(1, DISTANCES_AT_ONCE // max(1, len(block)))
            for rows in (open_[at : at + step] for at in range(0, len(open_), step)):
                distances = direct(queries[rows], block, np.tile(ids, (len(rows), 1)))
                if exclude is not None:
                    own = exclude[rows] - start
                    inside = (own >= 0) & (own < len(block))
                    distances[inside, own[inside]] = np.inf
                keys = np.concatenate([best[rows], _keys(distances, ids + start)], axis=1)
                best[rows] = np.partition(keys, k - 1, axis=1)[:, :k]
        return _unpacked(np.sort(best, axis=1))

    def distances(self, queries: Vectors, positions: Positions) -> Distances:
        """Compute squared L2 distances directly.

        queries : (n, d); positions : (n, m), the rows to compare each query with, -1 for none.
        Returns (n, m) float32, infinite for none."""
        queries = np.ascontiguousarray(queries)
        if all(block.in_place is not None for block in self.blocks):
            return self._distances_in_place(queries, positions)
        distances = np.empty(positions.shape, np.float32)
        step = max(1, GATHERED_AT_ONCE // max(1, positions.shape[1] * queries.shape[1]))
        for some in (slice(start, start + step) for start in range(0, len(queries), step)):
            wanted = np.unique(positions[some])
            wanted = wanted[wanted >= 0]
            places = np.where(positions[some] < 0, -1, np.searchsorted(wanted, positions[some]))
            distances[some] = direct(queries[some], rows_at(self.blocks, wanted), places)
        return distances

    def _distances_in_place(self, queries: Vectors, positions: Positions) -> Distances:
        distances = np.full(positions.shape, np.inf, np.float32)
        for start, rows in self._parts():
            inside = (positions >= start) & (positions < start + len(rows))
            part = direct(queries, rows, np.where(inside, positions - start, -1))
            distances[inside] = part[inside]
        return distances

    def _parts(self) -> Iterator[tuple[int, Vectors]]:
        """Iterate over (first position, rows) of the whole set."""
        for block, start in zip(self.blocks, self.starts.tolist(), strict=False):
            for place, rows in block.parts():
                yield start + place, rows

    def _rounding_error(self, queries: Vectors, nearest: Distances) -> Distances:
        """Bound the error of an expanded distance, and of a direct one: d roundings each, of terms that sum to at
        most (|q| + |x|)^2; and what underflows.

        nearest : (n,) the squared distance of each query's k-th neighbour; a row longer than it and |q| reach is
        farther away."""
        dimension = queries.shape[1]
        own = np.sqrt(_squared_lengths(queries))
        reach = np.float32(REACH_ROUNDED) * (own + np.sqrt(nearest))
        lengths = own + np.minimum(reach, np.float32(self._longest))
        error: Distances = (dimension + 8) * np.float32(2.0**-23) * lengths**2 + np.finfo(np.float32).tiny
        return error

    @cached_property
    def _longest(self) -> float:
        return math.sqrt(max((_squared_lengths(rows).max() for _, rows in self._parts()), default=0.0))


def direct(queries: Vectors, block: Vectors, ids: Positions) -> Distances:
    """Compute the squared L2 distances of each query, (n, d), to some rows of a block, (n, m); id -1 gives infinity."""
    distances = np.empty(ids.shape, np.float32)
    faiss.fvec_L2sqr_by_idx(
        faiss.swig_ptr(distances),
        faiss.swig_ptr(queries),
        faiss.swig_ptr(block),
        faiss.swig_ptr(ids),
        queries.shape[1],
        *ids.shape,
    )
    return distances


def nearest_first(distances: Distances, positions: Positions, k: int) -> tuple[Distances, Positions]:
    """Choose the k nearest of some candidates of each query, (n, m) distances and positions: both (n, k), ascending,
    ties broken by position."""
    return _unpacked(np.sort(_keys(distances, positions), axis=1)[:, :k])


def _keys(distances: Distances, positions: Positions) -> Keys:
    """Pack distances and positions (below 2^32) into integers that compare as the pairs do."""
    keys: Keys = distances.view(np.uint32).astype(np.uint64) << np.uint64(32) | positions.astype(np.uint64)
    return keys


def _unpacked(keys: Keys) -> tuple[Distances, Positions]:
    positions = (keys & np.uint64(2**32 - 1)).astype(np.int64)
    return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32), positions


def _squared_lengths(vectors: Vectors) -> Distances:
    lengths = np.empty(len(vectors), np.float32)
    faiss.fvec_norms_L2sqr(faiss.swig_ptr(lengths), faiss.swig_ptr(vectors), vectors.shape[1], len(vectors))
    return lengths

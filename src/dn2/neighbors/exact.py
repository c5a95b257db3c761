"""Exact nearest neighbours: matrix products propose candidates, direct distances decide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import faiss
import numpy as np

Vectors = np.ndarray[Any, np.dtype[np.float32]]
Distances = np.ndarray[Any, np.dtype[np.float32]]
Positions = np.ndarray[Any, np.dtype[np.int64]]

QUERIES_AT_ONCE = 4096
SPARE_CANDIDATES = 8
MOST_CANDIDATES = 256  # beyond this, comparing with everything directly is no slower
DISTANCES_AT_ONCE = 1 << 24


class ExactIndex:
    """The k nearest rows by squared L2, provably, with ties broken by position.

    blocks : the reference set as arrays of shape (n_i, d), C-contiguous float32 (memory maps too), searched in
        place; a position counts through all of them.

    Distances expanded as |x|^2 + |y|^2 - 2xy are fast, but off by rounding: a copy would not lie at distance 0.
    They only propose candidates; the distances returned are computed directly, pair by pair, and so depend on
    nothing but the pair.  A query whose candidates cannot be shown to contain its neighbours gets more of them."""

    def __init__(self, blocks: Sequence[Vectors]) -> None:
        self.blocks = list(blocks)
        self.starts = np.concatenate([[0], np.cumsum([len(block) for block in self.blocks])]).astype(np.int64)

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
            some = queries[rows]
            candidates, floor = self._propose(some, count)
            near = self._nearest(some, candidates, k, None if exclude is None else exclude[rows])
            proven = near[0][:, -1] < floor - self._rounding_error(some)
            distances[rows[proven]], positions[rows[proven]] = near[0][proven], near[1][proven]
            rows, count = rows[~proven], 8 * count
        everything = np.arange(len(self), dtype=np.int64)
        step = max(1, DISTANCES_AT_ONCE // max(1, len(self)))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            candidates = np.tile(everything, (len(part), 1))
            excluded = None if exclude is None else exclude[part]
            distances[part], positions[part] = self._nearest(queries[part], candidates, k, excluded)
        return distances, positions

    def _propose(self, queries: Vectors, count: int) -> tuple[Positions, Distances]:
        """Return (n, count) candidates and, per query, a distance (rounded) that nothing else is nearer than."""
        found = [faiss.knn(queries, block, min(count, len(block))) for block in self.blocks]
        distances = np.concatenate([distance for distance, _ in found], axis=1)
        starts = self.starts[:-1]
        positions = np.concatenate([ids + start for (_, ids), start in zip(found, starts, strict=True)], axis=1)
        best = np.argpartition(distances, count - 1, axis=1)[:, :count]
        floor = np.take_along_axis(distances, best, axis=1).max(axis=1)
        return np.take_along_axis(positions, best, axis=1), floor

    def _nearest(
        self, queries: Vectors, candidates: Positions, k: int, exclude: Positions | None
    ) -> tuple[Distances, Positions]:
        distances = self.distances(queries, candidates)
        if exclude is not None:
            distances[candidates == exclude[:, None]] = np.inf
        order = np.lexsort((candidates, distances), axis=-1)[:, :k]
        return np.take_along_axis(distances, order, axis=1), np.take_along_axis(candidates, order, axis=1)

    def distances(self, queries: Vectors, positions: Positions) -> Distances:
        """Compute squared L2 distances directly.

        queries : (n, d); positions : (n, m), the rows to compare each query with.  Returns (n, m) float32."""
        distances = np.full(positions.shape, np.inf, np.float32)
        queries = np.ascontiguousarray(queries)
        for block, start in zip(self.blocks, self.starts[:-1], strict=True):
            inside = (positions >= start) & (positions < start + len(block))
            ids = np.where(inside, positions - start, -1)
            part = np.empty_like(distances)
            faiss.fvec_L2sqr_by_idx(
                faiss.swig_ptr(part),
                faiss.swig_ptr(queries),
                faiss.swig_ptr(block),
                faiss.swig_ptr(ids),
                queries.shape[1],
                *positions.shape,
            )
            distances[inside] = part[inside]
        return distances

    def _rounding_error(self, queries: Vectors) -> Distances:
        """Bound the error of an expanded distance: d roundings of terms no larger than (|q| + |x|)^2."""
        dimension = queries.shape[1]
        lengths = np.sqrt(_squared_lengths(queries)) + self._longest
        error: Distances = (dimension + 8) * np.float32(2.0**-23) * lengths**2
        return error

    @cached_property
    def _longest(self) -> float:
        return math.sqrt(max((_squared_lengths(block).max() for block in self.blocks), default=0.0))


def _squared_lengths(vectors: Vectors) -> Distances:
    lengths = np.empty(len(vectors), np.float32)
    faiss.fvec_norms_L2sqr(faiss.swig_ptr(lengths), faiss.swig_ptr(vectors), vectors.shape[1], len(vectors))
    return lengths

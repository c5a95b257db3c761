"""Exact nearest neighbours: matrix products propose candidates, direct distances decide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import faiss
import numpy as np

from dn2.arrays import Distances, Flags, Positions, Vectors
from dn2.neighbors.blocks import Block, first_positions, rows_at
from dn2.neighbors.search.candidates import Candidates
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.threads import spread
from dn2.system.processes import cached_property

Keys = np.ndarray[Any, np.dtype[np.uint64]]

QUERIES_AT_ONCE = 16_384  # for short rows faiss turns to matrix products, three times as fast, only with thousands
ONE_BY_ONE = 128_000  # numbers of queries: up to as many, faiss compares them one by one as well, and on one core each
SPARE_CANDIDATES = 8
MOST_CANDIDATES = 256  # beyond this, comparing with everything directly is no slower
DISTANCES_AT_ONCE = 1 << 22
GATHERED_AT_ONCE = 1 << 22  # numbers of rows that are copied: most of them in the cache, and many of each block
COMPARED_AT_ONCE = 1 << 19  # numbers of rows that are decoded: each thread's stay in the processor's cache
FEW_EXCLUDED = 16  # rows that may be among the candidates; more are kept from them, which takes longer for each pair
FEW_BLOCKS = 4  # more are not gone through for each query
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

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query: see `Index.search`."""
        distances = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            distances[part], positions[part] = self._search(queries[part], k, _of(excluded, part))
        return distances, positions

    def _search(self, queries: Vectors, k: int, excluded: Excluded | None) -> tuple[Distances, Positions]:
        distances = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        rows = np.arange(len(queries))
        never = excluded if excluded is not None and excluded.most > FEW_EXCLUDED else None
        count = k + SPARE_CANDIDATES + (0 if excluded is None or never is not None else excluded.most)
        while not _few(len(rows), queries.shape[1]) and count <= min(MOST_CANDIDATES, len(self) - 1):
            asked = queries if len(rows) == len(queries) else queries[rows]
            candidates, floor = self._propose(asked, count, _of(never, rows))
            near, at, proven = self.nearest_of(candidates, floor, asked, k, _of(excluded, rows))
            distances[rows[proven]], positions[rows[proven]] = near[proven], at[proven]
            rows, count = rows[~proven], 8 * count
        if len(rows):
            distances[rows], positions[rows] = self._compare_with_all(queries[rows], k, _of(excluded, rows))
        return distances, positions

    def _propose(self, queries: Vectors, count: int, never: Excluded | None) -> tuple[Positions, Distances]:
        """Return (n, count) candidates and, per query, a distance (rounded) that all other rows reach at least.

        never : rows of each query that are none of its candidates, nor count among the others."""
        if never is not None:
            candidates = Candidates(queries, count, never)
            for start, rows in self._parts():
                candidates.compare_all(rows, start)
            return candidates.positions, candidates.floor
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

    def nearest_of(
        self, candidates: Positions, floor: Distances, queries: Vectors, k: int, excluded: Excluded | None
    ) -> tuple[Distances, Positions, Flags]:
        """Find the k nearest of each query's candidates, and whether they are shown to be the nearest of all.

        candidates : (n_queries, m) positions; floor : (n_queries,) the distance that all other rows reach at least, as
        matrix products compute it.  Returns distances and positions, (n_queries, k), and (n_queries,) bool."""
        distances = self.distances(queries, candidates)
        if excluded is not None:
            distances[excluded.holds(candidates)] = np.inf
        near, positions = nearest_first(distances, candidates, k)
        return near, positions, near[:, -1] < floor - self._rounding_error(queries, near[:, -1])

    def _compare_with_all(self, queries: Vectors, k: int, excluded: Excluded | None) -> tuple[Distances, Positions]:
        """Search by direct distances alone: for few queries, or queries with many neighbours about equally near."""
        best = np.full((len(queries), k), ~np.uint64(0))
        for start, block in zip(self.starts.tolist(), self.blocks, strict=False):
            open_ = np.flatnonzero(unpacked(best[:, -1])[0] != 0)  # k copies at lower positions stay the nearest
            step = max(1, DISTANCES_AT_ONCE // max(1, len(block)))
            for rows in (open_[at : at + step] for at in range(0, len(open_), step)):
                distances = to_all(queries[rows], block)
                if excluded is not None:
                    places = np.arange(start, start + len(block), dtype=np.int64)
                    distances[excluded[rows].holds(places[None])] = np.inf
                keys = np.concatenate([best[rows], _least_keys(distances, start, k)], axis=1)
                best[rows] = np.partition(keys, k - 1, axis=1)[:, :k]
        return unpacked(np.sort(best, axis=1))

    def distances(self, queries: Vectors, positions: Positions) -> Distances:
        """Compute squared L2 distances directly.

        queries : (n, d); positions : (n, m), the rows to compare each query with, or -1.
        Returns (n, m) float32, infinite for -1."""
        queries = np.ascontiguousarray(queries)
        if len(self.blocks) <= FEW_BLOCKS and all(block.in_place is not None for block in self.blocks):
            return self._distances_in_place(queries, positions)
        distances = np.empty(positions.shape, np.float32)
        step = max(1, GATHERED_AT_ONCE // max(1, positions.shape[1] * queries.shape[1]))

        def compare(part: slice) -> None:
            wanted, places = np.unique(positions[part], return_inverse=True)
            absent = np.searchsorted(wanted, 0)
            rows = rows_at(self.blocks, wanted[absent:])
            distances[part] = direct(
                queries[part], rows, np.maximum(places.reshape(-1, positions.shape[1]) - absent, -1)
            )

        spread(compare, [slice(start, start + step) for start in range(0, len(queries), step)])
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


def _of(excluded: Excluded | None, queries: slice | Positions) -> Excluded | None:
    return None if excluded is None else excluded[queries]


def _few(queries: int, dimension: int) -> bool:
    """Say whether comparing so many queries with everything directly is no slower than what faiss would do."""
    return queries * dimension <= ONE_BY_ONE and queries <= max(1, dimension // 4)


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


def to_all(queries: Vectors, block: Block) -> Distances:
    """Compute the squared L2 distances of each query, (n, d), to all rows of a block, (m, d), directly: (n, m)."""
    if block.in_place is not None:
        return _to_rows(queries, block.in_place)
    distances = np.empty((len(queries), len(block)), np.float32)

    def compare(part: slice) -> None:
        distances[:, part] = _to_rows(queries, block.rows(part.start, part.stop))

    step = max(1, COMPARED_AT_ONCE // block.dimension)
    spread(compare, [slice(start, min(start + step, len(block))) for start in range(0, len(block), step)])
    return distances


def _to_rows(queries: Vectors, rows: Vectors) -> Distances:
    """Let the threads share the rows, each of which is read once for all queries: what takes the time is reading."""
    each = np.tile(np.arange(len(queries), dtype=np.int64), (len(rows), 1))
    return np.ascontiguousarray(direct(rows, queries, each).T)  # (a - b)^2 and (b - a)^2 round alike


def nearest_first(distances: Distances, positions: Positions, k: int) -> tuple[Distances, Positions]:
    """Choose the k nearest of some candidates of each query, (n, m) distances and positions: both (n, k), ascending,
    ties broken by position."""
    keys = pack(distances, positions)
    nearest = np.partition(keys, k - 1, axis=1)[:, :k] if keys.shape[1] > k else keys
    return unpacked(np.sort(nearest, axis=1))


def pack(distances: Distances, positions: Positions) -> Keys:
    """Pack distances and positions (below 2^32) into integers that compare as the pairs do."""
    keys: Keys = distances.view(np.uint32).astype(np.uint64) << np.uint64(32) | positions.astype(np.uint64)
    return keys


def _least_keys(distances: Distances, start: int, k: int) -> Keys:
    """Return the keys of the rows as near as each query's k-th nearest among consecutive rows, (n, m) distances; the
    rest of a row is filled with the largest of keys."""
    kth = np.partition(distances, k - 1, axis=1)[:, k - 1 : k] if k < distances.shape[1] else np.float32(np.inf)
    queries, places = np.nonzero(distances <= kth)
    counts = np.bincount(queries, minlength=len(distances))
    keys = np.full((len(distances), counts.max(initial=0)), ~np.uint64(0))
    slots = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys[queries, slots] = pack(distances[queries, places], places + start)
    return keys


def unpacked(keys: Keys) -> tuple[Distances, Positions]:
    """Return the distances and positions that `pack` made keys of."""
    positions = (keys & np.uint64(2**32 - 1)).astype(np.int64)
    return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32), positions


def _squared_lengths(vectors: Vectors) -> Distances:
    lengths = np.empty(len(vectors), np.float32)
    faiss.fvec_norms_L2sqr(faiss.swig_ptr(lengths), faiss.swig_ptr(vectors), vectors.shape[1], len(vectors))
    return lengths

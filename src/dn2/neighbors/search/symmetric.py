"""All rows of a set among each other, each pair compared once."""

from __future__ import annotations

import threading
from itertools import combinations, count

import faiss
import numpy as np

from dn2.arrays import Distances, Positions, Progress, Vectors
from dn2.neighbors.search.exact import SPARE_CANDIDATES, ExactIndex, is_excluded
from dn2.neighbors.threads import spread

TILE = 1024  # rows: a tile of their distances, 4 MB, stays in the processor's cache


def search_all(
    index: ExactIndex, rows: Vectors, k: int, exclude: Positions | None = None, progress: Progress | None = None
) -> tuple[Distances, Positions]:
    """Find the k nearest rows of each row among all others, as `ExactIndex.search` does, in half the time.

    rows : (n, d) float32, C-contiguous: all of the index.
    exclude : (n, 2) of each row the first position, and the one past the last, that is excluded from its neighbours,
        its own among them; of any two rows each excludes the other, or neither does.
    progress : called with the share of the work that is done, in rows, and the number of rows.
    Returns squared L2 distances and positions, both (n, k), nearest first."""
    own = np.arange(len(rows), dtype=np.int64)
    candidates = _Candidates(rows, min(k + 1 + SPARE_CANDIDATES, len(rows)), exclude)
    exclude = own if exclude is None else exclude
    starts = range(0, len(rows), TILE)
    # Each tile with itself comes first: then every row has near candidates, and few rows of other tiles are nearer.
    tiles = [*((start, start) for start in starts), *combinations(starts, 2)]
    done = count(1)

    def compare(tile: tuple[int, int]) -> None:
        candidates.compare(tile)
        if progress is not None:
            progress(next(done) * len(rows) // len(tiles), len(rows))

    spread(compare, tiles)
    distances, positions, proven = index.nearest_of(candidates.positions, candidates.floor, rows, k, exclude)
    unproven = np.flatnonzero(~proven)
    if len(unproven):
        distances[unproven], positions[unproven] = index.search(rows[unproven], k, exclude[unproven])
    return distances, positions


class _Candidates:
    """The nearest rows of each row found so far, itself among them, by distances as matrix products compute them.

    exclude : see `search_all`; an excluded row never becomes a candidate.
    distances, positions : (n, count), heaps of which the farthest comes first."""

    def __init__(self, rows: Vectors, count: int, exclude: Positions | None) -> None:
        self.distances = np.empty((len(rows), count), np.float32)
        self.positions = np.empty((len(rows), count), np.int64)
        self._rows = rows
        self._exclude = exclude
        self._adding = threading.Lock()
        self._heaps = faiss.float_maxheap_array_t()
        self._heaps.nh, self._heaps.k = len(rows), count
        self._heaps.val, self._heaps.ids = faiss.swig_ptr(self.distances), faiss.swig_ptr(self.positions)
        self._heaps.heapify()

    @property
    def floor(self) -> Distances:
        """The distance that all rows beside the candidates reach at least, (n,)."""
        return self.distances[:, 0].copy()

    def compare(self, starts: tuple[int, int]) -> None:
        """Compare the rows of two tiles, for both of them; or the rows of a tile among each other."""
        start, other = starts
        tile = _products(self._rows[start : start + TILE], self._rows[other : other + TILE])
        if self._exclude is not None and self._exclude[start : start + TILE, 1].max() > other:
            columns = np.arange(other, other + tile.shape[1], dtype=np.int64)
            tile[is_excluded(columns[None], self._exclude[start : start + TILE])] = np.inf
        with self._adding:
            self._heaps.addn(tile.shape[1], faiss.swig_ptr(tile), other, start, len(tile))
        if other != start:
            self._add_columns(tile, start, other)

    def _add_columns(self, tile: Distances, start: int, other: int) -> None:
        """Add a tile's rows to the candidates of its columns: the few that are nearer than the farthest candidate."""
        floor = self.distances[other : other + tile.shape[1], 0]
        places, columns = np.divmod(np.flatnonzero(tile < floor.copy()), tile.shape[1])
        order = np.argsort(columns, kind="stable")
        places, columns = places[order], columns[order]
        distinct, firsts, counts = np.unique(columns, return_index=True, return_counts=True)
        slots = np.arange(len(columns)) - np.repeat(firsts, counts)
        numbers = np.repeat(np.arange(len(distinct)), counts)
        distances = np.full((len(distinct), counts.max(initial=0)), np.inf, np.float32)
        positions = np.full(distances.shape, -1, np.int64)
        distances[numbers, slots] = tile[places, columns]
        positions[numbers, slots] = places + start
        subset = distinct + other
        with self._adding:
            self._heaps.addn_query_subset_with_ids(
                len(subset),
                faiss.swig_ptr(subset),
                distances.shape[1],
                faiss.swig_ptr(distances),
                faiss.swig_ptr(positions),
                distances.shape[1],
            )


def _products(rows: Vectors, others: Vectors) -> Distances:
    """Compute the squared distances of all rows, (n, d), to all others, (m, d), by a matrix product: (n, m)."""
    distances = np.empty((len(rows), len(others)), np.float32)
    faiss.pairwise_L2sqr(
        rows.shape[1],
        len(rows),
        faiss.swig_ptr(rows),
        len(others),
        faiss.swig_ptr(others),
        faiss.swig_ptr(distances),
    )
    return distances

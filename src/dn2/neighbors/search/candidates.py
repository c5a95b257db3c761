"""Rows that matrix products propose as neighbours, tile by tile."""

from __future__ import annotations

import threading
from itertools import product

import faiss
import numpy as np

from dn2.arrays import Distances, Vectors
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.threads import spread

TILE = 1024  # rows: a tile of their distances, 4 MB, stays in the processor's cache


class Candidates:
    """The nearest rows of each query found so far, by distances as matrix products compute them.

    queries : (n, d); excluded : what never becomes a candidate of each query.
    distances, positions : (n, count), heaps of which the farthest comes first."""

    def __init__(self, queries: Vectors, count: int, excluded: Excluded | None) -> None:
        self.distances = np.empty((len(queries), count), np.float32)
        self.positions = np.empty((len(queries), count), np.int64)
        self._queries = queries
        self._excluded = excluded
        self._adding = threading.Lock()
        self._heaps = faiss.float_maxheap_array_t()
        self._heaps.nh, self._heaps.k = len(queries), count
        self._heaps.val, self._heaps.ids = faiss.swig_ptr(self.distances), faiss.swig_ptr(self.positions)
        self._heaps.heapify()

    @property
    def floor(self) -> Distances:
        """The distance that all rows beside the candidates reach at least, (n,)."""
        return self.distances[:, 0].copy()

    def compare_all(self, rows: Vectors, first: int) -> None:
        """Compare all queries with consecutive rows, of which the first lies at some position."""

        def compare(starts: tuple[int, int]) -> None:
            start, other = starts
            self.compare(start, rows[other : other + TILE], first + other)

        spread(compare, list(product(range(0, len(self._queries), TILE), range(0, len(rows), TILE))))

    def compare(self, start: int, rows: Vectors, first: int) -> Distances:
        """Compare the queries of a tile with rows of another, and return their distances, infinite for those excluded.

        start : of the queries; first : the position of the first row."""
        part = slice(start, start + TILE)
        tile = _products(self._queries[part], rows)
        if self._excluded is not None:
            _exclude(tile, self._excluded[part], first)
        with self._adding:
            self._heaps.addn(tile.shape[1], faiss.swig_ptr(tile), first, start, len(tile))
        return tile

    def add_columns(self, tile: Distances, start: int, other: int) -> None:
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


def _exclude(tile: Distances, excluded: Excluded, first: int) -> None:
    """Put what the queries of a tile exclude infinitely far away; first : the position of its first row."""
    ranks = excluded.ranks_of(np.arange(first, first + tile.shape[1], dtype=np.int64))
    if ranks.min() < excluded.spans[:, 1].max() and ranks.max() >= excluded.spans[:, 0].min():
        tile[excluded.holds(np.arange(first, first + tile.shape[1], dtype=np.int64)[None])] = np.inf


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

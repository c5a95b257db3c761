"""Some rows in place of the reference items, of which many may be alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from dn2.arrays import Distances, Positions, Vectors
from dn2.neighbors.blocks import Block
from dn2.neighbors.search.cells import CellIndex, CellSearch
from dn2.neighbors.search.exact import ExactIndex, nearest_first
from dn2.neighbors.search.excluded import Excluded

CANDIDATES_AT_ONCE = 1 << 22
WORDS_AT_ONCE = 1 << 20


class SelectedIndex:
    """The k nearest of rows that stand for reference items.

    rows : (m, d) float32; positions : (m,) the reference item that each row is or stands for.
    cells : see `CellIndex`; by default the search is exact.

    Copies of a row are searched as one: a table may hold one row a hundred thousand times."""

    def __init__(self, rows: Vectors, positions: Positions, cells: CellSearch | None = None) -> None:
        self._positions = positions
        self._order, self._starts = group_copies(rows)
        firsts = self._order[self._starts[:-1]]
        distinct = rows if len(firsts) == len(rows) else rows[firsts]
        self._index = ExactIndex([distinct]) if cells is None else CellIndex([Block(distinct)], cells)

    def __len__(self) -> int:
        return len(self._positions)

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query: see `Index.search`; positions, those that are excluded as well, are of
        reference items, and ties are broken by the order of the rows."""
        of_rows = None if excluded is None else excluded.ranked(excluded.ranks_of(self._positions))
        of_distinct, more = (None, 0) if of_rows is None else self._of_distinct(of_rows)
        # Of the nearest rows, each has a first copy that is nearer or comes earlier: so many distinct ones hold them,
        # and as many more as have a first copy that is excluded.
        distances, groups = self._search(queries, k, more, of_distinct)
        copies = min(k + (0 if of_rows is None else of_rows.most), int(np.diff(self._starts).max()))
        step = max(1, CANDIDATES_AT_ONCE // (groups.shape[1] * copies))
        parts = [
            self._nearest(distances[part], groups[part], copies, k, None if of_rows is None else of_rows[part])
            for part in (slice(start, start + step) for start in range(0, max(1, len(queries)), step))
        ]
        near, places = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
        return near, self._positions[places]

    def _search(self, queries: Vectors, k: int, more: int, excluded: Excluded | None) -> tuple[Distances, Positions]:
        """Find the k nearest distinct rows, and so many more where there are as many."""
        n = len(self._index)
        if isinstance(self._index, CellIndex):
            return self._index.search(queries, min(k, n), excluded, min(k + more, n))
        return self._index.search(queries, min(k + more, n), excluded)

    def _of_distinct(self, excluded: Excluded) -> tuple[Excluded, int]:
        """Return which distinct rows are excluded, that is, all copies of them; and how many others there are, at most
        for a query, of which the first copy is.

        excluded : of the rows."""
        ranks, starts = excluded.ranks_of(self._order), self._starts[:-1]
        between = np.searchsorted(np.unique(excluded.spans), ranks, side="right")  # no query tells equal ones apart
        together = np.minimum.reduceat(between, starts) == np.maximum.reduceat(between, starts)
        of_distinct = excluded.ranked(np.where(together, ranks[starts], len(ranks)))
        return of_distinct, excluded.ranked(ranks[starts[~together]]).most

    def _nearest(
        self, distances: Distances, groups: Positions, copies: int, k: int, excluded: Excluded | None
    ) -> tuple[Distances, Positions]:
        """Choose among the first copies of the nearest distinct rows."""
        if copies == 1 and excluded is None:
            return distances, self._order[self._starts[groups]]
        at = self._starts[groups][:, :, None] + np.arange(copies)
        there = at < self._starts[groups + 1][:, :, None]
        places = self._order[np.where(there, at, 0)].reshape(len(groups), groups.shape[1] * copies)
        there = there.reshape(places.shape)
        if excluded is not None:
            there &= ~excluded.holds(places)
        far = np.where(there, np.repeat(distances, copies, axis=1), np.float32(np.inf))
        return nearest_first(far, places, k)


def group_copies(rows: Vectors) -> tuple[Positions, Positions]:
    """Bring together rows, (m, d), that are equal bit for bit.

    Returns (m,) places of the rows, group by group, ascending within each, and (g + 1,) where the groups start; groups
    come in the order of their first rows."""
    hashes = _hashes(rows)
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    apart = np.flatnonzero(same)  # neighbours in that order with one hash: nearly always copies, but that is checked
    same[apart] = [rows[a].tobytes() == rows[b].tobytes() for a, b in zip(order[apart], order[apart + 1], strict=True)]
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    sizes = np.diff(np.append(starts, len(rows)))
    by_first = np.argsort(order[starts], kind="stable")
    members = np.repeat(starts[by_first] - np.cumsum(sizes[by_first]) + sizes[by_first], sizes[by_first])
    return order[members + np.arange(len(rows))], np.concatenate([[0], np.cumsum(sizes[by_first])])


def _hashes(rows: Vectors) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a number for each row, equal for equal ones and rarely so for others."""
    words = rows.view(np.uint32)
    generator = np.random.default_rng(0)
    factors = generator.integers(1 << 63, size=words.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    step = max(1, WORDS_AT_ONCE // words.shape[1])
    parts = [words[start : start + step].astype(np.uint64) @ factors for start in range(0, len(words), step)]
    hashes: np.ndarray[Any, np.dtype[np.uint64]] = np.concatenate(parts)
    return hashes

"""Which rows are no neighbours of which query: its own, those that overlap it, or those of its group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Flags, Positions

Groups = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class Excluded:
    """What each query of a search excludes.

    spans : (q, 2) of each query the first excluded row, and the one past the last, in an order of the rows; both are
        -1 where it leaves nothing out, and equal where what it leaves out is none of the rows.
    ranks : (n,) the place of each row in that order, where rows that no query excludes may share the last one; None
        where it is that of positions, as for windows of series, of which a window excludes those that overlap it."""

    spans: Positions
    ranks: Positions | None = None

    @classmethod
    def own(cls, positions: Positions) -> Self:
        """Exclude of each query the row at its own position, (q,); -1 excludes none."""
        spans: Positions = np.stack([positions, positions + (positions >= 0)], axis=1)
        return cls(spans)

    @classmethod
    def of_groups(cls, groups: Groups, wanted: Groups) -> Self:
        """Exclude of each query all rows of its group.

        groups : (n,) the key of each row; wanted : (q,) the key of each query; one that no row has excludes none."""
        keys = np.unique(wanted)
        places = np.searchsorted(keys, groups).clip(max=max(0, len(keys) - 1))
        there = np.flatnonzero(keys[places] == groups) if len(keys) else np.empty(0, np.int64)
        members = there[np.argsort(places[there], kind="stable")]
        ranks = np.full(len(groups), len(members), np.int64)
        ranks[members] = np.arange(len(members))
        ends = np.searchsorted(places[members], np.arange(len(keys) + 1)).astype(np.int64)
        of_query = np.searchsorted(keys, wanted)
        spans = np.stack([ends[of_query], ends[of_query + 1]], axis=1)
        spans[spans[:, 0] == spans[:, 1]] = -1
        return cls(spans, ranks)

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, queries: slice | Positions | Flags) -> Self:
        return type(self)(self.spans[queries], self.ranks)

    @property
    def leaves_out(self) -> Flags:
        """Whether each query leaves something out, (q,), be it one of the rows or not."""
        leaves_out: Flags = self.spans[:, 0] >= 0
        return leaves_out

    @property
    def most(self) -> int:
        """How many rows a query excludes, at most."""
        return int((self.spans[:, 1] - self.spans[:, 0]).max(initial=0))

    def holds(self, positions: Positions) -> Flags:
        """Tell which rows, (q, m) or (1, m) positions, are excluded of each query: (q, m); -1 is no row."""
        ranks = self.ranks_of(positions)
        held: Flags = (ranks >= self.spans[:, :1]) & (ranks < self.spans[:, 1:])
        return held

    def ranks_of(self, positions: Positions) -> Positions:
        """Return the places of rows in the order that spans are of, -1 for -1."""
        return positions if self.ranks is None else np.where(positions < 0, -1, self.ranks[positions])

    def within(self, first: int, last: int) -> Self:
        """Return the same for the rows from one position to before another alone."""
        if self.ranks is not None:
            return type(self)(self.spans, self.ranks[first:last])
        inside = (self.spans - first).clip(0, last - first)
        return type(self)(np.where(self.spans < 0, -1, inside))

    def ranked(self, ranks: Positions) -> Self:
        """Return the same for other rows, of which each has some place in the order, (m,), or shares it."""
        order = np.argsort(ranks, kind="stable")
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        spans = np.searchsorted(ranks[order], self.spans).astype(np.int64)
        return type(self)(np.where(self.spans < 0, -1, spans), places)

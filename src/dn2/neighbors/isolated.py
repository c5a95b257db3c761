"""Rows that lie alone, far from all others: the only ones of a set that are no kind of their own, however rare."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Distances, Flags, Positions, Scores, Vectors
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded

NEIGHBORS = 3

# A row is far out whose squared distance is beyond the upper quartile by three times the distance between the
# quartiles, of logarithms, for distances are skewed; and by this factor at least, for distances may hardly differ.
FAR_OUT = 3.0
FAR_OUT_AT_LEAST = 4.0


class Isolation:
    """The rows, (n, d) float32, of a contaminated set, which decide which of them, and which other items, lie alone.

    A row lies alone that is far out, and none of whose nearest rows is.  Where most rows far out have others near that
    are far out as well, these are a kind that is spread wider than the others, and no row lies alone.

    alone : (n,) bool, the rows that do.
    neighbors : (n, 3) positions of the nearest other rows; none where there are no more than three rows.
    Source: far out, Tukey, 1977."""

    def __init__(self, rows: Vectors) -> None:
        self._index = ExactIndex([rows])
        self.alone = np.zeros(len(rows), bool)
        self.neighbors = np.empty((len(rows), 0), np.int64)
        self._far, self._limit = self.alone, np.inf
        if len(rows) <= NEIGHBORS:
            return
        own = Excluded.own(np.arange(len(rows), dtype=np.int64))
        distances, self.neighbors = self._index.search(rows, NEIGHBORS, own)
        limit = _limit(mean_squared_distance(distances))
        self._far = mean_squared_distance(distances) > limit
        alone = self._lie_alone(distances, self.neighbors, limit)
        if 2 * alone.sum() > self._far.sum():
            self.alone, self._limit = alone, limit

    def exclude(self, queries: Vectors) -> Flags:
        """Tell which other items, (n, d), lie alone: (n,) bool."""
        if not self.alone.any() or not len(queries):
            return np.zeros(len(queries), bool)
        return self._lie_alone(*self._index.search(queries, NEIGHBORS), self._limit)

    def _lie_alone(self, distances: Distances, neighbors: Positions, limit: float) -> Flags:
        flags: Flags = (mean_squared_distance(distances) > limit) & ~self._far[neighbors].any(axis=1)
        return flags


def _limit(scores: Scores) -> float:
    """Return the score, a squared distance, beyond which one of (n,) is far out; none is where copies have no scale."""
    quarter, three_quarters = np.quantile(scores, [0.25, 0.75]).tolist()
    if quarter <= 0:
        return np.inf
    return float(three_quarters * max((three_quarters / quarter) ** FAR_OUT, FAR_OUT_AT_LEAST))

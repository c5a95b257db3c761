"""Exact nearest neighbours of short rows: a kd-tree proposes candidates, direct distances decide."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Distances, Positions, Vectors
from dn2.neighbors.search.exact import SPARE_CANDIDATES, ExactIndex, nearest_first
from dn2.neighbors.search.excluded import Excluded

FEW_EXCLUDED = 64  # rows that may be among the candidates; with more, all rows are compared


class KDTreeIndex:
    """The k nearest rows by squared L2, the same as `ExactIndex` finds, for rows of few columns.

    rows : (n, d) float32, C-contiguous.  scikit-learn's tree keeps a copy of them in float64.

    The tree's distances are more precise than the direct ones in float32, which decide between rows about equally far
    away: a query whose candidates cannot be shown to contain its neighbours is compared with all rows."""

    def __init__(self, rows: Vectors) -> None:
        from sklearn.neighbors import KDTree

        self._tree = KDTree(rows)
        self._exact = ExactIndex([rows])
        # Twice what d roundings of 2^-24 do to a sum of squares, roundings in float64 among them; and what underflows.
        self._rounding = (2 * rows.shape[1] + 16) * 2.0**-24
        self._vanishing = (rows.shape[1] + 1) * float(np.finfo(np.float32).tiny)

    def __len__(self) -> int:
        return len(self._exact)

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query: see `Index.search`."""
        most = 0 if excluded is None else excluded.most
        count = k + most + SPARE_CANDIDATES
        if not len(queries) or count >= len(self) or most > FEW_EXCLUDED:
            return self._exact.search(queries, k, excluded)
        reached, candidates = self._tree.query(queries, count)
        distances = self._exact.distances(queries, candidates)
        if excluded is not None:
            distances[excluded.holds(candidates)] = np.inf
        near = nearest_first(distances, candidates, k)
        open_ = near[0][:, -1] >= reached[:, -1] ** 2 * (1 - self._rounding) - self._vanishing
        if open_.any():
            left_out = None if excluded is None else excluded[open_]
            near[0][open_], near[1][open_] = self._exact.search(queries[open_], k, left_out)
        return near

"""Approximate nearest neighbours: only the cells of a set that lie nearest to the query are searched."""

from __future__ import annotations

import faiss
import numpy as np

from dn2.neighbors.blocks import Positions, Vectors
from dn2.neighbors.conformal import Scores
from dn2.neighbors.exact import SPARE_CANDIDATES, Distances, ExactIndex, nearest_first

# What is asked of the search: this share of the neighbours found, of so many rows of those learnt from, or a quarter.
RECALL = 0.999
TRIED = 1_000

CELL_ROWS = 64  # that teach one cell
ITERATIONS = 10


class CellIndex:
    """The k nearest rows in the cells whose centres lie nearest to the query; their distances are exact.

    rows : (m, d) float32; centres : (C, d) float32, each row belongs to the cell of its nearest one.
    n_searched : how many cells are searched.

    Given the centres, another row can only bring the neighbours that are found closer, as in an exact search: so
    leave-one-out scores through the same search calibrate."""

    def __init__(self, rows: Vectors, centres: Vectors, n_searched: int) -> None:
        d = rows.shape[1]
        self._exact = ExactIndex([rows])
        self._quantizer = faiss.IndexFlatL2(d)
        self._quantizer.add(centres)
        self._cells = faiss.IndexIVFFlat(self._quantizer, d, len(centres))
        self._cells.is_trained = True
        self._cells.add(rows)
        self.n_searched = n_searched

    def __len__(self) -> int:
        return len(self._exact)

    def search(self, queries: Vectors, k: int) -> tuple[Distances, Positions]:
        """Find near rows of each query, (n, d): squared L2 distances and positions, (n, k), nearest first.

        A query that finds fewer than k in its cells is compared with all."""
        self._cells.nprobe = self.n_searched
        _, candidates = self._cells.search(queries, k + SPARE_CANDIDATES)
        near = nearest_first(self._exact.distances(queries, candidates), candidates.clip(min=0), k)
        if (few := (candidates >= 0).sum(axis=1) < k).any():
            near[0][few], near[1][few] = self._exact.search(queries[few], k)
        return near


def find_cells(rows: Vectors, k: int) -> tuple[Vectors, Scores]:
    """Learn cells from rows, (n, d), in random order, and how many must be searched for k neighbours.

    Returns the centres, (C, d), and (2,): that number, and the share of the k nearest that it finds of a part of the
    rows among the others.  No centres where half of the cells do not find enough."""
    queries, others = np.split(rows, [min(TRIED, len(rows) // 4)])
    if not (len(queries) and len(others) > k):
        return np.empty((0, rows.shape[1]), np.float32), np.empty(0)
    count = min(len(rows) // 2, 1 << round(np.log2(2 * np.sqrt(len(rows)))))
    learnt = faiss.Kmeans(
        rows.shape[1], count, niter=ITERATIONS, seed=0, max_points_per_centroid=CELL_ROWS, min_points_per_centroid=1
    )
    learnt.train(rows)
    exact = ExactIndex([others]).search(queries, k)[0][:, -1:]
    index = CellIndex(others, learnt.centroids, 1)
    while 2 * index.n_searched <= count:
        recall = float((index.search(queries, k)[0] <= exact).mean())
        if recall >= RECALL:
            return learnt.centroids, np.array([index.n_searched, recall])
        index.n_searched *= 2
    return np.empty((0, rows.shape[1]), np.float32), np.empty(0)

"""Learning cells, and how many of them are to be searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Self

import faiss
import numpy as np

from dn2.arrays import Distances, Flags, Positions, Vector, Vectors
from dn2.neighbors.blocks import Block, rows_at, size_of, thinned
from dn2.neighbors.search.accuracy import Accuracy, choose_tried, recalls_of, with_strange_queries
from dn2.neighbors.search.cells import BITS, LEVELS, ROWS_AT_ONCE, CellIndex, CellSearch, Effort, Reduction
from dn2.neighbors.search.exact import SPARE_CANDIDATES, ExactIndex, nearest_first
from dn2.neighbors.search.excluded import Excluded

CELL_ROWS = 64  # that teach one cell
ITERATIONS = 10

# Longer rows are compared in a space of so many dimensions first, of which each takes half a byte.
REDUCED_FROM, REDUCED_TO = 256, 192
REDUCTION_ROWS = 20_000  # that teach it

CANDIDATES = (25, 50, 100, 150, 200, 300, 400)  # how many rows of the reduced space may be compared in full
FIRST_SEARCHED = 64  # the share of the cells that is tried first, as 1 / share
# What comparing a row in full takes, in rows compared in the reduced space, where it need not be decoded and where it
# must be; measured.
COMPARED_COST, DECODED_COST = 150, 600
NOT_MEASURED = Accuracy(0.0, 0.0, 1.0, 1.0)
WITHIN_REACH = 0.998  # share of the rows


class _Sample(NamedTuple):
    """Queries that tell what a search finds.

    own : what each excludes; kinds : see `Accuracy.of`; exact : (n, k) the distances that an exact search finds."""

    queries: Vectors
    own: Excluded
    kinds: Positions
    exact: Distances

    @classmethod
    def of(cls, rows: Vectors, own: Excluded, k: int, exact: ExactIndex) -> Self:
        """Take rows, and make queries that are unlike them."""
        queries, kinds = with_strange_queries(rows)
        spans = np.full((len(queries), 2), -1)
        spans[: len(rows)] = own.spans
        own = replace(own, spans=spans)
        return cls(queries, own, kinds, exact.search(queries, k, own)[0])

    def at(self, chosen: Flags) -> _Sample:
        """Take some of the queries only."""
        return _Sample(self.queries[chosen], self.own[chosen], self.kinds[chosen], self.exact[chosen])


def find_cells(
    blocks: Sequence[Block],
    learning: Positions,
    k: int,
    recall: float,
    excluded: Excluded | None = None,
    n: int | None = None,
) -> CellSearch | None:
    """Learn cells from rows of a set at some positions, in random order, and how to search them for k neighbours.

    excluded : what is excluded from the neighbours of each row of the set; by default only itself.
    recall : share of the k nearest to be found, measured with a sample of these rows among all of them, and with
        queries of several kinds that are unlike them; the smallest share counts.
    n : how many rows will be searched; by default those of the set.
    Returns None where searching half of the cells, or all cells of long rows, does not find enough."""
    tried = choose_tried(learning)
    if not len(tried) or len(learning) <= max(k + 1, LEVELS):
        return None
    cells = _learn(blocks, learning, k)
    if len(cells.centres) < 2:
        return None
    rest = np.setdiff1d(np.arange(size_of(blocks)), learning)
    known = thinned(blocks, rest)  # how many cells are searched must not depend on the rows that calibrate
    own = Excluded.own(tried) if excluded is None else excluded[tried]
    own = own.ranked(own.ranks_of(np.sort(learning)))
    index = CellIndex(known, cells)
    sample = _Sample.of(rows_at(blocks, tried), own, k, index.exact)
    is_far = index.are_far(sample.queries)
    near, far = (_probe(index, sample.at(chosen), recall) for chosen in (~is_far, is_far))
    if near is None:
        return None
    found = sample.exact.copy()
    found[~is_far] = near[1]
    if far is not None:  # else far queries are compared with all rows
        found[is_far] = far[1]
    # Among more rows than were learnt from, as many more seem to be as near.
    more = 1 if cells.reduction is None else (size_of(blocks) if n is None else n) / len(learning)
    return replace(
        cells,
        near=near[0].times(more),
        far=None if far is None else far[0].times(more),
        accuracy=Accuracy.of(sample.exact, found, sample.kinds),
    )


def _learn(blocks: Sequence[Block], learning: Positions, k: int) -> CellSearch:
    dimension = blocks[0].dimension
    wide = dimension > REDUCED_FROM
    # A cell costs as much as some hundred of the few bits of long rows, and as a few short rows.
    count = min(len(learning) // 2, 1 << round(np.log2((1 if wide else 2) * np.sqrt(len(learning)))))
    directions = _find_directions(rows_at(blocks, learning[:REDUCTION_ROWS])) if wide else None
    teaching = learning[: CELL_ROWS * count]
    parts = (rows_at(blocks, teaching[at : at + ROWS_AT_ONCE]) for at in range(0, len(teaching), ROWS_AT_ONCE))
    rows = np.concatenate([part if directions is None else np.ascontiguousarray(part @ directions.T) for part in parts])
    means = faiss.Kmeans(
        rows.shape[1], count, niter=ITERATIONS, seed=0, max_points_per_centroid=CELL_ROWS, min_points_per_centroid=1
    )
    means.train(rows)
    nearest, cells = ExactIndex([means.centroids]).search(rows, 1)
    distances, of_cell = nearest[:, 0], cells[:, 0]
    sizes = np.bincount(of_cell, minlength=count)
    # Else a query might find too few, which must not depend on the rows that calibrate.
    kept = sizes > k
    reduction = None
    if directions is not None:
        mean = rows_at(blocks, learning[:REDUCTION_ROWS]).mean(axis=0, dtype=np.float64).astype(np.float32)
        reduction = Reduction(directions, _find_levels(rows[:REDUCTION_ROWS]), mean)
        parts = (rows_at(blocks, teaching[at : at + ROWS_AT_ONCE]) for at in range(0, len(teaching), ROWS_AT_ONCE))
        distances = distances + np.concatenate([reduction.lost(part) for part in parts])
    reach = _find_reach(distances, of_cell, count)[kept]
    return CellSearch(np.ascontiguousarray(means.centroids[kept]), reach, reduction, Effort(1, 1), None, NOT_MEASURED)


def _find_reach(distances: Distances, of_cell: Positions, count: int) -> Vector:
    """Return within which squared distance of each centre nearly all rows of its cell lie: (count,).

    distances, of_cell : (n,) the squared distance of each row to its centre, and which that is.
    It is the mean square of the cell, times as much as it takes for all cells alike."""
    squares = np.bincount(of_cell, distances, minlength=count) / np.maximum(np.bincount(of_cell, minlength=count), 1)
    own = squares[of_cell]
    times = np.divide(distances, own, out=np.ones(len(own)), where=own > 0)
    reach: Vector = (squares * np.quantile(times, WITHIN_REACH)).astype(np.float32)
    return reach


def _find_directions(rows: Vectors) -> Vectors:
    """Learn the main directions of rows, (n, d), turned so that each is about as long: (r, d)."""
    _, directions = np.linalg.eigh(np.cov(rows, rowvar=False))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(REDUCED_TO, REDUCED_TO)))[0]
    turned: Vectors = np.ascontiguousarray((directions[:, -REDUCED_TO:] @ turn).T, np.float32)
    return turned


def _find_levels(rows: Vectors) -> Vectors:
    """Learn the levels that each number of rows, (n, r), is rounded to: (r, 16)."""
    quantizer = faiss.ProductQuantizer(rows.shape[1], rows.shape[1], BITS)
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(rows)
    levels: Vectors = faiss.vector_to_array(quantizer.centroids).reshape(-1, LEVELS)
    return levels


def _probe(index: CellIndex, sample: _Sample, recall: float) -> tuple[Effort, Distances] | None:
    """Choose how many cells to search and candidates to compare: the least work that finds enough of each kind of
    queries.  Returns the distances found as well, (n, k)."""
    n, cells, k = len(index), len(index.cells.centres), sample.exact.shape[1]
    reduced = index.cells.reduction is not None
    counts = sorted({max(count, k + SPARE_CANDIDATES) for count in CANDIDATES} if reduced else {k + SPARE_CANDIDATES})
    best, least = None, np.inf
    cost = COMPARED_COST if index.exact.blocks[0].stored.dtype == np.float32 else DECODED_COST
    n_searched = max(1, cells // FIRST_SEARCHED) if reduced else 1
    # To scan all bits of a set pays, to compare with half of its rows does not.
    while n_searched <= cells // (1 if reduced else 2):
        scanned = n_searched * n / cells
        if scanned + cost * counts[0] >= least or not len(sample.queries):
            break
        candidates = index.candidates(sample.queries, counts[-1], n_searched, sample.own)
        distances = index.exact.distances(sample.queries, candidates)
        for count in counts:
            if (work := scanned + cost * count) >= least:
                break
            found = nearest_first(distances[:, :count], candidates[:, :count].clip(min=0), k)[0]
            if min(recalls_of(sample.exact, found, sample.kinds)) >= recall:
                best, least = (Effort(n_searched, count), found), work
        n_searched = 2 * n_searched if not reduced else n_searched + max(1, 2 * n_searched // 5)
    return best

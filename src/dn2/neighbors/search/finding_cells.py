"""Learning cells, and how many of them are to be searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import faiss
import numpy as np

from dn2.arrays import Distances, Positions, Vectors
from dn2.neighbors.blocks import Block, rows_at, size_of, thinned
from dn2.neighbors.search.accuracy import Accuracy, choose_tried, recall_of
from dn2.neighbors.search.cells import BITS, LEVELS, ROWS_AT_ONCE, CellIndex, CellSearch, Reduction
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
NOT_MEASURED = Accuracy(0.0, 1.0, 1.0)


def find_cells(
    blocks: Sequence[Block], learning: Positions, k: int, recall: float, excluded: Excluded | None = None
) -> CellSearch | None:
    """Learn cells from rows of a set at some positions, in random order, and how to search them for k neighbours.

    excluded : what is excluded from the neighbours of each row of the set; by default only itself.
    recall : share of the k nearest to be found, measured with a sample of these rows among all of them and, of long
        rows, with points halfway between two of them as well; the smaller share counts.
    Returns None where searching half of the cells, or all cells of long rows, does not find enough."""
    tried = choose_tried(learning)
    if not len(tried) or len(learning) <= max(k + 1, LEVELS):
        return None
    cells = _learn(blocks, learning, k)
    if len(cells.centres) < 2:
        return None
    rest = np.setdiff1d(np.arange(size_of(blocks)), learning)
    known = thinned(blocks, rest)  # how many cells are searched must not depend on the rows that calibrate
    kept = np.sort(learning)
    own = Excluded.own(tried) if excluded is None else excluded[tried]
    own = own.ranked(own.ranks_of(kept))
    queries = rows_at(blocks, tried)
    if cells.reduction is not None:
        # In many dimensions a strange query is far from all rows, and its neighbours lie in more cells than a row's do.
        halfway = (queries + queries[::-1]) / 2
        queries = np.concatenate([queries, halfway])
        own = replace(own, spans=np.concatenate([own.spans, np.full_like(own.spans, -1)]))
    found = _probe(CellIndex(known, cells), queries, own, len(tried), k, recall)
    if found is None or found.reduction is None:
        return found
    # Among more rows than were learnt from, as many more seem to be as near.
    return replace(found, n_candidates=-(-found.n_candidates * size_of(blocks) // len(learning)))


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
    sizes = np.bincount(ExactIndex([means.centroids]).search(rows, 1)[1][:, 0], minlength=count)
    # Else a query might find too few, which must not depend on the rows that calibrate.
    centres = np.ascontiguousarray(means.centroids[sizes > k])
    reduction = None if directions is None else Reduction(directions, _find_levels(rows[:REDUCTION_ROWS]))
    return CellSearch(centres, reduction, 1, 1, NOT_MEASURED)


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


def _probe(index: CellIndex, queries: Vectors, own: Excluded, n_rows: int, k: int, recall: float) -> CellSearch | None:
    """Choose how many cells to search and candidates to compare: the least work that finds enough.

    own : what is excluded for each query; n_rows : how many of the queries, the first, are rows."""
    exact = index.exact.search(queries, k, own)[0]
    n, cells = len(index), index.cells
    reduced = cells.reduction is not None
    counts = sorted({max(count, k + SPARE_CANDIDATES) for count in CANDIDATES} if reduced else {k + SPARE_CANDIDATES})
    best, least = None, np.inf
    cost = COMPARED_COST if index.exact.blocks[0].stored.dtype == np.float32 else DECODED_COST
    n_searched = max(1, len(cells.centres) // FIRST_SEARCHED) if reduced else 1
    # To scan all bits of a set pays, to compare with half of its rows does not.
    while n_searched <= len(cells.centres) // (1 if reduced else 2):
        scanned = n_searched * n / len(cells.centres)
        if scanned + cost * counts[0] >= least:
            break
        candidates = index.candidates(queries, counts[-1], n_searched, own)
        distances = index.exact.distances(queries, candidates)
        for count in counts:
            found = nearest_first(distances[:, :count], candidates[:, :count].clip(min=0), k)[0]
            accuracy, work = _measure(exact, found, n_rows), scanned + cost * count
            if accuracy.recall >= recall and work < least:
                best, least = replace(cells, n_searched=n_searched, n_candidates=count, accuracy=accuracy), work
        n_searched = 2 * n_searched if not reduced else n_searched + max(1, 2 * n_searched // 5)
    return best


def _measure(exact: Distances, found: Distances, n_rows: int) -> Accuracy:
    """Measure with the first queries, which are rows; of the others only the recall counts."""
    accuracy = Accuracy.of(exact[:n_rows], found[:n_rows])
    if n_rows == len(exact):
        return accuracy
    return replace(accuracy, recall=min(accuracy.recall, recall_of(exact[n_rows:], found[n_rows:])))

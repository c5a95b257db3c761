"""Approximate nearest neighbours: only the cells of a set that lie nearest to the query are searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any, Self

import faiss
import numpy as np

from dn2.arrays import Array, Distances, Positions, Scores, Vectors
from dn2.neighbors.blocks import Block, Codes, rows_at, size_of, thinned
from dn2.neighbors.search.accuracy import Accuracy, choose_tried, recall_of
from dn2.neighbors.search.exact import SPARE_CANDIDATES, ExactIndex, is_excluded, most_excluded, nearest_first

CELL_ROWS = 64  # that teach one cell
ITERATIONS = 10

# Longer rows are compared in a space of so many dimensions first, of which each takes half a byte.
REDUCED_FROM, REDUCED_TO, LEVELS, BITS = 256, 192, 16, 4
REDUCTION_ROWS = 20_000  # that teach it

CANDIDATES = (25, 50, 100, 150, 200, 300, 400)  # how many rows of the reduced space may be compared in full
FIRST_SEARCHED = 64  # the share of the cells that is tried first, as 1 / share
# What comparing a row in full takes, in rows compared in the reduced space, where it need not be decoded and where it
# must be; measured.
COMPARED_COST, DECODED_COST = 150, 600
ROWS_AT_ONCE = 16_384
CANDIDATES_AT_ONCE = 1 << 22
MOST_CANDIDATES = 1 << 16  # that a file may ask for
NOT_MEASURED = Accuracy(0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Reduction:
    """How long rows are compared first: in fewer numbers, of few levels each.

    directions : (r, d) float32; levels : (r, 16) float32, what rows are rounded to in each direction."""

    directions: Vectors
    levels: Vectors

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        width = len(self.directions)
        if not width or self.directions.shape != (width, dimension) or self.levels.shape != (width, LEVELS):
            shapes = f"{self.directions.shape} and {self.levels.shape}"
            raise ValueError(f"a reduction of {shapes} for dimension {dimension}")


@dataclass(frozen=True)
class CellSearch:
    """What a set teaches that is to be searched approximately.

    centres : (C, r) float32; a row belongs to the cell of its nearest one.
    reduction : what long rows are reduced to; None where rows are compared as they are, and r is d.
    n_searched : how many cells are searched; n_candidates : how many of the rows found there are compared in full.
    accuracy : what this loses."""

    centres: Vectors
    reduction: Reduction | None
    n_searched: int
    n_candidates: int
    accuracy: Accuracy

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        probing = np.array([self.n_searched, self.n_candidates, *astuple(self.accuracy)], np.float64)
        reduction = {} if self.reduction is None else vars(self.reduction)
        return {"centres": self.centres, "probing": probing, **reduction}

    @classmethod
    def from_arrays(cls, centres: Vectors, probing: Scores, **reduction: Vectors) -> Self:
        """Restore what `as_arrays` gave.  Raises ValueError, or TypeError, for arrays of another form."""
        if probing.shape != (5,) or not np.isfinite(probing).all():
            raise ValueError(f"a search of cells measured as {probing}")
        searched, candidates, *accuracy = probing.tolist()
        reduced = Reduction(**reduction) if reduction else None
        return cls(centres, reduced, int(searched), int(candidates), Accuracy(*accuracy))

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        count, width = len(self.centres), dimension
        arrays = [self.centres]
        if self.reduction is not None:
            self.reduction.check(dimension)
            arrays += vars(self.reduction).values()
            width = len(self.reduction.directions)
        if self.centres.shape != (count, width):
            raise ValueError(f"centres of {self.centres.shape} for {width} numbers")
        if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in arrays):
            raise ValueError("cells must be finite float32")
        if not (1 <= self.n_searched <= count and 1 <= self.n_candidates <= MOST_CANDIDATES):
            raise ValueError(f"{self.n_searched} of {count} cells searched for {self.n_candidates} candidates")

    def describe(self) -> dict[str, Any]:
        """Return how the search goes and what it loses, as `model.json` has it."""
        about: dict[str, Any] = {"cells": len(self.centres), "searched": self.n_searched}
        if self.reduction is not None:
            about |= {"dimensions": len(self.reduction.directions), "candidates": self.n_candidates}
        return about | asdict(self.accuracy)

    def reduce(self, rows: Vectors) -> Vectors:
        """Return rows, (n, d), as they are compared first, (n, r)."""
        return rows if self.reduction is None else np.ascontiguousarray(rows @ self.reduction.directions.T)

    def quantizer(self) -> Any:
        """Return FAISS's search of the centres."""
        quantizer = faiss.IndexFlatL2(self.centres.shape[1])
        quantizer.add(self.centres)
        return quantizer

    def empty_index(self, quantizer: Any) -> Any:
        """Return FAISS's index of the cells, with no rows in them yet; it lives no longer than the quantizer."""
        count, width = self.centres.shape
        if self.reduction is not None:
            index = faiss.IndexIVFPQ(quantizer, width, count, width, BITS)
            index.by_residual = False  # a row would be rounded more finely, but each cell would take a table of its own
            faiss.copy_array_to_vector(self.reduction.levels.ravel(), index.pq.centroids)
        else:
            index = faiss.IndexIVFFlat(quantizer, width, count)
        index.is_trained = True
        return index

    def check_codes(self, codes: Codes) -> None:
        """Raise ValueError for codes of another form than `encode` returns."""
        index = self.empty_index(self.quantizer())
        if codes.shape[1] != index.sa_code_size():
            raise ValueError(f"codes of {codes.shape[1]} bytes, not {index.sa_code_size()}")
        places = codes[:, : index.coarse_code_size()].astype(np.int64)
        if (places @ (1 << 8 * np.arange(places.shape[1])) >= len(self.centres)).any():
            raise ValueError(f"codes of cells beyond {len(self.centres)}")

    def encode(self, blocks: Sequence[Block]) -> list[Codes]:
        """Return for each row its cell and what it is rounded to: (n_i, bytes) of each block."""
        index = self.empty_index(self.quantizer())
        codes = []
        for block in blocks:
            starts = range(0, len(block), ROWS_AT_ONCE)
            parts = [self.reduce(block.rows(at, min(at + ROWS_AT_ONCE, len(block)))) for at in starts]
            codes.append(np.concatenate([index.sa_encode(part) for part in parts]))
        return codes


class CellIndex:
    """The k nearest rows in the cells whose centres lie nearest to the query; their distances are exact.

    blocks : the reference set; cells : learnt from a part of it.
    codes : see `CellSearch.encode`, of each block; computed where they are not given.

    What is found depends on the cells learnt, the query, and the rows alone, and so leave-one-out scores through the
    same search calibrate: one more row brings the neighbours that are found closer, or takes the place of the last
    candidate; and an item that is left out takes the place of one candidate itself."""

    def __init__(self, blocks: Sequence[Block], cells: CellSearch, codes: Sequence[Codes] | None = None) -> None:
        self.exact = ExactIndex(blocks)
        self.cells = cells
        self._quantizer = cells.quantizer()
        index = cells.empty_index(self._quantizer)
        if cells.reduction is not None:
            for part in cells.encode(self.exact.blocks) if codes is None else codes:
                cells.check_codes(part)
                index.add_sa_codes(np.ascontiguousarray(part))
            self._index = faiss.IndexIVFPQFastScan(index)
        else:
            for block in self.exact.blocks:
                for _, rows in block.parts():
                    index.add(rows)
            self._index = index

    def __len__(self) -> int:
        return len(self.exact)

    def search(self, queries: Vectors, k: int, exclude: Positions | None = None) -> tuple[Distances, Positions]:
        """Find near rows of each query: see `Index.search`.

        A query that finds fewer than k in its cells, for each of which more than k rows were learnt from, is compared
        with all."""
        count = max(self.cells.n_candidates, k + SPARE_CANDIDATES)
        if exclude is not None and exclude.ndim > 1:  # windows that overlap a window are all near to it
            count += most_excluded(exclude)
        near = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        step = max(1, CANDIDATES_AT_ONCE // count)
        for part in (slice(start, start + step) for start in range(0, len(queries), step)):
            excluded = None if exclude is None else exclude[part]
            near[0][part], near[1][part] = self._search(queries[part], k, count, excluded)
        return near

    def _search(self, queries: Vectors, k: int, count: int, exclude: Positions | None) -> tuple[Distances, Positions]:
        candidates = self.candidates(queries, count, self.cells.n_searched)
        distances = self.distances(queries, candidates, exclude)
        near = nearest_first(distances, candidates.clip(min=0), k)
        if (few := np.isinf(near[0][:, -1])).any():
            excluded = None if exclude is None else exclude[few]
            near[0][few], near[1][few] = self.exact.search(queries[few], k, excluded)
        return near

    def candidates(self, queries: Vectors, count: int, n_searched: int) -> Positions:
        """Return so many rows of the cells nearest to each query, nearest as it seems first: (n, count), -1
        past the last row."""
        self._index.nprobe = n_searched
        candidates: Positions = self._index.search(self.cells.reduce(queries), count)[1]
        return candidates

    def distances(self, queries: Vectors, candidates: Positions, exclude: Positions | None) -> Distances:
        """Return squared L2 distances of candidates, (n, m); infinite for -1 and for excluded rows."""
        if exclude is not None:
            candidates = np.where(is_excluded(candidates, exclude), -1, candidates)
        return self.exact.distances(queries, candidates)


def find_cells(
    blocks: Sequence[Block], learning: Positions, k: int, recall: float, exclude: Positions | None = None
) -> CellSearch | None:
    """Learn cells from rows of a set at some positions, in random order, and how to search them for k neighbours.

    exclude : (n, 2) of each row the first position, and the one past the last, that is excluded from its neighbours; by
        default only its own.
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
    own = np.searchsorted(kept, tried if exclude is None else exclude[tried])
    queries = rows_at(blocks, tried)
    if cells.reduction is not None:
        # In many dimensions a strange query is far from all rows, and its neighbours lie in more cells than a row's do.
        halfway = (queries + queries[::-1]) / 2
        queries, own = np.concatenate([queries, halfway]), np.concatenate([own, np.full_like(own, -1)])
    return _probe(CellIndex(known, cells), queries, own, len(tried), k, recall)


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


def _probe(index: CellIndex, queries: Vectors, own: Positions, n_rows: int, k: int, recall: float) -> CellSearch | None:
    """Choose how many cells to search and candidates to compare: the least work that finds enough.

    own : what is excluded for each query; n_rows : how many of the queries, the first, are rows."""
    exact = index.exact.search(queries, k, own)[0]
    n, cells, more = len(index), index.cells, most_excluded(own)
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
        candidates = index.candidates(queries, counts[-1] + more, n_searched)
        distances = index.distances(queries, candidates, own)
        for count in counts:
            found = nearest_first(distances[:, : count + more], candidates[:, : count + more].clip(min=0), k)[0]
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

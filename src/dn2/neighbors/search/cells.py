"""Approximate nearest neighbours: only the cells of a set that lie nearest to the query are searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Self

import faiss
import numpy as np

from dn2.arrays import Array, Distances, Positions, Scores, Vectors
from dn2.neighbors.blocks import Block, Codes
from dn2.neighbors.search.accuracy import Accuracy
from dn2.neighbors.search.exact import SPARE_CANDIDATES, ExactIndex, nearest_first
from dn2.neighbors.search.excluded import Excluded

LEVELS, BITS = 16, 4  # of each number of long rows, reduced
# A query may exclude so many rows that are among its candidates; of more, so many queries must exclude the same ones.
FEW_EXCLUDED, SHARING = 64, 4
ROWS_AT_ONCE = 16_384
CANDIDATES_AT_ONCE = 1 << 22
MOST_CANDIDATES = 1 << 16  # that a file may ask for


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

    def search(
        self, queries: Vectors, k: int, excluded: Excluded | None = None, wanted: int | None = None
    ) -> tuple[Distances, Positions]:
        """Find near rows of each query: see `Index.search`.

        wanted : how many of the rows that are compared for k neighbours to return, k by default; they are infinitely
            far where there are fewer.
        A query that finds fewer than k in its cells, for each of which more than k rows were learnt from, is compared
        with all."""
        count, wanted = max(self.cells.n_candidates, k + SPARE_CANDIDATES), k if wanted is None else wanted
        near = np.empty((len(queries), wanted), np.float32), np.empty((len(queries), wanted), np.int64)
        step = max(1, CANDIDATES_AT_ONCE // count)
        for part in (slice(start, start + step) for start in range(0, len(queries), step)):
            left_out = None if excluded is None else excluded[part]
            candidates = self.candidates(queries[part], count, self.cells.n_searched, left_out)
            if left_out is not None:
                candidates[left_out.leaves_out, -1] = -1
            distances = self.exact.distances(queries[part], candidates)
            near[0][part], near[1][part] = nearest_first(distances, candidates.clip(min=0), wanted)
        if (few := np.isinf(near[0][:, k - 1])).any():
            left_out = None if excluded is None else excluded[few]
            near[0][few], near[1][few] = self.exact.search(queries[few], wanted, left_out)
        return near

    def candidates(self, queries: Vectors, count: int, n_searched: int, excluded: Excluded | None = None) -> Positions:
        """Return so many rows of the cells nearest to each query that it does not exclude, nearest as it seems first:
        (n, count), -1 past the last row."""
        self._index.nprobe = n_searched
        reduced = self.cells.reduce(queries)
        if excluded is None:
            return self._propose(reduced, count)
        candidates = np.empty((len(queries), count), np.int64)
        spans, of_query = np.unique(excluded.spans, axis=0, return_inverse=True)
        if excluded.most <= FEW_EXCLUDED or len(spans) > max(1, len(queries) // SHARING):
            step = max(1, CANDIDATES_AT_ONCE // (count + excluded.most))
            for part in (slice(start, start + step) for start in range(0, len(queries), step)):
                proposed = self._propose(reduced[part], count + excluded.most)
                proposed[excluded[part].holds(proposed)] = -1
                left = np.argsort(proposed < 0, axis=1, kind="stable")[:, :count]
                candidates[part] = np.take_along_axis(proposed, left, axis=1)
            return candidates
        positions = np.arange(len(self), dtype=np.int64)[None]
        for number in range(len(spans)):
            sharing = np.flatnonzero(of_query == number)
            allowed = np.packbits(~excluded[sharing[:1]].holds(positions)[0], bitorder="little")
            candidates[sharing] = self._propose(reduced[sharing], count, allowed)
        return candidates

    def _propose(self, reduced: Vectors, count: int, allowed: Codes | None = None) -> Positions:
        """Return so many rows, (n, count), by queries that are reduced; allowed : a bit for each row, None for all."""
        parameters = None
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(allowed))
            parameters = faiss.SearchParametersIVF(nprobe=self._index.nprobe, sel=selector)
        proposed: Positions = self._index.search(reduced, count, params=parameters)[1]
        return proposed

"""Approximate nearest neighbours: only the cells of a set that lie nearest to the query are searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, NamedTuple, Self

import faiss
import numpy as np

from dn2.arrays import Array, Distances, Flags, Positions, Scores, Vector, Vectors
from dn2.neighbors.blocks import Block, Codes
from dn2.neighbors.search.accuracy import Accuracy
from dn2.neighbors.search.exact import SPARE_CANDIDATES, ExactIndex, nearest_first
from dn2.neighbors.search.excluded import Excluded

LEVELS, BITS = 16, 4  # of each number of long rows, reduced
# A query may exclude so many rows that are among its candidates; of more, so many queries must exclude the same ones.
FEW_EXCLUDED, SHARING = 64, 4
ROWS_AT_ONCE = QUERIES_AT_ONCE = 16_384
CANDIDATES_AT_ONCE = 1 << 22
MOST_CANDIDATES = 1 << 16  # that a file may ask for
NO_EFFORT = (0, 0)


@dataclass(frozen=True)
class Reduction:
    """How long rows are compared first: in fewer numbers, of few levels each.

    directions : (r, d) float32; levels : (r, 16) float32, what rows are rounded to in each direction.
    mean : (d,) float32, of the rows."""

    directions: Vectors
    levels: Vectors
    mean: Vector

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        width = len(self.directions)
        if not width or self.directions.shape != (width, dimension) or self.levels.shape != (width, LEVELS):
            shapes = f"{self.directions.shape} and {self.levels.shape}"
            raise ValueError(f"a reduction of {shapes} for dimension {dimension}")
        if self.mean.shape != (dimension,):
            raise ValueError(f"a mean of {self.mean.shape} for dimension {dimension}")

    def lost(self, rows: Vectors) -> Scores:
        """Return what rows, (n, d), lose of their squared distance to the mean when they are reduced, (n,)."""
        centred = rows.astype(np.float64) - self.mean
        lost: Scores = np.square(centred).sum(axis=1) - np.square(centred @ self.directions.T).sum(axis=1)
        return lost.clip(min=0)


class Effort(NamedTuple):
    """How many cells are searched, and how many of the rows found there are compared in full."""

    n_searched: int
    n_candidates: int

    def times(self, more: float) -> Effort:
        """Compare so many times as many rows."""
        return self._replace(n_candidates=math.ceil(self.n_candidates * more))


@dataclass(frozen=True)
class CellSearch:
    """What a set teaches that is to be searched approximately.

    centres : (C, r) float32; a row belongs to the cell of its nearest one.
    reduction : what long rows are reduced to; None where rows are compared as they are, and r is d.
    reach : (C,) float32, the squared distance from each centre within which nearly all rows of its cell lie.
    near : the effort for queries within reach of the nearest centre; far : for those beyond, None where they are
        compared with all rows.
    accuracy : what this loses.

    Which queries are far depends on what was learnt alone: items that calibrate are searched for as queries are."""

    centres: Vectors
    reach: Vector
    reduction: Reduction | None
    near: Effort
    far: Effort | None
    accuracy: Accuracy

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        probing = np.array([*self.near, *(self.far or NO_EFFORT), *astuple(self.accuracy)], np.float64)
        reduction = {} if self.reduction is None else vars(self.reduction)
        return {"centres": self.centres, "reach": self.reach, "probing": probing, **reduction}

    @classmethod
    def from_arrays(cls, centres: Vectors, reach: Vector, probing: Scores, **reduction: Vectors) -> Self:
        """Restore what `as_arrays` gave.  Raises ValueError, or TypeError, for arrays of another form."""
        if probing.shape != (8,) or not np.isfinite(probing).all():
            raise ValueError(f"a search of cells measured as {probing}")
        near, far = (Effort(*map(int, probing[at : at + 2].tolist())) for at in (0, 2))
        reduced = Reduction(**reduction) if reduction else None
        return cls(centres, reach, reduced, near, None if far == NO_EFFORT else far, Accuracy(*probing[4:].tolist()))

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        count, width = len(self.centres), dimension
        arrays = [self.centres, self.reach]
        if self.reduction is not None:
            self.reduction.check(dimension)
            arrays += vars(self.reduction).values()
            width = len(self.reduction.directions)
        if self.centres.shape != (count, width) or self.reach.shape != (count,):
            raise ValueError(f"centres of {self.centres.shape} and {self.reach.shape} for {width} numbers")
        if any(array.dtype != np.float32 or not np.isfinite(array).all() for array in arrays):
            raise ValueError("cells must be finite float32")
        for searched, candidates in (self.near, self.far or self.near):
            if not (1 <= searched <= count and 1 <= candidates <= MOST_CANDIDATES):
                raise ValueError(f"{searched} of {count} cells searched for {candidates} candidates")

    def describe(self) -> dict[str, Any]:
        """Return how the search goes and what it loses, as `model.json` has it."""
        far_searched, far_candidates = self.far or (len(self.centres), None)
        about: dict[str, Any] = {"cells": len(self.centres), "searched": self.near.n_searched}
        about["searched_of_far"] = far_searched
        if self.reduction is not None:
            about |= {"dimensions": len(self.reduction.directions), "candidates": self.near.n_candidates}
            about["candidates_of_far"] = far_candidates
        return about | asdict(self.accuracy)

    def reduce(self, rows: Vectors) -> Vectors:
        """Return rows, (n, d), as they are compared first, (n, r)."""
        return rows if self.reduction is None else np.ascontiguousarray(rows @ self.reduction.directions.T)

    def are_far(self, queries: Vectors, quantizer: Any) -> Flags:
        """Tell which queries, (n, d), lie beyond the reach of the nearest centre: (n,)."""
        distances, cells = quantizer.search(self.reduce(queries), 1)
        lost = 0 if self.reduction is None else self.reduction.lost(queries)
        far: Flags = distances[:, 0] + lost > self.reach[cells[:, 0]]
        return far

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
        wanted = k if wanted is None else wanted
        near = np.empty((len(queries), wanted), np.float32), np.empty((len(queries), wanted), np.int64)
        is_far = self.are_far(queries)
        for effort, asked in ((self.cells.near, np.flatnonzero(~is_far)), (self.cells.far, np.flatnonzero(is_far))):
            step = QUERIES_AT_ONCE if effort is None else max(1, CANDIDATES_AT_ONCE // effort.n_candidates)
            for part in (asked[start : start + step] for start in range(0, len(asked), step)):
                left_out = None if excluded is None else excluded[part]
                near[0][part], near[1][part] = self._search(queries[part], k, wanted, effort, left_out)
        return near

    def are_far(self, queries: Vectors) -> Flags:
        """Tell which queries, (n, d), lie beyond the reach of all cells: (n,)."""
        return self.cells.are_far(queries, self._quantizer)

    def _search(
        self, queries: Vectors, k: int, wanted: int, effort: Effort | None, excluded: Excluded | None
    ) -> tuple[Distances, Positions]:
        if effort is None:
            return self.exact.search(queries, wanted, excluded)
        count = max(effort.n_candidates, k + SPARE_CANDIDATES)
        candidates = self.candidates(queries, count, effort.n_searched, excluded)
        if excluded is not None:
            candidates[excluded.leaves_out, -1] = -1
        near = nearest_first(self.exact.distances(queries, candidates), candidates.clip(min=0), wanted)
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

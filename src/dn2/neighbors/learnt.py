"""What a reference set teaches: see `Plan.learn`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any, Self

import numpy as np

from dn2.neighbors.accuracy import Accuracy
from dn2.neighbors.blocks import Block, Draws, Positions, Vectors, rows_at, size_of
from dn2.neighbors.cells import CellIndex, Cells
from dn2.neighbors.clean import Share
from dn2.neighbors.columns import Scaling
from dn2.neighbors.conformal import Calibration, Scores
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.index import Index, Progress
from dn2.neighbors.kmeans_tree import KMeansTree
from dn2.neighbors.leave_one_out import LeaveOneOut, renumbered, search_in_parts
from dn2.neighbors.selected import SelectedIndex
from dn2.neighbors.tree import Tree
from dn2.neighbors.whitening import whiten


@dataclass(frozen=True)
class Learnt:
    """Which items stand aside, how rows are seen, and what stands in place of items.

    aside : positions of the items set aside, ascending.  readmitted : those that a person took back.
    scaling, categories : (5 + q, d) and (m, 3) float32, see `Scaling`; empty where columns are taken as they are.
    directions, factors : (r, v) and (r,) float32, see `find_whitening`, of scaled rows; empty without whitening.
    centroids, representatives : (C, v) float32, as rows are compared, and the positions that stand for them; empty
        without k-means.
    cells, reduction, levels, probing : (C, r), (r, v), (r, 16) float32, and (5,), see `Cells`: how many cells are
        searched, how many candidates are compared, and the accuracy; empty where the search is exact.
    tree_means, tree_children, visited : (m, d) float32, (m, 2) of each node the first child and their number, see
        `Tree`, and (4,): how many leaves are visited, and the accuracy; empty where no tree is searched approximately.
    drawn, size : (1,) uint64, items drawn a number up to it (see `draw`) calibrate; (1,) items the set had then.
    share : (3,) estimated share of anomalies, its low and its high end; empty if the set is not contaminated."""

    aside: Positions
    readmitted: Positions
    scaling: Vectors
    categories: Vectors
    directions: Vectors
    factors: Vectors
    centroids: Vectors
    representatives: Positions
    cells: Vectors
    reduction: Vectors
    levels: Vectors
    probing: Scores
    tree_means: Vectors
    tree_children: Positions
    visited: Scores
    drawn: Draws
    size: Positions
    share: Scores

    @classmethod
    def nothing(cls, dimension: int, readmitted: Positions | None = None) -> Self:
        """Start with nothing learnt."""
        rows, numbers, positions = np.empty((0, dimension), np.float32), np.empty(0), np.empty(0, np.int64)
        plain = Scaling.none(dimension)
        return cls(
            aside=positions,
            readmitted=positions if readmitted is None else readmitted,
            scaling=plain.numbers,
            categories=plain.categories,
            directions=rows,
            factors=numbers.astype(np.float32),
            centroids=rows,
            representatives=positions,
            cells=rows,
            reduction=rows,
            levels=rows,
            probing=numbers,
            tree_means=rows,
            tree_children=np.empty((0, 2), np.int64),
            visited=numbers,
            drawn=positions.astype(np.uint64),
            size=positions,
            share=numbers,
        )

    def searching(self, cells: Cells | None) -> Self:
        """Search approximately, if cells were found."""
        if cells is None:
            return self
        probing = np.array([cells.n_searched, cells.n_candidates, *astuple(cells.accuracy)])
        return replace(self, cells=cells.centres, reduction=cells.reduction, levels=cells.levels, probing=probing)

    @property
    def columns(self) -> Scaling:
        """How the columns of a table are made alike."""
        return Scaling(self.scaling, self.categories)

    def index(self, blocks: Sequence[Block]) -> Index:
        """Return the index that queries are compared with; blocks : the whole reference set.

        Blocks keep what is computed of them for it."""
        if len(self.representatives):
            return SelectedIndex(self.centroids, self.representatives)
        if len(self.visited):
            whole = rows_at(blocks, np.arange(size_of(blocks)))
            return KMeansTree(whole, self.tree, int(self.visited[0]))
        if len(self.cells) and not self.sees_otherwise:
            if not len(self.reduction):
                return CellIndex(blocks, self.found_cells)
            for block in blocks:
                if block.all_codes is None:
                    (block.all_codes,) = self.found_cells.encode([Block(block.stored)])
            return CellIndex(blocks, self.found_cells, [block.codes for block in blocks if block.codes is not None])
        n = size_of(blocks)
        kept = np.setdiff1d(np.arange(n, dtype=np.int64), self.aside)
        rows = self.compared(rows_at(blocks, kept))
        return SelectedIndex(rows, kept, self.found_cells if len(self.cells) else None)

    @property
    def tree(self) -> Tree:
        """The tree of an approximate search."""
        return Tree(self.tree_means, *np.ascontiguousarray(self.tree_children.T))

    @property
    def sees_otherwise(self) -> bool:
        """Whether rows are not compared as they are stored, or not all of them."""
        return bool(len(self.scaling) or len(self.factors) or len(self.aside))

    @property
    def found_cells(self) -> Cells:
        """The cells of an approximate search."""
        searched, candidates, *accuracy = self.probing.tolist()
        return Cells(self.cells, self.reduction, self.levels, int(searched), int(candidates), Accuracy(*accuracy))

    def compared(self, rows: Vectors) -> Vectors:
        """Return normalised rows, (n, d), as the index compares them."""
        return whiten(self.columns.apply(rows), self.directions, self.factors)

    def leave_one_out(
        self, blocks: Sequence[Block], index: Index, members: Positions, k: int, progress: Progress | None = None
    ) -> LeaveOneOut:
        """Search for the neighbours of some items of the whole reference set."""

        def rows(some: Positions) -> Vectors:
            return self.compared(rows_at(blocks, some))

        return LeaveOneOut(members, *search_in_parts(index, rows, members, k, members, progress))

    def calibrate(self, n: int, loo: LeaveOneOut) -> Calibration:
        """Calibrate with the leave-one-out scores of the items that were not learnt from; n : size of the set."""
        calibration = Calibration.of(n, loo.distances)
        m = calibration.sample_size
        trimmed = min(int(self.contamination.low * m), m - 1) if self.contamination else 0
        return replace(
            calibration,
            scores=calibration.scores[: m - trimmed],
            n_near_duplicates=calibration.n_near_duplicates if self.tells_copies else 0,
            learnt=self.in_words(),
            n_trimmed=trimmed,
        )

    @property
    def search(self) -> dict[str, Any]:
        """How an approximate search goes, as `model.json` has it; empty if there is none."""
        if len(self.visited):
            leaves, *measured = self.visited.tolist()
            return {"visited": int(leaves), "leaves": self.tree.n_leaves, **asdict(Accuracy(*measured))}
        if not len(self.cells):
            return {}
        cells = self.found_cells
        reduced = {"dimensions": len(cells.reduction), "candidates": cells.n_candidates} if len(self.reduction) else {}
        return {"cells": len(cells.centres), "searched": cells.n_searched, **reduced, **asdict(cells.accuracy)}

    def after_removing(self, removed: Positions, blocks: Sequence[Block]) -> Self:
        """Renumber positions once items at others, ascending, are gone; blocks : the set that is left.

        A centroid whose representative is gone is represented by the item that lies nearest to it now."""
        gone = np.isin(self.representatives, removed)
        representatives = renumbered(self.representatives, removed)
        if gone.any():
            left = ExactIndex([Block(self.compared(np.asarray(block))) for block in blocks])
            representatives[gone] = left.search(self.centroids[gone], 1)[1][:, 0]
        readmitted = renumbered(np.setdiff1d(self.readmitted, removed), removed)
        return replace(self, readmitted=readmitted, representatives=representatives)

    @property
    def tells_copies(self) -> bool:
        """Whether a near copy is suspicious: centroids have none, and rows of a table may be alike by nature."""
        return not (len(self.representatives) or self.columns)

    def in_words(self) -> str:
        """Name what was learnt, as the subject of a sentence with its verb."""
        words = ["what stands aside"] if len(self.share) else []
        words += ["the scaling of columns"] if len(self.scaling) else []
        words += ["the whitening"] if len(self.factors) else []
        words += [f"the {len(self.centroids):,} centroids"] if len(self.centroids) else []
        words += [f"the {len(self.cells):,} cells of the search"] if len(self.cells) else []
        words += [f"the {len(self.tree_means):,} means of the tree"] if len(self.tree_means) else []
        several = len(words) > 1 or len(self.centroids) or len(self.cells) or len(self.tree_means)
        return " and ".join(words) + (" were" if several else " was")

    def check(self, n: int, dimension: int, k: int) -> None:
        """Raise ValueError for what no set of n items of some dimension, compared with k neighbours, teaches."""
        self.columns.check(dimension)
        wide = len(self.columns.owners)
        centroids, factors, directions = self.centroids, self.factors, self.directions
        if len(centroids) != len(self.representatives) or (len(centroids) and centroids.shape[1:] != (wide,)):
            raise ValueError(f"centroids of {centroids.shape} for dimension {wide}")
        if centroids.dtype != np.float32 or not np.isfinite(centroids).all():
            raise ValueError("centroids that are no numbers")
        if len(self.cells):
            self.found_cells.check(wide)
        if len(self.visited):
            self.tree.check(wide)
            if self.visited.shape != (4,) or not self.visited[0] >= 1:
                raise ValueError(f"{self.visited} leaves visited")
        if self.drawn.dtype != np.uint64 or self.size.dtype != np.int64 or not len(self.drawn) == len(self.size) <= 1:
            raise ValueError("a draw of the items that calibrate that is no number")
        if factors.ndim != 1 or len(directions) != len(factors) or (len(factors) and directions.shape[1:] != (wide,)):
            raise ValueError(f"directions of {directions.shape} and {factors.shape} factors for dimension {wide}")
        if not {factors.dtype, directions.dtype} == {np.dtype(np.float32)} or not np.isfinite(directions).all():
            raise ValueError("directions that are no numbers")
        if not ((factors > 0) & (factors <= 1)).all():
            raise ValueError("factors outside of 0 ... 1")
        if self.share.shape not in ((0,), (3,)) or not ((self.share >= 0) & (self.share <= 1)).all():
            raise ValueError(f"a share of anomalies of {self.share}")
        for positions in (self.aside, self.readmitted, self.representatives):
            if positions.dtype != np.int64 or positions.ndim != 1:
                raise ValueError("positions that are no whole numbers")
            if len(positions) and not (positions.min() >= 0 and positions.max() < n):
                raise ValueError(f"positions outside of 0 ... {n - 1}")
        if n - len(self.aside) <= (0 if len(centroids) else k):
            raise ValueError(f"{len(self.aside)} of {n} items set aside")

    @property
    def contamination(self) -> Share | None:
        """The estimated share of anomalies in the set."""
        return Share(*self.share.tolist()) if len(self.share) else None

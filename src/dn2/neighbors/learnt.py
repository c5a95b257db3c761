"""What is learnt from a random part of a reference set, so that the other part can calibrate it.

Given the learnt part, the items of the other part and a new normal item are exchangeable, and the proof for
leave-one-out holds for them as it stands; both parts stay in the reference set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from dn2.neighbors.blocks import Block, Positions, Vectors, rows_at
from dn2.neighbors.cells import find_cells
from dn2.neighbors.clean import Judges, Share, estimate_share
from dn2.neighbors.columns import Scaling
from dn2.neighbors.conformal import Calibration, Scores
from dn2.neighbors.kmeans import find_centroids, parse_index
from dn2.neighbors.leave_one_out import SAMPLE_SIZE, LeaveOneOut, random_order
from dn2.neighbors.selected import SelectedIndex
from dn2.neighbors.whitening import MOST_ROWS, find_whitening, whiten

# Rows that judge which items belong to a contaminated set: more would cost and not judge better.
MOST_JUDGES = 10_000

# Rows that tell how columns are distributed, and values in them: more would cost and not tell it better.
MOST_SCALED = 100_000
MOST_SCALED_VALUES = 1 << 25

# Rows of a table from which on its search is approximate by default: an exact one takes minutes.
APPROXIMATE_FROM = 200_000


@dataclass(frozen=True)
class Learnt:
    """Which items stand aside, how rows are seen, and what stands in place of items.

    aside : positions of the items set aside, ascending.  readmitted : those that a person took back.
    scaling, categories : (5 + q, d) and (m, 3) float32, see `Scaling`; empty where columns are taken as they are.
    directions, factors : (r, v) and (r,) float32, see `find_whitening`, of scaled rows; empty without whitening.
    centroids, representatives : (C, v) float32, as rows are compared, and the positions that stand for them; empty
        without k-means.
    cells, probing : (C, v) float32 and (2,), see `find_cells`; empty where the search is exact.
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
    probing: Scores
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
            probing=numbers,
            share=numbers,
        )

    @property
    def columns(self) -> Scaling:
        """How the columns of a table are made alike."""
        return Scaling(self.scaling, self.categories)

    def index(self, blocks: Sequence[Block]) -> SelectedIndex:
        """Return the index that queries are compared with; blocks : the whole reference set."""
        if len(self.representatives):
            return SelectedIndex(self.centroids, self.representatives)
        n = sum(len(block) for block in blocks)
        kept = np.setdiff1d(np.arange(n, dtype=np.int64), self.aside)
        rows = self.compared(rows_at(blocks, kept))
        if not len(self.cells):
            return SelectedIndex(rows, kept)
        return SelectedIndex(rows, kept, self.cells, int(self.probing[0]))

    def compared(self, rows: Vectors) -> Vectors:
        """Return normalised rows, (n, d), as the index compares them."""
        return whiten(self.columns.apply(rows), self.directions, self.factors)

    def leave_one_out(self, blocks: Sequence[Block], index: SelectedIndex, members: Positions, k: int) -> LeaveOneOut:
        """Search for the neighbours of some items of the whole reference set."""
        return LeaveOneOut(members, *index.search(self.compared(rows_at(blocks, members)), k, exclude=members))

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
        """How queries are searched for, as `model.json` has it; recall : among the items learnt from."""
        if not len(self.cells):
            return {"method": "exact"}
        searched, recall = self.probing.tolist()
        return {"method": "approximate", "cells": len(self.cells), "searched": int(searched), "recall": recall}

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
        several = len(words) > 1 or len(self.centroids) or len(self.cells)
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
        cells, probing = self.cells, self.probing
        if cells.dtype != np.float32 or not np.isfinite(cells).all() or (len(cells) and cells.shape[1:] != (wide,)):
            raise ValueError(f"cells of {cells.shape} for dimension {wide}")
        if probing.shape != ((2,) if len(cells) else (0,)) or (len(cells) and not 1 <= probing[0] <= len(cells)):
            raise ValueError(f"{probing} of {len(cells)} cells searched")
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


@dataclass(frozen=True)
class Plan:
    """What to learn.

    clean : whether to set anomalies aside; drop : their share, None to estimate it; first_neighbors : see
    `Judges`.  centroids : how many centroids take the place of the items, None for none.
    scale, whiten : whether to scale columns, and to whiten; categorical : the columns of categories.
    n_neighbors, approximate : for which k the search may be approximate; None where the size of the set decides."""

    clean: bool
    drop: float | None
    first_neighbors: int | None
    centroids: int | None
    scale: bool = False
    whiten: bool = False
    categorical: Sequence[int] = ()
    n_neighbors: int = 1
    approximate: bool | None = False

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Plan what a `KNNDetector` of these parameters, by name, learns."""
        same = {name: parameters[name] for name in ("drop", "first_neighbors", "whiten", "n_neighbors")}
        return cls(
            clean=parameters["contaminated"],
            centroids=parse_index(parameters["index"]),
            scale=parameters["scale_columns"],
            categorical=parameters["categorical_columns"] or (),
            approximate={"approximate": True, "auto": None}.get(parameters["index"], False),
            **same,
        )

    @property
    def learns(self) -> bool:
        """Whether there is anything to learn."""
        return self.clean or self.scale or self.whiten or bool(self.approximate) or self.centroids is not None

    def learn(self, blocks: Sequence[Block], learning: Positions, readmitted: Positions) -> Learnt:
        """Learn from the rows at some positions of the reference set."""
        learnt = Learnt.nothing(blocks[0].dimension, readmitted)
        if self.scale:
            most = min(MOST_SCALED, max(1_000, MOST_SCALED_VALUES // blocks[0].dimension))
            found = Scaling.find(rows_at(blocks, learning[:most]), self.categorical)
            learnt = replace(learnt, scaling=found.numbers, categories=found.categories)
        if self.clean:
            aside, share = self._set_aside(blocks, learning, learnt)
            learnt = replace(learnt, aside=np.setdiff1d(aside, readmitted), share=share)
        kept = learning[~np.isin(learning, learnt.aside)]  # in the order of the draw: that of the set does not matter
        if self.whiten:
            directions, factors = find_whitening(learnt.compared(rows_at(blocks, kept[:MOST_ROWS])))
            learnt = replace(learnt, directions=directions, factors=factors)
        if self.centroids is not None:
            centroids, nearest = find_centroids(learnt.compared(rows_at(blocks, kept)), self.centroids)
            learnt = replace(learnt, centroids=centroids, representatives=kept[nearest])
        large = self.scale and sum(len(block) for block in blocks) >= APPROXIMATE_FROM
        if self.approximate or (self.approximate is None and large):
            cells, probing = find_cells(learnt.compared(rows_at(blocks, kept)), self.n_neighbors)
            learnt = replace(learnt, cells=cells, probing=probing)
        return learnt

    def _set_aside(self, blocks: Sequence[Block], learning: Positions, learnt: Learnt) -> tuple[Positions, Scores]:
        judges = learning[:MOST_JUDGES]
        rows = learnt.compared(rows_at(blocks, judges))
        share = estimate_share(rows)
        judged_by = Judges(rows, share.estimate if self.drop is None else self.drop, self.first_neighbors)
        n = sum(len(block) for block in blocks)
        others = np.setdiff1d(np.arange(n, dtype=np.int64), judges)
        excluded = judged_by.exclude(learnt.compared(rows_at(blocks, others)))
        aside = np.sort(np.concatenate([judges[judged_by.aside], others[excluded]]))
        return aside, np.array([share.estimate, share.low, share.high])


def split(blocks: Sequence[Block], at_least: int) -> tuple[Positions, Positions]:
    """Split a reference set at random into the part to learn from and the part that calibrates: positions of each.

    at_least : how many the false-alarm rate takes, where half of the set has them and `SAMPLE_SIZE` does not.
    The draw depends on nothing but the rows.  The first positions, of any number, to learn from are a random sample."""
    order = random_order(blocks)
    size = min(len(order) // 2, max(SAMPLE_SIZE, at_least))
    return order[size:], np.sort(order[:size])

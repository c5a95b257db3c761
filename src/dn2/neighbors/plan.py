"""Learning from a random part of a reference set, so that the other part can calibrate it.

Given the learnt part, the items of the other part and a new normal item are exchangeable, and the proof for
leave-one-out holds for them as it stands; both parts stay in the reference set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Self

import numpy as np

from dn2.neighbors.accuracy import Accuracy, choose_tried
from dn2.neighbors.blocks import Block, Draws, Positions, Vectors, rows_at, size_of
from dn2.neighbors.cells import Cells, find_cells
from dn2.neighbors.choice import choose_method
from dn2.neighbors.clean import Judges, estimate_share
from dn2.neighbors.columns import Scaling
from dn2.neighbors.conformal import Scores
from dn2.neighbors.kmeans import find_centroids
from dn2.neighbors.kmeans_tree import KMeansTree
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import SAMPLE_SIZE, draw, random_order
from dn2.neighbors.tree import learn_tree
from dn2.neighbors.whitening import MOST_ROWS, find_whitening

# Rows that judge which items belong to a contaminated set: more would cost and not judge better.
MOST_JUDGES = 10_000

# Rows that tell how columns are distributed, and values in them: more would cost and not tell it better.
MOST_SCALED = 100_000
MOST_SCALED_VALUES = 1 << 25

# Rows that teach centroids.
MOST_CLUSTERED = 100_000


@dataclass(frozen=True)
class Plan:
    """What to learn.

    clean : whether to set anomalies aside; drop : their share, None to estimate it; first_neighbors : see
    `Judges`.  centroids : how many centroids take the place of the items, None for none.
    scale, whiten : whether to scale columns, and to whiten; categorical : the columns of categories.
    approximate : whether the search may be, for n_neighbors, if it finds the share `recall` of them; leaves : how
    many leaves of a tree are visited at least, None for no tree or all of its leaves."""

    clean: bool
    drop: float | None
    first_neighbors: int | None
    centroids: int | None
    scale: bool = False
    whiten: bool = False
    categorical: Sequence[int] = ()
    n_neighbors: int = 1
    approximate: bool = False
    recall: float = 0.999
    leaves: int | None = None

    @classmethod
    def of(cls, parameters: Mapping[str, Any], n: int, dimension: int) -> Self:
        """Plan what a `KNNDetector` of these parameters, by name, learns from n rows."""
        same = {name: parameters[name] for name in ("drop", "first_neighbors", "whiten", "n_neighbors", "recall")}
        method = choose_method(parameters, n, dimension)
        return cls(
            clean=parameters["contaminated"],
            centroids=method.count if method.name == "kmeans" else None,
            scale=parameters["scale_columns"],
            categorical=parameters["categorical_columns"] or (),
            approximate=method.name == "approximate",
            leaves=method.count if method.name == "kmeans-tree" else None,
            **same,
        )

    @property
    def learns(self) -> bool:
        """Whether there is anything to learn."""
        return (
            self.clean
            or self.scale
            or self.whiten
            or self.approximate
            or self.leaves is not None
            or self.centroids is not None
        )

    def learn(self, blocks: Sequence[Block], learning: Positions, members: Positions, readmitted: Positions) -> Learnt:
        """Learn from the rows at some positions of the reference set; members : those that calibrate."""
        drawn, size = draw(blocks)[members].max(keepdims=True), np.array([len(learning) + len(members)])
        learnt = replace(Learnt.nothing(blocks[0].dimension, readmitted), drawn=drawn, size=size)
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
            some = kept[: max(MOST_CLUSTERED, self.centroids)]
            centroids, nearest = find_centroids(learnt.compared(rows_at(blocks, some)), self.centroids)
            learnt = replace(learnt, centroids=centroids, representatives=kept[nearest])
        if self.leaves is not None:
            learnt = self._find_tree(rows_at(blocks, kept), learnt)
        return learnt.searching(self._find_cells(blocks, kept, learnt) if self.approximate else None)

    def _find_tree(self, rows: Vectors, learnt: Learnt) -> Learnt:
        """Learn a tree from rows, (n, d), in random order, and visit as many leaves as find what is promised."""
        assert self.leaves is not None
        tree, k, tried = learn_tree(rows), self.n_neighbors, choose_tried(np.arange(len(rows)))
        leaves, queries = max(self.leaves, k + 1), rows[tried]
        exact, some = KMeansTree(rows, tree).search(queries, k, tried)[0], KMeansTree(rows, tree, leaves)
        while True:
            some.max_leaves = leaves
            accuracy = Accuracy.of(exact, some.search(queries, k, tried)[0])
            if accuracy.recall >= self.recall or leaves >= tree.n_leaves:
                break
            leaves *= 2
        children = np.stack([tree.first_child, tree.n_children], axis=1)
        visited = np.array([min(leaves, tree.n_leaves), *astuple(accuracy)])
        return replace(learnt, tree_means=tree.means, tree_children=children, visited=visited)

    def _find_cells(self, blocks: Sequence[Block], kept: Positions, learnt: Learnt) -> Cells | None:
        if learnt.sees_otherwise:
            blocks, kept = [Block(learnt.compared(rows_at(blocks, kept)))], np.arange(len(kept), dtype=np.int64)
        return find_cells(blocks, kept, self.n_neighbors, self.recall)

    def _set_aside(self, blocks: Sequence[Block], learning: Positions, learnt: Learnt) -> tuple[Positions, Scores]:
        judges = learning[:MOST_JUDGES]
        rows = learnt.compared(rows_at(blocks, judges))
        share = estimate_share(rows)
        judged_by = Judges(rows, share.estimate if self.drop is None else self.drop, self.first_neighbors)
        n = size_of(blocks)
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


def drawn_again(blocks: Sequence[Block], limit: Draws) -> Positions:
    """Return which items calibrate of a set that has changed since `split`: those drawn a number up to the same limit,
    ascending."""
    return np.flatnonzero(draw(blocks) <= limit)

"""A hierarchy of means, learnt by recursive k-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dn2.arrays import Positions, Vectors
from dn2.neighbors.search.exact import direct

CHILDREN = 4
LEAF_ROWS = 16
ITERATIONS = 6
DEEPEST = 64
MOST_IN_CHILD = 7 / 8  # of a node's rows; where k-means leaves more, halves are better


@dataclass(frozen=True)
class Tree:
    """A hierarchy of means.  Node 0 is the root; children follow their parents, level by level.

    means : (m, d) float32; first_child, n_children : (m,), the children of a node are consecutive; a leaf has none."""

    means: Vectors
    first_child: Positions
    n_children: Positions

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return int((self.n_children == 0).sum())

    def check(self, dimension: int) -> None:
        """Raise ValueError unless this is a hierarchy of means of a dimension."""
        means, first, counts = self.means, self.first_child, self.n_children
        if means.dtype != np.float32 or means.shape != (len(first), dimension) or not np.isfinite(means).all():
            raise ValueError(f"means of {means.shape} for dimension {dimension}")
        inner = np.flatnonzero(counts)
        follow = first[inner] > inner
        if counts.dtype != np.int64 or not ((counts >= 0) & (counts <= CHILDREN)).all() or not follow.all():
            raise ValueError(f"nodes must have 0 ... {CHILDREN} children, which follow them")
        if not np.array_equal(np.sort(self.children()[self.children() >= 0]), np.arange(1, len(means))):
            raise ValueError("each node but the root must be the child of one node")

    def leaves_below(self) -> Positions:
        """Return the number of leaves below each node, (m,), 1 for a leaf."""
        leaves: Positions = (self.n_children == 0).astype(np.int64)
        parents = np.repeat(np.arange(len(leaves)), self.n_children)  # of nodes 1, 2, ...
        for node in range(len(leaves) - 1, 0, -1):
            leaves[parents[node - 1]] += leaves[node]
        return leaves

    def children(self) -> Positions:
        """Return the children of each node, (m, CHILDREN), -1 where there are fewer."""
        places = np.arange(CHILDREN)
        return np.where(places < self.n_children[:, None], self.first_child[:, None] + places, -1)


def learn_tree(rows: Vectors) -> Tree:
    """Split rows, (n, d), by k-means, recursively, all nodes of a level at once.  The same rows give the same tree.

    A row belongs to the nearest mean among the children of each node on its way, so the means alone say which rows go
    where, and each leaf holds one of the rows at least.  Only rows that no mean separates stay in a larger leaf."""
    generator = np.random.default_rng(0)
    means = [rows.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)]
    first_child, n_children = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    at, nodes, total = np.arange(len(rows)), np.zeros(len(rows), np.int64), 1
    for _ in range(DEEPEST):
        large = np.bincount(nodes)[nodes] > LEAF_ROWS
        at, nodes = at[large], nodes[large]
        if not len(at):
            break
        order = np.argsort(nodes, kind="stable")
        at, nodes = at[order], nodes[order]
        split, groups = np.unique(nodes, return_inverse=True)
        part = rows[at]
        centres = _cluster(part, groups, generator)
        _halve_unbalanced(centres, part, groups)
        labels = _nearest_centre(centres, part, groups)
        used = np.bincount(labels, minlength=len(split) * CHILDREN) > 0
        apart = used.reshape(-1, CHILDREN).sum(axis=1) > 1
        used &= np.repeat(apart, CHILDREN)
        counts = used.reshape(-1, CHILDREN).sum(axis=1)
        n_children[-1][split] = counts
        first_child[-1][split] = total + np.cumsum(counts) - counts
        means.append(centres.reshape(-1, rows.shape[1])[used])
        first_child.append(np.zeros(len(means[-1]), np.int64))
        n_children.append(np.zeros(len(means[-1]), np.int64))
        total += len(means[-1])
        going_on = used[labels]
        at, nodes = at[going_on], (np.cumsum(used) - 1)[labels[going_on]]
    return Tree(np.concatenate(means), np.concatenate(first_child), np.concatenate(n_children))


def _cluster(part: Vectors, groups: Positions, generator: np.random.Generator) -> Vectors:
    """Run k-means in each group of rows, (n, d), sorted by group.  Returns (n_groups, CHILDREN, d) centres."""
    centres = _first_centres(part, groups, generator)
    flat = centres.reshape(-1, part.shape[1])
    for _ in range(ITERATIONS):
        labels = _nearest_centre(centres, part, groups)
        counts = np.bincount(labels, minlength=len(flat))
        sums = np.stack([np.bincount(labels, column, minlength=len(flat)) for column in part.T], axis=1)
        flat[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
    return centres


def _first_centres(part: Vectors, groups: Positions, generator: np.random.Generator) -> Vectors:
    """Draw rows of each group as k-means++ does: by their squared distances to the rows drawn before."""
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    centres = np.empty((len(sizes), CHILDREN, part.shape[1]), np.float32)
    weights = np.ones(len(part), np.float32)
    for child in range(CHILDREN):
        reached = np.cumsum(weights, dtype=np.float64)
        below = reached[starts] - weights[starts]
        aims = below + generator.random(len(sizes)) * (reached[starts + sizes - 1] - below)
        drawn = np.searchsorted(reached, aims, side="right").clip(starts, starts + sizes - 1)
        centres[:, child] = part[drawn]
        distances = direct(part, np.ascontiguousarray(centres[:, child]), groups[:, None])[:, 0]
        weights = np.minimum(weights, distances) if child else distances
    return centres


def _halve_unbalanced(centres: Vectors, part: Vectors, groups: Positions) -> None:
    """Where nearly all rows of a group have one centre in common, put two centres on both sides of a median instead.

    Else a tree of rows spaced exponentially, say, would be as deep as there are rows."""
    labels = _nearest_centre(centres, part, groups)
    sizes = np.bincount(groups)
    most = np.bincount(labels, minlength=len(sizes) * CHILDREN).reshape(-1, CHILDREN).max(axis=1)
    starts = np.cumsum(sizes) - sizes
    for group in np.flatnonzero(most > MOST_IN_CHILD * sizes):
        rows = part[starts[group] : starts[group] + sizes[group]]
        median = np.median(rows, axis=0)
        spread = np.median(np.abs(rows - median), axis=0)
        axis = int(spread.argmax())
        halves = np.tile(median, (CHILDREN, 1))
        halves[0, axis] -= spread[axis]
        halves[1:, axis] += spread[axis]
        lower = np.count_nonzero(_nearest_centre(halves[None], rows, np.zeros(len(rows), np.int64)) == 0)
        if max(lower, len(rows) - lower) <= MOST_IN_CHILD * len(rows):
            centres[group] = halves


def _nearest_centre(centres: Vectors, part: Vectors, groups: Positions) -> Positions:
    """Return the place of each row's nearest centre among all centres of all groups, the first one in a tie."""
    ids = groups[:, None] * CHILDREN + np.arange(CHILDREN)
    labels: Positions = direct(part, centres.reshape(-1, part.shape[1]), ids).argmin(axis=1) + groups * CHILDREN
    return labels

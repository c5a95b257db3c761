"""Exact nearest neighbours by branch and bound on recursive k-means."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from dn2.arrays import Distances, Positions, Vectors
from dn2.neighbors.search.exact import Keys, direct, pack, unpacked
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.tree import CHILDREN, LEAF_ROWS, Tree, learn_tree

QUERIES_AT_ONCE = 4096
PAIRS_AT_ONCE = 4096  # a step takes several nodes of each query where few queries are left
NOTHING = ~np.uint64(0)

Entries = np.ndarray[Any, Any]
ENTRY = np.dtype([("node", np.int32), ("length", np.float32), ("gap", np.float32), ("rank", np.int32)])


@dataclass(frozen=True)
class _Nodes:
    """What a search needs to know of each node: the rows of leaf p are `sizes[p]` from `starts[p]` on in the order
    by leaf; all below p are at least `near[p]` and at most `far[p]` from its mean, and the square of that less the
    square of their distance to sibling j's mean is at most `beyond[p, j]`.  Over all of space this difference changes
    by 1 / `steepness[p, j]` per unit of length at most.  All are rounded so that this is true."""

    means: Vectors
    children: Positions  # (m, CHILDREN), -1 where there are fewer
    n_leaves: Positions
    starts: Positions
    sizes: Positions
    near: Distances
    far: Distances
    beyond: Distances
    steepness: Distances


class KMeansTree:
    """The k nearest rows by squared L2, the same as `ExactIndex` finds, without comparing with most of them.

    rows : (n, d) float32, C-contiguous, searched in place; tree : learnt from them or others, see `learn_tree`.
    max_leaves : search only so many leaves, the first ones when at each node the nearer children come first; at
        least k + 1.  None searches exactly.

    Which leaves these are depends on the means and the query alone: a subtree that is left out as too far away counts
    as searched.  So, as long as the rows that were learnt from are among the rows, another row can only bring
    neighbours closer, as in an exact search: leave-one-out scores through the same search calibrate.

    A subtree is left out when the spheres between which its rows lie around their mean are too far away (rules 1 and
    3), a row when its own sphere is (rules 2 and 4); besides, when the query lies too far beyond the plane between the
    subtree's mean and the sibling's nearest to the query, a plane from which all its rows keep a known margin.  Each
    bound is rounded by more than float32 can be wrong, so no row that ties is lost.

    Source: Fukunaga and Narendra, "A branch and bound algorithm for computing k-nearest neighbors", 1975; rules 3 and
    4: Kamgar-Parsi and Kanal, "An improved branch and bound algorithm for computing k nearest neighbors", 1985."""

    def __init__(self, rows: Vectors, tree: Tree, max_leaves: int | None = None) -> None:
        self.max_leaves = max_leaves
        self._rows = rows
        self._rounding, self._vanishing = _errors(rows.shape[1])
        leaves, radii, near, far, beyond = _drop(rows, tree)
        self._order = np.lexsort((radii, leaves))
        self._radii = radii[self._order]
        sizes = np.bincount(leaves, minlength=len(tree.means))
        starts = np.cumsum(sizes) - sizes
        nodes = _Nodes(
            tree.means, tree.children(), tree.leaves_below(), starts, sizes, near, far, beyond, _steepness(tree)
        )
        self._nodes = _cut_large_leaves(nodes, self._radii)

    @classmethod
    def of(cls, rows: Vectors) -> KMeansTree:
        """Learn a tree from the rows, (n, d), and search it exactly."""
        return cls(rows, learn_tree(rows))

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query: see `Index.search`.

        A query that finds fewer than k in its leaves is compared with all rows."""
        best = np.empty((len(queries), k), np.uint64)
        most = len(self._nodes.means) if self.max_leaves is None else max(self.max_leaves, k + 1)
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            part = slice(start, start + QUERIES_AT_ONCE)
            best[part] = self._search(queries[part], k, None if excluded is None else excluded[part], most)
        if (few := best[:, -1] == NOTHING).any():
            left_out = None if excluded is None else excluded[few]
            best[few] = self._search(queries[few], k, left_out, len(self._nodes.means))
        return unpacked(best)

    def _search(self, queries: Vectors, k: int, excluded: Excluded | None, most: int) -> Keys:
        """Return the keys of the k nearest rows, (n_queries, k), in the first leaves; all queries step together."""
        near = _Best(queries, excluded, np.full((len(queries), k), NOTHING), np.full(len(queries), np.float32(np.inf)))
        stack = _Stack(len(queries))
        root = np.zeros(len(queries), ENTRY)
        root["length"] = np.sqrt(direct(queries, self._nodes.means, np.zeros((len(queries), 1), np.int64)))[:, 0]
        stack.push(np.arange(len(queries)), root)
        while len(owners := stack.owners()):
            width = PAIRS_AT_ONCE // len(owners) if np.isfinite(near.bounds[owners]).all() else 1
            owners, entries = stack.pop(owners, max(1, width))
            close = entries["gap"] < near.bounds[owners]
            owners, entries = owners[close], entries[close]
            is_leaf = self._nodes.children[entries["node"], 0] < 0
            self._scan(near, owners[is_leaf], entries[is_leaf])
            stack.push(*self._expand(near, owners[~is_leaf], entries[~is_leaf], most))
        return near.best

    def _expand(self, near: _Best, owners: Positions, entries: Entries, most: int) -> tuple[Positions, Entries]:
        """Return the children of nodes that may hold a neighbour, for each query the nearest last."""
        nodes = self._nodes
        children = nodes.children[entries["node"]]
        squares = direct(near.queries[owners], nodes.means, children)
        nearest = np.argsort(squares, axis=1, kind="stable")
        children = np.take_along_axis(children, nearest, axis=1)
        squares = np.take_along_axis(squares, nearest, axis=1)
        made = np.empty(children.shape, ENTRY)
        made["node"] = children
        made["length"] = np.sqrt(squares)
        with np.errstate(invalid="ignore", over="ignore"):  # where there is no child, or means are alike
            made["gap"] = np.maximum(entries["gap"][:, None], self._gaps(children, nearest[:, :1], squares))
        leaves = nodes.n_leaves[children]
        made["rank"] = entries["rank"][:, None] + np.cumsum(leaves, axis=1) - leaves
        close = (made["gap"] < near.bounds[owners, None]) & (made["rank"] < most) & (children >= 0)
        return np.repeat(owners, close.sum(axis=1)), made[:, ::-1][close[:, ::-1]]

    def _gaps(self, children: Positions, nearest: Positions, squares: Distances) -> Distances:
        """Return how far from each query all rows below its nodes are at least, (n, CHILDREN).

        nearest : (n, 1) the place of the nearest child; squares : those of the distances to the children's means,
        ascending."""
        nodes, less, more = self._nodes, 1 - self._rounding, 1 + self._rounding
        lengths = np.sqrt(squares)
        # Rules 1 and 3: all rows lie between two spheres around the mean,
        between = np.maximum(lengths * less - nodes.far[children], nodes.near[children] - lengths * more)
        # and on one side of a plane between it and the mean nearest to the query.
        pairs = children * CHILDREN + nearest
        excess = squares * less - squares[:, :1] * more - nodes.beyond.ravel()[pairs]
        gaps: Distances = np.maximum(between, excess * nodes.steepness.ravel()[pairs])
        return gaps

    def _scan(self, near: _Best, owners: Positions, entries: Entries) -> None:
        """Compare queries with the rows of leaves, but not those that rules 2 and 4 show to be too far away."""
        sizes = self._nodes.sizes[entries["node"]]
        ends = np.cumsum(sizes)
        places = np.arange(sizes.sum()) + np.repeat(self._nodes.starts[entries["node"]] - ends + sizes, sizes)
        lengths, radii = np.repeat(entries["length"], sizes), self._radii[places]
        gaps = np.abs(lengths - radii) - self._rounding * (lengths + radii)
        owners = np.repeat(owners, sizes)
        close = gaps < near.bounds[owners]
        owners, positions = owners[close], self._order[places[close]]
        distances = direct(near.queries[owners], self._rows, positions[:, None])[:, 0]
        keys = pack(distances, positions)
        better = keys < near.best[owners, -1]
        if near.excluded is not None:
            better &= ~near.excluded[owners].holds(positions[:, None])[:, 0]
        self._keep(near, owners[better], keys[better])

    def _keep(self, near: _Best, owners: Positions, keys: Keys) -> None:
        """Put keys among the best of the queries that own them; owners ascend."""
        changed, places = _places(owners)
        if not len(changed):
            return
        k = near.best.shape[1]
        all_keys = np.full((len(changed), k + int(places.max()) + 1), NOTHING)
        all_keys[:, :k] = near.best[changed]
        all_keys[np.cumsum(places == 0) - 1, k + places] = keys
        all_keys.sort(axis=1)
        near.best[changed] = all_keys[:, :k]
        distances = unpacked(all_keys[:, k - 1])[0]
        bounds = np.sqrt(distances) * (1 + self._rounding) + 3 * self._vanishing
        near.bounds[changed] = np.where(all_keys[:, k - 1] == NOTHING, np.float32(np.inf), bounds)


@dataclass(frozen=True)
class _Best:
    """What a search has found so far: per query the keys of the k best rows, ascending, and the distance, not squared,
    that no row which belongs among them can exceed, rounded up."""

    queries: Vectors
    excluded: Excluded | None
    best: Keys
    bounds: Distances


class _Stack:
    """Nodes that wait to be searched, a stack for each query."""

    def __init__(self, n_queries: int) -> None:
        self._entries = np.empty((n_queries, 32), ENTRY)
        self._heights = np.zeros(n_queries, np.int64)

    def owners(self) -> Positions:
        """Return the queries that have nodes waiting."""
        return np.flatnonzero(self._heights)

    def pop(self, owners: Positions, width: int) -> tuple[Positions, Entries]:
        """Take up to so many nodes of each query, for each query the last one last."""
        if width == 1:
            self._heights[owners] -= 1
            return owners, self._entries[owners, self._heights[owners]]
        slots = self._heights[owners, None] - np.arange(width, 0, -1)
        self._heights[owners] = np.maximum(self._heights[owners] - width, 0)
        there = slots >= 0
        owners = np.repeat(owners, there.sum(axis=1))
        return owners, self._entries[owners, slots[there]]

    def push(self, owners: Positions, entries: Entries) -> None:
        """Add nodes to the stacks of the queries that own them; owners ascend."""
        changed, places = _places(owners)
        if not len(changed):
            return
        slots = self._heights[owners] + places
        while slots.max() >= self._entries.shape[1]:
            self._entries = np.concatenate([self._entries, np.empty_like(self._entries)], axis=1)
        self._entries[owners, slots] = entries
        np.maximum.at(self._heights, owners, slots + 1)


def _places(owners: Positions) -> tuple[Positions, Positions]:
    """Return the different owners of ascending ones, and the place of each one among its equals."""
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    counts = np.diff(first, append=len(owners))
    return owners[first], np.arange(len(owners)) - np.repeat(first, counts)


def _errors(d: int) -> tuple[np.float32, np.float32]:
    """Bound what is wrong with distances, not squared, in d dimensions: a share of them, and an amount besides.

    The share is twice what d roundings, each of 2^-24, do to the root of a sum of squares, and 16 of them for what is
    computed with it; the amount is the root of squares that underflow."""
    return np.float32((d + 16) * 2.0**-24), np.float32(np.sqrt((d + 1) * np.finfo(np.float32).tiny))


def _steepness(tree: Tree) -> Distances:
    """Return 1 / 2 |m_p - m_j| of each node p and its sibling j, (m, CHILDREN), 0 where there is none."""
    rounding, vanishing = _errors(tree.means.shape[1])
    siblings = np.full((len(tree.means), CHILDREN), -1)
    children = tree.children()
    siblings[children[children >= 0]] = np.repeat(children, tree.n_children, axis=0)
    siblings[siblings == np.arange(len(siblings))[:, None]] = -1
    distances = np.sqrt(direct(tree.means, tree.means, siblings))
    steepness: Distances = np.float32(0.5) / ((distances + vanishing) * (1 + 2 * rounding))
    return steepness


def _drop(rows: Vectors, tree: Tree) -> tuple[Positions, Distances, Distances, Distances, Distances]:
    """Let rows, (n, d), fall to the nearest child of each node.

    Returns their leaves and their distances to these leaves' means, (n,), and of each node the smallest and largest
    distance to its mean of all rows that fell through it, (m,)."""
    children = tree.children()
    near = np.full(len(tree.means), np.float32(np.inf))
    far = np.full(len(tree.means), np.float32(-np.inf))
    beyond = np.full(len(tree.means) * CHILDREN, np.float32(-np.inf))
    rounding, vanishing = _errors(rows.shape[1])
    leaves, falling = np.zeros(len(rows), np.int64), np.arange(len(rows))
    radii = np.sqrt(direct(rows, tree.means, leaves[:, None]))[:, 0]
    while True:
        at = leaves[falling]
        np.minimum.at(near, at, radii[falling])
        np.maximum.at(far, at, radii[falling])
        falling = falling[tree.n_children[at] > 0]
        if not len(falling):
            near, far = near * (1 - rounding), far * (1 + rounding)
            return leaves, radii, near, far, beyond.reshape(-1, CHILDREN)
        choice = children[leaves[falling]]
        distances = direct(rows[falling], tree.means, choice)
        nearest = distances.argmin(axis=1)[:, None]
        leaves[falling] = np.take_along_axis(choice, nearest, axis=1)[:, 0]
        own = np.take_along_axis(distances, nearest, axis=1)
        radii[falling] = np.sqrt(own[:, 0])
        most = own * (1 + rounding) - distances * (1 - rounding) + 5 * vanishing**2
        np.maximum.at(beyond, (leaves[falling, None] * CHILDREN + np.arange(CHILDREN)).ravel(), most.ravel())


def _cut_large_leaves(nodes: _Nodes, radii: Distances) -> _Nodes:
    """Give leaves of too many rows children with the same mean, each for rows at similar distances to it."""
    large = np.flatnonzero((nodes.children[:, 0] < 0) & (nodes.sizes > LEAF_ROWS))
    while len(large):
        shares = nodes.sizes[large, None] * np.arange(CHILDREN + 1) // CHILDREN
        starts = (nodes.starts[large, None] + shares[:, :-1]).ravel()
        sizes = np.diff(shares, axis=1).ravel()
        total, n = len(nodes.means), len(starts)
        nodes.children[large] = total + np.arange(n).reshape(-1, CHILDREN)
        pieces = _Nodes(
            means=np.repeat(nodes.means[large], CHILDREN, axis=0),
            children=np.full((n, CHILDREN), -1),
            n_leaves=np.zeros(n, np.int64),  # they are searched wherever the leaf is
            starts=starts,
            sizes=sizes,
            near=radii[starts],
            far=radii[starts + sizes - 1],
            beyond=np.zeros((n, CHILDREN), np.float32),
            steepness=np.zeros((n, CHILDREN), np.float32),
        )
        nodes = _Nodes(*(np.concatenate(both) for both in zip(astuple(nodes), astuple(pieces), strict=True)))
        large = total + np.flatnonzero(sizes > LEAF_ROWS)
    return nodes

"""The index of a reference set, as its plan says and as what was learnt from it makes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dn2.arrays import Positions
from dn2.neighbors.blocks import Block, rows_at, size_of
from dn2.neighbors.learnt import NO_POSITIONS, Learnt
from dn2.neighbors.membership import NEIGHBOR, NO_MEMBERSHIP, Membership
from dn2.neighbors.plan import Plan
from dn2.neighbors.search.counted import CountedIndex
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.index import Index
from dn2.neighbors.search.kdtree import KDTreeIndex
from dn2.neighbors.search.kmeans_tree import KMeansTree


def exact_index(plan: Plan, blocks: Sequence[Block]) -> Index:
    """Return the index of a set that nothing was learnt from."""
    if plan.method.name not in ("kdtree", "kmeans-tree"):
        return ExactIndex(blocks)
    rows = rows_at(blocks, np.arange(size_of(blocks)))
    return KDTreeIndex(rows) if plan.method.name == "kdtree" else KMeansTree.of(rows)


def index_of(
    plan: Plan,
    blocks: Sequence[Block],
    learnt: Learnt | None,
    members: Positions = NO_POSITIONS,
    membership: Membership = NO_MEMBERSHIP,
) -> Index:
    """Return the index of a set.

    members : the items that calibrate, which may not be neighbours; membership : of all, some of which may have been
    told to be normal: each of these counts as all neighbours of what is nearest to it."""
    if learnt is None:
        return exact_index(plan, blocks)
    k = int(plan.steps.n_neighbors)
    index = learnt.index(blocks, members if plan.steps.holds_out else NO_POSITIONS)
    if membership.roles is None or not plan.steps.holds_out or k == 1:
        return index
    return CountedIndex(index, membership.roles == NEIGHBOR, k)

"""What is decided for a reference set by its size, and learning from a random part of it, so that the rest calibrates.

Given the learnt part, the items of the other part and a new normal item are exchangeable, and the proof for
leave-one-out holds for them as it stands; both parts stay in the reference set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dn2.arrays import Positions
from dn2.errors import InputError
from dn2.neighbors.blocks import Block, rows_at, size_of
from dn2.neighbors.choice import choose_method, choose_storage
from dn2.neighbors.clean import ContaminationFilter, estimate_share
from dn2.neighbors.isolated import Isolation
from dn2.neighbors.learnt import NO_POSITIONS, Cleaning, Learnt
from dn2.neighbors.membership import Keys, Membership
from dn2.neighbors.parts import excluded_among
from dn2.neighbors.prepare.scaling import Scaling
from dn2.neighbors.prepare.whitening import MOST_ROWS, find_whitening
from dn2.neighbors.rates import DEFAULT_RATE, required_sample, sample_needed
from dn2.neighbors.sampling import Sampler, Split
from dn2.neighbors.search.cells import CellSearch
from dn2.neighbors.search.centroids import Centroids, find_centroids
from dn2.neighbors.search.finding_cells import find_cells
from dn2.neighbors.search.method import Method
from dn2.neighbors.search.tree_search import TreeSearch, find_tree_search
from dn2.neighbors.steps import Clean, Scale, Steps

# Rows by which a contaminated set is filtered: more would cost and not filter better.
MOST_FILTERING = 10_000

# Rows that tell how columns are distributed, and values in them: more would cost and not tell it better.
MOST_SCALED = 100_000
MOST_SCALED_VALUES = 1 << 25

# Of a set that holds items out, at least one in so many stays a neighbour, whatever the rate takes.
LEFT_AS_NEIGHBORS = 4

# Rows that teach centroids.
MOST_CLUSTERED = 100_000


@dataclass(frozen=True)
class Plan:
    """What is done with a reference set of some size: decided once, and handed down.

    steps : asked for; method : how the set is searched; storage : how its rows are stored, see `blocks.STORAGES`."""

    steps: Steps
    method: Method
    storage: str

    @classmethod
    def of(cls, steps: Steps, n: int, dimension: int, *, stored: str | None = None, beside: int = 0) -> Self:
        """Plan for n rows.

        stored : how they are stored already; None chooses.  beside : bytes of memory that are held besides.
        Raises InputError where the memory does not suffice for any storage to choose."""
        storage = choose_storage(steps, n, dimension, beside) if stored is None else stored
        return cls(steps, choose_method(steps, n, dimension), storage)

    def for_blocks(self, blocks: Sequence[Block]) -> Self:
        """Plan anew for a set that has changed, and is stored as it was."""
        return self.of(self.steps, size_of(blocks), blocks[0].dimension, stored=self.storage)

    @property
    def learns(self) -> bool:
        """Whether there is anything to learn."""
        by_search = self.method.name in ("kmeans", "approximate") or self.visits_leaves
        return self.steps.makes_copies or by_search

    @property
    def visits_leaves(self) -> bool:
        """Whether only some leaves of a tree are to be searched."""
        return self.method.name == "kmeans-tree" and self.method.count is not None

    def sampler(self, blocks: Sequence[Block], membership: Membership) -> Sampler:
        """Return what draws the items that calibrate."""
        at_least = required_sample(self.steps.false_alarm_rate)
        return Sampler(blocks, membership, int(self.steps.calibrate.seed), at_least)

    def split(self, blocks: Sequence[Block], membership: Membership) -> Split:
        """Split a set into the items to learn from and those that calibrate."""
        confidence, rate = self.steps.calibrate.confidence, self.steps.false_alarm_rate
        sampler, kept = self.sampler(blocks, membership), int(self.steps.n_neighbors) + 1
        if confidence is not None:
            return sampler.split() if rate is None else sampler.split(sample_needed(rate, confidence), kept)
        if not self.steps.calibrate.hold_out:
            return sampler.split()
        needed = sample_needed(rate or DEFAULT_RATE)
        kept = max(kept, size_of(blocks) // LEFT_AS_NEIGHBORS)
        return sampler.split(0 if rate is None else needed, kept, needed + 1)

    def check_learnt(self, learnt: Learnt | None) -> None:
        """Raise InputError unless this is what the plan learns; a part that was not found may be absent."""
        if (learnt is None) == self.learns:
            raise InputError("a detector needs what it learnt from its reference set exactly where its steps learn")
        if learnt is None:
            return
        forms = {"kmeans": Centroids, "approximate": CellSearch, "kmeans-tree": TreeSearch}
        absent = self.method.name not in ("kmeans", "kmeans-tree")
        expected = (
            (learnt.limits is None) == (self.steps.windows is not None),
            (learnt.scaling is None) == (self.steps.scale is None),
            learnt.whitening is None or self.steps.whiten is not None,
            (learnt.cleaning is None) == (self.steps.clean is None),
            absent if learnt.search is None else isinstance(learnt.search, forms.get(self.method.name, ())),
        )
        if not all(expected):
            raise InputError(f"what was learnt, {', '.join(learnt.as_arrays())}, must be what the steps learn")

    def learn(self, blocks: Sequence[Block], split: Split, readmitted: Positions = NO_POSITIONS) -> Learnt:
        """Learn from some of the rows of the reference set.

        readmitted : positions of the items that never stand aside."""
        steps, learning = self.steps, split.learning
        learnt = Learnt(split.limits)
        if steps.scale is not None:
            learnt = replace(learnt, scaling=_find_scaling(blocks, learning, steps.scale))
        if steps.clean is not None:
            learnt = replace(learnt, cleaning=_set_aside(blocks, learning, learnt, steps.clean, readmitted))
        kept = learning[~np.isin(learning, learnt.aside)]  # in the order of the draw: that of the set does not matter
        if steps.whiten is not None:
            learnt = replace(learnt, whitening=find_whitening(learnt.compared_at(blocks, kept[:MOST_ROWS])))
        return replace(learnt, search=self._find_search(blocks, kept, learnt, split.parts))

    def _find_search(
        self, blocks: Sequence[Block], kept: Positions, learnt: Learnt, parts: Keys | None
    ) -> Centroids | CellSearch | TreeSearch | None:
        """Learn how to search from the rows at some positions, in random order, none of which stands aside.

        parts : of all rows; those of one part are no neighbours."""
        k, recall, count = int(self.steps.n_neighbors), self.steps.search.recall, self.method.count
        if self.method.name == "kmeans" and count is not None:
            clustered = kept[: max(MOST_CLUSTERED, count)]
            means, nearest = find_centroids(learnt.compared_at(blocks, clustered), count)
            return Centroids(means, kept[nearest])
        if self.method.name == "kmeans-tree" and count is not None:
            own = None if parts is None else parts[kept]
            return find_tree_search(rows_at(blocks, kept), count, k, recall, excluded_among(own, k))
        if self.method.name != "approximate":
            return None
        n = size_of(blocks)
        if learnt.sees_otherwise:
            parts = None if parts is None else parts[kept]
            blocks, kept = [Block(learnt.compared_at(blocks, kept))], np.arange(len(kept), dtype=np.int64)
        return find_cells(blocks, kept, k, recall, excluded_among(parts, k, kept), n)


def _find_scaling(blocks: Sequence[Block], learning: Positions, scale: Scale) -> Scaling:
    most = min(MOST_SCALED, max(1_000, MOST_SCALED_VALUES // blocks[0].dimension))
    return Scaling.find(rows_at(blocks, learning[:most]), scale.categorical)


def _set_aside(
    blocks: Sequence[Block], learning: Positions, learnt: Learnt, clean: Clean, readmitted: Positions
) -> Cleaning:
    filtering = learning[:MOST_FILTERING]
    others = np.setdiff1d(np.arange(size_of(blocks), dtype=np.int64), filtering)
    rows, other_rows = learnt.compared_at(blocks, filtering), learnt.compared_at(blocks, others)
    share = estimate_share(rows)
    contamination = ContaminationFilter(
        rows, share.estimate if clean.drop is None else clean.drop, clean.first_neighbors
    )
    suspects = np.concatenate([filtering[contamination.aside], others[contamination.exclude(other_rows)]])
    aside = suspects
    if clean.drop is None:
        isolation = Isolation(rows)
        aside = np.concatenate([filtering[isolation.alone], others[isolation.exclude(other_rows)]])
    aside, suspects = np.setdiff1d(aside, readmitted), np.setdiff1d(np.union1d(aside, suspects), readmitted)
    return Cleaning(aside, suspects, readmitted, share)

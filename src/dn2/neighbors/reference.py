"""A reference set: its rows, the index that searches them, and what calibrates it; a change makes a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Positions, Progress, Vectors
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, appended, as_stored, renumbered, rows_at, size_of, to_blocks, without
from dn2.neighbors.calibration import Calibration, attainable_rate, required_sample
from dn2.neighbors.learnt import NO_POSITIONS, Learnt
from dn2.neighbors.leave_one_out import SAMPLE_SIZE, LeaveOneOut, sample_positions
from dn2.neighbors.plan import Plan, drawn_again, split
from dn2.neighbors.search.cells import find_cells
from dn2.neighbors.search.centroids import Centroids
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.index import Index
from dn2.neighbors.search.kdtree import KDTreeIndex
from dn2.neighbors.search.kmeans_tree import KMeansTree
from dn2.neighbors.steps import Steps, Windows
from dn2.neighbors.windows import WindowPlaces, check_apart

# A set of more rows keeps what was learnt from it when items come and go; what a smaller one teaches is learnt anew.
LEARNT_ANEW_UP_TO = 20_000


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceSet:
    """A reference set ready to be searched.

    plan : what is done with a set of its size.
    blocks : the rows; index : what searches them; loo : the neighbours of the items that calibrate;
    learnt : what was learnt from the rows, if anything; windows : where they lie, if they are windows of series."""

    plan: Plan
    blocks: Sequence[Block]
    index: Index
    loo: LeaveOneOut
    learnt: Learnt | None = None
    windows: WindowPlaces | None = None

    @classmethod
    def of(
        cls,
        plan: Plan,
        blocks: Sequence[Block],
        places: Positions | None = None,
        measure: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """Index and calibrate rows, and learn from them what the plan says.

        places : where they lie, if they are windows of series; measure : whether to measure what p-values are worth.
        progress : of what calibrates.
        Raises ReferenceTooSmall for a false-alarm rate that they cannot support, and where too few are left."""
        if places is not None and plan.steps.windows is not None:
            windows = WindowPlaces(int(plan.steps.windows.window), places)
            return cls._of_windows(plan, blocks, windows, measure, progress)
        if plan.learns:
            return cls._learning(plan, blocks, progress=progress)
        index, members = exact_index(plan, blocks), _members(plan, blocks)
        return cls(plan, blocks, index, LeaveOneOut.of(blocks, index, members, _k(plan), progress=progress))

    @classmethod
    def _of_windows(
        cls, plan: Plan, blocks: Sequence[Block], windows: WindowPlaces, measure: bool, progress: Progress | None
    ) -> Self:
        """Compare each window with those that do not overlap it: all of them calibrate, whatever is learnt."""
        blocks, k = [block.without_codes() for block in blocks], _k(plan)
        check_apart(windows.places, windows.window, k)
        learnt, overlapping = None, windows.overlapping
        if plan.learns:
            learning, _ = split(blocks, 0)
            learnt = Learnt(search=find_cells(blocks, learning, k, plan.steps.search.recall, overlapping))
        index = _index(plan, blocks, learnt)
        loo = LeaveOneOut.of(blocks, index, np.arange(len(index)), k, overlapping, progress)
        windows = windows.with_measured(blocks, k, plan.steps.false_alarm_rate) if measure else windows
        return cls(plan, blocks, index, loo, learnt, windows)

    @classmethod
    def restored(
        cls,
        steps: Steps,
        blocks: Sequence[Block],
        loo: LeaveOneOut,
        learnt: Learnt | None,
        windows: WindowPlaces | None,
    ) -> Self:
        """Take over a saved set.

        Raises InputError if what was learnt, or where windows lie, does not fit the steps."""
        if (None if windows is None else Windows(windows.window)) != steps.windows:
            raise InputError("windows need their places, and only windows have any")
        stored = str(blocks[0].stored.dtype)
        plan = Plan.of(steps, size_of(blocks), blocks[0].dimension, stored=stored)
        plan.check_learnt(learnt)
        return cls(plan, blocks, _index(plan, blocks, learnt), loo, learnt, windows)

    @classmethod
    def _learning(
        cls,
        plan: Plan,
        blocks: Sequence[Block],
        readmitted: Positions = NO_POSITIONS,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from a random part of the set and calibrate with the rest of it."""
        blocks, rate = [block.without_codes() for block in blocks], plan.steps.false_alarm_rate
        learning, members = split(blocks, required_sample(rate))
        n, k = len(learning) + len(members), _k(plan)
        attainable_rate(rate, len(members), n)
        learnt = plan.learn(blocks, learning, members, readmitted)
        index = _index(plan, blocks, learnt)
        if len(index) <= k and not learnt.has_centroids:
            raise ReferenceTooSmall(
                f"{k} neighbours need at least {k + 1} reference items, {len(index)} are left of {n} "
                "once others are set aside; add more or ask for a smaller share to drop"
            )
        return cls(plan, blocks, index, learnt.leave_one_out(blocks, index, members, k, progress), learnt)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a saved set is restored: what searches it is made anew."""
        return type(self).restored, (self.plan.steps, self.blocks, self.loo, self.learnt, self.windows)

    def __len__(self) -> int:
        return size_of(self.blocks)

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        if self.windows is not None:
            return self.windows.calibrate(self.loo.distances)
        if self.learnt is None:
            return Calibration.of(len(self), self.loo.distances)
        clean = self.plan.steps.clean
        return self.learnt.calibrate(len(self), self.loo, None if clean is None else clean.drop)

    def compared(self, rows: Vectors) -> Vectors:
        """Return rows, (n, d), as they are compared: rounded as the set is stored, scaled and whitened as it learnt."""
        rows = as_stored(rows, self.plan.storage)
        return rows if self.learnt is None else self.learnt.compared(rows)

    def compared_with(self, rows: Vectors, positions: Positions) -> Vectors:
        """Return what queries, (n, d) and `compared`, lie near to, items or centroids, given the positions found for
        them, (n, k): (n, k, d)."""
        n, k = positions.shape
        if self.learnt is not None and isinstance(self.learnt.search, Centroids):
            return self.learnt.search.nearest(rows, k)
        return self.compared_at(positions.ravel()).reshape(n, k, -1)

    def compared_at(self, positions: Positions) -> Vectors:
        """Return the items at some positions, (m,), as they are compared: (m, d)."""
        rows = rows_at(self.blocks, positions)
        return rows if self.learnt is None else self.learnt.compared(rows)

    def with_rows(self, rows: Vectors, places: Positions | None = None) -> Self:
        """Append rows, (m, d); only what changes is computed, but for windows, which lie at some places of series."""
        blocks = appended(self.blocks, to_blocks(rows, self.plan.storage))
        plan = self.plan.for_blocks(blocks)
        if self.windows is not None and places is not None:
            after = self.windows.places[-1] + self.windows.window
            return self.of(plan, blocks, np.concatenate([self.windows.places, places + after]))
        if self.learnt is not None or plan.learns:
            return self._changed(plan, blocks, NO_POSITIONS)
        index, members = exact_index(plan, blocks), _members(plan, blocks)
        loo = self.loo.after_adding(blocks, index, len(self), members)
        return type(self)(plan, blocks, index, loo)

    def without(self, removed: Positions) -> Self:
        """Take rows away at some positions, ascending; the others move up."""
        blocks = without(self.blocks, removed)
        plan = self.plan.for_blocks(blocks)
        if self.windows is not None:
            return self.of(plan, blocks, np.delete(self.windows.places, removed))
        if self.learnt is not None or plan.learns:
            return self._changed(plan, blocks, removed)
        index, members = exact_index(plan, blocks), _members(plan, blocks)
        loo = self.loo.after_removing(blocks, index, removed, members)
        return type(self)(plan, blocks, index, loo)

    def readmitting(self, positions: Positions) -> Self:
        """Take items that were set aside back."""
        readmitted = positions if self.learnt is None else np.union1d(self.learnt.readmitted, positions)
        return self._learning(self.plan, self.blocks, readmitted)

    def _changed(self, plan: Plan, blocks: Sequence[Block], removed: Positions) -> Self:
        """Keep what was learnt from a large set, and learn it anew from a small one."""
        if not plan.learns:
            return self.of(plan, [block.without_codes() for block in blocks])
        if self.learnt is None:
            return self._learning(plan, blocks)
        members = self._members_still(plan, blocks)
        if members is None:
            readmitted = renumbered(np.setdiff1d(self.learnt.readmitted, removed), removed)
            return self._learning(plan, blocks, readmitted)
        learnt, k = self.learnt.after_removing(removed, blocks), _k(plan)
        attainable_rate(plan.steps.false_alarm_rate, len(members), size_of(blocks))
        index = learnt.index(blocks)
        return type(self)(plan, blocks, index, learnt.leave_one_out(blocks, index, members, k), learnt)

    def _members_still(self, plan: Plan, blocks: Sequence[Block]) -> Positions | None:
        """Return which items calibrate of a set that keeps what was learnt; None where that is to be learnt anew."""
        small = min(len(self), size_of(blocks)) <= LEARNT_ANEW_UP_TO
        if small or self.plan != plan or plan.steps.clean is not None:
            return None
        if self.learnt is None or self.learnt.draw is None:
            return None
        members = drawn_again(blocks, self.learnt.draw.limit)
        return members if len(members) >= SAMPLE_SIZE // 2 else None

    def describe_search(self) -> dict[str, Any]:
        """Say how the set is searched and why, as `model.json` has it."""
        method = self.plan.method
        about: dict[str, Any] = {"method": method.name, "why": method.why, "storage": self.plan.storage}
        if self.learnt is None:
            return about
        about |= self.learnt.describe_search()
        if method.name == "approximate" and self.learnt.search is None:
            lost = f"no approximate search of them finds {self.plan.steps.search.recall:g} of the neighbours"
            about |= {"method": "exact", "why": f"{method.why}, but {lost}"}
        return about if self.learnt.draw is None else about | {"learnt_from": int(self.learnt.draw.size[0])}


def exact_index(plan: Plan, blocks: Sequence[Block]) -> Index:
    """Return the index of a set that nothing was learnt from."""
    if plan.method.name not in ("kdtree", "kmeans-tree"):
        return ExactIndex(blocks)
    rows = rows_at(blocks, np.arange(size_of(blocks)))
    return KDTreeIndex(rows) if plan.method.name == "kdtree" else KMeansTree.of(rows)


def _index(plan: Plan, blocks: Sequence[Block], learnt: Learnt | None) -> Index:
    return exact_index(plan, blocks) if learnt is None else learnt.index(blocks)


def _members(plan: Plan, blocks: Sequence[Block]) -> Positions:
    rate = plan.steps.false_alarm_rate
    members = sample_positions(blocks, required_sample(rate))
    attainable_rate(rate, len(members))  # refused before the search rather than after it
    return members


def _k(plan: Plan) -> int:
    return int(plan.steps.n_neighbors)

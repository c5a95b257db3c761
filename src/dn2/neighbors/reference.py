"""A reference set: its rows, the index that searches them, and what calibrates it; a change makes a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from dn2.arrays import Positions, Progress, Vectors
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, appended, as_stored, renumbered, rows_at, size_of, to_blocks, without
from dn2.neighbors.calibrating import calibrate
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.indexing import exact_index, index_of
from dn2.neighbors.learnt import NO_POSITIONS, Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut, excluded_of
from dn2.neighbors.membership import AUDITED, NEIGHBOR, NO_MEMBERSHIP, Membership
from dn2.neighbors.parts import check_parts_left
from dn2.neighbors.plan import Plan
from dn2.neighbors.sampling import SAMPLE_SIZE, Sampler
from dn2.neighbors.search.centroids import Centroids
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.finding_cells import find_cells
from dn2.neighbors.search.index import Index
from dn2.neighbors.steps import Steps, Windows
from dn2.neighbors.windows import WindowPlaces, check_apart

# A set of more rows keeps what was learnt from it when items come and go; what a smaller one teaches is learnt anew.
LEARNT_ANEW_UP_TO = 20_000


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceSet:
    """A reference set ready to be searched.

    plan : what is done with a set of its size.
    blocks : the rows; index : what searches them; loo : the neighbours of the items that calibrate;
    learnt : what was learnt from the rows, if anything; windows : where they lie, if they are windows of series;
    membership : what they belong to."""

    plan: Plan
    blocks: Sequence[Block]
    index: Index
    loo: LeaveOneOut
    learnt: Learnt | None = None
    windows: WindowPlaces | None = None
    membership: Membership = NO_MEMBERSHIP

    @classmethod
    def of(
        cls,
        plan: Plan,
        blocks: Sequence[Block],
        membership: Membership = NO_MEMBERSHIP,
        progress: Progress | None = None,
    ) -> Self:
        """Index and calibrate rows, and learn from them what the plan says; progress : of what calibrates.

        Raises ReferenceTooSmall for a false-alarm rate that they cannot support, and where too few are left."""
        if plan.learns:
            return cls._learning(plan, blocks, membership, progress=progress)
        index, members = exact_index(plan, blocks), _members(plan, blocks, membership)
        check_parts_left(membership, np.arange(len(index)), members, _k(plan))
        exclude = excluded_of(members, membership.parts)
        loo = LeaveOneOut.of(blocks, index, members, _k(plan), exclude, progress)
        return cls(plan, blocks, index, loo, membership=membership)

    @classmethod
    def of_windows(
        cls,
        plan: Plan,
        blocks: Sequence[Block],
        windows: WindowPlaces,
        measure: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """Compare each window with those that do not overlap it: all of them calibrate, whatever is learnt.

        measure : whether to measure what p-values are worth."""
        blocks, k = [block.without_codes() for block in blocks], _k(plan)
        check_apart(windows.places, windows.window, k)
        learnt, excluded = None, windows.excluded
        if plan.learns:
            learning = Sampler(blocks, NO_MEMBERSHIP, plan.steps.calibrate.seed).split().learning
            learnt = Learnt(search=find_cells(blocks, learning, k, plan.steps.search.recall, excluded))
        index = index_of(plan, blocks, learnt)
        loo = LeaveOneOut.of(blocks, index, np.arange(len(index)), k, excluded, progress)
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
        membership: Membership,
    ) -> Self:
        """Take over a saved set.

        Raises InputError if what was learnt, or where windows lie, does not fit the steps."""
        if (None if windows is None else Windows(windows.window)) != steps.windows:
            raise InputError("windows need their places, and only windows have any")
        stored = str(blocks[0].stored.dtype)
        plan = Plan.of(steps, size_of(blocks), blocks[0].dimension, stored=stored)
        plan.check_learnt(learnt)
        index = index_of(plan, blocks, learnt, loo.members, membership)
        return cls(plan, blocks, index, loo, learnt, windows, membership)

    @classmethod
    def _learning(
        cls,
        plan: Plan,
        blocks: Sequence[Block],
        membership: Membership,
        readmitted: Positions = NO_POSITIONS,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from a random part of the set and calibrate with the rest of it."""
        blocks, steps, k = [block.without_codes() for block in blocks], plan.steps, _k(plan)
        if membership.roles is not None:  # a person said that they are normal
            readmitted = np.union1d(readmitted, np.flatnonzero(np.isin(membership.roles, (NEIGHBOR, AUDITED))))
        split = plan.split(blocks, membership)
        _check_rate(plan, len(split.learning) + len(split.members), membership, split.members)
        learnt = plan.learn(blocks, split, readmitted)
        index = index_of(plan, blocks, learnt, split.members, membership)
        n = len(split.learning) + len(split.members)
        if len(index) < k + (not steps.holds_out) and not learnt.has_centroids:
            raise ReferenceTooSmall(
                f"{k} neighbours need at least {k + 1} reference items, {len(index)} are left of {n} "
                "once others are set aside; add more or ask for a smaller share to drop"
            )
        if not steps.holds_out and not learnt.has_centroids:
            check_parts_left(membership, np.setdiff1d(np.arange(n), learnt.aside), split.members, k)
        exclude = _excluded(plan, membership, split.members)
        loo = learnt.leave_one_out(blocks, index, split.members, k, exclude, progress)
        return cls(plan, blocks, index, loo, learnt, membership=membership)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a saved set is restored: what searches it is made anew."""
        return type(self).restored, (
            self.plan.steps,
            self.blocks,
            self.loo,
            self.learnt,
            self.windows,
            self.membership,
        )

    def __len__(self) -> int:
        return size_of(self.blocks)

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        if self.windows is not None:
            return self.windows.calibrate(self.loo.distances)
        return calibrate(len(self), self.loo, self.membership, self.plan.steps, self.learnt)

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

    def leave_one_out(self, members: Positions) -> LeaveOneOut:
        """Search for the neighbours of some items once more."""
        k = self.loo.distances.shape[1]
        if self.windows is not None:
            return LeaveOneOut.of(self.blocks, self.index, members, k, self.windows.excluded[members])
        exclude = _excluded(self.plan, self.membership, members)
        if self.learnt is not None:
            return self.learnt.leave_one_out(self.blocks, self.index, members, k, exclude)
        return LeaveOneOut.of(self.blocks, self.index, members, k, exclude)

    def with_rows(self, rows: Vectors, places: Positions | None = None, membership: Membership = NO_MEMBERSHIP) -> Self:
        """Append rows, (m, d), which belong to something if the others do; only what changes is computed, but for
        windows, which lie at some places of series."""
        blocks = appended(self.blocks, to_blocks(rows, self.plan.storage))
        plan = self.plan.for_blocks(blocks)
        if self.windows is not None and places is not None:
            after = self.windows.places[-1] + self.windows.window
            joined = np.concatenate([self.windows.places, places + after])
            return self.of_windows(plan, blocks, WindowPlaces(self.windows.window, joined))
        membership = self.membership.joined(membership, len(self), len(rows))
        if self.learnt is not None or plan.learns:
            return self._changed(plan, blocks, membership, NO_POSITIONS)
        index, members = exact_index(plan, blocks), _members(plan, blocks, membership)
        loo = self.loo.after_adding(blocks, index, len(self), members, membership.parts)
        return type(self)(plan, blocks, index, loo, membership=membership)

    def without(self, removed: Positions) -> Self:
        """Take rows away at some positions, ascending; the others move up."""
        blocks = without(self.blocks, removed)
        plan = self.plan.for_blocks(blocks)
        if self.windows is not None:
            places = np.delete(self.windows.places, removed)
            return self.of_windows(plan, blocks, WindowPlaces(self.windows.window, places))
        membership = self.membership.without(removed)
        if self.learnt is not None or plan.learns:
            return self._changed(plan, blocks, membership, removed)
        index, members = exact_index(plan, blocks), _members(plan, blocks, membership)
        check_parts_left(membership, np.arange(len(index)), members, _k(plan))
        loo = self.loo.after_removing(blocks, index, removed, members, membership.parts)
        return type(self)(plan, blocks, index, loo, membership=membership)

    def holding_out(self) -> Self:
        """Let the items that calibrate be no neighbours, and learn anew."""
        blocks = [block.without_codes() for block in self.blocks]
        return self.of(self._plan_holding_out(blocks), blocks, self.membership)

    def recalibrated(self, rows: Vectors, membership: Membership) -> Self:
        """Append rows, (m, d), and learn anew, with calibrating items that are no neighbours; membership : of all."""
        blocks = [block.without_codes() for block in appended(self.blocks, to_blocks(rows, self.plan.storage))]
        return self.of(self._plan_holding_out(blocks), blocks, membership)

    def _plan_holding_out(self, blocks: Sequence[Block]) -> Plan:
        steps = self.plan.steps
        steps = replace(steps, calibrate=replace(steps.calibrate, hold_out=True))
        steps.check()
        return Plan.of(steps, size_of(blocks), blocks[0].dimension, stored=self.plan.storage)

    def readmitting(self, positions: Positions) -> Self:
        """Take items that were set aside back."""
        readmitted = positions if self.learnt is None else np.union1d(self.learnt.readmitted, positions)
        return self._learning(self.plan, self.blocks, self.membership, readmitted)

    def _changed(self, plan: Plan, blocks: Sequence[Block], membership: Membership, removed: Positions) -> Self:
        """Keep what was learnt from a large set, and learn it anew from a small one."""
        if not plan.learns:
            return self.of(plan, [block.without_codes() for block in blocks], membership)
        if self.learnt is None:
            return self._learning(plan, blocks, membership)
        members = self._members_still(plan, blocks, membership)
        if members is None:
            readmitted = renumbered(np.setdiff1d(self.learnt.readmitted, removed), removed)
            return self._learning(plan, blocks, membership, readmitted)
        learnt, k = self.learnt.after_removing(removed, blocks), _k(plan)
        _check_rate(plan, size_of(blocks), membership, members)
        index = index_of(plan, blocks, learnt, members, membership)
        exclude = _excluded(plan, membership, members)
        loo = learnt.leave_one_out(blocks, index, members, k, exclude)
        return type(self)(plan, blocks, index, loo, learnt, membership=membership)

    def _members_still(self, plan: Plan, blocks: Sequence[Block], membership: Membership) -> Positions | None:
        """Return which items calibrate of a set that keeps what was learnt; None where that is to be learnt anew."""
        small = min(len(self), size_of(blocks)) <= LEARNT_ANEW_UP_TO
        if small or self.plan != plan or plan.steps.clean is not None:
            return None
        if self.learnt is None or self.learnt.limits is None:
            return None
        members = plan.sampler(blocks, membership).drawn_again(self.learnt.limits)
        return members if members is not None and len(members) >= SAMPLE_SIZE // 2 else None

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
        return about if self.learnt.limits is None else about | {"learnt_from": int(self.learnt.limits.size[0])}


def _excluded(plan: Plan, membership: Membership, members: Positions) -> Excluded | None:
    """Return what items that calibrate exclude from their neighbours; None where they are no neighbours themselves."""
    if plan.steps.holds_out:
        return None
    return Excluded.own(members) if membership.parts is None else excluded_of(members, membership.parts)


def _members(plan: Plan, blocks: Sequence[Block], membership: Membership) -> Positions:
    members = plan.sampler(blocks, membership).sample()
    _check_rate(plan, size_of(blocks), membership, members)  # refused before the search rather than after it
    return members


def _check_rate(plan: Plan, n: int, membership: Membership, members: Positions) -> None:
    """Raise ReferenceTooSmall for a false-alarm rate that the items that calibrate, of n, do not attain."""
    unknown = LeaveOneOut(members, np.zeros((len(members), 1), np.float32), members[:, None])
    learnt = Learnt() if plan.learns else None
    calibrate(n, unknown, membership, plan.steps, learnt).rate(plan.steps.false_alarm_rate)


def _k(plan: Plan) -> int:
    return int(plan.steps.n_neighbors)

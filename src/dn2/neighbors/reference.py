"""A reference set: its rows, the index that searches them, and what calibrates it; a change makes a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, Positions, Vectors, appended, as_stored, rows_at, size_of, to_blocks, without
from dn2.neighbors.cells import find_cells
from dn2.neighbors.choice import choose_method
from dn2.neighbors.conformal import Calibration, attainable_rate, required_sample
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.index import Index, Progress
from dn2.neighbors.kdtree import KDTreeIndex
from dn2.neighbors.kmeans_tree import KMeansTree
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import SAMPLE_SIZE, LeaveOneOut, renumbered, sample_positions
from dn2.neighbors.plan import Plan, drawn_again, split
from dn2.neighbors.windows import Line, check_apart

# A set of more rows keeps what was learnt from it when items come and go; what a smaller one teaches is learnt anew.
LEARNT_ANEW_UP_TO = 20_000


@dataclass(frozen=True)
class ReferenceSet:
    """A reference set ready to be searched.

    parameters : those of the `KNNDetector`, by name.
    blocks : the rows; index : what searches them; loo : the neighbours of the items that calibrate;
    learnt : what was learnt from the rows, if anything; line : where they lie, if they are windows of series."""

    parameters: Mapping[str, Any]
    blocks: Sequence[Block]
    index: Index
    loo: LeaveOneOut
    learnt: Learnt | None
    line: Line | None = None

    @classmethod
    def of(
        cls,
        parameters: Mapping[str, Any],
        blocks: Sequence[Block],
        places: Positions | None = None,
        measure: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """Index and calibrate rows, and learn from them what the parameters ask for.

        places : where they lie, if they are windows of series; measure : whether to measure what p-values are worth.
        progress : of what calibrates.
        Raises ReferenceTooSmall for a false-alarm rate that they cannot support, and where too few are left."""
        if places is not None:
            return cls._of_windows(parameters, blocks, Line(parameters["window"], places), measure, progress)
        if plan_for(parameters, blocks).learns:
            return cls._learning(parameters, blocks, np.empty(0, np.int64), progress)
        index, members = exact_index(parameters, blocks), _members(parameters, blocks)
        loo = LeaveOneOut.of(blocks, index, members, _k(parameters), progress=progress)
        return cls(parameters, blocks, index, loo, None)

    @classmethod
    def _of_windows(
        cls,
        parameters: Mapping[str, Any],
        blocks: Sequence[Block],
        line: Line,
        measure: bool,
        progress: Progress | None,
    ) -> Self:
        """Compare each window with those that do not overlap it: all of them calibrate, whatever is learnt."""
        blocks, k = [block.without_codes() for block in blocks], _k(parameters)
        check_apart(line.places, line.window, k)
        learnt, overlapping = None, line.overlapping
        if plan_for(parameters, blocks).approximate:
            learning, _ = split(blocks, 0)
            cells = find_cells(blocks, learning, k, parameters["recall"], overlapping)
            learnt = Learnt.nothing(blocks[0].dimension).searching(cells)
        index = _index(parameters, blocks, learnt)
        loo = LeaveOneOut.of(blocks, index, np.arange(len(index)), k, overlapping, progress)
        line = line.measured(blocks, k, parameters["false_alarm_rate"]) if measure else line
        return cls(parameters, blocks, index, loo, learnt, line)

    @classmethod
    def restored(
        cls,
        parameters: Mapping[str, Any],
        blocks: Sequence[Block],
        loo: LeaveOneOut,
        learnt: Learnt | None,
        line: Line | None,
    ) -> Self:
        """Take over a saved set.  Raises InputError if what was learnt does not fit the parameters."""
        if (learnt is None) == plan_for(parameters, blocks).learns:
            raise InputError("a detector that learns from its reference set needs what it learnt, and only that one")
        return cls(parameters, blocks, _index(parameters, blocks, learnt), loo, learnt, line)

    @classmethod
    def _learning(
        cls,
        parameters: Mapping[str, Any],
        blocks: Sequence[Block],
        readmitted: Positions,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from a random part of the set and calibrate with the rest of it."""
        blocks = [block.without_codes() for block in blocks]
        learning, members = split(blocks, required_sample(parameters["false_alarm_rate"]))
        n, k = len(learning) + len(members), _k(parameters)
        attainable_rate(parameters["false_alarm_rate"], len(members), n)
        learnt = plan_for(parameters, blocks).learn(blocks, learning, members, readmitted)
        index = _index(parameters, blocks, learnt)
        if len(index) <= k and not len(learnt.representatives):
            raise ReferenceTooSmall(
                f"{k} neighbours need at least {k + 1} reference items, {len(index)} are left of {n} "
                "once others are set aside; add more or ask for a smaller share to drop"
            )
        return cls(parameters, blocks, index, learnt.leave_one_out(blocks, index, members, k, progress), learnt)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a saved set is restored: what searches it is made anew."""
        return type(self).restored, (dict(self.parameters), self.blocks, self.loo, self.learnt, self.line)

    def __len__(self) -> int:
        return size_of(self.blocks)

    @property
    def storage(self) -> str:
        """How the rows are stored: see `blocks.STORAGES`."""
        return str(self.blocks[0].stored.dtype)

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        if self.line is not None:
            return self.line.calibrate(self.loo.distances)
        if self.learnt is None:
            return Calibration.of(len(self), self.loo.distances)
        return self.learnt.calibrate(len(self), self.loo)

    def compared(self, rows: Vectors) -> Vectors:
        """Return rows, (n, d), as they are compared: rounded as the set is stored, scaled and whitened as it learnt."""
        rows = as_stored(rows, self.storage)
        return rows if self.learnt is None else self.learnt.compared(rows)

    def compared_with(self, rows: Vectors, positions: Positions) -> Vectors:
        """Return what queries, (n, d) and `compared`, lie near to, items or centroids, given the positions found for
        them, (n, k): (n, k, d)."""
        n, k = positions.shape
        if self.learnt is None or not len(self.learnt.centroids):
            near = rows_at(self.blocks, positions.ravel())
            near = near if self.learnt is None else self.learnt.compared(near)
        else:
            near = self.learnt.centroids[ExactIndex([self.learnt.centroids]).search(rows, k)[1].ravel()]
        return near.reshape(n, k, -1)

    def with_rows(self, rows: Vectors, places: Positions | None = None) -> Self:
        """Append rows, (m, d); only what changes is computed, but for windows, which lie at some places of series."""
        blocks = appended(self.blocks, to_blocks(rows, self.storage))
        if self.line is not None and places is not None:
            after = self.line.places[-1] + self.line.window
            return self.of(self.parameters, blocks, np.concatenate([self.line.places, places + after]))
        if self._learns_or_did(blocks):
            return self._changed(blocks, np.empty(0, np.int64))
        index, members = exact_index(self.parameters, blocks), _members(self.parameters, blocks)
        loo = self.loo.after_adding(blocks, index, len(self), members)
        return type(self)(self.parameters, blocks, index, loo, None)

    def without(self, removed: Positions) -> Self:
        """Take rows away at some positions, ascending; the others move up."""
        blocks = without(self.blocks, removed)
        if self.line is not None:
            return self.of(self.parameters, blocks, np.delete(self.line.places, removed))
        if self._learns_or_did(blocks):
            return self._changed(blocks, removed)
        index, members = exact_index(self.parameters, blocks), _members(self.parameters, blocks)
        loo = self.loo.after_removing(blocks, index, removed, members)
        return type(self)(self.parameters, blocks, index, loo, None)

    def readmitting(self, positions: Positions) -> Self:
        """Take items that were set aside back."""
        readmitted = positions if self.learnt is None else np.union1d(self.learnt.readmitted, positions)
        return self._learning(self.parameters, self.blocks, readmitted)

    def _learns_or_did(self, blocks: Sequence[Block]) -> bool:
        return self.learnt is not None or plan_for(self.parameters, blocks).learns

    def _changed(self, blocks: Sequence[Block], removed: Positions) -> Self:
        """Keep what was learnt from a large set, and learn it anew from a small one."""
        if not plan_for(self.parameters, blocks).learns:
            return self.of(self.parameters, [block.without_codes() for block in blocks])
        if self.learnt is None:
            return self._learning(self.parameters, blocks, np.empty(0, np.int64))
        members = self._members_still(blocks)
        if members is None:
            readmitted = renumbered(np.setdiff1d(self.learnt.readmitted, removed), removed)
            return self._learning(self.parameters, blocks, readmitted)
        learnt, k = self.learnt.after_removing(removed, blocks), _k(self.parameters)
        attainable_rate(self.parameters["false_alarm_rate"], len(members), size_of(blocks))
        index = learnt.index(blocks)
        return type(self)(self.parameters, blocks, index, learnt.leave_one_out(blocks, index, members, k), learnt)

    def _members_still(self, blocks: Sequence[Block]) -> Positions | None:
        """Return which items calibrate of a set that keeps what was learnt; None where that is to be learnt anew."""
        assert self.learnt is not None
        plan, now = plan_for(self.parameters, self.blocks), plan_for(self.parameters, blocks)
        small = min(len(self), size_of(blocks)) <= LEARNT_ANEW_UP_TO
        if small or plan != now or plan.clean or not len(self.learnt.drawn):
            return None
        members = drawn_again(blocks, self.learnt.drawn)
        return members if len(members) >= SAMPLE_SIZE // 2 else None

    def describe_search(self) -> dict[str, Any]:
        """Say how the set is searched and why, as `model.json` has it."""
        method = choose_method(self.parameters, len(self), self.blocks[0].dimension)
        about: dict[str, Any] = {"method": method.name, "why": method.why, "storage": self.storage}
        if self.learnt is None:
            return about
        if found := self.learnt.search:
            about |= found
        elif method.name == "approximate":
            lost = f"no approximate search of them finds {self.parameters['recall']:g} of the neighbours"
            about |= {"method": "exact", "why": f"{method.why}, but {lost}"}
        return about | {"learnt_from": int(self.learnt.size[0])} if len(self.learnt.size) else about


def plan_for(parameters: Mapping[str, Any], blocks: Sequence[Block]) -> Plan:
    """Plan what the rows of a set teach."""
    return Plan.of(parameters, size_of(blocks), blocks[0].dimension)


def exact_index(parameters: Mapping[str, Any], blocks: Sequence[Block]) -> Index:
    """Return the index of a set that nothing was learnt from."""
    n = size_of(blocks)
    name = choose_method(parameters, n, blocks[0].dimension).name
    if name not in ("kdtree", "kmeans-tree"):
        return ExactIndex(blocks)
    rows = rows_at(blocks, np.arange(n))
    return KDTreeIndex(rows) if name == "kdtree" else KMeansTree.of(rows)


def _index(parameters: Mapping[str, Any], blocks: Sequence[Block], learnt: Learnt | None) -> Index:
    return exact_index(parameters, blocks) if learnt is None else learnt.index(blocks)


def _members(parameters: Mapping[str, Any], blocks: Sequence[Block]) -> Positions:
    rate = parameters["false_alarm_rate"]
    members = sample_positions(blocks, required_sample(rate))
    attainable_rate(rate, len(members))  # refused before the search rather than after it
    return members


def _k(parameters: Mapping[str, Any]) -> int:
    return int(parameters["n_neighbors"])

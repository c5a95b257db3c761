"""The detector: kNN distances, their p-values, and a reference set that can change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from dn2.arrays import Array, Distances, Positions, Progress, Scores, Vectors
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, to_blocks
from dn2.neighbors.calibration import Calibration, mean_squared_distance
from dn2.neighbors.checks import check_neighbors, check_positions, check_rows
from dn2.neighbors.choice import check_memory
from dn2.neighbors.clean import Share
from dn2.neighbors.learnt import NO_POSITIONS, Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.membership import NO_MEMBERSHIP, Keys, Membership
from dn2.neighbors.plan import Plan
from dn2.neighbors.prepare.normalize import normalize
from dn2.neighbors.prepare.scaling import by_column
from dn2.neighbors.reference import ReferenceSet
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.steps import Steps
from dn2.neighbors.suspicion import Suspicion, look
from dn2.neighbors.windows import WindowPlaces, check_places

SPLIT_AT_ONCE = 1 << 22  # numbers


@dataclass(frozen=True, eq=False, repr=False)
class Detector:
    """What has been learnt from a reference set at a moment: made by `Detector.fit`.

    A change makes a new detector; whoever reads the old one is not disturbed, and it scores in any number of threads.

    steps : what it does; reference : the set; calibration : what p-values rest on; false_alarm_rate : to decide at."""

    steps: Steps
    reference: ReferenceSet
    calibration: Calibration
    false_alarm_rate: float

    def __repr__(self) -> str:
        return f"<Detector: {len(self.reference):,} reference items of {self.dimension:,} numbers, {self.steps}>"

    @classmethod
    def fit(
        cls,
        steps: Steps,
        X: Any,
        *,
        membership: Membership = NO_MEMBERSHIP,
        places: Any = None,
        measure: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """Take X, of shape (n, d), as the reference set.

        membership : what the rows belong to.
        places : (n,) where windows lie, ascending, if rows are windows: by default they are those of one series.
        measure : whether to measure what the p-values of series are worth, with halves of them.
        progress : called with the items that calibrate so far, and all of them.
        Raises InputError for steps that do not go together and for rows that are not finite numbers, ReferenceTooSmall
        for fewer than n_neighbors + 1 items or a false-alarm rate that n items cannot support."""
        steps.check()
        rows = check_rows(X, may_miss=steps.scale is not None)
        if steps.scale is not None:
            steps.scale.check(rows.shape[1])
        _check_size(steps, len(rows))
        where = _check_places(steps, places, len(rows))
        _check_membership(steps, membership, len(rows))
        plan = Plan.of(steps, *rows.shape)
        blocks = to_blocks(rows, plan.storage, partial(_normalized, steps))
        if steps.windows is None or where is None:
            return cls._of(ReferenceSet.of(plan, blocks, membership, progress))
        windows = WindowPlaces(int(steps.windows.window), where)
        return cls._of(ReferenceSet.of_windows(plan, blocks, windows, measure, progress))

    @classmethod
    def from_saved(
        cls,
        steps: Steps,
        blocks: Sequence[Block],
        loo: LeaveOneOut,
        learnt: Learnt | None = None,
        windows: WindowPlaces | None = None,
        membership: Membership = NO_MEMBERSHIP,
    ) -> Self:
        """Take over a saved reference set: normalised embeddings in blocks, its leave-one-out neighbours, what was
        learnt from it, where windows lie, and what items belong to.

        Raises InputError where these do not fit the steps."""
        steps.check()
        if steps.scale is not None:
            steps.scale.check(blocks[0].dimension)
        return cls._of(ReferenceSet.restored(steps, blocks, loo, learnt, windows, membership))

    @classmethod
    def _of(cls, reference: ReferenceSet) -> Self:
        """Calibrate a reference set.  Raises ReferenceTooSmall for a false-alarm rate that it cannot support."""
        steps, calibration = reference.plan.steps, reference.calibration
        return cls(steps, reference, calibration, calibration.rate(steps.false_alarm_rate))

    def add(self, X: Any, *, membership: Membership = NO_MEMBERSHIP, places: Any = None) -> Self:
        """Return the detector with X, of shape (m, d), appended to the reference set; only what changes is computed.

        membership : what the rows belong to, where the reference items do to something.
        places : as in `fit`, counted anew: the windows are those of other series.
        What was learnt from a set is learnt anew, unless it has more than 20,000 items: then it stays."""
        reference, rows = self.reference, self._rows(X)
        check_memory(self.steps, len(reference) + len(rows), rows.shape[1], reference.plan.storage)
        _check_membership(self.steps, membership, len(rows))
        return self._of(reference.with_rows(rows, _check_places(self.steps, places, len(rows)), membership))

    def remove(self, positions: Any) -> Self:
        """Return the detector without items, by position; the others move up.

        Equals never having had them, bit for bit, where nothing was learnt from them: see `add`.
        Raises InputError for a position that does not exist, ReferenceTooSmall if too few would remain."""
        removed = check_positions(positions, len(self.reference))
        _check_size(self.steps, len(self.reference) - len(removed))
        return self._of(self.reference.without(removed))

    def holding_out(self) -> Self:
        """Return the detector whose calibrating items are no neighbours.  Raises ReferenceTooSmall, InputError."""
        return self if self.steps.holds_out else self._of(self.reference.holding_out())

    def recalibrated(self, X: Any, membership: Membership) -> Self:
        """Do so with X, of shape (m, d), appended; membership : of all items, which says what may calibrate."""
        return self._of(self.reference.recalibrated(self._rows(X), membership))

    def readmit(self, positions: Any) -> Self:
        """Return the detector with items that were set aside back in the reference set, by position, whatever the
        cleaning says.

        Raises InputError for an item that is not set aside."""
        wanted = check_positions(positions, len(self.reference))
        if len(strangers := np.setdiff1d(wanted, self.aside)):
            raise InputError(f"the item at position {strangers[0]} is not set aside")
        return self._of(self.reference.readmitting(wanted)) if len(wanted) else self

    def search(self, X: Any, n_neighbors: int | None = None, parts: Keys | None = None) -> tuple[Distances, Positions]:
        """Return squared L2 distances and positions of the nearest reference items of X, (n, d): (n, k) each, nearest
        first.

        parts : (n,) what the rows belong to: reference items of their part are left out, as when it is calibrated.
        Raises InputError for more neighbours than there are items."""
        k, index = self.steps.n_neighbors if n_neighbors is None else n_neighbors, self.reference.index
        check_neighbors(k)
        if k > len(index):
            raise InputError(f"n_neighbors must lie in 1 ... {len(index)} reference items, got {k}")
        known = self.reference.membership.parts
        if parts is None or known is None or self.steps.holds_out or not np.isin(parts, known).any():
            return index.search(self.as_compared(X), int(k))
        exclude = Excluded.of_groups(known, parts)
        if len(index) - exclude.most < k:
            raise ReferenceTooSmall(
                f"{k} neighbours of other parts are needed, and the largest part has {exclude.most:,} of "
                f"{len(index):,} reference items; add other parts"
            )
        return index.search(self.as_compared(X), int(k), exclude)

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Do what `search` does, with distances that are not squared."""
        distances, positions = self.search(X, n_neighbors)
        return np.sqrt(distances), positions

    def as_compared(self, X: Any) -> Vectors:
        """Return rows, (n, d), as the search compares them: normalised, rounded as stored, scaled and whitened."""
        return self.reference.compared(self._rows(X))

    def compared_with(self, rows: Vectors, positions: Positions) -> Vectors:
        """Return the items or centroids, (n, k, d), at the positions that `search` found, (n, k), for rows, (n, d)."""
        return self.reference.compared_with(rows, positions)

    def anomaly_score(self, X: Any, parts: Keys | None = None) -> Scores:
        """Return the mean squared L2 distance to the nearest reference items, (n,); higher is more anomalous.

        parts : see `search`."""
        return mean_squared_distance(self.search(X, parts=parts)[0])

    def p_value(self, X: Any, membership: Membership = NO_MEMBERSHIP) -> Scores:
        """Return conformal p-values, (n,): a normal item gets one of at most `rate` with at most that probability.

        membership : what the rows belong to.  NaN for a row of a stratum that has no reference items."""
        scores = self.anomaly_score(X, membership.parts)
        return self.calibration.p_value(scores, membership.strata, self.chances(X))

    def chances(self, X: Any) -> Scores | None:
        """Draw, where ties are smoothed, a number in (0, 1) for each row of X, by the seed and its place: (n,)."""
        if not self.steps.calibrate.smooth:
            return None
        return np.random.default_rng(int(self.steps.calibrate.seed)).uniform(size=len(X))

    def contributions(self, X: Any) -> Scores:
        """Split anomaly scores over the columns of X, (n, d): what each adds to the mean squared distance.

        The parts of a row add up to its score.  Raises InputError where rows are normalised or whitened: distances do
        not split over columns then."""
        return self.split(X, *self.search(X))

    def split(self, X: Any, distances: Distances, positions: Positions) -> Scores:
        """Do what `contributions` does with what `search` found for X."""
        if self.steps.normalize.method != "none" or self.steps.whiten is not None:
            raise InputError("scores split over columns only with normalize='none' and whiten=False")
        rows, learnt = self.as_compared(X), self.learnt
        step = max(1, SPLIT_AT_ONCE // (rows.shape[1] * distances.shape[1]))
        parts = [np.empty((0, rows.shape[1]))]
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            near = self.compared_with(rows[part], positions[part])
            parts.append(np.square(rows[part, None] - near.astype(np.float64)).mean(axis=1))
        scaling = None if learnt is None else learnt.scaling
        owners = np.arange(self.dimension) if scaling is None else scaling.owners
        return by_column(np.concatenate(parts), owners, self.dimension, mean_squared_distance(distances))

    def judge_suspects(self) -> tuple[Positions, Distances, Positions]:
        """Compare each suspect with the nearest of the items that are none.

        Returns the positions of the suspects, (s,), most anomalous first, and of each the squared L2 distances and the
        positions of its neighbours, (s, k), nearest first."""
        others = np.setdiff1d(np.arange(len(self.reference), dtype=np.int64), self.suspects)
        index = ExactIndex([self.reference.compared_at(others)])
        k = min(int(self.steps.n_neighbors), len(others))
        distances, places = index.search(self.reference.compared_at(self.suspects), k)
        order = np.argsort(-mean_squared_distance(distances), kind="stable")
        return self.suspects[order], distances[order], others[places[order]]

    def suspicion(self, orders: Sequence[Positions] = ()) -> Suspicion:
        """Look for what breaks exchangeability in the reference set: see `suspicion.look`."""
        return look(self.reference, orders, self.reference.membership.parts)

    def near_duplicates(self, copy_distance: float) -> list[tuple[int, int]]:
        """List (item, nearest other item), by position, of calibrating items with another up to a distance."""
        if self.steps.windows is not None or (self.learnt is not None and not self.learnt.suspects_copies):
            return []
        loo = self.leave_one_out
        copies = loo.distances[:, 0] <= copy_distance**2
        return [(int(a), int(b)) for a, b in zip(loo.members[copies], loo.neighbors[copies, 0], strict=True)]

    @property
    def offset(self) -> float:
        """The negative of the largest anomaly score that is no alarm."""
        return -self.calibration.threshold(self.false_alarm_rate)

    @property
    def dimension(self) -> int:
        """The length d of the rows."""
        return self.blocks[0].dimension

    @property
    def blocks(self) -> list[Block]:
        """The reference set, normalised, as it is stored; `np.asarray` of a block gives its rows, (n_i, d)."""
        return list(self.reference.blocks)

    @property
    def learnt(self) -> Learnt | None:
        """What was learnt from the reference set."""
        return self.reference.learnt

    @property
    def leave_one_out(self) -> LeaveOneOut:
        """The neighbours of the calibrating reference items."""
        return self.reference.loo

    @property
    def contamination(self) -> Share | None:
        """The estimated share of anomalies in the set, None where it is not contaminated."""
        return None if self.learnt is None or self.learnt.cleaning is None else self.learnt.cleaning.share

    @property
    def aside(self) -> Positions:
        """The positions of the items set aside, ascending."""
        return NO_POSITIONS if self.learnt is None else self.learnt.aside

    @property
    def suspects(self) -> Positions:
        """The positions of the items set aside, and of those that look anomalous but are not, ascending."""
        return NO_POSITIONS if self.learnt is None else self.learnt.suspects

    def describe_search(self) -> dict[str, Any]:
        """Say how the reference set is searched and stored, and why."""
        return self.reference.describe_search()

    def _rows(self, X: Any) -> Vectors:
        return _normalized(self.steps, check_rows(X, self.dimension, may_miss=self.steps.scale is not None))


def _normalized(steps: Steps, rows: Array) -> Vectors:
    return normalize(np.ascontiguousarray(rows, np.float32), steps.normalize.method)


def _check_places(steps: Steps, places: Any, n: int) -> Positions | None:
    if steps.windows is None:
        if places is not None:
            raise InputError("places are those of windows of series: give the step windows, too")
        return None
    return check_places(places, n, int(steps.windows.window))


def _check_membership(steps: Steps, membership: Membership, n: int) -> None:
    for name, keys in (("parts", membership.parts), ("strata", membership.strata)):
        if keys is not None and steps.windows is not None:
            raise InputError(f"windows of series have no {name}: each series is compared as a whole")
        if keys is not None and (keys.dtype != np.uint64 or keys.shape != (n,)):
            raise InputError(f"the {name} of {n:,} rows must be {n:,} keys, got {keys.dtype} of shape {keys.shape}")


def _check_size(steps: Steps, n: int) -> None:
    if n <= steps.n_neighbors:
        raise ReferenceTooSmall(
            f"{steps.n_neighbors} neighbours need at least {steps.n_neighbors + 1} reference items, "
            f"got n_samples={n}; add {steps.n_neighbors + 1 - n} more or ask for fewer neighbours"
        )

"""The detector: kNN distances, their p-values, and a reference set that can change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, Positions, Vectors, appended, rows_at, to_blocks, without
from dn2.neighbors.checks import check_columns, check_neighbors, check_parameters, check_positions, check_values
from dn2.neighbors.columns import Scaling
from dn2.neighbors.conformal import (
    Calibration,
    Scores,
    attainable_rate,
    mean_squared_distance,
    near_duplicates,
    required_sample,
)
from dn2.neighbors.exact import Distances, ExactIndex
from dn2.neighbors.learnt import Learnt, Plan, split
from dn2.neighbors.leave_one_out import LeaveOneOut, renumbered, sample_positions
from dn2.neighbors.normalize import normalize
from dn2.neighbors.selected import Index

SPLIT_AT_ONCE = 1 << 22  # numbers


class KNNDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by the mean squared distance to the nearest reference items.

    n_neighbors : number k of neighbours; the paper's is 2.
    false_alarm_rate : share of normal items that may be flagged, in (0, 1); by default 0.01, or the smallest that
        the reference set supports, 1 / (n + 1), if that is larger.
    normalize : `none` (the paper's), `unit` or `root-unit`; see `dn2.neighbors.normalize`.
    index : `exact`; `approximate`: only near cells of the set are searched, as many as find 999 of 1,000 neighbours
        among the items learnt from; `auto`: exact, but for tables of 200,000 rows or more; or `kmeans:C`: C centroids
        take the place of the items, and n_neighbors must be 1.
    scale_columns : whether the columns of a table, each of a scale of its own, are made alike: z-scores and normal
        scores of each, joined, and NaN is a value that is missing (see `dn2.neighbors.columns`); learnt from a random
        half of the items, so that the other half calibrates.
    categorical_columns : which of these columns hold categories: numbers that are equal or not.
    whiten : whether directions in which near items differ much count for less (see `dn2.neighbors.whitening`); learnt
        from a random half of the items, so that the other half calibrates.
    contaminated : whether anomalies are among the reference items and are to be set aside (DN2's unsupervised mode).
    drop : the share to set aside, in [0, 1); by default it is estimated.  The paper drops half.
    first_neighbors : number of neighbours of the stage that finds them; by default many, which is better.  The
        paper's is n_neighbors.

    After `fit`: `calibration_` (see `Calibration`), `false_alarm_rate_`, `offset_` (score_samples below it is an
    anomaly), `contamination_` (the estimated share of anomalies, or None), `aside_` (positions of the items set
    aside), `n_features_in_`.  Source: Bergman, Cohen, Hoshen, "Deep Nearest Neighbor Anomaly Detection", 2020."""

    def __init__(
        self,
        n_neighbors: int = 2,
        *,
        false_alarm_rate: float | None = None,
        normalize: str = "none",
        index: str = "auto",
        scale_columns: bool = False,
        categorical_columns: Sequence[int] | None = None,
        whiten: bool = False,
        contaminated: bool = False,
        drop: float | None = None,
        first_neighbors: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.false_alarm_rate = false_alarm_rate
        self.normalize = normalize
        self.index = index
        self.scale_columns = scale_columns
        self.categorical_columns = categorical_columns
        self.whiten = whiten
        self.contaminated = contaminated
        self.drop = drop
        self.first_neighbors = first_neighbors

    def check_parameters(self) -> None:
        """Raise InputError for parameters that are out of range or do not go together."""
        check_parameters(self.get_params())

    def fit(self, X: Any, y: None = None) -> Self:
        """Take X, of shape (n, d), as the reference set.

        Raises ValueError for NaN or infinity, InputError for bad parameters, ReferenceTooSmall for fewer than
        n_neighbors + 1 items or a false-alarm rate that n items cannot support."""
        self.check_parameters()
        rows = self._rows(X, reset=True)
        check_columns(self.categorical_columns or (), rows.shape[1])
        self._check_size(len(rows))
        blocks = to_blocks(rows)
        if self._plan is not None:
            return self._learn(blocks)
        index = ExactIndex(blocks)
        loo = LeaveOneOut.of(blocks, index, self._members(blocks), int(self.n_neighbors))
        return self._adopt(blocks, index, loo)

    def from_saved(self, blocks: Sequence[Block], loo: LeaveOneOut, learnt: Learnt | None) -> Self:
        """Take over a saved reference set: normalised embeddings in blocks of (n_i, d) float32, its leave-one-out
        neighbours, and what was learnt from it."""
        self.check_parameters()
        if (learnt is None) != (self._plan is None):
            raise InputError("a detector that learns from its reference set needs what it learnt, and only that one")
        self.n_features_in_ = blocks[0].dimension
        return self._adopt(blocks, ExactIndex(blocks) if learnt is None else learnt.index(blocks), loo, learnt)

    def add(self, X: Any) -> Self:
        """Append X, of shape (m, d), to the reference set; only what changes is computed.

        What was learnt from the set is learnt anew."""
        check_is_fitted(self)
        rows = self._rows(X)
        blocks, first_new = appended(self._blocks, to_blocks(rows)), self._size
        if self._learnt is not None:
            return self._learn(blocks, self._learnt.readmitted)
        index = ExactIndex(blocks)
        loo = self._loo.after_adding(index, first_new, self._members(blocks))
        return self._adopt(blocks, index, loo)

    def remove(self, positions: Any) -> Self:
        """Take items away by position; the others move up.  Equals never having had them, bit for bit.

        Raises InputError for a position that does not exist, ReferenceTooSmall if too few would remain."""
        check_is_fitted(self)
        removed = check_positions(positions, self._size)
        self._check_size(self._size - len(removed))
        blocks = without(self._blocks, removed)
        if self._learnt is not None:
            readmitted = np.setdiff1d(self._learnt.readmitted, removed)
            return self._learn(blocks, renumbered(readmitted, removed))
        index = ExactIndex(blocks)
        loo = self._loo.after_removing(index, removed, self._members(blocks))
        return self._adopt(blocks, index, loo)

    def readmit(self, positions: Any) -> Self:
        """Take items that were set aside back into the reference set, by position, whatever the cleaning says.

        Raises InputError for an item that is not set aside."""
        check_is_fitted(self)
        wanted = check_positions(positions, self._size)
        if len(strangers := np.setdiff1d(wanted, self.aside_)):
            raise InputError(f"the item at position {strangers[0]} is not set aside")
        if not len(wanted):
            return self
        readmitted = np.empty(0, np.int64) if self._learnt is None else self._learnt.readmitted
        return self._learn(self._blocks, np.union1d(readmitted, wanted))

    @property
    def _plan(self) -> Plan | None:
        plan = Plan.of(self.get_params())
        return plan if plan.learns else None

    def _learn(self, blocks: Sequence[Block], readmitted: Positions | None = None) -> Self:
        """Learn from a random part of the set and calibrate with the rest of it."""
        assert self._plan is not None
        learning, members = split(blocks, required_sample(self.false_alarm_rate))
        attainable_rate(self.false_alarm_rate, len(members), len(learning) + len(members))
        learnt = self._plan.learn(blocks, learning, np.empty(0, np.int64) if readmitted is None else readmitted)
        index, k, n = learnt.index(blocks), int(self.n_neighbors), len(learning) + len(members)
        if len(index) <= k and not len(learnt.representatives):
            raise ReferenceTooSmall(
                f"{k} neighbours need at least {k + 1} reference items, {len(index)} are left of {n} "
                "once others are set aside; add more or ask for a smaller share to drop"
            )
        return self._adopt(blocks, index, learnt.leave_one_out(blocks, index, members, k), learnt)

    def _members(self, blocks: Sequence[Block]) -> Positions:
        members = sample_positions(blocks, required_sample(self.false_alarm_rate))
        attainable_rate(self.false_alarm_rate, len(members))  # refused before the search rather than after it
        return members

    def _adopt(
        self,
        blocks: Sequence[Block],
        index: Index,
        loo: LeaveOneOut,
        learnt: Learnt | None = None,
    ) -> Self:
        n = sum(len(block) for block in blocks)
        calibration = learnt.calibrate(n, loo) if learnt else Calibration.of(n, loo.distances)
        rate = calibration.rate(self.false_alarm_rate)
        self._blocks, self._index, self._loo, self._learnt = list(blocks), index, loo, learnt
        self._size = calibration.n_reference
        self.calibration_, self.false_alarm_rate_ = calibration, rate
        self.offset_ = -calibration.threshold(rate)
        self.contamination_ = None if learnt is None else learnt.contamination
        self.aside_ = np.empty(0, np.int64) if learnt is None else learnt.aside
        return self

    def search(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Return squared L2 distances and positions of the nearest reference items, (n, k), nearest first."""
        check_is_fitted(self)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        check_neighbors(k)
        if k > len(self._index):
            raise InputError(f"n_neighbors must lie in 1 ... {len(self._index)} reference items, got {k}")
        return self._index.search(self.as_compared(X), int(k))

    def as_compared(self, X: Any) -> Vectors:
        """Return rows, (n, d), as the search compares them: normalised, scaled and whitened as the detector does."""
        rows = self._rows(X)
        return rows if self._learnt is None else self._learnt.compared(rows)

    def compared_with(self, rows: Vectors, positions: Positions) -> Vectors:
        """Return what queries, (n, d) and `as_compared`, lie near to, items or centroids, given the positions that
        `search` found for them, (n, k): (n, k, d)."""
        n, k = positions.shape
        if self._learnt is None or not len(self._learnt.centroids):
            near = rows_at(self._blocks, positions.ravel())
            near = near if self._learnt is None else self._learnt.compared(near)
        else:
            near = self._learnt.centroids[ExactIndex([self._learnt.centroids]).search(rows, k)[1].ravel()]
        return near.reshape(n, k, -1)

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Return L2 distances (not squared) and positions of the nearest reference items, (n, k), nearest first."""
        distances, positions = self.search(X, n_neighbors)
        return np.sqrt(distances), positions

    def anomaly_score(self, X: Any) -> Scores:
        """Return the mean squared L2 distance to the nearest reference items, (n,); higher is more anomalous."""
        return mean_squared_distance(self.search(X)[0])

    def contributions(self, X: Any) -> Scores:
        """Split anomaly scores over the columns of X, (n, d): what each adds to the mean squared distance.

        The parts of a row add up to its score.  Raises InputError where rows are normalised or whitened: no distance
        splits over columns then."""
        return self.split(X, *self.search(X))

    def split(self, X: Any, distances: Distances, positions: Positions) -> Scores:
        """Do what `contributions` does with what `search` found for X."""
        if self.normalize != "none" or self.whiten:
            raise InputError("scores split over columns only with normalize='none' and whiten=False")
        rows = self.as_compared(X)
        scaling = Scaling.none(self.n_features_in_) if self._learnt is None else self._learnt.columns
        step = max(1, SPLIT_AT_ONCE // (rows.shape[1] * distances.shape[1]))
        parts = [np.empty((0, rows.shape[1]))]
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            near = self.compared_with(rows[some], positions[some])
            parts.append(np.square(rows[some, None] - near.astype(np.float64)).mean(axis=1))
        return scaling.by_column(np.concatenate(parts), mean_squared_distance(distances))

    def p_value(self, X: Any) -> Scores:
        """Return conformal p-values, (n,): a normal item gets one of at most `rate` with at most that probability."""
        scores = self.anomaly_score(X)
        return self.calibration_.p_value(scores)

    def score_samples(self, X: Any) -> Scores:
        """Return the negative of `anomaly_score`, (n,), as scikit-learn defines it."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> Scores:
        """Return score_samples - offset_, (n,); negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return -1 for anomalies (p_value <= false_alarm_rate_) and 1 otherwise, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    @property
    def blocks_(self) -> list[Block]:
        """The reference set, normalised, as it is stored; `np.asarray` of a block gives its rows, (n_i, d)."""
        return self._blocks

    @property
    def learnt_(self) -> Learnt | None:
        """What was learnt from the reference set: items set aside, the whitening, centroids."""
        return self._learnt

    @property
    def leave_one_out_(self) -> LeaveOneOut:
        """The neighbours of the calibrating reference items."""
        return self._loo

    def near_duplicates(self) -> list[tuple[int, int]]:
        """List (item, nearest other item), by position, of calibrating items that have a near copy."""
        if self._learnt is not None and not self._learnt.tells_copies:
            return []
        copies = near_duplicates(self._loo.distances[:, 0])
        return [
            (int(a), int(b)) for a, b in zip(self._loo.members[copies], self._loo.neighbors[copies, 0], strict=True)
        ]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.scale_columns
        return tags

    def _check_size(self, n: int) -> None:
        if n <= self.n_neighbors:
            raise ReferenceTooSmall(
                f"{self.n_neighbors} neighbours need at least {self.n_neighbors + 1} reference items, "
                f"got n_samples={n}; add {self.n_neighbors + 1 - n} more or ask for fewer neighbours"
            )

    def _rows(self, X: Any, reset: bool = False) -> Vectors:
        finite = "allow-nan" if self.scale_columns else True
        rows = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite=finite)
        check_values(rows)
        return normalize(np.ascontiguousarray(rows, np.float32), self.normalize)

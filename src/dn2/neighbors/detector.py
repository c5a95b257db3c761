"""The detector: kNN distances, their p-values, and a reference set that can change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.conformal import (
    Calibration,
    Scores,
    attainable_rate,
    check_rate,
    mean_squared_distance,
    near_duplicates,
    required_sample,
)
from dn2.neighbors.exact import Distances, ExactIndex, Positions, Vectors
from dn2.neighbors.leave_one_out import LeaveOneOut, sample_positions
from dn2.neighbors.normalize import NORMALIZATIONS, normalize

# Rows a block: small enough to rewrite when one of its items goes, large enough to search at full speed.
BLOCK_ROWS = 16_384

# The square of a longer row overflows in float32, or nearly.
LARGEST_LENGTH = 1e18


class KNNDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by the mean squared distance to the nearest reference items.

    n_neighbors : number k of neighbours; the paper's is 2.
    false_alarm_rate : share of normal items that may be flagged, in (0, 1); by default 0.01, or the smallest that
        the reference set supports, 1 / (n + 1), if that is larger.
    normalize : `none` (the paper's), `unit` or `root-unit`; see `dn2.neighbors.normalize`.

    After `fit`: `calibration_` (see `Calibration`), `false_alarm_rate_`, `offset_` (score_samples below it is an
    anomaly), `n_features_in_`.  Source: Bergman, Cohen, Hoshen, "Deep Nearest Neighbor Anomaly Detection", 2020."""

    def __init__(self, n_neighbors: int = 2, *, false_alarm_rate: float | None = None, normalize: str = "none") -> None:
        self.n_neighbors = n_neighbors
        self.false_alarm_rate = false_alarm_rate
        self.normalize = normalize

    def fit(self, X: Any, y: None = None) -> Self:
        """Take X, of shape (n, d), as the reference set.

        Raises ValueError for NaN or infinity, InputError for bad parameters, ReferenceTooSmall for fewer than
        n_neighbors + 1 items or a false-alarm rate that n items cannot support."""
        self._check_parameters()
        rows = self._rows(X, reset=True)
        self._check_size(len(rows))
        blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
        index = ExactIndex(blocks)
        return self._adopt(index, LeaveOneOut.of(index, self._members(blocks), int(self.n_neighbors)))

    def restore(self, blocks: Sequence[Vectors], loo: LeaveOneOut) -> Self:
        """Take over a saved reference set: normalised embeddings in blocks of (n_i, d) float32, and its
        leave-one-out neighbours."""
        self._check_parameters()
        self.n_features_in_ = blocks[0].shape[1]
        return self._adopt(ExactIndex(blocks), loo)

    def add(self, X: Any) -> Self:
        """Append X, of shape (m, d), to the reference set; only what changes is computed."""
        check_is_fitted(self)
        rows = self._rows(X)
        blocks, first_new = list(self._index.blocks), len(self._index)
        if len(blocks[-1]) + len(rows) <= BLOCK_ROWS:
            blocks[-1] = np.concatenate([blocks[-1], rows])
        else:
            blocks += [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
        index = ExactIndex(blocks)
        return self._adopt(index, self._loo.after_adding(index, first_new, self._members(blocks)))

    def remove(self, positions: Any) -> Self:
        """Take items away by position; the others move up.  Equals never having had them, bit for bit.

        Raises InputError for a position that does not exist, ReferenceTooSmall if too few would remain."""
        check_is_fitted(self)
        removed, n = np.unique(positions), len(self._index)
        if len(removed) and removed.dtype.kind not in "iu":
            raise InputError(f"positions must be whole numbers in 0 ... {n - 1}, got {removed.dtype}")
        removed = removed.astype(np.int64)
        if len(removed) and not (removed[0] >= 0 and removed[-1] < n):
            raise InputError(f"positions must lie in 0 ... {n - 1}, got {removed[0]} ... {removed[-1]}")
        self._check_size(n - len(removed))
        keep = np.ones(n, bool)
        keep[removed] = False
        parts = np.split(keep, self._index.starts[1:-1])
        blocks = [
            block if part.all() else np.ascontiguousarray(block[part])
            for block, part in zip(self._index.blocks, parts, strict=True)
            if part.any()
        ]
        index = ExactIndex(blocks)
        return self._adopt(index, self._loo.after_removing(index, removed, self._members(blocks)))

    def _members(self, blocks: Sequence[Vectors]) -> Positions:
        members = sample_positions(blocks, required_sample(self.false_alarm_rate))
        attainable_rate(self.false_alarm_rate, len(members))  # refused before the search rather than after it
        return members

    def _adopt(self, index: ExactIndex, loo: LeaveOneOut) -> Self:
        copies = near_duplicates(loo.distances[:, 0])
        calibration = Calibration(np.sort(mean_squared_distance(loo.distances)), len(index), int(copies.sum()))
        rate = calibration.rate(self.false_alarm_rate)
        self._index, self._loo = index, loo
        self.calibration_, self.false_alarm_rate_ = calibration, rate
        self.offset_ = -calibration.threshold(rate)
        return self

    def search(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Return squared L2 distances and positions of the nearest reference items, (n, k), nearest first."""
        check_is_fitted(self)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        _check_neighbors(k)
        if k > len(self._index):
            raise InputError(f"n_neighbors must lie in 1 ... {len(self._index)} reference items, got {k}")
        return self._index.search(self._rows(X), int(k))

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Return L2 distances (not squared) and positions of the nearest reference items, (n, k), nearest first."""
        distances, positions = self.search(X, n_neighbors)
        return np.sqrt(distances), positions

    def anomaly_score(self, X: Any) -> Scores:
        """Return the mean squared L2 distance to the nearest reference items, (n,); higher is more anomalous."""
        return mean_squared_distance(self.search(X)[0])

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
    def blocks_(self) -> list[Vectors]:
        """The reference set as normalised arrays of shape (n_i, d)."""
        return self._index.blocks

    @property
    def leave_one_out_(self) -> LeaveOneOut:
        """The neighbours of the calibrating reference items."""
        return self._loo

    def near_duplicates(self) -> list[tuple[int, int]]:
        """List (item, nearest other item), by position, of calibrating items that have a near copy."""
        copies = near_duplicates(self._loo.distances[:, 0])
        return [
            (int(a), int(b)) for a, b in zip(self._loo.members[copies], self._loo.neighbors[copies, 0], strict=True)
        ]

    def _check_parameters(self) -> None:
        _check_neighbors(self.n_neighbors)
        if self.false_alarm_rate is not None:
            check_rate(self.false_alarm_rate)
        if self.normalize not in NORMALIZATIONS:
            raise InputError(f"normalize must be one of {', '.join(NORMALIZATIONS)}, got {self.normalize!r}")

    def _check_size(self, n: int) -> None:
        if n <= self.n_neighbors:
            raise ReferenceTooSmall(
                f"{self.n_neighbors} neighbours need at least {self.n_neighbors + 1} reference items, "
                f"got n_samples={n}; add {self.n_neighbors + 1 - n} more or ask for fewer neighbours"
            )

    def _rows(self, X: Any, reset: bool = False) -> Vectors:
        rows = validate_data(self, X, reset=reset, dtype="numeric")
        largest, limit = max(float(rows.max()), -float(rows.min())), LARGEST_LENGTH / math.sqrt(rows.shape[1])
        if largest > limit:
            raise InputError(f"values must lie within +-{limit:.3g}, got {largest:.3g}; scale them down")
        return normalize(np.ascontiguousarray(rows, np.float32), self.normalize)


def _check_neighbors(k: Any) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"n_neighbors must be a whole number of at least 1, got {k!r}")

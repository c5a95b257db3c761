"""The detector: kNN distances, their p-values, and a reference set that can change."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.blocks import Block, Positions, Vectors, in_parts, to_blocks
from dn2.neighbors.checks import check_columns, check_neighbors, check_parameters, check_positions, check_values
from dn2.neighbors.choice import choose_storage
from dn2.neighbors.clean import Share
from dn2.neighbors.conformal import Calibration, Scores, mean_squared_distance
from dn2.neighbors.exact import Distances
from dn2.neighbors.fitted import Fitted
from dn2.neighbors.index import Progress
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.normalize import normalize
from dn2.neighbors.reference import ReferenceSet
from dn2.neighbors.windows import Line, check_places


class KNNDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by the mean squared distance to the nearest reference items.

    n_neighbors : number k of neighbours; the paper's is 2.
    false_alarm_rate : share of normal items that may be flagged, in (0, 1); by default 0.01, or the smallest that
        the reference set supports, 1 / (n + 1), if that is larger.
    normalize : `none` (the paper's), `unit` or `root-unit`; see `dn2.neighbors.normalize`.
    index : how the nearest are found.  `exact`: by comparing with all; `kdtree`: exactly, faster for many short rows;
        `kmeans-tree`: exactly, by branch and bound on recursive k-means, or `kmeans-tree:L`: in the L leaves that come
        first; `approximate`: in near cells of the set, as many as find the share `recall` of the neighbours;
        `kmeans:C`: C centroids take the place of the items, and n_neighbors must be 1; `auto`: by the size of the set.
    recall : share of the nearest neighbours, in (0, 1), that an approximate search is to find of the items learnt from.
    storage : `float32`, `float16` or `uint8`: how rows are kept; they and the queries are rounded alike.  `auto`:
        float32, or what is most precise of what the memory allows.
    memory_limit : such as `4GB`: memory of the process that is not the system's page cache.
    scale_columns : whether the columns of a table, each of a scale of its own, are made alike: z-scores and normal
        scores of each, joined, and NaN is a value that is missing (see `dn2.neighbors.columns`); learnt from a random
        half of the items, so that the other half calibrates.
    categorical_columns : which of these columns hold categories: numbers that are equal or not.
    window : where rows are windows of so many points that slide over series.  Those that overlap a window are none of
        its neighbours (the exclusion zone), and blocks of the series calibrate: see `dn2.neighbors.windows`.  P-values
        are then those of points' scores at the peak of an interval, and not of single windows.
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
        recall: float = 0.999,
        storage: str = "auto",
        memory_limit: str | int | None = None,
        scale_columns: bool = False,
        categorical_columns: Sequence[int] | None = None,
        window: int | None = None,
        whiten: bool = False,
        contaminated: bool = False,
        drop: float | None = None,
        first_neighbors: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.false_alarm_rate = false_alarm_rate
        self.normalize = normalize
        self.index = index
        self.recall = recall
        self.storage = storage
        self.memory_limit = memory_limit
        self.scale_columns = scale_columns
        self.categorical_columns = categorical_columns
        self.window = window
        self.whiten = whiten
        self.contaminated = contaminated
        self.drop = drop
        self.first_neighbors = first_neighbors

    def check_parameters(self) -> None:
        """Raise InputError for parameters that are out of range or do not go together."""
        check_parameters(self.get_params())

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        places: Any = None,
        measure: bool = True,
        progress: Progress | None = None,
    ) -> Self:
        """Take X, of shape (n, d), as the reference set.

        places : (n,) where windows lie, ascending, if `window` is given: by default they are those of one series.
        measure : whether to measure what the p-values of series are worth, with halves of them.
        progress : called with the items that calibrate so far, and all of them.
        Raises ValueError for NaN or infinity, InputError for bad parameters, ReferenceTooSmall for fewer than
        n_neighbors + 1 items or a false-alarm rate that n items cannot support."""
        self.check_parameters()
        before = self.__dict__.copy()
        try:
            return self._fit(self._checked(X, reset=True), places, measure, progress)
        except BaseException:
            self.__dict__ = before  # which knows how many columns the reference set has
            raise

    def _fit(self, rows: Any, places: Any, measure: bool, progress: Progress | None) -> Self:
        check_columns(self.categorical_columns or (), rows.shape[1])
        self._check_size(len(rows))
        places = self._places(places, len(rows))
        storage = choose_storage(self.get_params(), *rows.shape)
        blocks = [block for part in in_parts(rows) for block in to_blocks(self._normalized(part), storage)]
        return self._adopt(ReferenceSet.of(self.get_params(), blocks, places, measure, progress))

    def from_saved(
        self, blocks: Sequence[Block], loo: LeaveOneOut, learnt: Learnt | None, line: Line | None = None
    ) -> Self:
        """Take over a saved reference set: normalised embeddings in blocks, its leave-one-out neighbours, what was
        learnt from it, and where windows lie."""
        self.check_parameters()
        self.n_features_in_ = blocks[0].dimension
        return self._adopt(ReferenceSet.restored(self.get_params(), blocks, loo, learnt, line))

    def add(self, X: Any, *, places: Any = None) -> Self:
        """Append X, of shape (m, d), to the reference set; only what changes is computed.

        places : as in `fit`, counted anew: the windows are those of other series.
        What was learnt from a set is learnt anew, unless it has more than 20,000 items: then it stays."""
        reference, rows = self._now.reference, self._rows(X)
        choose_storage(self.get_params() | {"storage": reference.storage}, len(reference) + len(rows), rows.shape[1])
        return self._adopt(reference.with_rows(rows, self._places(places, len(rows))))

    def remove(self, positions: Any) -> Self:
        """Take items away by position; the others move up.  Equals never having had them, bit for bit, where nothing
        was learnt from them: see `add`.

        Raises InputError for a position that does not exist, ReferenceTooSmall if too few would remain."""
        reference = self._now.reference
        removed = check_positions(positions, len(reference))
        self._check_size(len(reference) - len(removed))
        return self._adopt(reference.without(removed))

    def readmit(self, positions: Any) -> Self:
        """Take items that were set aside back into the reference set, by position, whatever the cleaning says.

        Raises InputError for an item that is not set aside."""
        reference = self._now.reference
        wanted = check_positions(positions, len(reference))
        if len(strangers := np.setdiff1d(wanted, self.aside_)):
            raise InputError(f"the item at position {strangers[0]} is not set aside")
        if not len(wanted):
            return self
        return self._adopt(reference.readmitting(wanted))

    def _adopt(self, reference: ReferenceSet) -> Self:
        self._fitted = Fitted.of(reference, self.false_alarm_rate)
        return self

    @property
    def _now(self) -> Fitted:
        """What is fitted at this moment; who reads it once, or a `copy`, is not disturbed by changes."""
        check_is_fitted(self)
        return self._fitted

    def search(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Return squared L2 distances and positions of the nearest reference items, (n, k), nearest first."""
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        check_neighbors(k)
        return self._now.search(self._rows(X), int(k))

    def as_compared(self, X: Any) -> Vectors:
        """Return rows, (n, d), as the search compares them: normalised, scaled and whitened as the detector does."""
        return self._now.reference.compared(self._rows(X))

    def compared_with(self, rows: Vectors, positions: Positions) -> Vectors:
        """Return what queries, (n, d) and `as_compared`, lie near to, items or centroids, given the positions that
        `search` found for them, (n, k): (n, k, d)."""
        return self._now.reference.compared_with(rows, positions)

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
        now = copy(self)
        return now.split(X, *now.search(X))

    def split(self, X: Any, distances: Distances, positions: Positions) -> Scores:
        """Do what `contributions` does with what `search` found for X."""
        if self.normalize != "none" or self.whiten:
            raise InputError("scores split over columns only with normalize='none' and whiten=False")
        return self._now.split(self._rows(X), distances, positions)

    def p_value(self, X: Any) -> Scores:
        """Return conformal p-values, (n,): a normal item gets one of at most `rate` with at most that probability."""
        now = copy(self)
        scores = now.anomaly_score(X)
        return now.calibration_.p_value(scores)

    def score_samples(self, X: Any) -> Scores:
        """Return the negative of `anomaly_score`, (n,), as scikit-learn defines it."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> Scores:
        """Return score_samples - offset_, (n,); negative for anomalies."""
        now = copy(self)
        return now.score_samples(X) - now.offset_

    def predict(self, X: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return -1 for anomalies (p_value <= false_alarm_rate_) and 1 otherwise, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    @property
    def calibration_(self) -> Calibration:
        """What the p-values rest on."""
        return self._fitted.calibration

    @property
    def false_alarm_rate_(self) -> float:
        """The rate at which `predict` decides."""
        return self._fitted.false_alarm_rate

    @property
    def offset_(self) -> float:
        """The number below which `score_samples` tells of an anomaly."""
        return self._fitted.offset

    @property
    def contamination_(self) -> Share | None:
        """The estimated share of anomalies in the set, None where it is not contaminated."""
        return self.learnt_.contamination if self.learnt_ else None

    @property
    def aside_(self) -> Positions:
        """The positions of the items set aside, ascending."""
        return self._fitted.aside

    @property
    def blocks_(self) -> list[Block]:
        """The reference set, normalised, as it is stored; `np.asarray` of a block gives its rows, (n_i, d)."""
        return list(self.reference_.blocks)

    @property
    def reference_(self) -> ReferenceSet:
        """The reference set, ready to be searched."""
        return self._fitted.reference

    @property
    def learnt_(self) -> Learnt | None:
        """What was learnt from the reference set: items set aside, the whitening, centroids."""
        return self.reference_.learnt

    @property
    def search_(self) -> dict[str, Any]:
        """How the reference set is searched and stored, and why."""
        return self.reference_.describe_search()

    @property
    def leave_one_out_(self) -> LeaveOneOut:
        """The neighbours of the calibrating reference items."""
        return self.reference_.loo

    def near_duplicates(self) -> list[tuple[int, int]]:
        """List (item, nearest other item), by position, of calibrating items that have a near copy."""
        return self._now.near_duplicates()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.scale_columns
        return tags

    def _places(self, places: Any, n: int) -> Positions | None:
        if self.window is None and places is not None:
            raise InputError("places are those of windows of series; say how long they are with window=")
        return None if self.window is None else check_places(places, n, self.window)

    def _check_size(self, n: int) -> None:
        if n <= self.n_neighbors:
            raise ReferenceTooSmall(
                f"{self.n_neighbors} neighbours need at least {self.n_neighbors + 1} reference items, "
                f"got n_samples={n}; add {self.n_neighbors + 1 - n} more or ask for fewer neighbours"
            )

    def _rows(self, X: Any) -> Vectors:
        return self._normalized(self._checked(X))

    def _checked(self, X: Any, reset: bool = False) -> np.ndarray[Any, Any]:
        finite = "allow-nan" if self.scale_columns else True
        rows: np.ndarray[Any, Any] = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite=finite)
        check_values(rows)
        return rows

    def _normalized(self, rows: np.ndarray[Any, Any]) -> Vectors:
        return normalize(np.ascontiguousarray(rows, np.float32), self.normalize)

"""The methods by which a fitted `KNNDetector` scores rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from dn2.arrays import Array, Distances, Positions, Scores
from dn2.neighbors.checks import check_values
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import Membership, keys_of


class ScoringMixin:
    """What `KNNDetector` does with rows once it is fitted."""

    detector_: Detector

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[Distances, Positions]:
        """Find the nearest reference items.

        Parameters
        ----------
        X : array-like of shape (n, d)
        n_neighbors : int or None, default=None
            How many to find; None takes the parameter of the detector.

        Returns
        -------
        distances : ndarray of shape (n, n_neighbors), float32
            L2, not squared, nearest first.
        positions : ndarray of shape (n, n_neighbors), int64
            Positions of the reference items.

        Raises
        ------
        InputError
            For more neighbours than there are items.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> distances, positions = KNNDetector(n_neighbors=1).fit([[0, 0], [30, 40]]).kneighbors([[3, 4]])
        >>> distances.tolist(), positions.tolist()
        ([[5.0]], [[0]])
        """
        return self._now.kneighbors(self._checked(X), n_neighbors)

    def anomaly_score(self, X: Any, *, parts: Any = None) -> Scores:
        """Return the mean squared L2 distance to the nearest reference items.

        Parameters
        ----------
        X : array-like of shape (n, d)
        parts : array-like of shape (n,), default=None
            The part of each row: reference items of the same part are no neighbours.

        Returns
        -------
        ndarray of shape (n,), float64
            Higher is more anomalous.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=2).fit([[0], [1], [5]]).anomaly_score([[3]]).tolist()
        [4.0]
        """
        rows = self._checked(X)
        return self._now.anomaly_score(rows, as_membership(len(rows), parts).parts)

    def p_value(self, X: Any, *, parts: Any = None, per: Any = None) -> Scores:
        """Return conformal p-values.

        Parameters
        ----------
        X : array-like of shape (n, d)
        parts : array-like of shape (n,), default=None
            The part of each row: reference items of the same part are no neighbours.
        per : array-like of shape (n,), default=None
            What each row is compared within, where `fit` was told so.

        Returns
        -------
        ndarray of shape (n,), float64
            In (0, 1]; smaller is more anomalous.  An item drawn like the reference items gets a p-value of at most
            `rate` with a probability of at most `rate`, on average over reference sets.  NaN where `per` has a label
            that no reference item has.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=1).fit([[0], [1], [3]]).p_value([[0], [9]]).tolist()
        [1.0, 0.25]
        """
        rows = self._checked(X)
        return self._now.p_value(rows, as_membership(len(rows), parts, per))

    def contributions(self, X: Any) -> Scores:
        """Split anomaly scores over the columns.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n, d), float64
            What each column adds to the mean squared distance; a row adds up to its anomaly score.

        Raises
        ------
        InputError
            Where rows are normalised or whitened: distances do not split over columns then.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=1).fit([[0, 0], [30, 40]]).contributions([[3, 4]]).tolist()
        [[9.0, 16.0]]
        """
        return self._now.contributions(self._checked(X))

    def score_samples(self, X: Any) -> Scores:
        """Return the negative of `anomaly_score`, as scikit-learn defines it.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n,), float64
            Lower is more anomalous.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=1).fit([[0], [1]]).score_samples([[3]]).tolist()
        [-4.0]
        """
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> Scores:
        """Return score_samples - offset_.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n,), float64
            Negative for anomalies.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=1).fit([[0], [1]]).decision_function([[3], [1]]).tolist()
        [-3.0, 1.0]
        """
        now = self._now
        return -now.anomaly_score(self._checked(X)) - now.offset

    def predict(self, X: Any, *, parts: Any = None, per: Any = None) -> Positions:
        """Decide at the false-alarm rate.

        Parameters
        ----------
        X : array-like of shape (n, d)
        parts : array-like of shape (n,), default=None
            The part of each row: reference items of the same part are no neighbours.
        per : array-like of shape (n,), default=None
            What each row is compared within, where `fit` was told so.

        Returns
        -------
        ndarray of shape (n,), int64
            -1 for anomalies, whose p-value is at most `false_alarm_rate_`, and 1 for all others; 0 where there is no
            p-value to decide by.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=1).fit([[0], [1]]).predict([[3], [1]]).tolist()
        [-1, 1]
        """
        p_values = self.p_value(X, parts=parts, per=per)
        return np.where(np.isnan(p_values), 0, np.where(p_values <= self._now.false_alarm_rate, -1, 1))

    @property
    def _now(self) -> Detector:
        """What is fitted at this moment; whoever reads it once is not disturbed by changes."""
        check_is_fitted(self)
        return self.detector_

    def _checked(self, X: Any, reset: bool = False) -> Array:
        rows: Array = validate_data(self, X, reset=reset, dtype="numeric")
        check_values(rows)
        return rows


def as_membership(n: int, parts: Any = None, per: Any = None) -> Membership:
    """Return what n rows belong to, by label.  Raises InputError unless each row has a label."""
    return Membership(
        None if parts is None else keys_of(parts, n), None if per is None else keys_of(per, n, "product or group")
    )

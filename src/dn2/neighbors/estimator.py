"""The detector as scikit-learn knows outlier detectors."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import BaseEstimator, OutlierMixin

from dn2.arrays import Positions
from dn2.errors import InputError
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.clean import Share
from dn2.neighbors.detector import Detector
from dn2.neighbors.scoring import ScoringMixin, as_membership
from dn2.neighbors.steps import Calibrate, Clean, Normalize, Search, Steps, Whiten


class KNNDetector(ScoringMixin, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by the mean squared distance to the nearest reference items, with conformal p-values.

    Parameters
    ----------
    n_neighbors : int, default=2
        Number k of neighbours that a score averages over.
    false_alarm_rate : float or None, default=None
        Share of normal items that may be flagged, in (0, 1).  None takes 0.01, or the smallest that the reference set
        supports, 1 / (n + 1), if that is larger.
    normalize : {'none', 'unit', 'root-unit'}, default='none'
        What is done to rows first: nothing; length 1; or square roots and length 1, which makes distances those of
        Hellinger.
    index : str, default='auto'
        How neighbours are found.  'exact': by comparing with all rows.  'kdtree': exactly, faster for many short rows.
        'kmeans-tree': exactly, by branch and bound; 'kmeans-tree:L': in the first L leaves.  'approximate': in near
        cells of the set.  'kmeans:C': C centroids take the place of the items, and n_neighbors must be 1.  'auto': by
        the size of the set.
    recall : float, default=0.999
        Share of the neighbours that an approximate search is to find, in (0, 1).
    storage : {'auto', 'float32', 'float16', 'uint8'}, default='auto'
        How rows are kept; they and the queries are rounded alike.  'auto' takes the most precise that the memory
        allows.
    memory : str, int or None, default=None
        Limit of memory, such as '4GB', or bytes; None for no limit.
    whiten : bool, default=False
        Whether directions in which near items differ much count for less.  Learnt from a random half of the items, so
        that the other half calibrates.
    contaminated : bool, default=False
        Whether anomalies are among the reference items and are to be set aside.
    drop : float or None, default=None
        The share that is anomalous and to be set aside, in [0, 1).  None sets aside only what lies alone, far from all
        others: more could be a kind of normal items.  Only with contaminated=True.
    first_neighbors : int or None, default=None
        Number of neighbours by which anomalies are found; None takes 8 % of the set.  Only with contaminated=True.
    confidence : float or None, default=None
        With this confidence, in (0, 1), the rate of this very detector is at most the one asked for; a random half of
        the items calibrates then, and only the others are neighbours.  None: the rate holds on average over reference
        sets, and all items are neighbours.
    smooth : bool, default=False
        Whether ties between scores are broken by chance, so that the rate asked for is reached on rows of whole
        numbers, too.
    seed : int, default=0
        Of what is drawn by chance: the items that calibrate where these are a sample or a half, and ties.

    Attributes
    ----------
    calibration_ : Calibration
        What the p-values rest on.
    false_alarm_rate_ : float
        The rate at which `predict` decides.
    offset_ : float
        The number below which `score_samples` tells of an anomaly.
    contamination_ : Share or None
        The estimated share of anomalies in the reference set; None where it is not contaminated.
    aside_ : ndarray of shape (n_aside,), int64
        Positions of the items set aside, ascending.
    suspects_ : ndarray of shape (n_suspects,), int64
        Positions of these and of the items that look anomalous but may be a kind of normal items, ascending.
    detector_ : Detector
        The detector beneath.
    n_features_in_ : int
        Number of columns.

    References
    ----------
    Bergman, Cohen, Hoshen, "Deep Nearest Neighbor Anomaly Detection", 2020.

    Examples
    --------
    >>> from dn2 import KNNDetector
    >>> detector = KNNDetector(n_neighbors=2).fit([[0], [1], [3], [7], [15]])
    >>> detector.anomaly_score([[2], [30]]).tolist()
    [1.0, 377.0]
    >>> detector.predict([[2], [30]]).tolist()
    [1, -1]
    """

    def __init__(
        self,
        n_neighbors: int = 2,
        *,
        false_alarm_rate: float | None = None,
        normalize: str = "none",
        index: str = "auto",
        recall: float = 0.999,
        storage: str = "auto",
        memory: str | int | None = None,
        whiten: bool = False,
        contaminated: bool = False,
        drop: float | None = None,
        first_neighbors: int | None = None,
        confidence: float | None = None,
        smooth: bool = False,
        seed: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.false_alarm_rate = false_alarm_rate
        self.normalize = normalize
        self.index = index
        self.recall = recall
        self.storage = storage
        self.memory = memory
        self.whiten = whiten
        self.contaminated = contaminated
        self.drop = drop
        self.first_neighbors = first_neighbors
        self.confidence = confidence
        self.smooth = smooth
        self.seed = seed

    def _as_steps(self) -> Steps:
        """Return the steps that the parameters ask for.  Raises InputError for parameters that do not go together."""
        for name in ("whiten", "contaminated"):
            if getattr(self, name) not in (False, True):
                raise InputError(f"{name} must be True or False, got {getattr(self, name)!r}")
        steps = Steps(
            n_neighbors=self.n_neighbors,
            false_alarm_rate=self.false_alarm_rate,
            normalize=Normalize(self.normalize),
            whiten=Whiten() if self.whiten else None,
            clean=Clean.of(self.contaminated, self.drop, self.first_neighbors),
            search=Search(self.index, self.recall, self.storage, self.memory),
            calibrate=Calibrate(self.confidence, self.smooth, self.seed),
        )
        steps.check()
        return steps

    def fit(self, X: Any, y: None = None, *, parts: Any = None, per: Any = None) -> Self:
        """Take rows as the reference set.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows of normal items.
        y : None
            Not used; here as scikit-learn's estimators have it.
        parts : array-like of shape (n,), default=None
            What several rows show together: the part, scene or customer of each, by any label.  Rows of one part are
            not drawn independently: none is a neighbour of another then, and the false-alarm rate is that of an item
            of a new part.  None: each row stands for itself.
        per : array-like of shape (n,), default=None
            The product, line or camera of each row, by any label, if each is to have the false-alarm rate asked for.

        Returns
        -------
        KNNDetector
            The detector itself.

        Raises
        ------
        InputError
            For parameters that are out of range or do not go together.
        ValueError
            For NaN or infinity.
        ReferenceTooSmall
            For fewer than n_neighbors + 1 rows, or a false-alarm rate that n rows cannot support.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> KNNDetector(n_neighbors=1).fit([[0, 0], [3, 4], [6, 8]]).calibration_.scores.tolist()
        [25.0, 25.0, 25.0]
        """
        before = self.__dict__.copy()
        try:
            steps = self._as_steps()
            rows = self._checked(X, reset=True)
            self.detector_ = Detector.fit(steps, rows, membership=as_membership(len(rows), parts, per))
        except BaseException:
            self.__dict__ = before  # which knows how many columns the reference set has
            raise
        return self

    def add(self, X: Any, *, parts: Any = None, per: Any = None) -> Self:
        """Append rows to the reference set; only what changes is computed.

        What was learnt from a set is learnt anew, unless it has more than 20,000 items: then it stays.

        Parameters
        ----------
        X : array-like of shape (m, d)
        parts : array-like of shape (m,), default=None
            The part of each row, as in `fit`, where it was given there.
        per : array-like of shape (m,), default=None
            The product, line or camera of each row, as in `fit`, where it was given there.

        Returns
        -------
        KNNDetector
            The detector itself.

        Raises
        ------
        ValueError
            For NaN, infinity, or another number of columns.
        InputError
            Where the limit of memory does not suffice.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> detector = KNNDetector(n_neighbors=1).fit([[0], [1]]).add([[10]])
        >>> detector.anomaly_score([[10]]).tolist()
        [0.0]
        """
        now, rows = self._now, self._checked(X)
        self.detector_ = now.add(rows, membership=as_membership(len(rows), parts, per))
        return self

    def remove(self, positions: Any) -> Self:
        """Take items away; the others move up.

        Equals never having had them, bit for bit, where nothing was learnt from them: see `add`.

        Parameters
        ----------
        positions : array-like of int
            Positions of the items, in 0 ... n - 1.

        Returns
        -------
        KNNDetector
            The detector itself.

        Raises
        ------
        InputError
            For a position that does not exist.
        ReferenceTooSmall
            If too few items would remain.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> detector = KNNDetector(n_neighbors=1).fit([[0], [1], [10]]).remove([2])
        >>> detector.anomaly_score([[10]]).tolist()
        [81.0]
        """
        self.detector_ = self._now.remove(positions)
        return self

    def readmit(self, positions: Any) -> Self:
        """Take items that were set aside back into the reference set, whatever the cleaning says.

        Parameters
        ----------
        positions : array-like of int
            Positions of the items, some of `aside_`.

        Returns
        -------
        KNNDetector
            The detector itself.

        Raises
        ------
        InputError
            For an item that is not set aside.

        Examples
        --------
        >>> from dn2 import KNNDetector
        >>> rows = [[0], [1], [2], [3], [4], [5], [6], [7], [8], [99]]
        >>> detector = KNNDetector(1, contaminated=True, drop=0.2, first_neighbors=1).fit(rows)
        >>> 9 in detector.aside_, 9 in detector.readmit([9]).aside_
        (True, False)
        """
        self.detector_ = self._now.readmit(positions)
        return self

    @property
    def calibration_(self) -> Calibration:
        """What the p-values rest on."""
        return self.detector_.calibration

    @property
    def false_alarm_rate_(self) -> float:
        """The rate at which `predict` decides."""
        return self.detector_.false_alarm_rate

    @property
    def offset_(self) -> float:
        """The number below which `score_samples` tells of an anomaly."""
        return self.detector_.offset

    @property
    def contamination_(self) -> Share | None:
        """The estimated share of anomalies in the set, None where it is not contaminated."""
        return self.detector_.contamination

    @property
    def aside_(self) -> Positions:
        """The positions of the items set aside, ascending."""
        return self.detector_.aside

    @property
    def suspects_(self) -> Positions:
        """The positions of the items set aside, and of those that look anomalous but are not, ascending."""
        return self.detector_.suspects

"""From scores to decisions with a guaranteed false-alarm rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Distances, Flags, Scores
from dn2.errors import InputError, ReferenceTooSmall

DEFAULT_RATE = 0.01


class MeasuredFalseAlarms(NamedTuple):
    """False alarms counted in the reference series: their first half decides about the second.

    intervals : of the second half; flagged : how many of them are flagged at the rate; rate : in (0, 1);
    windows : how many windows both halves have."""

    intervals: int
    flagged: int
    rate: float
    windows: int


class LearntStep(NamedTuple):
    """What a step has learnt.

    name : of the step; size : how many centroids, cells, columns, directions ... it has learnt."""

    name: str
    size: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """What turns anomaly scores into p-values, and what these rest on.

    With s the score of a query against the whole reference set, p = (1 + #{i : s_i >= s}) / (m + 1), where s_i is the
    score of calibrating item i against all other items.  P(p <= rate) <= rate for items that are exchangeable with the
    reference items: adding the query to the set could only bring the neighbours of item i closer, so the full
    conformal score of i is at most s_i, and p never smaller than the full conformal p-value.

    Parameters
    ----------
    scores : ndarray of shape (m,), float64
        Leave-one-out scores of the calibrating items, ascending.
    n_reference : int
        Size of the reference set; larger than m where a random part of it calibrates.
    is_split : bool, default=False
        Whether the items that do not calibrate were to be learnt from.
    learnt : tuple of LearntStep, default=()
        What was learnt from them.
    n_trimmed : int, default=0
        Of a contaminated set, how many calibrating items with the highest scores are left out of `scores`.
    window : int, default=0
        Where items are windows of series, the points of a window; `scores` are then the highest of each interval that
        the reference series are cut into.
    measured : MeasuredFalseAlarms or None, default=None
        What p-values are worth in the reference series, where it was measured.

    References
    ----------
    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.
    Bates, Candes, Lei, Romano, Sesia, "Testing for outliers with conformal p-values", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from dn2 import Calibration
    >>> calibration = Calibration(scores=np.array([1.0, 2.0, 2.0, 5.0]), n_reference=4)
    >>> calibration.p_value(np.array([0.5, 2.0, 6.0])).tolist()
    [1.0, 0.8, 0.2]
    >>> calibration.smallest_rate, calibration.threshold(0.2)
    (0.2, 5.0)
    """

    scores: Scores
    n_reference: int
    is_split: bool = False
    learnt: tuple[LearntStep, ...] = ()
    n_trimmed: int = 0
    window: int = 0
    measured: MeasuredFalseAlarms | None = None

    @classmethod
    def of(cls, n_reference: int, distances: Distances) -> Self:
        """Calibrate with distances of reference items to their neighbours.

        Parameters
        ----------
        n_reference : int
            Size of the reference set.
        distances : ndarray of shape (m, k), float32
            Squared L2 distances of each calibrating item to its nearest other items, nearest first.

        Returns
        -------
        Calibration
        """
        return cls(np.sort(mean_squared_distance(distances)), n_reference)

    @property
    def method(self) -> str:
        """How the p-values are calibrated.

        `leave-one-out`; `sampled` where a random part of the set calibrates; `split` where the other items were learnt
        from; `blocks` of series."""
        if self.window:
            return "blocks"
        if self.is_split:
            return "split"
        return "leave-one-out" if self.sample_size == self.n_reference else "sampled"

    @property
    def sample_size(self) -> int:
        """Number m of calibrating items, or of intervals of series."""
        return len(self.scores)

    @property
    def smallest_rate(self) -> float:
        """The smallest false-alarm rate attainable, 1 / (m + 1)."""
        return 1 / (self.sample_size + 1)

    def p_value(self, scores: Scores) -> Scores:
        """Return conformal p-values.

        Parameters
        ----------
        scores : ndarray of shape (n,)
            Anomaly scores; higher is more anomalous.

        Returns
        -------
        ndarray of shape (n,), float64
            In [1 / (m + 1), 1]; smaller is more anomalous.
        """
        as_large = self.sample_size - np.searchsorted(self.scores, scores, side="left")
        p_values: Scores = (1 + as_large) / (self.sample_size + 1)
        return p_values

    def rate(self, asked: float | None) -> float:
        """Return the false-alarm rate to decide at.

        Parameters
        ----------
        asked : float or None
            The rate asked for, in (0, 1).  None takes 0.01, or the smallest attainable if that is larger.

        Returns
        -------
        float
            In (0, 1).

        Raises
        ------
        InputError
            For a rate outside of (0, 1).
        ReferenceTooSmall
            For a rate that so few calibrating items do not attain.
        """
        n = self.n_reference if self.is_split else None
        return attainable_rate(asked, self.sample_size, n, "intervals of reference series" if self.window else "")

    def threshold(self, rate: float) -> float:
        """Return the largest anomaly score that is no alarm: p_value <= rate exactly where score > threshold.

        Parameters
        ----------
        rate : float
            In [1 / (m + 1), 1).

        Returns
        -------
        float
        """
        return float(self.scores[self.sample_size - last_rank(rate, self.sample_size)])

    def as_dict(self, rate: float) -> dict[str, Any]:
        """Return method, sizes and rates, as `model.json` has them.

        Parameters
        ----------
        rate : float
            The false-alarm rate to decide at, in [1 / (m + 1), 1).

        Returns
        -------
        dict
        """
        return {
            "method": self.method,
            "sample_size": self.sample_size,
            "n_reference": self.n_reference,
            "false_alarm_rate": rate,
            "smallest_false_alarm_rate": self.smallest_rate,
            "threshold": self.threshold(rate),
            "trimmed": self.n_trimmed,
        }


def attainable_rate(asked: float | None, sample_size: int, n_reference: int | None = None, what: str = "") -> float:
    """Return the rate that so many calibrating items decide at: see `Calibration.rate`.

    n_reference : size of the reference set, where the other items were learnt from; what : what calibrates, where it is
    something else than reference items."""
    smallest = 1 / (sample_size + 1)
    if asked is None:
        return max(DEFAULT_RATE, smallest)
    check_rate(asked)
    if asked < smallest:
        raise too_few_for_rate(asked, sample_size, n_reference, what)
    return asked


def too_few_for_rate(rate: float, n: int, n_reference: int | None = None, what: str = "") -> ReferenceTooSmall:
    """Return the error that says how many calibrating items a false-alarm rate takes.

    n : number of calibrating items, which attain 1 / (n + 1); the others are those of `attainable_rate`."""
    need = _smallest_sample(rate)
    got, more = f"{what or 'reference items'}, got {n}", need - n
    if n_reference is not None:
        got = f"items that calibrate, got {n} of {n_reference}"
        more = math.ceil(need * n_reference / n) - n_reference
    return ReferenceTooSmall(
        f"a false-alarm rate of {rate:g} needs at least {need} {got}; "
        f"add {more} more or ask for {math.ceil(1e4 / (n + 1)) / 1e4:g}"
    )


def _smallest_sample(rate: float) -> int:
    """Return the smallest m for which 1 / (m + 1) is at most a rate."""
    need = math.ceil(1 / rate) - 1
    # 1 / rate is rounded: settle by the rule itself which neighbour is the first to attain the rate.
    if 1 / (need + 1) > rate:
        need += 1
    elif need > 1 and 1 / need <= rate:
        need -= 1
    return need


def last_rank(rate: float, sample_size: int) -> int:
    """Return the largest j whose p-value, j / (m + 1), is at most a rate."""
    rank = math.floor(rate * (sample_size + 1)) + 1
    while rank / (sample_size + 1) > rate:
        rank -= 1
    return rank


def check_rate(rate: float) -> None:
    """Raise InputError for a false-alarm rate outside (0, 1)."""
    if not isinstance(rate, Real) or not 0 < rate < 1:
        got = f"{rate:g}" if isinstance(rate, Real) else repr(rate)
        raise InputError(f"a false-alarm rate must lie between 0 and 1, got {got}; 0.01 is 1 in 100")


def required_sample(rate: float | None) -> int:
    """Return how many items a sample must hold so that a rate is resolved in steps of a hundredth of it."""
    return 0 if rate is None else math.ceil(100 / rate)


def mean_squared_distance(distances: Distances) -> Scores:
    """Score queries by the mean squared distance to their neighbours.

    distances : (n_queries, k), squared L2.
    Returns (n_queries,) float64; higher is more anomalous.  Source: DN2, eq. 1."""
    scores: Scores = distances.astype(np.float64).mean(axis=1)
    return scores


def false_discoveries(p_values: Scores, level: float) -> Flags:
    """Decide a batch so that among its alarms at most a share `level` is expected to be false.

    p_values : (n,).  Returns (n,) bool.  Source: Benjamini and Hochberg, 1995.  Proven for independent p-values and
    for split calibration; for leave-one-out p-values it is only measured.  Raises InputError."""
    if not 0 < level < 1:
        raise InputError(f"a false-discovery rate must lie between 0 and 1, got {level:g}; 0.05 is 1 in 20")
    n = len(p_values)
    ascending = np.sort(p_values)
    # p-values are fractions, and fall on the line exactly: a rounding must not decide.
    below = ascending * n <= level * np.arange(1, n + 1) * (1 + 1e-12)
    largest = ascending[below].max(initial=-np.inf)
    alarms: Flags = p_values <= largest
    return alarms

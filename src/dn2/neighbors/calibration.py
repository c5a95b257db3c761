"""From scores to decisions with a guaranteed false-alarm rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Distances, Positions, Scores
from dn2.neighbors.membership import Keys
from dn2.neighbors.parts import WEIGHT_DIGITS, own_as_large, weights_of
from dn2.neighbors.rates import attainable_rate, bounded_p_values, smallest_rate


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
    reference items: adding the query to the set could only bring the neighbours of item i closer.

    Of items that belong to parts, s_i leaves the whole part of i out, and what is counted is the share of each part:
    p = (1 + sum over parts of mean{s_i >= s, i in part}) / (parts + 1), for an item of a part that is new.

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
        Of a set of which a share is said to be anomalous, how many of the highest scores are left out of `scores`.
    window : int, default=0
        The points of a window of series; `scores` are then the highest of each interval that these are cut into.
    measured : MeasuredFalseAlarms or None, default=None
        What p-values are worth in the reference series, where it was measured.
    parts : ndarray of shape (m,), int64, or None, default=None
        The part that each score belongs to, counted from 0; None where each item stands for itself.
    n_parts : int, default=0
        Number of parts in the reference set; 0 where items have none.
    confidence : float or None, default=None
        With which this model's own rate is at most the one asked for; the calibrating items are no neighbours then.
        None for rates that hold on average over reference sets.
    is_smoothed : bool, default=False
        Whether ties between scores are broken by chance, so that the rate asked for is reached; of items that belong to
        parts it comes nearer to it.
    of_parts : Calibration or None, default=None
        How a whole part is decided: by its largest score among the parts' largest.
    strata : mapping of int to Calibration, or None, default=None
        By key, what calibrates the items of each stratum, where each has a rate of its own.
    holds_out : bool, default=False
        Whether the calibrating items are no neighbours.
    n_told : int, default=0
        How many items are neighbours because of their score, by what people said: rates are measured then.

    References
    ----------
    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.
    Bates, Candes, Lei, Romano, Sesia, "Testing for outliers with conformal p-values", 2023.
    Dunn, Wasserman, Ramdas, "Distribution-free prediction sets for two-layer hierarchical models", 2022.
    Lee, Barber, Willett, "Distribution-free inference with hierarchical data", 2023.

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
    parts: Positions | None = None
    n_parts: int = 0
    confidence: float | None = None
    is_smoothed: bool = False
    of_parts: Calibration | None = None
    strata: Mapping[int, Calibration] | None = None
    holds_out: bool = False
    n_told: int = 0

    @property
    def method(self) -> str:
        """How the p-values are calibrated.

        `leave-one-out`, or `leave-one-part-out`; `sampled` where a random part of the set calibrates; `split` where the
        other items were learnt from; `held-out` where they alone are neighbours; `blocks` of series."""
        if self.window:
            return "blocks"
        if self.holds_out or self.confidence is not None:
            return "held-out"
        if self.is_split:
            return "split"
        if len(self.scores) < self.n_reference:
            return "sampled"
        return "leave-one-part-out" if self.n_parts else "leave-one-out"

    @property
    def sample_size(self) -> int:
        """Number m of calibrating items, of calibrating parts, or of intervals of series; of strata the smallest."""
        if self.strata:
            return min(stratum.sample_size for stratum in self.strata.values())
        return len(self.scores) if self.parts is None else int(self.parts.max(initial=-1)) + 1

    @property
    def largest_size(self) -> int:
        """Number of calibrating items or parts; of strata the largest."""
        return max((one.sample_size for one in (self.strata or {}).values()), default=self.sample_size)

    @property
    def smallest_rate(self) -> float:
        """The smallest false-alarm rate attainable, 1 / (m + 1); with confidence c, 1 - (1 - c)^(1 / m)."""
        return smallest_rate(self.sample_size, self.confidence)

    @cached_property
    def _weights(self) -> Scores:
        """What each score counts for, (m,)."""
        return weights_of(len(self.scores), self.parts)

    @cached_property
    def _as_large(self) -> Scores:
        """The weight of the scores from each place on, (m + 1,)."""
        return np.append(np.cumsum(self._weights[::-1])[::-1].round(WEIGHT_DIGITS), 0.0)

    def _of_ranks(self, ranks: Scores) -> Scores:
        """Return the p-values of scores by their ranks, from 1 to m + 1."""
        m = self.sample_size
        return ranks / (m + 1) if self.confidence is None else bounded_p_values(ranks, m, self.confidence)

    def p_value(self, scores: Scores, strata: Keys | None = None, chances: Scores | None = None) -> Scores:
        """Return conformal p-values.

        Parameters
        ----------
        scores : ndarray of shape (n,)
            Anomaly scores; higher is more anomalous.
        strata : ndarray of shape (n,), uint64, or None, default=None
            The stratum of each, where each stratum has a rate of its own.
        chances : ndarray of shape (n,), or None, default=None
            Numbers drawn evenly from (0, 1), which break ties where these are smoothed.

        Returns
        -------
        ndarray of shape (n,), float64
            In (0, 1]; smaller is more anomalous.  NaN for an item of a stratum that has no reference items.
        """
        scores = np.asarray(scores, np.float64)
        if self.strata:
            p_values = np.full(len(scores), np.nan)
            for key, calibration in self.strata.items():
                own = np.zeros(len(scores), bool) if strata is None else strata == np.uint64(key)
                p_values[own] = calibration.p_value(scores[own], None, None if chances is None else chances[own])
            return p_values
        as_large = self._as_large[np.searchsorted(self.scores, scores, side="left")]
        if not self.is_smoothed or chances is None:
            return self._of_ranks(1 + as_large)
        larger = self._as_large[np.searchsorted(self.scores, scores, side="right")]
        # Others of its part, which have not come, could score higher than an item of a part: it counts as one in full.
        own = chances if self.parts is None else 1
        p_values = (larger + chances * (as_large - larger) + own) / (self.sample_size + 1)
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
        return attainable_rate(asked, self.sample_size, self.n_others, self.counted, self.confidence)

    @property
    def counted(self) -> str:
        """What calibrates, in words."""
        if self.window:
            return "intervals of reference series"
        return "parts" if self.n_parts else "reference items"

    @property
    def n_others(self) -> int | None:
        """The number of all parts, or items, where only some of them calibrate by design; None where all may."""
        if not self.is_split and self.confidence is None:
            return None
        return self.n_parts or self.n_reference

    def threshold(self, rate: float) -> float:
        """Return the largest anomaly score that is no alarm: p_value <= rate exactly where score > threshold.

        Of strata it is the largest; where ties are smoothed, a score up to it may be an alarm, too, by chance.

        Parameters
        ----------
        rate : float
            In [smallest_rate, 1).

        Returns
        -------
        float
        """
        if self.strata:
            return max(stratum.threshold(rate) for stratum in self.strata.values())
        p_values = self._of_ranks(1 + self._as_large)
        return float(self.scores[int(np.argmax(p_values <= rate)) - 1])

    def reachable(self, rate: float) -> float:
        """Return the share of normal items that is flagged at a rate, as far as the calibrating items tell.

        With m items floor(rate * (m + 1)) / (m + 1), and less with ties, and of parts: each calibrating item is ranked
        as a new one.

        Parameters
        ----------
        rate : float
            In [smallest_rate, 1).

        Returns
        -------
        float
        """
        if self.strata:
            return min(stratum.reachable(rate) for stratum in self.strata.values())
        if self.is_smoothed and self.parts is None:
            return rate
        as_large = self._as_large[np.searchsorted(self.scores, self.scores, side="left")] - own_as_large(
            self.scores, self.parts
        )
        flagged = (self._of_ranks(1 + as_large.round(WEIGHT_DIGITS)) <= rate).astype(np.float64)
        if self.is_smoothed:
            own_larger = 1 - own_as_large(-self.scores, self.parts)
            larger = self._as_large[np.searchsorted(self.scores, self.scores, side="right")] - own_larger
            ties, left = (as_large - larger).round(WEIGHT_DIGITS), rate * (self.sample_size + 1) - 1 - larger
            flagged = np.maximum(flagged, np.divide(left, ties, out=np.zeros_like(left), where=ties > 0).clip(0, 1))
        return float((flagged * self._weights).sum() / (self.sample_size + 1))

    def as_dict(self, rate: float) -> dict[str, Any]:
        """Return method, sizes and rates, as `model.json` has them.

        Parameters
        ----------
        rate : float
            The false-alarm rate to decide at, in [smallest_rate, 1).

        Returns
        -------
        dict
        """
        return {
            "method": self.method,
            "sample_size": self.sample_size,
            "n_reference": self.n_reference,
            "n_parts": self.n_parts,
            "n_strata": len(self.strata or ()),
            "false_alarm_rate": rate,
            "reachable_false_alarm_rate": self.reachable(rate),
            "smallest_false_alarm_rate": self.smallest_rate,
            "confidence": self.confidence,
            "smoothed": self.is_smoothed,
            "threshold": self.threshold(rate),
            "trimmed": self.n_trimmed,
            "told": self.n_told,
        }


def mean_squared_distance(distances: Distances) -> Scores:
    """Score queries by the mean squared distance to their neighbours.

    distances : (n_queries, k), squared L2.
    Returns (n_queries,) float64; higher is more anomalous.  Source: DN2, eq. 1."""
    scores: Scores = distances.astype(np.float64).mean(axis=1)
    return scores

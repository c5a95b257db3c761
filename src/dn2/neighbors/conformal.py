"""From scores to decisions with a guaranteed false-alarm rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.errors import InputError, ReferenceTooSmall

Scores = np.ndarray[Any, np.dtype[np.float64]]

DEFAULT_RATE = 0.01

# A nearest neighbour closer than this share of the median leave-one-out distance counts as a near-duplicate.
DUPLICATE_SHARE = 0.1


class Later(NamedTuple):
    """What the first half of reference windows makes of the second: how many intervals of it there are, how many are
    flagged at a rate, the rate, and how many windows both halves have."""

    intervals: int
    flagged: int
    rate: float
    windows: int


@dataclass(frozen=True)
class Calibration:
    """What turns a score into a p-value, and what that p-value is worth.

    scores : (m,) leave-one-out scores of reference items against all others, ascending.
    n_reference : size of the reference set; m < n_reference when a random part of it calibrates.
    n_near_duplicates : calibrating items with a near copy in the set.
    learnt : what was learnt from the items that do not calibrate, in words; empty if nothing was.
    n_trimmed : of a contaminated set, how many more items, scoring highest, are left out of `scores`.
    window : where items are windows of series, their points; then `scores` are the highest of each interval that the
        reference series are cut into.  later : what p-values are worth in the series themselves, where it was measured.

    With s the query's score against the whole set, p = (1 + #{i : s_i >= s}) / (m + 1).  It is never smaller than
    the full conformal p-value: adding the query to the set could only bring the neighbours of item i closer, so its
    full conformal score is at most s_i.  Hence P(p <= rate) <= rate for exchangeable items."""

    scores: Scores
    n_reference: int
    n_near_duplicates: int = 0
    learnt: str = ""
    n_trimmed: int = 0
    window: int = 0
    later: Later | None = None

    @classmethod
    def of(cls, n_reference: int, distances: np.ndarray[Any, Any]) -> Self:
        """Calibrate with the leave-one-out distances of reference items, (m, k), squared L2, nearest first."""
        return cls(np.sort(mean_squared_distance(distances)), n_reference, int(near_duplicates(distances[:, 0]).sum()))

    @property
    def method(self) -> str:
        """`leave-one-out`, `sampled` when a random part of the set calibrates, `split` when the rest was learnt
        from, or `blocks` of series."""
        if self.window:
            return "blocks"
        if self.learnt:
            return "split"
        return "leave-one-out" if self.sample_size == self.n_reference else "sampled"

    @property
    def sample_size(self) -> int:
        """Number m of calibrating items."""
        return len(self.scores)

    @property
    def smallest_rate(self) -> float:
        """The smallest false-alarm rate attainable, 1 / (m + 1)."""
        return 1 / (self.sample_size + 1)

    def p_value(self, scores: Scores) -> Scores:
        """Return the conformal p-values, (n,), of anomaly scores, (n,): smaller is more anomalous."""
        as_large = self.sample_size - np.searchsorted(self.scores, scores, side="left")
        p_values: Scores = (1 + as_large) / (self.sample_size + 1)
        return p_values

    def rate(self, asked: float | None) -> float:
        """Return the rate to decide at: the one asked for, or 0.01, or the smallest attainable if that is larger.

        Raises ReferenceTooSmall for a rate asked for and not attainable, InputError outside (0, 1)."""
        n = self.n_reference if self.learnt else None
        return attainable_rate(asked, self.sample_size, n, "intervals of reference series" if self.window else "")

    def threshold(self, rate: float) -> float:
        """Return the largest anomaly score that is no alarm: p_value <= rate exactly where score > threshold."""
        return float(self.scores[self.sample_size - last_rank(rate, self.sample_size)])

    def assumptions(self) -> list[str]:
        """Say in words what the guarantee rests on and what it does not say."""
        if self.window:
            return self._assumptions_of_series()
        words = [
            "The rate holds for new normal items drawn like the reference items (exchangeable with them).",
            "It is an average over reference sets: one particular set may give somewhat more or fewer alarms"
            " (with 99 items and 1 in 100, about one set in eight gives more than 2 in 100).",
            "Adding or removing items because of their score breaks the guarantee.",
        ]
        if self.learnt:
            words.append(
                f"A random {self.sample_size + self.n_trimmed:,} of the {self.n_reference:,} items calibrate;"
                f" {self.learnt} learnt from the others."
            )
        if self.n_trimmed:
            worse = self.n_trimmed / self.sample_size
            words.append(
                f"The {self.n_trimmed:,} calibrating items that score highest are taken for anomalies, the low end of"
                f" their estimated share, and left out. If they are none, or others hide among the rest, there are more"
                f" false alarms: up to {worse:.2g} above the rate."
            )
        if self.method == "sampled":
            words.append(
                f"A random {self.sample_size:,} of the {self.n_reference:,} reference items calibrate,"
                " each against all others."
            )
        if self.n_near_duplicates:
            words.append(
                f"{self.n_near_duplicates:,} of {self.sample_size:,} items have a near copy in the reference set."
                " Copies break exchangeability and cause more alarms than asked for: keep one of each."
            )
        return words

    def _assumptions_of_series(self) -> list[str]:
        words = [
            "The rate is the share of intervals of normal series that are flagged, not of points or windows.",
            "It is no guarantee, which would take intervals that are exchangeable: a series that drifts, or has seasons"
            " longer than the reference, gives more alarms.",
            f"An interval is compared with the {self.sample_size:,} that the reference series are cut into, about"
            f" {self.window:,} points long or longer; their windows are compared with those that do not overlap them.",
        ]
        if self.later is None:
            return [*words, "The series are too short to measure how many more alarms there are."]
        n, flagged, rate, windows = self.later
        which = "windows" if windows >= self.n_reference - 1 else f"{windows:,} first windows"
        words.append(
            f"Measured: with the first half of the {which} as reference, {flagged:,} of {n:,} intervals of the second"
            f" half are flagged at a rate of {rate:.2g}; {n * rate:.2g} are to be expected."
        )
        return words

    def as_dict(self, rate: float) -> dict[str, Any]:
        """Return method, sizes, rates and words, as recorded in `model.json`."""
        return {
            "method": self.method,
            "sample_size": self.sample_size,
            "n_reference": self.n_reference,
            "false_alarm_rate": rate,
            "smallest_false_alarm_rate": self.smallest_rate,
            "threshold": self.threshold(rate),
            "near_duplicates": self.n_near_duplicates,
            "trimmed": self.n_trimmed,
            "assumptions": self.assumptions(),
        }


def attainable_rate(asked: float | None, sample_size: int, n_reference: int | None = None, what: str = "") -> float:
    """Return the rate that so many calibrating items decide at: see `Calibration.rate`.

    n_reference : size of the reference set, where the other items were learnt from; what : the items, if they are no
    reference items."""
    smallest = 1 / (sample_size + 1)
    if asked is None:
        return max(DEFAULT_RATE, smallest)
    check_rate(asked)
    if asked < smallest:
        raise ReferenceTooSmall.for_rate(asked, sample_size, n_reference, what)
    return asked


def last_rank(rate: float, sample_size: int) -> int:
    """Return the largest j whose p-value, j / (m + 1), is at most a rate."""
    rank = math.floor(rate * (sample_size + 1)) + 1
    while rank / (sample_size + 1) > rate:
        rank -= 1
    return rank


def check_rate(rate: float) -> None:
    """Raise InputError for a false-alarm rate outside (0, 1)."""
    if not 0 < rate < 1:
        raise InputError(f"a false-alarm rate must lie between 0 and 1, got {rate:g}; 0.01 is 1 in 100")


def required_sample(rate: float | None) -> int:
    """Return how many items a sample must hold so that a rate is resolved in steps of a hundredth of it."""
    return 0 if rate is None else math.ceil(100 / rate)


def mean_squared_distance(distances: np.ndarray[Any, Any]) -> Scores:
    """Score queries by the mean squared distance to their neighbours.

    distances : (n_queries, k), squared L2.
    Returns (n_queries,) float64; higher is more anomalous.  Source: DN2, eq. 1."""
    scores: Scores = distances.astype(np.float64).mean(axis=1)
    return scores


def near_duplicates(nearest: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark items whose nearest neighbour is suspiciously close.

    nearest : (m,) squared L2 distance of each reference item to its nearest other.
    Returns (m,) bool: distance (not squared) at most `DUPLICATE_SHARE` of the median; copies always."""
    distances = np.sqrt(nearest.astype(np.float64))
    close: np.ndarray[Any, np.dtype[np.bool_]] = distances <= DUPLICATE_SHARE * np.median(distances)
    return close


def false_discoveries(p_values: Scores, level: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
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
    alarms: np.ndarray[Any, np.dtype[np.bool_]] = p_values <= largest
    return alarms

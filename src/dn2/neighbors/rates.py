"""Which false-alarm rates so many calibrating items attain, and decisions at a false-discovery rate."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from dn2.arrays import Flags, Scores
from dn2.errors import InputError, ReferenceTooSmall

DEFAULT_RATE = 0.01


def smallest_rate(sample_size: int, confidence: float | None = None) -> float:
    """Return the smallest rate that so many calibrating items attain.

    confidence : with which a model's own rate is bounded; None where rates hold on average over reference sets."""
    return 1 / (sample_size + 1) if confidence is None else 1 - (1 - confidence) ** (1 / max(1, sample_size))


def attainable_rate(
    asked: float | None,
    sample_size: int,
    n_reference: int | None = None,
    what: str = "",
    confidence: float | None = None,
) -> float:
    """Return the rate that so many calibrating items decide at: see `Calibration.rate`.

    n_reference : size of the reference set, where only some of it calibrate; what : what calibrates, where it is
    something else than reference items; confidence : see `smallest_rate`."""
    smallest = smallest_rate(sample_size, confidence)
    if asked is None:
        return max(DEFAULT_RATE, smallest)
    check_rate(asked)
    if sample_size < sample_needed(asked, confidence):
        raise too_few_for_rate(asked, sample_size, n_reference, what, confidence)
    return asked


def too_few_for_rate(
    rate: float, n: int, n_reference: int | None = None, what: str = "", confidence: float | None = None
) -> ReferenceTooSmall:
    """Return the error that says how many calibrating items a false-alarm rate takes.

    n : number of calibrating items, which do not attain it; the others are those of `attainable_rate`."""
    need = sample_needed(rate, confidence)
    what = what or "reference items"
    got, more = f"{what}, got {n}", need - n
    if n_reference is not None:
        got = f"{what.removeprefix('reference ')} that calibrate, got {n} of {n_reference}"
        if confidence is None:  # where only a share of them calibrates; with a confidence all that join do
            more = math.ceil(need * n_reference / max(1, n)) - n_reference
    sure = "" if confidence is None else f" with a confidence of {confidence:g}"
    return ReferenceTooSmall(
        f"a false-alarm rate of {rate:g}{sure} needs at least {need} {got}; "
        f"add {more} more or ask for {math.ceil(1e4 * smallest_rate(n, confidence)) / 1e4:g}"
    )


def sample_needed(rate: float, confidence: float | None = None) -> int:
    """Return the smallest number of calibrating items that attains a rate."""
    if confidence is not None:
        need = max(1, math.ceil(math.log1p(-confidence) / math.log1p(-rate) * (1 - 1e-12)))
        return need if smallest_rate(need, confidence) <= rate else need + 1
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


def reached_rate(rate: float, sample_size: int) -> float:
    """Return the share of normal items that a rate flags on average: the largest p-value that is at most the rate."""
    return last_rank(rate, sample_size) / (sample_size + 1)


def bounded_p_values(ranks: Scores, sample_size: int, confidence: float) -> Scores:
    """Return p-values at most a rate of which bounds, with some confidence, the share of normal items flagged.

    ranks : (n,) from 1 for a score above all m calibrating ones to m + 1.  The rate of a threshold with rank j is
    distributed as Beta(j, m + 1 - j) over calibrating samples.  Source: Vovk, 2012; Bates et al., 2023."""
    from scipy.stats import beta

    ranks = np.asarray(ranks, np.float64)
    inside = np.minimum(ranks, sample_size)
    quantiles: Scores = beta.ppf(confidence, inside, sample_size + 1 - inside)
    quantiles[ranks == 1] = smallest_rate(sample_size, confidence)  # to the bit, so that this rate is attained
    return np.where(ranks > sample_size, 1.0, quantiles)


def check_rate(rate: float) -> None:
    """Raise InputError for a false-alarm rate outside (0, 1)."""
    if not isinstance(rate, Real) or not 0 < rate < 1:
        got = f"{rate:g}" if isinstance(rate, Real) else repr(rate)
        raise InputError(f"a false-alarm rate must lie between 0 and 1, got {got}; 0.01 is 1 in 100")


def check_confidence(confidence: float) -> None:
    """Raise InputError for a confidence outside (0, 1)."""
    if isinstance(confidence, bool) or not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise InputError(f"a confidence must lie between 0 and 1, such as 0.95, got {confidence!r}")


def required_sample(rate: float | None) -> int:
    """Return how many items a sample must hold so that a rate is resolved in steps of a hundredth of it."""
    return 0 if rate is None else math.ceil(100 / rate)


def false_discoveries(p_values: Scores, level: float) -> Flags:
    """Decide a batch so that among its alarms at most a share `level` is expected to be false.

    p_values : (n,); NaN, of items that are not decided, is none.  Returns (n,) bool.  Source: Benjamini and Hochberg,
    1995.  Proven for independent p-values and for split calibration; for leave-one-out p-values it is only measured.
    Raises InputError."""
    if not 0 < level < 1:
        raise InputError(f"a false-discovery rate must lie between 0 and 1, got {level:g}; 0.05 is 1 in 20")
    ascending = np.sort(p_values[~np.isnan(p_values)])
    n = len(ascending)
    # p-values are fractions, and fall on the line exactly: a rounding must not decide.
    below = ascending * n <= level * np.arange(1, n + 1) * (1 + 1e-12)
    largest = ascending[below].max(initial=-np.inf)
    alarms: Flags = p_values <= largest
    return alarms

"""The own false-alarm rates of models of numbers from a known distribution, for `confidence.py`: exact, not sampled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from dn2 import KNNDetector

CENTRES = np.random.default_rng(0).normal(scale=1_000, size=30)


def _normal_cdf(values: np.ndarray) -> np.ndarray:
    return np.asarray(norm.cdf(values))


def _clusters_cdf(values: np.ndarray) -> np.ndarray:
    return np.asarray(norm.cdf(values[:, None] - CENTRES).mean(axis=1))


def _clusters(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=n) + rng.choice(CENTRES, n)


# How numbers are drawn, and their distribution function.
DISTRIBUTIONS: dict[str, tuple[Callable[..., np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "one cloud": (lambda rng, n: rng.normal(size=n), _normal_cdf),
    "30 clusters": (_clusters, _clusters_cdf),
}


def own_rates(name: str, m: int, models: int, rate: float, confidence: float | None) -> np.ndarray:
    """Fit models to 2 m numbers, and return the own rate of each, (models,)."""
    draw, cdf = DISTRIBUTIONS[name]
    own = []
    for seed in range(models):
        numbers = draw(np.random.default_rng([seed, m]), 2 * m).astype(np.float32)
        detector = KNNDetector(2, confidence=confidence, false_alarm_rate=rate).fit(numbers[:, None])
        calibration, neighbors = detector.calibration_, numbers
        if confidence is not None:
            assert calibration.sample_size == m
            neighbors = np.delete(numbers, detector.detector_.leave_one_out.members)
        own.append(1 - unflagged(np.sort(neighbors.astype(np.float64)), calibration.threshold(rate), cdf))
    return np.array(own)


def unflagged(numbers: np.ndarray, threshold: float, cdf: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the probability of a mean squared distance to the two nearest of some numbers up to a threshold.

    numbers : ascending.  The two nearest, a and b, follow on each other; the score of x is the smallest over all such
    pairs of (x - (a + b) / 2)^2 + ((b - a) / 2)^2: what is not flagged is a union of intervals."""
    middles, spreads = (numbers[1:] + numbers[:-1]) / 2, ((numbers[1:] - numbers[:-1]) / 2) ** 2
    near = spreads <= threshold
    reaches = np.sqrt(threshold - spreads[near])
    starts, ends = middles[near] - reaches, middles[near] + reaches
    order = np.argsort(starts)
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    begins = np.flatnonzero(np.append(True, starts[1:] > ends[:-1]))
    stops = np.append(begins[1:] - 1, len(starts) - 1)
    return float((cdf(ends[stops]) - cdf(starts[begins])).sum())

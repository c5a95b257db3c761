"""False discoveries asked and got: batches decided together by Benjamini-Hochberg, on made-up data.

Run: python benchmarks/false_discoveries.py

Normal items are normally distributed, anomalies shifted by so much that their squared distance grows by some of its
standard deviations.  The false-discovery rate is the share of the alarms that are false, 0 without an alarm, on average
over draws of reference set and batch.  For independent p-values it is the share of normal items times the level.  With
leave-one-out the calibrating items are neighbours, too, and no proof holds; with centroids they are no neighbours of
anything, and one does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from common import begin
from dn2 import KNNDetector
from dn2.neighbors.calibration import false_discoveries

SHARES = (0.1, 0.5)  # of anomalies in a batch
LEVELS = (0.05, 0.1)
STRENGTHS = {"weak": 2.0, "strong": 6.0}  # standard deviations of the squared distance
DETECTORS: dict[str, dict[str, Any]] = {
    "leave-one-out": {"n_neighbors": 2},
    "centroids": {"index": "kmeans:10", "n_neighbors": 1},
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured: draws, items in each batch, reference items, and dimensions."""

    draws: int = 200
    batch: int = 500
    references: tuple[int, ...] = (99, 499)
    dimensions: tuple[int, ...] = (2, 32, 512)


SMALLEST = Sizes(draws=2, batch=20, references=(40,), dimensions=(2,))


class Setting(NamedTuple):
    """What a batch is decided with, and what is in it."""

    detector: str
    size: int
    dimension: int
    share: float
    strength: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Print false-discovery rates, with standard errors over draws, and the share of anomalies found."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("false_discoveries")
    report.say(f"{sizes.draws} draws of reference set and batch, {sizes.batch} items a batch, k = 2, or 10 centroids")
    heads = "".join(f"{f'level {level}: got +- s.e., found':<34}" for level in LEVELS)
    report.say(f"  {'calibration':<15}{'n':<6}{'d':<5}{'anomalies':<15}{heads}")
    highest = [0.0, 0.0]
    for setting in settings(sizes):
        drawn = np.array([draw(setting, sizes.batch, np.random.default_rng(seed)) for seed in range(sizes.draws)])
        got, found = drawn.mean(axis=0).T
        errors = drawn[:, :, 0].std(axis=0, ddof=1) / math.sqrt(sizes.draws)
        words = (
            f"{mean:.4f} +- {error:.4f}, {power:.2f}" for mean, error, power in zip(got, errors, found, strict=True)
        )
        anomalies = f"{setting.share:.0%}, {setting.strength}"
        report.say(
            f"  {setting.detector:<15}{setting.size:<6}{setting.dimension:<5}{anomalies:<15}"
            + "".join(f"{word:<34}" for word in words)
        )
        highest = [max(pair) for pair in zip(highest, got, strict=True)]
        report.claim((got <= LEVELS + 3 * errors).all(), "more false discoveries than asked for")
    most = " and ".join(f"{mean:.4f} at {level}" for mean, level in zip(highest, LEVELS, strict=True))
    report.say(f"The highest of these: {most}; none above the level beyond three standard errors.")
    report.save()


def settings(sizes: Sizes) -> Iterator[Setting]:
    """Give what is measured; centroids of so few items as 99 leave too few to calibrate a batch."""
    for detector, size, dimension, share, strength in product(
        DETECTORS, sizes.references, sizes.dimensions, SHARES, STRENGTHS
    ):
        if detector == "leave-one-out" or size == max(sizes.references):
            yield Setting(detector, size, dimension, share, strength)


def draw(setting: Setting, batch: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Decide one batch at each level: the share of the alarms that are false, and that of the anomalies found."""
    d, anomalous = setting.dimension, round(setting.share * batch)
    reference, items = rng.normal(size=(setting.size, d)), rng.normal(size=(batch, d))
    # The squared distance of two normal items has a variance of 8 d.
    items[:anomalous] += math.sqrt(STRENGTHS[setting.strength] * math.sqrt(8 * d) / d)
    p_values = KNNDetector(normalize="none", **DETECTORS[setting.detector]).fit(reference).p_value(items)
    alarms = [false_discoveries(p_values, level) for level in LEVELS]
    return [(float(one[anomalous:].sum() / max(1, one.sum())), float(one[:anomalous].mean())) for one in alarms]


if __name__ == "__main__":
    main()

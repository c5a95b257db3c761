"""False alarms asked and got: 200 random draws of reference and normal test items from real embeddings.

Run: python benchmarks/false_alarms.py

For n reference items and rate a the leave-one-out rule should give floor(a (n + 1)) / (n + 1) on average, and never
more than a beyond chance.  Where something is learnt from a random half of the items, n is the other half.  Pictures of
CIFAR-10 (train and test together), one class at a time by turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common import CIFAR10, Report, begin
from dn2 import Cache, ImageEmbedder, KNNDetector

RATES = (0.05, 0.1, 0.2)

# Detectors that learn from a part of their items; contaminated.py has those that set anomalies aside.
LEARNING: dict[str, dict[str, Any]] = {
    "kmeans:10": {"index": "kmeans:10", "n_neighbors": 1},
    "whitened": {"whiten": True},
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured: draws, items tested in each, and reference items, of which detectors that learn have
    others; every which of the training pictures is used."""

    backbone: str = "lite0"
    draws: int = 200
    tested: int = 500
    references: tuple[int, ...] = (19, 49, 99, 299)
    learning: int = 300
    every: int = 2


SMALLEST = Sizes(backbone="lite0@32", draws=2, tested=6, references=(12,), learning=24, every=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates got, with standard errors over draws."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("false_alarms")
    with run.unpacked(CIFAR10) as folder:
        paths = sorted((folder / "test").rglob("*.png")) + sorted((folder / "train").rglob("*.png"))[:: sizes.every]
        vectors = ImageEmbedder(sizes.backbone, cache=Cache()).transform(paths)
    labels = np.array([path.parent.name for path in paths])
    classes = [vectors[labels == name] for name in np.unique(labels)]
    rng = np.random.default_rng(0)
    report.say(f"{sizes.draws} draws, {sizes.tested} normal test items each, {sizes.backbone}, root-unit, k = 2")
    report.say("  n      asked   floor(a(n+1))/(n+1)   got (mean)   standard error   got - expected in errors")
    for size in sizes.references:
        got = np.array([draw(classes[number % len(classes)], size, sizes.tested, rng) for number in range(sizes.draws)])
        for rate, values in zip(RATES, got.T, strict=True):
            expected = math.floor(rate * (size + 1) + 1e-9) / (size + 1)
            error = values.std(ddof=1) / math.sqrt(sizes.draws)
            distance = (values.mean() - expected) / max(error, 1e-9)
            report.say(f"  {size:<6} {rate:<7} {expected:<21.4f} {values.mean():<12.4f} {error:<16.4f} {distance:+.1f}")
            report.claim(values.mean() <= expected + 3 * error, "more false alarms than asked for")
            report.claim(values.mean() >= expected - 0.02, "the detector hardly ever alarms")
    report.say("All within three standard errors above and 0.02 below.")
    learning(report, sizes, classes)
    report.save()


def draw(vectors: np.ndarray, size: int, tested: int, rng: np.random.Generator) -> list[float]:
    """Fit on random items and return the share of other items flagged at each rate."""
    chosen = rng.permutation(len(vectors))[: size + tested]
    return flagged({}, vectors[chosen[:size]], vectors[chosen[size:]])


def flagged(options: dict[str, Any], reference: np.ndarray, queries: np.ndarray) -> list[float]:
    """Return the share of queries that a detector flags at each rate."""
    detector = KNNDetector(normalize="root-unit", **{"n_neighbors": 2, **options})
    p_values = detector.fit(reference).p_value(queries)
    return [float((p_values <= rate).mean()) for rate in RATES]


def learning(report: Report, sizes: Sizes, classes: list[np.ndarray]) -> None:
    """Print the same for detectors that learn."""
    size, kept = sizes.learning, sizes.learning + sizes.tested
    report.say(f"\n{size} items, half of which calibrate: share of normal and of anomalous test items flagged")
    report.say(f"  {'':<24}" + "".join(f"{f'asked {rate}':<32}" for rate in RATES))
    vectors, labels = np.concatenate(classes), np.repeat(np.arange(len(classes)), [len(one) for one in classes])
    for name, options in LEARNING.items():
        normal, anomalous = [], []
        for number in range(sizes.draws):
            rng = np.random.default_rng(number)
            kind = number % len(classes)
            own = vectors[rng.permutation(np.flatnonzero(labels == kind))[:kept]]
            others = vectors[rng.permutation(np.flatnonzero(labels != kind))[:kept]]
            normal.append(flagged(options, own[:size], own[size:]))
            anomalous.append(flagged(options, own[:size], others[size:]))
        errors = np.std(normal, axis=0, ddof=1) / math.sqrt(sizes.draws)
        found = zip(np.mean(normal, axis=0), errors, np.mean(anomalous, axis=0), strict=True)
        words = "".join(f"{f'{mean:.4f} +- {error:.4f}, {caught:.3f}':<32}" for mean, error, caught in found)
        report.say(f"  {name:<24}{words}")


if __name__ == "__main__":
    main()

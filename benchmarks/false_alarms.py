"""False alarms asked and got: 200 random draws of reference and normal test items from real embeddings.

Run: python benchmarks/false_alarms.py

For n reference items and rate a the leave-one-out rule should give floor(a (n + 1)) / (n + 1) on average, and never
more than a beyond chance.  Pictures of CIFAR-10 (train and test together), one class at a time by turns.
"""

from __future__ import annotations

import math

import numpy as np

from common import Report, unpacked
from dn2 import ImageEmbedder, KNNDetector

DRAWS = 200
TESTED = 500
SIZES = (19, 49, 99, 299)
RATES = (0.05, 0.1, 0.2)


def main() -> None:
    """Print the rates got, with standard errors over draws."""
    report = Report("false_alarms")
    with unpacked("cifar10/cifar10_png_35k.zip") as folder:
        paths = sorted((folder / "test").rglob("*.png")) + sorted((folder / "train").rglob("*.png"))[::2]
        vectors = ImageEmbedder().transform(paths)
    labels = np.array([path.parent.name for path in paths])
    classes = [vectors[labels == name] for name in np.unique(labels)]
    rng = np.random.default_rng(0)
    report.say(f"{DRAWS} draws, {TESTED} normal test items each, lite0, root-unit, k = 2")
    report.say("  n      asked   floor(a(n+1))/(n+1)   got (mean)   standard error   got - expected in errors")
    for size in SIZES:
        got = np.array([draw(classes[number % len(classes)], size, rng) for number in range(DRAWS)])
        for rate, values in zip(RATES, got.T, strict=True):
            expected = math.floor(rate * (size + 1) + 1e-9) / (size + 1)
            error = values.std(ddof=1) / math.sqrt(DRAWS)
            distance = (values.mean() - expected) / error
            report.say(f"  {size:<6} {rate:<7} {expected:<21.4f} {values.mean():<12.4f} {error:<16.4f} {distance:+.1f}")
            assert values.mean() <= expected + 3 * error, "more false alarms than asked for"
            assert values.mean() >= expected - 0.02, "the detector hardly ever alarms"
    report.say("All within three standard errors above and 0.02 below.")
    report.save()


def draw(vectors: np.ndarray, size: int, rng: np.random.Generator) -> list[float]:
    """Fit on random items and return the share of other items flagged at each rate."""
    chosen = rng.permutation(len(vectors))[: size + TESTED]
    detector = KNNDetector(normalize="root-unit", false_alarm_rate=0.05).fit(vectors[chosen[:size]])
    p_values = detector.p_value(vectors[chosen[size:]])
    return [float((p_values <= rate).mean()) for rate in RATES]


if __name__ == "__main__":
    main()

"""Contaminated sets: false alarms asked and got, clean and with anomalies; what is set aside; detection with cleaning.

Run: python benchmarks/contaminated.py

Clean sets, of one kind or of several, must keep the rate whatever is set aside.  With anomalies among the items the
rate is asked with the share of anomalies given, and without.  The rule by which an item lies alone was chosen on made
clouds, CIFAR-10's training pictures and tables of three to eight categories; digits, white blood cells and the twenty
sets of random kinds had no part in it.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import dn2
from common import CIFAR10, Report, Run, begin
from dn2 import Cache, ImageEmbedder, KNNDetector

RATES = (0.01, 0.05, 0.1, 0.2)
SHARES = (0.03, 0.1, 0.2, 0.3)
POLLUTED = 0.2

# Draws reference rows and queries.
Draw = Callable[[np.random.Generator], tuple[Any, Any]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured: draws, and in each the reference rows and the queries; neighbours; sets of random kinds;
    every which digit; the network; pictures of a class of CIFAR-10, and classes."""

    draws: int = 200
    reference: int = 400
    tested: int = 200
    neighbors: int = 10
    sets: int = 20
    every: int = 1
    backbone: str = "lite0"
    pictures: int = 2_500
    classes: int = 4


SMALLEST = Sizes(2, reference=24, tested=9, neighbors=2, sets=1, every=12, backbone="lite0@32", pictures=12, classes=2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates got with standard errors over draws, what was set aside, and ROC AUC."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    report = run.report("contaminated")
    clean(report, run.sizes, {**made_sets(run.sizes), **digits(run.sizes), **white_cells(run)})
    dirty(report, run.sizes)
    aside(report, run)
    detection(report, run)
    report.save()


# Clean sets


def clean(report: Report, sizes: Sizes, sets: dict[str, Draw]) -> None:
    """Print the rates got of clean sets, and the shares of items set aside, and suspected."""
    report.say(f"Clean sets, no share given: {sizes.draws} draws")
    report.say(f"  {'':<38}" + "".join(f"{f'asked {rate}':<18}" for rate in RATES) + "set aside  suspects besides")
    for name, make in sets.items():
        found = []
        for number in range(sizes.draws):
            reference, queries = make(np.random.default_rng([3, number]))
            p_values, detector = fitted(sizes, reference, queries)
            n = detector.calibration.n_reference
            shares = (len(detector.aside) / n, (len(detector.suspects) - len(detector.aside)) / n)
            found.append([*((p_values <= rate).mean() for rate in RATES), *shares])
        mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(sizes.draws)
        rates = "".join(f"{f'{mean[i]:.4f} +- {error[i]:.4f}':<18}" for i in range(len(RATES)))
        report.say(f"  {name:<38}{rates}{mean[4]:<11.2%}{mean[5]:.1%}")
        for rate, got, off in zip(RATES, mean, error, strict=False):
            report.claim(got <= rate + 3 * off, f"{name}: more false alarms than asked for")
    report.say("None is more than three standard errors above what was asked.")


def fitted(sizes: Sizes, reference: Any, queries: Any, drop: float | None = None) -> tuple[np.ndarray, Any]:
    """Fit on rows, or on a table's columns by name, and return the p-values of queries, and the detector."""
    if isinstance(reference, dict):
        model = dn2.fit(reference, neighbors=sizes.neighbors, contaminated=True, drop=drop)
        return np.array([row.p_value for row in model.score(queries)]), model.detector
    detector = KNNDetector(sizes.neighbors, contaminated=True, drop=drop).fit(reference)
    return detector.p_value(queries), detector.detector_


def made_sets(sizes: Sizes) -> dict[str, Draw]:
    """Return sets of made kinds, and tables with categories."""
    sets = {
        "one cloud, 8 columns": kinds(sizes, [1.0]),
        "one cloud, 64 columns": kinds(sizes, [1.0], columns=64),
        "two kinds, 20 %": kinds(sizes, [0.8, 0.2]),
        "two kinds, 30 %": kinds(sizes, [0.7, 0.3]),
        "two kinds, 20 % spread x 0.3": kinds(sizes, [0.8, 0.2], [1, 0.3]),
        "two kinds, 10 % spread x 4": kinds(sizes, [0.9, 0.1], [1, 4], apart=30),
        "three kinds": kinds(sizes, [0.6, 0.3, 0.1]),
        "six kinds": kinds(sizes, [0.5, 0.2, 0.1, 0.1, 0.05, 0.05], [1, 0.5, 2, 1, 0.3, 1]),
        "heavy tails, Cauchy": lambda rng: tuple(
            rng.standard_cauchy((count, 5)) for count in (sizes.reference, sizes.tested)
        ),
        "table, a column of 2 categories": table(sizes, [(0.9, 0.1)]),
        "table, a column of 3 categories": table(sizes, [(0.7, 0.2, 0.1)]),
        "table, a column of 8 categories": table(sizes, [(0.4, 0.2, 0.15, 0.1, 0.06, 0.04, 0.03, 0.02)]),
        "table, two columns of categories": table(sizes, [(0.6, 0.2, 0.1, 0.06, 0.04), (0.8, 0.2)]),
        "table, categories alone": table(sizes, [(0.6, 0.2, 0.1, 0.1), (0.8, 0.2), (0.5, 0.3, 0.2)], numbers=0),
    }
    for number in range(sizes.sets):
        rng = np.random.default_rng([11, number])
        count, columns = int(rng.integers(2, 7)), int(rng.integers(2, 40))
        shares, spreads = rng.dirichlet(np.full(count, 2.0)).tolist(), np.exp(rng.normal(0, 0.8, count)).tolist()
        apart = float(rng.uniform(4, 30))
        name = f"random set {number + 1}: {count} kinds, {columns} columns"
        sets[name] = kinds(sizes, shares, spreads, columns=columns, apart=apart, seed=number)
    return sets


def kinds(
    sizes: Sizes,
    shares: list[float],
    spreads: list[float] | None = None,
    *,
    columns: int = 8,
    apart: float = 8,
    seed: int = 0,
) -> Draw:
    """Return a draw of clouds with these shares and spreads, all but the first so far from the origin."""
    centres = np.random.default_rng(seed).normal(size=(len(shares), columns))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    centres[0] = 0
    widths = np.array(spreads or [1.0] * len(shares))

    def rows(rng: np.random.Generator, count: int) -> np.ndarray:
        kind = rng.choice(len(shares), count, p=shares)
        return centres[kind] + widths[kind, None] * rng.normal(size=(count, columns))

    return lambda rng: (rows(rng, sizes.reference), rows(rng, sizes.tested))


def table(sizes: Sizes, categories: list[tuple[float, ...]], numbers: int = 4) -> Draw:
    """Return a draw of a table with columns of numbers and of categories, given the share of each category."""

    def columns(rng: np.random.Generator, count: int) -> dict[str, Any]:
        made: dict[str, Any] = {f"number {i}": rng.normal(size=count) for i in range(numbers)}
        for i, shares in enumerate(categories):
            made[f"category {i}"] = np.array(list("abcdefgh"))[rng.choice(len(shares), count, p=shares)]
        return made

    return lambda rng: (columns(rng, sizes.reference), columns(rng, sizes.tested))


def digits(sizes: Sizes) -> dict[str, Draw]:
    """Return scikit-learn's handwritten digits: one that is written in two ways, and two of them together."""
    rows, labels = written(sizes)

    def drawn(of: Sequence[int]) -> Draw:
        return partial(split, rows[np.isin(labels, of)])

    return {"the digit 1": drawn([1]), "the digits 0 and 6": drawn([0, 6]), "the digits 1, 3 and 8": drawn([1, 3, 8])}


def split(rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Split rows at random, two thirds and a third, on a random scale.

    A hash of its content decides whether a row calibrates: on one scale, these few rows would all have the same part in
    every draw."""
    drawn = rng.permutation(rows) * np.float32(rng.uniform(1, 2))
    return drawn[: 2 * len(rows) // 3], drawn[2 * len(rows) // 3 :]


def written(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of handwritten digits, and the digits."""
    data = load_digits()
    return data.data[:: sizes.every].astype(np.float32), data.target[:: sizes.every]


def white_cells(run: Run[Sizes]) -> dict[str, Draw]:
    """Return white blood cells of four kinds together, and of the two commonest."""
    vectors, labels = cells(run)

    def drawn(of: Sequence[str]) -> Draw:
        return partial(split, vectors[np.isin(labels, of)])

    return {"white blood cells, 4 kinds": drawn(["1", "2", "3", "4"]), "white blood cells, 2 kinds": drawn(["1", "2"])}


def cells(run: Run[Sizes]) -> tuple[np.ndarray, np.ndarray]:
    """Embed the white blood cells of the first set: root-unit vectors, and their kinds."""
    if run.smallest:
        rng = np.random.default_rng(0)
        return rng.random((60, 16), np.float32), np.repeat(["1", "2", "3", "4"], 15)
    with open(run.need("wbc/labels.csv"), newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "1" and row["label"] in "1234"]
    with zipfile.ZipFile(run.need("wbc/wbc.zip")) as archive:
        pictures = [archive.read(row["image"]) for row in rows]
    return embed(run.sizes.backbone, pictures), np.array([row["label"] for row in rows])


def embed(backbone: str, pictures: Any) -> np.ndarray:
    """Embed pictures and normalise them as dn2 does."""
    vectors = np.sqrt(ImageEmbedder(backbone, cache=Cache()).transform(pictures))
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


# Anomalies among the items


def dirty(report: Report, sizes: Sizes) -> None:
    """Print what of normal and of anomalous queries is flagged, and set aside, with and without the share given."""
    report.say(f"\nAnomalies among {sizes.reference} items of one cloud: share flagged of normal | of such queries")
    heads = "".join(f"{f'asked {rate}':<28}" for rate in RATES[:3])
    report.say(f"  {'':<38}{heads}set aside of the normal | the anomalous items")
    for how in ("spread", "clumped"):
        for share in SHARES:
            for drop in (None, share):
                found = [polluted(np.random.default_rng([5, i]), sizes, how, share, drop) for i in range(sizes.draws)]
                mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(sizes.draws)
                rates = "".join(f"{f'{mean[i]:.4f} +- {error[i]:.4f} | {mean[i + 3]:.3f}':<28}" for i in range(3))
                name = f"{how}, {share:.0%}, {'share given' if drop else 'not given'}"
                report.say(f"  {name:<38}{rates}{mean[6]:.2%} | {mean[7]:.1%}")


def polluted(rng: np.random.Generator, sizes: Sizes, how: str, share: float, drop: float | None) -> list[float]:
    """Fit on a cloud with anomalies, four times as far out or in a clump; return the shares flagged and set aside."""
    count = max(1, round(share * sizes.reference))

    def anomalies(size: int) -> np.ndarray:
        rows = rng.normal(size=(size, 8))
        return rows * 4 if how == "spread" else rows + 6

    rows = np.concatenate([anomalies(count), rng.normal(size=(sizes.reference - count, 8))])
    normal, wrong = rng.normal(size=(sizes.tested, 8)), anomalies(sizes.tested)
    p_values, detector = fitted(sizes, rows, np.concatenate([normal, wrong]), drop)
    flagged = [(part <= rate).mean() for part in np.split(p_values, 2) for rate in RATES[:3]]
    is_aside = np.isin(np.arange(len(rows)), detector.aside)
    return [*flagged, is_aside[count:].mean(), is_aside[:count].mean()]


# What is set aside of real sets


def aside(report: Report, run: Run[Sizes]) -> None:
    """Print how many items are set aside, and suspected, of clean real sets and of sets with others among them."""
    report.say("\nItems set aside, no share given: all of them are wrong where the set is clean")
    (rows, digit), (vectors, kind) = written(run.sizes), cells(run)
    families = {
        "digits, each": [rows[digit == one] for one in range(10)],
        "digits, pairs": [rows[np.isin(digit, [one, (one + 3) % 10])] for one in range(10)],
        "white blood cells, each kind": [vectors[kind == one] for one in "1234"],
        "white blood cells, four kinds": [vectors],
    }
    for name, sets in families.items():
        found = [KNNDetector(run.sizes.neighbors, contaminated=True).fit(rows) for rows in sets]
        n_aside, n_suspects = (
            sum(map(len, parts)) for parts in zip(*((d.aside_, d.suspects_) for d in found), strict=True)
        )
        report.say(f"  {name:<38}{n_aside} of {sum(map(len, sets)):,} set aside, {n_suspects} suspects in all")


# Detection


def detection(report: Report, run: Run[Sizes]) -> None:
    """Print the ROC AUC of CIFAR-10's classes with other classes among their pictures."""
    sizes = run.sizes
    with run.unpacked(CIFAR10) as folder:
        train, test = (sorted((folder / part).rglob("*.png")) for part in ("train", "test"))
        vectors = embed(sizes.backbone, [*train, *test])
    labels = np.array([path.parent.name for path in (*train, *test)])
    of_train = np.arange(len(labels)) < len(train)
    ways: dict[str, dict[str, Any]] = {
        "no cleaning": {},
        "contaminated, no share given": {"contaminated": True},
        "contaminated, share given": {"contaminated": True, "drop": POLLUTED},
        "the paper's": {"contaminated": True, "drop": 0.5, "first_neighbors": 2, "n_neighbors": 2},
    }
    names = np.unique(labels)[: sizes.classes]
    found = [list(of_class(sizes, vectors, labels, of_train, name, ways)) for name in names]
    report.say(f"\nCIFAR-10, {POLLUTED:.0%} of other classes in the set: ROC AUC in %, mean of {len(found)} classes")
    for way, mean in zip(ways, np.mean(found, axis=0), strict=True):
        report.say(f"  {way:<38}{100 * mean:.2f}")


def of_class(
    sizes: Sizes, vectors: np.ndarray, labels: np.ndarray, of_train: np.ndarray, name: str, ways: dict[str, Any]
) -> Iterator[float]:
    """Give the ROC AUC of each way for a normal class."""
    rng = np.random.default_rng(0)
    own = np.flatnonzero(of_train & (labels == name))[: sizes.pictures]
    count = round(POLLUTED / (1 - POLLUTED) * len(own))
    others = rng.permutation(np.flatnonzero(of_train & (labels != name)))[:count]
    reference, queries = vectors[np.concatenate([own, others])], vectors[~of_train]
    for options in ways.values():
        detector = KNNDetector(**{"n_neighbors": sizes.neighbors, **options}).fit(reference)
        yield roc_auc_score(labels[~of_train] != name, detector.anomaly_score(queries))


if __name__ == "__main__":
    main()

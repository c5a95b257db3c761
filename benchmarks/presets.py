"""The presets: how fast they embed, how well they tell classes apart, and whether their false alarms are as asked for.

Run: python benchmarks/presets.py [--rounds 5]

What the presets are made of (input sizes, posteriors, networks to join, neighbours) was chosen on CIFAR-10's training
pictures (`levers.py`), and with an eye on the figures here of CIFAR-10 and MNIST.  The other sets were only measured.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from class_folders import class_folders
from common import CIFAR10, Report, Run, begin, seconds
from dn2 import Cache, ImageEmbedder, KNNDetector
from dn2.bench.scoring import nearest_distances
from dn2.kinds.image.presets import PRESETS, WHITEN_FROM, Preset
from dn2.neighbors.detector import Detector
from dn2.neighbors.prepare.normalize import normalize
from dn2.neighbors.steps import Search, Steps, Whiten

RATES = (0.05, 0.1, 0.2)

Vectors = np.ndarray


@dataclass(frozen=True)
class Sizes:
    """How much is measured: timed pictures and rounds; reference items of a class, tested ones, seeds and draws."""

    presets: Mapping[str, Preset] = field(default_factory=lambda: PRESETS)
    rounds: int = 5
    timed: int = 2_000
    mnist_references: int = 500
    mnist_many: int = 1_200
    mnist_tested: int = 300
    wbc_seeds: int = 10
    draws: int = 200
    fewer_draws: int = 10
    references: int = 99
    tested: int = 500


SMALLEST = Sizes(
    presets={name: replace(PRESETS[name], backbone="lite0@32") for name in ("default", "accurate")},
    rounds=1,
    timed=10,
    mnist_references=8,
    mnist_many=8,
    mnist_tested=4,
    wbc_seeds=2,
    draws=2,
    fewer_draws=2,
    references=20,
    tested=6,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print speed, ROC AUC and false alarms of every preset."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("presets")
    for name, preset in sizes.presets.items():
        whitened = f", whitened from {WHITEN_FROM:,} references on" if preset.whiten else ""
        report.say(f"  {name:<10} {preset.backbone}, k = {preset.n_neighbors}{whitened}")
    with run.unpacked(CIFAR10) as folder:
        time_them(report, sizes, sorted((folder / "test").rglob("*.png"))[: sizes.timed])
        parts = [sorted((folder / part).rglob("*.png")) for part in ("train", "test")]
        report.say("\nCIFAR-10, 2,500 references a class, all test pictures, ROC AUC in %:")
        for name, preset in sizes.presets.items():
            reference, queries = (embed(preset, part) for part in parts)
            classes = [np.array([path.parent.name for path in part]) for part in parts]
            report.say(
                f"  {name:<10} one class {one_class(preset, reference, queries, *classes):.2f}"
                f"   all classes but one {multimodal(preset, reference, queries, *classes):.2f}"
            )
            vectors, labels = np.concatenate([reference, queries]), np.concatenate(classes)
            of_classes = [vectors[labels == one] for one in np.unique(labels)]
            false_alarms(report, preset, of_classes, sizes.references, sizes.tested, sizes.draws)
            if preset.whiten:
                without = multimodal(replace(preset, whiten=False), reference, queries, *classes)
                report.say(f"             without whitening, all classes but one {without:.2f}")
                many = min(WHITEN_FROM, len(vectors) - sizes.tested)
                false_alarms(report, preset, [vectors], many, sizes.tested, sizes.fewer_draws)
    mnist(run, report)
    white_blood_cells(run, report)
    magnetic_tiles(run, report)
    report.save()


def embed(preset: Preset, paths: Sequence[Path]) -> Vectors:
    """Embed pictures, (n, d), through the user's cache."""
    return embedder_of(preset.backbone).transform(paths)


@cache
def embedder_of(backbone: str) -> ImageEmbedder:
    """Make an embedder once, with the user's cache."""
    return ImageEmbedder(backbone, cache=Cache())


def detector(preset: Preset, n: int, rate: float | None = None) -> KNNDetector:
    """Make the detector that `dn2.fit` would make of n items."""
    k, whiten = preset.neighbors_among(n), preset.whitens_among(n, rate)
    return KNNDetector(k, normalize="root-unit", false_alarm_rate=rate, whiten=whiten)


def time_them(report: Report, sizes: Sizes, paths: Sequence[Path]) -> None:
    """Print pictures a second, files to vectors without a cache, the presets by turns."""
    embedders = {name: ImageEmbedder(preset.backbone) for name, preset in sizes.presets.items()}
    rates: dict[str, list[float]] = {name: [] for name in embedders}
    for embedder in embedders.values():
        embedder.transform(paths[:100])
    for _ in range(sizes.rounds):
        for name, embedder in embedders.items():
            rates[name].append(len(paths) / seconds(lambda embedder=embedder: embedder.transform(paths)))
    report.say(f"\n{len(paths):,} PNGs of CIFAR-10 to vectors, pictures a second, median of {sizes.rounds} rounds:")
    for name, values in rates.items():
        ratio = np.median(np.array(values) / np.array(rates["default"]))
        report.say(f"  {name:<10} {np.median(values):6.0f}   {ratio:.2f} of the default's in the same round")


def scores(preset: Preset, reference: Vectors, queries: Vectors) -> np.ndarray:
    """Score queries, (n,)."""
    return detector(preset, len(reference)).fit(reference).anomaly_score(queries)


def one_class(preset: Preset, reference: Vectors, queries: Vectors, known: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean ROC AUC in % of each class against the others."""
    values = [
        roc_auc_score(truth != name, scores(preset, reference[known == name], queries)) for name in np.unique(known)
    ]
    return 100 * float(np.mean(values))


def multimodal(preset: Preset, reference: Vectors, queries: Vectors, known: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean ROC AUC in % of all classes but one against that one."""
    reference, queries = normalize(reference, "root-unit"), normalize(queries, "root-unit")
    values = []
    for name in np.unique(known):
        rows = reference[known != name]
        k = preset.neighbors_among(len(rows))
        if preset.whitens_among(len(rows)):
            scores = Detector.fit(Steps(k, whiten=Whiten(), search=Search("exact")), rows).anomaly_score(queries)
        else:
            scores = nearest_distances(rows, queries, k).mean(axis=1)
        values.append(roc_auc_score(truth == name, scores))
    return 100 * float(np.mean(values))


def false_alarms(report: Report, preset: Preset, sets: Sequence[Vectors], size: int, tested: int, draws: int) -> None:
    """Print the share of fresh normal pictures flagged at each rate, over random draws from each set by turns."""
    rng = np.random.default_rng(0)
    got = []
    for number in range(draws):
        rows = sets[number % len(sets)]
        chosen = rng.permutation(len(rows))[: size + tested]
        fitted = detector(preset, size, 0.05).fit(rows[chosen[:size]])
        p_values = fitted.p_value(rows[chosen[size:]])
        got.append([(p_values <= rate).mean() for rate in RATES])
    means, errors = np.mean(got, axis=0), np.std(got, axis=0, ddof=1) / math.sqrt(draws)
    words = ", ".join(
        f"{rate}: {mean:.4f} +- {error:.4f}" for rate, mean, error in zip(RATES, means, errors, strict=True)
    )
    report.say(f"             false alarms asked: got, {size:,} references, {draws} draws: {words}")
    report.claim((means <= np.array(RATES) + 3 * errors).all(), "more false alarms than asked for")


def mnist(run: Run[Sizes], report: Report) -> None:
    """Print the mean ROC AUC over the ten digits, and what whitening does where nine of them are normal."""
    sizes, accurate = run.sizes, run.sizes.presets["accurate"]
    with class_folders(run, "mnist") as folder:

        def embedded(preset: Preset, references: int) -> tuple[Vectors, Vectors, np.ndarray, np.ndarray]:
            parts = [
                [path for digit in sorted((folder / part).iterdir()) for path in sorted(digit.iterdir())[:count]]
                for part, count in (("train", references), ("test", sizes.mnist_tested))
            ]
            known, truth = (np.array([path.parent.name for path in part]) for part in parts)
            return embed(preset, parts[0]), embed(preset, parts[1]), known, truth

        counts = f"{sizes.mnist_references} references a class, {sizes.mnist_tested} tested a class"
        report.say(f"\nMNIST, {counts}, ROC AUC in %:")
        for name, preset in sizes.presets.items():
            report.say(f"  {name:<10} {one_class(preset, *embedded(preset, sizes.mnist_references)):.2f}")
        many = embedded(accurate, sizes.mnist_many)
        without = multimodal(replace(accurate, whiten=False), *many)
        report.say(
            f"  accurate, all digits but one, {sizes.mnist_many:,} references a class: "
            f"{multimodal(accurate, *many):.2f}, without whitening {without:.2f}"
        )


def white_blood_cells(run: Run[Sizes], report: Report) -> None:
    """Print the mean ROC AUC over the four large classes, with its standard error over random splits."""
    seeds = run.sizes.wbc_seeds
    with class_folders(run, "wbc") as folder:
        counts = {one: len(list(one.iterdir())) for one in sorted(folder.iterdir())}
        paths = [path for one, count in counts.items() if count > 1 for path in sorted(one.iterdir())]
        labels = np.array([path.parent.name for path in paths])
        report.say(f"\nWhite blood cells, {len(set(labels))} classes, 80/20, {seeds} seeds, ROC AUC in %:")
        for name, preset in run.sizes.presets.items():
            vectors = embed(preset, paths)
            values = []
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                known = np.zeros(len(paths), bool)
                for one in np.unique(labels):
                    places = rng.permutation(np.flatnonzero(labels == one))
                    known[places[: round(0.8 * len(places))]] = True
                values.append(one_class(preset, vectors[known], vectors[~known], labels[known], labels[~known]))
            error = np.std(values, ddof=1) / math.sqrt(seeds)
            report.say(f"  {name:<10} {np.mean(values):.2f} +- {error:.2f} (standard error)")


def magnetic_tiles(run: Run[Sizes], report: Report) -> None:
    """Print the ROC AUC of defective against good tiles."""
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    train = np.array([row["split"] == "train" for row in rows])
    defective = np.array([row["label"] == "1" for row in rows])
    report.say("\nMagnetic tiles, good against defective, whole picture, ROC AUC in %:")
    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        for name, preset in run.sizes.presets.items():
            vectors = embed(preset, [folder / row["image"] for row in rows])
            found = scores(preset, vectors[train], vectors[~train])
            report.say(f"  {name:<10} {100 * roc_auc_score(defective[~train], found):.2f}")


if __name__ == "__main__":
    main()

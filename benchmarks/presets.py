"""The presets: how fast they embed, how well they tell classes apart, and whether their false alarms are as asked for.

Run: python benchmarks/presets.py [--rounds 5]

What the presets are made of (input sizes, posteriors, networks to join, neighbours) was chosen on CIFAR-10's training
pictures (`levers.py`), and with an eye on the figures here of CIFAR-10 and MNIST.  The other sets were only measured.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from class_folders import write_mnist, write_wbc
from common import Report, need, unpacked
from dn2 import Cache, ImageEmbedder, KNNDetector
from dn2.bench.scoring import nearest_distances, whitened_distances
from dn2.neighbors.normalize import normalize
from dn2.presets import PRESETS, WHITEN_FROM, Preset

PICTURES_TIMED = 2_000
MNIST_REFERENCES, MNIST_MANY, MNIST_TESTED = 500, 1_200, 300
WBC_SEEDS = 10
DRAWS, REFERENCES, TESTED = 200, 99, 500
FEWER_DRAWS = 10
RATES = (0.05, 0.1, 0.2)

Vectors = np.ndarray


def main() -> None:
    """Print speed, ROC AUC and false alarms of every preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    report = Report("presets")
    for name, preset in PRESETS.items():
        whitened = f", whitened from {WHITEN_FROM:,} references on" if preset.whiten else ""
        report.say(f"  {name:<10} {preset.backbone}, k = {preset.n_neighbors}{whitened}")
    with unpacked("cifar10/cifar10_png_35k.zip") as folder:
        time_them(report, sorted((folder / "test").rglob("*.png"))[:PICTURES_TIMED], rounds)
        parts = [sorted((folder / part).rglob("*.png")) for part in ("train", "test")]
        report.say("\nCIFAR-10, 2,500 references a class, all test pictures, ROC AUC in %:")
        for name, preset in PRESETS.items():
            reference, queries = (embed(preset, part) for part in parts)
            classes = [np.array([path.parent.name for path in part]) for part in parts]
            report.say(
                f"  {name:<10} one class {one_class(preset, reference, queries, *classes):.2f}"
                f"   all classes but one {multimodal(preset, reference, queries, *classes):.2f}"
            )
            vectors, labels = np.concatenate([reference, queries]), np.concatenate(classes)
            false_alarms(report, preset, [vectors[labels == one] for one in np.unique(labels)], REFERENCES, DRAWS)
            if preset.whiten:
                without = multimodal(replace(preset, whiten=False), reference, queries, *classes)
                report.say(f"             without whitening, all classes but one {without:.2f}")
                false_alarms(report, preset, [vectors], WHITEN_FROM, FEWER_DRAWS)
    mnist(report)
    white_blood_cells(report)
    magnetic_tiles(report)
    report.save()


def embed(preset: Preset, paths: Sequence[Path]) -> Vectors:
    """Embed pictures, (n, d), through the user's cache."""
    return ImageEmbedder(preset.backbone, cache=Cache()).transform(paths)


def detector(preset: Preset, n: int, rate: float | None = None) -> KNNDetector:
    """Make the detector that `dn2.fit` would make of n items."""
    k, whiten = preset.neighbors_among(n), preset.whitens_among(n, rate)
    return KNNDetector(k, normalize="root-unit", false_alarm_rate=rate, whiten=whiten)


def time_them(report: Report, paths: Sequence[Path], rounds: int) -> None:
    """Print pictures a second, files to vectors without a cache, the presets by turns."""
    embedders = {name: ImageEmbedder(preset.backbone) for name, preset in PRESETS.items()}
    rates: dict[str, list[float]] = {name: [] for name in PRESETS}
    for embedder in embedders.values():
        embedder.transform(paths[:100])
    for _ in range(rounds):
        for name, embedder in embedders.items():
            start = time.perf_counter()
            embedder.transform(paths)
            rates[name].append(len(paths) / (time.perf_counter() - start))
    report.say(f"\n{len(paths):,} PNGs of CIFAR-10 to vectors, pictures a second, median of {rounds} rounds:")
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
        search = whitened_distances if preset.whitens_among(len(rows)) else nearest_distances
        near = search(rows, queries, preset.neighbors_among(len(rows)))
        values.append(roc_auc_score(truth == name, near.mean(axis=1)))
    return 100 * float(np.mean(values))


def false_alarms(report: Report, preset: Preset, sets: Sequence[Vectors], size: int, draws: int) -> None:
    """Print the share of fresh normal pictures flagged at each rate, over random draws from each set by turns."""
    rng = np.random.default_rng(0)
    got = []
    for number in range(draws):
        rows = sets[number % len(sets)]
        chosen = rng.permutation(len(rows))[: size + TESTED]
        fitted = detector(preset, size, 0.05).fit(rows[chosen[:size]])
        p_values = fitted.p_value(rows[chosen[size:]])
        got.append([(p_values <= rate).mean() for rate in RATES])
    means, errors = np.mean(got, axis=0), np.std(got, axis=0, ddof=1) / math.sqrt(draws)
    words = ", ".join(
        f"{rate}: {mean:.4f} +- {error:.4f}" for rate, mean, error in zip(RATES, means, errors, strict=True)
    )
    report.say(f"             false alarms asked: got, {size:,} references, {draws} draws: {words}")
    assert (means <= np.array(RATES) + 3 * errors).all(), "more false alarms than asked for"


def mnist(report: Report) -> None:
    """Print the mean ROC AUC over the ten digits, and what whitening does where nine of them are normal."""
    with tempfile.TemporaryDirectory() as folder:
        write_mnist(Path(folder))

        def embedded(preset: Preset, references: int) -> tuple[Vectors, Vectors, np.ndarray, np.ndarray]:
            parts = [
                [path for digit in sorted(Path(folder, part).iterdir()) for path in sorted(digit.iterdir())[:count]]
                for part, count in (("train", references), ("test", MNIST_TESTED))
            ]
            known, truth = (np.array([path.parent.name for path in part]) for part in parts)
            return embed(preset, parts[0]), embed(preset, parts[1]), known, truth

        report.say(f"\nMNIST, {MNIST_REFERENCES} references a class, {MNIST_TESTED} tested a class, ROC AUC in %:")
        for name, preset in PRESETS.items():
            report.say(f"  {name:<10} {one_class(preset, *embedded(preset, MNIST_REFERENCES)):.2f}")
        many = embedded(PRESETS["accurate"], MNIST_MANY)
        without = multimodal(replace(PRESETS["accurate"], whiten=False), *many)
        report.say(
            f"  accurate, all digits but one, {MNIST_MANY:,} references a class: "
            f"{multimodal(PRESETS['accurate'], *many):.2f}, without whitening {without:.2f}"
        )


def white_blood_cells(report: Report) -> None:
    """Print the mean ROC AUC over the four large classes, with its standard error over random splits."""
    with tempfile.TemporaryDirectory() as folder:
        write_wbc(Path(folder))
        sizes = {one: len(list(one.iterdir())) for one in sorted(Path(folder).iterdir())}
        paths = [path for one, size in sizes.items() if size > 1 for path in sorted(one.iterdir())]
        labels = np.array([path.parent.name for path in paths])
        report.say(f"\nWhite blood cells, {len(set(labels))} classes, 80/20, {WBC_SEEDS} seeds, ROC AUC in %:")
        for name, preset in PRESETS.items():
            vectors = embed(preset, paths)
            values = []
            for seed in range(WBC_SEEDS):
                rng = np.random.default_rng(seed)
                known = np.zeros(len(paths), bool)
                for one in np.unique(labels):
                    places = rng.permutation(np.flatnonzero(labels == one))
                    known[places[: round(0.8 * len(places))]] = True
                values.append(one_class(preset, vectors[known], vectors[~known], labels[known], labels[~known]))
            error = np.std(values, ddof=1) / math.sqrt(WBC_SEEDS)
            report.say(f"  {name:<10} {np.mean(values):.2f} +- {error:.2f} (standard error)")


def magnetic_tiles(report: Report) -> None:
    """Print the ROC AUC of defective against good tiles."""
    with open(need("magnetic_tile/split.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    train = np.array([row["split"] == "train" for row in rows])
    defective = np.array([row["label"] == "1" for row in rows])
    report.say("\nMagnetic tiles, good against defective, whole picture, ROC AUC in %:")
    with unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        for name, preset in PRESETS.items():
            vectors = embed(preset, [folder / row["image"] for row in rows])
            found = scores(preset, vectors[train], vectors[~train])
            report.say(f"  {name:<10} {100 * roc_auc_score(defective[~train], found):.2f}")


if __name__ == "__main__":
    main()

"""`confidence=0.95`: how often a model's own false-alarm rate exceeds the one asked for, and what that costs.

Run: python benchmarks/confidence.py [--nonconform PYTHON]

A model's own rate is computed exactly, on numbers from a known distribution.  Detections are counted on the ten of
ADBench's tables that have the most normal rows, in z-scores of a tenth of these that serves nothing else, and on
magnetic tiles, of which each is in about six photos.  PYTHON is that of an environment with nonconform, which needs
Python 3.12, and PyOD; without it they are left out:
python3.12 -m venv rivals && rivals/bin/pip install nonconform pyod
"""

from __future__ import annotations

import csv
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta
from sklearn.preprocessing import StandardScaler

from common import Report, Run, begin
from confidence_rates import DISTRIBUTIONS, own_rates
from confidence_rivals import CERTIFICATES, THRESHOLDS, items_for_certificate
from dn2 import Cache, ImageEmbedder, KNNDetector, ReferenceTooSmall
from dn2.bench.result import mean_over_seeds
from dn2.neighbors.prepare.normalize import normalize
from dn2.neighbors.rates import sample_needed

FOLDER = "tabular_adbench"
DN2 = ("dn2, on average", "dn2, with confidence")
PROMISES = {
    DN2[0]: "average over models",
    DN2[1]: "this model, one rate",
    **dict.fromkeys(CERTIFICATES, "this model, all rates"),
    **dict.fromkeys(THRESHOLDS, "none"),
}
MOST_SCALING = 5_000
LARGE, NARROW = 10_000, 16  # reference items, and columns beyond which so many take the rivals long


@dataclass(frozen=True)
class Sizes:
    """How much is measured: models with a confidence and without one, and how many items calibrate them; tables and the
    items in each reference set, held-out normal rows and anomalies at most, and draws; tiles in each reference set."""

    models: int = 1_000
    averages: int = 200
    calibrating: tuple[int, ...] = (300, 500, 1_000)
    tables: int = 10
    references: tuple[int, ...] = (600, 2_000, 40_000)
    queries: int = 5_000
    draws: int = 5
    tiles: int = 108
    tile_draws: int = 20
    backbone: str = "lite0"
    rates: tuple[float, ...] = (0.01, 0.05)
    confidence: float = 0.95


SMALLEST = Sizes(
    models=2,
    averages=2,
    calibrating=(15,),
    references=(30,),
    draws=2,
    tiles=5,
    tile_draws=2,
    backbone="lite0@32",
    rates=(0.2, 0.3),
    confidence=0.5,
)


class Draw(NamedTuple):
    """A reference set and what is decided with it.

    parts : (n,) of the reference items, or None; weights : (q,) of the queries that are normal, 0 of anomalies."""

    seed: int
    reference: np.ndarray
    queries: np.ndarray
    weights: np.ndarray
    parts: np.ndarray | None = None


# Of anomalies found and of normal items flagged.
Shares = tuple[float, float]

# By method, for each draw, at each rate; None where it is refused.
Figures = dict[str, list[list[Shares | None]]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print own rates beside what is expected, then detections."""
    flags = {"--nonconform": {"metavar": "PYTHON", "help": "of an environment with nonconform and PyOD"}}
    run = begin(__doc__, arguments, Sizes(), SMALLEST, flags)
    report = run.report("confidence")
    say_own_rates(report, run.sizes)
    say_rivals(report, run)
    report.say(
        "\nIn %: anomalies found, held-out normal items flagged (own rate), and models seen above the rate asked for;"
    )
    report.say("means over tables, with standard errors over draws")
    for size in run.sizes.references:
        say_tables(report, run, size)
    say_tiles(report, run)
    report.save()


def say_own_rates(report: Report, sizes: Sizes) -> None:
    """Print the share of models whose own rate exceeds the rate asked for."""
    rate, confidence = sizes.rates[0], sizes.confidence
    report.say(f"{sizes.models} models, confidence={confidence}, false_alarm_rate={rate}, k = 2, n = 2 m numbers:")
    report.say("share whose own rate, computed exactly, exceeds it; beside it that of Beta(j, m + 1 - j), and that of")
    report.say(f"{sizes.averages} models without a confidence; and the mean of the own rates")
    report.say(f"  {'numbers':<12} {'m':<6} {'j':<4} {'expected':<9} {'share +- s.e.':<18} {'in s.e.':<8} own rate")
    for name in DISTRIBUTIONS:
        for m in sizes.calibrating:
            own = own_rates(name, m, sizes.models, rate, confidence)
            plain = own_rates(name, m, sizes.averages, rate, None)
            ranks = np.arange(1, m + 1)
            j = int(ranks[beta.ppf(confidence, ranks, m + 1 - ranks) <= rate].max())
            expected = float(beta.sf(rate, j, m + 1 - j))
            error = math.sqrt(expected * (1 - expected) / len(own))
            share = float((own > rate).mean())
            report.say(
                f"  {name:<12} {m:<6} {j:<4} {expected:<9.4f} {f'{share:.4f} +- {error:.4f}':<18} "
                f"{(share - expected) / error:<+8.1f} {own.mean():.4f}; without: {(plain > rate).mean():.2f}, "
                f"{plain.mean():.4f}"
            )
            report.claim(abs(share - expected) <= 3 * error, "the share is not that of the Beta distribution")


def say_rivals(report: Report, run: Run[Sizes]) -> None:
    """Say which rivals there are, and how to have them."""
    if run.options.nonconform is None:
        report.say("\nnonconform and PyOD are left out; to have them, give --nonconform rivals/bin/python after")
        report.say("python3.12 -m venv rivals && rivals/bin/pip install nonconform pyod")
        return
    report.say(
        f"\n{run_rivals(run.options.nonconform)}, kNN with k = 2 and the mean distance, a random half calibrates"
    )
    for rate in run.sizes.rates:
        report.say(
            f"at {rate} dn2 needs {sample_needed(rate, run.sizes.confidence):,} calibrating items for this confidence, "
            f"nonconform's certificate, for all rates at once, {items_for_certificate(rate, run.sizes.confidence):,}"
        )


def say_tables(report: Report, run: Run[Sizes], size: int) -> None:
    """Print detections on the tables that have enough rows for reference sets of some size."""
    with open(run.need(f"{FOLDER}/list.csv"), newline="") as file:
        rows = {row["file"]: int(row["n"]) - int(row["anomalies"]) for row in csv.DictReader(file)}
    names = sorted(rows, key=rows.__getitem__, reverse=True)[: run.sizes.tables]
    draws: dict[str, list[Draw]] = {}
    for name in names:
        with np.load(run.need(f"{FOLDER}/{name}"), allow_pickle=False) as data:
            table, truth = data["X"].astype(np.float64), data["y"] == 1
        enough = rows[name] - min(rows[name] // 10, MOST_SCALING) >= size + size // 8
        if enough and (size <= LARGE or table.shape[1] <= NARROW):
            of_table = [draw_table(table, truth, size, run.sizes.queries, seed) for seed in range(run.sizes.draws)]
            draws[name.removesuffix(".npz")] = of_table
    report.say(f"\n{len(draws)} tables, {size:,} reference items, half of which calibrate (at most 10,000 in dn2):")
    if size > LARGE:
        report.say(
            f"those of at least {size + size // 8:,} normal rows and at most {NARROW} columns, for the rivals' sake"
        )
    figures = measure(run, draws)
    say_figures(report, run.sizes, list(figures.values()))
    if size == max(one for one in run.sizes.references if one <= LARGE):
        say_each(report, run.sizes, figures)


def draw_table(table: np.ndarray, truth: np.ndarray, size: int, most: int, seed: int) -> Draw:
    """Draw a reference set, up to `most` other normal rows, and as many anomalies; others than these scale columns."""
    rng = np.random.default_rng(seed)
    normal, anomalous = rng.permutation(np.flatnonzero(~truth)), rng.permutation(np.flatnonzero(truth))
    scaling = min(len(normal) // 10, MOST_SCALING)
    scaled = StandardScaler().fit(table[normal[:scaling]]).transform
    asked = np.concatenate([normal[scaling + size :][:most], anomalous[:most]])
    reference, queries = (scaled(table[some]).astype(np.float32) for some in (normal[scaling:][:size], asked))
    return Draw(seed, reference, queries, (~truth[asked]).astype(float))


def say_tiles(report: Report, run: Run[Sizes]) -> None:
    """Print detections on magnetic tiles, by photo and by part."""
    sizes = run.sizes
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        embedder = ImageEmbedder(sizes.backbone, cache=Cache())
        vectors = normalize(embedder.transform([folder / row["image"] for row in rows]), "root-unit")
    tiles, truth = np.array([row["tile_group"] for row in rows]), np.array([row["label"] == "1" for row in rows])
    good = np.unique(tiles[~truth])
    draws: dict[str, list[Draw]] = {"by photo": [], "by part": []}
    for seed in range(sizes.tile_draws):
        known = np.isin(tiles, np.random.default_rng(seed).permutation(good)[: sizes.tiles])
        reference, asked = ~truth & known, truth | ~known
        names, places = np.unique(tiles[asked], return_inverse=True)
        normal = np.bincount(places, ~truth[asked], len(names))
        weights = np.where(truth[asked], 0, 1 / np.maximum(1, normal[places]))
        draws["by photo"].append(Draw(seed, vectors[reference], vectors[asked], weights))
        draws["by part"].append(draws["by photo"][-1]._replace(parts=tiles[reference]))
    photos = np.mean([len(draw.reference) for draw in draws["by photo"]])
    report.say(
        f"\nMagnetic tiles, {sizes.backbone}: about {photos:.0f} photos of {sizes.tiles} tiles are the reference set,"
    )
    report.say(
        f"the other tiles and all defective ones are queries; {sizes.tile_draws} draws, alarms averaged within tiles"
    )
    for reading, figures in measure(run, draws).items():
        report.say(f"\n{reading}:")
        say_figures(report, sizes, [figures])


def measure(run: Run[Sizes], draws: dict[str, list[Draw]]) -> dict[str, Figures]:
    """Decide about the queries of the draws from each set by each method."""
    decided = ask_rivals(run, draws) if run.options.nonconform else {}
    figures: dict[str, Figures] = {}
    for name, of_set in draws.items():
        figures[name] = {DN2[0]: [on_average(run.sizes, draw) for draw in of_set]}
        figures[name][DN2[1]] = [with_confidence(run.sizes, draw) for draw in of_set]
        for rival in (*CERTIFICATES, *THRESHOLDS) if decided else ():
            flags = [decided[f"{name}/{draw.seed}/{rival}"] for draw in of_set]
            figures[name][rival] = [
                [shares(draw, one) for one in by_rate] for draw, by_rate in zip(of_set, flags, strict=True)
            ]
    return figures


def on_average(sizes: Sizes, draw: Draw) -> list[Shares | None]:
    """Decide by dn2 with the guarantee that holds on average over models, at each rate."""
    p_values = KNNDetector(2, seed=draw.seed).fit(draw.reference, parts=draw.parts).p_value(draw.queries)
    return [shares(draw, p_values <= rate) for rate in sizes.rates]


def with_confidence(sizes: Sizes, draw: Draw) -> list[Shares | None]:
    """Decide by dn2 with a confidence, a model for each rate."""
    detectors = (confident(sizes, draw, rate) for rate in sizes.rates)
    return [None if one is None else shares(draw, one.predict(draw.queries) == -1) for one in detectors]


def confident(sizes: Sizes, draw: Draw, rate: float) -> KNNDetector | None:
    """Fit with a confidence; None where so few items do not attain the rate."""
    detector = KNNDetector(2, confidence=sizes.confidence, false_alarm_rate=rate, seed=draw.seed)
    try:
        return detector.fit(draw.reference, parts=draw.parts)
    except ReferenceTooSmall:
        return None


def shares(draw: Draw, flags: np.ndarray) -> Shares:
    """Return the share of the anomalies that are flagged, and of the normal queries, as these weigh."""
    return float(flags[draw.weights == 0].mean()), float((flags * draw.weights).sum() / draw.weights.sum())


def run_rivals(python: str, *files: str) -> str:
    """Run the rivals in their environment, and return what they print."""
    script = Path(__file__).with_name("confidence_rivals.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([python, str(script), *files], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def task_of(sizes: Sizes, draw: Draw) -> dict[str, Any]:
    """Say what the rivals decide: one item of each part that calibrates dn2 at the last rate calibrates them, too."""
    members, of_parts = np.empty(0, np.int64), np.empty(0)
    if draw.parts is not None and (detector := confident(sizes, draw, sizes.rates[-1])) is not None:
        members = np.random.default_rng(draw.seed).permutation(detector.detector_.leave_one_out.members)
        of_parts = draw.parts[members]
    return {
        "reference": draw.reference,
        "queries": draw.queries,
        "fit": np.delete(np.arange(len(draw.reference)), members),
        "calibrate": members[np.unique(of_parts, return_index=True)[1]],
        "seed": draw.seed,
    }


def ask_rivals(run: Run[Sizes], draws: dict[str, list[Draw]]) -> dict[str, np.ndarray]:
    """Let the rivals decide."""
    tasks: dict[str, Any] = {"rates": run.sizes.rates, "confidence": run.sizes.confidence}
    for name, of_set in draws.items():
        for draw in of_set:
            tasks |= {f"{name}/{draw.seed}/{key}": value for key, value in task_of(run.sizes, draw).items()}
    with tempfile.TemporaryDirectory() as folder:
        given, decided = f"{folder}/tasks.npz", f"{folder}/decisions.npz"
        np.savez(given, **tasks)
        run_rivals(run.options.nonconform, given, decided)
        with np.load(decided, allow_pickle=False) as data:
            return dict(data)


def say_figures(report: Report, sizes: Sizes, sets: Sequence[Figures]) -> None:
    """Print the share found and the own rate of each method, over some sets, in %, with standard errors over draws."""
    heads = "".join(f"{f'at {rate}: found':<16}{'own rate':<16}{'above':<7}" for rate in sizes.rates)
    report.say(f"  {'':<38}{'bounds':<23}{heads}".rstrip())
    for name in sets[0]:
        cells = "".join(cell(sets, name, place, rate) for place, rate in enumerate(sizes.rates))
        report.say(f"  {name:<38}{PROMISES[name]:<23}{cells}".rstrip())


def cell(sets: Sequence[Figures], name: str, place: int, rate: float) -> str:
    """Write the share found, the own rate, and how many models are seen above the rate, of a method at a rate."""
    found = [draw[place] for figures in sets for draw in figures[name]]
    if None in found:
        return f"{'refused: too few':<39}"
    own = np.array([one[1] for one in found if one is not None])
    words = [mean([figures[name] for figures in sets], place, which) for which in (0, 1)]
    return f"{words[0]:<16}{words[1]:<16}{100 * (own > rate).mean():<7.0f}"


def mean(sets: Sequence[list[list[Shares | None]]], place: int, which: int) -> str:
    """Average a figure over sets and then over draws, in %."""
    found = ((seed, draw[place]) for draws in sets for seed, draw in enumerate(draws))
    averaged = mean_over_seeds((seed, one[which]) for seed, one in found if one is not None)
    assert averaged is not None
    return f"{100 * averaged.value:.2f} +- {100 * (averaged.error or 0):.2f}"


def say_each(report: Report, sizes: Sizes, figures: dict[str, Figures]) -> None:
    """Print the share of the anomalies found by some methods in each table."""
    names = [
        name for name in (*DN2, CERTIFICATES[1], CERTIFICATES[3], THRESHOLDS[1]) if name in next(iter(figures.values()))
    ]
    for place, rate in enumerate(sizes.rates):
        report.say(f"\n  found in each at {rate}, %: {'; '.join(names)}")
        for table, of_table in figures.items():
            cells = (mean([of_table[name]], place, 0) for name in names)
            report.say(f"  {table:<20} " + "".join(f"{word:<18}" for word in cells).rstrip())


if __name__ == "__main__":
    main()

"""What breaks exchangeability: how often it is suspected where it does not break, and where it does; parts proposed.

Run: python benchmarks/suspicion.py

Thresholds were chosen on the training pictures of CIFAR-10 and MNIST, ADBench sets of even number and every second
intent of CLINC150, and on views and scenes made of these; all figures here are of the others.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from sklearn.metrics import adjusted_rand_score, euclidean_distances

from common import CIFAR10, Report, Run, begin, prepare_torch, timed
from dn2 import Cache, ImageEmbedder, TextEmbedder
from dn2.arrays import Vectors
from dn2.inputs.part_names import orders_of
from dn2.neighbors.detector import Detector
from dn2.neighbors.prepare.normalize import normalize
from dn2.neighbors.proposal import propose_parts
from dn2.neighbors.shift import find_shift
from dn2.neighbors.steps import Scale, Steps
from dn2.neighbors.suspicion import Suspicion
from dn2.networks.sentences import is_installed

RATES = (0.02, 0.05, 0.1, 0.2)
DETECTORS = ("copies", "clusters", "order")
Draw = tuple[str, Vectors, Steps]

IMAGES, TABLE = Steps(2), Steps(2, scale=Scale())


@dataclass(frozen=True)
class Sizes:
    """How much is measured: draws of each source; sets of views and scenes; tiles of a reference set, and draws of
    them; rows and dimension of the fit whose time is compared."""

    backbone: str = "lite0"
    draws: int = 50
    sets: int = 10
    tiles: int = 80
    tile_draws: int = 20
    rows: int = 20_000
    dimension: int = 256


SMALLEST = Sizes("lite0@32", draws=1, sets=1, tiles=3, tile_draws=1, rows=300, dimension=8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how often each detector fires, the parts proposed for magnetic tiles, and what they are worth."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    prepare_torch()
    report, embedder = run.report("suspicion"), ImageEmbedder(run.sizes.backbone, cache=Cache())
    pictures = read_pictures(run)
    random_draws(run, report, pictures, embedder)
    parts(run, report, pictures, embedder)
    tiles(run, report, embedder)
    batches(run, report)
    cost(run, report)
    report.save()


def look(rows: Vectors, steps: Steps = IMAGES, names: Sequence[str] = ()) -> Suspicion:
    """Look at rows in their order, and in those that names tell."""
    orders = orders_of(names) if len(names) else [np.arange(len(rows))]
    return Detector.fit(steps, rows.astype(np.float32)).suspicion(orders)


def read_pictures(run: Run[Sizes]) -> dict[str, list[tuple[str, Any]]]:
    """Read test pictures, of each source with their classes."""
    with run.unpacked(CIFAR10) as folder:
        paths = sorted((folder / "test").rglob("*.png"))[:: 1 if run.smallest else 2]
        cifar = [(path.parent.name, np.asarray(Image.open(path).convert("RGB"))) for path in paths]
    with np.load(run.need("mnist/mnist.npz")) as arrays:
        step = 1 if run.smallest else 4
        digits = zip(arrays["y_test"][::step].tolist(), arrays["x_test"][::step], strict=True)
        return {"CIFAR-10": cifar, "MNIST": [(str(digit), picture) for digit, picture in digits]}


def random_draws(run: Run[Sizes], report: Report, pictures: dict[str, Any], embedder: ImageEmbedder) -> None:
    """Print how many random draws each detector fires on: by turns of all classes and of one."""
    fired, total = Counter[str](), Counter[str]()
    sets = Counter[str]()
    for name, rows, steps in drawn(run, pictures, embedder):
        total[name] += 1
        found = [finding.name for finding in look(rows, steps).findings]
        fired.update((name, one) for one in found)  # type: ignore[arg-type]
        sets[name] += bool(found)
    report.say(f"{total.total()} random draws of 60 to 1,000 items, by turns of all classes and of one: fires on")
    report.say(f"  {'':<12}{'draws':>8}{'any':>8}" + "".join(f"{one:>10}" for one in DETECTORS))
    for name, count in total.items():
        by_detector = "".join(f"{fired[name, one]:>10}" for one in DETECTORS)  # type: ignore[index]
        report.say(f"  {name:<12}{count:>8}{sets[name]:>8}{by_detector}")
    report.say(f"In all on {sets.total()} of {total.total()}.")
    report.claim(sets.total() <= total.total() / 40, "more than 5 of 200 draws are suspected")


def drawn(run: Run[Sizes], pictures: dict[str, Any], embedder: ImageEmbedder) -> Iterator[Draw]:
    """Draw random sets of rows."""
    sources: dict[str, tuple[Vectors, Any]] = {}
    for name, known in pictures.items():
        vectors = normalize(embedder.transform([picture for _, picture in known]), "root-unit")
        sources[name] = (vectors, np.array([label for label, _ in known]))
    texts = [json.loads(line) for line in run.need("text/clinc150_full.jsonl").read_text("utf-8").splitlines()]
    others = sorted({record["intent"] for record in texts})[0 if run.smallest else 1 :: 2]
    texts = [record for record in texts if record["intent"] in others]
    text_embedder = TextEmbedder("minilm+characters" if is_installed() else "characters", cache=Cache())
    vectors = text_embedder.transform([record["text"] for record in texts])
    sources["CLINC150"] = (vectors, np.array([record["intent"] for record in texts]))
    rng = np.random.default_rng(0)
    for name, (vectors, labels) in sources.items():
        for number in range(run.sizes.draws):
            some = np.flatnonzero(labels == rng.choice(np.unique(labels))) if number % 2 else np.arange(len(labels))
            yield name, vectors[rng.permutation(some)[: rng.integers(60, 1001)]], IMAGES
    tables = list(read_tables(run, odd=True))
    for number in range(run.sizes.draws):
        rows = tables[number % len(tables)]
        yield "ADBench", rows[rng.permutation(len(rows))[: rng.integers(60, 1001)]], TABLE


def read_tables(run: Run[Sizes], odd: bool) -> Iterator[Vectors]:
    """Read the normal rows of ADBench sets of odd or even number."""
    with open(run.need("tabular_adbench/list.csv"), newline="") as file:
        names = [row["file"].removesuffix(".npz") for row in csv.DictReader(file)]
    for name in names:
        if int(name.partition("_")[0]) % 2 == odd or run.smallest:
            with np.load(run.need(f"tabular_adbench/{name}.npz")) as arrays:
                yield arrays["X"][arrays["y"].ravel() == 0].astype(np.float64)


def parts(run: Run[Sizes], report: Report, pictures: dict[str, Any], embedder: ImageEmbedder) -> None:
    """Print how many sets with parts each detector fires on, in order and shuffled."""
    report.say(f"\n{run.sizes.sets} sets with parts of each kind, some 300 items, in order and shuffled: fires on")
    report.say(f"  {'':<50}{'in order':>10}{'shuffled':>10}")
    for name, make in kinds_of_parts(run, pictures, embedder).items():
        counts = Counter[str]()
        for seed in range(run.sizes.sets):
            rng = np.random.default_rng(seed)
            rows, steps = make(rng)
            counts["in order"] += bool(look(rows, steps).findings)
            counts["shuffled"] += bool(look(rows[rng.permutation(len(rows))], steps).findings)
        report.say(f"  {name:<50}{counts['in order']:>10}{counts['shuffled']:>10}")


def kinds_of_parts(
    run: Run[Sizes], pictures: dict[str, Any], embedder: ImageEmbedder
) -> dict[str, Callable[[np.random.Generator], tuple[Vectors, Steps]]]:
    """Return what makes sets with parts."""
    tables = [rows for rows in read_tables(run, odd=True) if len(rows) >= 100 or run.smallest]

    def scenes(sizes: Callable[[np.random.Generator], Any], noise: float) -> Any:
        return lambda rng: (repeated(rng, rng.normal(size=(400, 8)), sizes(rng), noise), IMAGES)

    def views(source: str, strength: float) -> Any:
        def make(rng: np.random.Generator) -> tuple[Vectors, Steps]:
            chosen = [pictures[source][place][1] for place in rng.permutation(len(pictures[source]))[:50]]
            seen = [vary(rng, picture, strength) for picture in chosen for _ in range(6)]
            return normalize(embedder.transform(seen), "root-unit"), IMAGES

        return make

    def units(noise: float) -> Any:
        def make(rng: np.random.Generator) -> tuple[Vectors, Steps]:
            rows = tables[rng.integers(len(tables))]
            chosen = rows[rng.permutation(len(rows))[:75]]
            return repeated(rng, chosen, [4] * len(chosen), noise * rows.std(axis=0)), TABLE

        return make

    def customers(rng: np.random.Generator) -> tuple[Vectors, Steps]:
        sizes = rng.integers(5, 21, size=25)
        return repeated(rng, 2 * rng.normal(size=(25, 6)), sizes, 0.6), TABLE

    def video(rng: np.random.Generator) -> tuple[Vectors, Steps]:
        return rng.normal(size=(300, 16)).cumsum(axis=0), IMAGES

    return {
        "scenes, 5 frames each, noise 0.02": scenes(lambda rng: [5] * 60, 0.02),
        "scenes, 5 frames each, noise 0.3": scenes(lambda rng: [5] * 60, 0.3),
        "scenes, 2 to 30 frames each, noise 0.1": scenes(lambda rng: rng.integers(2, 31, size=25), 0.1),
        "all twice, noise 0.02": scenes(lambda rng: [2] * 150, 0.02),
        "two in five twice, noise 0.02": scenes(lambda rng: [2] * 60 + [1] * 180, 0.02),
        "CIFAR-10, 6 views, turned and lit a little": views("CIFAR-10", 0.3),
        "CIFAR-10, 6 views, turned and lit much": views("CIFAR-10", 1.0),
        "MNIST, 6 views, turned and lit much": views("MNIST", 1.0),
        "ADBench, 4 measurements of a unit, noise 0.03": units(0.03),
        "ADBench, 4 measurements of a unit, noise 0.2": units(0.2),
        "a log, one customer a day": customers,
        "a video without cuts": video,
    }


def repeated(rng: np.random.Generator, centres: Vectors, sizes: Any, noise: Any) -> Vectors:
    """Repeat the first rows so many times each, with noise."""
    rows = np.repeat(centres[: len(sizes)], sizes, axis=0)
    return np.asarray(rows + noise * rng.normal(size=rows.shape))


def vary(rng: np.random.Generator, picture: Any, strength: float) -> Any:
    """Turn a picture and change its light."""
    turned = Image.fromarray(picture).rotate(rng.uniform(-20, 20) * strength, Image.Resampling.BICUBIC)
    lit = ImageEnhance.Brightness(turned).enhance(1 + rng.uniform(-0.5, 0.5) * strength)
    return np.asarray(ImageEnhance.Contrast(lit).enhance(1 + rng.uniform(-0.3, 0.3) * strength))


def tiles(run: Run[Sizes], report: Report, embedder: ImageEmbedder) -> None:
    """Print what is found in magnetic tiles, how the parts proposed agree with the true ones, and the rates got."""
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        good = [row for row in csv.DictReader(file) if row["label"] == "0"]
    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        vectors = normalize(embedder.transform([folder / row["image"] for row in good]), "root-unit")
    names, truth = [row["image"] for row in good], np.array([row["tile_group"] for row in good])
    train = np.array([row["split"] == "train" for row in good])
    say_found(report, "magnetic tiles, train", look(vectors[train], names=np.array(names)[train].tolist()))
    say_found(report, "magnetic tiles, train, without names", look(vectors[train]))
    one_each = np.sort(np.unique(truth, return_index=True)[1])
    say_found(
        report, "magnetic tiles, one photo each", look(vectors[one_each], names=np.array(names)[one_each].tolist())
    )
    rates: dict[str, list[Any]] = {"by photo": [], "by parts proposed": [], "by parts proposed, no names": []}
    rates["by parts of split.csv"] = []
    agreement = []
    for seed in range(run.sizes.tile_draws):
        chosen = np.isin(truth, np.random.default_rng(seed).permutation(np.unique(truth))[: run.sizes.tiles])
        reference, queries = vectors[chosen], vectors[~chosen]
        orders = orders_of(np.array(names)[chosen].tolist())
        detector = Detector.fit(IMAGES, reference)
        proposed = [propose_parts(detector.reference, detector.suspicion(told), told) for told in (orders, orders[:1])]
        agreement.append([adjusted_rand_score(truth[chosen], labels) for labels in proposed])
        labelings = [np.arange(len(reference)), *proposed, np.unique(truth[chosen], return_inverse=True)[1]]
        for of_way, labels in zip(rates.values(), labelings, strict=True):
            of_way.append(flagged_by_parts(reference, labels, queries, truth[~chosen]))
    named, unnamed = np.mean(agreement, axis=0)
    report.say(
        f"\n{run.sizes.tile_draws} draws of {run.sizes.tiles} tiles as the reference set: parts proposed agree with"
    )
    report.say(
        f"split.csv to {named:.2f} (adjusted Rand index), without names {unnamed:.2f}; photos of other tiles flagged,"
    )
    report.say("mean over these tiles:")
    report.say(f"  {'':<30}" + "".join(f"{f'asked {rate}':>12}" for rate in RATES))
    for way, got in rates.items():
        report.say(f"  {way:<30}" + "".join(f"{rate:>12.3f}" for rate in np.mean(got, axis=0)))


def flagged_by_parts(reference: Vectors, parts: Any, queries: Vectors, parts_of_queries: Any) -> list[float]:
    """Return the share of queries flagged at each rate, averaged within their parts first.

    p = (1 + sum over parts of mean over items of 1{s_i >= s}) / (parts + 1), where s_i leaves the part of item i out.
    Source: Dunn, Wasserman, Ramdas, "Distribution-free prediction sets for two-layer hierarchical models", 2022."""
    inside = euclidean_distances(reference, squared=True)
    inside[parts[:, None] == parts] = np.inf
    scores = np.sort(inside, axis=1)[:, :2].mean(axis=1)
    weights = 1 / np.bincount(parts)[parts]
    of_queries = np.sort(euclidean_distances(queries, reference, squared=True), axis=1)[:, :2].mean(axis=1)
    at_least = (scores >= of_queries[:, None]) @ weights
    p_values = (1 + at_least) / (len(np.unique(parts)) + 1)
    _, which, counts = np.unique(parts_of_queries, return_inverse=True, return_counts=True)
    return [float(((p_values <= rate) / counts[which]).sum() / len(counts)) for rate in RATES]


def say_found(report: Report, what: str, suspicion: Suspicion) -> None:
    """Print the findings of one set."""
    found = ", ".join(f"{one.name} {one.share:.2f} (size {one.size})" for one in suspicion.findings)
    report.say(f"{what}: {found or 'nothing'}")


def batches(run: Run[Sizes], report: Report) -> None:
    """Print how often a batch is said to be far out as a whole."""
    report.say("\nBatches of 200, Gaussian, 8 numbers, 300 reference items: said to be far out as a whole, of 100")
    for name, share, distance, moved in (
        ("normal", 0.0, 0.0, 0.0),
        ("3 in 10 anomalous, by 1.5", 0.3, 1.5, 0.0),
        ("3 in 10 anomalous, by 6", 0.3, 6.0, 0.0),
        ("all moved by 0.5 in each number", 0.0, 0.0, 0.5),
        ("all moved by 1 in each number", 0.0, 0.0, 1.0),
    ):
        count = 0
        for seed in range(2 * run.sizes.draws):
            rng = np.random.default_rng(seed)
            detector = Detector.fit(IMAGES, rng.normal(size=(300, 8)))
            batch = rng.normal(size=(200, 8)) + moved
            batch[: int(share * 200)] += distance
            count += find_shift(detector.p_value(batch), 300) is not None
        report.say(f"  {name:<36}{count:>6}")


def cost(run: Run[Sizes], report: Report) -> None:
    """Print what looking costs beside a fit."""
    rows = np.random.default_rng(0).normal(size=(run.sizes.rows, run.sizes.dimension))
    fitting, detector = timed(lambda: Detector.fit(IMAGES, rows))
    looking, _ = timed(lambda: detector.suspicion([np.arange(len(rows))]))
    report.say(
        f"\n{run.sizes.rows:,} rows of {run.sizes.dimension} numbers: fit {fitting:.2f} s, looking {looking:.2f} s, "
        f"{looking / fitting:.0%} of it"
    )


if __name__ == "__main__":
    main()

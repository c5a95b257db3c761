"""What lifts accuracy and what does not, measured on CIFAR-10's training pictures alone.

Run: python benchmarks/levers.py

Mean ROC AUC in %, by number of neighbours: one class against nine and, in the last column, nine against one.  The first
1,000 training pictures of a class are the references, the last 250 of each are the queries.  The presets were chosen on
such tables, of 2,000 references; their test results are in `presets.txt`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from common import CIFAR10, Report, begin
from dn2.kinds.image.pipeline import ImagePipeline
from dn2.neighbors.prepare.normalize import normalize
from dn2.networks import lite
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone

NEIGHBORS = (1, 2, 5, 10, 20)
NEIGHBORS_OF_SEVERAL = 10
INPUTS = {"lite0": (160, 176, 192, 224, 256), "lite1": (160, 192, 240), "lite2": (160, 192, 208, 260, 320)}
CHOSEN = ("lite1", "lite2@192", "lite2")
POSTERIORS = tuple((temperature, share) for temperature in (1.0, 1.3, 1.6, 2.0) for share in (0.35, 0.7, 1.0))

Vectors = np.ndarray


@dataclass(frozen=True)
class Sizes:
    """How much is measured: classes, and pictures of each.

    inputs : sizes of pictures by network.  plain : the network that filters and normalisations are tried on.
    classified : those whose classifier is; posteriors : at which temperatures and shares; outputs : its first classes
    whose weights are a metric.
    chosen, joins : those that are joined."""

    classes: int = 10
    references: int = 1_000
    queries: int = 250
    plain: tuple[str, int] = ("lite0", 224)
    inputs: dict[str, tuple[int, ...]] = field(default_factory=lambda: INPUTS)
    classified: tuple[str, ...] = ("lite0", "lite0@176", "lite2")
    posteriors: tuple[tuple[float, float], ...] = POSTERIORS
    outputs: int = 1_000
    chosen: tuple[str, ...] = CHOSEN
    joins: tuple[tuple[str, ...], ...] = (
        ("lite0", "lite2"),
        ("lite1", "lite2"),
        ("lite2@192", "lite2"),
        ("lite0", "lite2@192", "lite2"),
        CHOSEN,
        ("lite1@192", "lite1", "lite2@192", "lite2"),
        ("lite1", "lite2@192", "lite2", "lite2@320"),
    )


SMALL_JOIN = ("lite0@32", "lite0@48")
SMALLEST = Sizes(
    classes=3,
    references=21,  # one more than the most neighbours
    queries=3,
    plain=("lite0", 32),
    inputs={"lite0": (32, 48)},
    classified=("lite0@32",),
    posteriors=((1.3, 0.7),),
    outputs=20,
    chosen=SMALL_JOIN,
    joins=(SMALL_JOIN,),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each lever."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("levers")
    say_heads(report)
    with run.unpacked(CIFAR10) as folder:
        classes = [sorted(one.iterdir()) for one in sorted((folder / "train").iterdir())[: sizes.classes]]
        table = Table(report, sizes.references, sizes.queries, classes)
        features = {
            called(name, size): table.embed(name, size) for name, inputs in sizes.inputs.items() for size in inputs
        }
        filters(table, *sizes.plain)
    plain = called(*sizes.plain)
    normalizations(table, plain, features[plain])
    for name, rows in features.items():
        table.say(f"{name}, root-unit", normalize(rows, "root-unit"))
    posteriors(table, features, sizes)
    joins(table, features, sizes)
    report.save()


def called(network: str, size: int) -> str:
    """Name a network with its input size, unless that is its own."""
    return network if size == lite.SPECS[network].size else f"{network}@{size}"


def say_heads(report: Report) -> None:
    """Print what the columns of a `Table` are."""
    heads = "".join(f"{'k = ' + str(k):>9}" for k in NEIGHBORS) + f"{'nine, ' + str(NEIGHBORS_OF_SEVERAL):>10}"
    report.say(f"{'':<62}{heads}")


class Table:
    """Embeds the chosen pictures and prints ROC AUC by number of neighbours."""

    def __init__(self, report: Report, references: int, queries: int, classes: Sequence[Sequence[Path]]) -> None:
        self.report = report
        self.paths = [path for one in classes for path in (*one[:references], *one[-queries:])]
        per_class = references + queries
        self.labels = np.repeat(np.arange(len(classes)), per_class)
        self.is_query = np.tile(np.arange(per_class) >= references, len(classes))

    def embed(self, name: str, size: int, interpolation: str = "bicubic") -> Vectors:
        """Embed all pictures, (n, d), before any normalisation."""
        backbone = get_backbone(f"{name}@{size}")
        prepared = replace(backbone, preprocessing=replace(backbone.preprocessing, interpolation=interpolation))
        return np.stack([one.vector for one in ImagePipeline([Network(prepared)]).embed(self.paths)])

    def say(
        self, what: str, rows: Vectors, learn: Callable[[Vectors], Callable[[Vectors], Vectors]] | None = None
    ) -> None:
        """Print a line; learn : makes, of the references of a class, what is applied to all rows."""
        queries, truth = rows[self.is_query], self.labels[self.is_query]
        names = np.unique(self.labels)

        def nearest(chosen: np.ndarray) -> Vectors:
            reference = rows[~self.is_query & chosen]
            change = learn(reference) if learn else np.asarray
            near = squared_distances(change(queries), change(reference))
            return np.sort(np.partition(near, NEIGHBORS[-1], axis=1)[:, : NEIGHBORS[-1]], axis=1)

        alone = [nearest(self.labels == c) for c in names]
        one = np.mean([[auc(truth != c, alone[c], k) for k in NEIGHBORS] for c in names], axis=0)
        if learn is None:
            others = [np.sort(np.concatenate([*alone[:c], *alone[c + 1 :]], axis=1), axis=1) for c in names]
        else:  # distances in the whitenings of two classes do not compare
            others = [nearest(self.labels != c) for c in names]
        several = np.mean([auc(truth == c, others[c], NEIGHBORS_OF_SEVERAL) for c in names])
        self.report.say(f"{what:<62}" + "".join(f"{value:9.2f}" for value in one) + f"{several:10.2f}")


def auc(truth: np.ndarray, near: Vectors, k: int) -> float:
    """Return the ROC AUC in % of the mean of the k nearest distances."""
    return 100 * float(roc_auc_score(truth, near[:, :k].mean(axis=1)))


def squared_distances(queries: Vectors, reference: Vectors) -> Vectors:
    """Return all squared distances, (n_queries, n)."""
    lengths = (queries**2).sum(axis=1)[:, None] + (reference**2).sum(axis=1)
    return lengths - 2 * queries @ reference.T


def normalizations(table: Table, name: str, plain: Vectors) -> None:
    """Powers of the features."""
    table.say(f"{name}, plain", plain)
    table.say(f"{name}, unit", normalize(plain, "unit"))
    for power in (0.3, 0.4, 0.6, 0.7):
        table.say(f"{name}, power {power}, then unit", normalize(plain**power, "unit"))


def posteriors(table: Table, features: dict[str, Vectors], sizes: Sizes) -> None:
    """The classifier's probabilities beside the features, and its weights as a metric."""
    plain = called(*sizes.plain)
    table.say(f"{plain}, probabilities alone, T = 1.3", np.sqrt(probabilities(features, plain, 1.3)))
    for name in sizes.classified:
        for temperature, share in sizes.posteriors:
            rows = joined(features, [name], temperature, share)
            table.say(f"{name}, probabilities T = {temperature}, share {share}", rows)
    weights = lite.read_checkpoint(lite.SPECS[plain.split("@")[0]])["_fc.weight"][: sizes.outputs]
    _, singular, directions = np.linalg.svd(weights - weights.mean(axis=0), full_matrices=False)
    for power in (0.25, 0.5, 1):
        metric = directions.T * (singular / singular.mean()) ** power
        rows = normalize(features[plain], "root-unit") @ metric
        table.say(f"{plain}, seen through the classifier's weights, power {power}", rows)


def joins(table: Table, features: dict[str, Vectors], sizes: Sizes) -> None:
    """Networks joined: their features alone, and with the mean of their probabilities."""
    for names in sizes.joins:
        what = " + ".join(names)
        table.say(what, joined(features, names))
        table.say(f"{what}, mean probabilities", joined(features, names, lite.TEMPERATURE, lite.POSTERIOR_SHARE))
    chosen = sizes.chosen
    for temperature, share in sizes.posteriors:
        rows = joined(features, chosen, temperature, share)
        table.say(f"{' + '.join(chosen)}, T = {temperature}, share {share}", rows)
    apart = [joined(features, [name], lite.TEMPERATURE, lite.POSTERIOR_SHARE) for name in chosen]
    table.say(f"{' + '.join(chosen)}, each with its own probabilities", np.concatenate(apart, axis=1))


def joined(
    features: dict[str, Vectors], names: Sequence[str], temperature: float | None = None, share: float = 0
) -> Vectors:
    """Put root-unit features side by side, those of one network averaged, and beside them the mean of the
    probabilities at a temperature, if any."""
    networks: dict[str, list[Vectors]] = {}
    for name in names:
        shares = features[name] / features[name].sum(axis=1, keepdims=True)
        networks.setdefault(name.split("@")[0], []).append(shares)
    parts = [np.sqrt(np.mean(sizes, axis=0)) for sizes in networks.values()]
    if temperature is not None:
        mean = np.mean([probabilities(features, name, temperature) for name in names], axis=0)
        parts.append(np.sqrt(share * len(networks) * mean))
    return np.concatenate(parts, axis=1).astype(np.float32)


def probabilities(features: dict[str, Vectors], name: str, temperature: float) -> Vectors:
    """Return what the network's classifier makes of its features, (n, classes)."""
    weights = lite.read_checkpoint(lite.SPECS[name.split("@")[0]])
    logits = features[name] @ weights["_fc.weight"].T + weights["_fc.bias"]
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def filters(table: Table, name: str, size: int) -> None:
    """The filter that scales pictures to the network's input."""
    for interpolation in ("bilinear", "lanczos"):
        rows = normalize(table.embed(name, size, interpolation), "root-unit")
        table.say(f"{called(name, size)}, root-unit, {interpolation} instead of bicubic", rows)


if __name__ == "__main__":
    main()

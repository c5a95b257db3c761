"""CIFAR-10 one class at a time: ROC AUC by backbone and feature normalisation, k = 2, whole test set.

Run: python benchmarks/cifar10.py [--backbones lite0 lite1 lite2]

The default normalisation of the lite backbones and the packages that the core depends on were chosen on this table
(and `shapes.py`), so it is no test result for those choices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from common import CIFAR10, SMALL_BACKBONES, Backbones, Report, begin, timed
from dn2 import ImageEmbedder, KNNDetector
from dn2.neighbors.prepare.normalize import NORMALIZATIONS


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of classes by normalisation for each backbone."""
    run = begin(__doc__, arguments, Backbones(), SMALL_BACKBONES)
    report = run.report("cifar10")
    with run.unpacked(CIFAR10) as folder:
        paths = {part: sorted((folder / part).rglob("*.png")) for part in ("train", "test")}
        labels = {part: np.array([path.parent.name for path in paths[part]]) for part in paths}
        for backbone in run.sizes.backbones:
            embedder = ImageEmbedder(backbone)
            taken, vectors = timed(lambda embedder=embedder: {part: embedder.transform(paths[part]) for part in paths})
            table(report, backbone, embedder.networks[0].precision, vectors, labels)
            report.say(f"embedding: {taken:.0f} s for {sum(map(len, paths.values())):,} pictures")
    report.save()


def table(
    report: Report, backbone: str, precision: str, vectors: dict[str, np.ndarray], labels: dict[str, np.ndarray]
) -> None:
    """Print ROC AUC in percent per class and on average."""
    counts = {int(count) for count in np.unique(labels["train"], return_counts=True)[1]}
    report.say(f"\n{backbone} {precision}, {counts} reference pictures a class, ROC AUC in %:")
    report.say(f"  {'class':<12}" + "".join(f"{name:>12}" for name in NORMALIZATIONS))
    rows = []
    for name in np.unique(labels["train"]):
        row = []
        for method in NORMALIZATIONS:
            detector = KNNDetector(normalize=method).fit(vectors["train"][labels["train"] == name])
            row.append(100 * roc_auc_score(labels["test"] != name, detector.anomaly_score(vectors["test"])))
        rows.append(row)
        report.say(f"  {name:<12}" + "".join(f"{value:12.2f}" for value in row))
    report.say(f"  {'average':<12}" + "".join(f"{value:12.2f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()

"""Partial whitening of the preset `accurate`, measured as `levers.py` measures, on CIFAR-10's training pictures alone.

Run: python benchmarks/whitening.py

It is learnt from half of the references: of the main directions in which they vary, or in which they differ from the
mean of their nearest neighbours.  Mean ROC AUC in %, by number of neighbours: one class of 1,000 references against
nine and, in the last column, nine against one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA

from common import Report, unpacked
from dn2 import Cache, ImageEmbedder
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.normalize import normalize
from dn2.neighbors.whitening import MOST_DIRECTIONS
from dn2.presets import PRESETS
from levers import Table, Vectors, say_heads

VARIANCE_POWERS = (1 / 16, 1 / 8, 1 / 4, 3 / 8)
NEAR = (None, 5, 50)


def main() -> None:
    """Print a line for each way to whiten."""
    report = Report("whitening")
    embedder = ImageEmbedder(PRESETS["accurate"].backbone, cache=Cache())
    report.say(embedder.backbone)
    say_heads(report)
    with unpacked("cifar10/cifar10_png_35k.zip") as folder:
        table = Table(report, [sorted(one.iterdir()) for one in sorted((folder / "train").iterdir())])
        rows = normalize(embedder.transform(table.paths), embedder.normalize)
    table.say("not whitened", rows)
    for near in NEAR:
        about = "their mean" if near is None else f"{near} neighbours"
        for power in VARIANCE_POWERS:
            table.say(f"whitened about {about}, power {power}", rows, whitener(near, power))
    report.save()


def whitener(near: int | None, power: float) -> Callable[[Vectors], Callable[[Vectors], Vectors]]:
    """Make a learner that weakens directions; near : number of neighbours, None for all."""

    def learn(reference: Vectors) -> Callable[[Vectors], Vectors]:
        half = np.random.default_rng(0).permutation(reference)[: len(reference) // 2]
        if near is not None:
            found = ExactIndex([half]).search(half, near, exclude=np.arange(len(half)))[1]
            half = half - sum(half[places] for places in found.T) / near
        pca = PCA(min(MOST_DIRECTIONS, len(half) - 1), svd_solver="randomized", random_state=0).fit(half)
        relative = pca.explained_variance_ / half.var(axis=0, ddof=1).mean()
        factors = np.maximum(relative, 1) ** -power
        directions = pca.components_
        return lambda rows: rows + (rows @ directions.T * (factors - 1)) @ directions

    return learn


if __name__ == "__main__":
    main()

"""Partial whitening of the preset `accurate`, measured as `levers.py` measures, on CIFAR-10's training pictures alone.

Run: python benchmarks/whitening.py

It is learnt from half of the references: of the main directions in which they vary, or in which they differ from the
mean of their nearest neighbours.  Mean ROC AUC in %, by number of neighbours: one class of 1,000 references against
nine and, in the last column, nine against one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from common import CIFAR10, begin
from dn2 import Cache, ImageEmbedder
from dn2.kinds.image.presets import PRESETS
from dn2.neighbors.prepare.normalize import normalize
from dn2.neighbors.prepare.whitening import MOST_DIRECTIONS
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from levers import Table, Vectors, say_heads


@dataclass(frozen=True)
class Sizes:
    """How much is measured: classes and pictures of each, neighbours that directions are learnt from, powers of their
    variance."""

    backbone: str = PRESETS["accurate"].backbone
    classes: int = 10
    references: int = 1_000
    queries: int = 250
    near: tuple[int | None, ...] = (None, 5, 50)
    powers: tuple[float, ...] = (1 / 16, 1 / 8, 1 / 4, 3 / 8)


SMALLEST = Sizes(backbone="lite0@32", classes=3, references=21, queries=3, near=(None, 5), powers=(1 / 4,))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each way to whiten."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("whitening")
    embedder = ImageEmbedder(sizes.backbone, cache=Cache())
    report.say(embedder.backbone)
    say_heads(report)
    with run.unpacked(CIFAR10) as folder:
        classes = [sorted(one.iterdir()) for one in sorted((folder / "train").iterdir())[: sizes.classes]]
        table = Table(report, sizes.references, sizes.queries, classes)
        rows = normalize(embedder.transform(table.paths), embedder.normalize)
    table.say("not whitened", rows)
    for near in sizes.near:
        about = "their mean" if near is None else f"{near} neighbours"
        for power in sizes.powers:
            table.say(f"whitened about {about}, power {power}", rows, whitener(near, power))
    report.save()


def whitener(near: int | None, power: float) -> Callable[[Vectors], Callable[[Vectors], Vectors]]:
    """Make a learner that weakens directions; near : number of neighbours, None for all."""

    def learn(reference: Vectors) -> Callable[[Vectors], Vectors]:
        half = np.random.default_rng(0).permutation(reference)[: len(reference) // 2]
        if near is not None:
            found = ExactIndex([half]).search(half, near, Excluded.own(np.arange(len(half))))[1]
            half = half - sum(half[places] for places in found.T) / near
        pca = PCA(min(MOST_DIRECTIONS, len(half) - 1), svd_solver="randomized", random_state=0).fit(half)
        relative = pca.explained_variance_ / half.var(axis=0, ddof=1).mean()
        factors = np.maximum(relative, 1) ** -power
        directions = pca.components_
        return lambda rows: rows + (rows @ directions.T * (factors - 1)) @ directions

    return learn


if __name__ == "__main__":
    main()

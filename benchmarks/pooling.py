"""How to compare sets of pictures: the mean of their embeddings, and what might beat it.

Run: python benchmarks/pooling.py

The paper's experiment on groups, ROC AUC in %: 500 normal sets hold one picture of each of M classes, the queries are
300 more of these and 300 sets of M pictures drawn with replacement.  Only training pictures are used, the first half of
each class for the reference sets and the second for the queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import roc_auc_score

from class_folders import class_folders
from common import Report, begin
from dn2 import Cache, ImageEmbedder
from dn2.kinds.image.bench.groups import QUERIES_OF_A_KIND, REFERENCE_SETS, ceiling, draw_sets
from dn2.neighbors.prepare.normalize import normalize

SHORT_LIST = 50

# (n, M, d) reference sets and (m, M, d) queries to (m, n) distances
Sets = np.ndarray
Distances = Callable[[Sets, Sets], np.ndarray]


def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return all squared distances, (len(a), len(b))."""
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0)


def pooled(pool: Callable[[Sets], np.ndarray]) -> Distances:
    """Compare what becomes of each set."""
    return lambda reference, queries: squared(pool(queries), pool(reference))


def spread(weight: float) -> Callable[[Sets], np.ndarray]:
    """Put the standard deviation of a set's features beside their mean."""
    return lambda sets: np.concatenate([sets.mean(axis=1), weight * sets.std(axis=1)], axis=1)


def between(reference: Sets, queries: Sets) -> np.ndarray:
    """Return the squared distances of all members, (m, M, n, M)."""
    n, size, d = reference.shape
    return squared(queries.reshape(-1, d), reference.reshape(-1, d)).reshape(len(queries), size, n, size)


def chamfer(reference: Sets, queries: Sets) -> np.ndarray:
    """Average over the members the distance to the nearest member of the other set."""
    distances = between(reference, queries)
    return distances.min(axis=3).mean(axis=1) + distances.min(axis=1).mean(axis=2)


def kernel_mean(reference: Sets, queries: Sets) -> np.ndarray:
    """Maximum mean discrepancy with a Gaussian kernel as wide as the median distance."""
    width = np.median(squared(queries[:, 0], reference[:, 0]))

    def within(sets: Sets) -> np.ndarray:
        return np.array([np.exp(-squared(one, one) / width).mean() for one in sets])

    across = np.exp(-between(reference, queries) / width).mean(axis=(1, 3))
    return within(queries)[:, None] + within(reference) - 2 * across


def assignment(reference: Sets, queries: Sets) -> np.ndarray:
    """Pair the members of two sets at the least squared distance, among the nearest by the mean."""
    means = squared(queries.mean(axis=1), reference.mean(axis=1))
    found = np.full_like(means, np.inf)
    for row, query, near in zip(found, queries, np.argsort(means, axis=1)[:, :SHORT_LIST], strict=True):
        costs = between(reference[near], query[None])[0].transpose(1, 0, 2)
        row[near] = [cost[linear_sum_assignment(cost)].mean() for cost in costs]
    return found


def mean(sets: Sets) -> np.ndarray:
    """Average the members of each set."""
    return sets.mean(axis=1)


def power_mean(power: float) -> Callable[[Sets], np.ndarray]:
    """Average a power of each feature, and take the root."""
    return lambda sets: (sets**power).mean(axis=1) ** (1 / power)


def geometric(shift: float) -> Callable[[Sets], np.ndarray]:
    """Take the geometric mean of each feature and a share of the root mean square of all."""
    return lambda sets: np.exp(np.log(sets + shift / math.sqrt(sets.shape[2])).mean(axis=1))


METHODS: dict[str, Distances] = {
    "mean (the paper's)": pooled(mean),
    "quadratic mean": pooled(power_mean(2)),
    "power mean, 1/2": pooled(power_mean(0.5)),
    "geometric mean, shift 0.25": pooled(geometric(0.25)),
    "geometric mean, shift 0.5": pooled(geometric(0.5)),
    "geometric mean, shift 1 (dn2's)": pooled(geometric(1)),
    "geometric mean, shift 2": pooled(geometric(2)),
    "mean, scaled to length 1": pooled(lambda sets: normalize(mean(sets), "unit")),
    "mean with half the standard deviation": pooled(spread(0.5)),
    "mean with the standard deviation": pooled(spread(1)),
    "maximum": pooled(lambda sets: sets.max(axis=1)),
    "kernel mean (MMD)": kernel_mean,
    "nearest members (Chamfer)": chamfer,
    "optimal assignment of members": assignment,
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured: pictures of each class, pictures M of a set, draws, reference sets and queries of a
    kind."""

    backbone: str = "lite0"
    per_class: int = 2_000
    members: tuple[int, ...] = (2, 3, 4, 6, 10)
    seeds: int = 3
    references: int = REFERENCE_SETS
    queries: int = QUERIES_OF_A_KIND


SMALLEST = Sizes(backbone="lite0@32", per_class=8, members=(2, 3), seeds=1, references=60, queries=5)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each data set."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("pooling")
    for name in ("mnist", "cifar10"):
        with class_folders(run, name) as folder:
            classes = [sorted(one.iterdir())[: sizes.per_class] for one in sorted((folder / "train").iterdir())]
            embedder = ImageEmbedder(sizes.backbone, cache=Cache())
            vectors = embedder.transform([path for one in classes for path in one])
        report.say(f"\n{name:<48}" + "".join(f"{'M = ' + str(size):>9}" for size in sizes.members))
        report.say(f"{'  ceiling':<48}" + "".join(f"{100 * ceiling(size):9.1f}" for size in sizes.members))
        study(report, sizes, normalize(vectors, embedder.normalize))
    report.save()


def study(report: Report, sizes: Sizes, vectors: np.ndarray) -> None:
    """Print a line for each method and number of neighbours, means over draws."""
    halves = np.arange(len(vectors)).reshape(10, 2, -1)
    values: dict[tuple[str, int], list[list[float]]] = {}
    for size in sizes.members:
        for seed in range(sizes.seeds):
            rng = np.random.default_rng([seed, size])
            chosen = rng.permutation(10)[:size]
            known, held_out = list(halves[chosen, 0]), list(halves[chosen, 1])
            reference = vectors[draw_sets(rng, known, sizes.references, normal=True)]
            queries = vectors[
                np.concatenate([draw_sets(rng, held_out, sizes.queries, normal=kind) for kind in (True, False)])
            ]
            truth = np.arange(len(queries)) >= sizes.queries
            for name, distances in METHODS.items():
                near = np.sort(distances(reference, queries), axis=1)
                for k in (2, 10):
                    auc = 100 * roc_auc_score(truth, near[:, :k].mean(axis=1))
                    values.setdefault((name, k), []).append([size, auc])
    for (name, k), found in values.items():
        members, aucs = np.array(found).T
        means = [aucs[members == size].mean() for size in sizes.members]
        report.say(f"{f'  {name}, k = {k}':<48}" + "".join(f"{value:9.1f}" for value in means))


if __name__ == "__main__":
    main()

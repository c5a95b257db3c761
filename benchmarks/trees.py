"""What trees save: distances computed and time, for rows of few columns and of many.

Run: python benchmarks/trees.py

Counted are, of a query's nearest neighbour among 1,000 points of a standard normal distribution: for the tree of means,
as its inventors count, distances to means and distances to rows, one row at a time and by the four rules of
`naive.BranchAndBound` (the index itself compares many queries and rows at once, and leaves more nodes out by a fifth
rule); for scikit-learn's kd-tree what `get_n_calls` says, distances to rows, with its bounds of boxes not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.neighbors import BallTree, KDTree

from common import Report, begin, from_tests
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.kdtree import KDTreeIndex
from dn2.neighbors.search.kmeans_tree import KMeansTree
from dn2.neighbors.search.tree import learn_tree

K = 2
INDEXES: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "KMeansTree": (KMeansTree.of, lambda index, queries: index.search(queries, K)),
    "KDTreeIndex": (KDTreeIndex, lambda index, queries: index.search(queries, K)),
    "ExactIndex": (lambda rows: ExactIndex([rows]), lambda index, queries: index.search(queries, K)),
    "sklearn KDTree": (KDTree, lambda index, queries: index.query(queries, K)),
    "sklearn BallTree": (BallTree, lambda index, queries: index.query(queries, K)),
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    counted, counting : points and queries whose distances are counted; dimensions : those of points; draws : of both.
    reference : rows whose searches are timed, rounds times; queries : how many, by dimension."""

    counted: int = 1_000
    counting: int = 300
    dimensions: tuple[int, ...] = (2, 4, 8, 16, 64, 1280)
    draws: int = 3
    reference: int = 100_000
    queries: dict[int, int] = field(default_factory=lambda: {2: 10_000, 4: 10_000, 8: 10_000, 16: 1_000})
    rounds: int = 3


SMALLEST = Sizes(counted=100, counting=3, dimensions=(2, 4), draws=1, reference=500, queries={2: 10}, rounds=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report, counted = run.sizes, run.report("trees"), run.sizes.counted
    report.say(
        f"\ndistances computed for the nearest of {counted:,} standard normal points, mean over {sizes.draws} draws "
        f"of {sizes.counting} queries\n(brute force {counted:,}; in brackets the share that is left out)\n"
        f"  {'dimension':>9}{'tree of means':>24}{'largest of the draws':>22}{'sklearn kd-tree, rows alone':>30}"
    )
    for d in sizes.dimensions:
        means, rows = np.transpose([count(sizes, d, seed) for seed in range(sizes.draws)])
        mean, rival = (pruned(one.mean(), counted) for one in (means, rows))
        report.say(f"  {d:>9}{mean:>24}{means.max():>22.1f}{rival:>30}")
    report.say(
        f"\nthe {K} nearest of {sizes.reference:,} standard normal rows, median of {sizes.rounds} rounds; ratios to "
        "scikit-learn's KDTree, above 1\nis faster; KDTree and BallTree compare in float64 and break ties as it comes"
    )
    for d in sizes.queries:
        time_all(report, sizes, d)
    report.save()


def pruned(count: float, of: int) -> str:
    """Write a number of distances and the share of them all that is left out."""
    return f"{count:.1f} ({1 - count / of:.1%})"


def count(sizes: Sizes, d: int, seed: int) -> tuple[float, float]:
    """Return the mean number of distances of the tree of means, and of scikit-learn's kd-tree."""
    generator = np.random.default_rng(seed)
    rows, queries = (generator.normal(size=(n, d)).astype(np.float32) for n in (sizes.counted, sizes.counting))
    tree = learn_tree(rows)
    search = from_tests("naive").BranchAndBound(rows, tree.means, tree.first_child, tree.n_children)
    counts = [search.search(query, 1)[1] for query in queries.astype(np.float64).tolist()]
    kd_tree = KDTree(rows)
    kd_tree.reset_n_calls()
    kd_tree.query(queries, 1)
    return float(np.mean(counts)), kd_tree.get_n_calls() / sizes.counting


def time_all(report: Report, sizes: Sizes, d: int) -> None:
    """Print the times of all indexes in a dimension, taken in turns."""
    generator, asked = np.random.default_rng(0), sizes.queries[d]
    rows, queries = (generator.normal(size=(n, d)).astype(np.float32) for n in (sizes.reference, asked))
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in INDEXES}
    for _ in range(sizes.rounds):
        for name, (build, search) in INDEXES.items():
            start = time.perf_counter()
            index = build(rows)
            built = time.perf_counter()
            search(index, queries[:1])  # ExactIndex measures its rows once
            first = time.perf_counter()
            search(index, queries[1:2])
            alone = time.perf_counter()
            search(index, queries)
            taken[name].append((built - start, alone - first, time.perf_counter() - alone))
    middle = {name: [statistics.median(times) for times in zip(*rounds, strict=True)] for name, rounds in taken.items()}
    rival = middle["sklearn KDTree"]
    report.say(f"  d = {d}, {asked:,} queries together")
    report.say(f"  {'':<18}{'build, s':>10}{'queries/s':>12}{'ratio':>8}{'one query, ms':>16}{'ratio':>8}")
    for name, (build_time, alone, together) in middle.items():
        report.say(
            f"  {name:<18}{build_time:>10.2f}{asked / together:>12,.0f}{rival[2] / together:>8.2f}"
            f"{1000 * alone:>16.2f}{rival[1] / alone:>8.2f}"
        )
    exact = middle["ExactIndex"]
    for column, what in ((2, "together"), (1, "alone")):
        slower = [name for name, times in middle.items() if times[column] > exact[column]]
        report.say(f"  slower than ExactIndex, queries {what}: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()

"""What trees save: distances computed and time, for rows of few columns and of many.

Run: python benchmarks/trees.py

Counted are, of a query's nearest neighbour among 1,000 points of a standard normal distribution: for the tree of means,
as its inventors count, distances to means and distances to rows, one row at a time and by the four rules of
`naive.BranchAndBound` (the index itself compares many queries and rows at once, and leaves more nodes out by a fifth
rule); for scikit-learn's kd-tree what `get_n_calls` says, distances to rows, with its bounds of boxes not counted.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import BallTree, KDTree

from common import Report
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.kdtree import KDTreeIndex
from dn2.neighbors.kmeans_tree import KMeansTree
from dn2.neighbors.tree import learn_tree

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import naive

COUNTED, COUNTING = 1_000, 300
SEEDS = 3
REFERENCE, K = 100_000, 2
QUERIES = {2: 10_000, 4: 10_000, 8: 10_000, 16: 1_000}
ROUNDS = 3
INDEXES: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "KMeansTree": (KMeansTree.of, lambda index, queries: index.search(queries, K)),
    "KDTreeIndex": (KDTreeIndex, lambda index, queries: index.search(queries, K)),
    "ExactIndex": (lambda rows: ExactIndex([rows]), lambda index, queries: index.search(queries, K)),
    "sklearn KDTree": (KDTree, lambda index, queries: index.query(queries, K)),
    "sklearn BallTree": (BallTree, lambda index, queries: index.query(queries, K)),
}


def main() -> None:
    """Print both tables."""
    report = Report("trees")
    report.say(
        f"\ndistances computed for the nearest of {COUNTED:,} standard normal points, mean over {SEEDS} draws of "
        f"{COUNTING} queries\n(brute force {COUNTED:,}; in brackets the share that is left out)\n"
        f"  {'dimension':>9}{'tree of means':>24}{'largest of the draws':>22}{'sklearn kd-tree, rows alone':>30}"
    )
    for d in (2, 4, 8, 16, 64, 1280):
        means, rows = np.transpose([count(d, seed) for seed in range(SEEDS)])
        report.say(f"  {d:>9}{pruned(means.mean()):>24}{means.max():>22.1f}{pruned(rows.mean()):>30}")
    report.say(
        f"\nthe {K} nearest of {REFERENCE:,} standard normal rows, median of {ROUNDS} rounds; ratios to scikit-learn's "
        "KDTree, above 1\nis faster; KDTree and BallTree compare in float64 and break ties as it comes"
    )
    for d in QUERIES:
        time_all(report, d)
    report.save()


def pruned(count: float) -> str:
    """Write a number of distances and the share of them all that is left out."""
    return f"{count:.1f} ({1 - count / COUNTED:.1%})"


def count(d: int, seed: int) -> tuple[float, float]:
    """Return the mean number of distances of the tree of means, and of scikit-learn's kd-tree."""
    generator = np.random.default_rng(seed)
    rows, queries = (generator.normal(size=(n, d)).astype(np.float32) for n in (COUNTED, COUNTING))
    tree = learn_tree(rows)
    search = naive.BranchAndBound(rows, tree.means, tree.first_child, tree.n_children)
    counts = [search.search(query, 1)[1] for query in queries.astype(np.float64).tolist()]
    kd_tree = KDTree(rows)
    kd_tree.reset_n_calls()
    kd_tree.query(queries, 1)
    return float(np.mean(counts)), kd_tree.get_n_calls() / COUNTING


def time_all(report: Report, d: int) -> None:
    """Print the times of all indexes in a dimension, taken in turns."""
    generator = np.random.default_rng(0)
    rows, queries = (generator.normal(size=(n, d)).astype(np.float32) for n in (REFERENCE, QUERIES[d]))
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in INDEXES}
    for _ in range(ROUNDS):
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
    report.say(f"  d = {d}, {QUERIES[d]:,} queries together")
    report.say(f"  {'':<18}{'build, s':>10}{'queries/s':>12}{'ratio':>8}{'one query, ms':>16}{'ratio':>8}")
    for name, (build_time, alone, together) in middle.items():
        report.say(
            f"  {name:<18}{build_time:>10.2f}{QUERIES[d] / together:>12,.0f}{rival[2] / together:>8.2f}"
            f"{1000 * alone:>16.2f}{rival[1] / alone:>8.2f}"
        )
    exact = middle["ExactIndex"]
    for column, what in ((2, "together"), (1, "alone")):
        slower = [name for name, times in middle.items() if times[column] > exact[column]]
        report.say(f"  slower than ExactIndex, queries {what}: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()

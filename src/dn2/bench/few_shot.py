"""Protocol: how many reference pictures it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dn2.bench.context import Bench, measured, timed
from dn2.bench.data import Split
from dn2.bench.result import Result
from dn2.bench.scoring import check_neighbors, merged, nearest_distances, rows_of, whitened_distances
from dn2.embedding import Vectors
from dn2.neighbors.conformal import mean_squared_distance

SIZES = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
ALL = "all"


def few_shot(bench: Bench) -> Result:
    """Draw few reference pictures of each class at random, the fewer ones among the more, and score all queries.

    Sizes below their number of neighbours, or not below that of the smallest class, are left out; `all` is not random
    where the split is fixed."""
    data = bench.data
    splits = {(name, seed): data.split((name,), seed) for name in data.normal for seed in range(bench.seeds)}
    available = [len(split.reference) for split in splits.values()]
    check_neighbors(bench.neighbors_among(min(available)), min(available), "a class")
    sizes = [size for size in SIZES if bench.neighbors_among(size) <= size < min(available)]
    result = Result("Few reference pictures, one class normal", "reference pictures", scale="log")
    result.positions = {**{f"{size:,}": float(size) for size in sizes}, ALL: float(np.median(available))}
    with bench.watch("draws") as show:
        for done, ((name, seed), split) in enumerate(splits.items(), 1):
            rng = np.random.default_rng([seed, data.classes.index(name)])
            split = replace(split, reference=rng.permutation(split.reference))
            with_all = data.random or seed == 0
            _draw(bench, result, name, seed, split, [*sizes, *[len(split.reference)] * with_all])
            show(done, len(splits))
    result.notes.append("The draws are nested: the 5 are among the 10, and so on; each seed draws anew for each class.")
    return result


def _draw(bench: Bench, result: Result, name: str, seed: int, split: Split, sizes: Sequence[int]) -> None:
    reference, queries = rows_of(bench.vectors, split.reference), rows_of(bench.vectors, split.queries)
    growing = nearest_while_growing(reference, queries, sizes, bench.n_neighbors)
    for size in sizes:
        part = replace(split, reference=split.reference[:size])
        whole = size == len(split.reference)
        setting = ALL if whole else f"{size:,}"
        fixed = whole and not bench.data.random
        k = bench.neighbors_among(size)
        with timed(result, bench.name):
            near = next(growing)[:, :k]
            if bench.whitens_among(size):
                near = whitened_distances(reference[:size], queries, k)
            scores = mean_squared_distance(near)
        result.measurements.append(measured(bench.name, setting, name, None if fixed else seed, part, scores))
        for rival in bench.rivals:
            with timed(result, rival.name):
                scores = rival.scores(part, seed)
            drawn = None if fixed and not rival.random else seed
            result.measurements.append(measured(rival.name, setting, name, drawn, part, scores))


def nearest_while_growing(reference: Vectors, queries: Vectors, sizes: Sequence[int], k: int) -> Iterator[Vectors]:
    """Give the distances to the k nearest of the first rows, for several numbers of them, ascending.

    Each (n_queries, k), or fewer columns while there are fewer rows.  Only what is added is searched."""
    near: list[Vectors] = []
    for start, stop in pairwise([0, *sizes]):
        near = [merged([*near, nearest_distances(reference[start:stop], queries, k)], k)]
        yield near[0]

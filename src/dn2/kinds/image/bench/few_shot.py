"""Protocol: the effect of the number of reference pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dn2.arrays import Distances, Vectors
from dn2.bench.product import check_neighbors
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import merge_nearest, nearest_distances
from dn2.bench.split import Split
from dn2.kinds.image.bench import FEW_SHOT
from dn2.kinds.image.bench.pictures import Bench

SIZES = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
ALL = "all"


def few_shot(bench: Bench) -> Result:
    """Draw few reference pictures of each class at random, each draw within the next larger one, and score all queries.

    Only sizes above their number of neighbours and below the size of the smallest class are run;
    `all` is not random where the split is fixed."""
    data = bench.data
    splits = {(name, seed): data.split((name,), seed) for name in data.normal for seed in range(bench.seeds)}
    available = [len(split.reference) for split in splits.values()]
    check_neighbors(bench.neighbors_among(min(available)), min(available), "a class")
    sizes = [size for size in SIZES if bench.neighbors_among(size) < size < min(available)]
    result = Result(FEW_SHOT.title, "reference pictures", scale="log", notes=bench.notes())
    result.positions = {**{f"{size:,}": float(size) for size in sizes}, ALL: float(np.median(available))}
    with bench.progress_of("draws") as show:
        for done, ((name, seed), split) in enumerate(splits.items(), 1):
            rng = np.random.default_rng([seed, data.classes.index(name)])
            split = replace(split, reference=rng.permutation(split.reference))
            with_all = data.random or seed == 0
            _draw(bench, result, name, seed, split, [*sizes, *[len(split.reference)] * with_all])
            show(done, len(splits))
    result.notes.append("The draws are nested: the 5 are among the 10, and so on; each seed draws anew for each class.")
    return result


def _draw(bench: Bench, result: Result, name: str, seed: int, split: Split, sizes: Sequence[int]) -> None:
    growing = GrowingSearch(*bench.rows(split), bench.most_neighbors)
    for size in sizes:
        part = replace(split, reference=split.reference[:size])
        whole = size == len(split.reference)
        setting = ALL if whole else f"{size:,}"
        fixed = whole and not bench.data.random
        with result.timing(bench.name):
            scores = bench.scores(part, partial(growing.nearest, size))
        drawn = None if fixed else seed
        result.measurements.append(Measurement.of(bench.name, setting, name, drawn, part, scores))
        for rival in bench.rivals:
            with result.timing(rival.name):
                scores = rival.scores(part, seed)
            drawn = None if fixed and not rival.random else seed
            result.measurements.append(Measurement.of(rival.name, setting, name, drawn, part, scores))


class GrowingSearch:
    """Finds the nearest among the first rows of a set, for growing numbers of rows: only added rows are searched.

    Parameters
    ----------
    reference : ndarray of shape (n, d), float32
    queries : ndarray of shape (n_queries, d), float32
    most_neighbors : int
        The largest number of neighbours that is asked for."""

    def __init__(self, reference: Vectors, queries: Vectors, most_neighbors: int) -> None:
        self._reference, self._queries, self._most = reference, queries, most_neighbors
        self._size = 0
        self._near = np.empty((len(queries), 0), np.float32)

    def nearest(self, size: int, k: int) -> Distances:
        """Return squared L2 distances to the k nearest of the first `size` rows, (n_queries, k), or fewer columns where
        there are fewer rows; `size` must not fall from call to call."""
        if size > self._size:
            added = nearest_distances(self._reference[self._size : size], self._queries, self._most)
            self._near = merge_nearest([self._near, added], self._most)
            self._size = size
        return self._near[:, :k]

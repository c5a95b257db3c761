"""Protocols: what the number of neighbours and a reduction to centroids do."""

from __future__ import annotations

import numpy as np

from dn2.bench.context import Bench, measured, timed
from dn2.bench.result import Result
from dn2.bench.scoring import check_neighbors, nearest_distances, rows_of
from dn2.neighbors.conformal import mean_squared_distance
from dn2.neighbors.kmeans import find_centroids

NEIGHBORS = (1, 2, 3, 5, 10, 20, 50, 100)
CENTROIDS = (1, 3, 5, 10, 50, 100, 500)
ALL = "all"


def neighbors(bench: Bench) -> Result:
    """Score with different numbers of neighbours, each class being normal in turn.

    Numbers that exceed the smallest reference set are left out."""
    runs = [(name, seed, bench.data.split((name,), seed)) for seed in bench.draws() for name in bench.data.normal]
    numbers = [k for k in NEIGHBORS if k <= min(len(split.reference) for *_, split in runs)]
    result = Result("Number of neighbours, one class normal", "neighbours k", scale="log")
    result.positions = {str(k): float(k) for k in numbers}
    method = f"dn2 {bench.backbone}"
    with bench.watch("classes") as show:
        for done, (name, seed, split) in enumerate(runs, 1):
            with timed(result, method):
                reference, queries = rows_of(bench.vectors, split.reference), rows_of(bench.vectors, split.queries)
                distances = nearest_distances(reference, queries, numbers[-1])
                scores = np.cumsum(distances, axis=1, dtype=np.float64)
            for k in numbers:
                result.measurements.append(measured(method, str(k), name, seed, split, scores[:, k - 1] / k))
            show(done, len(runs))
    return result


def centroids(bench: Bench) -> Result:
    """Replace the reference pictures of each class by k-means centroids, and score by the nearest of them.

    Numbers not below the size of the smallest reference set are left out; `all` keeps the pictures."""
    runs = [(name, seed, bench.data.split((name,), seed)) for seed in bench.draws() for name in bench.data.normal]
    smallest = min(len(split.reference) for *_, split in runs)
    check_neighbors(bench.n_neighbors, smallest, "a class")
    counts = [count for count in CENTROIDS if count < smallest]
    result = Result("Centroids in place of the reference pictures, one class normal", "centroids C", scale="log")
    median = float(np.median([len(split.reference) for *_, split in runs]))
    result.positions = {**{str(count): float(count) for count in counts}, ALL: median}
    method = f"dn2 {bench.backbone}"
    with bench.watch("classes") as show:
        for done, (name, seed, split) in enumerate(runs, 1):
            reference, queries = rows_of(bench.vectors, split.reference), rows_of(bench.vectors, split.queries)
            for count in (*counts, None):
                with timed(result, method):
                    rows = reference if count is None else find_centroids(reference, count)[0]
                    nearest = nearest_distances(rows, queries, bench.n_neighbors if count is None else 1)
                    scores = mean_squared_distance(nearest)
                setting = ALL if count is None else str(count)
                result.measurements.append(measured(method, setting, name, seed, split, scores))
            show(done, len(runs))
    result.notes.append(
        f"A query is compared with its one nearest centroid; `{ALL}` keeps the pictures, with k = {bench.n_neighbors}. "
        "The centroids are learnt from all reference pictures, as in the paper; the index kmeans:C of a model learns "
        "them from a random half, so that the other half can calibrate."
    )
    return result

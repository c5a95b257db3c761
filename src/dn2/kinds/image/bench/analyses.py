"""Protocols: the effect of the number of neighbours, and of centroids in place of pictures."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Distances, Scores
from dn2.bench.product import check_neighbors
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import nearest_distances, rows_of
from dn2.bench.split import Split
from dn2.errors import ReferenceTooSmall
from dn2.kinds.image.bench import CENTROIDS, NEIGHBORS
from dn2.kinds.image.bench.pictures import Bench
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.search.centroids import find_centroids

NUMBERS = (1, 2, 3, 5, 10, 20, 50, 100)  # of neighbours
COUNTS = (1, 3, 5, 10, 50, 100, 500)  # of centroids
ALL = "all"

Runs = list[tuple[str, int | None, Split]]


def neighbors(bench: Bench) -> Result:
    """Score with different numbers of neighbours, each class being normal in turn.

    Only numbers below the size of the smallest reference set are run."""
    bench = bench.with_fit_options(whiten=False)  # whitening would be a second difference
    runs, smallest = _one_class_runs(bench)
    numbers = [k for k in NUMBERS if k < smallest]
    result = Result(NEIGHBORS.title, "neighbours k", scale="log")
    result.positions = {str(k): float(k) for k in numbers}
    method = f"dn2 {bench.backbone}"
    with bench.progress_of("classes") as show:
        for done, (name, seed, split) in enumerate(runs, 1):
            searched = _SplitSearch(bench, split, numbers[-1])
            for k in numbers:
                with result.timing(method):
                    scores = bench.with_fit_options(neighbors=k).scores(split, searched.nearest)
                result.measurements.append(Measurement.of(method, str(k), name, seed, split, scores))
            show(done, len(runs))
    return result


def centroids(bench: Bench) -> Result:
    """Replace the reference pictures of each class by k-means centroids, and score by the nearest of them.

    Only numbers below the size of the smallest reference set are run; `all` keeps the pictures."""
    bench = bench.with_fit_options(whiten=False)  # whitening would be a second difference
    runs, smallest = _one_class_runs(bench)
    check_neighbors(bench.neighbors_among(smallest), smallest, "a class")
    counts = [count for count in COUNTS if count < smallest]
    result = Result(CENTROIDS.title, "centroids C", scale="log")
    median = float(np.median([len(split.reference) for *_, split in runs]))
    result.positions = {**{str(count): float(count) for count in counts}, ALL: median}
    ours, paper = f"dn2 {bench.backbone}", f"the paper's, {bench.backbone}"
    with bench.progress_of("classes") as show:
        for done, (name, seed, split) in enumerate(runs, 1):
            for count in counts:
                with result.timing(paper):
                    scores = _score_by_paper_centroids(bench, split, count)
                result.measurements.append(Measurement.of(paper, str(count), name, seed, split, scores))
                with result.timing(ours):
                    learnt = _score_by_own_centroids(bench, split, count)
                if learnt is not None:
                    result.measurements.append(Measurement.of(ours, str(count), name, seed, split, learnt))
            with result.timing(ours):
                scores = bench.scores(split, _SplitSearch(bench, split, bench.most_neighbors).nearest)
            for method in (paper, ours):
                result.measurements.append(Measurement.of(method, ALL, name, seed, split, scores))
            show(done, len(runs))
    result.notes.append(
        f"A query is compared with its one nearest centroid; `{ALL}` keeps the pictures, with k = "
        f"{bench.most_neighbors}. The paper's centroids are learnt from all reference pictures; those of dn2, the "
        "index kmeans:C, from a random half, so that the other half can calibrate: where a half has fewer than C "
        "pictures, dn2 has none."
    )
    return result


def _one_class_runs(bench: Bench) -> tuple[Runs, int]:
    """List the name, the seed and the split of each normal class; and return the size of the smallest reference set."""
    runs: Runs = [(name, seed, bench.data.split((name,), seed)) for seed in bench.draws() for name in bench.data.normal]
    return runs, min(len(split.reference) for *_, split in runs)


def _score_by_paper_centroids(bench: Bench, split: Split, count: int) -> Scores:
    """Score by the nearest of the centroids that all reference pictures teach."""
    reference, queries = bench.rows(split)
    return mean_squared_distance(nearest_distances(find_centroids(reference, count)[0], queries, 1))


def _score_by_own_centroids(bench: Bench, split: Split, count: int) -> Scores | None:
    """Score by dn2's own centroids; None where half of the reference pictures are fewer than the centroids."""
    adapted = bench.with_fit_options(neighbors=1, index=f"kmeans:{count}")
    try:
        return adapted.fit(split.reference).anomaly_score(rows_of(bench.embeddings, split.queries))
    except ReferenceTooSmall:
        return None


class _SplitSearch:
    """The nearest distances of a split, searched once, for several numbers of neighbours."""

    def __init__(self, bench: Bench, split: Split, most: int) -> None:
        self._bench, self._split, self._most = bench, split, most
        self._distances: Distances | None = None

    def nearest(self, k: int) -> Distances:
        """Return the (n_queries, k) squared distances."""
        if self._distances is None:
            reference, queries = (
                rows_of(self._bench.vectors, part) for part in (self._split.reference, self._split.queries)
            )
            self._distances = nearest_distances(reference, queries, self._most)
        return self._distances[:, :k]

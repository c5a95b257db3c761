"""Protocols over classes: one class normal, all but one normal, and the same by several backbones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dn2.bench.context import Bench, Method, measured, timed
from dn2.bench.data import Positions, Split
from dn2.bench.result import Result
from dn2.bench.scoring import check_neighbors, merged, nearest_distances, rows_of, whitened_distances
from dn2.embedding import Vectors
from dn2.errors import InputError
from dn2.neighbors.conformal import Scores, mean_squared_distance

# Names of a row and the classes that are normal in it.
NormalSets = Sequence[tuple[str, tuple[str, ...]]]


class NearestNeighbors:
    """dn2: the mean squared distance to the k nearest reference items, searched class by class.

    A search among several classes is put together from those in each of them, which are kept as long as the queries are
    the same; not so in a whitening, which is that of the whole reference set."""

    random = False

    def __init__(self, bench: Bench) -> None:
        self.name = bench.name
        self._bench = bench
        self._queries = np.empty(0, np.int64)
        self._found: dict[tuple[int, bytes], Vectors] = {}

    def scores(self, split: Split, seed: int) -> Scores:
        """Return the mean squared L2 distances, (n_queries,)."""
        labels = self._bench.data.labels[split.reference]
        k = self._bench.neighbors_among(len(labels))
        check_neighbors(k, len(labels), "the reference set")
        if self._bench.whitens_among(len(labels)):
            reference, queries = (rows_of(self._bench.vectors, part) for part in (split.reference, split.queries))
            return mean_squared_distance(whitened_distances(reference, queries, k))
        if not np.array_equal(split.queries, self._queries):
            self._queries = split.queries
            self._found.clear()
        parts = [self._search(label, split.reference[labels == label]) for label in np.unique(labels).tolist()]
        return mean_squared_distance(merged(parts, k))

    def _search(self, label: int, reference: Positions) -> Vectors:
        key = (label, reference.tobytes())
        if key not in self._found:
            rows = rows_of(self._bench.vectors, reference)
            queries = rows_of(self._bench.vectors, self._queries)
            self._found[key] = nearest_distances(rows, queries, self._bench.n_neighbors)
        return self._found[key]


def one_class(bench: Bench) -> Result:
    """Take each class as normal in turn, and all others as anomalous."""
    result = Result("One class normal", "normal class")
    _compare(bench, result, [(name, (name,)) for name in bench.data.normal], _methods(bench))
    return result


def multimodal(bench: Bench) -> Result:
    """Take all classes but one as normal, each being left out in turn.

    Where some classes cannot or shall not be normal, the normal ones are taken together, once.
    Raises InputError if that leaves one normal class."""
    data = bench.data
    if len(data.normal) == len(data.classes):
        sets = [(f"all but {out}", tuple(name for name in data.classes if name != out)) for out in data.classes]
    else:
        sets = [(" + ".join(data.normal), data.normal)]
    if len(sets[0][1]) < 2:
        raise InputError(
            f"{data.folder}: several classes together are to be normal, and there is but one; use one-class, or choose "
            "more with --classes and --normal"
        )
    result = Result("Several classes normal", "normal classes")
    _compare(bench, result, sets, _methods(bench))
    return result


def backbones(benches: Iterable[Bench]) -> Result:
    """Take each class as normal in turn, in the embeddings of several backbones."""
    result = Result("Backbones, one class normal", "normal class")
    for bench in benches:
        sets = [(name, (name,)) for name in bench.data.normal]
        _compare(bench, result, sets, _methods(bench))
    return result


def _methods(bench: Bench) -> list[Method]:
    return [NearestNeighbors(bench), *bench.rivals]


def _compare(bench: Bench, result: Result, sets: NormalSets, methods: Sequence[Method]) -> None:
    runs = [(method, seed) for method in methods for seed in bench.draws(method.random)]
    with bench.watch("classes") as show:
        done = 0
        for method, seed in runs:
            for setting, normal in sets:
                split = bench.data.split(normal, seed)
                with timed(result, method.name):
                    scores = method.scores(split, seed or 0)
                result.measurements.append(measured(method.name, setting, "+".join(normal), seed, split, scores))
                done += 1
                show(done, len(runs) * len(sets))

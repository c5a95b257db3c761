"""Protocols over classes: one class normal, all but one normal, and the same by several backbones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from dn2.arrays import Distances, Positions, Scores
from dn2.bench.context import Method
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import merge_nearest, nearest_distances, rows_of
from dn2.bench.split import Split
from dn2.errors import InputError
from dn2.kinds.image.bench import BACKBONES, MULTIMODAL, ONE_CLASS
from dn2.kinds.image.bench.pictures import Bench
from dn2.system.interface import option

# Rows of the table: a name, and the classes that are normal.
NormalSets = Sequence[tuple[str, tuple[str, ...]]]


class NearestNeighbors:
    """dn2; where it compares with all rows, it searches class by class.

    A search among several classes merges the searches in each class, which are kept while the queries stay the same."""

    random = False

    def __init__(self, bench: Bench) -> None:
        self.name = bench.name
        self._bench = bench
        self._queries = np.empty(0, np.int64)
        self._found: dict[tuple[int, bytes], Distances] = {}

    def scores(self, split: Split, seed: int) -> Scores:
        """See `Method`.  Raises ReferenceTooSmall."""
        return self._bench.scores(split, partial(self._find_nearest, split))

    def _find_nearest(self, split: Split, k: int) -> Distances:
        if not np.array_equal(split.queries, self._queries):
            self._queries = split.queries
            self._found.clear()
        labels = self._bench.data.labels[split.reference]
        parts = [self._search(label, split.reference[labels == label]) for label in np.unique(labels).tolist()]
        return merge_nearest(parts, k)

    def _search(self, label: int, reference: Positions) -> Distances:
        key = (label, reference.tobytes())
        if key not in self._found:
            rows = rows_of(self._bench.vectors, reference)
            queries = rows_of(self._bench.vectors, self._queries)
            self._found[key] = nearest_distances(rows, queries, self._bench.most_neighbors)
        return self._found[key]


def one_class(bench: Bench) -> Result:
    """Take each class as normal in turn, and all others as anomalous."""
    result = Result(ONE_CLASS.title, "normal class", notes=bench.notes())
    _compare(bench, result, [(name, (name,)) for name in bench.data.normal])
    return result


def multimodal(bench: Bench) -> Result:
    """Take all classes but one as normal, leaving out each in turn.

    Where only some classes can be normal, these are normal together, in one run.
    Raises InputError if that leaves one normal class."""
    data = bench.data
    if len(data.normal) == len(data.classes):
        sets = [(f"all but {out}", tuple(name for name in data.classes if name != out)) for out in data.classes]
    else:
        sets = [(" + ".join(data.normal), data.normal)]
    if len(sets[0][1]) < 2:
        raise InputError(
            f"{data.folder}: several classes together are to be normal, and there is only one; use {ONE_CLASS.name}, "
            f"or choose more with {option('classes')} and {option('normal')}"
        )
    result = Result(MULTIMODAL.title, "normal classes", notes=bench.notes())
    _compare(bench, result, sets)
    return result


def backbones(benches: Iterable[Bench]) -> Result:
    """Take each class as normal in turn, in the embeddings of several backbones."""
    result = Result(BACKBONES.title, "normal class")
    for bench in benches:
        result.notes = bench.notes()
        _compare(bench, result, [(name, (name,)) for name in bench.data.normal])
    return result


def _compare(bench: Bench, result: Result, sets: NormalSets) -> None:
    methods: list[Method] = [NearestNeighbors(bench), *bench.rivals]
    runs = [(method, seed) for method in methods for seed in bench.draws(method.random)]
    with bench.progress_of("classes") as show:
        done = 0
        for method, seed in runs:
            for setting, normal in sets:
                split = bench.data.split(normal, seed)
                with result.timing(method.name):
                    scores = method.scores(split, seed or 0)
                result.measurements.append(Measurement.of(method.name, setting, "+".join(normal), seed, split, scores))
                done += 1
                show(done, len(runs) * len(sets))

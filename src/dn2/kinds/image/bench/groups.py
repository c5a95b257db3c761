"""Protocol: sets of pictures, one of each class or of random classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dn2.arrays import Flags, Positions, Scores, Vectors
from dn2.bench.product import check_neighbors
from dn2.bench.result import Measurement, ReportedFigures, Result
from dn2.bench.scoring import nearest_distances, roc_auc
from dn2.errors import InputError
from dn2.kinds.image.bench import GROUPS
from dn2.kinds.image.bench.pictures import Bench
from dn2.kinds.image.pooling import GEOMETRIC, MEAN, Pooling
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.detector import Detector

LARGEST = 10
REFERENCE_SETS = 500
QUERIES_OF_A_KIND = 300

POOLED = {MEAN: "pooled by the mean", GEOMETRIC: "pooled by the geometric mean"}
CONCATENATED, CEILING = "concatenated", "ceiling"


def groups(bench: Bench) -> Result:
    """Tell sets of M pictures, one of each of M classes, from sets of M pictures whose classes are random.

    Compares embeddings pooled as dn2 pools groups, and as the paper does, with embeddings concatenated in random order.
    Each seed draws the M classes, the sets, and the order.
    Raises InputError unless at least two classes can be normal."""
    classes = bench.data.normal
    if len(classes) < 2:
        raise InputError(f"{bench.data.folder}: groups takes at least 2 classes that can be normal, got {len(classes)}")
    k = bench.neighbors_among(REFERENCE_SETS)
    check_neighbors(k, REFERENCE_SETS, f"the protocol {GROUPS.name}")
    result = Result(GROUPS.title, "classes M")
    sizes = range(2, min(LARGEST, len(classes)) + 1)
    result.positions = {str(size): float(size) for size in sizes}
    runs = [(size, seed) for size in sizes for seed in range(bench.seeds)]
    with bench.progress_of("groups") as show:
        for done, (size, seed) in enumerate(runs, 1):
            _measure(bench, result, size, seed)
            show(done, len(runs))
    result.reported.append(ReportedFigures(CEILING, {str(size): ceiling(size) for size in sizes}, source="computed"))
    result.notes.append(
        f"{REFERENCE_SETS} normal sets are the reference, {QUERIES_OF_A_KIND} normal and {QUERIES_OF_A_KIND} anomalous "
        f"ones are queries; k = {k}.  An anomalous set draws its classes with replacement, so that M! of M^M of them "
        "hold one picture of each class after all: with those at one half, ROC AUC cannot exceed the ceiling."
    )
    return result


def ceiling(size: int) -> float:
    """Return the best expected ROC AUC, in [0, 1]: 1 less half the share of anomalous sets that equal a normal one."""
    return 1 - 0.5 * math.factorial(size) / math.pow(size, size)


def draw_sets(rng: np.random.Generator, pictures: Sequence[Positions], count: int, *, normal: bool) -> Positions:
    """Draw sets of pictures in random order: (count, M) positions.

    pictures : the positions of the pictures of each of the M classes.
    normal : whether a set has one of each class, rather than random classes."""
    size = len(pictures)
    sets = np.empty((count, size), np.int64)
    for row in sets:
        drawn = rng.permutation(size) if normal else rng.integers(size, size=size)
        row[:] = [rng.choice(pictures[place]) for place in drawn]
    return sets


def _measure(bench: Bench, result: Result, size: int, seed: int) -> None:
    rng = np.random.default_rng([seed, size])
    chosen = sorted(rng.permutation(len(bench.data.normal))[:size].tolist())
    names = [bench.data.normal[place] for place in chosen]
    splits = [bench.data.split((name,), seed) for name in names]
    reference = draw_sets(rng, [split.reference for split in splits], REFERENCE_SETS, normal=True)
    held_out = [split.queries[~split.truth] for split in splits]
    queries = np.concatenate([draw_sets(rng, held_out, QUERIES_OF_A_KIND, normal=kind) for kind in (True, False)])
    truth: Flags = np.arange(len(queries)) >= QUERIES_OF_A_KIND
    for method, scores_of_sets in _methods(bench).items():
        with result.timing(method):
            auc = roc_auc(scores_of_sets(reference, queries), truth)
        result.measurements.append(Measurement(method, str(size), "+".join(names), seed, len(reference), auc))


def _methods(bench: Bench) -> dict[str, Callable[[Positions, Positions], Scores]]:
    """List the functions that score sets, (n, M) positions: dn2's groups, the paper's pooling, concatenation."""
    pooling = bench.kind.pooling
    assert pooling is not None, "the kind is that of groups"
    paper = replace(pooling, pooling=MEAN)
    methods: dict[str, Callable[[Positions, Positions], Scores]] = {
        POOLED[pooling.pooling]: partial(score_as_product, bench)
    }
    if paper != pooling:
        methods[POOLED[MEAN]] = partial(score_by_nearest, bench, partial(pool_sets, paper))
    return methods | {CONCATENATED: partial(score_by_nearest, bench, concatenate_sets)}


def score_as_product(bench: Bench, reference: Positions, queries: Positions) -> Scores:
    """Score groups as a model of `dn2.fit` does, with `groups`."""
    assert bench.kind.pooling is not None, "the kind is that of groups"
    reference_rows, query_rows = (pool_sets(bench.kind.pooling, bench.vectors, sets) for sets in (reference, queries))
    return Detector.fit(bench.kind.steps(bench.options, len(reference_rows)), reference_rows).anomaly_score(query_rows)


def score_by_nearest(
    bench: Bench, join: Callable[[Vectors, Positions], Vectors], reference: Positions, queries: Positions
) -> Scores:
    """Score sets that `join` turns into rows, with the same number of neighbours."""
    k = bench.neighbors_among(len(reference))
    return mean_squared_distance(nearest_distances(join(bench.vectors, reference), join(bench.vectors, queries), k))


def pool_sets(pooling: Pooling, vectors: Vectors, sets: Positions) -> Vectors:
    """Pool the embeddings of each set, (n, M) positions: (n, d)."""
    return np.stack([pooling.pool(vectors[row]) for row in sets])


def concatenate_sets(vectors: Vectors, sets: Positions) -> Vectors:
    """Join the embeddings of each set, (n, M) positions, in their order: (n, M * d)."""
    return vectors[sets].reshape(len(sets), -1)

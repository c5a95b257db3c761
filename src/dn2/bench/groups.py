"""Protocol: sets of pictures, one of each class or as chance has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dn2.bench.context import Bench, timed
from dn2.bench.data import Flags, Positions
from dn2.bench.result import Measurement, Reported, Result
from dn2.bench.scoring import check_neighbors, nearest_distances, roc_auc
from dn2.embedding import Vectors
from dn2.errors import InputError
from dn2.neighbors.conformal import mean_squared_distance
from dn2.neighbors.groups import GEOMETRIC, MEAN, Pooling

LARGEST = 10
REFERENCE_SETS = 500
QUERIES_OF_A_KIND = 300

POOLED = {MEAN: "pooled by the mean", GEOMETRIC: "pooled by the geometric mean"}
CONCATENATED, CEILING = "concatenated", "ceiling"


def groups(bench: Bench) -> Result:
    """Tell sets of M pictures, one of each of M classes, from sets of M pictures of as many classes as chance has it.

    Compares embeddings pooled as dn2 pools groups, and as the paper does, with embeddings concatenated in random order.
    Each seed draws the M classes, the sets, and the order.  Raises InputError for fewer than two classes that can be
    normal."""
    classes = bench.data.normal
    if len(classes) < 2:
        raise InputError(f"{bench.data.folder}: groups takes at least 2 classes that can be normal, got {len(classes)}")
    check_neighbors(bench.n_neighbors, REFERENCE_SETS, "the protocol groups")
    result = Result("Groups: one picture of each of M classes", "classes M")
    sizes = range(2, min(LARGEST, len(classes)) + 1)
    result.positions = {str(size): float(size) for size in sizes}
    runs = [(size, seed) for size in sizes for seed in range(bench.seeds)]
    with bench.watch("groups") as show:
        for done, (size, seed) in enumerate(runs, 1):
            _measure(bench, result, size, seed)
            show(done, len(runs))
    result.reported.append(Reported(CEILING, {str(size): ceiling(size) for size in sizes}, source="computed"))
    result.notes.append(
        f"{REFERENCE_SETS} normal sets are the reference, {QUERIES_OF_A_KIND} normal and {QUERIES_OF_A_KIND} anomalous "
        f"ones are queries; k = {bench.n_neighbors}.  An anomalous set draws its classes with replacement, so that "
        "M! of M^M of them hold one picture of each class after all: with those at one half, ROC AUC cannot exceed "
        "the ceiling."
    )
    return result


def ceiling(size: int) -> float:
    """Return the best expected ROC AUC, in [0, 1]: 1 less half the share of anomalous sets that equal a normal one."""
    return 1 - 0.5 * math.factorial(size) / math.pow(size, size)


def draw_sets(rng: np.random.Generator, pictures: Sequence[Positions], count: int, *, normal: bool) -> Positions:
    """Draw sets of pictures in random order: (count, M) positions.

    pictures : the positions of those of each of the M classes.  normal : one of each class, else as chance has it."""
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
    for method, join in _ways(bench.normalization).items():
        with timed(result, method):
            near = nearest_distances(join(bench.vectors, reference), join(bench.vectors, queries), bench.n_neighbors)
            auc = roc_auc(mean_squared_distance(near), truth)
        result.measurements.append(Measurement(method, str(size), "+".join(names), seed, len(reference), auc))


def _ways(normalization: str) -> dict[str, Callable[[Vectors, Positions], Vectors]]:
    """List how sets become rows: as dn2 pools them, as the paper does, and concatenated."""
    own = Pooling.of(normalization)
    ways = {POOLED[way.pooling]: partial(pooled, way) for way in (own, replace(own, pooling=MEAN))}
    return {**ways, CONCATENATED: concatenated}


def pooled(pooling: Pooling, vectors: Vectors, sets: Positions) -> Vectors:
    """Pool the embeddings of each set, (n, M) positions: (n, d)."""
    return np.stack([pooling.pool(vectors[row]) for row in sets])


def concatenated(vectors: Vectors, sets: Positions) -> Vectors:
    """Join the embeddings of each set, (n, M) positions, in their order: (n, M * d)."""
    return vectors[sets].reshape(len(sets), -1)

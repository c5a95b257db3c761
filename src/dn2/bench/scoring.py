"""Scores and how well they tell anomalies apart, without the p-values that a bench does not need."""

from __future__ import annotations

import numpy as np

from dn2.bench.data import Flags, Positions
from dn2.embedding import Vectors
from dn2.errors import ReferenceTooSmall
from dn2.neighbors.blocks import Block
from dn2.neighbors.conformal import Scores
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.plan import Plan, split


def nearest_distances(reference: Vectors, queries: Vectors, k: int) -> Vectors:
    """Search exactly for each query's k nearest, or all if there are fewer.

    Returns squared L2 distances, (n_queries, k), ascending."""
    return ExactIndex([reference]).search(queries, min(k, len(reference)))[0]


def whitened_distances(reference: Vectors, queries: Vectors, k: int) -> Vectors:
    """Search as `nearest_distances` does, in the whitening that a random half of the reference rows teaches."""
    blocks = [Block(reference)]
    nothing = np.empty(0, np.int64)
    learnt = Plan(False, None, None, None, whiten=True).learn(blocks, *split(blocks, 0), nothing)
    return learnt.index(blocks).search(learnt.compared(queries), min(k, len(reference)))[0]


def merged(parts: list[Vectors], k: int) -> Vectors:
    """Merge the nearest distances to parts of a reference set into those to all of it, (n_queries, k)."""
    if len(parts) == 1:
        return parts[0][:, :k]
    return np.sort(np.concatenate(parts, axis=1), axis=1)[:, :k]


def roc_auc(scores: Scores, truth: Flags) -> float:
    """Return the area under the ROC curve, in [0, 1]; truth : (n,) bool, anomalous."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores))


def average_precision(scores: Scores, truth: Flags) -> float:
    """Return the area under the precision-recall curve as steps, in [0, 1]; truth : (n,) bool, anomalous."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores))


def f1_of_as_many(scores: Scores, truth: Flags) -> float:
    """Return the F1, in [0, 1], where as many are flagged as there are anomalies, the highest scores first.

    Of equal scores the normal ones are flagged first: scores that tell nothing apart earn nothing.
    truth : (n,) bool, anomalous."""
    from sklearn.metrics import f1_score

    flagged = np.zeros(len(truth), bool)
    flagged[np.lexsort((truth, -scores))[: truth.sum()]] = True
    return float(f1_score(truth, flagged))


def check_neighbors(k: int, n: int, what: str) -> None:
    """Raise ReferenceTooSmall if a reference set of n items has no k neighbours; what : the set, in words."""
    if k > n:
        raise ReferenceTooSmall(
            f"{k} neighbours need at least {k} reference items, {what} has {n}; add more, choose other classes with "
            "--classes and --normal, or ask for fewer with --neighbors"
        )


def rows_of(vectors: Vectors, places: Positions) -> Vectors:
    """Gather rows, contiguous as the search wants them."""
    return np.ascontiguousarray(vectors[places])

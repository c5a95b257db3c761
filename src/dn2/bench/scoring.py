"""Figures of merit of scores, and plain searches for rivals."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Distances, Flags, Positions, Scores, Vectors
from dn2.neighbors.search.exact import ExactIndex


def nearest_distances(reference: Vectors, queries: Vectors, k: int) -> Distances:
    """Search exactly for the k nearest rows of each query, or for all rows if there are fewer.

    Parameters
    ----------
    reference : ndarray of shape (n, d), float32
    queries : ndarray of shape (n_queries, d), float32
    k : int
        Number of neighbours.

    Returns
    -------
    ndarray of shape (n_queries, min(k, n))
        Squared L2 distances, ascending; each depends only on its pair."""
    return ExactIndex([reference]).search(queries, min(k, len(reference)))[0]


def merge_nearest(parts: list[Distances], k: int) -> Distances:
    """Merge the nearest distances to parts of a reference set into the nearest to all of it.

    Parameters
    ----------
    parts : list of ndarray of shape (n_queries, k_i)
        Each ascending.
    k : int
        Number of neighbours.

    Returns
    -------
    ndarray of shape (n_queries, k)
        Ascending; with fewer columns where the parts have fewer together."""
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
    """Return the F1, in [0, 1], of flagging as many items as there are anomalies, the highest scores first.

    Of equal scores normal items are flagged first, so that constant scores earn nothing.
    truth : (n,) bool, anomalous."""
    from sklearn.metrics import f1_score

    flagged = np.zeros(len(truth), bool)
    flagged[np.lexsort((truth, -scores))[: truth.sum()]] = True
    return float(f1_score(truth, flagged))


def rows_of(vectors: Vectors, places: Positions) -> Vectors:
    """Gather rows into a contiguous array, which the search needs."""
    return np.ascontiguousarray(vectors[places])

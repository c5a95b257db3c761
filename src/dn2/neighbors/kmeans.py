"""Centroids in place of a reference set."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from dn2.errors import ReferenceTooSmall
from dn2.neighbors.blocks import Positions, Vectors
from dn2.neighbors.exact import ExactIndex


def find_centroids(rows: Vectors, count: int) -> tuple[Vectors, Positions]:
    """Cluster rows, (n, d) float32, by k-means.

    Returns the centroids, (count, d) or fewer if fewer rows differ, and for each the row nearest to it, which stands
    for it as evidence.  The same rows give the same centroids, bit for bit: one thread adds them up.
    Raises ReferenceTooSmall for more centroids than rows.  Source: DN2, the k-means reduction."""
    if count > len(rows):
        raise ReferenceTooSmall(
            f"{count} centroids need at least {count} reference items to be learnt from, got {len(rows)}, a random "
            "half of them; add more or ask for fewer centroids"
        )
    # By a power of 2, which rounds nothing: sums of squares neither overflow nor vanish.
    exponent = np.frexp(np.abs(rows).max())[1]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than centroids
        labels = KMeans(count, n_init=1, random_state=0).fit_predict(np.ldexp(rows, -exponent))
    # scikit-learn's own lie elsewhere where it moved an empty cluster to a row of which there are copies.
    means = [rows[labels == label].mean(axis=0, dtype=np.float64) for label in np.unique(labels)]
    centroids = np.unique(np.stack(means).astype(np.float32), axis=0)
    return centroids, ExactIndex([rows]).search(centroids, 1)[1][:, 0]

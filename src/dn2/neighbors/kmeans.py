"""Centroids in place of a reference set."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.exact import ExactIndex, Positions, Vectors


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
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than centroids
        fitted = KMeans(count, n_init=1, random_state=0).fit(rows)
    centroids = np.ascontiguousarray(fitted.cluster_centers_[np.unique(fitted.labels_)], np.float32)
    return centroids, ExactIndex([rows]).search(centroids, 1)[1][:, 0]


def parse_index(index: str) -> int | None:
    """Return the number of centroids of `kmeans:C`, None for `auto` and `exact`.  Raises InputError otherwise."""
    kind, _, count = index.partition(":")
    if index in ("auto", "exact"):
        return None
    if kind == "kmeans" and count.isdecimal() and 0 < int(count) < 1 << 31:
        return int(count)
    raise InputError(f"the index must be auto, exact or kmeans:C with C centroids, such as kmeans:100, got {index!r}")

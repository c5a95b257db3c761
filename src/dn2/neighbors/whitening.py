"""Partial whitening: directions in which near items differ much count for less."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from dn2.neighbors.blocks import Vectors
from dn2.neighbors.exact import ExactIndex

# The power of a direction's variance, over the mean one, that coordinates are divided by: 1/2 would whiten in full.
POWER = 0.25
NEIGHBORS = 50
MOST_DIRECTIONS = 512

# More rows would cost and not tell the directions better.
MOST_ROWS = 6_000


def find_whitening(rows: Vectors) -> tuple[Vectors, Vectors]:
    """Find the directions in which rows, (n, d), differ from their neighbours more than in the mean direction.

    Returns the directions, (r, d) float32, orthonormal, and what to multiply coordinates along them by, (r,) in
    (0, 1]; none where neighbours are all alike."""
    nothing = np.empty((0, rows.shape[1]), np.float32), np.empty(0, np.float32)
    if len(rows) < 2:
        return nothing
    # By a power of 2, which rounds nothing: squares neither overflow nor vanish.
    differences = _differences(np.ldexp(rows, -np.frexp(np.abs(rows).max())[1]))
    mean = differences.var(axis=0, ddof=1, dtype=np.float64).mean()
    if mean == 0:
        return nothing
    count = min(MOST_DIRECTIONS, len(rows) - 1, rows.shape[1])
    found = PCA(count, svd_solver="randomized", random_state=0).fit(differences)
    strong = found.explained_variance_ > mean
    factors = (found.explained_variance_[strong] / mean) ** -POWER
    return np.ascontiguousarray(found.components_[strong], np.float32), factors.astype(np.float32)


def _differences(rows: Vectors) -> Vectors:
    """Subtract from each row the mean of its nearest others."""
    n = len(rows)
    _, near = ExactIndex([rows]).search(rows, min(NEIGHBORS, n - 1), exclude=np.arange(n))
    means = np.zeros_like(rows)
    for places in near.T:
        means += rows[places]
    differences: Vectors = rows - means / np.float32(near.shape[1])
    return differences


def whiten(rows: Vectors, directions: Vectors, factors: Vectors) -> Vectors:
    """Multiply the coordinates of rows, (n, d), along some directions, (r, d), by factors, (r,).

    Row by row: a product of matrices may round a row otherwise in other company, and a copy would then not lie at
    distance 0."""
    if not len(factors):
        return rows
    along = np.matmul(rows[:, None], directions.T)
    whitened: Vectors = rows + np.matmul(along * (factors - 1), directions)[:, 0]
    return whitened

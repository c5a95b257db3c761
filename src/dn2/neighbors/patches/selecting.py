"""A few patches that stand for many: greedy k-centre selection."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Positions, Vectors


def select(rows: Vectors, count: int, seed: int = 0, distances: Vectors | None = None) -> Positions:
    """Choose rows, (n, d), each the farthest from all chosen before: (count,) positions, in the order of choice.

    distances : (n,) squared, to what is chosen already; None for nothing, so that the first is drawn at random.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; Sener and Savarese, 2018."""
    n = len(rows)
    if count >= n:
        return np.arange(n, dtype=np.int64)
    squares = np.einsum("ij,ij->i", rows, rows)
    chosen = [int(np.random.default_rng(seed).integers(n) if distances is None else distances.argmax())]
    distances = np.full(n, np.inf, np.float32) if distances is None else distances.copy()
    while len(chosen) < count:
        latest = chosen[-1]
        np.minimum(distances, squares - 2 * (rows @ rows[latest]) + squares[latest], out=distances)
        chosen.append(int(distances.argmax()))
    return np.array(chosen[:count], np.int64)

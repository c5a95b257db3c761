"""A few patches that stand for many: greedy k-centre selection, some hundred at a time."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Positions, Vectors

# Of the patches that lie farthest from those chosen, so many times as many are looked at as are chosen at a time.
CANDIDATES = 8
MOST_AT_ONCE = 32


def select(rows: Vectors, count: int, seed: int = 0, distances: Vectors | None = None) -> Positions:
    """Choose rows, (n, d), each far from those chosen before: (count,) positions, in the order of choice.

    distances : (n,) squared, to what is chosen already; None for nothing, so that the first is drawn at random.

    Greedy selection takes the row farthest from all chosen, one by one, and compares it with all rows: each comparison
    reads them all.  Here up to `MOST_AT_ONCE` are chosen greedily among the farthest few hundred, and all are compared
    with them at once; none is chosen that lies nearer than a row that was not looked at.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; Sener and Savarese, 2018."""
    n = len(rows)
    if count >= n:
        return np.arange(n, dtype=np.int64)
    squares = np.einsum("ij,ij->i", rows, rows)
    new: list[int] = []
    if distances is None:
        distances, new = np.full(n, np.inf, np.float32), [int(np.random.default_rng(seed).integers(n))]
    distances, chosen = distances.copy(), list(new)
    while len(chosen) < count:
        if new:
            _update(distances, rows, squares, new)
        looked_at = min(CANDIDATES * MOST_AT_ONCE, n)
        candidates = np.argpartition(-distances, looked_at - 1)[:looked_at]
        most = min(MOST_AT_ONCE, max(1, len(chosen) // 2), count - len(chosen))
        new = _farthest(rows[candidates], distances[candidates], candidates, most)
        chosen += new
    return np.array(chosen, np.int64)


def _update(distances: Vectors, rows: Vectors, squares: Vectors, new: list[int]) -> None:
    """Take the distances to newly chosen rows into account."""
    products = rows @ rows[new].T
    products *= -2
    products += squares[new]
    np.minimum(distances, products.min(axis=1) + squares, out=distances)


def _farthest(rows: Vectors, distances: Vectors, positions: Positions, most: int) -> list[int]:
    """Choose greedily among candidates, as long as none that was left out can lie farther."""
    distances, least = distances.copy(), distances.min()
    squares = np.einsum("ij,ij->i", rows, rows)
    new: list[int] = []
    while len(new) < most:
        place = int(distances.argmax())
        if new and distances[place] < least:
            break
        new.append(int(positions[place]))
        np.minimum(distances, squares - 2 * (rows @ rows[place]) + squares[place], out=distances)
    return new

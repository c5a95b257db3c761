"""Partial whitening: directions in which near items differ much count for less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dn2.arrays import Array, Vectors
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded

# The power of a direction's variance, over the mean one, that coordinates are divided by: 1/2 would whiten in full.
POWER = 0.25
NEIGHBORS = 50
MOST_DIRECTIONS = 512

# More rows would cost and not tell the directions better.
MOST_ROWS = 6_000


@dataclass(frozen=True)
class Whitening:
    """Directions in which near rows differ much, and how much less they count.

    directions : (r, d) float32, orthonormal; factors : (r,) float32 in (0, 1], what coordinates along them are
    multiplied by."""

    directions: Vectors
    factors: Vectors

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, directions: Vectors, factors: Vectors) -> Self:
        """Restore what `as_arrays` gave."""
        return cls(directions, factors)

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        count = len(self.directions)
        if not count or self.directions.shape != (count, dimension) or self.factors.shape != (count,):
            shapes = f"{self.directions.shape} and {self.factors.shape}"
            raise ValueError(f"directions and factors of {shapes} for dimension {dimension}")
        if not {self.factors.dtype, self.directions.dtype} == {np.dtype(np.float32)}:
            raise ValueError("directions and factors must be float32")
        if not np.isfinite(self.directions).all() or not ((self.factors > 0) & (self.factors <= 1)).all():
            raise ValueError("directions must be finite, and factors lie in 0 ... 1")

    def apply(self, rows: Vectors) -> Vectors:
        """Return whitened rows, (n, d).

        Row by row: a product of matrices may round a row otherwise in other company, and a copy would then not lie at
        distance 0."""
        along = np.matmul(rows[:, None], self.directions.T)
        whitened: Vectors = rows + np.matmul(along * (self.factors - 1), self.directions)[:, 0]
        return whitened


def find_whitening(rows: Vectors) -> Whitening | None:
    """Find the directions in which rows, (n, d), differ from their neighbours more than in the mean direction.

    Returns None where neighbours differ as much in all directions, or are all alike."""
    from sklearn.decomposition import PCA

    if len(rows) < 2:
        return None
    # By a power of 2, which rounds nothing: squares neither overflow nor vanish.
    differences = _differences(np.ldexp(rows, -np.frexp(np.abs(rows).max())[1]))
    mean = differences.var(axis=0, ddof=1, dtype=np.float64).mean()
    if mean == 0:
        return None
    count = min(MOST_DIRECTIONS, len(rows) - 1, rows.shape[1])
    main = PCA(count, svd_solver="randomized", random_state=0).fit(differences)
    strong = main.explained_variance_ > mean
    if not strong.any():
        return None
    factors = (main.explained_variance_[strong] / mean) ** -POWER
    return Whitening(np.ascontiguousarray(main.components_[strong], np.float32), factors.astype(np.float32))


def _differences(rows: Vectors) -> Vectors:
    """Subtract from each row the mean of its nearest others."""
    n = len(rows)
    _, near = ExactIndex([rows]).search(rows, min(NEIGHBORS, n - 1), Excluded.own(np.arange(n)))
    means = np.zeros_like(rows)
    for places in near.T:
        means += rows[places]
    differences: Vectors = rows - means / np.float32(near.shape[1])
    return differences

"""Centroids in place of a reference set."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from dn2.arrays import Array, Positions, Vectors
from dn2.errors import ReferenceTooSmall
from dn2.neighbors.blocks import Block, renumbered
from dn2.neighbors.checks import check_stored_positions
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.selected import SelectedIndex


@dataclass(frozen=True)
class Centroids:
    """Means that take the place of the items of a reference set.

    means : (C, d) float32, as rows are compared; representatives : (C,) positions of the items that stand for them."""

    means: Vectors
    representatives: Positions

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, means: Vectors, representatives: Positions) -> Self:
        """Restore what `as_arrays` gave."""
        return cls(means, representatives)

    def check(self, n: int, dimension: int) -> None:
        """Raise ValueError unless n rows of a dimension can teach this."""
        count = len(self.means)
        if not count or self.means.shape != (count, dimension) or self.representatives.shape != (count,):
            shapes = f"{self.means.shape} and {self.representatives.shape}"
            raise ValueError(f"centroids and their representatives of {shapes} for dimension {dimension}")
        if self.means.dtype != np.float32 or not np.isfinite(self.means).all():
            raise ValueError("centroids must be finite float32")
        check_stored_positions(self.representatives, n)

    def index(self) -> SelectedIndex:
        """Return the index of the centroids."""
        return SelectedIndex(self.means, self.representatives)

    def nearest(self, rows: Vectors, k: int) -> Vectors:
        """Return the centroids nearest to rows, (n, d): (n, k, d)."""
        return self.means[ExactIndex([self.means]).search(rows, k)[1]]

    def after_removing(
        self, removed: Positions, blocks: Sequence[Block], compared: Callable[[Vectors], Vectors]
    ) -> Self:
        """Renumber representatives once items at some positions, ascending, are gone.

        blocks : the rows that are left; compared : what brings rows into the form in which they are compared.
        A centroid whose representative is gone is represented by the item that lies nearest to it now."""
        gone = np.isin(self.representatives, removed)
        representatives = renumbered(self.representatives, removed)
        if gone.any():
            left = ExactIndex([compared(np.asarray(block)) for block in blocks])
            representatives[gone] = left.search(self.means[gone], 1)[1][:, 0]
        return replace(self, representatives=representatives)


def find_centroids(rows: Vectors, count: int) -> tuple[Vectors, Positions]:
    """Cluster rows, (n, d) float32, by k-means.

    Returns the centroids, (count, d) or fewer if fewer rows differ, and for each the row nearest to it, which stands
    for it as evidence.  The same rows give the same centroids, bit for bit: one thread adds them up.
    Raises ReferenceTooSmall for more centroids than rows.  Source: DN2, the k-means reduction."""
    from sklearn.cluster import KMeans  # takes a second
    from sklearn.exceptions import ConvergenceWarning

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

"""What every way to search a reference set has in common."""

from __future__ import annotations

from typing import Protocol

from dn2.arrays import Distances, Positions, Vectors
from dn2.neighbors.search.excluded import Excluded


class Index(Protocol):
    """A reference set that is ready to be searched."""

    def __len__(self) -> int:
        """The number of rows."""

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query.

        queries : (n_queries, d) float32, C-contiguous.
        excluded : what each query excludes, for leave-one-out.
        Returns squared L2 distances and positions, both (n_queries, k), nearest first, ties broken by position.
        k must not exceed the number of rows that are left."""

"""What every way to search a reference set has in common."""

from __future__ import annotations

from typing import Protocol

from dn2.arrays import Distances, Positions, Vectors


class Index(Protocol):
    """A reference set that is ready to be searched."""

    def __len__(self) -> int:
        """The number of rows."""

    def search(self, queries: Vectors, k: int, exclude: Positions | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query.

        queries : (n_queries, d) float32, C-contiguous.
        exclude : (n_queries,) the position that is excluded of each query, for leave-one-out, -1 for no position; or
            (n_queries, 2) the first excluded position, and the one past the last, as for windows of series.
        Returns squared L2 distances and positions, both (n_queries, k), nearest first, ties broken by position.
        k must not exceed the number of rows that are left."""

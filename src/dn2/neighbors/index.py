"""What every way to search a reference set has in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dn2.neighbors.blocks import Positions, Vectors
from dn2.neighbors.exact import Distances

Progress = Callable[[int, int], None]  # called with (done, total)


class Index(Protocol):
    """A reference set that is ready to be searched."""

    def __len__(self) -> int:
        """The number of rows."""

    def search(self, queries: Vectors, k: int, exclude: Positions | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query.

        queries : (n_queries, d) float32, C-contiguous.
        exclude : (n_queries,) the position that is no neighbour of each query, for leave-one-out; where windows of
        series are searched, (n_queries, 2) the first of several, and the one past the last.
        Returns squared L2 distances and positions, both (n_queries, k), nearest first, ties broken by position.
        k must not exceed the number of rows (less the excluded ones)."""

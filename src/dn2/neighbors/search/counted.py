"""Items that count as several: what a person told to be normal is near enough by itself."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Distances, Flags, Positions, Vectors
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.index import Index


class CountedIndex:
    """Finds what an index would if some items lay in it several times.

    index : searches all items; flags : (n,) which of them count so; times : how often."""

    def __init__(self, index: Index, flags: Flags, times: int) -> None:
        self._index, self._flags, self._times = index, flags, times

    def __len__(self) -> int:
        return len(self._index)

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """Find the k nearest rows of each query: see `Index.search`; an item that counts as several comes as often."""
        distances, positions = self._index.search(queries, k, excluded)
        counts = np.where(self._flags[positions], self._times, 1)
        ends = np.cumsum(counts, axis=1)
        places = (np.arange(k)[None, :, None] >= ends[:, None, :]).sum(axis=2)  # of each neighbour among those found
        return np.take_along_axis(distances, places, axis=1), np.take_along_axis(positions, places, axis=1)

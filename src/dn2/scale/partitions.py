"""A reference set in partitions, each searched by an actor of its own, for sets that no machine should hold whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from dn2.arrays import Distances, Positions, Vectors
from dn2.errors import ClusterError
from dn2.neighbors.blocks import Block, first_positions
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.scale.starting import in_short
from dn2.system.processes import limit_cpus

FREE_SHARE = 0.5  # of the processors, which partitions leave to workers that embed


class HasBlocks(Protocol):
    """A reference set, as each process opens it."""

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks of its reference set, mapped from its files."""


class Partition:
    """Searches some of the blocks of a reference set, of which it reads no others.

    first, last : the blocks from one to before another."""

    def __init__(self, reference: HasBlocks, first: int, last: int) -> None:
        limit_cpus(1)
        blocks = reference.blocks
        starts = first_positions(blocks)
        self._rows = int(starts[first]), int(starts[last])
        self._index = ExactIndex(blocks[first:last])

    def search(self, queries: Vectors, k: int, excluded: Excluded | None) -> tuple[Distances, Positions]:
        """Find up to k nearest rows of each query: see `Index.search`; positions are those in the whole set."""
        own = None if excluded is None else excluded.within(*self._rows)
        distances, positions = self._index.search(np.ascontiguousarray(queries), min(k, len(self._index)), own)
        return distances, positions + self._rows[0]


class PartitionedIndex:
    """Gives queries to all partitions and merges what they find: the same bits as the search of the whole set."""

    def __init__(self, ray: Any, partitions: Sequence[Any], n: int) -> None:
        self._ray, self._partitions, self._n = ray, partitions, n

    def __len__(self) -> int:
        return self._n

    def search(self, queries: Vectors, k: int, excluded: Excluded | None = None) -> tuple[Distances, Positions]:
        """See `Index`."""
        asked, kept = self._ray.put(queries), self._ray.put(excluded)
        try:
            found = self._ray.get([one.search.remote(asked, k, kept) for one in self._partitions])
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"the cluster failed: {in_short(error)}") from error
        distances, positions = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        nearest = np.lexsort((positions, distances), axis=-1)[:, :k]
        return np.take_along_axis(distances, nearest, axis=1), np.take_along_axis(positions, nearest, axis=1)


@contextmanager
def partitioned(ray: Any, reference: HasBlocks, count: int, cpus: int) -> Iterator[PartitionedIndex]:
    """Start the partitions of a reference set, about as large as each other, and end them.

    count : of them, at most; cpus : of the cluster."""
    starts = first_positions(reference.blocks)
    bounds = np.unique(np.searchsorted(starts, np.linspace(0, starts[-1], count + 1)))
    actor = ray.remote(
        num_cpus=min(1.0, round((1 - FREE_SHARE) * cpus / count, 3)),
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy="SPREAD",
    )(Partition)
    shared = ray.put(reference)
    partitions = [actor.remote(shared, first, last) for first, last in pairwise(bounds.tolist())]
    try:
        yield PartitionedIndex(ray, partitions, int(starts[-1]))
    finally:
        for one in partitions:
            ray.kill(one)

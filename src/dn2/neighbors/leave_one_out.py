"""Each reference item among the others: its neighbours, kept up to date as items come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from dn2.arrays import Distances, Positions, Progress, Vectors
from dn2.neighbors.blocks import Block, BlocksInFile, renumbered, rows_at
from dn2.neighbors.choice import count_partitions
from dn2.neighbors.membership import Keys
from dn2.neighbors.search.candidates import TILE
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.index import Index
from dn2.neighbors.search.symmetric import search_all
from dn2.system.large_arrays import in_files
from dn2.system.processes import cpu_count
from dn2.system.workers import each, workers

SEARCHED_AT_ONCE = 16_384
SEARCHED_BY_ONE = 2_048  # by a worker of a cluster
WORTH_WORKERS = 1 << 30  # pairs: of fewer, the workers would take longer to start
TIMES_AS_MANY = 2  # processors as this machine has, at least: by itself it compares each pair once instead of twice
WORTH_SYMMETRY = 2 * TILE  # rows: of fewer tiles, most are compared with themselves


@dataclass(frozen=True)
class LeaveOneOut:
    """The neighbours of reference items among all other reference items.

    members : (m,) positions of the items, ascending: all of the set, or a random sample of a large one.
    distances, neighbors : (m, k) squared L2 and positions, nearest first.

    An update computes only what changed and equals a fresh computation bit for bit."""

    members: Positions
    distances: Distances
    neighbors: Positions

    @classmethod
    def of(
        cls,
        blocks: Sequence[Block],
        index: Index,
        members: Positions,
        k: int,
        exclude: Excluded | None = None,
        progress: Progress | None = None,
    ) -> LeaveOneOut:
        """Search for the neighbours of some items of a set given in blocks of (n_i, d).

        exclude : what each of them excludes from its neighbours, itself among that; by default only itself.
        progress : called with the items searched for, and how many there are."""
        partitioned, apart = _partitioned(blocks, index), is_worth_workers(len(members), index)
        is_whole = len(members) == len(index) and partitioned is None and not apart
        if isinstance(index, ExactIndex) and is_whole and len(members) >= WORTH_SYMMETRY:
            return cls(members, *search_all(index, rows_at(blocks, members), k, exclude, progress))
        excluded = Excluded.own(members) if exclude is None else exclude
        with nullcontext(index) if partitioned is None else partitioned as searched:
            return cls(members, *search_in_parts(searched, partial(rows_at, blocks), members, k, excluded, progress))

    def after_adding(
        self, blocks: Sequence[Block], index: Index, first_new: int, members: Positions, parts: Keys | None = None
    ) -> LeaveOneOut:
        """Update for items appended from position `first_new` on; `blocks` and `index` hold the grown set.

        parts : (n,) of all items, those of one part being no neighbours."""
        k = self.distances.shape[1]
        kept = np.isin(self.members, members)
        stay = self.members[kept]
        excluded = None if parts is None else Excluded.of_groups(parts[first_new:], parts[stay])
        added = rows_at(blocks, np.arange(first_new, len(index)))
        distances, neighbors = _nearest_added(added, rows_at(blocks, stay), k, excluded)
        distances = np.concatenate([self.distances[kept], distances], axis=1)
        neighbors = np.concatenate([self.neighbors[kept], neighbors + first_new], axis=1)
        order = np.lexsort((neighbors, distances), axis=-1)[:, :k]
        known = LeaveOneOut(
            stay, np.take_along_axis(distances, order, axis=1), np.take_along_axis(neighbors, order, axis=1)
        )
        return known._completed(blocks, index, members, parts)

    def after_removing(
        self,
        blocks: Sequence[Block],
        index: Index,
        removed: Positions,
        members: Positions,
        parts: Keys | None = None,
    ) -> LeaveOneOut:
        """Update for items taken away from the (old) positions `removed`; `blocks`, `index` and `parts` hold the
        smaller set."""
        intact = ~np.isin(self.members, removed) & ~np.isin(self.neighbors, removed).any(axis=1)
        known = LeaveOneOut(
            renumbered(self.members[intact], removed),
            self.distances[intact],
            renumbered(self.neighbors[intact], removed),
        )
        return known._only(members)._completed(blocks, index, members, parts)

    def _only(self, members: Positions) -> LeaveOneOut:
        kept = np.isin(self.members, members)
        return LeaveOneOut(self.members[kept], self.distances[kept], self.neighbors[kept])

    def _completed(self, blocks: Sequence[Block], index: Index, members: Positions, parts: Keys | None) -> LeaveOneOut:
        lacking = np.setdiff1d(members, self.members)
        missing = LeaveOneOut.of(blocks, index, lacking, self.distances.shape[1], excluded_of(lacking, parts))
        order = np.argsort(np.concatenate([self.members, missing.members]), kind="stable")
        return LeaveOneOut(
            members,
            np.concatenate([self.distances, missing.distances])[order],
            np.concatenate([self.neighbors, missing.neighbors])[order],
        )


def excluded_of(members: Positions, parts: Keys | None) -> Excluded | None:
    """Return what items exclude from their neighbours: all of their part; None where only themselves.

    parts : (n,) of all items; None where they have none."""
    return None if parts is None else Excluded.of_groups(parts, parts[members])


def _nearest_added(added: Vectors, rows: Vectors, k: int, exclude: Excluded | None) -> tuple[Distances, Positions]:
    """Return distances and places of up to k of the added rows nearest to each row; infinitely far where too few are
    not excluded."""
    k = min(k, len(added))
    if exclude is None or not exclude.most:
        return ExactIndex([added]).search(rows, k)
    far = np.full((len(rows), k), np.inf, np.float32), np.zeros((len(rows), k), np.int64)
    left = len(added) - (exclude.spans[:, 1] - exclude.spans[:, 0])
    for count in np.unique(left[left > 0]).tolist():
        some, near = np.flatnonzero(left == count), min(k, count)
        far[0][some, :near], far[1][some, :near] = ExactIndex([added]).search(rows[some], near, exclude[some])
    return far


def search_in_parts(
    index: Index,
    rows: Callable[[Positions], Vectors],
    members: Positions,
    k: int,
    exclude: Excluded | None,
    progress: Progress | None,
) -> tuple[Distances, Positions]:
    """Search as the index does, for so many items at a time, and tell how far it is.

    rows : gives the rows of items as they are compared; members : the items to search for; excluded : of each."""
    m, is_large = len(members), in_files() is not None  # then no worker is to hold all of the set
    distances, positions = np.empty((m, k), np.float32), np.empty((m, k), np.int64)
    apart = not is_large and is_worth_workers(m, index)
    step = SEARCHED_BY_ONE if apart or is_large else SEARCHED_AT_ONCE
    slices = [slice(start, start + step) for start in range(0, m, step)]
    parts = [_Part(members[part], None if exclude is None else exclude.spans[part]) for part in slices]
    ranks = None if exclude is None else exclude.ranks
    shared = _Search(index, rows, k, ranks)
    found = each(_search_part, shared, parts) if apart else (_search_part(shared, part) for part in parts)
    for part, (near, at) in zip(slices, found, strict=True):
        distances[part], positions[part] = near, at
        if progress is not None:
            progress(min(part.stop, m), m)
    return distances, positions


class _Search(NamedTuple):
    """What searches for items, k neighbours each: see `search_in_parts`; ranks : see `Excluded`."""

    searched: Index
    rows: Callable[[Positions], Vectors]
    k: int
    ranks: Positions | None


class _Part(NamedTuple):
    """Some of the items; spans : see `Excluded`; None where they exclude nothing."""

    members: Positions
    spans: Positions | None


def _search_part(search: _Search, part: _Part) -> tuple[Distances, Positions]:
    exclude = None if part.spans is None else Excluded(part.spans, search.ranks)
    return search.searched.search(search.rows(part.members), search.k, exclude)


def _partitioned(blocks: Sequence[Block], index: Index) -> AbstractContextManager[Index] | None:
    """Return what starts an index in partitions, for an exact search of blocks that lie in a file and are larger than a
    process may hold, by the workers of a cluster; None for any other."""
    crew, files, stored = workers(), in_files(), BlocksInFile.of(blocks)
    if crew is None or files is None or stored is None or not isinstance(index, ExactIndex):
        return None
    nbytes = sum(block.stored.nbytes for block in blocks)
    return crew.partitioned(stored, count_partitions(nbytes, len(blocks), files.memory))


def is_worth_workers(m: int, index: Index) -> bool:
    """Tell whether workers of a cluster search for m items sooner than this machine, to the same bits."""
    crew = workers()
    if crew is None or m * len(index) < WORTH_WORKERS:
        return False
    return crew.cpus > TIMES_AS_MANY * cpu_count()

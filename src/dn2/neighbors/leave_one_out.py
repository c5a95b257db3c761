"""Each reference item among the others: its neighbours, kept up to date as items come and go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dn2.arrays import Distances, Positions, Progress, Vectors
from dn2.neighbors.blocks import Block, Draws, renumbered, rows_at, size_of
from dn2.neighbors.search.candidates import TILE
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.index import Index
from dn2.neighbors.search.symmetric import search_all

ALL_UP_TO = 20_000
SAMPLE_SIZE = 10_000
SEARCHED_AT_ONCE = 16_384
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
        excluded: Excluded | None = None,
        progress: Progress | None = None,
    ) -> LeaveOneOut:
        """Search for the neighbours of some items of a set given in blocks of (n_i, d).

        excluded : what is excluded from the neighbours of each of them; by default only itself.
        progress : called with the items searched for, and how many there are."""
        if isinstance(index, ExactIndex) and len(members) == len(index) >= WORTH_SYMMETRY:
            return cls(members, *search_all(index, rows_at(blocks, members), k, excluded, progress))
        excluded = Excluded.own(members) if excluded is None else excluded
        return cls(members, *search_in_parts(index, partial(rows_at, blocks), members, k, excluded, progress))

    def after_adding(self, blocks: Sequence[Block], index: Index, first_new: int, members: Positions) -> LeaveOneOut:
        """Update for items appended from position `first_new` on; `blocks` and `index` hold the grown set."""
        k = self.distances.shape[1]
        kept = np.isin(self.members, members)
        stay = self.members[kept]
        added = ExactIndex([rows_at(blocks, np.arange(first_new, len(index)))])
        distances, neighbors = added.search(rows_at(blocks, stay), min(k, len(added)))
        distances = np.concatenate([self.distances[kept], distances], axis=1)
        neighbors = np.concatenate([self.neighbors[kept], neighbors + first_new], axis=1)
        order = np.lexsort((neighbors, distances), axis=-1)[:, :k]
        known = LeaveOneOut(
            stay, np.take_along_axis(distances, order, axis=1), np.take_along_axis(neighbors, order, axis=1)
        )
        return known._completed(blocks, index, members)

    def after_removing(
        self, blocks: Sequence[Block], index: Index, removed: Positions, members: Positions
    ) -> LeaveOneOut:
        """Update for items taken away from the (old) positions `removed`; `blocks` and `index` hold the smaller set."""
        intact = ~np.isin(self.members, removed) & ~np.isin(self.neighbors, removed).any(axis=1)
        known = LeaveOneOut(
            renumbered(self.members[intact], removed),
            self.distances[intact],
            renumbered(self.neighbors[intact], removed),
        )
        return known._only(members)._completed(blocks, index, members)

    def _only(self, members: Positions) -> LeaveOneOut:
        kept = np.isin(self.members, members)
        return LeaveOneOut(self.members[kept], self.distances[kept], self.neighbors[kept])

    def _completed(self, blocks: Sequence[Block], index: Index, members: Positions) -> LeaveOneOut:
        missing = LeaveOneOut.of(blocks, index, np.setdiff1d(members, self.members), self.distances.shape[1])
        order = np.argsort(np.concatenate([self.members, missing.members]), kind="stable")
        return LeaveOneOut(
            members,
            np.concatenate([self.distances, missing.distances])[order],
            np.concatenate([self.neighbors, missing.neighbors])[order],
        )


def search_in_parts(
    index: Index,
    rows: Callable[[Positions], Vectors],
    members: Positions,
    k: int,
    excluded: Excluded,
    progress: Progress | None,
) -> tuple[Distances, Positions]:
    """Search as the index does, for so many items at a time, and tell how far it is.

    rows : gives the rows of items as they are compared; members : the items to search for; excluded : of each."""
    m = len(members)
    distances, positions = np.empty((m, k), np.float32), np.empty((m, k), np.int64)
    for start in range(0, m, SEARCHED_AT_ONCE):
        part = slice(start, start + SEARCHED_AT_ONCE)
        distances[part], positions[part] = index.search(rows(members[part]), k, excluded[part])
        if progress is not None:
            progress(min(start + SEARCHED_AT_ONCE, m), m)
    return distances, positions


def sample_positions(blocks: Sequence[Block], at_least: int = 0) -> Positions:
    """Choose the items that calibrate: all of a set of up to `ALL_UP_TO`, else a random sample.

    at_least : how many the false-alarm rate takes, where that is more than `SAMPLE_SIZE`.
    Returns (m,) positions, ascending."""
    n = size_of(blocks)
    if n <= max(ALL_UP_TO, at_least):
        return np.arange(n, dtype=np.int64)
    return np.sort(random_order(blocks)[: max(SAMPLE_SIZE, at_least)])


def random_order(blocks: Sequence[Block]) -> Positions:
    """Shuffle a set given in blocks: all its positions, (n,).

    Rows are drawn by a hash of their content, so that the draw does not depend on the order in which the set came
    to be: after adding and removing it is the draw of a fresh fit.  Copies of a row are drawn one by one: all of
    them together, or none, would be no random sample."""
    shuffled: Positions = np.argsort(draw(blocks), kind="stable").astype(np.int64)
    return shuffled


def draw(blocks: Sequence[Block]) -> Draws:
    """Draw a random number for each row of a set, (n,): see `random_order`."""
    draws = np.concatenate([block.draws for block in blocks])
    order = np.argsort(draws, kind="stable")
    ascending = draws[order]
    copy = np.arange(len(draws), dtype=np.uint64) - np.searchsorted(ascending, ascending).astype(np.uint64)
    draws[order] = _mixed(ascending + copy)
    return draws


def _mixed(draws: Draws) -> Draws:
    """Turn numbers that differ at all into independent ones.  Source: SplitMix64, Steele et al., 2014."""
    draws = draws + np.uint64(0x9E3779B97F4A7C15)
    draws = (draws ^ draws >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    draws = (draws ^ draws >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return draws ^ draws >> np.uint64(31)

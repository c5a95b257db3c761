"""The nearest others of reference items that differ from them, also where numbers are rounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from dn2.arrays import Flags, Numbers, Positions, Vectors
from dn2.neighbors.blocks import Draws, rows_at
from dn2.neighbors.membership import NO_MEMBERSHIP
from dn2.neighbors.prepare.scaling import Scaling
from dn2.neighbors.reference import ReferenceSet
from dn2.neighbors.sampling import Sampler
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.index import Index
from dn2.neighbors.search.selected import SelectedIndex

MOST_SAMPLED = 2_000  # rows that tell whether numbers are rounded
ROUNDED_SHARE = 0.2  # of the values of a column that come again, where it is rounded
MOST_VIEWS = 10
USUAL_COUNT = 0.9  # of the items have as many other neighbours as are asked for


class Near(NamedTuple):
    """The nearest others of items: positions of m items, and L2 distances, not squared, and positions, (m, k) each,
    nearest first."""

    members: Positions
    distances: Numbers
    positions: Positions


@dataclass(frozen=True)
class Surroundings:
    """What is searched for the neighbours of reference items.

    index : what is searched; None where there is nothing to compare; searched : the items in it, in random order, of
        copies one; rows : gives items as the index compares them; contents : of each item, (n,), equal for copies.
    units : the part of each item, (n,), or its position; views : how many items, or copies, a unit has, about.
    is_rounded : whether the rows that are searched are those of rounded numbers, spread."""

    index: Index | None
    rows: Callable[[Positions], Vectors]
    searched: Positions
    contents: Draws
    units: Positions
    views: int
    is_rounded: bool = False

    @classmethod
    def of(cls, reference: ReferenceSet, keys: Draws | None = None) -> Self:
        """Choose how to search a reference set.

        keys : of the part that each item belongs to, (n,), where that is known.

        Rows of which most numbers are rounded, and those of tables, are alike by nature: each number that comes again
        is then spread at random over the gap to its neighbours in its column, and categories are left out."""
        learnt = reference.learnt
        contents = np.concatenate([block.draws for block in reference.blocks])
        shuffled = Sampler(reference.blocks, NO_MEMBERSHIP).shuffled()
        there = np.arange(len(shuffled)) if learnt is None else np.setdiff1d(shuffled, learnt.aside)
        first = there[np.unique(contents[there], return_index=True)[1]]
        searched = shuffled[np.isin(shuffled, first)]
        everything = np.arange(len(reference), dtype=np.int64)
        units = everything if keys is None else np.unique(keys, return_inverse=True)[1].astype(np.int64)
        views = min(MOST_VIEWS, -(-len(units) // min(int(units.max()) + 1, len(first))))
        scaling = None if learnt is None else learnt.scaling
        is_rounded = scaling is not None or _is_rounded(reference.compared_at(searched[:MOST_SAMPLED]))
        if not is_rounded and (learnt is None or not learnt.has_centroids):
            return cls(reference.index, reference.compared_at, searched, contents, units, views)
        kept = np.sort(searched)
        rows = reference.compared_at(kept) if scaling is None else _numbers(scaling, rows_at(reference.blocks, kept))
        rows = spread(rows) if is_rounded else rows
        index = SelectedIndex(rows, kept) if rows.shape[1] else None
        places = np.searchsorted(kept, everything)
        return cls(index, lambda items: rows[places[items]], searched, contents, units, views, is_rounded)

    def sample(self, size: int) -> Positions:
        """Draw so many items, or all of fewer: positions, ascending."""
        return np.sort(self.searched[:size])

    def nearest(self, members: Positions, k: int) -> Near | None:
        """Return the k nearest others of items, each content and each other unit once, fewer of all where many have
        fewer.  Items that have fewer still are left out; None where none is left, or no number is compared."""
        if self.index is None or len(self.index) < 2:
            return None
        asked = min(k * self.views, len(self.index) - 1)
        squared, positions = self.index.search(self.rows(members), asked, Excluded.own(members))
        units, contents = self.units[positions], self.contents[positions]
        differ = (units != self.units[members, None]) & (contents != self.contents[members, None]) & (squared > 0)
        first_of_unit = ~_come_again(np.where(differ, units, -1 - np.arange(asked)))
        counts = differ & first_of_unit & ~_come_again(contents)
        found = np.minimum(counts.sum(axis=1), k)
        k = int(np.quantile(found, 1 - USUAL_COUNT, method="lower"))
        if not k:
            return None
        enough = found >= k
        first = np.argsort(~counts[enough], axis=1, kind="stable")[:, :k]
        distances = np.sqrt(np.take_along_axis(squared[enough], first, axis=1).astype(np.float64))
        return Near(members[enough], distances, np.take_along_axis(positions[enough], first, axis=1))


def _come_again(contents: Draws | Positions) -> Flags:
    """Mark what came before in its row, (m, k)."""
    order = np.argsort(contents, axis=1, kind="stable")
    ascending = np.take_along_axis(contents, order, axis=1)
    again = np.zeros(contents.shape, np.bool_)
    np.put_along_axis(again, order[:, 1:], ascending[:, 1:] == ascending[:, :-1], axis=1)
    return again


def _numbers(scaling: Scaling, rows: Vectors) -> Vectors:
    """Return rows in the coordinates of columns of numbers alone."""
    return np.ascontiguousarray(scaling.apply(rows)[:, ~np.isin(scaling.owners, scaling.categorical)])


def _is_rounded(rows: Vectors) -> bool:
    """Tell whether values come again in most columns, beside the lowest, at which values are often cut off."""
    ascending = np.sort(rows, axis=0)
    above = ascending[1:] > ascending[0]
    again = (np.diff(ascending, axis=0) == 0) & above
    return bool(np.median(again.sum(axis=0) / np.maximum(above.sum(axis=0), 1)) > ROUNDED_SHARE)


def spread(rows: Vectors) -> Vectors:
    """Spread each number that comes again in its column at random over half of the gaps to the numbers beside it."""
    rng = np.random.default_rng(0)
    wide = np.array(rows, np.float32)
    for column in range(rows.shape[1]):
        values, which, counts = np.unique(rows[:, column], return_inverse=True, return_counts=True)
        if len(values) == 1:
            continue
        gaps = np.diff(values.astype(np.float64))
        below, above = np.append(gaps[0], gaps), np.append(gaps, gaps[-1])
        shift = rng.uniform(-0.5, 0.5, len(rows))
        gap = np.where(shift < 0, below[which], above[which])
        wide[:, column] += np.where(counts[which] > 1, shift * gap, 0).astype(np.float32)
    return wide

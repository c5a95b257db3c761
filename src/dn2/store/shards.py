"""Which files of a saved model hold which rows of its reference set, and which of these rows are gone from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dn2.store.bundle import Existing

Array = np.ndarray[Any, Any]
Positions = np.ndarray[Any, np.dtype[np.int64]]


class Block(Protocol):
    """Rows of a reference set: all in memory, and which of them are in the set, ascending; None for all of them."""

    stored: Array
    kept: Positions | None

    def __len__(self) -> int:
        """Return the number of rows in the set."""


@dataclass(frozen=True, eq=False)
class Shard:
    """The files that hold one block of a reference set.

    stored : the block's rows in memory, which nothing changes: they tell which block it is.
    rows : which of them the files hold, ascending; None for all of them.
    files : by kind.  codes : what the file of that kind holds, None if there is none."""

    stored: Array
    rows: Positions | None
    files: Mapping[str, Existing]
    codes: Array | None = None

    def __len__(self) -> int:
        return len(self.stored if self.rows is None else self.rows)

    def places(self, kept: Positions | None) -> Positions | None:
        """Return where in the files the rows `kept` of `stored` are, (n,) ascending; None if they are not all there."""
        if self.rows is None:
            return np.arange(len(self), dtype=np.int64) if kept is None else kept
        wanted = np.arange(len(self.stored)) if kept is None else kept
        places = np.searchsorted(self.rows, wanted)
        there = bool(len(places)) and places[-1] < len(self.rows) and np.array_equal(self.rows[places], wanted)
        return places if there else None


def shards_of(blocks: Sequence[Block], known: Sequence[Shard]) -> list[Shard | None]:
    """Find the files of each block of a set among those known; None for a block that is not in files yet."""
    by_rows = {id(shard.stored): shard for shard in known}
    found = [(block, by_rows.get(id(block.stored))) for block in blocks]
    return [shard if shard is not None and shard.places(block.kept) is not None else None for block, shard in found]


def removed_rows(blocks: Sequence[Block], shards: Sequence[Shard | None]) -> Positions:
    """Return the rows, (m,) ascending and counted through all files, that are no longer in a set given in blocks.

    shards : the files of each block, None where they are yet to be written."""
    removed, start = [np.empty(0, np.int64)], 0
    for block, shard in zip(blocks, shards, strict=True):
        if shard is not None and (places := shard.places(block.kept)) is not None:
            removed.append(start + np.delete(np.arange(len(shard)), places))
        start += len(block if shard is None else shard)
    return np.concatenate(removed)


@dataclass(frozen=True)
class Kept:
    """Which rows of the files of a saved model are in its reference set.

    sizes : of the files; removed : (m,) the others, counted through all files, ascending; none by default.
    Raises ValueError for a list of removed rows that cannot be."""

    sizes: Sequence[int]
    removed: Positions = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        removed = self.removed
        if removed.ndim != 1 or removed.dtype != np.int64 or (np.diff(removed) <= 0).any():
            raise ValueError("removed rows that are no ascending positions")
        if len(removed) and not 0 <= removed[0] <= removed[-1] < self.stored:
            raise ValueError(f"removed rows outside of 0 ... {self.stored - 1}")
        if any(rows is not None and not len(rows) for rows in self.by_shard):
            raise ValueError("a file all rows of which are removed")

    @property
    def stored(self) -> int:
        """The number of rows in the files."""
        return sum(self.sizes)

    def __len__(self) -> int:
        return self.stored - len(self.removed)

    @property
    def by_shard(self) -> list[Positions | None]:
        """The rows of each file that are in the set, ascending; None for all of them."""
        starts = np.cumsum([0, *self.sizes])
        cuts = np.searchsorted(self.removed, starts)
        return [
            None if first == last else np.delete(np.arange(size), self.removed[first:last] - start)
            for size, start, first, last in zip(self.sizes, starts, cuts, cuts[1:], strict=False)
        ]

    @property
    def flags(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Of each row of all files together, whether it is in the set."""
        flags = np.ones(self.stored, bool)
        flags[self.removed] = False
        return flags

    @property
    def places(self) -> Any:
        """What to index the rows of all files together by to have those in the set."""
        return np.flatnonzero(self.flags) if len(self.removed) else slice(None)

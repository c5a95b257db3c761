"""The files of a saved model that hold the rows of its reference set, and the rows in them that were removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from dn2.arrays import Array, Positions
from dn2.store.bundle import Bundle, StoredFile
from dn2.store.packed import Chunk, PackedBytes


class Block(Protocol):
    """Rows of a reference set.

    stored : all rows in memory; kept : which of them are in the set, ascending; None for all."""

    stored: Array
    kept: Positions | None

    def __len__(self) -> int:
        """Return the number of rows in the set."""


@dataclass(frozen=True, eq=False)
class Shard:
    """The files that hold one block of a reference set.

    stored : the block's rows in memory, never changed, whose identity identifies the block.
    rows : which of these rows the files hold, ascending; None for all.
    files : by kind of file.  codes : the content of the file of codes, None for a search without codes."""

    stored: Array
    rows: Positions | None
    files: Mapping[str, StoredFile]
    codes: Array | None = None

    def __len__(self) -> int:
        return len(self.stored if self.rows is None else self.rows)

    def places(self, kept: Positions | None) -> Positions | None:
        """Return the places in the files of the rows `kept` of `stored`, (n,) ascending; None unless all are there."""
        if self.rows is None:
            return np.arange(len(self), dtype=np.int64) if kept is None else kept
        rows = np.arange(len(self.stored)) if kept is None else kept
        places = np.searchsorted(self.rows, rows)
        all_stored = bool(len(places)) and places[-1] < len(self.rows) and np.array_equal(self.rows[places], rows)
        return places if all_stored else None


def shards_of(blocks: Sequence[Block], saved_shards: Sequence[Shard]) -> list[Shard | None]:
    """Find each block of a set among the shards saved before; None for a block that is still to be written."""
    by_stored = {id(shard.stored): shard for shard in saved_shards}
    candidates = [(block, by_stored.get(id(block.stored))) for block in blocks]
    return [
        shard if shard is not None and shard.places(block.kept) is not None else None for block, shard in candidates
    ]


def removed_rows(blocks: Sequence[Block], shards: Sequence[Shard | None]) -> Positions:
    """Return the rows in files that were removed from the set: (m,) ascending, counted through all files.

    shards : the files of each block, None for a block that is still to be written."""
    removed, start = [np.empty(0, np.int64)], 0
    for block, shard in zip(blocks, shards, strict=True):
        if shard is not None and (places := shard.places(block.kept)) is not None:
            removed.append(start + np.delete(np.arange(len(shard)), places))
        start += len(block if shard is None else shard)
    return np.concatenate(removed)


@dataclass(frozen=True)
class StoredRows:
    """The rows in a saved model's files that are still in its reference set.

    sizes : the number of rows of each file; removed : (m,) the rows no longer in the set, counted through all files,
        ascending; empty by default.
    Raises ValueError unless `removed` are ascending positions that leave a row in each file."""

    sizes: Sequence[int]
    removed: Positions = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        removed = self.removed
        if removed.ndim != 1 or removed.dtype != np.int64 or (np.diff(removed) <= 0).any():
            raise ValueError("removed rows must be ascending positions")
        if len(removed) and not 0 <= removed[0] <= removed[-1] < self.stored:
            raise ValueError(f"removed rows must lie in 0 ... {self.stored - 1}")
        if any(rows is not None and not len(rows) for rows in self.by_shard):
            raise ValueError("each file must keep a row, got one all of whose rows are removed")

    @property
    def stored(self) -> int:
        """The number of rows in the files."""
        return sum(self.sizes)

    def __len__(self) -> int:
        return self.stored - len(self.removed)

    @property
    def by_shard(self) -> list[Positions | None]:
        """The rows of each file that are in the set, ascending; None where all are."""
        starts = np.cumsum([0, *self.sizes])
        cuts = np.searchsorted(self.removed, starts)
        return [
            None if first == last else np.delete(np.arange(size), self.removed[first:last] - start)
            for size, start, first, last in zip(self.sizes, starts, cuts, cuts[1:], strict=False)
        ]

    @property
    def flags(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each row is in the set: (stored,), counted through all files."""
        flags = np.ones(self.stored, bool)
        flags[self.removed] = False
        return flags

    @property
    def places(self) -> Any:
        """The index that selects the rows in the set from the rows of all files together."""
        return np.flatnonzero(self.flags) if len(self.removed) else slice(None)


def map_strings(files: Bundle, kept: StoredRows, name: str) -> PackedBytes:
    """Map the strings that are kept of all items, also of those that were removed.  Raises ValueError unless it is one
    of each."""
    shards = zip(files.mapped(name, "data"), files.mapped(name, "ends"), strict=True)
    strings = PackedBytes.of_chunks(*(Chunk(data, ends) for data, ends in shards))
    if len(strings) != kept.stored:
        raise ValueError(f"{len(strings)} {name} for {kept.stored} items")
    return strings

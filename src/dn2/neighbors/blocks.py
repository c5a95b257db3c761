"""Rows of a reference set as they are stored: in full, in half precision, or in 8 bits; rows that are removed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Array, Positions, Vectors
from dn2.errors import ClusterError, InputError
from dn2.neighbors.threads import spread
from dn2.system import large_arrays
from dn2.system.processes import cached_property

Stored = np.ndarray[Any, np.dtype[Any]]
Draws = np.ndarray[Any, np.dtype[np.uint64]]
Codes = np.ndarray[Any, np.dtype[np.uint8]]

STORAGES: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in ("float32", "float16", "uint8")}
SCALE_BYTES = 8  # at the end of a row of 8-bit numbers: its least value and its step, two float32
LEVELS = 255
DECODED_AT_ONCE = 1 << 22  # numbers
PIECE = 1 << 18  # numbers: what is decoded in several passes stays in the cache of a core
ON_ONE_THREAD = 1 << 20  # numbers: fewer are decoded before other threads have started

# Rows a block: small enough to rewrite when one of its items goes, large enough to search at full speed.
BLOCK_ROWS = 16_384
# Blocks that lose rows are rewritten without them while that is quick; beyond, only blocks that have lost many.
REWRITTEN_AT_ONCE = 256 << 20  # bytes
LOST_AT_MOST = 0.25


class Block:
    """Some consecutive rows of a reference set.

    stored : (m, d) float32 or float16, or (m, d + 8) uint8, see `encode`; a memory map, too.
    kept : which of them are in the set, ascending; None for all of them.
    draws : (m,) see `Block.draws`, if they are known.
    codes : (m, c) what a search that compresses rows makes of them, if it has done so.

    Places count the rows that are kept."""

    def __init__(
        self, stored: Stored, kept: Positions | None = None, draws: Draws | None = None, codes: Codes | None = None
    ) -> None:
        self.stored = stored
        self.kept = None if kept is not None and len(kept) == len(stored) else kept
        self.all_codes = codes
        if draws is not None:
            self.all_draws = draws

    def __len__(self) -> int:
        return len(self.stored if self.kept is None else self.kept)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.rows(0, len(self)), dtype, copy=copy)

    @property
    def dimension(self) -> int:
        """The length d of the rows."""
        return int(self.stored.shape[1]) - (SCALE_BYTES if self.stored.dtype == np.uint8 else 0)

    @property
    def is_sparse(self) -> bool:
        """Whether more of the stored rows are gone than is worth keeping."""
        return len(self) < (1 - LOST_AT_MOST) * len(self.stored)

    @property
    def in_place(self) -> Vectors | None:
        """The rows, (n, d), where they are stored as float32 and all kept: no copy."""
        return self.stored if self.kept is None and self.stored.dtype == np.float32 else None

    @property
    def draws(self) -> Draws:
        """A number for each row, (n,), that depends on its content alone: what random samples are drawn by."""
        return self.all_draws if self.kept is None else self.all_draws[self.kept]

    @property
    def codes(self) -> Codes | None:
        """The codes of the rows, (n, c), if there are any."""
        return self.all_codes if self.all_codes is None or self.kept is None else self.all_codes[self.kept]

    @cached_property
    def all_draws(self) -> Draws:
        """The draws of all stored rows, (m,)."""
        digests = (hashlib.blake2b(row.data, digest_size=8).digest() for row in self.stored)
        return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)

    def rows(self, start: int, stop: int) -> Vectors:
        """Return consecutive rows, (stop - start, d)."""
        return decode(self.stored[start:stop] if self.kept is None else self.stored[self.kept[start:stop]])

    def take(self, places: Positions, out: Vectors | None = None) -> Vectors:
        """Return rows at some places: (m, d); written to `out` if that is given."""
        rows = np.empty((len(places), self.dimension), np.float32) if out is None else out
        there = places if self.kept is None else self.kept[places]
        if self.stored.dtype == np.float32:
            _gather(self.stored, there, rows)
        else:
            gathered = np.empty((len(there), self.stored.shape[1]), self.stored.dtype)
            _gather(self.stored, there, gathered)
            decode(gathered, rows)
        return rows

    def parts(self) -> Iterator[tuple[int, Vectors]]:
        """Iterate over (first place, rows), few enough rows at a time where they must be decoded."""
        step = len(self) if self.in_place is not None else max(1, DECODED_AT_ONCE // self.dimension)
        for start in range(0, len(self), step):
            yield start, self.rows(start, min(start + step, len(self)))

    def without(self, places: Positions) -> Block:
        """Leave out rows, without copying the others."""
        kept = np.arange(len(self.stored)) if self.kept is None else self.kept
        return Block(self.stored, np.delete(kept, places), self.all_draws, self.all_codes)

    def without_codes(self) -> Block:
        """Forget what a search made of the rows."""
        return Block(self.stored, self.kept, self.all_draws)

    def joined(self, other: Block) -> Block:
        """Append another block of the same storage."""
        own = self.compact()
        draws = np.concatenate([own.draws, other.draws])
        has_codes = own.codes is not None and other.codes is not None
        codes = np.concatenate([own.codes, other.codes]) if has_codes else None
        return Block(np.concatenate([own.stored, other.compact().stored]), None, draws, codes)

    def compact(self) -> Block:
        """Copy what is kept, so that nothing of the other rows remains."""
        if self.kept is None:
            return self
        return Block(np.ascontiguousarray(self.stored[self.kept]), None, self.draws, self.codes)


def check_storage(storage: Any) -> None:
    """Raise InputError unless a storage is known, or `auto`."""
    if not isinstance(storage, str) or (storage != "auto" and storage not in STORAGES):
        raise InputError(f"storage must be auto, {', '.join(STORAGES)}, got {storage!r}")


def to_blocks(
    rows: Array, storage: str = "float32", prepare: Callable[[Array], Vectors] = np.ascontiguousarray
) -> list[Block]:
    """Store rows, (n, d), in blocks, each prepared just before: in memory, or where large arrays lie in files, in one.

    prepare : makes a part of the rows what is stored, with as many columns."""
    if large_arrays.in_files() is None:
        return [Block(encode(prepare(part), storage)) for part in in_parts(rows)]
    width = rows.shape[1] + (SCALE_BYTES if storage == "uint8" else 0)
    stored = large_arrays.empty((len(rows), width), STORAGES[storage])
    for part, kept in zip(in_parts(rows), in_parts(stored), strict=True):
        kept[:] = encode(prepare(part), storage)
    return [Block(part) for part in in_parts(stored)]


class BlocksInFile(NamedTuple):
    """Blocks that lie in one file, as any process opens them.

    path : of the file; dtype, shape : of the stored rows of all blocks; size : rows of a block."""

    path: str
    dtype: str
    shape: tuple[int, int]
    size: int

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> BlocksInFile | None:
        """Return where blocks lie that `to_blocks` made of a set; None where they are in memory."""
        first = blocks[0].stored
        if not isinstance(first, np.memmap):
            return None
        return cls(str(first.filename), str(first.dtype), (size_of(blocks), first.shape[1]), len(first))

    @property
    def blocks(self) -> list[Block]:
        """The blocks, mapped.  Raises ClusterError in a process that does not see the file."""
        try:
            rows = np.memmap(self.path, self.dtype, "r", shape=self.shape)
        except OSError as error:
            raise ClusterError(
                f"a worker does not see {self.path}: let the cache ($DN2_CACHE) lie where all machines of the cluster "
                "see it, under the same path"
            ) from error
        return [Block(rows[start : start + self.size]) for start in range(0, len(rows), self.size)]


def in_parts(rows: Stored) -> Iterator[Stored]:
    """Cut rows, (n, d), where blocks of them end."""
    return (rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS))


def appended(blocks: Sequence[Block], new: Sequence[Block]) -> list[Block]:
    """Append rows to a set, to its last block if they fit in."""
    if len(blocks[-1]) + sum(len(block) for block in new) <= BLOCK_ROWS:
        return [*blocks[:-1], blocks[-1].joined(new[0])]
    return [*blocks, *new]


def without(blocks: Sequence[Block], positions: Positions) -> list[Block]:
    """Leave out rows of a set at some positions, ascending.

    Nothing of them remains where little must be copied for that; else their blocks keep them, and only tell that they
    are gone, until a quarter of a block is."""
    parts = thinned(blocks, positions)
    touched = [part is not block for part, block in zip(parts, blocks, strict=True)]
    little = sum(part.stored.nbytes for part in compress(parts, touched)) <= REWRITTEN_AT_ONCE
    return [
        part.compact() if is_touched and (little or part.is_sparse) else part
        for part, is_touched in zip(parts, touched, strict=True)
        if len(part)
    ]


def thinned(blocks: Sequence[Block], positions: Positions) -> list[Block]:
    """Leave out rows of a set at some positions, ascending, without copying the others; a block may be left empty."""
    starts = first_positions(blocks)
    cuts = np.searchsorted(positions, starts)
    return [
        block if first == last else block.without(positions[first:last] - start)
        for block, start, first, last in zip(blocks, starts, cuts, cuts[1:], strict=False)
    ]


def encode(rows: Vectors, storage: str) -> Stored:
    """Round rows, (n, d), to what a storage holds, in memory of its own.

    `float16`: half precision.  `uint8`: each row by 255 equal steps from its least to its largest value, which depends
    on nothing but the row; both ends of the scale follow the steps, (n, d + 8).
    Raises InputError for values beyond float16."""
    if storage == "float32":
        return np.array(rows)
    if storage == "float16":
        if np.abs(rows).max(initial=0) > np.finfo(np.float16).max:
            raise InputError(
                f"float16 holds values up to {np.finfo(np.float16).max:.0f}, got {np.abs(rows).max():.4g}; "
                "scale them down, or store uint8 or float32"
            )
        return rows.astype(np.float16)
    least = rows.min(axis=1, keepdims=True)
    step = (rows.max(axis=1, keepdims=True) - least) / np.float32(LEVELS)
    levels = np.rint((rows - least) / np.where(step > 0, step, np.float32(1))).clip(0, LEVELS).astype(np.uint8)
    return np.concatenate([levels, np.concatenate([least, step], axis=1).view(np.uint8)], axis=1)


def decode(stored: Stored, out: Vectors | None = None) -> Vectors:
    """Return what stored rows stand for: (n, d) float32, written to `out` if that is given; float32 itself is not
    copied."""
    if stored.dtype == np.float32:
        return stored
    dimension = stored.shape[1] - (SCALE_BYTES if stored.dtype == np.uint8 else 0)
    rows = np.empty((len(stored), dimension), np.float32) if out is None else out
    decode_piece = _decode_halves if stored.dtype == np.float16 else _decode_levels
    step = max(1, PIECE // dimension)
    pieces = [slice(start, start + step) for start in range(0, len(rows), step)]
    spread(lambda piece: decode_piece(stored[piece], rows[piece]), pieces, rows.size >= ON_ONE_THREAD)
    return rows


def _decode_halves(stored: Stored, rows: Vectors) -> None:
    """Turn float16, all of them finite, into float32: move the bits to their places, and mend the exponent.

    numpy and faiss do it number by number, and take three times as long."""
    np.left_shift(stored.view(np.int16), 13, out=rows.view(np.int32), dtype=np.int32)  # the sign fills 4 bits
    bits = rows.view(np.uint32)
    bits &= np.uint32(0x8FFFFFFF)
    rows *= np.float32(2.0**112)  # the exponents' biases are 127 and 15; this is right for subnormal numbers, too


def _decode_levels(stored: Stored, rows: Vectors) -> None:
    ends = np.ascontiguousarray(stored[:, -SCALE_BYTES:]).view(np.float32)
    np.multiply(stored[:, :-SCALE_BYTES], ends[:, 1:], out=rows, dtype=np.float32)
    rows += ends[:, :1]


def _gather(stored: Stored, places: Positions, out: Stored) -> None:
    """Copy rows as bytes: numpy would first copy all of a memory map that is not aligned, or check places into a
    buffer."""
    np.take(stored.view(np.uint8), places, axis=0, out=out.view(np.uint8), mode="clip")


def as_stored(rows: Vectors, storage: str) -> Vectors:
    """Round queries, (n, d), as the rows that they are compared with are."""
    return rows if storage == "float32" else decode(encode(rows, storage))


def size_of(blocks: Sequence[Block]) -> int:
    """Return the number of rows of a set."""
    return sum(len(block) for block in blocks)


def first_positions(blocks: Sequence[Block]) -> Positions:
    """Return the position of each block's first row, and the number of all rows: (len(blocks) + 1,)."""
    return np.cumsum([0] + [len(block) for block in blocks], dtype=np.int64)


def rows_at(blocks: Sequence[Block], positions: Positions) -> Vectors:
    """Gather rows of a set given in blocks: (m, d) float32, contiguous."""
    rows = np.empty((len(positions), blocks[0].dimension), np.float32)
    if (positions[1:] < positions[:-1]).any():
        order = np.argsort(positions, kind="stable")
        rows[order] = rows_at(blocks, positions[order])
        return rows
    starts = first_positions(blocks)
    cuts = np.searchsorted(positions, starts)
    for number in np.flatnonzero(np.diff(cuts)).tolist():
        inside = slice(cuts[number], cuts[number + 1])
        blocks[number].take(positions[inside] - starts[number], rows[inside])
    return rows


def renumbered(positions: Positions, removed: Positions) -> Positions:
    """Return the positions that items have once items at other positions, (m,), are removed."""
    return positions - np.searchsorted(np.sort(removed), positions)

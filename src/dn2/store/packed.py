"""Byte strings packed into arrays: a hundred thousand are mapped from a file at once, without a copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Positions
from dn2.system.processes import cached_property

LOST_AT_MOST = 0.25  # of the strings of a chunk, before the others are copied out of it
SMALL = 1_024  # strings of two chunks together, which then become one


@dataclass(frozen=True)
class Chunk:
    """Byte strings in one array, such as those of one file.

    data : (total,) uint8, the strings one after the other; ends : (n,) int64, where each ends.
    Raises ValueError for arrays that do not fit together, as those of a damaged file may not."""

    data: np.ndarray[Any, np.dtype[np.uint8]]
    ends: np.ndarray[Any, np.dtype[np.int64]]

    def __post_init__(self) -> None:
        if (
            (self.data.ndim, self.ends.ndim) != (1, 1)
            or self.data.dtype != np.uint8
            or self.ends.dtype != np.int64
            or (np.diff(self.ends, prepend=0) < 0).any()
            or (self.ends[-1] if len(self.ends) else 0) != len(self.data)
        ):
            raise ValueError(f"byte strings that do not fit together: {self.data.shape} bytes, ends {self.ends.shape}")

    @classmethod
    def of(cls, strings: Iterable[bytes | memoryview]) -> Self:
        """Copy byte strings into one array."""
        copied = list(strings)
        ends = np.cumsum([len(string) for string in copied], dtype=np.int64)
        return cls(np.frombuffer(b"".join(copied), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, place: int) -> memoryview:
        start = int(self.ends[place - 1]) if place else 0
        return self.data.data[start : int(self.ends[place])]

    def __iter__(self) -> Iterator[memoryview]:
        return (self[place] for place in range(len(self)))


@dataclass(frozen=True)
class PackedBytes:
    """A sequence of byte strings, chosen from chunks that stay where they are.

    chunks : hold the strings; places : (n,) int64, of each string among those of all chunks."""

    chunks: tuple[Chunk, ...]
    places: Positions

    @classmethod
    def of(cls, strings: Iterable[bytes | memoryview]) -> Self:
        """Pack byte strings."""
        return cls.of_chunks(Chunk.of(strings))

    @classmethod
    def of_arrays(cls, data: Any, ends: Any) -> Self:
        """Take the byte strings that `as_arrays` gave.  Raises ValueError for arrays that do not fit together."""
        return cls.of_chunks(Chunk(data, ends))

    @classmethod
    def of_chunks(cls, *chunks: Chunk) -> Self:
        """Take all strings of several chunks, one chunk after the other."""
        return cls(chunks, np.arange(sum(map(len, chunks)), dtype=np.int64))

    def as_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the strings in one array, as a file holds them: `data` and `ends` of a `Chunk`."""
        chunk = Chunk.of(self)
        return {"data": chunk.data, "ends": chunk.ends}

    def only(self, places: Any) -> Self:
        """Choose the strings at some places, (m,)."""
        return type(self)(self.chunks, self.places[places])

    def with_more(self, strings: Iterable[bytes | memoryview]) -> Self:
        """Append byte strings, and copy what `compact` copies."""
        chunk = Chunk.of(strings)
        new = np.arange(len(chunk), dtype=np.int64) + self._starts[-1]
        return type(self)((*self.chunks, chunk), np.concatenate([self.places, new])).compact()

    def compact(self) -> Self:
        """Let go of chunks of which hardly any string is left.

        Copied are the strings of a chunk of which more than a quarter is gone, and the small chunks at the end, so that
        a thousand additions of one string are one chunk."""
        owners = np.searchsorted(self._starts, self.places, side="right") - 1
        used = np.bincount(owners, minlength=len(self.chunks)).tolist()
        chunks: list[Chunk] = []
        places = np.empty_like(self.places)
        for owner, (chunk, count) in enumerate(zip(self.chunks, used, strict=True)):
            owned = np.flatnonzero(owners == owner)
            inside = self.places[owned] - self._starts[owner]
            if count < (1 - LOST_AT_MOST) * len(chunk):
                chunk, inside = Chunk.of(chunk[place] for place in inside.tolist()), np.arange(count)
            if chunks and len(chunks[-1]) + len(chunk) <= SMALL:
                inside = inside + len(chunks[-1])
                chunk = Chunk.of([*chunks.pop(), *chunk])
            places[owned] = inside + sum(map(len, chunks))
            chunks.append(chunk)
        return type(self)(tuple(chunks), places)

    def check_each(self, longest: int, prefix: bytes) -> None:
        """Raise ValueError unless each string is empty, or begins with `prefix` and has at most `longest` bytes."""
        for chunk in self.chunks:
            sizes = np.diff(chunk.ends, prepend=0)
            starts = (chunk.ends - sizes)[sizes > 0]
            heads = chunk.data[np.minimum(starts[:, None] + np.arange(len(prefix)), len(chunk.data) - 1)]
            if sizes.max(initial=0) > longest or (heads != np.frombuffer(prefix, np.uint8)).any():
                raise ValueError(
                    f"byte strings must begin with {prefix!r} and have at most {longest:,} bytes, the longest has "
                    f"{sizes.max(initial=0):,}"
                )

    def check_texts(self) -> None:
        """Raise ValueError unless each string of all chunks is UTF-8."""
        for chunk in self.chunks:
            bytes(chunk.data).decode()
            starts = chunk.ends[chunk.ends < len(chunk.data)]
            if ((chunk.data[starts] & 0xC0) == 0x80).any():
                raise ValueError("a text that is cut within a character")

    @cached_property
    def _starts(self) -> Positions:
        return np.cumsum([0] + [len(chunk) for chunk in self.chunks], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> memoryview:
        stored = int(self.places[place])
        owner = int(np.searchsorted(self._starts, stored, side="right")) - 1
        return self.chunks[owner][stored - int(self._starts[owner])]

    def __iter__(self) -> Iterator[memoryview]:
        return (self[place] for place in range(len(self)))

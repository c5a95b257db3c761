"""Byte strings joined into one array, so that a hundred thousand are mapped from a file at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PackedBytes:
    """A sequence of byte strings.

    data : (total,) uint8, all of them one after the other; ends : (n,) int64, where each ends.
    Raises ValueError if these are something else, as they may be in a damaged file."""

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
    def of(cls, strings: Iterable[bytes | memoryview]) -> PackedBytes:
        """Join byte strings."""
        kept = list(strings)
        ends = np.cumsum([len(string) for string in kept], dtype=np.int64)
        return cls(np.frombuffer(b"".join(kept), np.uint8), ends)

    def check_each(self, longest: int, prefix: bytes) -> None:
        """Raise ValueError where one is longer than so many bytes, or begins otherwise; one may be empty."""
        sizes = np.diff(self.ends, prepend=0)
        starts = (self.ends - sizes)[sizes > 0]
        heads = self.data[np.minimum(starts[:, None] + np.arange(len(prefix)), len(self.data) - 1)]
        if sizes.max(initial=0) > longest or (heads != np.frombuffer(prefix, np.uint8)).any():
            raise ValueError(f"byte strings of up to {sizes.max(initial=0):,} bytes that are not what they should be")

    def check_texts(self) -> None:
        """Raise ValueError where one of them is no UTF-8."""
        bytes(self.data).decode()
        starts = self.ends[self.ends < len(self.data)]
        if ((self.data[starts] & 0xC0) == 0x80).any():
            raise ValueError("a text that is cut within a character")

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, place: int) -> memoryview:
        start = int(self.ends[place - 1]) if place else 0
        return self.data.data[start : int(self.ends[place])]

    def __iter__(self) -> Iterator[memoryview]:
        return (self[place] for place in range(len(self)))

"""Byte strings chosen from several files, copied only where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.processes import cached_property
from dn2.store.packed import PackedBytes

Positions = np.ndarray[Any, np.dtype[np.int64]]

LOST_AT_MOST = 0.25
SMALL = 1_024


@dataclass(frozen=True)
class Gathered:
    """A sequence of byte strings kept elsewhere.

    parts : where they are kept; places : (n,) int64, of each among all of these."""

    parts: tuple[PackedBytes, ...]
    places: Positions

    @classmethod
    def of(cls, strings: PackedBytes | Gathered) -> Gathered:
        """Take byte strings as they are."""
        return strings if isinstance(strings, Gathered) else cls.all((strings,))

    @classmethod
    def all(cls, parts: Sequence[PackedBytes]) -> Gathered:
        """Take all of several sequences, one after the other."""
        return cls(tuple(parts), np.arange(sum(len(part) for part in parts), dtype=np.int64))

    def only(self, places: Any) -> Gathered:
        """Choose those at some places, (m,)."""
        return Gathered(self.parts, self.places[places])

    def joined(self, more: PackedBytes) -> Gathered:
        """Append others."""
        new = np.arange(len(more), dtype=np.int64) + self._starts[-1]
        return Gathered((*self.parts, more), np.concatenate([self.places, new]))

    def compact(self) -> Gathered:
        """Let go of parts that hold hardly any of these: copied are those of which more than a quarter is gone, and the
        small ones at the end, so that a thousand additions of one are one part."""
        owners = np.searchsorted(self._starts, self.places, side="right") - 1
        used = np.bincount(owners, minlength=len(self.parts)).tolist()
        parts: list[PackedBytes] = []
        places = np.empty_like(self.places)
        for owner, (part, count) in enumerate(zip(self.parts, used, strict=True)):
            mine = np.flatnonzero(owners == owner)
            inside = self.places[mine] - self._starts[owner]
            if count < (1 - LOST_AT_MOST) * len(part):
                part, inside = PackedBytes.of(part[one] for one in inside.tolist()), np.arange(count)
            if parts and len(parts[-1]) + len(part) <= SMALL:
                inside = inside + len(parts[-1])
                part = PackedBytes.of([*parts.pop(), *part])
            places[mine] = inside + sum(map(len, parts))
            parts.append(part)
        return Gathered(tuple(parts), places)

    @cached_property
    def _starts(self) -> Positions:
        return np.cumsum([0] + [len(part) for part in self.parts], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> memoryview:
        kept = int(self.places[place])
        part = int(np.searchsorted(self._starts, kept, side="right")) - 1
        return self.parts[part][kept - int(self._starts[part])]

    def __iter__(self) -> Iterator[memoryview]:
        return (self[place] for place in range(len(self)))

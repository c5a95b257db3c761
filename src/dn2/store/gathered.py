"""Byte strings chosen from several files, copied only where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.processes import cached_property
from dn2.store.packed import PackedBytes

Positions = np.ndarray[Any, np.dtype[np.int64]]


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

"""The messages of a reference set by their bytes: which of them a message is a copy of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Positions
from dn2.system.processes import cached_property

WORDS = 2  # of 64 bits: enough that no two texts can be made to share a digest

Digests = np.ndarray[Any, np.dtype[np.uint64]]  # (n, 2), of texts in UTF-8


def digest(texts: Iterable[str]) -> Digests:
    """Return the first 128 bits of the SHA-256 of each text."""
    whole = b"".join(hashlib.sha256(text.encode()).digest()[: 8 * WORDS] for text in texts)
    return np.frombuffer(whole, "<u8").astype(np.uint64).reshape(-1, WORDS)


@dataclass(frozen=True, eq=False)
class Known:
    """Digests of n texts, in their order.  Raises ValueError for an array that is none."""

    digests: Digests

    def __post_init__(self) -> None:
        if self.digests.dtype != np.uint64 or self.digests.ndim != 2 or self.digests.shape[1] != WORDS:
            raise ValueError(f"digests of texts that are {self.digests.shape} {self.digests.dtype}")

    def __len__(self) -> int:
        return len(self.digests)

    def only(self, places: Positions | slice) -> Self:
        """Choose the texts at some places."""
        return type(self)(self.digests[places])

    def with_more(self, digests: Digests) -> Self:
        """Append texts."""
        return type(self)(np.concatenate([self.digests, digests]))

    def places_of(self, digests: Digests) -> Positions:
        """Return the first text with each of some digests, (m,); -1 where there is none."""
        if not len(self):
            return np.full(len(digests), -1)
        first, second = self._sorted.T
        places = np.searchsorted(first, digests[:, 0])
        places[places == len(first)] = 0
        same = (first[places] == digests[:, 0]) & (second[places] == digests[:, 1])
        return np.where(same, self._order[places], -1)

    @cached_property
    def _order(self) -> Positions:
        return np.lexsort(self.digests.T[::-1])

    @cached_property
    def _sorted(self) -> Digests:
        return self.digests[self._order]

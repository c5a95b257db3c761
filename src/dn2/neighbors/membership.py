"""What items belong to: the part that several of them show, and the stratum that has a false-alarm rate of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Positions
from dn2.errors import InputError

Keys = np.ndarray[Any, np.dtype[np.uint64]]  # (n,) of equal labels equal


class Membership(NamedTuple):
    """The part and the stratum of each item, by key.

    parts, strata : (n,) uint64; None where each item stands for itself, or all have one rate."""

    parts: Keys | None = None
    strata: Keys | None = None

    def at(self, positions: Positions) -> Self:
        """Return what the items at some positions belong to."""
        return type(self)(*(None if keys is None else keys[positions] for keys in self))

    def without(self, positions: Positions) -> Self:
        """Leave out the items at some positions."""
        return type(self)(*(None if keys is None else np.delete(keys, positions) for keys in self))

    def joined(self, other: Membership) -> Self:
        """Append other items.  Raises InputError unless both know the same of their items."""
        for name, own, theirs in zip(self._fields, self, other, strict=True):
            if (own is None) != (theirs is None):
                there, needed = ("have no", "must say theirs") if own is None else ("have", "must say theirs")
                raise InputError(f"the reference items {there} {name}: items that join them {needed}")
        return type(self)(
            *(
                None if own is None or theirs is None else np.concatenate([own, theirs])
                for own, theirs in zip(self, other, strict=True)
            )
        )

    @property
    def n_parts(self) -> int:
        """The number of parts; 0 where items have none."""
        return 0 if self.parts is None else len(np.unique(self.parts))


NO_MEMBERSHIP = Membership()


def keys_of(labels: Any, n: int, what: str = "part") -> Keys:
    """Return the keys of n labels: texts, or numbers, equal where they are written alike.

    what : a noun for what they name.  Raises InputError unless there are n, none of them missing."""
    labels = labels.tolist() if hasattr(labels, "tolist") else labels
    if isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable):
        raise InputError(f"the {what} of {n:,} items must be a list of {n:,} labels, got {labels!r}")
    labels = list(labels)
    if len(labels) != n:
        raise InputError(f"the {what} of {n:,} items must be a list of {n:,} labels, got {len(labels):,}")
    missing = [place for place, label in enumerate(labels) if is_missing(label)]
    if missing:
        at = missing[0]
        raise InputError(f"each item needs a {what}, and that at position {at} has none: {labels[at]!r}")
    return keys_of_texts([str(label) for label in labels])


def keys_of_texts(texts: Sequence[str]) -> Keys:
    """Return the keys of texts, (n,)."""
    known: dict[str, int] = {}
    for text in texts:
        if text not in known:
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            known[text] = int.from_bytes(digest, "big")
    return np.fromiter((known[text] for text in texts), np.uint64, len(texts))


def numbered(keys: Keys) -> Positions:
    """Count what items belong to from 0, in the order of keys: (n,)."""
    numbers: Positions = np.unique(keys, return_inverse=True)[1].astype(np.int64)
    return numbers


def is_missing(label: Any) -> bool:
    """Tell whether a label is None, NaN, pandas' NA or an empty text."""
    return label is None or label == "" or type(label).__name__ in ("NAType", "NaTType") or label != label

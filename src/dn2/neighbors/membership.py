"""What items belong to: the part that several of them show, the stratum that has a false-alarm rate of its own, and how
they joined."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Flags, Positions
from dn2.errors import InputError

Keys = np.ndarray[Any, np.dtype[np.uint64]]  # (n,) of equal labels equal
Roles = np.ndarray[Any, np.dtype[np.uint8]]  # (n,) of `ROLES`

# By number: as the others; a neighbour because of its score, that never calibrates; one that always does; a neighbour
# that calibrates no longer, since others tell better what is normal now.
ROLES = ("", "neighbor", "audited", "retired")
NEIGHBOR, AUDITED, RETIRED = 1, 2, 3


class Membership(NamedTuple):
    """The part and the stratum of each item, by key, and its role.

    parts, strata : (n,) uint64; None where each item stands for itself, or all have one rate.
    roles : (n,) uint8, see `ROLES`: of items that joined because of what a person said; None where none did."""

    parts: Keys | None = None
    strata: Keys | None = None
    roles: Roles | None = None

    def at(self, positions: Positions) -> Self:
        """Return what the items at some positions belong to."""
        known: list[Any] = [None if one is None else one[positions] for one in self]
        return type(self)(*known)

    def without(self, positions: Positions) -> Self:
        """Leave out the items at some positions."""
        known: list[Any] = [None if one is None else np.delete(one, positions) for one in self]
        return type(self)(*known)

    def joined(self, other: Membership, n: int, m: int) -> Self:
        """Append m other items to these n.  Raises InputError unless both know the parts and the strata of theirs."""
        for name, own, theirs in (("parts", self.parts, other.parts), ("strata", self.strata, other.strata)):
            if (own is None) != (theirs is None):
                there, needed = ("have no", "must say theirs") if own is None else ("have", "must say theirs")
                raise InputError(f"the reference items {there} {name}: items that join them {needed}")
        parts, strata = (
            None if own is None or theirs is None else np.concatenate([own, theirs])
            for own, theirs in ((self.parts, other.parts), (self.strata, other.strata))
        )
        if self.roles is None and other.roles is None:
            return type(self)(parts, strata)
        sizes = ((self.roles, n), (other.roles, m))
        roles = [np.zeros(size, np.uint8) if known is None else known for known, size in sizes]
        return type(self)(parts, strata, np.concatenate(roles))

    @property
    def barred(self) -> Flags | None:
        """Which items never calibrate, with all of their parts: (n,)."""
        if self.roles is None:
            return None
        own: Flags = (self.roles == NEIGHBOR) | (self.roles == RETIRED)
        return own if self.parts is None else np.isin(self.parts, self.parts[own])

    @property
    def n_told(self) -> int:
        """How many items are neighbours because of their score."""
        return 0 if self.roles is None else int((self.roles == NEIGHBOR).sum())

    @property
    def audited(self) -> Flags | None:
        """Which items calibrate in any case, with all of their parts: (n,)."""
        if self.roles is None or self.barred is None:
            return None
        own: Flags = self.roles == AUDITED
        return (own if self.parts is None else np.isin(self.parts, self.parts[own])) & ~self.barred

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

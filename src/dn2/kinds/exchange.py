"""What a model and a kind of data exchange."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from dn2.arrays import Array, Distances, Positions, Scores, Vector, Vectors
from dn2.inputs.label_columns import Labels
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import Membership, keys_of_texts
from dn2.results.context import Points
from dn2.results.rows import Row


class ReferenceItem(NamedTuple):
    """A normal item: its name, the file that it was read from, and the SHA-256 of that file's bytes; both are empty for
    an item from memory.

    part, per : what it belongs to, by label; empty where items belong to nothing.
    role : how it joined where a person's verdict made it, see `dn2.neighbors.membership.ROLES`; else empty."""

    name: str
    path: str
    sha256: str
    part: str = ""
    per: str = ""
    role: str = ""


class ReadColumn(NamedTuple):
    """A column of a table, and how it was read: in words its kind and writing, or why it is left out.

    is_compared : whether rows are compared by it."""

    name: str
    words: str
    is_compared: bool


class FoundItems(Protocol):
    """The items that inputs name."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all items, in order."""

    @property
    def paths(self) -> Sequence[str | os.PathLike[str]]:
        """The file of each item, some of them more than once; an empty text for an item from memory."""

    def named(self, names: list[str]) -> Any:
        """Return the same items with other names, as many as there are paths."""


FoundT = TypeVar("FoundT", bound=FoundItems)


@dataclass(frozen=True, eq=False)
class Belonging:
    """What n items belong to: the labels of each, None for an item without one.

    part : what several items show together; per : what has a false-alarm rate of its own; None where there is none."""

    part: Labels | None = None
    per: Labels | None = None

    def at(self, places: Positions) -> Belonging:
        """Return what the items at some places belong to."""
        return Belonging(*(None if own is None else [own[place] for place in places.tolist()] for own in self._labels))

    @property
    def membership(self) -> Membership:
        """The same by key; items without a label share one that no reference item has."""
        part, per = (None if own is None else keys_of_texts([one or "" for one in own]) for own in self._labels)
        return Membership(part, per)

    @property
    def _labels(self) -> tuple[Labels | None, Labels | None]:
        return self.part, self.per

    def sizes(self, n: int) -> dict[str, int]:
        """Count the parts, or else the items, of each stratum; of all n items by '' where there are no strata."""
        units = range(n) if self.part is None else self.part
        members: dict[str, set[Any]] = {}
        for stratum, unit in zip(self.per if self.per is not None else [""] * n, units, strict=True):
            if stratum is not None and unit is not None:
                members.setdefault(stratum, set()).add(unit)
        return {stratum: len(own) for stratum, own in members.items()}

    def of(self, place: int) -> tuple[str | None, str | None]:
        """Return both labels of an item."""
        return None if self.part is None else self.part[place], None if self.per is None else self.per[place]


NOTHING = Belonging()


@dataclass(frozen=True, eq=False)
class Batch:
    """Items embedded together.

    names : of all items; errors : by place, why an item could not be read.
    places : (m,) of the readable items; vectors : (m, d) of them.
    source : what the kind explains the items by.
    digests : (m,) the SHA-256 of the file of each readable item, '' for items from memory; empty for kinds that do not
        record it.
    files : what pictures of all items are read from later; None for kinds without pictures.
    contents : (m, ...) digests of what the vectors were made of, for kinds that find copies by them; else None.
    noticed : what a person should know of them, see `Kind.tell`."""

    names: Sequence[str]
    errors: Mapping[int, str]
    places: Positions
    vectors: Vectors
    source: Any
    digests: Sequence[str] = ()
    files: Sequence[Any] | None = None
    contents: Array | None = None
    noticed: Sequence[Any] = ()


@dataclass(frozen=True, eq=False)
class Reference:
    """The readable items of a reference set, and their vectors, (n, d).

    unreadable : rows with the errors of the other items; kind : with what it keeps of the items.
    places : where windows of series lie, (n,): see `dn2.neighbors.windows`; None for other kinds.
    contents : (n, ...) as in `Batch`; source : what the kind reads the items from once more, see `Kind.completed`."""

    items: list[ReferenceItem]
    vectors: Vectors
    unreadable: list[Row]
    kind: Any
    places: Positions | None = None
    contents: Array | None = None
    source: Any = None


class Judgement(NamedTuple):
    """What was found for m embedded items.

    scores : (m,), higher is more anomalous; distances, positions : (m, k), squared L2, of the reference items that each
        is compared with, nearest first; found : what else the kind explains them by."""

    scores: Scores
    distances: Distances
    positions: Positions
    found: Any = None

    @classmethod
    def of_none(cls, k: int) -> Self:
        """Return that of no item at all."""
        return cls(np.empty(0), np.empty((0, k), np.float32), np.empty((0, k), np.int64), ())


class Judge(Protocol):
    """What scores items: a model at a moment."""

    @property
    def detector(self) -> Detector:
        """What finds their neighbours."""

    @property
    def items(self) -> Sequence[ReferenceItem]:
        """The reference set, in the detector's order."""

    @property
    def calibration(self) -> Calibration:
        """What p-values rest on."""


@dataclass
class ScoredItems:
    """Scored items, before any decision.

    rows : in the order of the input; vectors : by place, of the rows that a map shows.
    digests : the SHA-256 of the files of the readable items; empty for kinds that do not record it.
    files : what pictures of the rows are read from; None for kinds without pictures.
    points : scores of points, beside the rows.
    noticed : as in `Batch`.
    sample_size, counted, guarantee : where they differ from the calibration's, how many items the p-values are ranked
        among, a noun for these, and what the p-values say, in words."""

    rows: list[Row] = field(default_factory=list)
    vectors: dict[int, Vector] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    files: list[Any] | None = None
    points: Points | None = None
    noticed: list[Any] = field(default_factory=list)
    sample_size: int | None = None
    counted: str = ""
    guarantee: Sequence[str] = ()

    def extend(self, further: ScoredItems) -> None:
        """Append items that were scored after these."""
        self.vectors |= {len(self.rows) + place: vector for place, vector in further.vectors.items()}
        self.rows += further.rows
        self.digests += further.digests
        self.noticed += further.noticed
        if further.files is not None:
            self.files = self.files or []
            self.files += further.files


@dataclass(frozen=True, eq=False)
class KnownItems:
    """Items whose truth is known.

    normal, anomalous : the items.
    defects : what is known of the defects of each of these, as the kind compares with it; None where nothing is.
    errors : by name, why an item of a data set cannot be used."""

    normal: FoundItems
    anomalous: FoundItems
    defects: tuple[Sequence[Any], Sequence[Any]] | None = None
    errors: Mapping[str, str] = field(default_factory=dict)


class Pictures(Protocol):
    """Small JPEGs for a page, by name; items without a picture are left out."""

    def of_items(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the pictures of scored items, and of their parts, `item/part`."""

    def of_reference(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return the pictures of reference items."""

    def large_of_items(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return large pictures of scored items; empty bytes for one that the small picture shows whole."""

    def large_of_reference(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Return large pictures of the reference items whose files are as they were."""

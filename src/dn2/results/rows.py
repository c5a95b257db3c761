"""The decision on one item, and its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dn2.extras import import_above
from dn2.results.words import number_in_words

COLUMNS = ("item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error")
BELONGING = ("part", "per", "items")  # columns that follow where rows have any of them
DECISION = "decision"  # a column with a rate to warn at
AUDIT = "audit"  # the last column, where items were drawn for a person to judge


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A reference item as evidence.

    Parameters
    ----------
    item : str
        Its name.
    distance : float
        Its L2 distance (not squared).
    part : str or None, default=None
        The part that it belongs to, where reference items do.
    """

    item: str
    distance: float
    part: str | None = None

    def __str__(self) -> str:
        part = "" if self.part is None or self.part in self.item else f" of {self.part}"
        return f"{self.item}{part} ({number_in_words(self.distance, 3)})"

    def as_dict(self) -> dict[str, Any]:
        """Return item, distance, and part where there is one."""
        record = {"item": self.item, "distance": self.distance}
        return record if self.part is None else record | {"part": self.part}


@dataclass(frozen=True)
class Evidence:
    """The evidence of a row beside its neighbours; a kind of data with such evidence has a class of its own.

    file_columns : the columns that it adds to a results file, in order; each is a field.
    heading : the heading of the evidence in a table for a person."""

    file_columns: ClassVar[tuple[str, ...]] = ()
    heading: ClassVar[str] = "nearest normal items (distance)"

    def as_record(self) -> dict[str, Any]:
        """Return the values of a results file by column: plain values, dictionaries or lists; None where empty."""
        return {}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of `as_record`, whose dictionaries and lists may be JSON.

        Raises LookupError, TypeError, ValueError for any other record."""
        return cls()

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """Write for a person, in one line each, the name of the item, and its evidence."""
        return name, in_line(neighbors)

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """Give the parts of the item that could not be read, by name, each with its error."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Row:
    """The verdict on one item.

    Parameters
    ----------
    item : str
        Its name.
    anomaly_score : float or None
        Higher is more anomalous; None with `error` set.
    p_value : float or None
        In (0, 1]; None with `error` set.
    is_anomaly : bool or None
        Whether p_value is at most the rate; None where nothing is decided.
    neighbors : tuple of Neighbor
        The nearest reference items, nearest first; empty with `error` set.
    error : str or None
        Why the item could not be read.
    evidence : Evidence or None
        What the kind of data adds, such as a `Contribution` for each column.  Its fields are read from the row as well,
        as `row.columns`; None in a row that has nothing of it.
    decision : str or None
        `reject` where is_anomaly, `warn` where p_value is at most the laxer rate to warn at, else `accept`; None
        without such a rate.
    part : str or None
        What the item belongs to, where several items show one part.
    per : str or None
        The product, line or camera whose reference items it was ranked among, where each has a rate of its own.
    items : int or None
        In the row of a whole part, the number of its items that were scored.
    audit : bool or None
        Whether the item was drawn at random for a person to judge, whatever its score; None where none were drawn.

    Examples
    --------
    >>> import dn2
    >>> dn2.Row("part 7", 0.5, 0.01, True, (dn2.Neighbor("part 1", 0.7),))
    <Row 'part 7': anomaly score 0.5, p-value 0.01, anomalous>
    """

    item: str
    anomaly_score: float | None = None
    p_value: float | None = None
    is_anomaly: bool | None = None
    neighbors: tuple[Neighbor, ...] = ()
    error: str | None = None
    evidence: Any = None
    decision: str | None = None
    part: str | None = None
    per: str | None = None
    items: int | None = None
    audit: bool | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "evidence":  # not set yet while a row is unpickled
            raise AttributeError(f"a row has no attribute {name!r}")
        if self.evidence is not None and name in self.evidence.file_columns:
            return getattr(self.evidence, name)
        if name in import_above("dn2.kinds.registry").columns_of_evidence():
            return None
        raise AttributeError(f"a row has no attribute {name!r}")

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Row {self.item!r}: not read, {self.error}>"
        words = [] if self.anomaly_score is None else [f"anomaly score {number_in_words(self.anomaly_score)}"]
        words += [] if self.p_value is None else [f"p-value {self.p_value:.3g}"]
        words += [self.decided] * (self.is_anomaly is not None)
        return f"<Row {self.item!r}: {', '.join(words) or 'not scored'}>"

    @property
    def decided(self) -> str:
        """The decision in a word; `anomalous` or `normal` without a rate to warn at, empty where nothing is decided."""
        flag = {True: "anomalous", False: "normal", None: ""}[self.is_anomaly]
        return self.decision or flag

    def as_dict(self) -> dict[str, Any]:
        """Return the columns of the results file, evidence as dictionaries or lists of them."""
        record: dict[str, Any] = {
            "item": self.item,
            "anomaly_score": self.anomaly_score,
            "p_value": self.p_value,
            "is_anomaly": self.is_anomaly,
            "neighbors": [neighbor.as_dict() for neighbor in self.neighbors],
            "error": self.error,
        }
        record |= {name: value for name in BELONGING if (value := getattr(self, name)) is not None}
        added = {} if self.evidence is None else self.evidence.as_record()
        last = {DECISION: self.decision, AUDIT: self.audit}
        return record | {name: value for name, value in {**added, **last}.items() if value is not None}


def in_line(neighbors: tuple[Neighbor, ...]) -> str:
    """List neighbours with their distances."""
    return ", ".join(map(str, neighbors))


def from_json(value: Any) -> Any:
    """Parse a text as JSON, None for an empty text; return any other value unchanged."""
    return (json.loads(value) if value else None) if isinstance(value, str) else value

"""The verdict on one item, and what it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = ("item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error")
PLAIN = ("start", "end")  # of intervals of series
EVIDENCE_BY_KIND = ("members", "columns", "text", "curves")  # of groups, rows of a table, messages, intervals
MORE_COLUMNS = (*PLAIN, *EVIDENCE_BY_KIND)
EVIDENCE = ("neighbors", *EVIDENCE_BY_KIND)


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A reference item as evidence, with its L2 distance (not squared)."""

    item: str
    distance: float


@dataclass(frozen=True, slots=True)
class Member:
    """A picture of a group: its share of the group's anomaly score, or the error that kept it from being read.

    The shares of all members add up to 1; a negative one holds the group near its neighbors."""

    item: str
    share: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """A column of a table: its share of the row's anomaly score.

    value : of the row, and neighbors : of its neighbors, in their order; None for one that is missing.
    The shares of all columns add up to 1."""

    column: str
    share: float
    value: Any
    neighbors: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """What a message says: value, as far as it is shown; the words that none of its neighbors has, in order; and what
    these say, in their order."""

    value: str
    new_words: tuple[str, ...]
    neighbors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A column of a window of a series: its share of the distance to the neighbors.

    value : the values of the window, evenly placed ones of a long one; neighbors : those of its neighbors, in their
    order.  The shares of all columns add up to 1."""

    column: str
    share: float
    value: tuple[float, ...]
    neighbors: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The verdict on one item.

    anomaly_score : higher is more anomalous; p_value : in (0, 1]; both None, and no neighbors, with `error` set.
    neighbors : nearest first.
    members : of a group, those that pull it away most, first; then those that could not be read.  None for a single
        item.
    columns : of a row of a table, those that make it most anomalous, first.  None for anything else.
    text : of a message, what it and its neighbors say.  None for anything else.
    start, end : of an interval of a series, the stamps of its first and last point.  None for anything else.
    curves : of an interval, the values of its strangest window and of the neighbors, of the columns that make it most
        anomalous, first.  None for anything else."""

    item: str
    anomaly_score: float | None = None
    p_value: float | None = None
    is_anomaly: bool | None = None
    neighbors: tuple[Neighbor, ...] = ()
    error: str | None = None
    members: tuple[Member, ...] | None = None
    columns: tuple[Contribution, ...] | None = None
    text: Wording | None = None
    start: str | None = None
    end: str | None = None
    curves: tuple[Curve, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the columns of the results file, evidence as dictionaries or lists of them."""
        neighbors = [{"item": one.item, "distance": one.distance} for one in self.neighbors]
        record: dict[str, Any] = {
            "item": self.item,
            "anomaly_score": self.anomaly_score,
            "p_value": self.p_value,
            "is_anomaly": self.is_anomaly,
            "neighbors": neighbors,
            "error": self.error,
        }
        for name in MORE_COLUMNS:
            if (more := getattr(self, name)) is not None:
                record[name] = _plain(more)
        return record


def _plain(value: Any) -> Any:
    """Turn evidence into dictionaries, lists of them, or plain values."""
    if isinstance(value, tuple):
        return [asdict(one) for one in value]
    return value if isinstance(value, str) else asdict(value)

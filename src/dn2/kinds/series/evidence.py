"""Why an interval of a series is strange: its strangest window beside its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

from dn2.arrays import Numbers
from dn2.results.checked import as_list, as_number, as_numbers, as_text
from dn2.results.rows import Evidence, Neighbor, from_json, in_line

SHARE_SAID = 0.05


@dataclass(frozen=True, slots=True)
class Curve:
    """A column of a window of a series, as evidence of an interval.

    Parameters
    ----------
    column : str
        Its name.
    share : float
        Its share of the distance to the neighbors; the shares of all columns add up to 1.
    value : tuple of float
        The values of the window, evenly placed ones of a long window.
    neighbors : tuple of tuple of float
        Those of its neighbors, in their order.
    """

    column: str
    share: float
    value: tuple[float, ...]
    neighbors: tuple[tuple[float, ...], ...]


class Surroundings(NamedTuple):
    """The series around an interval, in the column that makes it most anomalous.

    start, end : the stamps of the first and last of its values, which lie evenly."""

    start: str
    end: str
    values: Numbers


@dataclass(frozen=True)
class IntervalEvidence(Evidence):
    """Where an interval of a series lies, and what its strangest window looks like.

    start, end : the stamps of its first and last point; None where the series could not be read.
    curves : the values of its strangest window and of the neighbors, first in the columns that make it most anomalous;
        None for an interval without a window.
    peak : the stamp of its highest point.
    around : the series around it; None in evidence that was read from a file."""

    file_columns: ClassVar[tuple[str, ...]] = ("start", "end", "curves", "peak")
    heading: ClassVar[str] = "where it is strangest; nearest windows (distance)"
    start: str | None = None
    end: str | None = None
    curves: tuple[Curve, ...] | None = None
    peak: str | None = None
    around: Surroundings | None = field(default=None, compare=False, repr=False)

    def as_record(self) -> dict[str, Any]:
        """See `Evidence`."""
        curves = None if self.curves is None else [asdict(curve) for curve in self.curves]
        return {"start": self.start, "end": self.end, "curves": curves, "peak": self.peak}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """See `Evidence`."""
        start, end, peak = (as_text(record[name]) if record.get(name) else None for name in ("start", "end", "peak"))
        curves = as_list(from_json(record.get("curves")))
        return cls(start, end, tuple(_curve(**curve) for curve in curves) or None, peak)

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """See `Evidence`."""
        curves = self.curves or ()
        shares = ", ".join(f"{curve.column} ({curve.share:.0%})" for curve in curves if curve.share >= SHARE_SAID)
        until = "" if self.end is None else f" to {self.end}"
        parts = [f"highest at {self.peak}"] * (self.peak is not None) + [shares] * (len(curves) > 1)
        return f"{name}{until}", "; ".join([*parts, in_line(neighbors)])


def _curve(column: Any, share: Any, value: Any, neighbors: Any) -> Curve:
    return Curve(as_text(column), as_number(share), as_numbers(value), tuple(map(as_numbers, as_list(neighbors))))

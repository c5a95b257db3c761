"""Why a row of a table is strange: its columns, by their share of the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from dn2.results.checked import as_cell, as_list, as_number, as_text
from dn2.results.rows import Evidence, Neighbor, from_json, in_line

COLUMNS_SAID = 3
SHARE_SAID = 0.05


@dataclass(frozen=True, slots=True)
class Contribution:
    """A column of a table, as evidence of a row.

    Parameters
    ----------
    column : str
        Its name.
    share : float
        Its share of the row's anomaly score; the shares of all columns add up to 1.
    value : float, str or None
        The row's value; None where it is missing.
    neighbors : tuple
        The values of the row's neighbors, in their order.
    """

    column: str
    share: float
    value: Any
    neighbors: tuple[Any, ...]

    def __str__(self) -> str:
        near = ", ".join(map(cell_in_words, dict.fromkeys(self.neighbors)))
        return f"{self.column} {cell_in_words(self.value)} beside {near} ({self.share:.0%})"


@dataclass(frozen=True)
class RowEvidence(Evidence):
    """columns : of the row of a table, the ones that make it most anomalous, in this order."""

    file_columns: ClassVar[tuple[str, ...]] = ("columns",)
    heading: ClassVar[str] = "what makes it strange (share); nearest normal rows (distance)"
    columns: tuple[Contribution, ...]

    def as_record(self) -> dict[str, Any]:
        """See `Evidence`."""
        return {"columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """See `Evidence`."""
        return cls(tuple(_contribution(**column) for column in as_list(from_json(record["columns"]))))

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """See `Evidence`."""
        strange = [str(column) for column in self.columns[:COLUMNS_SAID] if column.share >= SHARE_SAID]
        return name, "; ".join([*strange, in_line(neighbors)])


def cell_in_words(value: Any) -> str:
    """Write a cell of a table for a person."""
    if value is None:
        return "missing"
    if isinstance(value, float):
        return f"{value:.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
    return str(value)


def _contribution(column: Any, share: Any, value: Any, neighbors: Any) -> Contribution:
    return Contribution(as_text(column), as_number(share), as_cell(value), tuple(map(as_cell, as_list(neighbors))))

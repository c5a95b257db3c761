"""How the columns of a table write numbers and dates: each by all of its cells, and where these do not show it by the
other columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from dn2.arrays import Numbers
from dn2.errors import InputError
from dn2.inputs.cells import Cells, present_texts, to_moments, to_numbers
from dn2.inputs.dates import DateOrder, find_order
from dn2.inputs.numbers import DECIMALS, GROUPINGS, Notation, Undecided, find_notation
from dn2.system.interface import option


@dataclass(frozen=True)
class Said:
    """What a person says of the writing of a table.

    decimal, thousands : the marks of numbers; day_first : whether the day stands before the month."""

    decimal: str | None = None
    thousands: str | None = None
    day_first: bool | None = None

    @classmethod
    def from_dict(cls, about: Mapping[str, Any]) -> Self:
        """Restore what `dataclasses.asdict` gave.  Raises TypeError, ValueError for other content."""
        said = cls(**about)
        allowed = said.decimal in (*DECIMALS, None) and said.thousands in (*GROUPINGS, None)
        if not allowed or said.day_first not in (True, False, None):
            raise ValueError(f"numbers and dates written as {about!r:.80}")
        return said


NOTHING_SAID = Said()


class Writing:
    """How the columns of a table are written.

    columns : their cells, by name; delimiter, with_points : as of a `Table`."""

    def __init__(
        self,
        columns: Mapping[str, Cells],
        said: Said = NOTHING_SAID,
        delimiter: str | None = None,
        with_points: Collection[str] = (),
    ) -> None:
        self._columns, self._said = columns, said
        texts = {name: present_texts(cells) for name, cells in columns.items() if cells.dtype == object}
        self._found = {
            name: find_notation(of_name, None, said.decimal, said.thousands) for name, of_name in texts.items()
        }
        shown = {found.decimal for found in self._found.values() if isinstance(found, Notation) and found.decimal}
        shown |= {"." for name in columns if name in with_points}
        self._dialect = shown.pop() if len(shown) == 1 else "." if not shown and delimiter == "," else None
        self._points = with_points

    def of_numbers(self, name: str, *, codes: bool = False) -> Notation | Undecided | None:
        """Return how a column writes numbers; None for a column of other things.

        codes : whether codes, such as 007, are numbers."""
        if name not in self._found:
            if name in self._points and self._said.decimal == ",":
                raise InputError(
                    f"the column {name!r} holds numbers with a decimal point, and {option('decimal', ',')} says that "
                    "there are none"
                )
            return Notation("." if name in self._points else None)
        found = self._found[name]
        if codes or (isinstance(found, Undecided) and self._dialect is not None):
            said = self._said
            texts = present_texts(self._columns[name])
            return find_notation(texts, self._dialect, said.decimal, said.thousands, codes=codes)
        return found

    def numbers(self, name: str) -> tuple[Numbers, list[int]]:
        """Return the cells of a column as numbers, see `to_numbers`.  Raises InputError where it must be asked."""
        found = self.of_numbers(name)
        if isinstance(found, Undecided) and found.ambiguous:
            ask_for_marks(name, found)
        return to_numbers(self._columns[name], found if isinstance(found, Notation) else Notation("."))

    def moments(self, name: str) -> tuple[Numbers, list[int]]:
        """Return the cells of a column as moments, see `to_moments`.  Raises InputError where it must be asked."""
        found = self.of_dates(name)
        if isinstance(found, Undecided):
            ask_for_order(name, found)
        return to_moments(self._columns[name], found or DateOrder())

    def found(self, names: Collection[str], time: str | None) -> Said:
        """Return how columns of numbers, and a column of stamps, turned out to be written."""
        notations = [found for name in names if isinstance(found := self.of_numbers(name), Notation)]
        decimals, groupings = {one.decimal for one in notations} - {None}, {one.grouping for one in notations} - {None}
        order = None if time is None or self._columns[time].dtype.kind == "f" else self.of_dates(time)
        return Said(
            decimals.pop() if len(decimals) == 1 else self._said.decimal,
            groupings.pop() if len(groupings) == 1 else self._said.thousands,
            order.day_first if isinstance(order, DateOrder) else self._said.day_first,
        )

    def of_dates(self, name: str) -> DateOrder | Undecided | None:
        """Return how a column writes dates; None for a column of other things."""
        cells = self._columns[name]
        return DateOrder() if cells.dtype.kind == "M" else find_order(present_texts(cells), self._said.day_first)


def ask_for_marks(name: str, found: Undecided) -> NoReturn:
    """Raise InputError for numbers that can be read in several ways."""
    ways = f"{option('decimal', '.')} or {option('decimal', ',')}"
    raise InputError(f"the column {name!r} holds {found.why}; say which mark is the decimal one with {ways}")


def ask_for_order(name: str, found: Undecided) -> NoReturn:
    """Raise InputError for dates that can be read in several ways."""
    ways = f"{option('date_order', 'day')} or {option('date_order', 'month')}"
    raise InputError(f"the column {name!r} holds {found.why}; say what comes first with {ways}")

"""Options of kinds that read tables: how numbers and dates are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dn2.errors import InputError
from dn2.kinds.options import Options, option
from dn2.system.interface import option as named

if TYPE_CHECKING:
    from dn2.inputs.writing import Said


@dataclass(frozen=True, kw_only=True)
class WritingOptions(Options):
    """What a person says of the writing of a table, where it does not show by itself."""

    decimal: str | None = option(
        None, "The decimal mark of numbers. Default: as each column shows it, or else the others.", choices=(".", ",")
    )
    thousands: str | None = option(
        None,
        "The mark between groups of digits. Default: as each column shows it.",
        choices=(".", ",", "space", "apostrophe"),
    )
    date_order: str | None = option(
        None,
        "Whether the day or the month comes first in dates such as 03/04/2024. Default: as each column shows it.",
        choices=("day", "month"),
    )

    def check(self) -> None:
        """See `Options`."""
        super().check()
        if self.decimal is not None and self.decimal == self.thousands:
            raise InputError(f"{named('decimal')} and {named('thousands')} must differ, got {self.decimal!r} for both")

    def said(self) -> Said:
        """Return these options for `dn2.inputs.writing`."""
        from dn2.inputs.writing import Said

        thousands = {"space": " ", "apostrophe": "'"}.get(self.thousands or "", self.thousands)
        return Said(self.decimal, thousands, None if self.date_order is None else self.date_order == "day")

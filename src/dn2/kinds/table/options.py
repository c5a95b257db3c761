"""The options of rows of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import CleaningOptions, Several, option
from dn2.kinds.writing_options import WritingOptions


@dataclass(frozen=True, kw_only=True)
class TableOptions(WritingOptions, CleaningOptions):
    """The options of rows."""

    heading: ClassVar[str] = "Tables"

    id_column: str | None = option(None, "The column that names the rows; it is not compared.", metavar="COLUMN")
    drop_columns: Several = option((), "A column to leave out of the comparison.", metavar="COLUMN")
    numeric: Several = option((), "A column of numbers, whatever it looks like.", metavar="COLUMN")
    categorical: Several = option((), "A column of categories, such as codes written as numbers.", metavar="COLUMN")
    date: Several = option((), "A column of dates, whatever it looks like.", metavar="COLUMN")

    def kinds_of_columns(self) -> dict[str, str]:
        """Return the kinds that columns are said to have, by name."""
        return {
            **dict.fromkeys(self.numeric, "number"),
            **dict.fromkeys(self.categorical, "category"),
            **dict.fromkeys(self.date, "date"),
        }

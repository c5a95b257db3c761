"""The options of rows of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import CleaningOptions, Several, option


@dataclass(frozen=True, kw_only=True)
class TableOptions(CleaningOptions):
    """The options of rows."""

    heading: ClassVar[str] = "Tables"

    id_column: str | None = option(None, "The column that names the rows; it is not compared.", metavar="COLUMN")
    drop_columns: Several = option((), "A column to leave out of the comparison.", metavar="COLUMN")

"""The columns that make rows of a table strange, for the script of a page to show."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from dn2.kinds.exchange import Pictures
from dn2.kinds.table.evidence import Contribution
from dn2.report.section import Section as Base
from dn2.report.shortening import Shortener, find_strangest
from dn2.results.rows import Row

LONGEST_VALUE = 80
LARGEST_EXACT = 2**53  # whole numbers up to here are exact in a script
MOMENT = re.compile(r"(\d{4,}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")


class Section(Base):
    """The columns that make the most anomalous rows strange; each name of a column is written once."""

    def __init__(self, rows: Sequence[Row], pictures: Pictures | None = None) -> None:
        super().__init__(rows, pictures)
        self._places, self._left_out = find_strangest(rows, lambda row: bool(row.columns))
        self._short = Shortener(LONGEST_VALUE)

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """Return what the script reads; None for rows without evidence."""
        if all(row.columns is None for row in self.rows):
            return None
        listed = [self.rows[place].columns or () for place in self._places]
        flat: list[Contribution] = [column for columns in listed for column in columns]
        names = {
            column.column: place for place, column in enumerate({column.column: column for column in flat}.values())
        }
        self._short = Shortener(LONGEST_VALUE)
        return {
            "name": [self._short(name) for name in names],
            "items": self._places,
            "starts": [*accumulate(map(len, listed), initial=0)],
            "column": [names[column.column] for column in flat],
            "share": [round(column.share, 4) for column in flat],
            "value": [self._cell(column.value) for column in flat],
            "near": [[*map(self._cell, column.neighbors)] for column in flat],
        }

    def left_out(self) -> list[str]:
        """Say what the page leaves out; valid once `data` was called."""
        words = []
        if self._left_out:
            words.append(
                f"The columns that make a row strange are shown for the {len(self._places):,} most anomalous rows; "
                "a results file has them for all."
            )
        if self._short.count:
            words.append(
                f"Names of columns and values shortened to {LONGEST_VALUE} characters: {self._short.count:,}. "
                "The table has them whole."
            )
        return words

    def _cell(self, value: Any) -> Any:
        """Return a cell of a table in a form that a script can read; None for a missing one."""
        if isinstance(value, float):
            if math.isfinite(value):
                return int(value) if value.is_integer() and abs(value) < LARGEST_EXACT else float(f"{value:.8g}")
            return None if math.isnan(value) else str(value)
        if isinstance(value, int) and abs(value) >= LARGEST_EXACT:
            return str(value)
        if isinstance(value, str) and (moment := MOMENT.fullmatch(value)):
            return moment[1] if moment[2] == "00:00:00" else f"{moment[1]} {moment[2]}"
        return self._short(value) if isinstance(value, str) else value

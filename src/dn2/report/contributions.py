"""What makes rows of a table strange, in columns, for the script of a page to show."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from dn2.store.rows import Contribution, Row

# What keeps the file small: the most anomalous rows are explained.
MOST_EXPLAINED = 2_000
LONGEST_VALUE = 80
LARGEST_EXACT = 2**53  # of the whole numbers that a script reads
MOMENT = re.compile(r"(\d{4,}-\d\d-\d\d)T(\d\d:\d\d:\d\d)")


class Contributions:
    """The columns that make rows strange, names of columns each once, as much as a page can bear.

    rows : those that could be read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._places, self._left_out = strangest(rows, lambda row: bool(row.columns))
        self._short = Shortener(LONGEST_VALUE)

    def data(self) -> dict[str, Any] | None:
        """Return what the script reads; None where the rows are not explained."""
        if all(row.columns is None for row in self._rows):
            return None
        listed = [self._rows[place].columns or () for place in self._places]
        flat: list[Contribution] = [one for of_one in listed for one in of_one]
        names = {one.column: place for place, one in enumerate({one.column: one for one in flat}.values())}
        self._short = Shortener(LONGEST_VALUE)
        return {
            "name": [self._short(name) for name in names],
            "items": self._places,
            "starts": [*accumulate(map(len, listed), initial=0)],
            "column": [names[one.column] for one in flat],
            "share": [round(one.share, 4) for one in flat],
            "value": [self._cell(one.value) for one in flat],
            "near": [[*map(self._cell, one.neighbors)] for one in flat],
        }

    def left_out(self) -> list[str]:
        """Say what the page does not hold, once `data` is made."""
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
        """Return a cell of a table as a script can read it, None if it is missing."""
        if isinstance(value, float):
            if math.isfinite(value):
                return int(value) if value.is_integer() and abs(value) < LARGEST_EXACT else float(f"{value:.8g}")
            return None if math.isnan(value) else str(value)
        if isinstance(value, int) and abs(value) >= LARGEST_EXACT:
            return str(value)
        if isinstance(value, str) and (moment := MOMENT.fullmatch(value)):
            return moment[1] if moment[2] == "00:00:00" else f"{moment[1]} {moment[2]}"
        return self._short(value) if isinstance(value, str) else value


def strangest(rows: Sequence[Row], has: Callable[[Row], bool]) -> tuple[list[int], int]:
    """List the places of the most anomalous of the rows that have something to show, and count the others."""
    found = [place for place, row in enumerate(rows) if has(row)]
    found.sort(key=lambda place: -(rows[place].anomaly_score or 0))
    return found[:MOST_EXPLAINED], max(0, len(found) - MOST_EXPLAINED)


class Shortener:
    """Cuts the middle out of texts of more than `longest` characters, and counts them."""

    def __init__(self, longest: int) -> None:
        self.count = 0
        self._longest = longest

    def __call__(self, text: str) -> str:
        half = self._longest // 2
        if len(text) <= self._longest:
            return text
        self.count += 1
        return f"{text[:half]} … {text[-(half - 3) :]}"

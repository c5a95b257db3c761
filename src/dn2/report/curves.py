"""Windows of series laid over their neighbours, for the script of a page to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dn2.report.contributions import Shortener, strangest
from dn2.store.rows import Row

LONGEST_COLUMN = 80
NEIGHBORS_DRAWN = 5
LONGEST_DRAWN = 400


class Curves:
    """When intervals are, and the values of the most anomalous ones beside those of their neighbours.

    rows : those that could be read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._places, self._left_out = strangest(rows, lambda row: bool(row.curves))
        self._short = Shortener(LONGEST_COLUMN)

    def data(self) -> dict[str, Any] | None:
        """Return what the script reads; None where rows are no intervals of series."""
        if not any(row.start is not None for row in self._rows):
            return None
        series: dict[str, int] = {}
        owners = [series.setdefault(row.item.removesuffix(f":{row.start}"), len(series)) for row in self._rows]
        return {
            "items": self._places,
            "curves": [
                [
                    [
                        self._short(one.column),
                        round(one.share, 4),
                        thinned(one.value),
                        [thinned(near) for near in one.neighbors[:NEIGHBORS_DRAWN]],
                    ]
                    for one in self._rows[place].curves or ()
                ]
                for place in self._places
            ],
            "series": [self._short(name) for name in series],
            "owner": owners,
            "start": [row.start or "" for row in self._rows],
            "end": [row.end or "" for row in self._rows],
        }

    def left_out(self) -> list[str]:
        """Say what the page does not hold, once `data` is made."""
        if not self._left_out:
            return []
        return [
            f"The values of the {len(self._places):,} most anomalous intervals are drawn; "
            "a results file has those of all."
        ]


def thinned(values: Sequence[float]) -> Sequence[float]:
    """Keep evenly placed ones of very many values."""
    return values[:: -(-len(values) // LONGEST_DRAWN)] if values else values

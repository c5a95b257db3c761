"""Windows of series over their neighbours, for the script of a page to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dn2.kinds.exchange import Pictures
from dn2.report.section import Section as Base
from dn2.report.shortening import Shortener, find_strangest
from dn2.results.rows import Row

LONGEST_COLUMN = 80
NEIGHBORS_DRAWN = 5
LONGEST_DRAWN = 400


class Section(Base):
    """The times of intervals, and the values of the most anomalous ones beside those of their neighbours."""

    def __init__(self, rows: Sequence[Row], pictures: Pictures | None = None) -> None:
        super().__init__(rows, pictures)
        self._places, self._left_out = find_strangest(rows, lambda row: bool(row.curves))
        self._short = Shortener(LONGEST_COLUMN)

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """Return what the script reads; None unless rows are intervals of series."""
        if not any(row.start is not None for row in self.rows):
            return None
        series: dict[str, int] = {}
        owners = [series.setdefault(row.item.removesuffix(f":{row.start}"), len(series)) for row in self.rows]
        return {
            "items": self._places,
            "curves": [
                [
                    [
                        self._short(curve.column),
                        round(curve.share, 4),
                        thin_out(curve.value),
                        [thin_out(near) for near in curve.neighbors[:NEIGHBORS_DRAWN]],
                    ]
                    for curve in self.rows[place].curves or ()
                ]
                for place in self._places
            ],
            "around": [self._around(place) for place in self._places],
            "series": [self._short(name) for name in series],
            "owner": owners,
            "start": [row.start or "" for row in self.rows],
            "end": [row.end or "" for row in self.rows],
            "peak": [row.peak or row.start or "" for row in self.rows],
        }

    def _around(self, place: int) -> list[Any] | None:
        around = self.rows[place].evidence.around
        return None if around is None else [around.start, around.end, [float(f"{one:.4g}") for one in around.values]]

    def left_out(self) -> list[str]:
        """Say what the page leaves out; valid once `data` was called."""
        if not self._left_out:
            return []
        return [
            f"The values of the {len(self._places):,} most anomalous intervals are drawn; "
            "a results file has those of all."
        ]


def thin_out(values: Sequence[float]) -> Sequence[float]:
    """Keep at most `LONGEST_DRAWN` of the values, evenly placed."""
    return values[:: -(-len(values) // LONGEST_DRAWN)] if values else values

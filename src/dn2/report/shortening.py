"""Limits that keep a page small: only the strangest rows are explained, long texts are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dn2.results.rows import Row

MOST_EXPLAINED = 2_000  # rows, the most anomalous ones


def find_strangest(rows: Sequence[Row], has: Callable[[Row], bool]) -> tuple[list[int], int]:
    """List the places of the rows for which `has` is true, those of audits and then the most anomalous, and count the
    further such rows."""
    places = [place for place, row in enumerate(rows) if has(row)]
    places.sort(key=lambda place: (not rows[place].audit, -(rows[place].anomaly_score or 0)))
    return places[:MOST_EXPLAINED], max(0, len(places) - MOST_EXPLAINED)


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


def round_shown(value: float) -> float:
    """Round to the six digits that a page shows at most."""
    return float(f"{value:.6g}")

"""The section of a page for one kind of data; a kind with more than names and distances has its own in `page.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from dn2.kinds.exchange import Pictures
from dn2.results.rows import Row


class Section:
    """The section that a kind of data adds to a page of scored items: its data, and beside its module its script
    `page.js` and its style `page.css`.  This base class adds nothing.

    Parameters
    ----------
    rows : sequence of Row
        The items that could be read, in the order in which the page's script counts them.
    pictures : Pictures or None
        Small pictures of items and reference items, where the kind has any."""

    def __init__(self, rows: Sequence[Row], pictures: Pictures | None = None) -> None:
        self.rows = rows
        self.pictures = pictures

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """Return what `page.js` reads as `page.data`, fit for JSON; None for no section.

        reference : the place of each neighbour among the names on the page, by name."""
        return None

    def later(self) -> dict[str, Any] | None:
        """Return what is large and rarely looked at, once `data` is made; `page.js` reads it as `page.later()`."""
        return None

    def left_out(self) -> list[str]:
        """Say what the page leaves out, once `data` is made."""
        return []

    @classmethod
    def script(cls) -> str:
        """Return the script that shows the data; `report/results.js` says what it calls."""
        return cls._beside("page.js")

    @classmethod
    def style(cls) -> str:
        """Return the style of what the script shows."""
        return cls._beside("page.css")

    @classmethod
    def _beside(cls, name: str) -> str:
        package = cls.__module__.rpartition(".")[0]
        place = files(package) / name if package else None
        return place.read_text(encoding="utf-8") if place is not None and place.is_file() else ""

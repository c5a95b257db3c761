"""What messages and their neighbours say, for the script of a page to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dn2.kinds.exchange import Pictures
from dn2.kinds.text.wording import cut_at_words
from dn2.report.section import Section as Base
from dn2.report.shortening import Shortener, find_strangest
from dn2.results.rows import Row

LONGEST_MESSAGE = 600


class Section(Base):
    """The most anomalous messages, their new words, and the texts of their neighbours."""

    def __init__(self, rows: Sequence[Row], pictures: Pictures | None = None) -> None:
        super().__init__(rows, pictures)
        self._places, self._left_out = find_strangest(rows, lambda row: row.text is not None)
        self._short = Shortener(LONGEST_MESSAGE)

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """Return what the script reads; None unless rows are messages.

        reference : the place of each neighbour on the page, by name."""
        if not self._places:
            return None
        self._short = Shortener(LONGEST_MESSAGE)
        texts = [(self.rows[place], text) for place in self._places if (text := self.rows[place].text) is not None]
        near: dict[int, str] = {}
        for row, text in texts:
            for neighbor, neighbor_text in zip(row.neighbors, text.neighbors, strict=False):
                if reference[neighbor.item] not in near:
                    near[reference[neighbor.item]] = self._short(neighbor_text)
        return {
            "items": self._places,
            "value": [cut_at_words(self._short(text.value), set(text.new_words)) for _, text in texts],
            "reference": near,
        }

    def left_out(self) -> list[str]:
        """Say what the page leaves out; valid once `data` was called."""
        words = []
        if self._left_out:
            words.append(
                f"What they say is shown for the {len(self._places):,} most anomalous messages; a results file has it "
                "for all."
            )
        if self._short.count:
            words.append(
                f"Messages shortened to {LONGEST_MESSAGE} characters: {self._short.count:,}. A results file has more "
                "of them."
            )
        return words

"""What messages and their neighbours say, for the script of a page to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dn2.report.contributions import Shortener, strangest
from dn2.store.rows import Row
from dn2.wording import marked

LONGEST_MESSAGE = 600


class Wordings:
    """The most anomalous messages, the words that none of their neighbours has, and what these say.

    rows : those that could be read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._places, self._left_out = strangest(rows, lambda row: row.text is not None)
        self._short = Shortener(LONGEST_MESSAGE)

    def data(self, reference: Mapping[str, int]) -> dict[str, Any] | None:
        """Return what the script reads; None where rows are no messages.

        reference : the place of each neighbour on the page, by name."""
        if not self._places:
            return None
        self._short = Shortener(LONGEST_MESSAGE)
        texts = [(self._rows[place], text) for place in self._places if (text := self._rows[place].text) is not None]
        near: dict[int, str] = {}
        for row, text in texts:
            for one, said in zip(row.neighbors, text.neighbors, strict=False):
                if reference[one.item] not in near:
                    near[reference[one.item]] = self._short(said)
        return {
            "items": self._places,
            "value": [marked(self._short(text.value), set(text.new_words)) for _, text in texts],
            "reference": near,
        }

    def left_out(self) -> list[str]:
        """Say what the page does not hold, once `data` is made."""
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

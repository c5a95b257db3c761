"""Why a message is strange: its text beside that of its neighbours, and its new words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from dn2.results.checked import as_text, as_texts
from dn2.results.rows import Evidence, Neighbor, from_json
from dn2.results.words import number_in_words

LONGEST_SAID = 120  # characters


@dataclass(frozen=True, slots=True)
class Wording:
    """What a message and its neighbors say, as evidence.

    Parameters
    ----------
    value : str
        The message, as far as it is shown.
    new_words : tuple of str
        Its words that none of the neighbors has, in order.
    neighbors : tuple of str
        What the neighbors say, in their order.
    """

    value: str
    new_words: tuple[str, ...]
    neighbors: tuple[str, ...]


@dataclass(frozen=True)
class MessageEvidence(Evidence):
    """text : the texts of a message and of its neighbors; None for an unreadable message."""

    file_columns: ClassVar[tuple[str, ...]] = ("text",)
    heading: ClassVar[str] = "message; nearest normal message (distance)"
    text: Wording | None = None

    def as_record(self) -> dict[str, Any]:
        """See `Evidence`."""
        return {"text": None if self.text is None else asdict(self.text)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """See `Evidence`."""
        text = from_json(record.get("text"))
        return cls(None if text is None else _wording(**text))

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """See `Evidence`."""
        if self.text is None:
            return super().say(neighbors, name)
        near = zip(self.text.neighbors[:1], neighbors, strict=False)
        beside = "".join(f"; {_in_one_line(text)} ({number_in_words(neighbor.distance, 3)})" for text, neighbor in near)
        return name, f"{_in_one_line(self.text.value)}{beside}"


def _in_one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SAID else f"{line[: LONGEST_SAID - 2]} …"


def _wording(value: Any, new_words: Any, neighbors: Any) -> Wording:
    return Wording(as_text(value), as_texts(new_words), as_texts(neighbors))

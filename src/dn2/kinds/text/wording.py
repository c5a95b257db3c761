"""Messages as evidence: the part that is shown, and the words that are new."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import cache

LONGEST_SHOWN = 2_000  # characters


def new_words(text: str, neighbors: Sequence[str]) -> tuple[str, ...]:
    """List the words of the shown part of a text that every neighbour lacks, in order; case does not count."""
    usual = {word.casefold() for neighbor in neighbors for word in words_of(neighbor)}
    return tuple(dict.fromkeys(word for word in words_of(shown(text)) if word.casefold() not in usual))


def shown(text: str) -> str:
    """Cut a long text to the part that is shown."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 2] + " …"


@cache
def _word() -> re.Pattern[str]:
    """Return the pattern of a word: letters, digits and combining marks, which Python's own pattern leaves out."""
    marks = "".join(chr(code) for code in range(0x300, 0xE01F0) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"[\w{marks}]+")


def words_of(text: str) -> list[str]:
    """List the words of a text, in order."""
    return _word().findall(text)


def cut_at_words(text: str, words: Collection[str]) -> list[str]:
    """Cut a text at the given words into pieces that alternate: plain, word, plain, word ..."""
    pieces, start = [], 0
    for match in _word().finditer(text):
        if match[0] in words:
            pieces += [text[start : match.start()], match[0]]
            start = match.end()
    return [*pieces, text[start:]]

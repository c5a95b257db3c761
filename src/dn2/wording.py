"""Messages as evidence: what is shown of them, and which of their words are new."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import cache

LONGEST_SHOWN = 2_000  # characters


def new_words(text: str, neighbors: Sequence[str]) -> tuple[str, ...]:
    """List the words of a text, as far as it is shown, that none of its neighbours has, in order, in whatever case."""
    known = {word.casefold() for neighbor in neighbors for word in words_of(neighbor)}
    return tuple(dict.fromkeys(word for word in words_of(shown(text)) if word.casefold() not in known))


def shown(text: str) -> str:
    """Cut a long text to what is shown of it."""
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 2] + " …"


@cache
def _word() -> re.Pattern[str]:
    """Return what a word is: letters, digits and the marks upon them, which Python's own pattern leaves out."""
    marks = "".join(chr(code) for code in range(0x300, 0xE01F0) if unicodedata.category(chr(code)).startswith("M"))
    return re.compile(rf"[\w{marks}]+")


def words_of(text: str) -> list[str]:
    """List the words of a text, in order."""
    return _word().findall(text)


def marked(text: str, words: Collection[str]) -> list[str]:
    """Cut a text into pieces, of which every second one is a word among some: plain, word, plain, word ..."""
    pieces, start = [], 0
    for found in _word().finditer(text):
        if found[0] in words:
            pieces += [text[start : found.start()], found[0]]
            start = found.end()
    return [*pieces, text[start:]]

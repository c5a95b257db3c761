"""Texts for a terminal, without characters from users and files that would steer it."""

from __future__ import annotations

import unicodedata

from dn2.system.naming import encodable

JOINERS = "\u200c\u200d"  # which join letters and emoji
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control and format characters, halves of characters, ends of lines
LONGEST_LINE = 4_096  # characters


def printable(text: str) -> str:
    """Escape characters that steer a terminal, end a line or reverse its text: ESC as `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(_escape(character) if _steers(character) else character for character in encodable(text))


def line_of(text: str) -> str:
    """Write a message for a terminal in one line, without the middle of a very long message."""
    line = printable(" ".join(part.strip() for part in text.strip().split("\n")))
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def printable_json(text: str) -> str:
    """Escape the same characters in JSON, where they occur only in strings: ESC as `\\u001b`."""
    if text.isprintable():
        return text
    return "".join(_escape_json(character) if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    return unicodedata.category(character) in STEERING and character not in JOINERS


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _escape_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))

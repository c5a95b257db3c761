"""How the bytes of a file write text: UTF-8, UTF-16 or Windows-1252, as far as the bytes show it."""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TextIO

from dn2.errors import InputError
from dn2.inputs.packed import open_bytes
from dn2.system.stores import LocalPath

logger = logging.getLogger("dn2")

PART = 1 << 20
LOOKED_AT = 1 << 12  # bytes at the start, for UTF-16 without its mark
SHARE_OF_ZEROS = 0.3  # of the bytes at odd or at even places: those of delimiters, digits and Latin letters
LONGEST_EXAMPLE = 24
ZIP = b"PK\x03\x04"
WORD = re.compile(r"[\s,;|\"]")

# A character of UTF-8 beyond ASCII (but for those that a ß before a quotation mark is), and one that is cut off.
CHARACTER = re.compile(rb"[\xc2-\xde][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
CUT_OFF = re.compile(rb"(?:[\xc2\xc3]|[\xe0-\xef][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{1,2})\Z")
MOST_CHARACTERS = 0.1  # of UTF-8, which two signs of Windows-1252 may be by chance, for each byte that is none

# How bytes beyond ASCII stand in Windows-1252: alone among letters, or beside each other as its languages have it.
# Elsewhere they are another alphabet (pairs), or the letters of another encoding are its signs (within words).
HIGH = re.compile(rb"[\x80-\xff]")
LACKING = re.compile(rb"[\x00-\x08\x0e-\x1f\x81\x8d\x8f\x90\x9d]")
_LETTER = rb"[A-Za-z\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xff]"
_SMALL = rb"[a-z\xdf-\xf6\xf8-\xff]"
_NORTHERN = (
    rb"[\xc1\xc4-\xc6\xc9\xcd\xd3\xd5\xd6\xd8\xda\xdc\xdd\xdf\xe1\xe4-\xe6\xe9\xed\xf0\xf3\xf5\xf6\xf8\xfa\xfc-\xfe]"
)
_QUOTES = rb"[\x80\x82\x84\x85\x8b\x91-\x97\x9b\xa0\xa1\xab\xae\xb0\xb7\xbb\xbf\x99]"
PAIR = re.compile(rb"(?=[\x80-\xff]{2}).", re.DOTALL)
NATURAL_PAIR = re.compile(
    rb"(?="
    + _NORTHERN
    + rb"{2}|[\xc1\xc6\xcd\xd3\xd6\xd8\xda\xdd]\xd0|[\xc7\xd1\xe7\xf1][\xc0-\xff]|"
    + _QUOTES
    + rb"[\xc0-\xff]"
    rb"|[\xc0-\xff]" + _QUOTES + rb"|" + _QUOTES + rb"{2}).",
    re.DOTALL,
)
WITHIN_WORD = re.compile(
    _LETTER + rb"[\x82-\x84\x86-\x8c\x8e\x91\x93-\x95\x98\x9b\xa1-\xac\xb1\xb6\xb9\xbc-\xbf](?=" + _SMALL + rb")"
    rb"|" + _LETTER + rb"{2}\xb3(?=" + _SMALL + rb")"
)
MOST_STRANGE = 0.25  # of the bytes beyond ASCII


@dataclass(frozen=True)
class Encoding:
    """How a file writes text.

    name : as Python calls it.
    first_bad : of a file that is not UTF-8, where its first such byte stands, in words; '' for other files.
    line, example : of a file in Windows-1252, the line of that byte, and the word around it."""

    name: str
    first_bad: str = ""
    line: int = 0
    example: str = ""


def find_encoding(path: LocalPath) -> Encoding:
    """Find how a file writes text: UTF-16 by its mark, or by the zeros of its first bytes; else UTF-8; else
    Windows-1252, if all of its bytes can be that.

    Raises InputError if the file cannot be read."""
    with open_bytes(path) as file:
        start = file.read(LOOKED_AT)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return Encoding("utf-16")
    zeros_first, zeros_second = start[::2].count(0), start[1::2].count(0)
    least = max(1, SHARE_OF_ZEROS * len(start) / 2)
    if not zeros_first and zeros_second >= least:
        return Encoding("utf-16-le")
    if not zeros_second and zeros_first >= least:
        return Encoding("utf-16-be")
    return _find_bad_byte(path) or Encoding("utf-8-sig")


def require_encoding(path: LocalPath) -> Encoding:
    """Find how a file writes text.  Raises InputError, with the place of the first bad byte, if nothing shows it."""
    with open_bytes(path) as file:
        if file.read(len(ZIP)) == ZIP:
            raise InputError(f"{path} is no text but packed, as Excel's own files are; save its table as CSV")
    encoding = find_encoding(path)
    if encoding.first_bad and encoding.name != "cp1252":
        raise InputError(
            f"{path}, {encoding.first_bad}, and the file does not read as Windows-1252; save the file as UTF-8"
        )
    return encoding


def _find_bad_byte(path: LocalPath) -> Encoding | None:
    """Find the first byte of a file that is not UTF-8, and whether all can be Windows-1252; None for UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    number, start, position = 1, 0, 0  # line number, and the offsets in the file of the line and of the part
    with open_bytes(path) as file:
        for part in iter(partial(file.read, PART), None):
            try:
                decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                data, bad, at = error.object, error.start, position + len(part) - len(error.object)
                if b"\n" in data[:bad]:
                    number += data.count(b"\n", 0, bad)
                    start = at + data.rfind(b"\n", 0, bad) + 1
                first_bad = f"line {number:,}: byte {at + bad - start + 1:,} (0x{data[bad]:02x}) is no UTF-8"
                break
            if not part:
                return None
            if b"\n" in part:
                number, start = number + part.count(b"\n"), position + part.rfind(b"\n") + 1
            position += len(part)
    if not _can_be_1252(path):
        return Encoding("utf-8-sig", first_bad)
    around = data[max(0, bad - LONGEST_EXAMPLE) : bad], data[bad : bad + LONGEST_EXAMPLE]
    before, after = (part.decode("cp1252") for part in around)
    return Encoding("cp1252", first_bad, number, WORD.split(before)[-1] + WORD.split(after)[0])


def _can_be_1252(path: LocalPath) -> bool:
    """Tell whether a file that is not UTF-8 is most likely Windows-1252, and neither a damaged UTF-8 nor another
    encoding: by how its bytes beyond ASCII stand, counted over all of it."""
    high = in_characters = characters = strange = 0
    tail = b""
    with open_bytes(path) as file:
        for part in iter(partial(file.read, PART), b""):
            if LACKING.search(part):
                return False
            found = CHARACTER.findall(part)
            characters += len(found)
            in_characters += sum(map(len, found))
            high += len(HIGH.findall(part))
            strange += len(PAIR.findall(part)) - len(NATURAL_PAIR.findall(part)) + len(WITHIN_WORD.findall(part))
            tail = (tail + part)[-3:]
    if characters > MOST_CHARACTERS * (high - in_characters) or CUT_OFF.search(tail):
        return False
    return strange < MOST_STRANGE * high


@contextlib.contextmanager
def open_encoded(path: LocalPath, encoding: Encoding, newline: str | None = None) -> Iterator[TextIO]:
    """Open a file as text; bytes that are no UTF-8 become surrogates.

    newline : as of `open`.  Raises InputError."""
    errors = "surrogateescape" if encoding.name == "utf-8-sig" else None
    try:
        with (
            open_bytes(path) as file,
            io.TextIOWrapper(file, encoding.name, errors, newline) as text,
        ):
            yield text
    except UnicodeError as error:
        raise InputError(f"{path} begins as UTF-16 and does not go on as such; save the file as UTF-8") from error


def say_encodings(encodings: Mapping[LocalPath, Encoding]) -> None:
    """Log which files are read as Windows-1252, once for all."""
    files = [(path, encoding) for path, encoding in encodings.items() if encoding.name == "cp1252"]
    if files:
        path, encoding = files[0]
        more = f"; so are {len(files) - 1:,} more files" if len(files) > 1 else ""
        logger.warning(
            "%s is read as Windows-1252: line %s is no UTF-8, %r%s", path, f"{encoding.line:,}", encoding.example, more
        )

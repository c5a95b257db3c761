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
from pathlib import Path
from typing import TextIO

from dn2.errors import InputError
from dn2.inputs.packed import open_bytes

logger = logging.getLogger("dn2")

PART = 1 << 20
LOOKED_AT = 1 << 12  # bytes at the start, for UTF-16 without its mark
SHARE_OF_ZEROS = 0.3  # of the bytes at odd or at even places: those of delimiters, digits and Latin letters
LONGEST_EXAMPLE = 24
ZIP = b"PK\x03\x04"
WORD = re.compile(r"[\s,;|\"]")

# Bytes that Windows-1252 does not write in languages that it is used for.
_HIGH, _LOW, _CAPITAL = rb"\xc0-\xd6\xd8-\xf6\xf8-\xff", rb"a-z\xdf-\xf6\xf8-\xff", rb"A-Z\xc0-\xd6\xd8-\xde"
_SIGN = rb"\x80\x82\x84-\x89\x8b\x91\x93-\x95\x98\x99\x9b\xa1-\xac\xae-\xb1\xb3\xb5\xb6\xb8-\xbf"
_PAIRS = rb"[\xe4\xf6\xfc\xc4\xd6\xdc]\xdf|([\xe4\xe9\xf6\xc4\xc9\xd6])\1|[\xe7\xf1\xc7\xd1][" + _HIGH + rb"]"
NOT_1252 = re.compile(
    rb"[\x00-\x08\x0e-\x1f\x81\x8d\x8f\x90\x9d\x9f]"  # characters that it lacks, or that no word has
    rb"|[\xc2\xc3][\x80-\xbf]|\xe2[\x80-\x82]"  # UTF-8
    rb"|[" + _LOW + _CAPITAL + rb"][" + _SIGN + rb"][" + _LOW + _CAPITAL + rb"]"  # a sign within a word
    rb"|[" + _LOW + rb"][\x8a\x8c\x8e\xc0-\xd6\xd8-\xde]"  # a capital within a word
    rb"|(?!" + _PAIRS + rb")[" + _HIGH + rb"][" + _HIGH + rb"]"  # accents beside each other: another alphabet
)
CUT_OFF = (b"\xc2", b"\xc3")  # the first half of a character of UTF-8 at the end of a file


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


def find_encoding(path: Path) -> Encoding:
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


def require_encoding(path: Path) -> Encoding:
    """Find how a file writes text.  Raises InputError, with the place of the first bad byte, if nothing shows it."""
    with open_bytes(path) as file:
        if file.read(len(ZIP)) == ZIP:
            raise InputError(f"{path} is no text but packed, as Excel's own files are; save its table as CSV")
    encoding = find_encoding(path)
    if encoding.first_bad and encoding.name != "cp1252":
        raise InputError(f"{path}, {encoding.first_bad}; save the file as UTF-8")
    return encoding


def _find_bad_byte(path: Path) -> Encoding | None:
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


def _can_be_1252(path: Path) -> bool:
    tail = b""
    with open_bytes(path) as file:
        for part in iter(partial(file.read, PART), b""):
            if NOT_1252.search(tail + part):
                return False
            tail = part[-2:]
    return tail[-1:] not in CUT_OFF


@contextlib.contextmanager
def open_encoded(path: Path, encoding: Encoding, newline: str | None = None) -> Iterator[TextIO]:
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


def say_encodings(encodings: Mapping[Path, Encoding]) -> None:
    """Log which files are read as Windows-1252, once for all."""
    files = [(path, encoding) for path, encoding in encodings.items() if encoding.name == "cp1252"]
    if files:
        path, encoding = files[0]
        more = f"; so are {len(files) - 1:,} more files" if len(files) > 1 else ""
        logger.warning(
            "%s is read as Windows-1252: line %s is no UTF-8, %r%s", path, f"{encoding.line:,}", encoding.example, more
        )

"""Names and paths as texts that can be written anywhere, and back; and whether two names are equal.

A path is bytes, of which Python makes surrogates where they are no UTF-8; JSON may hold halves of characters.  A file
of UTF-8 holds neither, so each is escaped: a byte as `\\xNN`, any other surrogate as `\\udNNN`.  The backslash of
what only looks like that is written `\\x5c`, so that every text is found again from what is written."""

from __future__ import annotations

import os
import re
import unicodedata

SURROGATE = re.compile("[\ud800-\udfff]")
WRITTEN_OUT = re.compile(r"\\(?:x5c|x[89a-f][0-9a-f]|ud[89a-f][0-9a-f]{2})")
OF_BYTES = 0xDC00  # added to a byte from 0x80 on
URL = re.compile(r"(?:s3|gs|gcs)://", re.IGNORECASE)  # of the object stores that are read
# What stands before a bucket as `ID:SECRET@`, where a secret may hold slashes; paths make one slash of two.
KEYS = re.compile(r"((?:s3|gs|gcs):/+)(?:[^\s?#'\"]{0,300}:[^\s?#'\"]{0,300}|[^/\s?#'\"]{0,300})@", re.IGNORECASE)


def writable(text: str) -> str:
    """Escape the surrogates of a text, so that UTF-8 can encode it and `read_back` returns the text."""
    if text.isascii() and "\\" not in text:
        return text
    return SURROGATE.sub(_write_out, WRITTEN_OUT.sub(lambda found: rf"\x5c{found[0][1:]}", text))


def encodable(text: str) -> str:
    """Escape the surrogates of a text that is never read back, such as a message with escaped names."""
    return text if text.isascii() else SURROGATE.sub(_write_out, text)


def read_back(written: str) -> str:
    """Return the text that `writable` escaped."""
    return WRITTEN_OUT.sub(_read_one, written) if "\\" in written else written


def path_to_text(path: str | os.PathLike[str]) -> str:
    """Write a path so that it can be stored and shown, whatever its bytes and the encoding of file names here."""
    return writable(os.fsencode(path).decode("utf-8", "surrogateescape"))


def path_of_text(written: str) -> str:
    """Return the path that `path_to_text` wrote.  Raises ValueError for a text that `path_to_text` never writes."""
    return os.fsdecode(read_back(written).encode("utf-8", "surrogateescape"))


def is_possible(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file can have such a path: one without NUL, and only of characters that bytes stand for."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def ending_of(path: str | os.PathLike[str]) -> str:
    """Return the ending of a file's name in lower case; of a packed file with the one before it, such as `.csv.gz`."""
    rest, ending = os.path.splitext(os.fspath(path).lower())
    return os.path.splitext(rest)[1] + ending if ending == ".gz" else ending


def is_url(text: str) -> bool:
    """Tell whether a text is written as the URL of an object in a store."""
    return URL.match(text) is not None


def without_keys(text: str) -> str:
    """Return a text that is shown, without the keys to a store in the URLs in it."""
    return KEYS.sub(r"\1", text) if "@" in text else text


def without_options(url: str) -> str:
    """Return the part of a URL that is shown: neither keys nor options."""
    return re.split(r"[?#]", without_keys(url))[0]


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the absolute path, or the path as it is where the working folder is gone, and for a URL."""
    try:
        return os.fspath(path) if is_url(os.fspath(path)) else os.path.abspath(path)
    except OSError:
        return os.fspath(path)


def real_path(path: str | os.PathLike[str]) -> str:
    """Return a path with its links followed; of a URL, itself."""
    return os.fspath(path) if is_url(os.fspath(path)) else os.path.realpath(path)


def identity(name: str) -> str:
    """Return the name composed (NFC), which is equal for two spellings of one name."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_spelling(path: str) -> str:
    """Return a path as the file system spells it, composed (NFC) or not (NFD); unchanged if nothing is there."""
    if path.isascii() or os.path.lexists(path):
        return path
    spellings = (unicodedata.normalize(form, path) for form in ("NFC", "NFD"))
    return next((spelling for spelling in spellings if os.path.lexists(spelling)), path)


def _write_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return rf"\x{code - OF_BYTES:02x}" if 0x80 <= code - OF_BYTES <= 0xFF else rf"\u{code:04x}"


def _read_one(match: re.Match[str]) -> str:
    if match[0] == r"\x5c":
        return "\\"
    code = int(match[0][2:], 16)
    return chr(code + OF_BYTES if match[0][1] == "x" else code)

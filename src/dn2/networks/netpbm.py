"""Pictures of the formats PBM, PGM and PPM, which Pillow decodes a number at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from dn2.arrays import Array
from dn2.errors import UnreadableItem
from dn2.networks.limits import check_size

MAX_PLAIN_PIXELS = 1 << 22  # of numbers written out in digits
MAX_HEADER_BYTES = 1 << 16
MAX_COMMENTS = 1_000  # among numbers written out in digits
BYTES_A_NUMBER = 16  # at most, with the spaces around it

_MAGIC = re.compile(rb"P[1-6][# \t\n\v\f\r]")
_TOKEN = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\r\n]*[\r\n])+(\d{1,10})")
_COMMENT = re.compile(rb"#[^\r\n]*")
_DIGITS = re.compile(rb"[\d \t\n\v\f\r]*")
_SPACES = b" \t\n\v\f\r"


@dataclass(frozen=True)
class Netpbm:
    """A picture whose header was read.

    kind : the digit of its magic number: 1 to 3 are written in digits, 4 to 6 in bytes.
    white : the number that stands for white; start : where its pixels begin in the data."""

    data: bytes
    kind: int
    width: int
    height: int
    white: int
    start: int

    @property
    def bands(self) -> int:
        """1 of grey and of black and white, 3 of colour."""
        return 3 if self.kind in (3, 6) else 1

    def numbers(self) -> Array:
        """Return the numbers as they are stored, (height, width) or (height, width, 3), uint8 or big-endian uint16; of
        black and white 0 and 1, where 1 is white.

        Raises UnreadableItem where some are missing, or are no numbers."""
        if self.kind in (1, 4):
            return 1 - self._bits()
        shape = (self.height, self.width, 3)[: 3 if self.bands == 3 else 2]
        return (self._written() if self.kind <= 3 else self._stored()).reshape(shape)

    def _stored(self) -> Array:
        dtype = np.dtype(np.uint8 if self.white < 256 else ">u2")
        count = self.width * self.height * self.bands
        self._check(len(self.data) - self.start, count * dtype.itemsize, "bytes")
        return np.frombuffer(self.data, dtype, count, self.start)

    def _bits(self) -> Array:
        if self.kind == 4:
            row = -(-self.width // 8)
            self._check(len(self.data) - self.start, row * self.height, "bytes")
            packed = np.frombuffer(self.data, np.uint8, row * self.height, self.start).reshape(self.height, row)
            return np.unpackbits(packed, axis=1, count=self.width)
        digits = np.frombuffer(self._text().translate(None, _SPACES), np.uint8)[: self.width * self.height]
        self._check(len(digits), self.width * self.height, "numbers")
        if digits.max() > ord("1"):
            raise UnreadableItem("damaged picture: a PBM must hold only 0 and 1")
        return (digits - ord("0")).reshape(self.height, self.width)

    def _written(self) -> Array:
        count = self.width * self.height * self.bands
        text = self._text()[: BYTES_A_NUMBER * count]
        numbers = np.fromstring(text, np.int64, sep=" ")[:count] if text.strip() else np.empty(0, np.int64)
        self._check(len(numbers), count, "numbers")
        if numbers.max() > self.white:
            raise UnreadableItem(f"damaged picture: its numbers must be at most {self.white:,}, got {numbers.max():,}")
        return numbers.astype(np.uint8 if self.white < 256 else np.uint16)

    def _text(self) -> bytes:
        if self.data.count(b"#", self.start) > MAX_COMMENTS:
            raise UnreadableItem(f"a picture written in digits must have at most {MAX_COMMENTS:,} comments")
        text = _COMMENT.sub(b"", self.data[self.start :])
        if _DIGITS.fullmatch(text) is None:
            raise UnreadableItem("damaged picture: its pixels must be written in digits")
        return text

    @staticmethod
    def _check(got: int, need: int, what: str) -> None:
        if got < need:
            raise UnreadableItem(f"damaged picture: it ends early, after {got:,} of {need:,} {what}")


def is_netpbm(data: bytes | memoryview) -> bool:
    """Tell whether bytes begin as a PBM, a PGM or a PPM does."""
    return _MAGIC.match(data) is not None


def open_netpbm(data: bytes) -> Netpbm:
    """Read the header of a picture.  Raises UnreadableItem for one that is damaged or beyond the limits."""
    kind, place, sizes = data[1] - ord("0"), 2, []
    for _ in range(2 if kind in (1, 4) else 3):
        token = _TOKEN.match(data, place, MAX_HEADER_BYTES)
        if token is None:
            raise UnreadableItem(
                "damaged picture: the header must give its width, its height and its white in digits, in at most "
                f"{MAX_HEADER_BYTES:,} bytes"
            )
        sizes.append(int(token[1]))
        place = token.end()
    width, height, white = (*sizes, 1)[:3]
    if not width * height:
        raise UnreadableItem(f"a picture has at least one pixel, got {width} x {height}")
    check_size(width, height)
    if kind <= 3 and width * height > MAX_PLAIN_PIXELS:
        raise UnreadableItem(
            f"a picture written in digits must have at most {MAX_PLAIN_PIXELS:,} pixels, got {width} x {height}; save "
            "it in bytes"
        )
    if not 0 < white < 1 << 16:
        raise UnreadableItem(f"damaged picture: the number for white must lie in 1 ... 65,535, got {white:,}")
    return Netpbm(data, kind, width, height, white, place if kind <= 3 else place + 1)

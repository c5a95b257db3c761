"""Limits on the cost of one picture, checked before its decoder takes time or memory.

Sound pictures stay well below every limit; refusing a file beyond one takes at most a few seconds."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from PIL import BmpImagePlugin, Image, JpegImagePlugin, TiffImagePlugin

from dn2.errors import UnreadableItem
from dn2.networks.tiff import MAX_STRIPS

MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs, 683 MiB of RGB as it keeps it
# A line of a line-scan camera has 1,024 pixels or more, of which `MAX_PIXELS` holds 175,000; JPEG ends at 65,535.
MAX_SIDE = 1 << 18
# Chunks, tags, blocks and runs that decoders take one by one in Python, in a microsecond or two.  The largest PNG, in
# chunks of 8 KiB, is read in 400,000.
MAX_PIECES = 1 << 20
MAX_JPEG_HEADER_BYTES = 1 << 25  # before the first scan: depth maps and colour profiles have some mebibytes
MAX_EXIF_BYTES = 1 << 20  # 16 times what one segment of a JPEG holds; each number in it becomes an object
# Progressive JPEGs have about 10 scans, of four inks 18, each of which passes over all pixels.
MAX_SCANS = 1_000
MAX_SCANNED_PIXELS = 20 * MAX_PIXELS
MAX_RUN_LENGTH_PIXELS = 1 << 24  # of a BMP, which Pillow decodes in Python where it is run-length encoded
MAX_STORED_BYTES = 1 << 30  # of strips or tiles together, which may lie over each other


class PictureBytes(io.BytesIO):
    """An encoded picture that counts the pieces and the metadata that decoders read.

    Reading beyond the limits raises UnreadableItem; EXIF beyond its limit reads as zeros."""

    def __init__(self, data: bytes | memoryview) -> None:
        super().__init__(data)
        self._pieces = self._exif_bytes = self._header_bytes = 0
        self._in_jpeg_header = bytes(data[:2]) == b"\xff\xd8"

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a piece."""
        piece = super().read(size)
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            raise UnreadableItem(f"a picture must be stored in at most {MAX_PIECES:,} pieces")
        if self._in_jpeg_header:
            self._header_bytes += len(piece)
            if self._header_bytes > MAX_JPEG_HEADER_BYTES:
                raise UnreadableItem(f"a JPEG must have at most {MAX_JPEG_HEADER_BYTES:,} bytes before its first scan")
            if piece.startswith(b"Exif\0\0"):
                self._exif_bytes += len(piece)
                if self._exif_bytes > MAX_EXIF_BYTES:
                    return bytes(len(piece))  # no metadata to the decoder
        return piece

    def header_is_read(self) -> None:
        """Note that the header was read: from now on pixels are."""
        self._in_jpeg_header = False


def check_size(width: int, height: int) -> None:
    """Refuse a picture of too many pixels, in all or a side.  Raises UnreadableItem."""
    if width * height > MAX_PIXELS:
        raise UnreadableItem(f"{width} x {height} pixels exceed the limit of {MAX_PIXELS:,}")
    if max(width, height) > MAX_SIDE:
        raise UnreadableItem(f"{width} x {height} pixels exceed the limit of {MAX_SIDE:,} a side")


def check_opened(image: Image.Image, data: bytes | memoryview) -> None:
    """Check the cost of decoding a picture whose headers were read.  Raises UnreadableItem."""
    width, height = image.size
    check_size(width, height)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _check_scans(bytes(data), width * height)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_strips(image, bytes(data))
    elif (
        isinstance(image, BmpImagePlugin.BmpImageFile)
        and image.tile[0].codec_name == "bmp_rle"
        and width * height > MAX_RUN_LENGTH_PIXELS
    ):
        raise UnreadableItem(
            f"a run-length encoded BMP must have at most {MAX_RUN_LENGTH_PIXELS:,} pixels, got {width} x {height}; "
            "save it as PNG"
        )


# JPEG

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# Markers that begin a segment; not stuffed bytes, restarts and reserved markers, which may lie within a scan.
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


def _check_scans(data: bytes, pixels: int) -> None:
    scans_allowed = min(MAX_SCANS, MAX_SCANNED_PIXELS // pixels)
    if _count_starts(data) > scans_allowed:  # thumbnails and data behind the picture count here
        scans = sum(1 for _ in islice(_scans(data), scans_allowed + 1))
        if scans > scans_allowed:
            raise UnreadableItem(f"a JPEG of {pixels:,} pixels must have at most {scans_allowed:,} scans")


def _count_starts(data: bytes) -> int:
    """Count the places where a scan may start, in a tenth of the time that `bytes.count` takes for two bytes."""
    values = np.frombuffer(data, np.uint8)
    after = np.flatnonzero(values[1:] == _START_OF_SCAN)
    return int((values[after] == 0xFF).sum())


def _scans(data: bytes) -> Iterator[int]:
    """Find the scans of a JPEG's first picture, as its decoder does."""
    place = 2
    while (segment := _SEGMENT.search(data, place)) is not None and data[segment.end() - 1] != _END_OF_IMAGE:
        place = segment.end()
        if data[place - 1] == _START_OF_SCAN:
            yield place
        place += max(2, int.from_bytes(data[place : place + 2], "big"))


# TIFF


def _check_strips(image: TiffImagePlugin.TiffImageFile, data: bytes) -> None:
    """Refuse a TIFF of which libtiff would decode more data than the pixels of the picture, or decode it repeatedly."""
    tags: Any = image.tag_v2
    width, height = image.size
    wide, high = tags.get(TiffImagePlugin.TILEWIDTH, width), tags.get(TiffImagePlugin.TILELENGTH, height)
    tiles = math.ceil(width / wide) * math.ceil(height / high)
    if tiles > MAX_STRIPS or tiles * wide * high > 2 * MAX_PIXELS:
        raise UnreadableItem(
            f"the tiles of a TIFF must be at most {MAX_STRIPS:,} and have at most {2 * MAX_PIXELS:,} pixels in all, "
            f"got {tiles:,} of {wide} x {high}"
        )
    offsets, sizes = (_numbers_of_tag(tags, *names) for names in ((273, 324), (279, 325)))
    if sum(sizes) > MAX_STORED_BYTES:
        raise UnreadableItem(f"the strips of a TIFF must have at most {MAX_STORED_BYTES:,} bytes in all")
    if image.info.get("compression") in ("jpeg", "tiff_jpeg"):
        start_of_scan = bytes([0xFF, _START_OF_SCAN])
        scans = max(
            (data.count(start_of_scan, at, at + size) for at, size in zip(offsets, sizes, strict=False)), default=0
        )
        scans_allowed = min(MAX_SCANS, MAX_SCANNED_PIXELS // (width * height))
        if scans > scans_allowed:
            raise UnreadableItem(
                f"JPEG data of {width * height:,} pixels must have at most {scans_allowed:,} scans, got {scans:,}"
            )


def _numbers_of_tag(tags: Any, *names: int) -> tuple[int, ...]:
    """Return the numbers of the first tag that the picture has of the tags `names`."""
    value = next((tags[name] for name in names if name in tags), ())
    return value if isinstance(value, tuple) else (value,)

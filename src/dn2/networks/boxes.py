"""Pictures in boxes, JPEG 2000 and AVIF: what their decoders would take of time and memory, checked beforehand."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dn2.errors import UnreadableItem
from dn2.networks.limits import MAX_PIXELS, check_size
from dn2.networks.tiff import Depth

MAX_BOXED_PIXELS = MAX_PIXELS // 4  # whose decoders keep four times what others do
MAX_BOXES = 1 << 10
MAX_HEADER_BYTES = 1 << 24  # of a JP2, with its colour profile; Pillow goes through it box by box
MAX_TILES = 1 << 12
MAX_SEGMENTS = 1 << 16  # of a code stream, tile-parts among them
MAX_CODE_BLOCKS = 1 << 20  # the decoder keeps some hundred bytes of each, and of each precinct a thousand
MAX_PRECINCTS = 1 << 18
MAX_PACKETS = 1 << 24  # layers of precincts
MAX_LEVELS = 32  # by the standard

_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_CODE_STREAM = b"\xff\x4f\xff\x51"
_SIZ, _COD, _COC, _TILE_PART, _DATA, _END = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_AVIF = re.compile(rb"....ftypavi[fs]", re.DOTALL)


class _Size(NamedTuple):
    width: int
    height: int
    tile_width: int
    tile_height: int
    tiles: int
    components: int
    bits: int


def is_jpeg_2000(data: bytes | memoryview) -> bool:
    """Tell whether bytes begin as a JPEG 2000 does, in boxes or bare."""
    return bytes(data[:12]) == _SIGNATURE or bytes(data[:4]) == _CODE_STREAM


def is_avif(data: bytes | memoryview) -> bool:
    """Tell whether bytes begin as an AVIF does."""
    return _AVIF.match(data) is not None


def check_pixels(width: int, height: int) -> None:
    """Refuse a picture of more pixels than its decoder has memory for.  Raises UnreadableItem."""
    check_size(width, height)
    if width * height > MAX_BOXED_PIXELS:
        raise UnreadableItem(
            f"a JPEG 2000 or an AVIF must have at most {MAX_BOXED_PIXELS:,} pixels, got {width} x {height}; save it as "
            "PNG or TIFF"
        )


def without_exif(data: bytes) -> bytes:
    """Return an AVIF whose decoder finds no EXIF, which says nothing of its pixels; other boxes turn it."""
    for name, start, end in _boxes(data):
        if name == b"meta":
            return data[:start] + data[start:end].replace(b"Exif", b"free") + data[end:]
    return data


def check_jpeg_2000(data: bytes) -> Depth:
    """Refuse a JPEG 2000 that is not whole, or of which the decoder would keep far more than its pixels.

    The decoder itself takes a file that ends early for a whole one.  Raises UnreadableItem.
    Returns what is white in its numbers as they are decoded, which fill 16 bits from above."""
    start, stop = 0, len(data)
    if data[:4] != _CODE_STREAM:
        boxes = list(_boxes(data))
        headers = [(first, last) for name, first, last in boxes if name == b"jp2h"]
        streams = [(first, last) for name, first, last in boxes if name == b"jp2c"]
        if len(headers) != 1 or not streams:
            raise UnreadableItem("damaged picture: a JP2 must have a header and a code stream")
        first, last = headers[0]
        if last - first > MAX_HEADER_BYTES:
            raise UnreadableItem(f"the header of a JP2 must have at most {MAX_HEADER_BYTES:,} bytes")
        inner = [name for name, _, _ in _boxes(data[first:last])]
        if inner.count(b"pclr") > 1 or inner.count(b"ihdr") != 1:
            raise UnreadableItem("damaged picture: the header of a JP2 must have one size, and at most one palette")
        start, stop = streams[0]
    bits = _check_stream(data, start, stop).bits
    return Depth(((1 << bits) - 1) << 16 - bits if 8 < bits < 16 else None)


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give the boxes of a file: their names, and where their contents begin and end."""
    place = 0
    for _ in range(MAX_BOXES):
        if place + 8 > len(data):
            return
        size, head = int.from_bytes(data[place : place + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = len(data) if size == 0 else place + size
        if (size != 0 and size < head) or end > len(data):
            raise UnreadableItem("damaged picture: it ends early, within a box")
        yield data[place + 4 : place + 8], place + head, end
        place = end
    raise UnreadableItem(f"a picture must be stored in at most {MAX_BOXES:,} boxes")


def _check_stream(data: bytes, start: int, stop: int) -> _Size:
    size: _Size | None = None
    seen = set[int]()
    for marker, first, last in _segments(data, start + 2, stop):
        if marker == _SIZ and size is None:
            size = _size_of(data[first:last])
        elif marker in (_COD, _COC) and size is not None:
            _check_coding(data[first:last], size, marker == _COC)
        elif marker == _TILE_PART:
            seen.add(int.from_bytes(data[first : first + 2], "big"))
    if size is None:
        raise UnreadableItem("damaged picture: a JPEG 2000 without a size")
    if len(seen) < size.tiles:
        raise UnreadableItem(f"damaged picture: it ends early, after {len(seen):,} of {size.tiles:,} tiles")
    return size


def _segments(data: bytes, place: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Give the segments of a code stream and of its tile-parts: their markers, and where their contents begin and end.

    Raises UnreadableItem where one does not end within the stream."""
    after_part = 0
    for _ in range(MAX_SEGMENTS):
        if place == stop and after_part:  # some encoders leave the end marker out
            return
        marker = int.from_bytes(data[place : place + 2], "big")
        if marker == _END:
            return
        if marker == _DATA:
            place = after_part
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker < 0xFF00 or end < place + 4 or end > stop:
            raise UnreadableItem("damaged picture: it ends early, or a part of it is missing")
        if marker == _TILE_PART:
            length = int.from_bytes(data[place + 6 : place + 10], "big")
            after_part = place + length if length else stop
            if after_part < end or after_part > stop:
                raise UnreadableItem("damaged picture: it ends early, within a tile")
        yield marker, place + 4, end
        place = end
    raise UnreadableItem(f"a JPEG 2000 must have at most {MAX_SEGMENTS:,} segments")


def _size_of(body: bytes) -> _Size:
    if len(body) < 39:
        raise UnreadableItem("damaged picture: a JPEG 2000 without a size")
    right, bottom, left, top, wide, high, tiles_left, tiles_top, components = struct.unpack(">8IH", body[2:36])
    width, height = right - left, bottom - top
    if min(width, height, wide, high) < 1 or tiles_left > left or tiles_top > top:
        raise UnreadableItem("damaged picture: a JPEG 2000 of impossible sizes")
    check_pixels(width, height)
    tiles = math.ceil((right - tiles_left) / wide) * math.ceil((bottom - tiles_top) / high)
    if tiles > MAX_TILES:
        raise UnreadableItem(f"a JPEG 2000 must have at most {MAX_TILES:,} tiles, got {tiles:,}")
    if not 1 <= components <= 4:
        raise UnreadableItem(f"a JPEG 2000 of {components:,} bands; dn2 reads 1 to 4: save it so, or as PNG")
    return _Size(width, height, min(wide, width), min(high, height), tiles, components, (body[36] & 127) + 1)


def _check_coding(body: bytes, size: _Size, of_component: bool) -> None:
    """Refuse a coding of so many small blocks, precincts and layers that the decoder's lists outgrow the picture."""
    at = 2 if of_component else 5
    if len(body) < at + 5:
        raise UnreadableItem("damaged picture: a JPEG 2000 whose coding cannot be read")
    layers = 1 if of_component else int.from_bytes(body[2:4], "big")
    has_precincts = body[1 if of_component else 0] & 1
    levels, block_width, block_height = body[at], 1 << (body[at + 1] & 15) + 2, 1 << (body[at + 2] & 15) + 2
    if levels > MAX_LEVELS or len(body) < at + 5 + has_precincts * (levels + 1):
        raise UnreadableItem("damaged picture: a JPEG 2000 whose coding cannot be read")
    precincts = blocks = 0
    for level in range(levels + 1):
        wide, high = (-(-side // (1 << levels - level)) for side in (size.tile_width, size.tile_height))
        exponents = body[at + 5 + level] if has_precincts else 0xFF
        across, down = 1 << (exponents & 15), 1 << (exponents >> 4)
        # Where a precinct is smaller than the tile, the tile may begin within one.
        here = (-(-wide // across) + (across < wide)) * (-(-high // down) + (down < high))
        inner = min(across, block_width) * min(down, block_height)
        precincts += here
        blocks += 3 * here + wide * high // inner
    of_all = size.tiles * size.components
    for what, count, most in (
        ("precincts", precincts * of_all, MAX_PRECINCTS),
        ("code blocks", blocks * of_all, MAX_CODE_BLOCKS),
        ("packets", layers * precincts * of_all, MAX_PACKETS),
    ):
        if count > most:
            raise UnreadableItem(f"a JPEG 2000 must have at most about {most:,} {what}, got {count:,}")

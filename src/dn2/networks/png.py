"""A PNG without what is no part of its picture: texts, profiles and frames, whole or damaged, of any size."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from dn2.errors import UnreadableItem
from dn2.networks import limits
from dn2.networks.limits import MAX_EXIF_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_EXIF, _XMP = b"Raw profile type exif", b"XML:com.adobe.xmp"  # texts that may say which way is up
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_HEAD, _CHECKSUM = 8, 4  # bytes of a chunk before and behind its data


class Png(NamedTuple):
    """The chunks that make the picture, and the number of frames after it."""

    data: bytes
    further_frames: int


def is_png(data: bytes | memoryview) -> bool:
    """Tell whether bytes begin as a PNG does."""
    return bytes(data[:8]) == SIGNATURE


def is_deep(data: bytes | memoryview) -> bool:
    """Tell whether a PNG has 16 bits a channel."""
    return bytes(data[24:25]) == b"\x10"


def strip(data: bytes) -> Png:
    """Leave out chunks that do not matter to the picture.

    What follows damage stays, for the decoder to judge, unless it lies behind the picture's data.

    Raises UnreadableItem for a PNG in more than `MAX_PIECES` chunks."""
    view = memoryview(data)
    kept: list[tuple[int, int]] = [(0, len(SIGNATURE))]
    start, tail = len(SIGNATURE), len(data)  # what follows the last chunk is no part of the picture
    chunks, frames, has_data, is_first_a_frame = 0, 0, False, False
    while start + _HEAD + _CHECKSUM <= len(data):
        name = data[start + 4 : start + _HEAD]
        end = start + _HEAD + int.from_bytes(data[start : start + 4], "big") + _CHECKSUM
        if end > len(data) or not name.isalpha():
            tail = start if name == b"IDAT" or not has_data else len(data)
            break
        chunks += 1
        if chunks > limits.MAX_PIECES:
            raise UnreadableItem(f"a picture must be stored in at most {limits.MAX_PIECES:,} pieces")
        has_data = has_data or name == b"IDAT"
        if name == b"fcTL":
            frames += 1
            is_first_a_frame = is_first_a_frame or not has_data
        if name[:1].isupper() or name == b"tRNS" or _says_which_way_is_up(name, view[start:end]):
            if kept[-1][1] == start:
                kept[-1] = (kept[-1][0], end)
            else:
                kept.append((start, end))
        start = end
    further = max(0, frames - is_first_a_frame)
    if kept == [(0, start)] and tail == len(data):
        return Png(data, further)
    return Png(b"".join([view[first:last] for first, last in (*kept, (tail, len(data)))]), further)


def _says_which_way_is_up(name: bytes, chunk: memoryview) -> bool:
    """Tell whether a chunk may hold the orientation, is whole, and has at most `MAX_EXIF_BYTES`."""
    if name != b"eXIf" and name not in _TEXTS:
        return False
    body = chunk[_HEAD:-_CHECKSUM]
    if len(body) > 2 * MAX_EXIF_BYTES or zlib.crc32(chunk[4:-_CHECKSUM]).to_bytes(4, "big") != chunk[-_CHECKSUM:]:
        return False
    if name == b"eXIf":
        return len(body) <= MAX_EXIF_BYTES
    keyword, _, rest = bytes(body[: len(_EXIF) + 3]).partition(b"\0")
    if keyword not in (_EXIF, _XMP):
        return False
    if name == b"tEXt":
        return True
    if name == b"zTXt":
        return rest[:1] == b"\0" and _is_short(bytes(body[len(keyword) + 2 :]))
    if rest[:1] == b"\0":
        return True
    text = bytes(body[len(keyword) + 3 :]).split(b"\0", 2)[2:]  # behind the language and the keyword in it
    return bool(text) and _is_short(text[0])


def _is_short(compressed: bytes) -> bool:
    """Tell whether a text has at most as many bytes as Pillow unpacks."""
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(compressed, MAX_EXIF_BYTES)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail

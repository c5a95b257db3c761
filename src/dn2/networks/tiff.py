"""What a TIFF says of its numbers and its pages, beyond what Pillow reads of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from dn2.arrays import Array
from dn2.errors import UnreadableItem

MAX_STRIPS = 1 << 18  # or tiles, of which there may be one for each row
MAX_NUMBERS = 1 << 20  # in all tags of a TIFF: strips, their sizes and two tables of 3 x 65,536 colours
MAX_TAGS = 1 << 16
MAX_NUMBERS_OF_METADATA = 1 << 16  # in one tag, or in all directories below one
MAX_DIRECTORIES = 16  # below one

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, ORIENTATION = 256, 257, 258, 259, 262, 266, 274
BANDS, SIZES, MAXIMUM, PREDICTOR, TILE_WIDTH, NUMBERS, MAXIMUM_TOO = 277, 279, 281, 317, 322, 339, 341
KIND_OF_PAGE, OLD_KIND_OF_PAGE = 254, 255
XMP = 700
OF_PIXELS = frozenset((*range(254, 345), 347, *range(512, 533)))  # tags that say how pixels are stored
_OFFSETS = {273: "strips", 324: "tiles"}
_DIRECTORIES = (34665, 34853, 40965)  # tags that point to further ones: EXIF, GPS, interoperability

UNSIGNED, SIGNED, FLOATING = 1, 2, 3  # what NUMBERS may be
WORDS_FOR_NUMBERS = {UNSIGNED: "", SIGNED: "signed ", FLOATING: "floating-point "}
FOR_BYTES = (2, 3, 4, 6, 7, 34661)  # compressions that know only whole bytes, or bits: fax, JPEG and JBIG
MORE_THAN_8 = range(9, 16)

_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_WHOLE_NUMBERS = (1, 3, 4, 16)  # types
_STRINGS = (1, 2, 7)  # types that stay strings of bytes; of the others each number becomes an object
_LONG, _UNDEFINED = 4, 7


@dataclass(frozen=True)
class Depth:
    """What stands for black and white in a picture of numbers of more than 8 bits, as its file says.

    white : the number that stands for white, None where the file does not say.
    is_negative : whether 0 stands for white.
    packed : (width, bits a number) of rows that are decoded as bytes; None where numbers are.
    orientation : of packed rows, as EXIF counts."""

    white: int | None = None
    is_negative: bool = False
    packed: tuple[int, int] | None = None
    orientation: int = 1


class Entry(NamedTuple):
    """A tag of a directory: its type, how many values it has, and where its entry and its values are in the file."""

    kind: int
    length: int
    entry: int
    values: int


def is_tiff(data: bytes | memoryview) -> bool:
    """Tell whether bytes begin as a TIFF does."""
    return bytes(data[:2]) in (b"II", b"MM")


class Tiff:
    """The directories of a TIFF."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data
        self._order: Literal["little", "big"] = "little" if data[0] == ord("I") else "big"
        sign = "<" if self._order == "little" else ">"
        self.is_wide = data[2] == 43 if len(data) > 2 else False  # a BigTIFF, whose fields have 8 bytes and not 4
        self.field = 8 if self.is_wide else 4
        self._count_bytes = 8 if self.is_wide else 2
        self._entry = struct.Struct(sign + ("HHQ8s" if self.is_wide else "HHI4s"))
        self._start = struct.Struct(sign + ("HHQ" if self.is_wide else "HHI"))
        self.first = self.number(data[self.field : 2 * self.field])

    def number(self, at: bytes | memoryview) -> int:
        """Read a whole number of as many bytes as there are."""
        return int.from_bytes(at, self._order)

    def entries(self, start: int) -> Iterator[tuple[int, Entry]]:
        """Give the tags of the directory at a place, in order.  Raises UnreadableItem beyond 65,536 of them."""
        first = start + self._count_bytes
        if first > len(self.data):
            return
        count = self._count(start)
        if count > MAX_TAGS:
            raise UnreadableItem(f"a TIFF must have at most {MAX_TAGS:,} tags, got {count:,}")
        size, place = self._entry.size, first
        for tag, kind, values, _ in self._entry.iter_unpack(self.data[first : first + count * size]):
            inline = place + size - self.field
            fits = values * _BYTES_OF_TYPE.get(kind, 0) <= self.field
            at = inline if fits else self.number(self.data[inline : inline + self.field])
            yield tag, Entry(kind, values, place, at)
            place += size

    def _count(self, start: int) -> int:
        """Return the number of entries of a directory that lie within the file."""
        first = start + self._count_bytes
        return min(self.number(self.data[start:first]), (len(self.data) - first) // self._entry.size)

    def after(self, start: int) -> int:
        """Return where the next directory is; 0 behind the last one."""
        end = start + self._count_bytes + self.number(self.data[start : start + self._count_bytes]) * self._entry.size
        return self.number(self.data[end : end + self.field]) if end + self.field <= len(self.data) else 0

    def values(self, entry: Entry | None, default: int = 0) -> list[int]:
        """Read the values of a tag of whole numbers; the default for a tag that is missing or of another type."""
        if entry is None or entry.kind not in _WHOLE_NUMBERS or not entry.length:
            return [default]
        size = _BYTES_OF_TYPE[entry.kind]
        stored = self.data[entry.values : entry.values + size * min(entry.length, MAX_STRIPS)]
        return [self.number(stored[at : at + size]) for at in range(0, len(stored) - size + 1, size)] or [default]

    def as_strings(self, entries: list[Entry]) -> bytes:
        """Return the file with the values of some tags as strings of bytes, of which no decoder makes numbers."""
        changed = bytearray(self.data)
        for entry in entries:
            tag = self._start.unpack_from(changed, entry.entry)[0]
            size = entry.length * _BYTES_OF_TYPE.get(entry.kind, 0)
            self._start.pack_into(changed, entry.entry, tag, _UNDEFINED, size)
        return bytes(changed)

    def with_numbers(self, numbers: dict[Entry, int]) -> bytes:
        """Return the file with other values of some tags, one each."""
        changed = bytearray(self.data)
        for entry, value in numbers.items():
            tag = self._start.unpack_from(changed, entry.entry)[0]
            self._start.pack_into(changed, entry.entry, tag, _LONG, 1)
            place = entry.entry + self._start.size
            changed[place : place + self.field] = value.to_bytes(4, self._order).ljust(self.field, b"\0")
        return bytes(changed)


def check_tags(data: bytes | memoryview) -> bytes | memoryview:
    """Return a TIFF without metadata that is damaged, or of more numbers than Pillow should make objects of.

    Raises UnreadableItem for one whose own tags hold more numbers than a picture needs."""
    tiff = Tiff(data)
    numbers, metadata = 0, []
    for tag, entry in tiff.entries(tiff.first):
        size = _BYTES_OF_TYPE.get(entry.kind, 0)
        if entry.length * size > len(data):
            continue  # as decoders do
        if tag in _OFFSETS and entry.length > MAX_STRIPS:
            raise UnreadableItem(f"a TIFF must have at most {MAX_STRIPS:,} {_OFFSETS[tag]}, got {entry.length:,}")
        if tag in _DIRECTORIES:
            if _has_too_many_numbers(tiff, tiff.number(data[entry.values : entry.values + size])):
                metadata.append(entry)
        elif entry.kind not in _STRINGS:
            if tag == XMP or (tag not in OF_PIXELS and entry.length > MAX_NUMBERS_OF_METADATA):
                metadata.append(entry)
            else:
                numbers += entry.length
    if numbers > MAX_NUMBERS:
        raise UnreadableItem(f"the tags of a TIFF must hold at most {MAX_NUMBERS:,} numbers")
    return tiff.as_strings(metadata) if metadata else data


def _has_too_many_numbers(tiff: Tiff, start: int) -> bool:
    """Tell whether a directory of metadata, with those that it points to, has more numbers than any."""
    waiting, seen, numbers = [start], {tiff.first}, 0
    while waiting:
        start = waiting.pop()
        if start in seen:
            continue
        seen.add(start)
        try:
            entries = list(tiff.entries(start))
        except UnreadableItem:  # of too many tags, as where it points to pixels
            return True
        for tag, entry in entries:
            size = _BYTES_OF_TYPE.get(entry.kind, 0)
            if entry.length * size <= len(tiff.data):
                numbers += 0 if entry.kind in _STRINGS else entry.length
                if tag in _DIRECTORIES:
                    waiting.append(tiff.number(tiff.data[entry.values : entry.values + size]))
        if numbers > MAX_NUMBERS_OF_METADATA or len(seen) > MAX_DIRECTORIES:
            return True
    return False


def count_further_pages(data: bytes | memoryview) -> int:
    """Count the pages after the first, without thumbnails, masks and smaller copies."""
    tiff = Tiff(data)
    start, seen, tags, pages = tiff.after(tiff.first), {tiff.first}, 0, 0
    while start and start not in seen and tags <= MAX_TAGS:
        seen.add(start)
        kinds = {KIND_OF_PAGE: 0, OLD_KIND_OF_PAGE: 0}
        for tag, entry in tiff.entries(start):
            tags += 1
            if tag in kinds:
                kinds[tag] = tiff.values(entry)[0]
        is_smaller_or_mask = kinds[KIND_OF_PAGE] & 0b101 or kinds[OLD_KIND_OF_PAGE] == 2
        pages += not is_smaller_or_mask
        start = tiff.after(start)
    return pages


def prepare(data: bytes) -> tuple[bytes, Depth]:
    """Return a TIFF as Pillow reads its numbers, and what stands for black and white in them.

    Pillow knows few ways to store one band of more than 8 bits: of the others it is given the rows as bytes, and no
    negative."""
    tiff = Tiff(data)
    tags = dict(tiff.entries(tiff.first))

    def number(tag: int, default: int) -> int:
        return tiff.values(tags.get(tag), default)[0]

    bits, kind, photometric = number(BITS, 1), number(NUMBERS, UNSIGNED), number(PHOTOMETRIC, -1)
    if number(BANDS, 1) != 1 or photometric not in (0, 1) or bits <= 8 or BITS not in tags:
        return data, Depth()
    is_negative = photometric == 0
    changes = {tags[PHOTOMETRIC]: 1} if is_negative else {}
    white, packed, orientation = None, None, 1
    if bits in MORE_THAN_8 and kind == UNSIGNED:
        width, height, white = number(WIDTH, 0), number(HEIGHT, 0), (1 << bits) - 1
        plain = number(COMPRESSION, 1) == 1 and TILE_WIDTH not in tags
        if plain and sum(tiff.values(tags.get(SIZES))) >= 2 * width * height:  # each number in two bytes
            changes[tags[BITS]] = 16
        elif (
            number(COMPRESSION, 1) in FOR_BYTES
            or number(PREDICTOR, 1) != 1
            or number(FILL_ORDER, 1) != 1
            or number(TILE_WIDTH, 0) * bits % 8
            or WIDTH not in tags
        ):
            return data, Depth()
        else:
            packed, orientation = (width, bits), number(ORIENTATION, 1)
            changes |= {tags[BITS]: 8, tags[WIDTH]: -(-width * bits // 8)}
            changes |= {tags[TILE_WIDTH]: number(TILE_WIDTH, 0) * bits // 8} if TILE_WIDTH in tags else {}
            changes |= {tags[ORIENTATION]: 1} if ORIENTATION in tags else {}
    elif kind in (UNSIGNED, SIGNED):
        said = number(MAXIMUM, number(MAXIMUM_TOO, 0))
        # A camera's white; any other value is the largest that this one picture happens to hold.
        white = said if said in [(1 << count) - 1 for count in (8, *MORE_THAN_8)] else None
    return (tiff.with_numbers(changes) if changes else data), Depth(white, is_negative, packed, orientation)


def unpack(rows: Array, width: int, bits: int) -> Array:
    """Return the numbers of `bits` bits each that rows of bytes hold, (height, width) uint16."""
    groups = -(-width // 8)  # of 8 numbers, in as many bytes as a number has bits
    padded = np.zeros((len(rows), groups * bits + 2), np.uint8)
    padded[:, : min(rows.shape[1], groups * bits)] = rows[:, : groups * bits]
    numbers = np.empty((len(rows), groups, 8), np.uint16)
    for place in range(8):
        byte, bit = divmod(place * bits, 8)
        high, middle, low = (padded[:, byte + step :: bits][:, :groups] for step in range(3))
        three = high.astype(np.uint32) << 16 | middle.astype(np.uint32) << 8 | low
        numbers[:, :, place] = three >> (24 - bit - bits) & ((1 << bits) - 1)
    return numbers.reshape(len(rows), -1)[:, :width]


def why_unread(data: bytes | memoryview) -> str:
    """Say why Pillow does not read a TIFF."""
    tiff = Tiff(data)
    tags: dict[int, Any] = dict(tiff.entries(tiff.first))
    if not {WIDTH, HEIGHT} <= tags.keys():
        return "damaged picture: a TIFF whose first directory cannot be read"
    bands = tiff.values(tags.get(BANDS), 1)[0]
    bits = [tiff.values(tags.get(BITS), 1)[0]] if bands == 1 else tiff.values(tags.get(BITS), 1)
    kind = WORDS_FOR_NUMBERS.get(tiff.values(tags.get(NUMBERS), UNSIGNED)[0], "unusual ")
    depth = "/".join(str(count) for count in dict.fromkeys(bits))
    each = " each" if bands > 1 else ""
    what = f"{bands} band{'s' * (bands > 1)} of {kind}numbers of {depth} bits{each}"
    return (
        f"a TIFF of {what}; dn2 reads 1 band of up to 16 bits, of little-endian 32 bits or of 32-bit floating "
        "point, and 3 or 4 bands of 8 or 16 bits: save it so, or as PNG"
    )

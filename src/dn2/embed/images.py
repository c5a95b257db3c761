"""Pictures from bytes: decoded, upright, RGB, in the backbone's size.

The whole picture is used, never a crop: a defect at the edge counts.  Only a network that was trained on crops, and
says so, is given them.
"""

from __future__ import annotations

import io
import math
import os
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dn2.errors import UnreadableItem
from dn2.processes import PerProcess

# Any change that alters the pixels of some picture takes a new number: it is part of the cache's key.
READING_VERSION = 1

# Formats are named so that no other decoder of Pillow's (some of which call external programs) is ever tried.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})

MAX_FILE_BYTES = 1 << 30
MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs, 683 MiB of RGB as it keeps it
# Pillow warns of pictures from half that size on, which line-scan cameras do make.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
THUMBNAIL_SIZE = 192  # pixels a side: what a page shows
LARGEST_THUMBNAIL = 1 << 16  # bytes; those made here have some thousand
SHEET_CELLS = 9  # pictures on a contact sheet at most

# A JPEG may be decoded at 1/2, 1/4 or 1/8 as long as this many decoded pixels are left per pixel of the result.
JPEG_OVERSAMPLING = 2

INTERPOLATIONS = {
    name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
}
# A picture so long that it would cover more than this many times the input when scaled is scaled in the middle only.
LARGEST_SCALED = 32

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input; recorded with every model.

    height, width : size of the input in pixels.
    shape : `squash` scales both sides to fit, `pad` keeps the aspect ratio and fills with grey, `crop` keeps it and
        scales the shorter side to fit, so that the ends of the longer one are cut off.
    crop_share : the picture is scaled to the size divided by this, 0 < crop_share <= 1, and the middle is cut out of
        it; always 1 for `pad`.
    interpolation : a name of `INTERPOLATIONS`."""

    height: int
    width: int
    shape: Literal["squash", "pad", "crop"] = "squash"
    crop_share: float = 1.0
    interpolation: str = "bicubic"

    @property
    def scaled(self) -> tuple[int, int]:
        """(width, height) of what a picture of the input's aspect ratio is scaled to before the middle is cut out."""
        return math.floor(self.width / self.crop_share), math.floor(self.height / self.crop_share)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields and the reading version, as recorded in `model.json`.

        Fields added since the first release appear where they matter, so that older models and caches still fit."""
        added = {"crop_share": 1.0, "interpolation": "bicubic"}
        fields = {name: value for name, value in asdict(self).items() if name not in added or value != added[name]}
        return fields | {"reading": READING_VERSION}


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a file whole, but only a regular one of a sane size (a pipe would stall the run).

    Raises UnreadableItem."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableItem("not a regular file")
            if status.st_size > MAX_FILE_BYTES:
                raise UnreadableItem(
                    f"the file has {status.st_size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}"
                )
            if status.st_size == 0:
                raise UnreadableItem("the file is empty (0 bytes)")
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnreadableItem(f"cannot be read: {error.strerror or error}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(data: bytes | memoryview, size: tuple[int, int] | None = None) -> Image.Image:
    """Decode the first frame of a picture: upright, mode `L` or `RGB`.

    data : the file's bytes, in one of `FORMATS`.
    size : (width, height) the caller will scale to; a JPEG is then decoded at a fraction of its size
        that leaves at least `JPEG_OVERSAMPLING` times as many pixels a side.
    Raises UnreadableItem for anything that is not a whole picture within `MAX_PIXELS`."""
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        if size is not None:
            side = JPEG_OVERSAMPLING * max(size)
            image.draft(image.mode, (side, side))
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableItem(f"{image.width} x {image.height} pixels exceed the limit of {MAX_PIXELS:,}")
        with _memory.get().taken(image.width * image.height):
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _opaque(image)
    except UnreadableItem:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableItem("not a picture in a format that dn2 reads (JPEG, PNG, BMP, TIFF, WebP, GIF)") from error
    except Image.DecompressionBombError as error:
        raise UnreadableItem(f"more pixels than the limit of {MAX_PIXELS:,}: {error}") from error
    except Exception as error:
        # Decoders raise nearly anything on damaged files (OSError, SyntaxError, struct.error, MemoryError, ...),
        # and one damaged file must not end a run of a million.
        raise UnreadableItem(f"damaged picture: {error or type(error).__name__}") from error


class _Memory:
    """Lets threads decode at once only as many pixels as one picture may have, however many processors there are."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until this many pixels are free, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_memory = PerProcess(partial(_Memory, MAX_PIXELS))

_TO_8_BITS = (np.arange(1 << 16) / 257 + 0.5).astype(np.uint8)


def _opaque(image: Image.Image) -> Image.Image:
    """Bring any mode to `L` or `RGB`: 16 bits scaled to 8, transparency laid over white."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() < len(_TO_8_BITS)):
            raise UnreadableItem(
                "a picture of 32-bit numbers must hold values from 0 to 65,535; save it in 16 or 8 bits"
            )
        return Image.fromarray(_TO_8_BITS[values])
    if image.mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):
            raise UnreadableItem("a picture of floating-point numbers must hold values from 0 to 1")
        return Image.fromarray((values * 255 + 0.5).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image.convert("L" if image.mode == "1" else "RGB")


def to_pixels(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Scale a decoded picture to the network's input: (height, width, 3) uint8, RGB."""
    size = (preprocessing.width, preprocessing.height)
    method = INTERPOLATIONS[preprocessing.interpolation]
    if preprocessing.shape == "pad":
        fitted = _fit(image, size, method)
        image = Image.new("RGB", size, (127, 127, 127))
        image.paste(fitted, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    else:
        image = _cut(image, preprocessing, method)
    return np.asarray(image.convert("RGB"))


def _fit(image: Image.Image, size: tuple[int, int], method: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    """Scale to fit into a size, keeping the aspect ratio but at least a pixel a side (`ImageOps.contain` may not)."""
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(fitted, method)


def _cut(image: Image.Image, preprocessing: Preprocessing, method: Image.Resampling) -> Image.Image:
    """Scale to `Preprocessing.scaled`, or for `crop` to cover that, and cut the input out of the middle.

    Source: torchvision's Resize and CenterCrop, as timm uses them, to the pixel."""
    wide, high = preprocessing.scaled
    if preprocessing.shape == "crop":
        if image.width * high <= image.height * wide:
            high = int(wide * image.height / image.width)
        else:
            wide = int(high * image.width / image.height)
    left, top = round((wide - preprocessing.width) / 2), round((high - preprocessing.height) / 2)
    right, bottom = left + preprocessing.width, top + preprocessing.height
    if wide * high <= LARGEST_SCALED * preprocessing.width * preprocessing.height:
        return image.resize((wide, high), method).crop((left, top, right, bottom))
    x, y = image.width / wide, image.height / high
    return image.resize((preprocessing.width, preprocessing.height), method, (left * x, top * y, right * x, bottom * y))


def to_thumbnail(image: Image.Image, size: int = THUMBNAIL_SIZE) -> bytes:
    """Make the small JPEG, of so many pixels a side at most, that keeps evidence visible when the original is gone."""
    # A copy: saving a picture that it opened itself, Pillow asks for the working folder, which may be gone.
    small = image.copy() if max(image.size) <= size else _fit(image, (size, size))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def is_thumbnail(data: bytes | memoryview) -> bool:
    """Tell whether bytes from elsewhere are a JPEG that is no larger than thumbnails are; nothing is decoded."""
    if len(data) > LARGEST_THUMBNAIL:
        return False
    try:
        return max(Image.open(io.BytesIO(data), formats=["JPEG"]).size) <= THUMBNAIL_SIZE
    except Exception:  # as of any damaged picture
        return False


def to_contact_sheet(thumbnails: Sequence[bytes | memoryview], size: int = THUMBNAIL_SIZE) -> bytes:
    """Lay the first thumbnails of a group, up to nine, side by side in rows, so many pixels a side in all."""
    side = 1 if len(thumbnails) == 1 else 2 if len(thumbnails) <= 4 else 3
    cell = size // side
    sheet = Image.new("RGB", (size, size), "white")
    for place, encoded in enumerate(thumbnails[:SHEET_CELLS]):
        picture = _fit(Image.open(io.BytesIO(encoded)), (cell, cell))
        row, column = divmod(place, side)
        sheet.paste(picture, (column * cell + (cell - picture.width) // 2, row * cell + (cell - picture.height) // 2))
    return to_thumbnail(sheet, size)


def read_small(path: str | os.PathLike[str]) -> bytes | None:
    """Read a file as a thumbnail.  Returns None if it cannot be read."""
    try:
        return to_thumbnail(decode(read_bytes(path), (THUMBNAIL_SIZE, THUMBNAIL_SIZE)))
    except UnreadableItem:
        return None


def read_pixels(path: str | Path, preprocessing: Preprocessing) -> Pixels:
    """Read one file as the network's input: (height, width, 3) uint8, RGB.  Raises UnreadableItem."""
    return to_pixels(decode(read_bytes(path), preprocessing.scaled), preprocessing)

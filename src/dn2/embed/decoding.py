"""Files to pictures: decoded, upright, `L` or `RGB`; whatever goes wrong with one is said of that one."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from dn2.embed.bounds import MAX_PIXELS, PictureBytes, check_encoded, check_exif_size, check_opened
from dn2.embed.libtiff import damage_heard
from dn2.embed.semaphore import WeightedSemaphore
from dn2.errors import UnreadableItem
from dn2.processes import PerProcess

# Formats are named so that no other decoder of Pillow's (some of which call external programs) is ever tried.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")

MAX_FILE_BYTES = 1 << 30
# Pillow warns of pictures from half of `MAX_PIXELS` on, which line-scan cameras do make.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# A JPEG may be decoded at 1/2, 1/4 or 1/8 as long as this many decoded pixels are left per pixel of the result.
JPEG_OVERSAMPLING = 2

# Bytes that a pixel takes at most while it is decoded: two copies of 4 bytes, and what decoders keep beside them
# (WebP a canvas or two and the frame, TIFF a strip of up to 16 bits a channel, a progressive JPEG its coefficients).
BYTES_PER_PIXEL = 8
BYTES_BESIDE = {"WEBP": 12, "TIFF": 8}
BYTES_OF_COEFFICIENTS = 8

FAXES = ("tiff_ccitt", "group3", "group4")

LONGEST_REASON = 300  # characters of what a decoder says, which may quote the file

# Bytes that threads may hold together, of files and for decoding.  A thread that waits for the second holds of the
# first what is its own, so that none waits for the other for ever.
_of_files = PerProcess(partial(WeightedSemaphore, MAX_FILE_BYTES))
_of_pixels = PerProcess(partial(WeightedSemaphore, BYTES_PER_PIXEL * MAX_PIXELS))


@contextmanager
def file_bytes(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Read a file whole, but only a regular one of a sane size (a pipe would stall the run).

    What is made of the bytes is made inside, while the memory that they take is accounted for.
    Raises UnreadableItem, also where memory runs out inside."""
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
            with _of_files.get().taken(status.st_size):
                yield file.read(status.st_size)
    except OSError as error:
        raise UnreadableItem(f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise UnreadableItem("cannot be read: not enough memory") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def decoded(data: bytes | memoryview, size: tuple[int, int] | None = None) -> Iterator[Image.Image]:
    """Decode the first frame of a picture: upright, mode `L` or `RGB`, without metadata.

    What is made of the picture is made inside, while the memory that it takes is accounted for.

    data : the file's bytes, in one of `FORMATS`.
    size : (width, height) the caller will scale to; a JPEG is then decoded at a fraction of its size
        that leaves at least `JPEG_OVERSAMPLING` times as many pixels a side.
    Raises UnreadableItem for anything that is not a whole picture within the bounds, and for whatever else goes wrong
    inside."""
    with _failures_named():
        image = _opened(data)
        coefficients = BYTES_OF_COEFFICIENTS * image.width * image.height if "progressive" in image.info else 0
        if size is not None:
            side = JPEG_OVERSAMPLING * max(size)
            image.draft(image.mode, (side, side))
        per_pixel = BYTES_PER_PIXEL + BYTES_BESIDE.get(image.format or "", 0)
        with _of_pixels.get().taken(coefficients + per_pixel * image.width * image.height):
            _load(image)
            picture = _opaque(image)
            picture.info = {}  # which would follow it into its thumbnail
            yield picture


def picture_size(data: bytes | memoryview) -> tuple[int, int]:
    """Return (width, height) of a picture as it is stored, without decoding it.  Raises UnreadableItem."""
    with _failures_named():
        return _opened(data).size


@contextmanager
def _failures_named() -> Iterator[None]:
    """Say of whatever is raised inside that the picture cannot be read, and why.  Raises UnreadableItem."""
    try:
        yield
    except UnreadableItem:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableItem("not a picture in a format that dn2 reads (JPEG, PNG, BMP, TIFF, WebP, GIF)") from error
    except Image.DecompressionBombError as error:
        raise UnreadableItem(f"more pixels than the limit of {MAX_PIXELS:,}: {error}") from error
    except MemoryError as error:
        raise UnreadableItem("not enough memory to read this picture") from error
    except Exception as error:
        # Decoders raise nearly anything on damaged files (OSError, SyntaxError, struct.error, ...), and one damaged
        # file must not end a run of a million.
        reason = str(error)[:LONGEST_REASON] or type(error).__name__
        raise UnreadableItem(f"damaged picture: {reason}") from error


def _opened(data: bytes | memoryview) -> Image.Image:
    """Read a picture's headers, and check what decoding it is going to cost."""
    check_encoded(data)
    file = PictureBytes(data)
    image = Image.open(file, formats=FORMATS)
    file.header_is_read()
    check_opened(image, data)
    return image


def _load(image: Image.Image) -> None:
    """Decode, and turn upright."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with damage_heard(fax=image.info["compression"] in FAXES) as heard:
            try:
                image.load()
            finally:
                if heard:
                    raise OSError(heard[0])
    else:
        image.load()
    exif = image.info.get("exif") or image.info.get("Raw profile type exif", "")
    check_exif_size(len(exif) if isinstance(exif, bytes) else len(exif) // 2)  # in hexadecimal
    ImageOps.exif_transpose(image, in_place=True)


BAND_PIXELS = 1 << 22
_TO_8_BITS = (np.arange(1 << 16) / 257 + 0.5).astype(np.uint8)


def _opaque(image: Image.Image) -> Image.Image:
    """Bring any mode to `L` or `RGB`, some rows at a time: 16 bits scaled to 8, transparency laid over white."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    grey = image.mode in ("1", "F") or image.mode.startswith("I")
    opaque = Image.new("L" if grey and "transparency" not in image.info else "RGB", image.size)
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        opaque.paste(_opaque_band(band), (0, top))
    return opaque


def _opaque_band(image: Image.Image) -> Image.Image:
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

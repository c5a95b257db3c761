"""Encoded pictures, and pixels in memory, to upright pictures of mode `L` or `RGB`; any failure is UnreadableItem."""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from dn2.arrays import Array
from dn2.errors import UnreadableItem
from dn2.networks.libtiff import hear_damage
from dn2.networks.limits import MAX_PIXELS, PictureBytes, check_encoded, check_exif_size, check_opened, check_size
from dn2.networks.semaphore import WeightedSemaphore
from dn2.system.processes import PerProcess

# Named, so that Pillow never tries its other decoders, some of which call external programs.
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

# Bytes that all threads together may hold, of files and for decoding.  Every thread takes from the first before the
# second, so that no two threads wait for each other.
_of_files = PerProcess(partial(WeightedSemaphore, MAX_FILE_BYTES))
_of_pixels = PerProcess(partial(WeightedSemaphore, BYTES_PER_PIXEL * MAX_PIXELS))

# A picture of Pillow is decoded at its first use; two threads must not do so at once where a picture is given twice.
_loading = PerProcess(lambda: [threading.Lock() for _ in range(64)])


@contextmanager
def file_bytes(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Read a whole file, and count its bytes as taken memory inside.

    Raises UnreadableItem unless it is a regular file (a pipe would stall the run) of a sane size, and where memory runs
    out inside."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableItem("not a regular file")
            check_length(status.st_size, "the file")
            with _of_files.get().taken(status.st_size):
                yield file.read(status.st_size)
    except OSError as error:
        raise UnreadableItem(f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise UnreadableItem("cannot be read: not enough memory") from error


def check_length(size: int, what: str) -> None:
    """Refuse an encoded picture that is empty or too large; what : its name in errors.  Raises UnreadableItem."""
    if size > MAX_FILE_BYTES:
        raise UnreadableItem(f"{what} has {size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}")
    if size == 0:
        raise UnreadableItem(f"{what} is empty (0 bytes)")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def open_decoded(data: bytes | memoryview, size: tuple[int, int] | None = None) -> Iterator[Image.Image]:
    """Decode the first frame of a picture: upright, mode `L` or `RGB`, without metadata.

    Inside, the memory of the picture counts as taken.

    data : the file's bytes, in one of `FORMATS`.
    size : (width, height) that the caller will scale to; a JPEG is then decoded at a fraction of its size that leaves
        at least `JPEG_OVERSAMPLING` times as many pixels a side.
    Raises UnreadableItem unless it is a whole picture within the limits, and for any error inside."""
    with _name_failures():
        image = _open_headers(data)
        coefficients = BYTES_OF_COEFFICIENTS * image.width * image.height if "progressive" in image.info else 0
        if size is not None:
            side = JPEG_OVERSAMPLING * max(size)
            image.draft(image.mode, (side, side))
        per_pixel = BYTES_PER_PIXEL + BYTES_BESIDE.get(image.format or "", 0)
        with _of_pixels.get().taken(coefficients + per_pixel * image.width * image.height):
            _load(image)
            picture = _make_opaque(image)
            picture.info = {}  # metadata would be copied into its thumbnail
            yield picture


@contextmanager
def from_memory(picture: Array | Image.Image) -> Iterator[Image.Image]:
    """Give the picture that `open_decoded` gives of a file with the same pixels.

    picture : (height, width), or (height, width, c) with c of 1, 3 or 4, uint8; or a picture of Pillow, which stays as
        it is, but for being decoded.
    Inside, the memory of the picture counts as taken.
    Raises UnreadableItem unless it is a picture within the limits, and for any error inside."""
    with _name_failures():
        image = picture if isinstance(picture, Image.Image) else _of_array(picture)
        if not image.width * image.height:
            raise UnreadableItem(f"a picture has at least one pixel, got {image.width} x {image.height}")
        check_size(image.width, image.height)
        with _of_pixels.get().taken(BYTES_PER_PIXEL * image.width * image.height):
            if image is picture:
                with _loading.get()[id(image) % 64]:
                    image.load()
                _check_exif(image)
                image = ImageOps.exif_transpose(image)  # a copy
            opaque = _make_opaque(image)
            opaque.info = {}
            yield opaque


def _of_array(array: Array) -> Image.Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise UnreadableItem(
            "a picture is an array of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, "
            f"4), got {array.shape}; several are a list of such arrays"
        )
    if 0 in array.shape:
        raise UnreadableItem(f"a picture has at least one pixel, got an array of shape {array.shape}")
    check_size(array.shape[1], array.shape[0])
    if array.dtype != np.uint8:
        raise UnreadableItem(_way_to_uint8(array))
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2:] == (1,) else array))


def _way_to_uint8(array: Array) -> str:
    """Write the error for a picture whose numbers are not uint8, with a way to convert them."""
    rule = f"a picture in memory must hold whole numbers from 0 to 255 as uint8, got {array.dtype}"
    kind = array.dtype.kind
    if kind == "b":
        return f"{rule}; give 255 * picture.astype('uint8')"
    if kind not in "iuf":
        return f"{rule}; make it numbers first"
    if not np.isfinite(array).all():
        return f"{rule} with NaN or infinity in it; give these pixels a number first"
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255:
        way = "numpy.interp(picture, (black, white), (0, 255)).astype('uint8'), with the camera's own black and white"
    elif kind == "f":
        way = "(255 * picture).round().astype('uint8')" if high <= 1 else "picture.round().astype('uint8')"
    else:
        way = "picture.astype('uint8')"
    return f"{rule} from {low:g} to {high:g}; give {way}"


def picture_size(data: bytes | memoryview) -> tuple[int, int]:
    """Return (width, height) of a picture as it is stored, without decoding it.  Raises UnreadableItem."""
    with _name_failures():
        return _open_headers(data).size


@contextmanager
def _name_failures() -> Iterator[None]:
    """Turn any error inside into UnreadableItem, which says why the picture cannot be read."""
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


def _open_headers(data: bytes | memoryview) -> Image.Image:
    """Read a picture's headers, and check the cost of decoding it."""
    check_encoded(data)
    file = PictureBytes(data)
    image = Image.open(file, formats=FORMATS)
    file.header_is_read()
    check_opened(image, data)
    return image


def _load(image: Image.Image) -> None:
    """Decode, and turn upright."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with hear_damage(fax=image.info["compression"] in FAXES) as heard:
            try:
                image.load()
            finally:
                if heard:
                    raise OSError(heard[0])
    else:
        image.load()
    _check_exif(image)
    ImageOps.exif_transpose(image, in_place=True)


def _check_exif(image: Image.Image) -> None:
    exif = image.info.get("exif") or image.info.get("Raw profile type exif", "")
    check_exif_size(len(exif) if isinstance(exif, bytes) else len(exif) // 2)  # in hexadecimal


BAND_PIXELS = 1 << 22
_TO_8_BITS = (np.arange(1 << 16) / 257 + 0.5).astype(np.uint8)


def _make_opaque(image: Image.Image) -> Image.Image:
    """Bring any mode to `L` or `RGB`, some rows at a time: 16 bits scaled to 8, transparency laid over white."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    grey = image.mode in ("1", "F") or image.mode.startswith("I")
    opaque = Image.new("L" if grey and "transparency" not in image.info else "RGB", image.size)
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        opaque.paste(_make_band_opaque(band), (0, top))
    return opaque


def _make_band_opaque(image: Image.Image) -> Image.Image:
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

"""Encoded pictures, and pixels in memory, to upright pictures of mode `L` or `RGB`; any failure is UnreadableItem."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError, features

from dn2.arrays import Array
from dn2.errors import UnreadableItem
from dn2.networks.boxes import check_jpeg_2000, check_pixels, is_avif, is_jpeg_2000, without_exif
from dn2.networks.libtiff import hear_damage
from dn2.networks.limits import MAX_PIXELS, PictureBytes, check_opened, check_size
from dn2.networks.netpbm import Netpbm, is_netpbm, open_netpbm
from dn2.networks.opaque import LARGEST, SEEN, Seen, make_opaque, seen_of_numbers, to_8_bits
from dn2.networks.png import is_deep as is_deep_png
from dn2.networks.png import is_png, strip
from dn2.networks.recognition import why_unidentified
from dn2.networks.semaphore import WeightedSemaphore
from dn2.networks.tiff import BITS, ORIENTATION, Depth, check_tags, count_further_pages, is_tiff, prepare, unpack
from dn2.networks.upright import turn_upright, upright_copy
from dn2.system.bounds import opened
from dn2.system.processes import PerProcess

# Named, so that Pillow never tries its other decoders, some of which call external programs.
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG2000", *(["AVIF"] if features.check("avif") else []))

MAX_FILE_BYTES = 1 << 30
# Pillow warns of pictures from half of `MAX_PIXELS` on, which line-scan cameras do make.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# It warns of damaged metadata, too, which no picture is judged by.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

# A JPEG may be decoded at 1/2, 1/4 or 1/8 as long as this many decoded pixels are left per pixel of the result.
JPEG_OVERSAMPLING = 2

# Bytes that a pixel takes at most while it is decoded: two copies of 4 bytes, and what decoders keep beside them
# (WebP a canvas or two and the frame, TIFF a strip of up to 16 bits a channel, a progressive JPEG its coefficients).
BYTES_PER_PIXEL = 8
BYTES_BESIDE = {"WEBP": 12, "TIFF": 8, "JPEG2000": 20, "AVIF": 20}
BYTES_OF_COEFFICIENTS = 8
BYTES_PER_DIGITS = 80  # of a number that is written out, and of its picture

FAXES = ("tiff_ccitt", "group3", "group4")

UINT16 = (np.dtype("<u2"), np.dtype(">u2"))

UPRIGHT_SIZE = "upright size"  # the key in a picture's `info` of its size before a JPEG was decoded at a fraction of it

LONGEST_REASON = 300  # characters of what a decoder says, which may quote the file

# Bytes that all threads together may hold, of files and for decoding.  Every thread takes from the first before the
# second, so that no two threads wait for each other.
_of_files = PerProcess(partial(WeightedSemaphore, MAX_FILE_BYTES))
_of_pixels = PerProcess(partial(WeightedSemaphore, BYTES_PER_PIXEL * MAX_PIXELS))

# A picture of Pillow is decoded at its first use; two threads must not do so at once where a picture is given twice.
_loading = PerProcess(lambda: [threading.Lock() for _ in range(64)])


@contextmanager
def file_bytes(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Read a whole file, or an object in a store, and count its bytes as taken memory inside.

    Raises UnreadableItem unless it is a regular file (a pipe would stall the run) of a sane size, and where memory runs
    out inside."""
    try:
        with opened(path) as (read, size):
            check_length(size, "the file")
            with _of_files.get().taken(size):
                data = read(size)
                if len(data) < size:
                    raise UnreadableItem(f"cannot be read: it ends after {len(data):,} of {size:,} bytes")
                yield data
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


@contextmanager
def open_decoded(
    data: bytes | memoryview, size: tuple[int, int] | None = None, white: int | None = None
) -> Iterator[Image.Image]:
    """Decode the first frame of a picture: upright, mode `L` or `RGB`, without metadata, with `Seen` in its `info`.

    Inside, the memory of the picture counts as taken.  Its `info` also has its `UPRIGHT_SIZE`.

    data : the file's bytes, in one of `FORMATS`, or in those of `dn2.networks.netpbm`.
    size : (width, height) that the caller will scale to; a JPEG is then decoded at a fraction of its size that leaves
        at least `JPEG_OVERSAMPLING` times as many pixels a side.
    white : the number that stands for white in grey pictures of more than 8 bits which do not say it themselves.
    Raises UnreadableItem unless it is a whole picture within the limits, and for any error inside."""
    with _name_failures():
        if is_netpbm(data):
            with _open_netpbm(open_netpbm(bytes(data)), white) as picture:
                yield picture
            return
        opened = _open_headers(data)
        image = opened.image
        whole = image.size
        coefficients = BYTES_OF_COEFFICIENTS * image.width * image.height if "progressive" in image.info else 0
        if size is not None:
            side = JPEG_OVERSAMPLING * max(size)
            image.draft(image.mode, (side, side))
        drafted = image.size
        per_pixel = BYTES_PER_PIXEL + BYTES_BESIDE.get(image.format or "", 0)
        with _of_pixels.get().taken(coefficients + per_pixel * image.width * image.height):
            picture = make_opaque(_load(opened), opened.depth, white, is_deep=opened.is_deep)
            if opened.further_pages:
                picture.info = {SEEN: replace(picture.info[SEEN], further_pages=opened.further_pages)}
            picture.info[UPRIGHT_SIZE] = whole if picture.size == drafted else whole[::-1]
            yield picture


@contextmanager
def _open_netpbm(opened: Netpbm, white: int | None) -> Iterator[Image.Image]:
    """Decode a PBM, PGM or PPM; see `open_decoded`."""
    per_pixel = BYTES_PER_DIGITS if opened.kind <= 3 else BYTES_PER_PIXEL
    with _of_pixels.get().taken(per_pixel * opened.bands * opened.width * opened.height):
        is_said = white is not None or opened.white != LARGEST
        full = white if white is not None and opened.white == LARGEST else opened.white
        numbers = opened.numbers()
        picture = Image.fromarray(numbers if full == 255 else to_8_bits(numbers, full))
        picture.info = {SEEN: seen_of_numbers(numbers, full, is_said) if opened.white > 255 else Seen()}
        yield picture


@contextmanager
def from_memory(picture: Array | Image.Image, white: int | None = None) -> Iterator[Image.Image]:
    """Give the picture that `open_decoded` gives of a file with the same pixels.

    picture : (height, width), or (height, width, c) with c of 1, 3 or 4, uint8, or uint16 with a given `white`; or a
        picture of Pillow, which stays as it is, but for being decoded.
    white : see `open_decoded`.
    Inside, the memory of the picture counts as taken.
    Raises UnreadableItem unless it is a picture within the limits, and for any error inside."""
    with _name_failures():
        image, seen = (picture, None) if isinstance(picture, Image.Image) else _of_array(picture, white)
        if not image.width * image.height:
            raise UnreadableItem(f"a picture has at least one pixel, got {image.width} x {image.height}")
        check_size(image.width, image.height)
        with _of_pixels.get().taken(BYTES_PER_PIXEL * image.width * image.height):
            if image is picture:
                with _loading.get()[id(image) % 64]:
                    image.load()
                image = upright_copy(image)
            opaque = make_opaque(image, Depth(), white)
            if seen is not None:
                opaque.info = {SEEN: replace(seen, is_transparent=opaque.info[SEEN].is_transparent)}
            yield opaque


def _of_array(array: Array, white: int | None) -> tuple[Image.Image, Seen]:
    """Return an array as a picture, and what is noticed of its numbers."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise UnreadableItem(
            "a picture is an array of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, "
            f"4), got {array.shape}; several are a list of such arrays"
        )
    if 0 in array.shape:
        raise UnreadableItem(f"a picture has at least one pixel, got an array of shape {array.shape}")
    check_size(array.shape[1], array.shape[0])
    seen = Seen()
    if array.dtype in UINT16 and white is not None:
        seen = seen_of_numbers(array, white, is_said=True)
        array = to_8_bits(array, white)
    if array.dtype != np.uint8:
        raise UnreadableItem(_way_to_uint8(array))
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2:] == (1,) else array)), seen


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
        way += ", or fit with white= and the camera's white" if array.dtype in UINT16 else ""
    elif kind == "f":
        way = "(255 * picture).round().astype('uint8')" if high <= 1 else "picture.round().astype('uint8')"
    else:
        way = "picture.astype('uint8')"
    return f"{rule} from {low:g} to {high:g}; give {way}"


def picture_size(data: bytes | memoryview) -> tuple[int, int]:
    """Return (width, height) of a picture as it is stored, without decoding it.  Raises UnreadableItem."""
    with _name_failures():
        if is_netpbm(data):
            opened = open_netpbm(bytes(data))
            return opened.width, opened.height
        return _open_headers(data).image.size


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return (width, height) that a decoded picture has upright, at whatever fraction of it it was decoded."""
    size: tuple[int, int] = picture.info.get(UPRIGHT_SIZE, picture.size)
    return size


@contextmanager
def _name_failures() -> Iterator[None]:
    """Turn any error inside into UnreadableItem, which says why the picture cannot be read."""
    try:
        yield
    except UnreadableItem:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableItem(f"more pixels than the limit of {MAX_PIXELS:,}: {error}") from error
    except MemoryError as error:
        raise UnreadableItem("not enough memory to read this picture") from error
    except Exception as error:
        # Decoders raise nearly anything on damaged files (OSError, SyntaxError, struct.error, ...), and one damaged
        # file must not end a run of a million.
        reason = str(error)[:LONGEST_REASON] or type(error).__name__
        raise UnreadableItem(f"damaged picture: {reason}") from error


class _Opened(NamedTuple):
    """A picture whose headers were read.

    depth : what its file says of its numbers; is_deep : whether it has colours of 16 bits.
    further_pages : how many pages or frames follow the first."""

    image: Image.Image
    depth: Depth
    is_deep: bool
    further_pages: int


def _open_headers(data: bytes | memoryview) -> _Opened:
    """Read a picture's headers, and check the cost of decoding it."""
    depth, further_pages, is_deep = Depth(), 0, False
    if is_tiff(data):
        data = check_tags(data)
        further_pages = count_further_pages(data)
        data, depth = prepare(bytes(data))
    elif is_png(data):
        is_deep = is_deep_png(data)
        data, further_pages = strip(bytes(data))
    elif is_jpeg_2000(data):
        depth = check_jpeg_2000(bytes(data))
    elif is_avif(data):
        data = without_exif(bytes(data))
    file = PictureBytes(data)
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableItem(why_unidentified(data)) from error
    file.header_is_read()
    check_opened(image, data)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        is_deep = image.tag_v2.get(BITS, (8,))[0] == 16
    elif image.format == "AVIF":
        check_pixels(*image.size)
        image.info.pop("xmp", None)  # which does not turn it either
        further_pages = getattr(image, "n_frames", 1) - 1
    elif image.format == "WEBP":
        further_pages = getattr(image, "n_frames", 1) - 1
    elif image.format == "GIF":
        further_pages = _count_further_frames(data)
    return _Opened(image, depth, is_deep and image.mode[:1] != "I", further_pages)


def _count_further_frames(data: bytes | memoryview) -> int:
    """Count the frames of a GIF after the first; 0 where they cannot be counted."""
    try:
        return int(getattr(Image.open(PictureBytes(data), formats=("GIF",)), "n_frames", 1)) - 1
    except Exception:  # as of any damaged picture, of which the first frame may be whole
        return 0


def _load(opened: _Opened) -> Image.Image:
    """Decode, and turn upright."""
    image = opened.image
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with hear_damage(fax=image.info["compression"] in FAXES) as heard:
            try:
                image.load()
            finally:
                if heard:
                    raise OSError(heard[0])
        if opened.depth.packed is not None:
            image = Image.fromarray(unpack(np.asarray(image), *opened.depth.packed))
            image.getexif()[ORIENTATION] = opened.depth.orientation
    else:
        image.load()
    turn_upright(image)
    return image

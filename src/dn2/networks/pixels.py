"""Pictures in the backbone's size, RGB, and thumbnails.

The whole picture is used, never a crop: a defect at the edge counts.  Only a network whose preprocessing asks for
crops is given crops.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from dn2.arrays import Flags, Pixels
from dn2.errors import UnreadableItem
from dn2.networks.decoding import file_bytes, open_decoded
from dn2.networks.looking import region_at, scale_region, turn, without_outside

# A change that alters the pixels of any picture needs a new number, which is part of the cache's key.
READING_VERSION = 2

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".pbm", ".pgm", ".ppm", ".pnm"),
    }
)

THUMBNAIL_SIZE = 192  # pixels a side: what a page shows
LARGEST_THUMBNAIL = 1 << 16  # bytes; `to_thumbnail` makes some thousand
SHEET_CELLS = 9  # pictures on a contact sheet at most
DARK = 64  # of 255, the mean of dark pictures

INTERPOLATIONS = {
    name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
}
# Grey values that every picture is brought to where light is made even; a picture that is nearly even stays so.
EVEN_MEAN, EVEN_SPREAD, LEAST_SPREAD = 120.0, 45.0, 5.0
# If the scaled picture would have more than this many times the input's pixels, only its middle is scaled.
LARGEST_SCALED = 32
BAND_PIXELS = 1 << 22  # of a large picture that are scaled together
FARTHEST = 4  # rows from its own that a pixel is interpolated from, at most, or so many times the scale


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input; recorded with every model.

    height, width : size of the input in pixels.
    shape : `squash` scales both sides to fit, `pad` keeps the aspect ratio and fills with grey, `crop` keeps it and
        scales the shorter side to fit, so that the ends of the longer one are cut off; `area` keeps it, too, and gives
        a picture about as many pixels as the size has, whatever its shape; `full` leaves a picture at its own size.
    crop_share : the picture is scaled to the size divided by this, 0 < crop_share <= 1, and the middle is cut out of
        it; always 1 for `pad`.
    interpolation : a name of `INTERPOLATIONS`.
    multiple : both sides of an input of `area` or `full` are a multiple of it.
    even_light : every picture is brought to one mean brightness and one contrast.
    region : the PNG of a small picture, white where pictures are looked at; what lies elsewhere is made grey.
    turned : degrees, counter-clockwise, by which a picture is turned about its middle; see `turn`."""

    height: int
    width: int
    shape: Literal["squash", "pad", "crop", "area", "full"] = "squash"
    crop_share: float = 1.0
    interpolation: str = "bicubic"
    multiple: int = 1
    even_light: bool = False
    region: bytes | None = None
    turned: float = 0.0

    @property
    def scaled(self) -> tuple[int, int] | None:
        """(width, height) that a picture may be decoded for; None where it keeps its size.

        Of `area` it is enough for pictures of any shape."""
        if self.shape == "full":
            return None
        return (2 * self.width, 2 * self.height) if self.shape == "area" else self.uncut

    @property
    def uncut(self) -> tuple[int, int]:
        """(width, height) of what the middle is cut out of."""
        return math.floor(self.width / self.crop_share), math.floor(self.height / self.crop_share)

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) of the input that a picture of some size becomes."""
        if self.shape not in ("area", "full"):
            return self.width, self.height
        scale = 1.0 if self.shape == "full" else math.sqrt(self.width * self.height / (width * height))
        wide, high = (max(1, round(side * scale / self.multiple)) * self.multiple for side in (width, height))
        return wide, high

    def as_dict(self) -> dict[str, Any]:
        """Return the fields and the reading version, as recorded in `model.json`.

        Fields added since the first release appear where they matter, so that older models and caches still fit."""
        region = None if self.region is None else hashlib.sha256(self.region).hexdigest()
        added = {"crop_share": 1.0, "interpolation": "bicubic", "multiple": 1, "even_light": False, "region": None}
        added |= {"turned": 0.0}
        every = asdict(self) | {"region": region}
        fields = {name: value for name, value in every.items() if name not in added or value != added[name]}
        return fields | {"reading": READING_VERSION}


def decode(data: bytes | memoryview, size: tuple[int, int] | None = None) -> Image.Image:
    """Decode a picture that is kept, such as a thumbnail; see `open_decoded`.

    Raises UnreadableItem."""
    with open_decoded(data, size) as image:
        return image


def to_pixels(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """Scale a decoded picture to the network's input: (height, width, 3) uint8, RGB."""
    region, turned = preprocessing.region, preprocessing.turned
    image = image if region is None else without_outside(image, region)
    image = _reduced(image, preprocessing) if turned % 90 else image
    inside = None if region is None else turn(region_at(region, image.size), turned, outside=True)
    image = turn(image, turned)
    size = preprocessing.input_size(*image.size)
    method = INTERPOLATIONS[preprocessing.interpolation]
    if preprocessing.shape == "pad":
        fitted = _fit(image, size, method)
        image = Image.new("RGB", size, (127, 127, 127))
        image.paste(fitted, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    elif preprocessing.shape not in ("area", "full"):
        image = _cut(image, preprocessing, method)
    pixels = _to_array(image, size, method)
    looked_at = None if inside is None else np.asarray(scale_region(inside, size))
    if preprocessing.even_light:
        _make_light_even(pixels, *light_of(pixels, looked_at))
    if looked_at is not None:
        pixels[~looked_at] = EVEN_MEAN
    return pixels


def _to_array(image: Image.Image, size: tuple[int, int], method: Image.Resampling) -> Pixels:
    """Scale a picture to a size, into an array; band by band, so that of a large one nothing else is held."""
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    bands = list(_bands(pixels))
    for rows in bands:
        band = image.resize(size, method) if len(bands) == 1 else _scaled_rows(image, size, rows, method)
        pixels[rows] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


def _scaled_rows(image: Image.Image, size: tuple[int, int], rows: slice, method: Image.Resampling) -> Image.Image:
    """Return some rows of a picture that is scaled to a size, from the rows around them alone."""
    scale = image.height / size[1]
    around = math.ceil(FARTHEST * max(1.0, scale))
    low, high = rows.start * scale, rows.stop * scale
    top, bottom = max(0, math.floor(low) - around), min(math.ceil(high) + around, image.height)
    part = image.crop((0, top, image.width, bottom)).resize((size[0], bottom - top), method)
    return part.resize((size[0], rows.stop - rows.start), method, (0, low - top, size[0], high - top))


def _bands(pixels: Pixels) -> Iterator[slice]:
    """Cut the rows of a picture into bands, or leave one that is not large whole."""
    height, width = pixels.shape[:2]
    step = max(1, BAND_PIXELS // width)
    yield from (slice(top, min(top + step, height)) for top in range(0, height, step))


def light_of(pixels: Pixels, inside: Flags | None = None) -> tuple[float, float]:
    """Return the mean and the standard deviation of the values of a picture, its colours together.

    pixels : (height, width, 3); inside : (height, width), where they count."""
    counted = np.zeros(3 * 256)
    for rows in _bands(pixels):
        counted += Image.fromarray(pixels[rows]).histogram(None if inside is None else Image.fromarray(inside[rows]))
    counts, values = counted.reshape(3, 256).sum(axis=0), np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ np.square(values - mean) / counts.sum()))


def _make_light_even(pixels: Pixels, mean: float, spread: float) -> None:
    """Bring a picture of some brightness and contrast to those of all, in place, so that a large one is held once."""
    values = (np.arange(256) - mean) * (EVEN_SPREAD / max(spread, LEAST_SPREAD)) + EVEN_MEAN
    table = values.round().clip(0, 255).astype(np.uint8)
    for row in pixels:
        row[...] = table[row]


def _reduced(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Scale a picture that is far larger than the input down by a whole number, so that to turn it takes little."""
    width, height = preprocessing.input_size(*image.size)
    factor = int(min(image.width / width, image.height / height) / 2)
    return image.reduce(factor) if factor > 1 else image


def _fit(image: Image.Image, size: tuple[int, int], method: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    """Scale to fit into a size, keeping the aspect ratio but at least a pixel a side (`ImageOps.contain` may not)."""
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(fitted, method)


def _cut(image: Image.Image, preprocessing: Preprocessing, method: Image.Resampling) -> Image.Image:
    """Scale to `Preprocessing.scaled`, or for `crop` to cover that, and cut the input out of the middle.

    Source: torchvision's Resize and CenterCrop, as timm uses them, to the pixel."""
    wide, high = preprocessing.uncut
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
    """Make the JPEG of at most `size` pixels a side that keeps evidence visible when the original is gone."""
    # A copy: to save a picture that it opened itself, Pillow asks for the working folder, which may be gone.
    small = image.copy() if max(image.size) <= size else _fit(image, (size, size))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def is_thumbnail(data: bytes | memoryview) -> bool:
    """Tell whether untrusted bytes are a JPEG no larger than a thumbnail, without decoding them."""
    if len(data) > LARGEST_THUMBNAIL:
        return False
    try:
        return max(Image.open(io.BytesIO(data), formats=["JPEG"]).size) <= THUMBNAIL_SIZE
    except Exception:  # as of any damaged picture
        return False


def to_contact_sheet(thumbnails: Sequence[bytes | memoryview], size: int = THUMBNAIL_SIZE) -> bytes:
    """Lay up to nine thumbnails of a group side by side in rows, on a JPEG of `size` pixels a side, which is white
    between them, or black where they are dark."""
    side = 1 if len(thumbnails) == 1 else 2 if len(thumbnails) <= 4 else 3
    cell = size // side
    opened = [Image.open(io.BytesIO(encoded), formats=["JPEG"]) for encoded in thumbnails[:SHEET_CELLS]]
    light = np.mean([np.asarray(picture.convert("L")).mean() for picture in opened])
    sheet = Image.new("RGB", (size, size), "white" if light > DARK else "black")
    for place, thumbnail in enumerate(opened):
        picture = _fit(thumbnail, (cell, cell))
        row, column = divmod(place, side)
        sheet.paste(picture, (column * cell + (cell - picture.width) // 2, row * cell + (cell - picture.height) // 2))
    return to_thumbnail(sheet, size)


def read_small(path: str | os.PathLike[str], white: int | None = None) -> bytes | None:
    """Read a file as a thumbnail; white : see `open_decoded`.  Returns None if it cannot be read."""
    try:
        with file_bytes(path) as data, open_decoded(data, (THUMBNAIL_SIZE, THUMBNAIL_SIZE), white) as image:
            return to_thumbnail(image)
    except UnreadableItem:
        return None


def read_pixels(path: str | Path, preprocessing: Preprocessing) -> Pixels:
    """Read one file as the network's input: (height, width, 3) uint8, RGB.  Raises UnreadableItem."""
    with file_bytes(path) as data, open_decoded(data, preprocessing.scaled) as image:
        return to_pixels(image, preprocessing)

"""Where a picture is looked at, and how it is turned before a network sees it."""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageStat

from dn2.arrays import Flags
from dn2.errors import UnreadableItem

QUARTERS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
REGION_SIDE = 256  # places a side of a region of interest, at most


def turn(image: Image.Image, degrees: float, *, outside: bool = False) -> Image.Image:
    """Turn a picture about its middle, counter-clockwise: by quarters exactly, else interpolated, at its own size.

    outside : whether what comes in at the corners is black; else it is what the edges reflect."""
    quarters, rest = divmod(degrees % 360, 90)
    if not rest:
        return image.transpose(QUARTERS[int(quarters) - 1]) if quarters else image
    if outside:
        return image.rotate(degrees)
    width, height = image.size
    margins = [math.ceil((math.hypot(width, height) - side) / 2) for side in (height, width)]
    pixels = np.asarray(image)
    wide = np.pad(pixels, [(margins[0],) * 2, (margins[1],) * 2, *[(0, 0)] * (pixels.ndim - 2)], "reflect")
    turned = Image.fromarray(wide).rotate(degrees, Image.Resampling.BICUBIC)
    return turned.crop((margins[1], margins[0], margins[1] + width, margins[0] + height))


def turned_region(region: bytes | None, size: tuple[int, int], degrees: float) -> Image.Image:
    """Return the region of a picture of some size that is turned, as a picture of one bit.

    What comes in at the corners is outside of it; region : before it was turned, None for all of the picture."""
    share = min(1.0, REGION_SIDE / max(size))
    wide, high = (max(1, round(side * share)) for side in size)
    inside = Image.new("1", (wide, high), 1) if region is None else region_at(region, (wide, high))
    return turn(inside, degrees, outside=True)


def without_outside(image: Image.Image, region: bytes) -> Image.Image:
    """Paint over what is not looked at with the mean of what is, before scaling mixes them; see `Preprocessing`."""
    inside = region_at(region, image.size)
    fill = tuple(round(mean) for mean in ImageStat.Stat(image, inside).mean)
    return Image.composite(image, Image.new(image.mode, image.size, fill if len(fill) > 1 else fill[0]), inside)


def region_at(region: bytes, size: tuple[int, int]) -> Image.Image:
    """Scale a region of interest without interpolation: at least a pixel of it stays white."""
    return scale_region(read_region(region), size)


def scale_region(inside: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale a region of one bit; where nothing of it is left, the place with the most of it is white."""
    scaled = inside.resize(size)
    if scaled.getbbox() is None:
        shares = np.asarray(inside.convert("L").resize(size, Image.Resampling.BOX))
        return Image.fromarray(shares == shares.max())
    return scaled


@lru_cache(32)
def read_region(region: bytes) -> Image.Image:
    """Return a region of interest as a picture of one bit.

    Raises ValueError for bytes that are none."""
    try:
        with Image.open(io.BytesIO(region), formats=["PNG"]) as opened:
            small = opened.convert("1") if max(opened.size) <= REGION_SIDE else None
    except Exception as error:  # as of any damaged picture
        raise ValueError(f"a region of interest must be a PNG: {error}") from error
    if small is None or small.getbbox() is None:
        raise ValueError(f"a region of interest has at most {REGION_SIDE} places a side, one of which is white")
    return small


def check_shape(region: bytes, image: Image.Image) -> None:
    """Raise UnreadableItem unless a region has the shape of a picture."""
    (wide, high), (width, height) = read_region(region).size, image.size
    if abs(wide * height - high * width) > max(width, height):  # which is a place, as rounding leaves it
        raise UnreadableItem(
            f"a mask must have the shape of its picture, {width} x {height}, and it is {wide / high:.3g} times as wide "
            "as it is high"
        )


def write_region(white: Flags) -> bytes:
    """Make the region of the pixels, (height, width), that are looked at; see `Preprocessing`.

    A place of it is white if nothing else is in it.  Raises UnreadableItem where no place is."""
    height, width = white.shape
    share = min(1.0, REGION_SIDE / max(height, width))
    for axis, side in enumerate((height, width)):
        cells = max(1, round(side * share))
        edges = [(place * side // cells, -(-(place + 1) * side // cells)) for place in range(cells)]
        white = np.stack([white.take(range(*edge), axis).all(axis) for edge in edges], axis)
    if not white.any():
        raise UnreadableItem(
            f"it must be white where pictures are looked at, over more than 1/{REGION_SIDE} of its side, and nothing "
            "in it is"
        )
    buffer = io.BytesIO()
    Image.fromarray(white).save(buffer, "PNG")
    return buffer.getvalue()

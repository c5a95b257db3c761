"""Anomaly maps as pictures: in grey values, in colour, and laid over the picture that they are of."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from dn2.arrays import Array, Pixels
from dn2.kinds.image.evidence import Region
from dn2.neighbors.patches.joining import Map

ENDS_AT = 4.0  # times the threshold of regions: where grey values and colours end
LARGEST_GREY = (1 << 16) - 1
PIXELS_AT_ONCE = 1 << 20  # of a large picture, whose values are held together

# Colours by the value as a share of the threshold: clear at first, then ever darker and less clear.
SHARES = (0.0, 0.7, 1.0, 2.0, ENDS_AT)
COLORS = ((255, 210, 40, 0), (255, 210, 40, 0), (255, 170, 0, 120), (235, 60, 0, 170), (130, 0, 80, 210))
LINES_A_SIDE = 300  # an outline is a line as wide as the shorter side of a picture divided by this


def at_pixels(anomaly_map: Map, width: int, height: int) -> Map:
    """Interpolate a map bilinearly at the pixels of its picture: (height, width)."""
    values = np.empty((height, width), np.float32)
    for columns, part in _parts_at_pixels(anomaly_map, width, height):
        values[:, columns] = part
    return values


def to_grey(anomaly_map: Map, width: int, height: int, threshold: float) -> Array:
    """Return a map at the pixels of its picture, (height, width) uint16: the largest grey value stands for `ENDS_AT`
    times the threshold of regions and more."""
    grey = np.empty((height, width), np.uint16)
    for columns, part in _parts_at_pixels(anomaly_map, width, height):
        grey[:, columns] = _graded(part, threshold, LARGEST_GREY)
    return grey


def _parts_at_pixels(anomaly_map: Map, width: int, height: int) -> Iterator[tuple[slice, Map]]:
    """Interpolate a map at the pixels of its picture, some columns after the other, so that of a large one few are
    held; each has the bits that it has in one piece, of which Pillow stretches the rows first, too."""
    cells, method = Image.fromarray(anomaly_map), Image.Resampling.BILINEAR
    if height < cells.height:  # then Pillow may shrink the columns first; such a picture is not large
        yield slice(0, width), np.asarray(cells.resize((width, height), method))
        return
    wide, step = cells.resize((width, cells.height), method), max(1, PIXELS_AT_ONCE // height)
    for left in range(0, width, step):
        right = min(left + step, width)
        part = wide.crop((left, 0, right, wide.height)).resize((right - left, height), method)
        yield slice(left, right), np.asarray(part)


def to_png(anomaly_map: Map, threshold: float) -> bytes:
    """Draw a map in colours, a pixel for each place, so that a picture shows through where it is normal."""
    drawn, table = Image.fromarray(_shades(anomaly_map, threshold)), color_table()
    drawn.putpalette(table[:, :3].tobytes())
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", transparency=table[:, 3].tobytes(), optimize=True)
    return buffer.getvalue()


def overlaid(picture: Image.Image, anomaly_map: Map, threshold: float, regions: Sequence[Region]) -> Image.Image:
    """Lay a map over its picture, and outline its regions; a picture in colour is itself drawn over."""
    over = picture if picture.mode == "RGB" else picture.convert("RGB")
    for columns, part in _parts_at_pixels(anomaly_map, *picture.size):
        shades = Image.fromarray(_shades(part, threshold))
        *channels, opaque = (shades.point(channel.tolist()) for channel in color_table().T)
        over.paste(Image.merge("RGB", channels), (columns.start, 0), opaque)
    pen = ImageDraw.Draw(over)
    wide = max(1, round(min(over.size) / LINES_A_SIDE))
    for region in regions:
        corners = [*region.outline, region.outline[0]]
        pen.line(corners, "black", 3 * wide, "curve")
        pen.line(corners, "white", wide, "curve")
    return over


def _shades(values: Map, threshold: float) -> Pixels:
    """Return the places of values in `color_table`."""
    return _graded(values, threshold, 255).astype(np.uint8)


def _graded(values: Map, threshold: float, largest: int) -> Map:
    """Return whole numbers up to the largest, which stands for `ENDS_AT` times the threshold; a map is held once."""
    graded: Map = values / (ENDS_AT * threshold)
    np.clip(graded, 0, 1, out=graded)
    graded *= largest
    return np.rint(graded, out=graded)


@lru_cache(1)
def color_table() -> Pixels:
    """Return the colours of 256 values of a map, (256, 4): red, green, blue, and how opaque."""
    shares = np.linspace(0, ENDS_AT, 256)
    channels = zip(*COLORS, strict=True)
    return np.stack([np.interp(shares, SHARES, channel) for channel in channels], axis=1).round().astype(np.uint8)

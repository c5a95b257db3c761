"""Anomaly maps as pictures: in grey values, in colour, and laid over the picture that they are of."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from dn2.arrays import Array, Pixels
from dn2.kinds.image.evidence import Region
from dn2.neighbors.patches.joining import Map

ENDS_AT = 4.0  # times the threshold of regions: where grey values and colours end
LARGEST_GREY = (1 << 16) - 1

# Colours by the value as a share of the threshold: clear at first, then ever darker and less clear.
SHARES = (0.0, 0.7, 1.0, 2.0, ENDS_AT)
COLORS = ((255, 210, 40, 0), (255, 210, 40, 0), (255, 170, 0, 120), (235, 60, 0, 170), (130, 0, 80, 210))
LINES_A_SIDE = 300  # an outline is a line as wide as the shorter side of a picture divided by this


def at_pixels(anomaly_map: Map, width: int, height: int) -> Map:
    """Interpolate a map bilinearly at the pixels of its picture: (height, width)."""
    return np.array(Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR))


def to_grey(values: Map, threshold: float) -> Array:
    """Return a map in uint16: the largest grey value stands for `ENDS_AT` times the threshold of regions and more."""
    return _graded(values, threshold, LARGEST_GREY).astype(np.uint16)


def to_png(anomaly_map: Map, threshold: float) -> bytes:
    """Draw a map in colours, a pixel for each place, so that a picture shows through where it is normal."""
    drawn, table = Image.fromarray(_shades(anomaly_map, threshold)), color_table()
    drawn.putpalette(table[:, :3].tobytes())
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", transparency=table[:, 3].tobytes(), optimize=True)
    return buffer.getvalue()


def overlaid(picture: Image.Image, anomaly_map: Map, threshold: float, regions: Sequence[Region]) -> Image.Image:
    """Lay a map over its picture, and outline its regions."""
    shades, over = Image.fromarray(_shades(at_pixels(anomaly_map, *picture.size), threshold)), picture.convert("RGB")
    *channels, opaque = (shades.point(channel.tolist()) for channel in color_table().T)
    over.paste(Image.merge("RGB", channels), mask=opaque)
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

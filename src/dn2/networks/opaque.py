"""Pictures of any mode to `L` or `RGB`, and what is noticed on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from dn2.arrays import Array
from dn2.errors import UnreadableItem
from dn2.networks.tiff import Depth
from dn2.system.interface import option

BAND_PIXELS = 1 << 22
LARGEST = (1 << 16) - 1  # a number in 16 bits, which is white where nothing else is said
SEEN = "seen"  # the key in a picture's `info`


@dataclass(frozen=True)
class Seen:
    """What a person should know of a picture that was read.

    highest : the largest of its numbers, where they have more than 8 bits, else None.
    white : the number that stood for white; is_said : whether the file or the caller says so.
    further_pages : pages or frames that were not read; is_transparent : whether nothing of it is visible.
    has_holes : whether white shows through some of it, which matters to masks and is not said of pictures."""

    highest: int | None = None
    white: int = LARGEST
    is_said: bool = False
    further_pages: int = 0
    is_transparent: bool = False
    has_holes: bool = field(default=False, compare=False)


NOTHING_SEEN = Seen()


@lru_cache(8)
def _table(white: int) -> Array:
    """Return what the numbers of 16 bits are in 8; rounded."""
    numbers = np.minimum(np.arange(LARGEST + 1), white)
    return (numbers / (white / 255) + 0.5).astype(np.uint8)


def to_8_bits(numbers: Array, white: int) -> Array:
    """Scale whole numbers from 0 to `white`, and to 65,535 at most, to 8 bits; larger ones than white are white."""
    return _table(white)[numbers]


def seen_of_numbers(numbers: Array, white: int, is_said: bool) -> Seen:
    """Return what is noticed of whole numbers."""
    return Seen(int(numbers.max()), white, is_said)


def make_opaque(image: Image.Image, depth: Depth, white: int | None, *, is_deep: bool = False) -> Image.Image:
    """Bring any mode to `L` or `RGB`, some rows at a time: many bits scaled to 8, transparency laid over white.

    depth : what the file says of its numbers; white : the number that stands for white where the file does not say.
    is_deep : whether the file has colours of 16 bits, of which the decoder keeps the upper 8.
    What is noticed is in the result's `info`, in place of metadata, which would be copied into its thumbnail."""
    if is_deep and white not in (None, LARGEST):
        raise UnreadableItem(
            f"of colours of 16 bits the upper 8 are read, and {option('white', str(white))} needs the others; save it "
            "in 8 bits a colour, or in grey"
        )
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        image.info = {SEEN: _of_colors(image) if is_deep else NOTHING_SEEN}
        return image
    grey = image.mode in ("1", "F") or image.mode.startswith("I")
    opaque = Image.new("L" if grey and "transparency" not in image.info else "RGB", image.size)
    rows = max(1, BAND_PIXELS // image.width)
    bands = []
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        lying, seen = _make_band_opaque(band, depth, white)
        opaque.paste(lying, (0, top))
        bands.append(seen)
    opaque.info = {SEEN: _join(bands, _of_colors(image) if is_deep else NOTHING_SEEN)}
    return opaque


def _of_colors(image: Image.Image) -> Seen:
    """Notice the largest number that colours of 16 bits may have, of which the upper 8 bits were read."""
    extremes = image.getextrema()
    highest = max(high for _, high in extremes[:3]) if isinstance(extremes[0], tuple) else extremes[1]
    return Seen(256 * int(highest) + 255)


def _join(bands: Iterable[Seen], whole: Seen) -> Seen:
    """Join what is noticed of the bands of a picture."""
    several = list(bands)
    highest = [seen.highest for seen in several if seen.highest is not None]
    return Seen(
        max(highest) if highest else whole.highest,
        several[0].white,
        several[0].is_said,
        is_transparent=all(seen.is_transparent for seen in several),
        has_holes=any(seen.has_holes for seen in several),
    )


def _make_band_opaque(image: Image.Image, depth: Depth, white: int | None) -> tuple[Image.Image, Seen]:
    if image.mode.startswith("I"):
        numbers = np.asarray(image)
        if not (numbers.min() >= 0 and numbers.max() <= LARGEST):
            raise UnreadableItem(
                "a picture of 32-bit numbers must hold values from 0 to 65,535; save it in 16 or 8 bits"
            )
        said = white if depth.white is None else depth.white
        full = LARGEST if said is None else said
        grey = to_8_bits(numbers, full)
        grey = ~grey if depth.is_negative else grey
        clear = numbers == image.info.get("transparency", -1)
        grey[clear] = 255
        seen = seen_of_numbers(numbers, full, said is not None)
        return Image.fromarray(grey), replace(seen, is_transparent=bool(clear.all()), has_holes=bool(clear.any()))
    if image.mode == "F":
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):
            raise UnreadableItem("a picture of floating-point numbers must hold values from 0 to 1")
        grey = (values * 255 + 0.5).astype(np.uint8)
        return Image.fromarray(~grey if depth.is_negative else grey), NOTHING_SEEN
    if image.has_transparency_data:
        image = image.convert("RGBA")
        visible = Image.new("RGB", image.size, "white")
        visible.paste(image, mask=image)
        lowest, highest = image.getchannel("A").getextrema()
        return visible, Seen(is_transparent=highest == 0, has_holes=lowest != 255)
    return image.convert("L" if image.mode == "1" else "RGB"), NOTHING_SEEN

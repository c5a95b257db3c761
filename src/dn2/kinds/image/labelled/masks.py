"""Masks of pictures: where the defects are, read within the limits of pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dn2.arrays import Array, Flags
from dn2.errors import UnreadableItem
from dn2.networks.decoding import file_bytes, open_decoded
from dn2.networks.opaque import BAND_PIXELS, SEEN
from dn2.networks.sources import JPEG

HALF = 127
HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
BACKGROUND = "background"


@dataclass(frozen=True)
class ColorMap:
    """What the colours of a mask mean.

    kinds : the kind of defect of each colour, 0xRRGGBB; background : the colour of what is no defect, None where every
        other colour is."""

    kinds: Mapping[int, str]
    background: int | None

    def defects_in(self, rgb: Array) -> Flags:
        """Return which pixels, (height, width, 3), have the colour of a defect.

        Raises UnreadableItem for a colour that means nothing."""
        codes = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        flags: Flags = np.isin(codes, list(self.kinds))
        if self.background is not None:
            unknown = ~flags & (codes != self.background)
            if unknown.any():
                raise UnreadableItem(
                    f"every colour must be in its colour map, and #{codes[unknown][0]:06x} is not; save masks without "
                    "loss, as PNG"
                )
        return flags

    def kinds_in(self, rgb: Array) -> set[str]:
        """Return the kinds of defects that pixels, (height, width, 3), have."""
        codes = np.unique(rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32))
        return {self.kinds[code] for code in codes.tolist() if code in self.kinds}


@dataclass(frozen=True)
class Mask:
    """A file that shows where the defects of a picture are.

    color_map : what its colours mean.  Without one, a mask whose numbers lie on both sides of the middle is grey, as
        JPEG and scaling leave it, and more than half is a defect; where all are at most 127, they are labels, and more
        than 0 is.  Of colours whatever is not black is a defect, and of numbers of 16 bits whatever is not 0."""

    path: Path
    color_map: ColorMap | None = field(default=None, repr=False)

    def read(self, size: tuple[int, int] | None = None) -> Flags:
        """Return which pixels are defects, (height, width).

        size : (width, height) of the picture.
        Raises UnreadableItem, which names the mask, for one that cannot be read or has another size."""
        with self._opened() as (image, is_jpeg, is_deep):
            if size is not None and image.size != size:
                raise UnreadableItem(
                    f"a mask must have the size of its picture, {size[0]} x {size[1]}, got {image.width} x "
                    f"{image.height}"
                )
            if self.color_map is not None:
                return np.concatenate([self.color_map.defects_in(rgb) for rgb in _bands(image.convert("RGB"))])
            return flags_of(image, is_jpeg=is_jpeg, is_deep=is_deep)

    def kinds(self) -> list[str]:
        """Return the kinds of defects in the mask, by its colour map, in order of names.

        Raises UnreadableItem as `read` does."""
        if self.color_map is None:
            return []
        with self._opened() as (image, *_):
            return sorted(set().union(*(self.color_map.kinds_in(rgb) for rgb in _bands(image.convert("RGB")))))

    @contextmanager
    def _opened(self) -> Iterator[tuple[Image.Image, bool, bool]]:
        """Decode the mask; give it, whether it is a JPEG, and whether its numbers have 16 bits."""
        try:
            with file_bytes(self.path) as data:
                is_jpeg = data.startswith(JPEG)
                with open_decoded(data) as image:
                    if image.info[SEEN].has_holes:
                        raise UnreadableItem(
                            "a mask must be opaque, and parts of it are transparent; save it without transparency"
                        )
                    is_deep = image.mode == "L" and image.info[SEEN].highest is not None
                    if not is_deep:
                        yield image, is_jpeg, False
                if is_deep:  # scaled to 8 bits, small labels would be lost
                    with open_decoded(data, white=255) as image:
                        yield image, is_jpeg, True
        except UnreadableItem as error:
            raise UnreadableItem(f"the mask {self.path}: {error}") from error


def flags_of(image: Image.Image, *, is_jpeg: bool = False, is_deep: bool = False) -> Flags:
    """Return which pixels of a decoded mask without a colour map are set, (height, width); see `Mask`.

    is_deep : whether its numbers had 16 bits."""
    numbers = np.asarray(image)
    is_colored = False
    if numbers.ndim == 3:
        lowest, numbers = numbers.min(axis=2), numbers.max(axis=2)
        is_colored = not is_jpeg and bool((lowest != numbers).any())
    is_grey = not is_colored and not is_deep and numbers.max() > HALF
    flags: Flags = numbers > (HALF if is_grey else 0)
    return flags


def read_color_map(entries: Any) -> ColorMap | None:
    """Read what colours mean from an `internal-color-map`; None where no colour is said.

    Raises UnreadableItem for anything else than names of kinds with colours."""
    if not isinstance(entries, dict) or not entries:
        raise UnreadableItem("an internal-color-map is an object of kinds of defects with their colours")
    kinds: dict[int, str] = {}
    background, colors = None, []
    for entry in entries.values():
        name, color = (entry.get("class-name"), entry.get("hex-color")) if isinstance(entry, dict) else (None, None)
        has_color = isinstance(color, str) and HEX_COLOR.fullmatch(color)
        if not isinstance(name, str) or not (has_color or color is None):
            raise UnreadableItem(f"a colour map gives a class-name the hex-color #RRGGBB, got {entry!s:.80}")
        colors.append(color)
        if color is not None and name.casefold() == BACKGROUND:
            background = int(color[1:], 16)
        elif color is not None:
            kinds[int(color[1:], 16)] = name
    if not any(colors):
        return None
    if None in colors:
        raise UnreadableItem("an internal-color-map has a hex-color for every kind, or for none")
    if background in kinds:
        raise UnreadableItem("an internal-color-map has a colour for the background that no kind of defect has")
    return ColorMap(kinds, background)


def _bands(image: Image.Image) -> Iterator[Array]:
    """Give a picture some rows at a time."""
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))

"""Defects drawn into normal pictures: they tell, without a defective part, what would be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dn2.arrays import Numbers, Pixels
from dn2.neighbors.patches.joining import Map
from dn2.networks.pixels import light_of

SIZES = (0.01, 0.02, 0.04, 0.08, 0.16)  # lengths, as shares of the side of a square of a picture's area
SMALLEST = 2.0  # pixels
LEAST_SPREAD = 8.0  # grey values: of a picture that is nearly even
REACH = 1.5  # lengths from the middle of a defect, beyond which it changes no grey value

EVERYWHERE = np.ones((1, 1), np.float32)

Amount = Numbers  # (height, width), how much of the defect each pixel shows, 0 ... 1


class Planted(NamedTuple):
    """A picture with a defect drawn into it.

    pixels : (height, width, 3); kind : of `KINDS`; size : of `SIZES`."""

    pixels: Pixels
    kind: str
    size: float


def plant(pixels: Pixels, kind: str, size: float, rng: np.random.Generator, region: Map = EVERYWHERE) -> Planted:
    """Draw a defect of a kind and a size at a random place into a picture, (height, width, 3); it differs from what is
    around it by as much as grey values of the picture do.

    region : (h, w), where pictures are looked at: the middle of the defect lies where it is highest, or over a half."""
    height, width = pixels.shape[:2]
    length = max(SMALLEST, size * float(np.sqrt(height * width)))
    cells = np.argwhere(region >= min(0.5, float(region.max())))
    middle = (cells[rng.integers(len(cells))] + rng.uniform(size=2)) / region.shape * (height, width)
    turned = rng.uniform(0, np.pi)
    rows, columns = (
        np.arange(max(0, int(at - REACH * length) - 2), min(side, int(at + REACH * length) + 3))
        for at, side in zip(middle, (height, width), strict=True)
    )
    down, across = rows[:, None] - middle[0], columns[None] - middle[1]
    along = across * np.cos(turned) + down * np.sin(turned)
    aside = down * np.cos(turned) - across * np.sin(turned)
    change = rng.choice((-1.0, 1.0)) * max(light_of(pixels)[1], LEAST_SPREAD)
    amount = KINDS[kind](along, aside, length, rng)[..., None]
    near = pixels[np.ix_(rows, columns)].astype(np.float64)
    if kind == "swap":
        shift = [rng.integers(side // 4, 3 * side // 4 + 1) for side in (height, width)]
        other = pixels[np.ix_((rows - shift[0]) % height, (width - 1 - columns - shift[1]) % width)]
        near = near * (1 - amount) + other * amount
    else:
        near += change * STRENGTHS[kind] * amount
    drawn = pixels.copy()
    drawn[np.ix_(rows, columns)] = near.round().clip(0, 255).astype(np.uint8)
    return Planted(drawn, kind, size)


def _scratch(along: Numbers, aside: Numbers, length: float, rng: np.random.Generator) -> Amount:
    """A line, a little bent, a fourteenth as wide as it is long."""
    bent = aside - rng.uniform(-0.5, 0.5) / length * along**2
    thick = np.clip(max(1.0, length / 14) / 2 + 0.5 - np.abs(bent), 0, 1)
    return thick * np.clip(length / 2 + 0.5 - np.abs(along), 0, 1)


def _spot(along: Numbers, aside: Numbers, length: float, rng: np.random.Generator) -> Amount:
    """A blot with a sharp, uneven edge."""
    aside = aside / rng.uniform(0.5, 1)
    angle = np.arctan2(aside, along)
    waves = (0.2 * np.sin(2 * angle + rng.uniform(0, 6)), 0.1 * np.sin(3 * angle + rng.uniform(0, 6)))
    return np.clip(length / 2 * (1 + sum(waves)) + 0.5 - np.hypot(along, aside), 0, 1)


def _stain(along: Numbers, aside: Numbers, length: float, rng: np.random.Generator) -> Amount:
    """A blot that fades out."""
    return np.exp(-(along**2 + 2 * aside**2) / (2 * (length / 2.5) ** 2))


def _swap(along: Numbers, aside: Numbers, length: float, rng: np.random.Generator) -> Amount:
    """A square of another place of the picture."""
    return np.clip(length / 2 + 0.5 - np.maximum(np.abs(along), np.abs(aside)), 0, 1)


KINDS: dict[str, Callable[[Numbers, Numbers, float, np.random.Generator], Amount]] = {
    "scratch": _scratch,
    "spot": _spot,
    "stain": _stain,
    "swap": _swap,
}
STRENGTHS = {"scratch": 1.5, "spot": 1.5, "stain": 0.8}  # in standard deviations of a picture's grey values

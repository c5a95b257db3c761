"""Where a picture is looked at: of the places of a map, those within its region of interest."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dn2.arrays import Flags, Numbers
from dn2.neighbors.patches.joining import Map

HALF = 0.5  # of a place: from there on it is looked at
ROUNDING = 1e-5  # of shares, as single precision leaves it in exported decisions


def looked_at(region: Map, height: int, width: int) -> Flags:
    """Return which places of a map are looked at, (height, width): those at least half of which is, and at least those
    of which most is.

    region : (h, w), 1 where the picture is looked at, 0 elsewhere."""
    share = _shares(region.shape[0], height) @ region @ _shares(region.shape[1], width).T
    within: Flags = share >= min(HALF, float(share.max())) - ROUNDING
    return within


def unturned(places: Numbers, height: int, width: int, degrees: float) -> Numbers:
    """Return where places of a picture that is turned lay before, (n, 2), down and across, as shares of its sides.

    places : (n, 2), in units of which the turned picture has height and width; degrees : counter-clockwise, about the
    middle.  What came in at a corner is put to the edge."""
    sides = np.array([height, width])
    down, across = (places - sides / 2).T
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    before = np.stack([across * sine + down * cosine, across * cosine - down * sine], axis=1)
    shares: Numbers = before / (sides[::-1] if degrees % 180 == 90 else sides) + 0.5
    return shares.clip(0, 1)


@lru_cache(256)
def _shares(size: int, target: int) -> Numbers:
    """Return the matrix, (target, size), that takes the mean over what each of `target` equal cells covers."""
    edges = np.arange(target + 1) * (size / target)
    low, high = edges[:-1, None], edges[1:, None]
    places = np.arange(size)
    matrix: Numbers = np.clip(np.minimum(high, places + 1) - np.maximum(low, places), 0, None) * (target / size)
    matrix.setflags(write=False)
    return matrix

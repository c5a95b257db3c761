"""How many pixels have scores of each level: what all measures of anomaly maps are made of, however many the maps.

A level holds the scores that agree in their first `SIGNIFICANT_BITS` binary digits: levels follow the scores wherever
they lie, no range is known beforehand, and memory grows with the octaves of the scores and not with the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from dn2.arrays import Flags, Numbers, Positions

SIGNIFICANT_BITS = 15  # a level is 2 ** -14 of its scores wide, and an octave of scores has 2 ** 14 levels
_DROPPED_BITS = 24 - SIGNIFICANT_BITS

Extremes = np.ndarray[Any, np.dtype[np.float32]]  # (n,)


@dataclass(frozen=True)
class Tally:
    """Pixels by the level of their scores, n levels, ascending.

    lowest, highest : (n,) the extreme scores of each level; they are equal where nothing is lost by its width.
    counts : (n, 3) the pixels outside of defects, those inside, both as shares of their pictures, so that each picture
        sums up to 1, and the latter as shares of their regions, so that each region does.
    n_regions : how many regions there are.
    reaching : (2,) the pixels outside and inside, whose scores reach the threshold, as shares of their pictures."""

    lowest: Extremes
    highest: Extremes
    counts: Numbers
    n_regions: int
    reaching: Numbers

    def __add__(self, other: Tally) -> Tally:
        lowest, highest = (
            np.concatenate(pair) for pair in ((self.lowest, other.lowest), (self.highest, other.highest))
        )
        counts = np.concatenate([self.counts, other.counts])
        order = np.argsort(lowest, kind="stable")  # which takes one pass where two sorted runs follow each other
        starts = _starts(lowest[order])
        if len(starts):
            lowest = np.minimum.reduceat(lowest[order], starts)
            highest = np.maximum.reduceat(highest[order], starts)
            counts = np.add.reduceat(counts[order], starts)
        return Tally(lowest, highest, counts, self.n_regions + other.n_regions, self.reaching + other.reaching)

    @property
    def is_exact(self) -> Flags:
        """Whether all scores of a level are equal, (n,)."""
        flags: Flags = self.lowest == self.highest
        return flags


NOTHING = Tally(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros((0, 3)), 0, np.zeros(2))


def tally_outside(scores: Extremes, n_pixels: int, n_reaching: int) -> Tally:
    """Count the scores, (m,), of pixels outside of the defects of a picture.

    n_pixels : of the whole picture; n_reaching : how many of the scores reach the threshold."""
    if not len(scores):
        return NOTHING
    return _tally(np.sort(scores), None, n_pixels, 0, np.array([n_reaching, 0.0]))


def tally_inside(scores: Extremes, shares: Numbers, n_pixels: int, n_regions: int, n_reaching: int) -> Tally:
    """Count the scores, (m,), of pixels of regions of a picture; see `tally_outside`.

    shares : (m,) what each pixel is of its region."""
    order = np.argsort(scores)
    return _tally(scores[order], shares[order], n_pixels, n_regions, np.array([0.0, n_reaching]))


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    return reduce(add, tallies, NOTHING)


def _tally(ascending: Extremes, shares: Numbers | None, n_pixels: int, n_regions: int, n_reaching: Numbers) -> Tally:
    starts = _starts(ascending)
    stops = np.append(starts[1:], len(ascending))
    counts = np.zeros((len(starts), 3))
    counts[:, 0 if shares is None else 1] = (stops - starts) / n_pixels
    if shares is not None:
        counts[:, 2] = np.add.reduceat(shares, starts)
    return Tally(ascending[starts], ascending[stops - 1], counts, n_regions, n_reaching / n_pixels)


def _starts(ascending: Extremes) -> Positions:
    """Return where the levels of ascending scores start."""
    bits = (ascending + np.float32(0)).view(np.int32)  # there is one zero, and none below it
    levels = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits) >> _DROPPED_BITS
    starts: Positions = np.flatnonzero(np.diff(levels, prepend=levels[:1] - 1))
    return starts

"""Regions of a picture that are strange: where its anomaly map exceeds a threshold, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dn2.arrays import Numbers
from dn2.neighbors.patches.bank import Nearest
from dn2.neighbors.patches.joining import Map, resize

FINEST = 3  # times its sides, to which a map is interpolated before it is cut; odd, so that the middles of cells stay
MOST_REGIONS = 20  # of a picture: the strangest
MOST_POINTS = 64  # of an outline
EIGHT_NEIGHBORS = np.ones((3, 3), np.int64)


class Judged(NamedTuple):
    """A picture compared with the banks.

    anomaly_map : its map; near : what each bank has nearest; nearest : the bank that tells the items it is like."""

    anomaly_map: Map
    near: Sequence[Nearest]


class Found(NamedTuple):
    """A region, in shares of a picture's sides.

    outline : (p, 2), across and down; box : left, top, right, bottom; area : share of the picture; peak : of the map,
    and the cell of the map, (row, column), that has it."""

    outline: Numbers
    box: tuple[float, float, float, float]
    area: float
    peak: float
    cell: tuple[int, int]


def find_regions(anomaly_map: Map, threshold: float) -> list[Found]:
    """Find the connected regions above a threshold, the strangest first, at most `MOST_REGIONS`."""
    if not anomaly_map.max() > threshold:
        return []
    from scipy import ndimage  # which takes a while to import

    height, width = anomaly_map.shape
    fine = resize(anomaly_map, FINEST * height, FINEST * width)
    labels, count = ndimage.label(fine > threshold, EIGHT_NEIGHBORS)
    above = np.flatnonzero(labels)  # few of all, which are sorted here
    highest = ndimage.maximum_position(fine.ravel()[above], labels.ravel()[above], np.arange(1, count + 1))
    peaks = [divmod(int(above[place]), fine.shape[1]) for (place,) in highest]
    order = sorted(range(count), key=lambda number: -fine[peaks[number]])[:MOST_REGIONS]
    slices = ndimage.find_objects(labels)
    regions = []
    for number in order:
        rows, columns = slices[number]
        own = labels[rows, columns] == number + 1
        size = np.array([fine.shape[1], fine.shape[0]])
        box = (columns.start / size[0], rows.start / size[1], columns.stop / size[0], rows.stop / size[1])
        values = np.where(own, fine[rows, columns], threshold - 1e-6)
        outline = (_outline(values, threshold) + np.array([columns.start, rows.start])) / size
        row, column = peaks[number]
        cell = (min(row // FINEST, height - 1), min(column // FINEST, width - 1))
        regions.append(Found(outline, box, float(own.sum() / fine.size), float(anomaly_map[cell]), cell))
    return regions


def _outline(values: Map, threshold: float) -> Numbers:
    """Return the longest closed line at a threshold around values, (p, 2), across and down, in cells."""
    import contourpy

    padded = np.pad(values, 1, constant_values=min(float(values.min()), threshold) - 1e-6)
    lines: list[Numbers] = contourpy.contour_generator(z=padded).lines(threshold)  # type: ignore[assignment]
    longest = max(lines, key=len) - 0.5  # the middle of the first cell is half a cell from the edge
    step = -(-len(longest) // MOST_POINTS)
    return np.asarray(longest[::step], np.float64).clip(0, (values.shape[1], values.shape[0]))

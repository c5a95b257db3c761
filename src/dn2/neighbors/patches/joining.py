"""Maps of one network at several strides, joined to one patch embedding at each place of the finest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dn2.arrays import Numbers, Vectors

Level = np.ndarray[Any, np.dtype[np.float16]]  # (height, width, d): a map of a network
Map = np.ndarray[Any, np.dtype[np.float32]]  # (height, width): a number at each place

PATCHES_AT_ONCE = 1_024  # that are joined and compared together, so that a large picture takes no more memory


def strips(levels: Sequence[Level]) -> Iterator[tuple[int, int]]:
    """Cut the rows of the finest map into strips of about `PATCHES_AT_ONCE` patches: first row, and the row behind."""
    height, width = levels[0].shape[:2]
    step = max(1, PATCHES_AT_ONCE // width)
    yield from ((start, min(start + step, height)) for start in range(0, height, step))


def join(levels: Sequence[Level], start: int = 0, stop: int | None = None) -> Vectors:
    """Join maps, the finest first, to the embeddings of patches in some rows of the finest: (rows x width, d).

    Coarser maps are interpolated bilinearly."""
    height, width = levels[0].shape[:2]
    stop = height if stop is None else stop
    parts = [levels[0][start:stop].astype(np.float32)]
    for level in levels[1:]:
        rows: Vectors = interpolation(level.shape[0], height)[start:stop]
        used = np.flatnonzero(rows.any(axis=0))
        first, last = (used[0], used[-1] + 1) if len(used) else (0, 0)
        within = level[first:last].astype(np.float32)
        down: Vectors = (rows[:, first:last] @ within.reshape(len(within), -1)).reshape(-1, *level.shape[1:])
        parts.append(np.matmul(interpolation(level.shape[1], width), down))
    return np.concatenate(parts, axis=2).reshape((stop - start) * width, -1)


def resize(values: Map, height: int, width: int) -> Map:
    """Interpolate a map bilinearly: (height, width)."""
    if values.shape == (height, width):
        return values
    resized = interpolation(values.shape[0], height) @ values @ interpolation(values.shape[1], width).T
    return resized.astype(np.float32, copy=False)


@lru_cache(256)
def interpolation(size: int, target: int) -> Vectors:
    """Return the matrix, (target, size), that interpolates linearly between the middles of cells."""
    places: Numbers = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    low = np.minimum(places.astype(np.int64), max(size - 2, 0))
    share = (places - low).astype(np.float32)
    matrix = np.zeros((target, size), np.float32)
    matrix[np.arange(target), low] = 1 - share
    matrix[np.arange(target), np.minimum(low + 1, size - 1)] += share
    matrix.setflags(write=False)
    return matrix

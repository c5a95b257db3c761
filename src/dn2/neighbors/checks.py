"""What numbers, positions and rows may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dn2.arrays import Array, Positions
from dn2.errors import InputError

# The square of a longer row overflows in float32, or nearly.
LARGEST_LENGTH = 1e18


def check_neighbors(k: Any, name: str = "n_neighbors") -> None:
    """Raise InputError unless k is a number of neighbours; name : the parameter's."""
    if not is_whole(k) or k < 1:
        raise InputError(f"{name} must be an integer of at least 1, got {k!r}")


def check_window(window: Any) -> None:
    """Raise InputError unless a window is a number of points of at least 2."""
    if not is_whole(window) or window < 2:
        raise InputError(f"window must be an integer of at least 2, got {window!r}")


def is_whole(number: Any) -> bool:
    """Tell whether a value is an integer, of Python's or of numpy's."""
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def check_positions(positions: Any, n: int) -> Positions:
    """Return positions among n reference items, ascending, each once.  Raises InputError for any other."""
    unique = np.unique(positions)
    if len(unique) and unique.dtype.kind not in "iu":
        raise InputError(f"positions must be whole numbers in 0 ... {n - 1}, got {unique.dtype}")
    if len(unique) and not (unique[0] >= 0 and unique[-1] < n):
        raise InputError(f"positions must lie in 0 ... {n - 1}, got {unique[0]} ... {unique[-1]}")
    return unique.astype(np.int64)


def check_stored_positions(positions: Array, n: int) -> None:
    """Raise ValueError unless an array of a file holds positions among n items, (m,) int64."""
    if positions.dtype != np.int64 or positions.ndim != 1:
        raise ValueError(f"positions must be int64 of shape (m,), got {positions.dtype} of shape {positions.shape}")
    if len(positions) and not (positions.min() >= 0 and positions.max() < n):
        raise ValueError(f"positions must lie in 0 ... {n - 1}, got {positions.min()} ... {positions.max()}")


def check_rows(rows: Any, width: int | None = None, *, may_miss: bool = False) -> Array:
    """Return rows of numbers as an array, (n, d).

    width : the number of columns that is expected; may_miss : whether NaN is a missing value.
    Raises InputError for another shape, for texts, for values that are not finite, and for rows so long that their
    squares overflow."""
    array = np.asarray(rows)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or not array.size:
        raise InputError(f"rows must be numbers of shape (n, d), got {array.dtype} of shape {array.shape}")
    if width is not None and array.shape[1] != width:
        raise InputError(f"rows must have {width:,} columns as the reference set has, got {array.shape[1]:,}")
    if not may_miss and np.isnan(array.max()):  # the largest of numbers with NaN among them is NaN
        raise InputError("rows must be finite, got NaN")
    check_values(array)
    return array


def check_values(rows: Array) -> None:
    """Raise InputError for rows, (n, d), so long that their squares overflow; NaN counts for nothing."""
    largest = max(float(np.fmax.reduce(rows, axis=None)), -float(np.fmin.reduce(rows, axis=None)))
    check_largest(largest, rows.shape[1])


def check_largest(largest: float, width: int) -> None:
    """Raise InputError for the largest number of rows of some width, if squares of such rows overflow."""
    limit = LARGEST_LENGTH / math.sqrt(width)
    if largest > limit:
        raise InputError(f"values must lie within +-{limit:.3g}, got {largest:.3g}; scale them down")

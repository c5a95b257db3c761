"""What parameters of the detector and values of rows may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.neighbors.blocks import STORAGES, Positions
from dn2.neighbors.choice import parse_index, parse_memory
from dn2.neighbors.clean import check_share
from dn2.neighbors.conformal import check_rate
from dn2.neighbors.normalize import NORMALIZATIONS

# The square of a longer row overflows in float32, or nearly.
LARGEST_LENGTH = 1e18


def check_parameters(given: Mapping[str, Any]) -> None:
    """Raise InputError for parameters of a `KNNDetector`, by name, that are out of range or do not go together."""
    check_neighbors(given["n_neighbors"])
    for name in ("scale_columns", "whiten", "contaminated"):
        if given[name] not in (None, False, True):
            raise InputError(f"{name} must be True or False, got {given[name]!r}")
    if given["false_alarm_rate"] is not None:
        check_rate(given["false_alarm_rate"])
    check_normalization(given["normalize"])
    if given["scale_columns"] and given["normalize"] != "none":
        raise InputError(f"scale_columns takes rows as they are: normalize must be 'none', got {given['normalize']!r}")
    if given["categorical_columns"] and not given["scale_columns"]:
        raise InputError("categories are compared where columns are scaled; say so with scale_columns=True")
    if not (isinstance(given["recall"], (int, float)) and 0 < given["recall"] < 1):
        raise InputError(f"the recall promised must lie between 0 and 1, such as 0.999, got {given['recall']!r}")
    check_storage(given["storage"])
    parse_memory(given["memory_limit"])
    if given["scale_columns"] and given["storage"] not in ("auto", "float32"):
        raise InputError(
            f"scaled columns are stored as float32: storage must be auto or float32, got {given['storage']!r}"
        )
    method = parse_index(given["index"]).name
    copied = given["scale_columns"] or given["whiten"] or given["contaminated"]
    if copied and method in ("kdtree", "kmeans-tree"):
        raise InputError(
            f"the index {method} takes rows as they are: not with scaled columns, whitening or contaminated items; "
            "ask for index='exact'"
        )
    if method == "kmeans" and given["n_neighbors"] != 1:
        raise InputError(
            f"an item is compared with its nearest centroid: n_neighbors must be 1, got {given['n_neighbors']}"
        )
    check_window(given, method)
    check_share(given["drop"])
    if not given["contaminated"] and (given["drop"] is not None or given["first_neighbors"] is not None):
        raise InputError("drop and first_neighbors need a set that is contaminated; say so with contaminated=True")
    if given["first_neighbors"] is not None:
        check_neighbors(given["first_neighbors"], "first_neighbors")


def check_window(given: Mapping[str, Any], method: str) -> None:
    """Raise InputError for windows that are too short, or for parameters that do not go with windows."""
    check_length(given["window"])
    if given["window"] is None:
        return
    if wrong := [name for name in ("scale_columns", "whiten", "contaminated") if given[name]]:
        raise InputError(f"windows of series are compared as they are: leave out {wrong[0]}")
    if method not in ("auto", "exact", "approximate"):
        raise InputError(f"windows of series take the index exact, approximate or auto, got {method}")


def check_length(window: Any) -> None:
    """Raise InputError for what is no number of points of a window; None is one that is not given."""
    whole = isinstance(window, (int, np.integer)) and not isinstance(window, bool)
    if window is not None and not (whole and window >= 2):
        raise InputError(f"a window must have a whole number of points, at least 2, got {window!r}")


def check_storage(storage: Any) -> None:
    """Raise InputError for what is no way to store rows."""
    if storage != "auto" and storage not in STORAGES:
        raise InputError(f"storage must be auto, {', '.join(STORAGES)}, got {storage!r}")


def check_normalization(method: Any) -> None:
    """Raise InputError for what is no normalisation."""
    if method not in NORMALIZATIONS:
        raise InputError(f"normalize must be one of {', '.join(NORMALIZATIONS)}, got {method!r}")


def check_neighbors(k: Any, name: str = "n_neighbors") -> None:
    """Raise InputError for what is no number of neighbours; name : the parameter's."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"{name} must be a whole number of at least 1, got {k!r}")


def check_columns(categorical: Sequence[Any], n_columns: int) -> None:
    """Raise InputError for columns of categories that are no positions of columns."""
    for one in categorical:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)) or not 0 <= one < n_columns:
            raise InputError(f"categorical_columns must lie in 0 ... {n_columns - 1}, got {one!r}")


def check_positions(positions: Any, n: int) -> Positions:
    """Return positions among n reference items sorted, each once.  Raises InputError for what is none."""
    unique = np.unique(positions)
    if len(unique) and unique.dtype.kind not in "iu":
        raise InputError(f"positions must be whole numbers in 0 ... {n - 1}, got {unique.dtype}")
    if len(unique) and not (unique[0] >= 0 and unique[-1] < n):
        raise InputError(f"positions must lie in 0 ... {n - 1}, got {unique[0]} ... {unique[-1]}")
    return unique.astype(np.int64)


def check_values(rows: np.ndarray[Any, Any]) -> None:
    """Raise InputError for rows, (n, d), so long that their squares overflow."""
    largest = max(float(np.fmax.reduce(rows, axis=None)), -float(np.fmin.reduce(rows, axis=None)))  # past what is NaN
    check_largest(largest, rows.shape[1])


def check_largest(largest: float, width: int) -> None:
    """Raise InputError for the largest number of rows of some width, if squares of such rows overflow."""
    limit = LARGEST_LENGTH / math.sqrt(width)
    if largest > limit:
        raise InputError(f"values must lie within +-{limit:.3g}, got {largest:.3g}; scale them down")

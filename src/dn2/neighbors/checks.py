"""What numbers of neighbours and values of rows may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dn2.errors import InputError

# The square of a longer row overflows in float32, or nearly.
LARGEST_LENGTH = 1e18


def check_neighbors(k: Any, name: str = "n_neighbors") -> None:
    """Raise InputError for what is no number of neighbours; name : the parameter's."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"{name} must be a whole number of at least 1, got {k!r}")


def check_values(rows: np.ndarray[Any, Any]) -> None:
    """Raise InputError for rows, (n, d), so long that their squares overflow."""
    largest, limit = max(float(rows.max()), -float(rows.min())), LARGEST_LENGTH / math.sqrt(rows.shape[1])
    if largest > limit:
        raise InputError(f"values must lie within +-{limit:.3g}, got {largest:.3g}; scale them down")

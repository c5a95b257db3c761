"""The arrays that all of dn2 speaks of, by what they hold, and how far a run tells that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Vectors = np.ndarray[Any, np.dtype[np.float32]]  # (n, d), a row an item
Vector = np.ndarray[Any, np.dtype[np.float32]]  # (d,)
Distances = np.ndarray[Any, np.dtype[np.float32]]  # (n, k), squared L2, nearest first
Positions = np.ndarray[Any, np.dtype[np.int64]]  # of items in a set
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Scores = np.ndarray[Any, np.dtype[np.float64]]  # (n,), higher is more anomalous; p-values, too
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]  # (height, width, 3), RGB

Progress = Callable[[int, int], None]  # called with (done, total)

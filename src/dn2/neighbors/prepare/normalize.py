"""Feature normalisation: a named choice, recorded with every model."""

from __future__ import annotations

from typing import Any

import numpy as np

from dn2.arrays import Vectors
from dn2.errors import InputError

NORMALIZATIONS = ("none", "unit", "root-unit")


def normalize(vectors: Vectors, method: str) -> Vectors:
    """Normalise embeddings row by row.

    vectors : (n, d) float32.
    method : `none` leaves them as they are (the paper's); `unit` scales each row to length 1; `root-unit` takes
        the square root of every feature first, which must not be negative, so that the L2 distance becomes the
        Hellinger distance of the rows' distributions over features.  A row of zeros stays one.
    Returns (n, d) float32.  Raises InputError."""
    if method == "none":
        return vectors
    if method == "unit":
        return _unit(vectors)
    if method == "root-unit":
        if vectors.size and vectors.min() < 0:
            raise InputError(
                f"root-unit normalisation needs non-negative features, got {vectors.min():g}; use unit or none"
            )
        return _unit(np.sqrt(vectors))
    raise InputError(f"the normalisation must be one of {', '.join(NORMALIZATIONS)}, got {method!r}")


def check_normalization(method: Any) -> None:
    """Raise InputError unless a normalisation is known."""
    if method not in NORMALIZATIONS:
        raise InputError(f"normalize must be one of {', '.join(NORMALIZATIONS)}, got {method!r}")


def _unit(vectors: Vectors) -> Vectors:
    largest = np.maximum(vectors.max(axis=1, keepdims=True), -vectors.min(axis=1, keepdims=True))
    # Squares of the values themselves may underflow.
    scaled: Vectors = np.divide(vectors, largest, out=np.zeros_like(vectors), where=largest > 0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    np.divide(scaled, lengths, out=scaled, where=lengths > 0)
    return scaled

"""Whether reference pictures look aligned, as photos of one part from one camera do: patches tell more of these."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from dn2.arrays import Vectors
from dn2.networks.pixels import is_thumbnail
from dn2.system.interface import command

SAMPLED = 64  # pictures
FEWEST = 20  # of which one half teaches patches
# The median cosine of two embeddings as they are compared, by root-unit, measured with lite0 and lite1: 0.83 of
# magnetic tiles; 0.73 at most of white blood cells, each in the middle of its picture; 0.66 at most of one class of
# CIFAR-10.
ALIKE = 0.78
# A picture that a thumbnail holds with fewer pixels, as a square of this side, is too small to have small defects.
SMALLEST_SIDE = 96


def say_if_aligned(vectors: Vectors, thumbnails: Sequence[bytes]) -> str:
    """Suggest patches for pictures that look aligned; empty for others.

    vectors : (m, d) embeddings of some of them, normalised by root-unit; thumbnails : of these."""
    if len(vectors) < FEWEST or cosine(vectors) < ALIKE:
        return ""
    sizes = [Image.open(io.BytesIO(one)).size for one in thumbnails if is_thumbnail(one)]
    if not sizes or np.median([width * height for width, height in sizes]) < SMALLEST_SIDE**2:
        return ""
    patches = command("--patches", "patches=True")
    return (
        f"these pictures look much alike, as those of one part from one camera do: with {patches} they are compared "
        "place by place, which finds smaller defects and shows where they are"
    )


def cosine(vectors: Vectors) -> float:
    """Return the median cosine of two of the vectors, (m, d)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return float(np.median((units @ units.T)[np.triu_indices(len(units), 1)]))

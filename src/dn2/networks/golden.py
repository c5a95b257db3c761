"""Four pictures whose embeddings show whether this machine embeds as the machine did where a model was made."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from dn2.arrays import Pixels
from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.networks.decoding import picture_size
from dn2.networks.pixels import decode, to_pixels

# Largest relative L2 error accepted.  In f32 it covers the order of summation on other processors.  The rounding of
# bf16 moves an embedding by several percent, so only the same arithmetic stays within; f16 rounds 8 times finer.
TOLERANCE = {"f32": 1e-3, "bf16": 2e-2, "f16": 1e-2}

# Limits on a saved model, which has four pictures of 320 x 272 pixels.
MOST_PICTURES = 16
MOST_PIXELS = 1 << 20

Embeddings = np.ndarray[Any, np.dtype[np.float32]]


def make_pictures() -> list[bytes]:
    """Draw four PNG pictures of smooth colours, edges and texture, none of them the network's size or square."""
    rng = np.random.default_rng(20021)
    pictures = []
    for number in range(4):
        coarse = rng.integers(0, 256, (3 + 4 * number, 5 + 4 * number, 3), np.uint8)
        resampling = Image.Resampling.BICUBIC if number % 2 else Image.Resampling.NEAREST
        smooth = np.asarray(Image.fromarray(coarse).resize((320, 272), resampling), np.int16)
        texture = rng.integers(-12, 13, smooth.shape, np.int16)
        buffer = io.BytesIO()
        Image.fromarray((smooth + texture).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    return pictures


def embed_pictures(network: AnyNetwork, pictures: Iterable[bytes | memoryview]) -> Embeddings:
    """Embed encoded pictures as files are embedded, decoding included: (n, d) float32."""
    return network.embed(pixels_of(network.backbone, pictures))


def pixels_of(backbone: Backbone, pictures: Iterable[bytes | memoryview]) -> list[Pixels]:
    """Decode encoded pictures to the input of a network."""
    preprocessing = backbone.preprocessing
    return [to_pixels(decode(picture, preprocessing.scaled), preprocessing) for picture in pictures]


def check_pictures(pictures: Sequence[bytes | memoryview]) -> None:
    """Check, before any is decoded, that a model's golden pictures are few and small.

    Raises ValueError, and UnreadableItem for bytes that are not a picture."""
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise ValueError(f"golden pictures must be 1 to {MOST_PICTURES}, got {len(pictures):,}")
    for picture in pictures:
        width, height = picture_size(picture)
        if width * height > MOST_PIXELS:
            raise ValueError(f"golden pictures must have at most {MOST_PIXELS:,} pixels, got {width} x {height}")


def largest_error(got: Embeddings, expected: Embeddings) -> float:
    """Return the largest relative L2 error over rows of (n, d) embeddings."""
    lengths = np.maximum(np.linalg.norm(expected, axis=1), np.finfo(np.float32).tiny)  # a network may give zeros
    return float((np.linalg.norm(got - expected, axis=1) / lengths).max())

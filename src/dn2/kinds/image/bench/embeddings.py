"""The embeddings of all pictures of a bench, computed once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dn2.arrays import Array, Flags, Vectors
from dn2.bench.context import ProgressFactory
from dn2.errors import InputError
from dn2.inputs.items import Item
from dn2.kinds.image.apart import embed_sources
from dn2.kinds.image.bench.data import ClassFolders
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.networks import pixels as images
from dn2.results.rows import Row
from dn2.system.processes import cpu_count

PIXELS_SIDE = 32


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a data set by one backbone.

    Parameters
    ----------
    vectors : ndarray of shape (n, d), float32
        Of the readable pictures, before any normalisation.
    readable : ndarray of shape (n_pictures,), bool
    unreadable : list of Row
        The unreadable pictures, with their errors.
    seconds : float
        Wall time of embedding.
    n_computed : int
        Pictures that were not in the cache."""

    vectors: Vectors
    readable: Flags
    unreadable: list[Row]
    seconds: float
    n_computed: int

    def describe(self, backbone: str, normalization: str) -> str:
        """Say in one sentence what the embeddings are and what they cost."""
        n = len(self.vectors)
        return (
            f"{backbone}: {n:,} embeddings of {self.vectors.shape[1]:,} features, normalisation {normalization}, "
            f"{self.seconds:.1f} s, {n - self.n_computed:,} of them from the cache."
        )


def embed(data: ClassFolders, embedder: PlainImageEmbedder, progress_of: ProgressFactory) -> Embeddings:
    """Embed all pictures.  Raises BackboneError, and InputError unless at least one can be read."""
    start = time.perf_counter()
    vectors = np.zeros((len(data.items), embedder.dimension), np.float32)
    readable = np.zeros(len(data.items), bool)
    unreadable: list[Row] = []
    n_computed = 0
    with progress_of(f"embedding by {embedder.backbone}") as show:
        for place, embedded in enumerate(embed_sources(embedder, (item.path for item in data.items))):
            if embedded.vector is None:
                unreadable.append(Row(data.items[place].name, error=embedded.error))
            else:
                vectors[place], readable[place] = embedded.vector, True
                n_computed += bool(embedded.new)
            show(place + 1, len(data.items))
    if not readable.any():
        raise InputError(
            f"none of the {len(unreadable)} pictures in {data.folder} can be read; {unreadable[0].item!r}: "
            f"{unreadable[0].error}"
        )
    return Embeddings(vectors[readable], readable, unreadable, time.perf_counter() - start, n_computed)


def read_pixels(items: Sequence[Item], progress_of: ProgressFactory) -> Array:
    """Read pictures as raw pixels, scaled to 32 x 32 RGB: (n, 3072) uint8."""
    preprocessing = images.Preprocessing(PIXELS_SIDE, PIXELS_SIDE)
    pixels = np.empty((len(items), 3 * PIXELS_SIDE**2), np.uint8)

    def read(path: Path) -> Array:
        return images.read_pixels(path, preprocessing).reshape(-1)

    with ThreadPoolExecutor(cpu_count()) as pool, progress_of("reading pixels") as show:
        for place, values in enumerate(pool.map(read, (item.path for item in items))):
            pixels[place] = values
            show(place + 1, len(items))
    return pixels

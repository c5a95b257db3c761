"""The embeddings of all pictures of a bench, computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2.bench.data import ClassFolders, Flags
from dn2.embed import images
from dn2.embed.embedder import ImageEmbedder
from dn2.embed.network import cpu_count
from dn2.embedding import Progress, Vectors
from dn2.errors import InputError
from dn2.store.cache import Cache
from dn2.store.rows import Row

# Shows how far a phase of the work is: called with its name, gives a function to call with (done, total).
Watch = Callable[[str], AbstractContextManager[Progress]]

PIXELS_SIDE = 32


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a data set by one backbone.

    vectors : (n, d) float32 of the pictures that can be read, not normalised; normalization : what is to be used.
    readable : (n_pictures,) bool; unreadable : rows with the errors.
    seconds : wall time of embedding; n_computed : pictures that were not in the cache."""

    backbone: str
    vectors: Vectors
    normalization: str
    readable: Flags
    unreadable: list[Row]
    seconds: float
    n_computed: int

    def describe(self) -> str:
        """Say in one sentence what the embeddings are and what they cost."""
        n = len(self.vectors)
        return (
            f"{self.backbone}: {n:,} embeddings of {self.vectors.shape[1]:,} features, normalisation "
            f"{self.normalization}, {self.seconds:.1f} s, {n - self.n_computed:,} of them from the cache"
        )


def embed(
    data: ClassFolders, backbone: str, normalize: str | None, precision: str, cache: Cache | None, watch: Watch
) -> Embeddings:
    """Embed all pictures; normalize : None for what measures best with the backbone.

    Raises BackboneError, InputError if none can be read."""
    start = time.perf_counter()
    embedder = ImageEmbedder(backbone, precision=precision, cache=cache)
    method = normalize or embedder.normalize
    vectors = np.zeros((len(data.items), embedder.dimension), np.float32)
    readable = np.zeros(len(data.items), bool)
    unreadable: list[Row] = []
    n_computed = 0
    with watch(f"embedding by {backbone}") as show:
        for place, one in enumerate(embedder.embed(item.path for item in data.items)):
            if one.vector is None:
                unreadable.append(Row(data.items[place].name, error=one.error))
            else:
                vectors[place], readable[place] = one.vector, True
                n_computed += bool(one.new)
            show(place + 1, len(data.items))
    if not readable.any():
        raise InputError(
            f"none of the {len(unreadable)} pictures in {data.folder} can be read; {unreadable[0].item!r}: "
            f"{unreadable[0].error}"
        )
    seconds = time.perf_counter() - start
    return Embeddings(backbone, vectors[readable], method, readable, unreadable, seconds, n_computed)


def read_pixels(paths: Sequence[Path], watch: Watch) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Read pictures as raw pixels, scaled to 32 x 32 RGB: (n, 3072) uint8."""
    preprocessing = images.Preprocessing(PIXELS_SIDE, PIXELS_SIDE)
    pixels = np.empty((len(paths), 3 * PIXELS_SIDE**2), np.uint8)

    def read(path: Path) -> np.ndarray[Any, Any]:
        return images.read_pixels(path, preprocessing).reshape(-1)

    with ThreadPoolExecutor(cpu_count()) as pool, watch("reading pixels") as show:
        for place, values in enumerate(pool.map(read, paths)):
            pixels[place] = values
            show(place + 1, len(paths))
    return pixels

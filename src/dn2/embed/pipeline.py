"""Files to embeddings: reading in threads, the network beside them, the cache before both."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from dn2.embed.images import THUMBNAIL_SIZE, Pixels, decode, read_bytes, to_pixels, to_thumbnail
from dn2.embed.network import Network, Vector, cpu_count
from dn2.errors import UnreadableItem

# Pictures in memory at a time, and embeddings not yet in the cache: what a killed run may lose.
WINDOW = 128
# Fewer if the network's input is so large that a window of it would take more than this.
WINDOW_BYTES = 1 << 28

T = TypeVar("T")
R = TypeVar("R")


class Cache(Protocol):
    """What the pipeline asks of a cache: bytes by key, from many threads."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value kept under a key, or None."""

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep these values."""


@dataclass
class Embedded:
    """One file's way through the pipeline.

    digest : SHA-256 of the file's bytes, hexadecimal; vector : (d,) float32, or None with `error` set.
    pixels : the network's input while it waits; new : what the cache does not hold yet."""

    path: Path
    digest: str = ""
    vector: Vector | None = None
    thumbnail: bytes | None = None
    error: str | None = None
    pixels: Pixels | None = None
    new: dict[bytes, bytes] = field(default_factory=dict)


class ImagePipeline:
    """Embeds files with one network; asks the cache before it decodes, fills it after every window.

    thumbnails : also make the small picture of each file."""

    def __init__(self, network: Network, cache: Cache | None = None, *, thumbnails: bool = False) -> None:
        self.network = network
        self.cache = cache
        self.thumbnails = thumbnails
        backbone = network.backbone
        pixels = 3 * backbone.preprocessing.height * backbone.preprocessing.width
        self._window = min(WINDOW, max(cpu_count(), WINDOW_BYTES // pixels))
        self._recipe = json.dumps([backbone.digest, backbone.preprocessing.as_dict(), network.precision])

    def embed(self, paths: Iterable[Path]) -> Iterator[Embedded]:
        """Embed files in order; those that cannot be read come with `error` instead of a vector."""
        with ThreadPoolExecutor(cpu_count(), "dn2-read") as pool:
            try:
                loaded = _map_ahead(pool, self._load, paths, self._window)
                while window := [self._start(item) for item in islice(loaded, self._window)]:
                    self.network.wait()
                    self._remember(window)
                    yield from window
            finally:
                pool.shutdown(cancel_futures=True)
                self.network.wait()  # what is under way must not outlive an interrupted run

    def _load(self, path: Path) -> Embedded:
        item = Embedded(path)
        try:
            data = read_bytes(path)
            item.digest = hashlib.sha256(data).hexdigest()
            stored = self._recall(self._vector_key(item.digest))
            item.vector = None if stored is None else np.frombuffer(stored, np.float32)
            item.thumbnail = self._recall(self._thumbnail_key(item.digest)) if self.thumbnails else None
            if item.vector is None or (self.thumbnails and item.thumbnail is None):
                self._decode(item, data)
        except UnreadableItem as error:
            item.error = str(error)
        return item

    def _decode(self, item: Embedded, data: bytes) -> None:
        preprocessing = self.network.backbone.preprocessing
        image = decode(data, (preprocessing.width, preprocessing.height))
        if item.vector is None:
            item.pixels = to_pixels(image, preprocessing)
        if self.thumbnails and item.thumbnail is None:
            item.thumbnail = to_thumbnail(image)
            item.new[self._thumbnail_key(item.digest)] = item.thumbnail

    def _start(self, item: Embedded) -> Embedded:
        if item.pixels is not None:
            self.network.start(item.pixels, partial(self._receive, item))
            item.pixels = None
        return item

    def _receive(self, item: Embedded, vector: Vector) -> None:
        item.vector = vector
        item.new[self._vector_key(item.digest)] = vector.tobytes()

    def _recall(self, key: bytes) -> bytes | None:
        return self.cache.get(key) if self.cache is not None else None

    def _remember(self, window: list[Embedded]) -> None:
        if self.cache is not None:
            self.cache.put({key: value for item in window for key, value in item.new.items()})

    def _vector_key(self, digest: str) -> bytes:
        return hashlib.sha256(f"{digest} {self._recipe}".encode()).digest()

    def _thumbnail_key(self, digest: str) -> bytes:
        return hashlib.sha256(f"{digest} thumbnail {THUMBNAIL_SIZE}".encode()).digest()


def _map_ahead(pool: ThreadPoolExecutor, work: Callable[[T], R], things: Iterable[T], ahead: int) -> Iterator[R]:
    """Map in threads, in order, with at most `ahead` results waiting."""
    waiting: deque[Future[R]] = deque()
    for thing in things:
        waiting.append(pool.submit(work, thing))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()

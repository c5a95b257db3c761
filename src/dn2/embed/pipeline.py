"""Files to embeddings: reading in threads, the network beside them, the cache before both."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from dn2.embed.decoding import decoded, file_bytes
from dn2.embed.images import THUMBNAIL_SIZE, Pixels, to_pixels, to_thumbnail
from dn2.embed.network import AnyNetwork, Vector, cpu_count
from dn2.errors import UnreadableItem

# Pictures in memory at a time, and embeddings not yet in the cache: what a killed run may lose.
WINDOW = 128
# Fewer if the network's input is so large that a window of it would take more than this.
WINDOW_BYTES = 1 << 28

JPEG = b"\xff\xd8"

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
    parts : what each network gives; pixels : their inputs while they wait; new : what the cache does not hold yet.
    members : of a group, what became of each file; its vector is pooled of theirs."""

    path: Path
    digest: str = ""
    vector: Vector | None = None
    thumbnail: bytes | None = None
    error: str | None = None
    parts: list[Vector | None] = field(default_factory=list)
    pixels: dict[int, Pixels] = field(default_factory=dict)
    new: dict[bytes, bytes] = field(default_factory=dict)
    members: list[Embedded] = field(default_factory=list)


class ImagePipeline:
    """Embeds files with one network or several; asks the cache before it decodes, fills it after every window.

    join : makes an embedding of what the networks give for a file, by default one after the other.
    thumbnails : also make its small picture."""

    def __init__(
        self,
        networks: Sequence[AnyNetwork],
        cache: Cache | None = None,
        *,
        join: Callable[[Sequence[Vector]], Vector] = np.concatenate,
        thumbnails: bool = False,
    ) -> None:
        self._networks = networks
        self._join = join
        self._cache = cache
        self._thumbnails = thumbnails
        backbones = [network.backbone for network in networks]
        pixels = sum(3 * one.preprocessing.height * one.preprocessing.width for one in backbones)
        self._window = min(WINDOW, max(cpu_count(), WINDOW_BYTES // pixels))
        self._recipes = [
            json.dumps([one.digest, one.preprocessing.as_dict(), network.precision])
            for one, network in zip(backbones, networks, strict=True)
        ]

    def embed(self, paths: Iterable[Path]) -> Iterator[Embedded]:
        """Embed files in order; those that cannot be read come with `error` instead of a vector."""
        with ThreadPoolExecutor(cpu_count(), "dn2-read") as pool:
            try:
                loaded = _map_ahead(pool, self._load, paths, self._window)
                while window := [self._start(item) for item in islice(loaded, self._window)]:
                    self._wait()
                    self._remember(window)
                    yield from map(self._joined, window)
            finally:
                pool.shutdown(cancel_futures=True)
                self._wait()  # what is under way must not outlive an interrupted run

    def _load(self, path: Path) -> Embedded:
        item = Embedded(path)
        try:
            with file_bytes(path) as data:
                item.digest = hashlib.sha256(data).hexdigest()
                stored = [self._recall(self._vector_key(item.digest, recipe)) for recipe in self._recipes]
                item.parts = [None if one is None else np.frombuffer(one, np.float32) for one in stored]
                item.thumbnail = self._recall(self._thumbnail_key(item.digest)) if self._thumbnails else None
                self._decode(item, data)
        except UnreadableItem as error:
            item.error, item.pixels = str(error), {}
        return item

    def _decode(self, item: Embedded, data: bytes) -> None:
        """Decode for each network as it would be decoded for that one alone; only a JPEG depends on the size."""
        places: dict[tuple[int, int] | None, list[int]] = {}
        for place, network in enumerate(self._networks):
            if item.parts[place] is None or (place == 0 and self._thumbnails and item.thumbnail is None):
                size = network.backbone.preprocessing.scaled if data.startswith(JPEG) else None
                places.setdefault(size, []).append(place)
        for size, of_size in places.items():
            self._prepare(item, data, size, of_size)

    def _prepare(self, item: Embedded, data: bytes, size: tuple[int, int] | None, places: Sequence[int]) -> None:
        """Make the inputs of the networks at some places, and with the first its thumbnail, of one decoded picture."""
        with decoded(data, size) as image:
            for place in places:
                if item.parts[place] is None:
                    item.pixels[place] = to_pixels(image, self._networks[place].backbone.preprocessing)
            if 0 in places and self._thumbnails and item.thumbnail is None:
                item.thumbnail = to_thumbnail(image)
                item.new[self._thumbnail_key(item.digest)] = item.thumbnail

    def _start(self, item: Embedded) -> Embedded:
        for place, pixels in item.pixels.items():
            self._networks[place].start(pixels, partial(self._receive, item, place))
        item.pixels = {}
        return item

    def _receive(self, item: Embedded, place: int, vector: Vector) -> None:
        item.parts[place] = vector
        item.new[self._vector_key(item.digest, self._recipes[place])] = vector.tobytes()

    def _wait(self) -> None:
        for network in self._networks:
            network.wait()

    def _joined(self, item: Embedded) -> Embedded:
        parts = [part for part in item.parts if part is not None]
        if item.error is None:
            item.vector = self._join(parts)
        return item

    def _recall(self, key: bytes) -> bytes | None:
        return self._cache.get(key) if self._cache is not None else None

    def _remember(self, window: list[Embedded]) -> None:
        if self._cache is not None:
            self._cache.put({key: value for item in window for key, value in item.new.items()})

    @staticmethod
    def _vector_key(digest: str, recipe: str) -> bytes:
        return hashlib.sha256(f"{digest} {recipe}".encode()).digest()

    @staticmethod
    def _thumbnail_key(digest: str) -> bytes:
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

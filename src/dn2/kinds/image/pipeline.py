"""Pictures to embeddings: reading in threads, the network beside them, the cache before both."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from dn2.arrays import Pixels, Vector
from dn2.errors import UnreadableItem
from dn2.networks.backbone import AnyNetwork
from dn2.networks.decoding import UPRIGHT_SIZE, upright_size
from dn2.networks.looking import check_shape
from dn2.networks.maps import AnyMapNetwork
from dn2.networks.opaque import NOTHING_SEEN, SEEN, Seen
from dn2.networks.pixels import READING_VERSION, THUMBNAIL_SIZE, Preprocessing, to_pixels, to_thumbnail
from dn2.networks.sources import (
    PLAIN_VIEW,
    EncodedPicture,
    PixelPicture,
    Source,
    View,
    Viewed,
    is_picture,
    open_picture,
)
from dn2.store.partitions import Keeper
from dn2.store.sealed import key_of
from dn2.system.processes import cpu_count, give_memory_back
from dn2.system.stores import READ_AT_ONCE, StoredPath

# Pictures in memory at a time; a killed run may lose their embeddings, which are not in the cache yet.
WINDOW = 128
# Fewer if what they become in memory would take more than this; a large picture keeps all processors busy by itself.
WINDOW_BYTES = 1 << 26
LEAST_AHEAD = 2  # pictures that are decoded while others are embedded, at least
# What a picture became in a network is kept in the cache if it has no more bytes.
LARGEST_KEPT = 1 << 22
LARGE_BYTES = 1 << 22  # of inputs or maps: beyond that memory counts for more than the millisecond to free it
SIZE = struct.Struct("<II")


@dataclass
class EmbeddedPicture:
    """One picture's way through the pipeline.

    digest : SHA-256 of the encoded bytes, or of shape and pixels, hexadecimal.
    vector : (d,) float32, or None with `error` set.
    parts : what it became in each network, a vector or maps; pixels : the networks' waiting inputs; new : entries to
        add to the cache.  size : (width, height) of a picture whose maps are wanted.
    view : how it is looked at, beside what is said of all.
    members : of a group, each picture; their vectors are pooled to that of the group.
    seen : what was noticed when it was decoded; is_strict : whether its decoder refused what is damaged."""

    digest: str = ""
    vector: Vector | None = None
    thumbnail: bytes | None = None
    error: str | None = None
    parts: list[Any] = field(default_factory=list)
    pixels: dict[int, Pixels] = field(default_factory=dict)
    new: dict[bytes, bytes] = field(default_factory=dict)
    members: list[EmbeddedPicture] = field(default_factory=list)
    seen: Seen = NOTHING_SEEN
    size: tuple[int, int] | None = None
    view: View = PLAIN_VIEW
    is_strict: bool = True

    @property
    def nbytes(self) -> int:
        """Bytes of what it becomes in the networks, and of their inputs."""
        return sum(bytes_of(part) for part in (*self.parts, *self.pixels.values()) if part is not None)

    @property
    def made(self) -> EmbeddedPicture:
        """The picture for another process: without the vectors that its own was joined of, but with maps."""
        is_mapped = any(isinstance(part, tuple) for part in self.parts)
        return replace(self, parts=self.parts if is_mapped else [], pixels={})


class ImagePipeline:
    """Embeds pictures with one network or several; asks the cache before it decodes, fills it after every window.

    join : makes the embedding of a picture from the vectors of the networks, by default by concatenation, or from the
        maps of networks that give maps.
    thumbnails : also make small pictures; thumbnails_of_memory : at least of pictures in memory.
    white : see `dn2.networks.decoding.open_decoded`."""

    def __init__(
        self,
        networks: Sequence[AnyNetwork],
        cache: Keeper | None = None,
        *,
        join: Callable[[Sequence[Any]], Vector] = np.concatenate,
        thumbnails: bool = False,
        thumbnails_of_memory: bool = False,
        white: int | None = None,
    ) -> None:
        self._white = white
        self._said = [] if white is None else [f"white {white}"]  # part of every key
        self._networks = networks
        self._join = join
        self._cache = cache
        self._thumbnails = thumbnails
        self._thumbnails_of_memory = thumbnails_of_memory
        self._is_sized = any(isinstance(network, AnyMapNetwork) for network in networks)
        self._recipes = [self._recipe(network) for network in networks]

    def embed(self, sources: Iterable[Source]) -> Generator[EmbeddedPicture, None, None]:
        """Embed pictures in order; an unreadable picture has `error` instead of a vector."""
        given = iter(sources)
        first = list(islice(given, 1))
        readers, given = _count_readers(first), chain(first, given)
        del first  # nothing that was given is held
        with ThreadPoolExecutor(readers, "dn2-read") as pool:
            try:
                loaded = self._load_ahead(pool, given)
                while window := self._start_some(loaded):
                    self._wait()
                    self._remember(window)
                    if max(item.nbytes for item in window) > LARGE_BYTES:
                        give_memory_back()  # of what networks and their inputs left free
                    while window:  # which holds nothing that was given
                        yield self._join_parts(window.popleft())
            finally:
                pool.shutdown(cancel_futures=True)
                self._wait()  # running requests must not outlive an interrupted run

    def recall(self, digest: str, view: View = PLAIN_VIEW) -> EmbeddedPicture | None:
        """Return a picture that was embedded before, by its digest, from the cache alone; None for any other.

        view : how it is looked at."""
        item = EmbeddedPicture(digest, size=self._recall_size(digest), view=view)
        item.parts = [self._recall_part(item, place) for place in range(len(self._networks))]
        return None if any(part is None for part in item.parts) else self._join_parts(item)

    def _load_ahead(self, pool: ThreadPoolExecutor, sources: Iterable[Source]) -> Iterator[EmbeddedPicture]:
        """Load in threads, in order, as many ahead as a window holds of pictures like the last."""
        waiting: deque[Future[EmbeddedPicture]] = deque()
        ahead = min(WINDOW, max(LEAST_AHEAD, cpu_count()))
        for source in sources:
            waiting.append(pool.submit(self._load, source))
            while len(waiting) >= ahead:
                item = waiting.popleft().result()
                if size := item.nbytes:
                    ahead = min(WINDOW, max(LEAST_AHEAD, WINDOW_BYTES // size))
                yield item
        while waiting:
            yield waiting.popleft().result()

    def _start_some(self, loaded: Iterator[EmbeddedPicture]) -> deque[EmbeddedPicture]:
        """Start on as many pictures as a window holds."""
        window: deque[EmbeddedPicture] = deque()
        size = 0
        while len(window) < WINDOW and size < WINDOW_BYTES and (item := next(loaded, None)) is not None:
            size += item.nbytes
            window.append(self._start(item))
        return window

    def _load(self, source: Source) -> EmbeddedPicture:
        item = EmbeddedPicture()
        plain = _plain(source)
        small = self._thumbnails or (self._thumbnails_of_memory and is_picture(plain))
        try:
            with open_picture(source, self._white) as picture:
                item.digest, item.view = picture.digest, picture.view
                item.size = self._recall_size(item.digest)
                item.parts = [self._recall_part(item, place) for place in range(len(self._networks))]
                item.thumbnail = self._recall(self._thumbnail_key(item.digest)) if small else None
                item.seen = self._recall_seen(item.digest)
                self._decode(item, picture, small and item.thumbnail is None)
        except UnreadableItem as error:
            item.error, item.pixels = str(error), {}
        if item.nbytes > LARGE_BYTES:
            give_memory_back()  # of the decoded picture, which took more than the inputs
        return item

    def _decode(self, item: EmbeddedPicture, picture: EncodedPicture | PixelPicture, small: bool) -> None:
        """Decode for each network as if it were the only one; only the decoding of a JPEG depends on the size.

        small : whether to make a thumbnail, together with the input of the first network."""
        places: dict[tuple[int, int] | None, list[int]] = {}
        for place, network in enumerate(self._networks):
            if item.parts[place] is None or (place == 0 and small):
                size = network.backbone.preprocessing.scaled if picture.scales else None
                places.setdefault(size, []).append(place)
        for size, places_of_size in places.items():
            with picture.decoded(size) as image:
                if item.view.region is not None:
                    check_shape(item.view.region, image)
                self._notice(item, image)
                for place in places_of_size:
                    if item.parts[place] is None:
                        item.pixels[place] = to_pixels(image, looking(self._networks[place], item.view))
                if 0 in places_of_size and small:
                    item.thumbnail = to_thumbnail(image)
                    item.new[self._thumbnail_key(item.digest)] = item.thumbnail

    def _notice(self, item: EmbeddedPicture, image: Image.Image) -> None:
        """Keep what was noticed when a picture was decoded, if it is anything."""
        item.seen = image.info.get(SEEN, NOTHING_SEEN)
        if self._is_sized:
            item.size = upright_size(image)
            item.new[self._size_key(item.digest)] = SIZE.pack(*item.size)
        item.is_strict = item.is_strict and not ImageFile.LOAD_TRUNCATED_IMAGES  # which other programs may set
        if item.seen != NOTHING_SEEN:
            item.new[self._seen_key(item.digest)] = json.dumps(astuple(item.seen)).encode()

    def _recall_part(self, item: EmbeddedPicture, place: int) -> Any:
        stored = self._recall(self._part_key(item, place))
        if stored is None or (self._is_sized and item.size is None):
            return None
        return self._networks[place].unpack(stored)

    def _recall_size(self, digest: str) -> tuple[int, int] | None:
        kept = self._recall(self._size_key(digest)) if self._is_sized else None
        return None if kept is None else SIZE.unpack(kept)

    def _recall_seen(self, digest: str) -> Seen:
        kept = self._recall(self._seen_key(digest))
        return NOTHING_SEEN if kept is None else Seen(*json.loads(kept))

    def _start(self, item: EmbeddedPicture) -> EmbeddedPicture:
        for place, pixels in item.pixels.items():
            self._networks[place].start(pixels, partial(self._receive, item, place))
        item.pixels = {}
        return item

    def _receive(self, item: EmbeddedPicture, place: int, part: Any) -> None:
        item.parts[place] = part
        if bytes_of(part) <= LARGEST_KEPT:
            item.new[self._part_key(item, place)] = self._networks[place].pack(part)

    def _wait(self) -> None:
        for network in self._networks:
            network.wait()

    def _join_parts(self, item: EmbeddedPicture) -> EmbeddedPicture:
        parts = [part for part in item.parts if part is not None]
        if item.error is None:
            item.vector = self._join(parts)
        return item

    def _recall(self, key: bytes) -> bytes | None:
        return self._cache.get(key) if self._cache is not None else None

    def _remember(self, window: Iterable[EmbeddedPicture]) -> None:
        if self._cache is not None:
            self._cache.put({key: value for item in window if item.is_strict for key, value in item.new.items()})

    def _recipe(self, network: AnyNetwork, view: View = PLAIN_VIEW) -> str:
        seen = looking(network, view)
        return json.dumps([network.backbone.digest, seen.as_dict(), network.precision, *self._said])

    def _part_key(self, item: EmbeddedPicture, place: int) -> bytes:
        own = None if item.view == PLAIN_VIEW else self._recipe(self._networks[place], item.view)
        return key_of(item.digest, own or self._recipes[place])

    def _thumbnail_key(self, digest: str) -> bytes:
        return key_of(digest, " ".join(["thumbnail", str(THUMBNAIL_SIZE), str(READING_VERSION), *self._said]))

    def _size_key(self, digest: str) -> bytes:
        return key_of(digest, " ".join([UPRIGHT_SIZE, str(READING_VERSION)]))

    def _seen_key(self, digest: str) -> bytes:
        return key_of(digest, " ".join([SEEN, str(READING_VERSION), *self._said]))


def _plain(source: Source) -> Any:
    return source.picture if isinstance(source, Viewed) else source


def _count_readers(first: Sequence[Source]) -> int:
    """Return how many threads read: one a processor, and more from a store; first : of the sources, if there is one."""
    is_stored = any(isinstance(_plain(source), StoredPath) for source in first)
    return max(READ_AT_ONCE, cpu_count()) if is_stored else cpu_count()


def bytes_of(part: Any) -> int:
    """Return the bytes of what a picture became in a network, a vector or maps, or of its pixels."""
    return sum(one.nbytes for one in (part if isinstance(part, tuple) else (part,)))


def embed_one(networks: Sequence[AnyNetwork], source: Source, white: int | None = None) -> EmbeddedPicture:
    """Embed one picture, computed in the calling thread and kept nowhere: its parts, and its size.

    white : see `dn2.networks.decoding.open_decoded`.  Raises UnreadableItem."""
    item, inputs = EmbeddedPicture(), []
    with open_picture(source, white) as picture:
        item.view = picture.view
        for preprocessing in [looking(network, picture.view) for network in networks]:
            with picture.decoded(preprocessing.scaled) as image:
                if item.view.region is not None:
                    check_shape(item.view.region, image)
                item.size = upright_size(image)
                inputs.append(to_pixels(image, preprocessing))
    item.parts = [network.embed([pixels])[0] for network, pixels in zip(networks, inputs, strict=True)]
    return item


def looking(network: AnyNetwork, view: View) -> Preprocessing:
    """Return how a picture becomes the input of a network; view : how it is looked at, beside what is said of all."""
    preprocessing = network.backbone.preprocessing
    if view == PLAIN_VIEW:
        return preprocessing
    return replace(preprocessing, region=view.region or preprocessing.region, turned=view.turned)

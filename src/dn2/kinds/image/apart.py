"""Pictures embedded by the workers of a cluster, part by part, and what these keep for each other."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.networks.sources import Source, Viewed
from dn2.system.workers import each, workers

LEAST_PICTURES = 96  # of a part; at most twice as many

Cut = TypeVar("Cut")


def embed_sources(
    embedder: PlainImageEmbedder, sources: Iterable[Source], **thumbnails: bool
) -> Iterator[EmbeddedPicture]:
    """Embed pictures in order, as `PlainImageEmbedder.embed` does, here or by the workers of a cluster; what these make
    is kept in the cache of this machine, too."""
    if workers() is None:
        yield from embedder.embed(sources, **thumbnails)
        return
    cache, parts = embedder.opened_cache, cut(list(sources), name_of_source)
    for embedded in each(_embed_part, (embedder.fresh_copy(), thumbnails), parts):
        if cache is not None:
            cache.put({key: value for picture in embedded for key, value in picture.new.items()})
        yield from embedded


def _embed_part(shared: tuple[PlainImageEmbedder, dict[str, bool]], sources: Sequence[Source]) -> list[EmbeddedPicture]:
    embedder, thumbnails = shared
    with embedder.in_partition(map(name_of_source, sources)) as sharing:
        return [embedded.made for embedded in sharing.embed(sources, **thumbnails)]


def cut(items: Sequence[Cut], name: Callable[[Cut], str]) -> Iterator[Sequence[Cut]]:
    """Cut items into parts of `LEAST_PICTURES` to twice as many, behind items that their names tell: one item more or
    less moves the borders near it alone."""
    start = 0
    for stop, item in enumerate(items, 1):
        size, drawn = stop - start, zlib.crc32(name(item).encode("utf-8", "surrogatepass"))
        if size >= 2 * LEAST_PICTURES or (size >= LEAST_PICTURES and drawn % LEAST_PICTURES == 0):
            yield items[start:stop]
            start = stop
    if start < len(items):
        yield items[start:]


def name_of_source(source: Source) -> str:
    """Return what a source of a picture is called; one from memory has no name."""
    plain = source.picture if isinstance(source, Viewed) else source
    return os.fspath(plain) if isinstance(plain, (str, os.PathLike)) else ""

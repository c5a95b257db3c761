"""Reference pictures, read once more: their maps, and their pixels."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dn2.arrays import Pixels, Positions
from dn2.errors import UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.image.options import check_white
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.neighbors.patches.detector import PictureMaps
from dn2.neighbors.patches.joining import Map
from dn2.networks.looking import without_outside
from dn2.networks.sources import Source, View, Viewed, open_picture
from dn2.store.cache import Cache
from dn2.store.packed import PackedBytes

OVERSAMPLED = 2  # times as many pixels a side as a network sees, in which defects are drawn

SIZES_SEEN = 25  # pictures whose size is looked at


@dataclass(frozen=True)
class Pictures:
    """The pictures of a reference set.

    items : the set; fresh : the last of them as they were found just now, which may lie in memory.
    masks : the region of each that has one of its own, else empty."""

    embedder: PatchEmbedder
    items: Sequence[ReferenceItem]
    fresh: Sequence[Item] = ()
    masks: PackedBytes = PackedBytes.of([])  # noqa: RUF009  nothing changes it

    def maps(self, positions: Positions, rotations: int = 1) -> Iterator[PictureMaps | None]:
        """Give the maps of the pictures at some positions, in that order; None of one that cannot be had any more,
        or of whose region nothing is left.

        rotations : how many there are of each, one after the other, of the picture turned by as many even steps."""
        first = len(self.items) - len(self.fresh)
        turns = [360 * step / rotations for step in range(rotations)]
        views = [(position, turned) for position in positions.tolist() for turned in turns]
        embedded: Iterable[EmbeddedPicture | None] = (self._again(*view) for view in views)
        if (positions >= first).all():
            embedded = self.embedder.embed(self._fresh(*view) for view in views)
        for picture in embedded:
            maps = None if picture is None or picture.error is not None else self.embedder.maps_of(picture)
            yield None if maps is None or (maps.region is not None and not maps.region.any()) else maps

    def region(self, position: int) -> Map | None:
        """Return where a picture is looked at; None for all of it."""
        return self.embedder.looked_at(self._mask(position))

    def viewed(self, picture: Any, position: int, turned: float = 0.0) -> Source:
        """Return a picture as it is looked at in place of the one at a position."""
        mask = self._mask(position)
        if mask is None and not turned:
            return picture  # type: ignore[no-any-return]
        return Viewed(picture, None if mask is None else partial(bytes, mask), turned)

    def _mask(self, position: int) -> bytes | None:
        return bytes(self.masks[position]) if len(self.masks) else None

    def _again(self, position: int, turned: float) -> EmbeddedPicture | None:
        """Find a picture in the cache, or in its file if that is what it was."""
        item, source = self.items[position], self._source(position, turned)
        picture = self.embedder.recall(item.sha256, View(self._mask(position), turned)) if item.sha256 else None
        if picture is None and source is not None:
            (picture,) = self.embedder.embed([source])
            same = position >= len(self.items) - len(self.fresh) or picture.digest == item.sha256
            picture = picture if same else None
        return picture

    def typical_side(self) -> int:
        """Return the side of a square with as many pixels as a typical one of the new pictures."""
        areas = []
        for item in self.fresh[:: -(-len(self.fresh) // SIZES_SEEN)]:
            with suppress(UnreadableItem), open_picture(item.source, check_white(self.embedder.white)) as picture:
                areas.append(math.prod(picture.size))
        return round(float(np.median(np.sqrt(areas)))) if areas else 0

    def pixels(self, position: int) -> Pixels | None:
        """Return the pixels of a picture, (height, width, 3), at no more than about twice the size that networks see;
        None of one that cannot be had any more.  What is not looked at is painted over."""
        source, region = self._source(position), self._mask(position) or self.embedder.region
        if source is None:
            return None
        seen = [network.backbone.preprocessing for network in self.embedder.networks]
        sides = [None if one.shape == "full" else OVERSAMPLED * max(one.width, one.height) for one in seen]
        try:
            with open_picture(source, check_white(self.embedder.white)) as picture, picture.decoded(None) as image:
                image = image if region is None else without_outside(image, region)
                if None not in sides:
                    scale = np.sqrt(max(side for side in sides if side) ** 2 / (image.width * image.height))
                    if scale < 1:
                        image = image.resize([max(1, round(side * scale)) for side in image.size])
                return np.asarray(image.convert("RGB"))
        except UnreadableItem:
            return None

    def _source(self, position: int, turned: float = 0.0) -> Source | None:
        if position >= len(self.items) - len(self.fresh):
            return self._fresh(position, turned)
        path = self.items[position].path
        return self.viewed(path, position, turned) if path else None

    def _fresh(self, position: int, turned: float = 0.0) -> Source:
        item = self.fresh[position - len(self.items)]
        return self.viewed(item.content if item.in_memory else item.path, position, turned)


@contextmanager
def cached(embedder: PatchEmbedder) -> Iterator[PatchEmbedder]:
    """Give the embedder with a cache, one that is gone afterwards where it has none: pictures are needed repeatedly."""
    if embedder.opened_cache is not None:
        yield embedder
        return
    with tempfile.TemporaryDirectory(prefix="dn2-maps-") as folder:
        cache = Cache(Path(folder) / "cache.sqlite", max_bytes=1 << 40)
        try:
            yield embedder.with_cache(cache)
        finally:
            cache.close()

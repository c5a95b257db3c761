"""Reference pictures, read once more: their maps, and their pixels."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dn2.arrays import Pixels, Positions
from dn2.errors import InputError, UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.image.options import check_white
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.neighbors.patches.detector import Levels
from dn2.neighbors.patches.joining import Map
from dn2.networks.pixels import HALF, REGION_SIDE, read_region, write_region
from dn2.networks.sources import Source, open_picture
from dn2.store.cache import Cache
from dn2.system.interface import option

OVERSAMPLED = 2  # times as many pixels a side as a network sees, in which defects are drawn

SIZES_SEEN = 25  # pictures whose size is looked at


@dataclass(frozen=True)
class Pictures:
    """The pictures of a reference set.

    items : the set; fresh : the last of them as they were found just now, which may lie in memory."""

    embedder: PatchEmbedder
    items: Sequence[ReferenceItem]
    fresh: Sequence[Item] = ()

    def maps(self, positions: Positions) -> Iterator[Levels | None]:
        """Give the maps of the pictures at some positions, in that order; None of one that cannot be had any more."""
        first = len(self.items) - len(self.fresh)
        if (positions >= first).all():
            sources = (self.fresh[position - first].source for position in positions.tolist())
            for picture in self.embedder.embed(sources):
                yield None if picture.error is not None else picture.parts
            return
        for position in positions.tolist():
            yield self._again(position)

    @property
    def region(self) -> Map | None:
        """Where pictures are looked at, place by place; None for all of them."""
        region = self.embedder.region
        return None if region is None else read_region(region, REGION_SIDE, REGION_SIDE).astype(np.float32)

    def _again(self, position: int) -> Levels | None:
        """Find the maps of a picture in the cache, or in its file if that is what it was."""
        item, source = self.items[position], self._source(position)
        picture = self.embedder.recall(item.sha256) if item.sha256 else None
        if picture is None and source is not None:
            (picture,) = self.embedder.embed([source])
            same = position >= len(self.items) - len(self.fresh) or picture.digest == item.sha256
            picture = picture if same and picture.error is None else None
        return None if picture is None else picture.parts

    def typical_side(self) -> int:
        """Return the side of a square with as many pixels as a typical one of the new pictures."""
        areas = []
        for item in self.fresh[:: -(-len(self.fresh) // SIZES_SEEN)]:
            with suppress(UnreadableItem), open_picture(item.source, check_white(self.embedder.white)) as picture:
                areas.append(math.prod(picture.size))
        return round(float(np.median(np.sqrt(areas)))) if areas else 0

    def pixels(self, position: int) -> Pixels | None:
        """Return the pixels of a picture, (height, width, 3), at no more than about twice the size that networks see;
        None of one that cannot be had any more."""
        source = self._source(position)
        if source is None:
            return None
        seen = [network.backbone.preprocessing for network in self.embedder.networks]
        sides = [None if one.shape == "full" else OVERSAMPLED * max(one.width, one.height) for one in seen]
        try:
            with open_picture(source, check_white(self.embedder.white)) as picture, picture.decoded(None) as image:
                if None not in sides:
                    scale = np.sqrt(max(side for side in sides if side) ** 2 / (image.width * image.height))
                    if scale < 1:
                        image = image.resize([max(1, round(side * scale)) for side in image.size])
                return np.asarray(image.convert("RGB"))
        except UnreadableItem:
            return None

    def _source(self, position: int) -> Source | None:
        first = len(self.items) - len(self.fresh)
        if position >= first:
            source: Source = self.fresh[position - first].source
            return source
        return self.items[position].path or None


def region_of(path: str) -> bytes:
    """Read a region of interest from a picture that is white where pictures are looked at.

    Raises InputError for a file that is no picture, and for one that is black all over."""
    try:
        with open_picture(path) as picture, picture.decoded(None) as image:
            region = write_region(image)
    except UnreadableItem as error:
        raise InputError(
            f"{option('mask', path)} must be a picture, white where pictures are looked at: {error}"
        ) from error
    if read_region(region, REGION_SIDE, REGION_SIDE).max() < HALF:
        raise InputError(f"{option('mask', path)} must be white where pictures are looked at, and nothing in it is")
    return region


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

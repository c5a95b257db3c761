"""Pictures to the embeddings of their patches."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from dn2.arrays import Vector
from dn2.extras import import_above
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.neighbors.patches.detector import PictureMaps
from dn2.neighbors.patches.joining import Map
from dn2.networks.backbone import Backbone
from dn2.networks.golden import pixels_of
from dn2.networks.looking import read_region, turned_region
from dn2.networks.maps import Maps
from dn2.networks.opening import open_map_network
from dn2.networks.registry import get_map_backbone
from dn2.store.cache import Cache
from dn2.system.processes import cached_property


class PatchEmbedder(PlainImageEmbedder):
    """Embeds the patches of pictures: `embed` gives each picture its maps as `parts`, and their means as its vector.

    resolution : pictures are scaled to have as many pixels as a square of this side; None leaves them at their size.
    even_light : every picture is brought to one mean brightness and one contrast.
    region : where pictures are looked at, see `dn2.networks.pixels.Preprocessing`; None for all of them."""

    def __init__(
        self,
        backbone: str = "lite0",
        *,
        resolution: int | None = 256,
        even_light: bool = True,
        region: bytes | None = None,
        precision: str = "auto",
        cache: Cache | bool | None = True,
        white: int | None = None,
    ) -> None:
        super().__init__(backbone, precision=precision, cache=cache, white=white)
        self.resolution = resolution
        self.even_light = even_light
        self.region = region

    @cached_property
    def networks(self) -> list[Any]:
        """The networks, compiled for this machine at first use.  Raises BackboneError."""
        return [open_map_network(spec, precision) for spec, precision in self._each()]

    def _backbone(self, name: str, held: Sequence[bytes] | None = None) -> Backbone:
        spec = get_map_backbone(name, self.resolution, held)
        seen = replace(spec.preprocessing, even_light=self.even_light, region=self.region)
        return replace(spec, preprocessing=seen)

    def looked_at(self, own: bytes | None = None) -> Map | None:
        """Return the region of a picture, 1 where it is looked at and 0 elsewhere; None for all of it.

        own : its own region, if it has one: see `dn2.networks.sources.View`."""
        region = own or self.region
        return None if region is None else np.asarray(read_region(region), np.float32)

    def maps_of(self, picture: EmbeddedPicture) -> PictureMaps:
        """Return the maps of a picture as they are compared."""
        turned, region = picture.view.turned, picture.view.region or self.region
        if not turned or (region is None and turned % 90 == 0):
            return PictureMaps(picture.parts, self.looked_at(region), turned)
        assert picture.size is not None
        return PictureMaps(picture.parts, np.asarray(turned_region(region, picture.size, turned), np.float32), turned)

    @property
    def dimensions(self) -> list[list[int]]:
        """The length of the patch embeddings of each map of each network."""
        return [network.dimensions for network in self.networks]

    @property
    def dimension(self) -> int:
        """The length of the vector of a picture."""
        return sum(sum(lengths) for lengths in self.dimensions)

    def join(self, parts: Sequence[Maps]) -> Vector:
        """Make the vector of a picture, (d,): the mean over all places of each map."""
        levels = [level for maps in parts for level in maps]
        return np.concatenate([level.mean(axis=(0, 1), dtype=np.float32) for level in levels])

    def embed_pictures(self, pictures: Iterable[bytes | memoryview]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed encoded pictures of one size just as files are embedded, to their coarsest maps: (n, d) float32."""
        encoded = list(pictures)
        coarsest = [
            [maps[-1].astype(np.float32).ravel() for maps in network.embed(pixels_of(network.backbone, encoded))]
            for network in self.networks
        ]
        return np.stack([np.concatenate(rows) for rows in zip(*coarsest, strict=True)])

    def as_transformer(self) -> Any:
        """See `Embedder`."""
        return import_above("dn2.kinds.image.patches.transformer").PatchTransformer.sharing(self)

    def as_dict(self) -> dict[str, Any]:
        """Return what determines the embeddings, as recorded in `model.json`."""
        region = None if self.region is None else base64.b64encode(self.region).decode()
        own = {"resolution": self.resolution, "even_light": self.even_light, "region": region}
        return super().as_dict() | own

    def fresh_copy(self) -> Self:
        """See `Embedder`."""
        cloned = super().fresh_copy()
        for name in ("resolution", "even_light", "region"):
            setattr(cloned, name, getattr(self, name))
        return cloned

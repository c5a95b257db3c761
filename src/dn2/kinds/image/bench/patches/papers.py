"""What PatchCore and PaDiM share: pictures squashed to a square, and maps at the pixels of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scipy.ndimage import gaussian_filter

from dn2.kinds.image.options import DEFAULT_RESOLUTION
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.neighbors.patches.joining import Map, resize
from dn2.networks.backbone import Backbone
from dn2.networks.pixels import Preprocessing

SMOOTHED = 4.0  # pixels of the input, the deviation of a Gaussian


class SquareEmbedder(PatchEmbedder):
    """Embeds the patches of pictures that are squashed to a square, whatever their shape.

    resolution : its side, rounded to what the network takes."""

    def _backbone(self, name: str, held: Sequence[bytes] | None = None) -> Backbone:
        backbone = super()._backbone(name, held)
        multiple = backbone.preprocessing.multiple
        side = max(1, round(backbone.preprocessing.width / multiple)) * multiple
        return replace(backbone, preprocessing=Preprocessing(side, side))

    @property
    def side(self) -> int:
        """The side of the square that the first network sees."""
        width: int = self.specs[0].preprocessing.width
        return width


def to_pixels(distances: Map, side: int = DEFAULT_RESOLUTION) -> Map:
    """Interpolate distances to the pixels of the square input, and smooth them."""
    smooth: Map = gaussian_filter(resize(distances, side, side), SMOOTHED)
    return smooth

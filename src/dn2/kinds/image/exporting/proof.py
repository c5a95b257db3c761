"""Whether exported files decide as dn2 does: tried on golden pictures and on reference pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Array, Pixels, Positions
from dn2.errors import BackboneError, InputError, UnreadableItem
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.options import check_white
from dn2.neighbors.patches.joining import Map
from dn2.networks.golden import make_pictures
from dn2.networks.pixels import Preprocessing, to_pixels
from dn2.networks.sources import Source, open_picture
from dn2.store.packed import PackedBytes

REFERENCE_PICTURES = 16  # that are tried, at most
ACCEPTED = 1e-3  # of a difference between maps, and of a relative one between scores

Run = Callable[[Mapping[str, Array]], dict[str, Array]]


class Expected(NamedTuple):
    """What dn2 makes of a picture; anomaly_map : None where pictures are compared as wholes."""

    score: float
    anomaly_map: Map | None = None


class Sample(NamedTuple):
    """A picture that is tried.

    inputs : of the exported network, by name; parts : what it becomes in each network; is_reference : whether it is a
    reference picture, or its thumbnail."""

    inputs: dict[str, Pixels]
    parts: Sequence[Any]
    is_reference: bool


@dataclass
class Proof:
    """What differs between two ways to decide about the same pictures.

    reference_pictures : how many of the pictures are of the reference set; largest_map_difference : None without maps;
    largest_score_difference : relative; decisions_equal : how many of all; within_rounding : how many of the others
    lie on the threshold, but for the rounding of their score."""

    pictures: int = 0
    reference_pictures: int = 0
    largest_map_difference: float | None = None
    largest_score_difference: float = 0.0
    decisions_equal: int = 0
    within_rounding: int = 0

    def add(self, sample: Sample, got: Expected, expected: Expected, threshold: float) -> None:
        """Compare one picture."""
        self.pictures += 1
        self.reference_pictures += sample.is_reference
        if got.anomaly_map is not None and expected.anomaly_map is not None:
            apart = float(np.abs(got.anomaly_map - expected.anomaly_map).max())
            self.largest_map_difference = max(apart, self.largest_map_difference or 0.0)
        scale = max(abs(expected.score), abs(threshold), float(np.finfo(np.float32).tiny))
        self.largest_score_difference = max(self.largest_score_difference, abs(got.score - expected.score) / scale)
        if (got.score > threshold) == (expected.score > threshold):
            self.decisions_equal += 1
        elif abs(expected.score - threshold) <= ACCEPTED * scale:
            self.within_rounding += 1

    def check(self, name: str) -> None:
        """Raise BackboneError unless a file decides as dn2 does."""
        differ = self.pictures - self.decisions_equal - self.within_rounding
        largest = max(self.largest_map_difference or 0.0, self.largest_score_difference)
        if differ or not largest <= ACCEPTED:
            raise BackboneError(
                f"{name} decides otherwise than dn2: of {self.pictures} pictures {differ} are decided otherwise, and "
                f"numbers differ by {largest:.2g}, at most {ACCEPTED:g} is accepted; nothing was written"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return what is known, as the JSON has it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def draw_samples(
    embedder: PlainImageEmbedder,
    items: Sequence[ReferenceItem],
    thumbnails: PackedBytes,
    names: Mapping[Preprocessing, str],
) -> list[Sample]:
    """Prepare golden pictures and reference pictures: from their files, or else from their thumbnails.

    names : of the inputs of the exported network."""
    samples = [_sample(embedder, picture, names, False) for picture in make_pictures()]
    spread = np.random.default_rng(0).permutation(len(items))
    return samples + list(islice(_of_reference(embedder, items, thumbnails, names, spread), REFERENCE_PICTURES))


def _of_reference(
    embedder: PlainImageEmbedder,
    items: Sequence[ReferenceItem],
    thumbnails: PackedBytes,
    names: Mapping[Preprocessing, str],
    positions: Positions,
) -> Iterator[Sample]:
    for position in positions.tolist():
        sources: list[Source] = [items[position].path] if items[position].path else []
        for source in (*sources, bytes(thumbnails[position])):
            try:
                sample = _sample(embedder, source, names, True)
            except UnreadableItem:
                continue
            yield sample
            break


def _sample(
    embedder: PlainImageEmbedder, source: Source, names: Mapping[Preprocessing, str], is_reference: bool
) -> Sample:
    """Prepare a picture.  Raises UnreadableItem."""
    inputs = {}
    with open_picture(source, check_white(embedder.white)) as picture:
        for preprocessing, name in names.items():
            with picture.decoded(preprocessing.scaled) as image:
                inputs[name] = to_pixels(image, preprocessing)
    seen = ((network, inputs[names[network.backbone.preprocessing]]) for network in embedder.networks)
    parts = [network.embed([pixels])[0] for network, pixels in seen]
    return Sample({name: pixels[None] for name, pixels in inputs.items()}, parts, is_reference)


def check_sides(samples: Sequence[Sample], largest: Mapping[str, int | None]) -> None:
    """Raise InputError for a picture with a longer side than dn2 sees in one piece; largest : None where it is any."""
    for sample in samples:
        for name, pixels in sample.inputs.items():
            (height, width), most = pixels.shape[1:3], largest[name]
            if most is not None and max(height, width) > most:
                raise InputError(
                    f"a reference picture becomes {width} x {height} pixels, which dn2 sees in tiles, and an exported "
                    f"decision sees in one piece, of at most {most} pixels a side; fit with a smaller resolution"
                )

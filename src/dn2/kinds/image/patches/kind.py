"""Pictures compared patch by patch; see `ImageKind`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from dn2.arrays import Array, Positions, Progress, Scores
from dn2.errors import InputError
from dn2.inputs.items import Item
from dn2.kinds.exchange import NOTHING, Batch, Belonging, Judge, Judgement, Reference, ReferenceItem, ScoredItems
from dn2.kinds.image.embedding import EmbeddedItems
from dn2.kinds.image.evidence import Region, RegionEvidence
from dn2.kinds.image.kind import ImageKind
from dn2.kinds.image.options import ImageOptions, parse_resolution
from dn2.kinds.image.patches.drawing import at_pixels
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.kinds.image.patches.learning import Learnt
from dn2.kinds.image.patches.located import LocatedPictures
from dn2.kinds.image.patches.masks import read_mask, region_of, with_masks
from dn2.kinds.image.patches.regions import Found, Judged, find_regions
from dn2.kinds.image.patches.sources import Pictures, cached
from dn2.kinds.image.patches.writing import MapFolder
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.kinds.image.presets import get_preset
from dn2.kinds.image.reading import FoundImages
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import Keys
from dn2.neighbors.patches.detector import PatchDetector
from dn2.neighbors.steps import Steps
from dn2.neighbors.threads import each_on_one
from dn2.networks.looking import read_region
from dn2.networks.sources import Viewed
from dn2.results.rows import Evidence
from dn2.store.bundle import Bundle, Content
from dn2.store.cache import Cache
from dn2.store.kept import KeptArrays
from dn2.store.packed import PackedBytes
from dn2.store.shards import StoredRows, map_strings
from dn2.system.interface import option


class _One(NamedTuple):
    """What is found of one picture: see `Judgement`."""

    score: float
    distances: Array
    positions: Positions
    judged: Judged


@dataclass(frozen=True, repr=False)
class PatchKind(ImageKind):
    """Pictures compared patch by patch: see `Kind`.

    learnt : what the reference pictures taught, None until they have.
    side : of a square with as many pixels as a typical reference picture.
    has_masks : whether each picture has a mask of its own; masks : the regions of the reference pictures then.
    maps : where to write the maps of pictures that are scored, if anywhere.
    kept : what keeps the maps of all pictures that are scored together, None beside that."""

    evidence: ClassVar[type[Evidence] | None] = RegionEvidence
    learns_beside: ClassVar[bool] = True
    queries_at_once: ClassVar[int] = 8
    embedder: PatchEmbedder
    learnt: Learnt | None = field(default=None, kw_only=True)
    side: int = field(default=0, kw_only=True)
    has_masks: bool = field(default=False, kw_only=True)
    masks: PackedBytes = field(default=PackedBytes.of([]), kw_only=True)
    maps: MapFolder | None = field(default=None, kw_only=True)
    kept: KeptArrays | None = field(default=None, kw_only=True)

    @classmethod
    def made(cls, options: ImageOptions, cache: Cache | None) -> Self:
        """See `ImageKind`.  Raises InputError for a mask that cannot be read."""
        backbone = options.backbone or get_preset(options.preset).patches
        return cls(
            PatchEmbedder(
                backbone,
                resolution=parse_resolution(options.resolution),
                even_light=options.light != "as-is",
                region=region_of(options.mask) if isinstance(options.mask, str) and options.masks is None else None,
                precision=options.precision,
                cache=cache,
                white=options.white,
            ),
            has_masks=options.masks is not None,
        )

    @classmethod
    def embedder_of(
        cls, recorded: Mapping[str, Any], held: Sequence[bytes], backbone: str | None, options: Mapping[str, Any]
    ) -> PatchEmbedder:
        """See `ImageKind`."""
        resolution = parse_resolution("full" if recorded["resolution"] is None else recorded["resolution"])
        region = None if recorded["region"] is None else base64.b64decode(recorded["region"], validate=True)
        own = {"resolution": resolution, "even_light": bool(recorded["even_light"]), "region": region, **options}
        if backbone is not None:
            return PatchEmbedder(backbone, **own)
        return PatchEmbedder.held_by_model(recorded["backbone"], held, **own)

    def steps(self, options: ImageOptions, n: int) -> Steps:
        """See `Kind`.  Whole pictures are compared as they are, to tell copies and parts."""
        return super(ImageKind, self).steps(options, n)

    def masked(self, found_items: FoundImages, mask: Any) -> FoundImages:
        """See `Kind`."""
        self.check_masked(mask)
        return FoundImages(with_masks(found_items.items, mask)) if self.has_masks else found_items

    def masked_one(self, item: Any, mask: Any) -> Any:
        """See `Kind`."""
        self.check_masked(mask)
        return Viewed(item, partial(read_mask, mask)) if self.has_masks else item

    def check_masked(self, mask: Any) -> None:
        """Raise InputError for masks where the model has none for each picture, and without them where it has."""
        if not self.has_masks:
            self.check_no_mask(mask)
        elif mask is None:
            raise InputError(
                f"the model was fitted with a mask for each picture: give {option('mask')}, what says where these are "
                "looked at"
            )

    def keeping(self, new: EmbeddedItems) -> Self:
        """See `ImageKind`."""
        kept = super().keeping(new)
        return replace(kept, masks=self.masks.with_more(new.regions)) if self.has_masks else kept

    @property
    def patches(self) -> PatchDetector:
        """What compares patches, once it has been learnt."""
        assert self.learnt is not None
        return self.learnt.detector

    def completed(
        self,
        detector: Detector,
        items: Sequence[ReferenceItem],
        new: Reference | None = None,
        options: Any = None,
        progress: Progress | None = None,
    ) -> Self:
        """See `Kind`."""
        pictures = Pictures(self.embedder, items, () if new is None else new.source, self.masks)
        if self.learnt is not None:
            return replace(self, learnt=self.learnt.after_change(pictures, detector, progress))
        with cached(self.embedder) as embedder:
            pictures = replace(pictures, embedder=embedder)
            learnt = Learnt.of(
                pictures, detector, options.bank or get_preset(options.preset).bank, options.rotations or 1, progress
            )
            return replace(self, learnt=learnt, side=pictures.typical_side())

    def recalibrated(
        self, detector: Detector, items: Sequence[ReferenceItem], new: Reference, progress: Progress | None
    ) -> Self:
        """See `Kind`."""
        pictures = Pictures(self.embedder, items, new.source, self.masks)
        assert self.learnt is not None
        return replace(self, learnt=self.learnt.recalibrated(pictures, detector, progress))

    def anomaly_map(self, judge: Judge, item: Any, belonging: Belonging = NOTHING) -> Array:
        """See `Kind`."""
        batch = self.embed_one(item)
        ((_, picture),) = batch.source
        assert picture.size is not None
        (judged,) = self.judge(judge, batch, belonging.membership.parts).found
        return at_pixels(judged.anomaly_map, *picture.size)

    def calibration(self, detector: Detector) -> Calibration:
        """See `Kind`."""
        return detector.calibration if self.learnt is None else self.learnt.calibration

    def calibrating(self, detector: Detector) -> tuple[Positions, Scores]:
        """See `Kind`."""
        assert self.learnt is not None
        return self.learnt.members, self.learnt.scores

    def judge(self, judge: Judge, batch: Batch, parts: Keys | None) -> Judgement:
        """See `Kind`.  The neighbours of a picture are the owners of the patches that its strangest place is like."""
        detector = judge.detector
        k, known = int(detector.steps.n_neighbors), detector.reference.membership.parts
        readable = [picture for _, picture in batch.source if picture.error is None]

        def judge_one(place: int) -> _One:
            own = None if parts is None or known is None else np.flatnonzero(known == parts[place])
            levels, region, _ = self.embedder.maps_of(readable[place])
            near = self.patches.compare(levels, own)
            anomaly_map = self.patches.anomaly_map(near, region)
            neighbors = self.patches.nearest_items(levels, near, anomaly_map, k, own)
            return _One(self.patches.score(anomaly_map, region), *neighbors, Judged(anomaly_map, near))

        if not readable:
            return Judgement.of_none(k)
        scores, distances, positions, judged = zip(*each_on_one(judge_one, range(len(readable))), strict=True)
        return Judgement(np.array(scores), np.stack(distances), np.stack(positions), judged)

    def writing_maps(self, folder: Path) -> Self:
        """See `Kind`."""
        maps = MapFolder(folder)
        maps.check()
        return replace(self, maps=maps)

    def score(
        self, judge: Judge, found_items: FoundImages, progress: Progress | None, belonging: Belonging = NOTHING
    ) -> ScoredItems:
        """See `Kind`."""
        maps = self.maps
        if maps is not None:
            maps = maps.opened(found_items.items, self.threshold(judge.detector), self.embedder.white)
        scoring = replace(self, maps=maps, kept=KeptArrays())
        return super(PatchKind, scoring).score(judge, found_items, progress, belonging)

    def threshold(self, detector: Detector) -> float:
        """Return the highest value of an anomaly map that is no region."""
        assert self.learnt is not None
        return self.learnt.threshold(detector.steps.false_alarm_rate)

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[Evidence | None]:
        """Find the regions of each picture whose map exceeds the threshold."""
        evidence = list(self._evidence(judge, batch, judgement))
        if self.maps is not None:
            self.maps.write((item for item, _ in batch.source), evidence)
        yield from evidence

    def _evidence(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[Evidence | None]:
        threshold = self.threshold(judge.detector)
        found = iter(judgement.found)
        for _, picture in batch.source:
            if picture.error is not None:
                yield None
                continue
            judged = next(found)
            regions = find_regions(judged.anomaly_map, threshold)
            described = (self._region(one, picture, judged, judge.items) for one in regions)
            kept = judged.anomaly_map if self.kept is None else self.kept.keep(judged.anomaly_map)
            yield RegionEvidence(tuple(described), kept, picture.size)

    def _region(self, found: Found, picture: EmbeddedPicture, judged: Judged, items: Sequence[ReferenceItem]) -> Region:
        assert self.learnt is not None
        assert picture.size is not None
        owner, box = self.patches.nearest_place(found.cell, judged.near, judged.anomaly_map.shape)
        width, height = picture.size
        left, top, right, bottom = found.box
        return Region(
            (int(left * width), int(top * height), int(np.ceil(right * width)), int(np.ceil(bottom * height))),
            tuple((round(x * width), round(y * height)) for x, y in found.outline.tolist()),
            max(1, round(found.area * width * height)),
            found.area,
            found.peak,
            float(self.learnt.map_calibration.p_value(np.array([found.peak]))[0]),
            items[owner].name,
            box,
        )

    def pictures(
        self, files: Sequence[Item | None] | None, judge: Judge, progress: Progress | None
    ) -> LocatedPictures | None:
        """See `Kind`."""
        if files is None or self.learnt is None:
            return None
        rate = self.learnt.map_calibration.rate(judge.detector.steps.false_alarm_rate)
        return LocatedPictures(self, judge, self.thumbnails, files, progress, (self.threshold(judge.detector), rate))

    def only(self, places: Positions) -> Self:
        """See `Kind`."""
        kept = super().only(places)
        kept = replace(kept, masks=self.masks.only(places).compact()) if self.has_masks else kept
        return kept if self.learnt is None else replace(kept, learnt=self.learnt.only(places, len(self.thumbnails)))

    def describe(self) -> dict[str, Any]:
        """See `Kind`."""
        maps = [list(zip(one.strides, one.dimensions, strict=True)) for one in self.embedder.networks]
        regions = map(bytes, self.masks) if self.has_masks else [None]
        seen = [1.0 if one is None else float(one.mean()) for one in map(self.embedder.looked_at, regions)]
        own = {"maps": maps, "side": self.side, "has_masks": self.has_masks, "looked_at": float(np.mean(seen))}
        return super().describe() | {"patches": None if self.learnt is None else self.learnt.as_dict() | own}

    def contents(self) -> dict[str, Sequence[Content]]:
        """See `Kind`."""
        assert self.learnt is not None
        return super().contents() | {"bank": [self.learnt.as_arrays()]}

    def contents_of_items(self) -> dict[str, Callable[[slice], Content]]:
        """See `Kind`."""
        masks = {"masks": lambda places: self.masks.only(places).as_arrays()} if self.has_masks else {}
        return super().contents_of_items() | masks

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """See `Kind`."""
        restored = super().restore(files, kept, cache, backbone)
        learnt = Learnt.restored(files.arrays("bank"), files.manifest["patches"])
        learnt.check(len(restored.thumbnails), restored.embedder.dimensions)
        about = files.manifest["patches"]
        restored = replace(restored, learnt=learnt, side=int(about["side"]), has_masks=bool(about["has_masks"]))
        if not restored.has_masks:
            return restored
        masks = map_strings(files, kept, "masks")
        for region in masks if not files.is_large else ():
            read_region(bytes(region))
        return replace(restored, masks=masks.only(kept.places))

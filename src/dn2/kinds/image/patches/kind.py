"""Pictures compared patch by patch; see `ImageKind`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from dn2.arrays import Array, Positions, Progress
from dn2.kinds.exchange import Batch, Judge, Judgement, Reference, ReferenceItem
from dn2.kinds.image.evidence import Region, RegionEvidence
from dn2.kinds.image.kind import ImageKind
from dn2.kinds.image.options import ImageOptions, parse_resolution
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.kinds.image.patches.learning import DEFAULT_BANK, Learnt
from dn2.kinds.image.patches.regions import Found, find_regions
from dn2.kinds.image.patches.sources import Pictures, cached
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.kinds.image.presets import get_preset
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import Keys
from dn2.neighbors.patches.bank import Nearest
from dn2.neighbors.patches.detector import PatchDetector
from dn2.neighbors.patches.joining import Map
from dn2.neighbors.steps import Steps
from dn2.results.rows import Evidence
from dn2.store.bundle import Bundle, Content
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows


@dataclass(frozen=True)
class Judged:
    """A picture compared with the banks.

    anomaly_map : its map; near : what each bank has nearest; nearest : the bank that tells the items it is like."""

    anomaly_map: Map
    near: Sequence[Nearest]


@dataclass(frozen=True, repr=False)
class PatchKind(ImageKind):
    """Pictures compared patch by patch: see `Kind`.

    learnt : what the reference pictures taught, None until they have."""

    evidence: ClassVar[type[Evidence] | None] = RegionEvidence
    learns_beside: ClassVar[bool] = True
    queries_at_once: ClassVar[int] = 8  # their maps are large
    embedder: PatchEmbedder
    learnt: Learnt | None = field(default=None, kw_only=True)

    @classmethod
    def made(cls, options: ImageOptions, cache: Cache | None) -> Self:
        """See `ImageKind`."""
        backbone = options.backbone or get_preset(options.preset).patches
        resolution = parse_resolution(options.resolution)
        return cls(
            PatchEmbedder(
                backbone, resolution=resolution, precision=options.precision, cache=cache, white=options.white
            )
        )

    @classmethod
    def embedder_of(
        cls, recorded: Mapping[str, Any], held: Sequence[bytes], backbone: str | None, options: Mapping[str, Any]
    ) -> PatchEmbedder:
        """See `ImageKind`."""
        resolution = parse_resolution("full" if recorded["resolution"] is None else recorded["resolution"])
        if backbone is not None:
            return PatchEmbedder(backbone, resolution=resolution, **options)
        return PatchEmbedder.held_by_model(recorded["backbone"], held, resolution=resolution, **options)

    def steps(self, options: ImageOptions, n: int) -> Steps:
        """See `Kind`.  Whole pictures are compared as they are, to tell copies and parts."""
        return super(ImageKind, self).steps(options, n)

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
        pictures = Pictures(self.embedder, items, () if new is None else new.source)
        if self.learnt is not None:
            return replace(self, learnt=self.learnt.after_change(pictures, detector, progress))
        with cached(self.embedder) as embedder:
            pictures = replace(pictures, embedder=embedder)
            return replace(self, learnt=Learnt.of(pictures, detector, options.bank or DEFAULT_BANK, progress))

    def calibration(self, detector: Detector) -> Calibration:
        """See `Kind`."""
        return detector.calibration if self.learnt is None else self.learnt.calibration

    def judge(self, judge: Judge, batch: Batch, parts: Keys | None) -> Judgement:
        """See `Kind`.  The neighbours of a picture are the owners of the patches that its strangest place is like."""
        detector = judge.detector
        k, known = int(detector.steps.n_neighbors), detector.reference.membership.parts
        scores: list[float] = []
        distances: list[Array] = []
        positions: list[Positions] = []
        judged: list[Judged] = []
        for _, picture in batch.source:
            if picture.error is not None:
                continue
            own = None
            if parts is not None and known is not None:
                own = np.flatnonzero(known == parts[len(judged)])
            near = self.patches.compare(picture.parts, own)
            anomaly_map = self.patches.anomaly_map(near)
            found = self.patches.nearest_items(picture.parts, near, anomaly_map, k, own)
            scores.append(self.patches.score(anomaly_map))
            distances.append(found[0])
            positions.append(found[1])
            judged.append(Judged(anomaly_map, near))
        if not judged:
            return Judgement.of_none(k)
        return Judgement(np.array(scores), np.stack(distances), np.stack(positions), judged)

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[Evidence | None]:
        """Find the regions of each picture whose map exceeds the threshold."""
        assert self.learnt is not None
        threshold = self.learnt.threshold(judge.detector.steps.false_alarm_rate)
        found = iter(judgement.found)
        for _, picture in batch.source:
            if picture.error is not None:
                yield None
                continue
            judged = next(found)
            regions = find_regions(judged.anomaly_map, threshold)
            described = (self._region(one, picture, judged, judge.items) for one in regions)
            yield RegionEvidence(tuple(described), judged.anomaly_map, picture.size)

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

    def only(self, places: Positions) -> Self:
        """See `Kind`."""
        kept = super().only(places)
        return kept if self.learnt is None else replace(kept, learnt=self.learnt.only(places, len(self.thumbnails)))

    def describe(self) -> dict[str, Any]:
        """See `Kind`."""
        return super().describe() | {"patches": None if self.learnt is None else self.learnt.as_dict()}

    def contents(self) -> dict[str, Sequence[Content]]:
        """See `Kind`."""
        assert self.learnt is not None
        return super().contents() | {"bank": [self.learnt.as_arrays()]}

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """See `Kind`."""
        restored = super().restore(files, kept, cache, backbone)
        learnt = Learnt.restored(files.arrays("bank"), files.manifest["patches"])
        learnt.check(len(restored.thumbnails), restored.embedder.dimensions)
        return replace(restored, learnt=learnt)

"""The protocols on pictures from start to end: files in, a result out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from dn2.bench.context import ProgressFactory
from dn2.bench.result import Result
from dn2.kinds.image.bench import BACKBONES as COMPARISON
from dn2.kinds.image.bench import (
    CENTROIDS,
    COMPARED_BACKBONES,
    FEW_SHOT,
    GROUPS,
    IMPURITY,
    MULTIMODAL,
    NEIGHBORS,
    ONE_CLASS,
    BackbonesOptions,
    OneBackbone,
    PictureOptions,
    paper,
)
from dn2.kinds.image.bench.analyses import centroids, neighbors
from dn2.kinds.image.bench.classes import backbones, multimodal, one_class
from dn2.kinds.image.bench.data import ClassFolders, find_classes
from dn2.kinds.image.bench.embeddings import embed
from dn2.kinds.image.bench.few_shot import few_shot
from dn2.kinds.image.bench.groups import groups
from dn2.kinds.image.bench.impurity import impurity
from dn2.kinds.image.bench.pictures import Bench, backbone_of
from dn2.kinds.image.bench.rivals import find_rivals
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.kind import ImageKind
from dn2.kinds.image.options import ImageOptions
from dn2.kinds.image.pooling import Pooling
from dn2.kinds.protocols import ComparedOptions, NearestOptions, Protocol
from dn2.results.rows import Row
from dn2.store.cache import Cache

Measure = Callable[[Bench], Result]


def _run(
    protocol: Protocol, measure: Measure, data: Path, options: OneBackbone, progress_of: ProgressFactory
) -> Result:
    prepared = Preparation(protocol, data, options, progress_of)
    return prepared.finish(measure(prepared.bench(options.backbone)))


# The runner of each protocol: see `Protocol`.
run_one_class = partial(_run, ONE_CLASS, one_class)
run_multimodal = partial(_run, MULTIMODAL, multimodal)
run_few_shot = partial(_run, FEW_SHOT, few_shot)
run_impurity = partial(_run, IMPURITY, impurity)
run_groups = partial(_run, GROUPS, groups)
run_centroids = partial(_run, CENTROIDS, centroids)
run_neighbors = partial(_run, NEIGHBORS, neighbors)


def run_backbones(data: Path, options: BackbonesOptions, progress_of: ProgressFactory) -> Result:
    """Run the protocol that compares backbones; see `Protocol`."""
    prepared = Preparation(COMPARISON, data, options, progress_of)
    return prepared.finish(backbones(map(prepared.bench, options.backbone or COMPARED_BACKBONES)))


class Preparation:
    """Embeds the pictures of a protocol, and notes for below its table what was embedded and left out.

    Raises InputError for a class that has too few pictures."""

    def __init__(self, protocol: Protocol, data: Path, options: PictureOptions, progress_of: ProgressFactory) -> None:
        self.protocol, self.options, self.progress_of = protocol, options, progress_of
        self.data = find_classes(data, options.classes, options.normal)
        self.notes = [f"{self.data.describe()}."]
        self.unreadable: dict[str, Row] = {}
        if protocol != MULTIMODAL:
            for name in self.data.normal:
                self.data.split((name,), 0)  # refused before the work rather than after it

    def bench(self, backbone: str | None) -> Bench:
        """Embed the pictures by one backbone, None for the preset's.  Raises BackboneError, InputError."""
        options = self._image_options(backbone)
        embedder = PlainImageEmbedder(
            backbone_of(options), precision=options.precision, cache=Cache.of(self.options.cache)
        )
        pooling = Pooling.of(options.normalize or embedder.normalize) if options.groups else None
        embeddings = embed(self.data, embedder, self.progress_of)
        data: ClassFolders = self.data.select(embeddings.readable)
        bench = Bench(
            data, ImageKind(embedder, pooling), options, embeddings.vectors, self.options.seeds, self.progress_of
        )
        self.unreadable |= {row.item: row for row in embeddings.unreadable}
        self.notes.append(embeddings.describe(bench.backbone, bench.normalization))
        if not (isinstance(self.options, ComparedOptions) and self.options.rivals):
            return bench
        rivals, left_out = find_rivals(bench, self.progress_of)
        self.notes += left_out
        return replace(bench, rivals=rivals)

    def finish(self, result: Result) -> Result:
        """Add the notes of the preparation, and what the paper reports."""
        data = self.data
        reported = paper.reported_figures(self.protocol, data.classes, data.normal)
        result.notes = [*self.notes, *result.notes, *paper.notes(self.protocol, data.classes, reported)]
        result.reported += reported
        result.unreadable = list(self.unreadable.values())
        return result

    def _image_options(self, backbone: str | None) -> ImageOptions:
        """Return the options that `dn2.fit` would get."""
        options = self.options
        return ImageOptions(
            neighbors=options.neighbors if isinstance(options, NearestOptions) else None,
            preset=options.preset,
            backbone=backbone,
            precision=options.precision,
            normalize=options.normalize,
            groups=self.protocol == GROUPS,
        )

"""Pictures, and groups of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, ClassVar, Self

import numpy as np

from dn2.arrays import Positions, Progress, Vector
from dn2.errors import InputError
from dn2.extras import import_above
from dn2.inputs.files import find_again
from dn2.inputs.items import Item
from dn2.kinds.exchange import Batch, Judge, Judgement, Reference, ReferenceItem
from dn2.kinds.golden import check_recipe, check_reproduced
from dn2.kinds.image import words
from dn2.kinds.image.again import find_files_again
from dn2.kinds.image.alignment import SAMPLED, say_if_aligned
from dn2.kinds.image.apart import cut, name_of_source
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.embedding import (
    EmbeddedItems,
    batch_of,
    embed,
    embed_items,
    in_batches,
    members_of,
    unreadable_members,
)
from dn2.kinds.image.evidence import GroupEvidence
from dn2.kinds.image.layout import warn_of_layout
from dn2.kinds.image.noticing import tell
from dn2.kinds.image.options import ImageOptions, check_white
from dn2.kinds.image.pictures import ItemPictures
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.kinds.image.pooling import Pooling
from dn2.kinds.image.presets import get_preset
from dn2.kinds.image.reading import FoundImages, are_pictures, find_picture_groups, find_pictures
from dn2.kinds.kind import Kind
from dn2.neighbors.blocks import rows_at
from dn2.neighbors.steps import Normalize, Steps, Whiten
from dn2.networks.golden import TOLERANCE, check_pictures, make_pictures
from dn2.networks.lite import SPECS
from dn2.networks.pixels import LARGEST_THUMBNAIL, SUFFIXES
from dn2.networks.registry import strip_folders
from dn2.networks.sources import JPEG, Viewed
from dn2.results.rows import Evidence, Row
from dn2.store.bundle import Bundle, Content
from dn2.store.cache import Cache
from dn2.store.packed import PackedBytes
from dn2.store.shards import StoredRows, map_strings
from dn2.system.interface import option
from dn2.system.naming import absolute, path_to_text
from dn2.system.stores import AnyPath


@dataclass(frozen=True, repr=False)
class ImageKind(Kind[FoundImages]):
    """Pictures seen by a network; see `Kind`.

    pooling : how groups become items, None where items are pictures.  thumbnails : a small JPEG of each."""

    name: ClassVar[str] = "image"
    options: ClassVar[type[ImageOptions]] = ImageOptions
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    evidence: ClassVar[type[Evidence] | None] = GroupEvidence
    has_companions: ClassVar[bool] = True
    takes_verdicts: ClassVar[bool] = True
    single_files: ClassVar[frozenset[str]] = SUFFIXES
    queries_at_once: ClassVar[int] = 1024
    embedder: PlainImageEmbedder
    pooling: Pooling | None = None
    thumbnails: PackedBytes = PackedBytes.of([])  # noqa: RUF009  nothing changes it

    @classmethod
    def claims(cls, inputs: Any, suffixes: frozenset[str]) -> bool:
        """See `Kind`.  A 2-d array is taken for vectors."""
        return are_pictures(inputs)

    @classmethod
    def learn(
        cls, inputs: Any, options: ImageOptions, cache: Cache | None, progress: Progress | None
    ) -> tuple[Self, FoundImages]:
        """See `Kind`.  Raises BackboneError."""
        kind = _patch_kind().made(options, cache) if options.patches else cls.made(options, cache)
        found_items = kind.find(inputs, progress)
        if not options.groups and not options.contaminated:
            warn_of_layout(found_items.items)
        return kind, found_items

    @classmethod
    def made(cls, options: ImageOptions, cache: Cache | None) -> Self:
        """Return the kind that options ask for, without reference items.  Raises BackboneError."""
        backbone = options.backbone or get_preset(options.preset).backbone
        embedder = PlainImageEmbedder(backbone, precision=options.precision, cache=cache, white=options.white)
        return cls(embedder, Pooling.of(options.normalize or embedder.normalize) if options.groups else None)

    @property
    def one(self) -> str:
        """What an item is called."""
        return "image" if self.pooling is None else "group"

    @property
    def many(self) -> str:
        """What items are called."""
        return f"{self.one}s"

    @property
    def sent_as(self) -> str:
        """See `Kind`."""
        return "file" if self.pooling is None else "files"

    @property
    def brief(self) -> str:
        """See `Kind`."""
        return strip_folders(self.embedder.backbone)

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> FoundImages:
        """Find pictures in files and in memory, or groups of them.  Raises InputError unless there is at least one."""
        return FoundImages(find_pictures(inputs) if self.pooling is None else find_picture_groups(inputs))

    def embed(self, found_items: FoundImages, progress: Progress | None) -> Iterator[Batch]:
        """Embed pictures or groups in order, in batches of about `queries_at_once` pictures."""
        items = found_items.items

        def pairs() -> Iterator[tuple[Item, EmbeddedPicture]]:
            embedded = embed(self.embedder, items, pooling=self.pooling)
            for done, pair in enumerate(zip(items, embedded, strict=True), 1):
                yield pair
                if progress is not None:
                    progress(done, len(items))

        yield from map(self.batch_of, in_batches(pairs(), self.queries_at_once))

    def parts(self, found_items: FoundImages) -> Iterator[tuple[FoundImages, int]]:
        """See `Kind`."""
        return ((FoundImages(items), len(items)) for items in cut(found_items.items, attrgetter("name")))

    def embed_part(self, part: FoundImages) -> Iterator[Batch]:
        """See `Kind`."""
        with self.embedder.in_partition(map(name_of_source, part.sources)) as embedder:
            yield from replace(self, embedder=embedder).embed(part, None)

    def batch_of(self, pairs: Sequence[tuple[Item, EmbeddedPicture]]) -> Batch:
        """Put pictures or groups together that were embedded."""
        return batch_of(pairs, self.dimension)

    def tell(self, noticed: Sequence[Any]) -> None:
        """See `Kind`."""
        tell(noticed)

    def embed_one(self, item: Any) -> Batch:
        """See `Kind`."""
        if self.pooling is not None:
            raise InputError("score_one takes one picture, and this model compares groups; Model.score takes a group")
        plain = item.picture if isinstance(item, Viewed) else item
        if isinstance(plain, (list, tuple, Mapping)):
            raise InputError(f"score_one takes one picture, got a {type(plain).__name__}; Model.score takes several")
        picture = self.embedder.picture_of(item)
        name = path_to_text(plain) if isinstance(plain, (str, os.PathLike)) else "picture 1"
        vector = self.embedder.join(picture.parts)
        return Batch([name], {}, np.zeros(1, np.int64), vector[None], [(item, picture)])

    def reference(self, found_items: FoundImages, progress: Progress | None) -> Reference:
        """Embed pictures that are to join the reference set, and keep thumbnails."""
        new = embed_items(self.embedder, found_items.items, progress, reference=True, pooling=self.pooling)
        reference_items = [
            ReferenceItem(item.name, absolute(item.origin) if item.origin else "", digest)
            for item, digest in zip(new.items, new.digests, strict=True)
        ]
        return Reference(reference_items, new.vectors, new.unreadable, self.keeping(new), source=new.items)

    def keeping(self, new: EmbeddedItems) -> Self:
        """Keep what is shown of pictures that join the reference set."""
        return replace(self, thumbnails=self.thumbnails.with_more(new.thumbnails))

    def embedded(self, found_items: FoundImages, progress: Progress | None) -> Reference:
        """See `Kind`."""
        new = embed_items(self.embedder, found_items.items, progress, pooling=self.pooling)
        items = [ReferenceItem(item.name, "", "") for item in new.items]
        return Reference(items, new.vectors, new.unreadable, self)

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[Evidence | None]:
        """Name the members that pull a group away most, then its unreadable members."""
        if self.pooling is None:
            yield from (None for _ in batch.names)
            return
        near = dict(zip(batch.places.tolist(), judgement.positions, strict=True))
        for place, (item, result) in enumerate(batch.source):
            named = members_of(judge.detector, self.pooling, item, result, near[place]) if place in near else []
            yield GroupEvidence((*named, *unreadable_members(item, result)))

    def steps(self, options: ImageOptions, n: int) -> Steps:
        """See `Kind`.  The members of groups are normalised before they are pooled."""
        method = options.normalize or self.embedder.normalize
        whiten = options.whiten
        if whiten is None:
            plain = not options.contaminated and self.pooling is None
            whiten = plain and get_preset(options.preset).whitens_among(n, options.false_alarm_rate)
        normalize = Normalize(method if self.pooling is None else "none")
        return replace(super().steps(options, n), normalize=normalize, whiten=Whiten() if whiten else None)

    def usual_neighbors(self, options: ImageOptions, n: int) -> int:
        """See `Kind`."""
        preset = get_preset(options.preset)
        return (preset if self.pooling is None else preset.for_groups()).neighbors_among(n)

    @classmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See `Kind`."""
        return words.say(about)

    def remarks(self, judge: Judge) -> list[str]:
        """See `Kind`."""
        steps = judge.detector.steps
        is_known = self.embedder.backbone in SPECS and steps.normalize.method == "root-unit"
        if not is_known or steps.whiten is not None or self.pooling is not None or len(judge.detector.aside):
            return []
        some = np.linspace(0, len(judge.items) - 1, min(SAMPLED, len(judge.items))).astype(np.int64)
        said = say_if_aligned(rows_at(judge.detector.blocks, some), [bytes(self.thumbnails[at]) for at in some])
        return [said] if said else []

    def found_again(
        self, root: AnyPath, rows: Sequence[Row], judge: Judge, progress: Progress | None, mask: Any = None
    ) -> tuple[Sequence[Item | None], dict[int, Vector]]:
        """See `Kind`.  Most embeddings come from the cache; a file that scores differently has changed."""
        return find_files_again(self, self.find_files(root, rows, mask), rows, judge, progress)

    def find_files(self, root: AnyPath, rows: Sequence[Row], mask: Any) -> list[Item | None]:
        """Find the files of scored items below a folder, and their masks."""
        found = [
            find_again(root, row.item, SUFFIXES, group=self.pooling is not None) if row.error is None else None
            for row in rows
        ]
        masked = iter(self.masked(FoundImages([item for item in found if item is not None]), mask).items)
        return [None if item is None else next(masked) for item in found]

    def pictures(
        self, files: Sequence[Item | None] | None, judge: Judge, progress: Progress | None
    ) -> ItemPictures | None:
        """See `Kind`."""
        if files is None:
            return None
        return ItemPictures(self.thumbnails, judge.items, files, progress, self.embedder.white)

    def only(self, places: Positions) -> Self:
        """Keep only the thumbnails at some places."""
        return replace(self, thumbnails=self.thumbnails.only(places).compact())

    def describe(self) -> dict[str, Any]:
        """Say how pictures become vectors."""
        embedder = self.embedder.as_dict()
        return {
            "kind": self.name,
            "groups": None if self.pooling is None else self.pooling.as_dict(),
            "embedder": embedder,
            "golden_tolerance": max(TOLERANCE[precision] for precision in embedder["precision"].split("+")),
        }

    def contents(self) -> dict[str, Sequence[Content]]:
        """Return golden pictures with their embeddings, which check another machine, and the networks' files."""
        pictures = make_pictures()
        golden = PackedBytes.of(pictures).as_arrays() | {"embeddings": self.embedder.embed_pictures(pictures)}
        files = self.embedder.files
        return {"golden": [golden]} | ({"network": [PackedBytes.of(files).as_arrays()]} if files else {})

    def contents_of_items(self) -> dict[str, Callable[[slice], Content]]:
        """Return thumbnails."""
        return {"thumbnails": lambda places: self.thumbnails.only(places).as_arrays()}

    @classmethod
    def embedder_of(
        cls, recorded: Mapping[str, Any], held: Sequence[bytes], backbone: str | None, options: Mapping[str, Any]
    ) -> PlainImageEmbedder:
        """Restore the embedder of a saved model: with a backbone that the user names, or with the one it holds."""
        if backbone is not None:
            return PlainImageEmbedder(backbone, **options)
        return PlainImageEmbedder.held_by_model(recorded["backbone"], held, **options)

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the network, which must embed the golden pictures as before, and the thumbnails."""
        if files.manifest.get("patches") is not None and not cls.learns_beside:
            return _patch_kind().restore(files, kept, cache, backbone)  # type: ignore[no-any-return]
        recorded = files.manifest["embedder"]
        options = {"precision": recorded["precision"], "cache": cache, "white": check_white(recorded.get("white"))}
        held = files.arrays("network") if "network" in files.manifest["contents"] else None
        networks = [] if held is None else list(map(bytes, PackedBytes.of_arrays(**held)))
        embedder = cls.embedder_of(recorded, networks, backbone, options)
        check_recipe(embedder.digest, embedder.preprocessing, files.manifest, "pictures")
        golden = files.arrays("golden")
        pictures = list(PackedBytes.of_arrays(golden["data"], golden["ends"]))
        check_pictures(pictures)
        check_reproduced(
            files.manifest,
            lambda: embedder.embed_pictures(pictures),
            golden["embeddings"],
            "pictures",
            f"fit again here, or fit so that the model moves, with {option('precision', 'f32')}",
        )
        thumbnails = map_strings(files, kept, "thumbnails")
        if not files.is_large:
            thumbnails.check_each(LARGEST_THUMBNAIL, JPEG)
        groups = files.manifest.get("groups")
        return cls(embedder, None if groups is None else Pooling(**groups), thumbnails.only(kept.places))


def _patch_kind() -> Any:
    """Return the kind of pictures that are compared patch by patch, which is built on this one."""
    return import_above("dn2.kinds.image.patches.kind").PatchKind

"""Pictures, and groups of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.golden import TOLERANCE, check_pictures, make_pictures
from dn2.embed.images import LARGEST_THUMBNAIL, SUFFIXES
from dn2.embed.pipeline import JPEG, Embedded
from dn2.embedding import Progress, embed, embed_items, unreadable_members
from dn2.inputs.files import Inputs, Item, find_again, find_groups, find_items
from dn2.kinds.kind import Batch, Reference, ReferenceItem
from dn2.kinds.reproduced import check_recipe, check_reproduced
from dn2.naming import absolute
from dn2.neighbors.blocks import Positions
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Distances
from dn2.neighbors.groups import Pooling
from dn2.store.bundle import Bundle, Part
from dn2.store.cache import Cache
from dn2.store.gathered import Gathered
from dn2.store.packed import PackedBytes
from dn2.store.rows import Member, Row
from dn2.store.shards import Kept

QUERIES_AT_ONCE = 1024
MEMBERS_NAMED = 10


@dataclass(frozen=True)
class FoundImages:
    """Image files, or groups of them."""

    items: list[Item]

    @property
    def names(self) -> list[str]:
        """The names of all, in order."""
        return [item.name for item in self.items]

    @property
    def paths(self) -> list[Path]:
        """The files or folders of all, in order."""
        return [item.path for item in self.items]


@dataclass(frozen=True)
class Images:
    """Pictures seen by a network; see `Kind`.

    pooling : how groups become items, None where items are pictures.  thumbnails : a small JPEG of each."""

    name: ClassVar[str] = "image"
    embedder: ImageEmbedder
    pooling: Pooling | None = None
    thumbnails: PackedBytes | Gathered = PackedBytes.of([])  # noqa: RUF009  which nothing changes

    @property
    def one(self) -> str:
        """What an item is called."""
        return "image" if self.pooling is None else "group"

    @property
    def many(self) -> str:
        """What items are called."""
        return f"{self.one}s"

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return self.embedder.dimension

    def find(self, inputs: Inputs, progress: Progress | None = None) -> FoundImages:
        """Find image files, or the subfolders that are groups.  Raises InputError if there are none."""
        return FoundImages(find_items(inputs, SUFFIXES) if self.pooling is None else find_groups(inputs, SUFFIXES))

    def embed(self, found: FoundImages, progress: Progress | None) -> Iterator[Batch]:
        """Embed pictures in order, so many at a time, or groups with so many pictures together."""
        embedded = embed(self.embedder, found.items, pooling=self.pooling)
        pairs: list[tuple[Item, Embedded]] = []
        files = 0
        for done, pair in enumerate(zip(found.items, embedded, strict=True), 1):
            pairs.append(pair)
            files += max(1, len(pair[1].members))
            if files >= QUERIES_AT_ONCE or done == len(found.items):
                yield self._batch(pairs)
                pairs, files = [], 0
            if progress is not None:
                progress(done, len(found.items))

    def _batch(self, pairs: Sequence[tuple[Item, Embedded]]) -> Batch:
        readable = [(place, one.vector) for place, (_, one) in enumerate(pairs) if one.vector is not None]
        vectors = [vector for _, vector in readable]
        return Batch(
            [item.name for item, _ in pairs],
            {place: one.error for place, (_, one) in enumerate(pairs) if one.error is not None},
            np.array([place for place, _ in readable], np.int64),
            np.stack(vectors) if vectors else np.empty((0, self.dimension), np.float32),
            pairs,
            [one.digest for _, one in pairs if one.vector is not None],
        )

    def reference(self, found: FoundImages, progress: Progress | None) -> Reference:
        """Embed pictures that are to join the reference set, and keep thumbnails."""
        new = embed_items(self.embedder, found.items, progress, reference=True, pooling=self.pooling)
        items = [
            ReferenceItem(item.name, absolute(item.path), digest)
            for item, digest in zip(new.items, new.digests, strict=True)
        ]
        thumbnails = Gathered.of(self.thumbnails).joined(PackedBytes.of(new.thumbnails)).compact()
        kept = replace(self, thumbnails=thumbnails)
        return Reference(items, new.vectors, new.unreadable, kept)

    def explain(
        self, detector: KNNDetector, batch: Batch, distances: Distances, positions: Positions
    ) -> Iterator[Mapping[str, Any]]:
        """Name the members of groups that pull them away most, then those that could not be read."""
        near = dict(zip(batch.places.tolist(), positions, strict=True))
        for place, (item, one) in enumerate(batch.source):
            if self.pooling is None:
                yield {}
            else:
                members = self._members(detector, self.pooling, item, one, near[place]) if place in near else ()
                yield {"members": (*members, *unreadable_members(item, one))}

    def _members(
        self, detector: KNNDetector, pooling: Pooling, item: Item, one: Embedded, positions: Positions
    ) -> list[Member]:
        readable = [
            (member.name, embedded.vector)
            for member, embedded in zip(item.members or (), one.members, strict=True)
            if embedded.vector is not None
        ]
        members = np.stack([vector for _, vector in readable])
        (near,) = detector.compared_with(pooling.pool(members)[None], positions[None])
        shares = pooling.shares(members, near)
        most = np.argsort(-shares, kind="stable")[:MEMBERS_NAMED]
        return [Member(readable[place][0], float(shares[place])) for place in most]

    def files(self, found: FoundImages) -> Sequence[Item | None]:
        """Return the files of found pictures."""
        return found.items

    def files_again(self, root: Path, rows: Sequence[Row]) -> Sequence[Item | None]:
        """Find the files of scored pictures below a folder."""
        group = self.pooling is not None
        return [find_again(root, row.item, SUFFIXES, group=group) if row.error is None else None for row in rows]

    def only(self, places: Positions) -> Self:
        """Keep only the thumbnails at some places."""
        return replace(self, thumbnails=Gathered.of(self.thumbnails).only(places).compact())

    def embed_kept(self, places: Positions) -> None:
        """Return None: a thumbnail does not tell what its picture became."""

    def describe(self) -> dict[str, Any]:
        """Say how pictures become vectors."""
        embedder = self.embedder.as_dict()
        return {
            "kind": self.name,
            "groups": None if self.pooling is None else self.pooling.as_dict(),
            "embedder": embedder,
            "golden_tolerance": max(TOLERANCE[one] for one in embedder["precision"].split("+")),
        }

    def parts(self) -> dict[str, Sequence[Part]]:
        """Return pictures whose embeddings tell whether another machine embeds alike, and the networks' files."""
        pictures = make_pictures()
        golden = asdict(PackedBytes.of(pictures)) | {"embeddings": self.embedder.embed_pictures(pictures)}
        files = self.embedder.files
        return {"golden": [golden]} | ({"network": [asdict(PackedBytes.of(files))]} if files else {})

    def parts_of_items(self) -> dict[str, Callable[[slice], Part]]:
        """Return thumbnails."""
        thumbnails = Gathered.of(self.thumbnails)
        return {"thumbnails": lambda places: asdict(PackedBytes.of(thumbnails.only(places)))}

    @classmethod
    def restore(cls, files: Bundle, kept: Kept, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the network, which must embed here as it did, and the thumbnails."""
        recorded = files.manifest["embedder"]
        options = {"precision": recorded["precision"], "cache": cache}
        if backbone is None:
            held = files.arrays("network") if "network" in files.manifest["parts"] else {}
            packed = [bytes(one) for one in PackedBytes(**held)] if held else []
            embedder = ImageEmbedder.held_by_model(recorded["backbone"], packed, **options)
        else:
            embedder = ImageEmbedder(backbone, **options)
        check_recipe(embedder.digest, embedder.preprocessing, files.manifest, "pictures")
        golden = files.arrays("golden")
        pictures = list(PackedBytes(golden["data"], golden["ends"]))
        check_pictures(pictures)
        check_reproduced(
            files.manifest,
            lambda: embedder.embed_pictures(pictures),
            golden["embeddings"],
            "pictures",
            "fit again here, or fit so that the model moves, with --precision f32 (in Python precision=)",
        )
        shards = zip(files.mapped("thumbnails", "data"), files.mapped("thumbnails", "ends"), strict=True)
        thumbnails = Gathered.all([PackedBytes(data, ends) for data, ends in shards])
        if not files.is_large:
            for part in thumbnails.parts:
                part.check_each(LARGEST_THUMBNAIL, JPEG)
        if len(thumbnails) != kept.stored:
            raise ValueError(f"{len(thumbnails)} thumbnails for {kept.stored} items")
        groups = files.manifest.get("groups")
        return cls(embedder, None if groups is None else Pooling(**groups), thumbnails.only(kept.places))

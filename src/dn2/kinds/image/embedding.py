"""Items to embeddings, each item with its vector or its error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from dn2.arrays import Positions, Progress, Vectors
from dn2.errors import InputError
from dn2.inputs.items import Item
from dn2.kinds.exchange import Batch
from dn2.kinds.image.apart import embed_sources
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.evidence import Member
from dn2.kinds.image.noticing import Noticed, noticed, tell
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.kinds.image.pooling import Pooling
from dn2.kinds.image.reading import FoundImages
from dn2.neighbors.detector import Detector
from dn2.neighbors.prepare.normalize import normalize
from dn2.networks.pixels import to_contact_sheet
from dn2.results.rows import Row
from dn2.system import large_arrays

MEMBERS_NAMED = 10
BATCH_BYTES = 1 << 26  # of what pictures became in the networks, that are judged together

Embedded = TypeVar("Embedded", bound=tuple[Any, ...])


@dataclass(frozen=True)
class EmbeddedItems:
    """The readable items, and rows with the errors of the others.

    vectors : (n, d) float32, before any normalisation; digests and thumbnails : of each reference item, else empty.
    regions : where each of those is looked at that has a mask of its own."""

    items: list[Item]
    vectors: Vectors
    digests: list[str]
    thumbnails: list[bytes]
    unreadable: list[Row]
    regions: list[bytes] = field(default_factory=list)


def embed_items(
    embedder: PlainImageEmbedder,
    items: Sequence[Item],
    progress: Progress | None,
    *,
    reference: bool = False,
    pooling: Pooling | None = None,
) -> EmbeddedItems:
    """Embed items in order.

    reference : whether to keep the digest and the thumbnail of each, as a reference item needs them.
    pooling : how groups become items.
    Raises InputError unless at least one can be read."""
    vectors = large_arrays.empty((len(items), embedder.dimension))
    done = EmbeddedItems([], vectors, [], [], [])
    seen: list[Noticed] = []
    for number, embedded in enumerate(embed(embedder, items, thumbnails=reference, pooling=pooling)):
        item = items[number]
        seen += noticed(item.name, embedded)
        done.unreadable.extend(unreadable_rows(item, embedded))
        if embedded.vector is not None:
            vectors[len(done.items)] = embedded.vector
            done.items.append(item)
            if reference:
                done.digests.append(embedded.digest)
                done.thumbnails.append(embedded.thumbnail or b"")
                done.regions.extend([] if embedded.view.region is None else [embedded.view.region])
        if progress is not None:
            progress(number + 1, len(items))
    tell(seen)
    if not done.items:
        raise InputError(f"none of the {len(items)} items can be read; {items[0].name!r}: {done.unreadable[0].error}")
    return replace(done, vectors=vectors[: len(done.items)])


def embed(
    embedder: PlainImageEmbedder,
    items: Sequence[Item],
    *,
    thumbnails: bool = False,
    pooling: Pooling | None = None,
) -> Iterator[EmbeddedPicture]:
    """Embed items, pictures or groups, in order; an unreadable item has an error in place of a vector.

    thumbnails : also of files; pictures from memory always get one."""
    sources = FoundImages(items).sources
    embedded = embed_sources(embedder, sources, thumbnails=thumbnails, thumbnails_of_memory=True)
    for item in items:
        if item.members is None:
            yield next(embedded)
        else:
            assert pooling is not None
            yield _pool_group(item, list(islice(embedded, len(item.members))), thumbnails, pooling)


def in_batches(pictures: Iterable[Embedded], at_once: int) -> Iterator[list[Embedded]]:
    """Put embedded pictures together, at most so many, or fewer where their maps are large.

    pictures : each with its item before it, and with what else is known of it."""
    batch: list[Embedded] = []
    count = size = 0
    for one in pictures:
        batch.append(one)
        count += max(1, len(one[1].members))
        size += one[1].nbytes
        if count >= at_once or size >= BATCH_BYTES:
            yield batch
            batch, count, size = [], 0, 0
    if batch:
        yield batch


def _pool_group(item: Item, members: list[EmbeddedPicture], thumbnails: bool, pooling: Pooling) -> EmbeddedPicture:
    """Pool the readable members of a group; the result has an error where that fails."""
    group = EmbeddedPicture(members=members)
    readable = [member for member in members if member.vector is not None]
    if not readable:
        group.error = f"none of its {len(members)} pictures can be read" if members else "a group without pictures"
        return group
    try:
        for member in readable:
            member.vector = normalize(np.stack([member.vector]), pooling.members)[0]  # type: ignore[list-item]
        if thumbnails:
            group.thumbnail = to_contact_sheet([member.thumbnail for member in readable if member.thumbnail])
        group.digest = hashlib.sha256("".join(sorted(member.digest for member in readable)).encode()).hexdigest()
        group.vector = pooling.pool(np.stack([member.vector for member in readable if member.vector is not None]))
    except Exception as error:  # as with a picture, one bad group must not end the run
        group.error = f"its pictures cannot be pooled: {str(error) or type(error).__name__}"
    return group


def batch_of(pairs: Sequence[tuple[Item, EmbeddedPicture]], dimension: int) -> Batch:
    """Put pictures or groups together that were embedded to vectors of some dimension."""
    readable = [(place, result.vector) for place, (_, result) in enumerate(pairs) if result.vector is not None]
    vectors = [vector for _, vector in readable]
    return Batch(
        [item.name for item, _ in pairs],
        {place: result.error for place, (_, result) in enumerate(pairs) if result.error is not None},
        np.array([place for place, _ in readable], np.int64),
        np.stack(vectors) if vectors else np.empty((0, dimension), np.float32),
        pairs,
        [result.digest for _, result in pairs if result.vector is not None],
        [keep_source(item, result) for item, result in pairs],
        noticed=[one for item, result in pairs for one in noticed(item.name, result)],
    )


def keep_source(item: Item, result: EmbeddedPicture) -> Item:
    """Return an item from which its picture can be read later; of an item from memory only the thumbnail is kept."""
    if not item.in_memory:
        return item
    if item.members is None:
        return replace(item, content=result.thumbnail, mask=None)
    members = (keep_source(member, embedded) for member, embedded in zip(item.members, result.members, strict=True))
    return replace(item, members=tuple(members))


def members_of(
    detector: Detector, pooling: Pooling, item: Item, group: EmbeddedPicture, positions: Positions
) -> list[Member]:
    """List the members that pull a group away most; positions : of its neighbours."""
    readable = [
        (member.name, embedded.vector)
        for member, embedded in zip(item.members or (), group.members, strict=True)
        if embedded.vector is not None
    ]
    members = np.stack([vector for _, vector in readable])
    (near,) = detector.compared_with(pooling.pool(members)[None], positions[None])
    shares = pooling.shares(members, near)
    most = np.argsort(-shares, kind="stable")[:MEMBERS_NAMED]
    return [Member(readable[place][0], float(shares[place])) for place in most]


def unreadable_members(item: Item, result: EmbeddedPicture) -> tuple[Member, ...]:
    """List the members of a group that could not be read, with the reason."""
    return tuple(
        Member(member.name, error=embedded.error)
        for member, embedded in zip(item.members or (), result.members, strict=True)
        if embedded.error is not None
    )


def unreadable_rows(item: Item, result: EmbeddedPicture) -> list[Row]:
    """Return a row with its error for an item, or for each member of a group, that could not be read."""
    rows = [] if result.error is None else [Row(item.name, error=result.error)]
    return rows + [Row(f"{item.name}/{member.item}", error=member.error) for member in unreadable_members(item, result)]

"""Items to embeddings, with what became of each item."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.images import SUFFIXES, to_contact_sheet
from dn2.embed.pipeline import Embedded
from dn2.errors import InputError
from dn2.inputs.files import Inputs, Item, find_items
from dn2.neighbors.groups import Pooling
from dn2.neighbors.normalize import normalize
from dn2.store.cache import Cache
from dn2.store.rows import Member, Row

Progress = Callable[[int, int], None]
Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class EmbeddedItems:
    """The items that can be read, and rows with the error of the others.

    vectors : (n, d) float32, before any normalisation; digests and thumbnails : of each item where asked for."""

    items: list[Item]
    vectors: Vectors
    digests: list[str]
    thumbnails: list[bytes]
    unreadable: list[Row]


def embed_inputs(
    inputs: Inputs,
    *,
    backbone: str = "lite0",
    precision: str = "auto",
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> EmbeddedItems:
    """Embed items alone; parameters and errors as in `dn2.fit`."""
    embedder = ImageEmbedder(backbone, precision=precision, cache=cache)
    return embed_items(embedder, find_items(inputs, SUFFIXES), progress)


def embed_items(
    embedder: ImageEmbedder,
    items: Sequence[Item],
    progress: Progress | None,
    *,
    reference: bool = False,
    pooling: Pooling | None = None,
) -> EmbeddedItems:
    """Embed items in order.

    reference : also keep what a reference item needs, its digest and its thumbnail.
    pooling : how groups become items.
    Raises InputError if none of them can be read."""
    vectors = np.empty((len(items), embedder.dimension), np.float32)
    done = EmbeddedItems([], vectors, [], [], [])
    for number, one in enumerate(embed(embedder, items, thumbnails=reference, pooling=pooling)):
        item = items[number]
        done.unreadable.extend(unreadable_rows(item, one))
        if one.vector is not None:
            vectors[len(done.items)] = one.vector
            done.items.append(item)
            if reference:
                done.digests.append(one.digest)
                done.thumbnails.append(one.thumbnail or b"")
        if progress is not None:
            progress(number + 1, len(items))
    if not done.items:
        raise InputError(f"none of the {len(items)} items can be read; {items[0].name!r}: {done.unreadable[0].error}")
    return EmbeddedItems(done.items, vectors[: len(done.items)], done.digests, done.thumbnails, done.unreadable)


def embed(
    embedder: ImageEmbedder, items: Sequence[Item], *, thumbnails: bool = False, pooling: Pooling | None = None
) -> Iterator[Embedded]:
    """Embed items, single ones and groups, in order; those that cannot be read come with their error."""
    paths = (file.path for item in items for file in ([item] if item.members is None else item.members))
    embedded = embedder.embed(paths, thumbnails=thumbnails)
    for item in items:
        if item.members is None:
            yield next(embedded)
        else:
            assert pooling is not None
            yield _group(item, list(islice(embedded, len(item.members))), thumbnails, pooling)


def _group(item: Item, members: list[Embedded], thumbnails: bool, pooling: Pooling) -> Embedded:
    """Pool the members of a group that can be read; it comes with its error where that fails."""
    group = Embedded(item.path, members=members)
    readable = [one for one in members if one.vector is not None]
    if not readable:
        group.error = f"none of its {len(members)} pictures can be read" if members else "a group without pictures"
        return group
    try:
        for one in readable:
            one.vector = normalize(np.stack([one.vector]), pooling.members)[0]  # type: ignore[list-item]
        if thumbnails:
            group.thumbnail = to_contact_sheet([one.thumbnail for one in readable if one.thumbnail])
        group.digest = hashlib.sha256("".join(sorted(one.digest for one in readable)).encode()).hexdigest()
        group.vector = pooling.pool(np.stack([one.vector for one in readable if one.vector is not None]))
    except Exception as error:  # as of a picture: one group must not end a run
        group.error = f"its pictures cannot be pooled: {str(error) or type(error).__name__}"
    return group


def unreadable_members(item: Item, one: Embedded) -> tuple[Member, ...]:
    """List the members of a group that could not be read, with the reason."""
    return tuple(
        Member(member.name, error=embedded.error)
        for member, embedded in zip(item.members or (), one.members, strict=True)
        if embedded.error is not None
    )


def unreadable_rows(item: Item, one: Embedded) -> list[Row]:
    """Return a row with its error for an item, or for each member of a group, that could not be read."""
    rows = [] if one.error is None else [Row(item.name, error=one.error)]
    return rows + [Row(f"{item.name}/{member.item}", error=member.error) for member in unreadable_members(item, one)]

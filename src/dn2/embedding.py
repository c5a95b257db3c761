"""Items to embeddings, with what became of each item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.images import SUFFIXES
from dn2.errors import InputError
from dn2.inputs import Inputs, Item, find_items
from dn2.store.cache import Cache
from dn2.store.results import Row

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
    embedder: ImageEmbedder, items: Sequence[Item], progress: Progress | None, *, reference: bool = False
) -> EmbeddedItems:
    """Embed items in order.

    reference : also keep what a reference item needs, its digest and its thumbnail.
    Raises InputError if none of them can be read."""
    vectors = np.empty((len(items), embedder.network.dimension), np.float32)
    done = EmbeddedItems([], vectors, [], [], [])
    embedded = embedder.embed((item.path for item in items), thumbnails=reference)
    for number, (item, one) in enumerate(zip(items, embedded, strict=True), 1):
        if one.vector is None:
            done.unreadable.append(Row(item.name, error=one.error))
        else:
            vectors[len(done.items)] = one.vector
            done.items.append(item)
            if reference:
                done.digests.append(one.digest)
                done.thumbnails.append(one.thumbnail or b"")
        if progress is not None:
            progress(number, len(items))
    if not done.items:
        raise InputError(f"none of the {len(items)} items can be read; {items[0].name!r}: {done.unreadable[0].error}")
    return EmbeddedItems(done.items, vectors[: len(done.items)], done.digests, done.thumbnails, done.unreadable)

"""Small pictures for a page: of items, of groups' members and of reference items, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice

from dn2.arrays import Progress
from dn2.errors import UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.exchange import ReferenceItem
from dn2.networks.decoding import UPRIGHT_SIZE
from dn2.networks.pixels import (
    SHEET_CELLS,
    THUMBNAIL_SIZE,
    is_thumbnail,
    read_small,
    to_contact_sheet,
    to_thumbnail,
)
from dn2.networks.sources import open_picture
from dn2.store.packed import PackedBytes
from dn2.system.processes import cpu_count

MOST_PICTURES = 2_000  # on a page, of the most anomalous items and their neighbours, so that the file stays small
LARGE_SIZE = 1_200  # pixels a side, at most, of what a large view shows


class ItemPictures:
    """Reads the pictures of scored items from their files, and of reference items from a model's thumbnails; items from
    memory keep only a small picture.

    thumbnails : of the reference items, in their order; files : of the scored items, None for a missing file.
    white : see `dn2.networks.decoding.open_decoded`."""

    def __init__(
        self,
        thumbnails: PackedBytes,
        reference: Sequence[ReferenceItem],
        files: Sequence[Item | None],
        progress: Progress | None,
        white: int | None = None,
    ) -> None:
        self._thumbnails = thumbnails
        self._reference = reference
        self._files = {item.name: item for item in files if item is not None}
        self._progress = progress
        self._white = white

    def of_items(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See `dn2.kinds.exchange.Pictures`."""
        names_wanted = set(names)
        members = [
            replace(member, name=f"{group.name}/{member.name}")
            for name in names
            if (group := self._files.get(name)) is not None
            for member in group.members or ()
            if f"{group.name}/{member.name}" in names_wanted
        ]
        items = [self._files[name] for name in names if name in self._files]
        return self._read({item.name: item for item in (*items, *members)})

    def of_reference(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See `dn2.kinds.exchange.Pictures`."""
        places = {item.name: place for place, item in enumerate(self._reference)}  # without the items removed since
        kept = {name: bytes(self._thumbnails[places[name]]) for name in names if name in places}
        return {name: thumbnail for name, thumbnail in kept.items() if is_thumbnail(thumbnail)}

    def large_of_items(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See `dn2.kinds.exchange.Pictures`."""
        items = [self._files[name] for name in names if name in self._files]
        return self._read_large({item.name: (item.origin, "") for item in items if item.members is None})

    def large_of_reference(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """See `dn2.kinds.exchange.Pictures`."""
        wanted = set(names)
        items = [item for item in self._reference if item.name in wanted]
        return self._read_large({item.name: (item.path, item.sha256) for item in items if item.sha256})

    def _read_large(self, files: Mapping[str, tuple[str, str]]) -> dict[str, bytes]:
        """Read files as large pictures; files : by name, the path and, if it is to be the same, the digest."""
        with ThreadPoolExecutor(cpu_count()) as pool:
            read = pool.map(partial(_large, white=self._white), *zip(*files.values(), strict=True)) if files else ()
            return {name: picture for name, picture in zip(files, read, strict=True) if picture is not None}

    def _read(self, items: Mapping[str, Item]) -> dict[str, bytes]:
        pictures_read: dict[str, bytes] = {}
        with ThreadPoolExecutor(cpu_count()) as pool:
            try:
                pictures = zip(items, pool.map(partial(_picture, white=self._white), items.values()), strict=True)
                for done, (name, picture) in enumerate(pictures, 1):
                    if picture is not None:
                        pictures_read[name] = picture
                    if self._progress is not None:
                        self._progress(done, len(items))
            finally:
                pool.shutdown(cancel_futures=True)  # an interrupted run does not wait for queued pictures
        return pictures_read


def _picture(item: Item, white: int | None) -> bytes | None:
    if item.members is None:
        small: bytes | None = item.content if item.in_memory else read_small(item.path, white)
        return small
    read = (_picture(member, white) for member in item.members)
    sheet = list(islice((picture for picture in read if picture is not None), SHEET_CELLS))
    return to_contact_sheet(sheet) if sheet else None


def _large(path: str, digest: str, *, white: int | None) -> bytes | None:
    """Read a file as a JPEG: empty bytes where the small one shows all of it, None where it cannot be read."""
    if not path:
        return None
    try:
        with open_picture(path, white) as source:
            if digest and source.digest != digest:
                return None
            with source.decoded((LARGE_SIZE, LARGE_SIZE)) as picture:
                is_small = max(picture.info[UPRIGHT_SIZE]) <= THUMBNAIL_SIZE
                return b"" if is_small else to_thumbnail(picture, LARGE_SIZE)
    except UnreadableItem:
        return None

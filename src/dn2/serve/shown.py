"""Items that are kept for people, shown: their pictures, maps and crops, and the page on which they are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from dn2.inputs.items import Item
from dn2.kinds.exchange import Pictures
from dn2.model.state import State
from dn2.results.files import row_of
from dn2.results.rows import Row
from dn2.serve.limits import Refused
from dn2.serve.packing import unpack
from dn2.serve.service import AUDIT, Service
from dn2.serve.store import Kept


def picture_of(service: Service, kept: Kept) -> bytes:
    """Return the picture of an item as a JPEG.  Raises Refused."""
    row, pictures = _opened(service, kept)
    found = pictures.large_of_items([row.item])
    return found.get(row.item) or pictures.of_items([row.item]).get(row.item) or _gone()


def map_of(service: Service, kept: Kept) -> bytes:
    """Return the map of an item as a PNG.  Raises Refused."""
    drawn: bytes | None = _located(service, kept).map
    return drawn or _gone()


def crop_of(service: Service, kept: Kept, number: int) -> bytes:
    """Return the surroundings of a region of an item as a JPEG.  Raises Refused."""
    crops = _located(service, kept).crops
    if not 0 <= number < len(crops):
        raise Refused(404, f"the item has {len(crops)} crops, of its strangest regions, counted from 0")
    own: bytes = crops[number].own
    return own


def _located(service: Service, kept: Kept) -> Any:
    """Return where an item is strange.  Raises Refused."""
    if kept.why == AUDIT and kept.verdict is None:
        raise Refused(409, "the item is to be audited: say what it is before anything tells how it was scored")
    row, pictures = _opened(service, kept)
    if row.regions is None:
        raise Refused(404, "maps are of models that were fitted with --patches, and this model was not")
    located: Any = pictures
    return located.located([row]).get(row.item) or _gone()


def _opened(service: Service, kept: Kept) -> tuple[Row, Pictures]:
    """Return an item's row, and what reads its pictures."""
    state = service.models.of(kept.model).state
    row = row_shown(kept, state)
    pictures = state.kind.pictures([file_of(service, kept, row.item)], state, None)
    if pictures is None:
        raise Refused(404, f"{state.kind.many} have no pictures")
    return row, pictures


def row_shown(kept: Kept, state: State) -> Row:
    """Return the row of an item."""
    return row_of(kept.record, f"the item {kept.id}", state.kind.evidence)


def rows_shown(kept: Sequence[Kept], state: State) -> list[Row]:
    """Return the rows of items, those that share a name with their ids."""
    rows = [row_shown(one, state) for one in kept]
    counts = Counter(row.item for row in rows)
    return [
        replace(row, item=f"{row.item} · {one.id}") if counts[row.item] > 1 else row
        for one, row in zip(kept, rows, strict=True)
    ]


def file_of(service: Service, kept: Kept, name: str) -> Item:
    """Return an item as it was sent.  Raises Refused once that is not kept any more."""
    content = service.store.content(kept.id)
    if content is None:
        _gone()
    item = unpack(content)
    if isinstance(item, tuple):
        members = tuple(
            Item(f"picture {number}", Path(), content=picture, in_memory=True) for number, picture in enumerate(item, 1)
        )
        return Item(name, Path(), members, in_memory=True)
    return Item(name, Path(), content=item, in_memory=True)


def files_of(service: Service, kept: Sequence[Kept], rows: Sequence[Row]) -> list[Item]:
    """Return items as they were sent."""
    return [file_of(service, one, row.item) for one, row in zip(kept, rows, strict=True)]


def _gone() -> NoReturn:
    raise Refused(410, "what was sent is not kept any more, or cannot be read")

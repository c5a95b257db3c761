"""Masks that say where pictures are looked at: one for all of them, or one for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.image.labelled.masks import Mask, flags_of
from dn2.kinds.image.labelled.pairs import WHERE_MASKS_LIE, FoundMask, MaskFolder, refuse_shared
from dn2.kinds.image.reading import is_clearly_one
from dn2.networks.looking import write_region
from dn2.networks.sources import open_picture
from dn2.system.interface import option

Read = Callable[[], bytes]  # gives the region of a picture, see `dn2.networks.sources.Viewed`


def region_of(mask: str) -> bytes:
    """Read the one mask of all pictures from a file.

    Raises InputError for a file that is no picture, and for one that is black all over."""
    try:
        return read_mask(mask)
    except UnreadableItem as error:
        raise InputError(
            f"{option('mask', mask)} must be a picture, white where pictures are looked at, or a folder with one for "
            f"each: {error}"
        ) from error


def read_mask(mask: Any) -> bytes:
    """Read a mask, from a file or from memory: the region of `dn2.networks.pixels.Preprocessing`.

    Raises UnreadableItem."""
    if isinstance(mask, (str, os.PathLike)):
        path = Path(mask)
        white = Mask(path).read()
        try:
            return write_region(white)
        except UnreadableItem as error:
            raise UnreadableItem(f"the mask {path}: {error}") from error
    if isinstance(mask, np.ndarray) and mask.dtype == bool:
        mask = mask.astype(np.uint8)
    try:
        with open_picture(mask) as picture, picture.decoded(None) as image:
            return write_region(flags_of(image, is_jpeg=picture.scales))
    except UnreadableItem as error:
        raise UnreadableItem(f"the mask: {error}") from error


def with_masks(items: Sequence[Item], masks: Any) -> list[Item]:
    """Return pictures with the masks of each.

    masks : a folder of masks, or one for each picture, in order: paths, or pictures in memory.
    Raises InputError unless there are such; of a picture whose mask is missing, that is told as it is read."""
    if not isinstance(masks, (str, os.PathLike)):
        return [replace(item, mask=read) for item, read in zip(items, _listed(masks, len(items)), strict=True)]
    if not os.path.isdir(masks):
        raise InputError(f"{option('mask')} names a folder of masks here, got {os.fspath(masks)!r}, which is none")
    found = refuse_shared(MaskFolder(Path(masks)).find_each(items))
    if not any(mask.path for mask in found):
        problems = [mask.problem for mask in found if mask.problem]
        raise InputError(
            f"{os.fspath(masks)} must hold a mask of each picture, {WHERE_MASKS_LIE}; {items[0].name} has none"
            + (f": {problems[0]}" if problems else "")
        )
    return [replace(item, mask=_read(item, mask, masks)) for item, mask in zip(items, found, strict=True)]


def _listed(masks: Any, n: int) -> list[Read]:
    listed = list(masks) if isinstance(masks, (list, tuple, np.ndarray)) else []
    if len(listed) != n or not all(isinstance(mask, (str, os.PathLike)) or is_clearly_one(mask) for mask in listed):
        raise InputError(
            f"{option('mask')} must be a folder of masks, or a list of one for each of the {n:,} pictures, got "
            f"{f'a list of {len(listed):,}' if listed else type(masks).__name__}"
        )
    return [partial(read_mask, mask) for mask in listed]


def _read(item: Item, found: FoundMask, masks: str | os.PathLike[str]) -> Read:
    """Return what reads the mask of a picture, or tells why it cannot be had."""
    if found.path is not None:
        return partial(read_mask, found.path)
    looked_for = PurePath(masks, PurePath(item.name).with_suffix(""))
    return partial(_refuse, found.problem or f"it has no mask: {looked_for} was looked for, {WHERE_MASKS_LIE}")


def _refuse(words: str) -> bytes:
    raise UnreadableItem(words)

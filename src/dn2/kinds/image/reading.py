"""Pictures, from files and from memory, to items."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.inputs.files import check_item_names, find_groups, find_items
from dn2.inputs.items import Item
from dn2.inputs.memory import label_items, number_items, type_of
from dn2.networks.pixels import SUFFIXES
from dn2.networks.sources import is_picture
from dn2.system.stores import AnyPath

CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class FoundImages:
    """Pictures, or groups of them."""

    items: Sequence[Item]

    @property
    def names(self) -> list[str]:
        """The names of all items, in order."""
        return [item.name for item in self.items]

    @property
    def paths(self) -> list[str | AnyPath]:
        """The files or folders of all items, in order; empty for items from memory."""
        return ["" if item.in_memory else item.path for item in self.items]

    @property
    def sources(self) -> list[Any]:
        """What the pictures are read from, those of groups one by one."""
        return [picture.source for item in self.items for picture in ([item] if item.members is None else item.members)]

    def at(self, places: Sequence[int]) -> FoundImages:
        """Return the pictures at some places."""
        return FoundImages([self.items[place] for place in places])

    def named(self, names: Sequence[str]) -> FoundImages:
        """Return the same pictures with other names."""
        return FoundImages([replace(item, name=name) for item, name in zip(self.items, names, strict=True)])


def are_pictures(inputs: Any) -> bool:
    """Tell whether inputs from memory are most likely pictures: bytes, a picture of Pillow, an array of three or four
    dimensions; a list, a tuple or a dict that holds one of these or a 2-d array; or a dict of such lists."""
    if isinstance(inputs, np.ndarray) and inputs.dtype == object:
        inputs = inputs.tolist()
    if isinstance(inputs, np.ndarray):
        return inputs.ndim == 4 or (inputs.ndim == 3 and inputs.shape[2] in CHANNELS)
    if isinstance(inputs, Mapping):  # pictures or groups, by name
        return any(
            is_clearly_one(value) or (isinstance(value, list) and are_pictures(value)) for value in inputs.values()
        )
    return is_clearly_one(inputs) or (isinstance(inputs, (list, tuple)) and any(map(is_clearly_one, inputs)))


def is_clearly_one(value: Any) -> bool:
    """Tell whether a value is one picture in memory, rather than a row of numbers."""
    return is_picture(value) and (not isinstance(value, np.ndarray) or value.ndim > 1)


def list_pictures(inputs: Any) -> Any:
    """Put a single picture, or an array of n pictures, into a list; return any other inputs unchanged."""
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "OSU":
        return inputs.tolist()
    if isinstance(inputs, np.ndarray) and inputs.ndim == 4:
        return list(inputs)
    return [inputs] if is_picture(inputs) else inputs


def find_pictures(inputs: Any) -> list[Item]:
    """List the pictures that inputs are or name.

    inputs : paths as `find_items` takes them; one picture in memory: an array of uint8, a picture of Pillow, or the
        bytes of a file; an array (n, height, width, c) of n pictures; a list or a tuple of pictures, among which may be
        paths; or a dict of pictures by name.
    A picture in memory is named by its position in the list, from `picture 1` on, or by its key.
    Raises InputError unless pictures are found and their names differ."""
    if isinstance(inputs, Mapping):
        return _items_of_dict(inputs)
    inputs = list_pictures(inputs)
    if not (isinstance(inputs, (list, tuple)) and any(map(is_picture, inputs))):
        return find_items(inputs, SUFFIXES)
    items: list[Item] = []
    for name, picture in zip(number_items("picture", len(inputs)), inputs, strict=True):
        is_path = isinstance(picture, (str, os.PathLike))
        items += find_items(picture, SUFFIXES) if is_path else [_item_in_memory(name, picture)]
    check_item_names(items)
    return items


def find_picture_groups(inputs: Any) -> list[Item]:
    """List the groups that inputs are or name: folders as `find_groups` takes them, or a dict of lists of pictures in
    memory by the names of the groups.

    Raises InputError as `find_pictures` does, and for pictures outside of groups."""
    if not isinstance(inputs, Mapping) and are_pictures(inputs):
        raise InputError("groups from memory come as a dict of lists of pictures, by the names of the groups")
    if not isinstance(inputs, Mapping):
        return find_groups(inputs, SUFFIXES)
    groups = []
    for name, members in zip(label_items(inputs), inputs.values(), strict=True):
        if not isinstance(members, (list, tuple, Mapping)) and getattr(members, "ndim", 0) != 4:
            raise InputError(f"the group {name!r} must be a list of pictures, got {type_of(members)}")
        pictures = find_pictures(members) if len(members) else []
        groups.append(Item(name, Path(), tuple(pictures), in_memory=True))
    if not groups:
        raise InputError("no group given: the dict is empty")
    return groups


def _items_of_dict(inputs: Mapping[Any, Any]) -> list[Item]:
    if not inputs:
        raise InputError("no picture given: the dict is empty")
    if paths := [picture for picture in inputs.values() if isinstance(picture, (str, os.PathLike))]:
        raise InputError(f"a dict names pictures from memory; {str(paths[0])!r} is named by its path: give a list")
    return [_item_in_memory(name, picture) for name, picture in zip(label_items(inputs), inputs.values(), strict=True)]


def _item_in_memory(name: str, content: Any) -> Item:
    return Item(name, Path(), content=content, in_memory=True)

"""Pictures and their masks, found for each other by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.folders import walk_files
from dn2.inputs.items import Item
from dn2.networks.pixels import SUFFIXES
from dn2.system.naming import absolute, ending_of

# What follows the name of the picture in that of its mask, in any case; a mask named alike comes first.
MASK_ENDINGS = ("", "_mask", "_gt", "_label")
WHERE_MASKS_LIE = (
    "at its picture's path or as much of the end of it as there is, with _mask, _GT, _label or nothing after the name"
)


class FoundMask(NamedTuple):
    """The mask of a picture, None where there is none; problem : why that is not known."""

    path: Path | None = None
    problem: str | None = None


class MaskFolder:
    """The masks below a folder, by the path of the picture that they are of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[tuple[str, str], list[Path]] = {}
        self._found: set[Path] = set()
        self.paths = list_pictures(folder) if folder.is_dir() else []
        for path in self.paths:
            of_folder = path.relative_to(folder).parent
            for ending in MASK_ENDINGS:
                if path.stem.casefold().endswith(ending):
                    name = path.stem[: len(path.stem) - len(ending)]
                    self._paths.setdefault(((of_folder / name).as_posix(), ending), []).append(path)

    def find(self, picture: PurePosixPath) -> Path | None:
        """Return the mask of a picture, by its path relative to a folder, or by as much of the end of it as there is.

        Raises UnreadableItem if there are several."""
        parts = picture.with_suffix("").parts
        for first in range(len(parts)):
            for ending in MASK_ENDINGS:
                paths = self._paths.get(("/".join(parts[first:]), ending), [])
                self._found.update(paths)
                if len(paths) > 1:
                    raise UnreadableItem(f"a picture has one mask, got {paths[0]} and {paths[1]}; remove one")
                if paths:
                    return paths[0]
        return None

    def find_each(self, items: Sequence[Item]) -> list[FoundMask]:
        """Find the masks of pictures by their whole paths, of those in memory by their names.

        Raises InputError where a mask is one of the pictures itself."""
        found = [self._find(item) for item in items]
        pictures = {os.path.realpath(item.path) for item in items if not item.in_memory}
        for mask in (one.path for one in found if one.path is not None):
            if os.path.realpath(mask) in pictures:
                raise InputError(
                    f"{self.folder} must hold masks, and {mask} is one of the pictures; name a folder of masks"
                )
        return found

    def _find(self, item: Item) -> FoundMask:
        try:
            name = item.name if item.in_memory else Path(absolute(item.path)).as_posix()
            return FoundMask(self.find(PurePosixPath(name)))
        except UnreadableItem as error:
            return FoundMask(problem=str(error))

    @property
    def unused(self) -> list[Path]:
        """The masks that were found for no picture."""
        return [path for path in self.paths if path not in self._found]


def refuse_shared(found: Sequence[FoundMask]) -> list[FoundMask]:
    """Take the mask from pictures that share it."""
    users = Counter(one.path for one in found if one.path is not None)
    return [
        one
        if one.path is None or users[one.path] == 1
        else FoundMask(problem=f"a mask is of one picture, and {one.path} would be of {users[one.path]:,}")
        for one in found
    ]


def pair_beside(paths: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """Return each picture with the mask that lies beside it, or None: `x.png` and `x_mask.png`, `x_GT.png` or
    `x_label.bmp`."""
    by_stem = {(path.parent, path.stem.casefold()): path for path in reversed(paths)}
    masks: dict[Path, Path] = {}
    for path in paths:
        for ending in MASK_ENDINGS[1:]:
            stem = path.stem.casefold()
            picture = by_stem.get((path.parent, stem.removesuffix(ending)))
            if stem.endswith(ending) and picture is not None:
                masks.setdefault(picture, path)
    taken = set(masks.values())
    return [(path, masks.get(path)) for path in paths if path not in taken]


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures below a folder, as `dn2.inputs.folders.walk_files` finds them."""
    return [path for path in walk_files(folder) if ending_of(path) in SUFFIXES]


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder itself, in order; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file())
    except OSError:
        return []
    return [folder / name for name in names if ending_of(name) in SUFFIXES]


def subfolders(folder: Path) -> list[str]:
    """Return the names of the visible folders in a folder, in order; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return []


def called(names: Iterable[str], words: frozenset[str]) -> list[str]:
    """Return the names that are, in any case, among some words."""
    return [name for name in names if name.casefold() in words]

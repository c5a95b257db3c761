"""Items before they are read: from a file, a pipe or memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dn2.system.stores import AnyPath


@dataclass(frozen=True)
class Item:
    """One thing to score: the name it goes by everywhere, and its file, which may be an object in a store.

    members : the items of a group, whose path is a folder, named by their path in it; None for a single item.
    in_folder : whether the input was a folder that holds the file, and not the file itself.
    is_piped : whether the item came through a pipe, so that its file is gone after the run.
    in_memory : whether the item came from memory; it is then `content`, and its path has no meaning.
    mask : of a picture that has a mask of its own, what reads that: see `dn2.networks.sources.Viewed`."""

    name: str
    path: AnyPath
    members: tuple[Item, ...] | None = None
    in_folder: bool = False
    is_piped: bool = False
    in_memory: bool = False
    content: Any = field(default=None, compare=False, repr=False)
    mask: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def source(self) -> Any:
        """The content of an item from memory, else the path to read it from; with its mask if it has one."""
        content = self.content if self.in_memory else self.path
        if self.mask is None:
            return content
        from dn2.networks.sources import Viewed  # which takes a while to import, and most items are no pictures

        return Viewed(content, self.mask)

    @property
    def origin(self) -> str:
        """The path of its file, or the URL of the object; empty where the file does not outlive the run."""
        return "" if self.is_piped or self.in_memory else str(self.path)


@dataclass(frozen=True)
class FilesIn(os.PathLike[str]):
    """Some of the files in a folder, with the names that they have as items of the whole folder."""

    folder: Path
    files: tuple[Path, ...]

    def __fspath__(self) -> str:
        return str(self.folder)


@dataclass(frozen=True)
class Piped(os.PathLike[str]):
    """A file with the bytes that came through a pipe.

    name : what messages call it, in place of the file's path.
    is_list : whether the file lists paths, one a line, as the file of an `@list.txt` does."""

    path: Path
    name: str
    is_list: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

"""What a search of folders leaves out: what the user excludes, and what drives and systems keep for themselves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import PurePath
from types import NoneType
from typing import Any

from dn2.errors import InputError
from dn2.inputs.globs import ANY_DEPTH, first_places, next_places
from dn2.system.interface import option

logger = logging.getLogger("dn2")

NAMED = 3  # folders that a line names

# Thumbnails, deleted files and snapshots of network drives and systems; others of theirs are hidden.
OF_DRIVES = frozenset(
    {
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__macosx",
    }
)


@dataclass
class LeftOut:
    """What is to be left out, and what was.

    patterns : the parts of each glob, by the glob as it was given."""

    patterns: dict[str, tuple[str, ...]]
    by_pattern: dict[str, set[str]] = field(default_factory=dict)
    of_drives: set[str] = field(default_factory=set)

    def tell(self) -> None:
        """Say what was left out."""
        for glob in self.patterns:
            if paths := self.by_pattern.get(glob):
                logger.info("%s: %s left out", option("exclude", glob), _name_few(paths))
            else:
                logger.warning("%s matches nothing in the folders", option("exclude", glob))
        if self.of_drives:
            logger.info("folders that a drive keeps for itself left out: %s", _name_few(self.of_drives))


_NOTHING = LeftOut({})
_left_out: ContextVar[LeftOut] = ContextVar("left_out", default=_NOTHING)


@contextmanager
def leaving_out(globs: str | Sequence[str] | None, *, is_told: bool = True) -> Iterator[None]:
    """Leave out of all folders that are searched inside what a glob matches.

    globs : matched against the path of a file or a folder within the folder that the user names, or against its name
        alone if the glob has no slash; `**` stands for folders to any depth, and what lies in a folder goes with it.
        Of a glob that names inputs, that folder is the part before its first wildcard.
    is_told : whether to say at the end what was left out.
    Raises InputError for a glob that is no text, or names nothing."""
    is_one = isinstance(globs, (str, bytes)) or not isinstance(globs, (Iterable, NoneType))
    several: list[Any] = [globs] if is_one else list(() if globs is None else globs)
    if wrong := [glob for glob in several if not isinstance(glob, str) or not _names(glob)]:
        raise InputError(f"{option('exclude')} must be globs such as '*_mask.png' or 'test/**', got {wrong[0]!r:.80}")
    left_out = LeftOut({glob: _parts(glob) for glob in several})
    token = _left_out.set(left_out)
    try:
        yield
    finally:
        _left_out.reset(token)
    if is_told:
        left_out.tell()


def is_left_out(parts: tuple[str, ...], *, is_folder: bool, is_named: bool = False) -> bool:
    """Tell whether a file or a folder is left out, and note it if so.

    parts : of its path within the folder that the user names.
    is_named : whether the user names folders in it, which are then no drive's own."""
    now = _left_out.get()
    if is_folder and not is_named and parts[-1].casefold() in OF_DRIVES:
        if now is not _NOTHING:
            now.of_drives.add("/".join(parts))
        return True
    for glob, pattern in now.patterns.items():
        if _matches(parts, pattern):
            now.by_pattern.setdefault(glob, set()).add("/".join(parts))
            return True
    return False


def any_left_out(path: PurePath, pattern: str) -> bool:
    """Tell whether a file that a glob matches is left out, or a folder on the way to it from where wildcards begin."""
    wanted = PurePath(pattern).parts
    start = next((place for place, part in enumerate(wanted) if has_magic(part)), len(wanted) - 1)
    parts = path.parts[start:]
    folders = [parts[:end] for end in range(1, len(parts))]
    named = {part.casefold() for part in wanted[start:]}
    return any(
        is_left_out(folder, is_folder=True, is_named=folder[-1].casefold() in named) for folder in folders
    ) or is_left_out(parts, is_folder=False)


def _names(glob: str) -> tuple[str, ...]:
    return tuple(part for part in glob.split("/") if part not in ("", "."))


def _parts(glob: str) -> tuple[str, ...]:
    names = _names(glob)
    return names if len(names) > 1 else (ANY_DEPTH, *names)


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether the parts of a path match those of a glob."""
    places = first_places(pattern)
    for part in parts:
        places = next_places(part, places, pattern)
    return len(pattern) in places


def _name_few(paths: set[str]) -> str:
    first = sorted(paths)[:NAMED]
    return ", ".join(first) + (f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else "")

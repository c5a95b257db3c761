"""Walks through folders, which end however deep the folders are and wherever their links lead."""

from __future__ import annotations

import glob
import logging
import os
from collections import deque
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path, PurePath

from dn2.errors import InputError
from dn2.inputs.globs import ANY_DEPTH, first_places, next_places
from dn2.inputs.leaving_out import any_left_out, is_left_out
from dn2.system.stores import StoredPath

logger = logging.getLogger("dn2")

LONGEST_SHOWN = 200

Folder = tuple[int, int | str]  # what identifies it: device and inode, or its path where a system has no inodes


def walk(folder: Path | StoredPath, within: tuple[str, ...] = ()) -> Iterator[Path | StoredPath]:
    """Give the files below a folder, or the objects below one in a store; see `walk_files`."""
    return walk_objects(folder, within) if isinstance(folder, StoredPath) else walk_files(folder, within)


def walk_files(folder: Path, within: tuple[str, ...] = (), lost: set[Path] | None = None) -> Iterator[Path]:
    """Give the files below a folder: each level in the order of names, files before folders.

    Hidden files and folders are left out, and what `leaving_out` says; links are followed, and each real folder is
    visited once.  A folder that cannot be read is passed over with a warning.

    within : the path of the folder in the one that the user names.
    lost : the folders that could not be read at an earlier walk, which are not warned of again; changed in place."""
    visited: set[Folder] = set()
    waiting = [(folder, within)]
    while waiting:
        parent, parts = waiting.pop()
        opened = _open(parent, lost)
        if opened is None or opened[0] in visited:  # a link back up, or a second way to the same folder
            continue
        visited.add(opened[0])
        folders, files = _sort_out(opened[1], parts)
        yield from (parent / name for name in files)
        waiting += [(parent / name, (*parts, name)) for name in reversed(folders)]


def walk_objects(folder: StoredPath, within: tuple[str, ...] = ()) -> Iterator[StoredPath]:
    """Give the objects below a folder in a store, in the same order, leaving out the same; see `walk_files`."""
    left_out = cache(partial(is_left_out, is_folder=True))  # few folders hold many objects
    paths = {folder.within(path).parts: path for path in folder.objects or ()}
    for parts in sorted(paths, key=_as_walked):
        whole = (*within, *parts)
        inside = (whole[:end] for end in range(len(within) + 1, len(whole)))
        is_out = any(part.startswith(".") for part in parts) or any(map(left_out, inside))
        if not is_out and not is_left_out(whole, is_folder=False):
            yield paths[parts]


def _as_walked(parts: tuple[str, ...]) -> list[tuple[bool, bytes]]:
    """Return what orders paths as a walk meets them: files before folders."""
    return [(place < len(parts) - 1, os.fsencode(part)) for place, part in enumerate(parts)]


def list_subfolders(folder: Path | StoredPath) -> tuple[list[str], int]:
    """Return the names of the visible folders in a folder, in order, and the number of visible files beside them.

    Raises InputError if the folder cannot be read."""
    if isinstance(folder, StoredPath):
        paths = [folder.within(path).parts for path in walk_objects(folder)]
        names = dict.fromkeys(first for first, *others in paths if others)
        return list(names), sum(len(parts) == 1 for parts in paths)
    opened = _open(folder)
    if opened is None:
        raise InputError(f"the folder {folder} cannot be read")
    folders, files = _sort_out(opened[1], ())
    return folders, len(files)


def _sort_out(entries: list[os.DirEntry[str]], parts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the names of the folders and of the files of a folder that are neither hidden nor left out."""
    names: tuple[list[str], list[str]] = ([], [])
    for entry in entries:
        if not entry.name.startswith("."):
            is_folder = _is_folder(entry)
            if not is_left_out((*parts, entry.name), is_folder=is_folder):
                names[not is_folder].append(entry.name)
    return names


def match_glob(pattern: str) -> list[Path]:
    """List the files that a glob matches, in the order of names; `**` stands for folders to any depth.

    Links are followed, also back up; a file that several matching paths lead to is listed by the shortest.
    Raises InputError for a glob of very many parts."""
    try:
        paths = _any_depth(pattern) if ANY_DEPTH in PurePath(pattern).parts else map(Path, glob.iglob(pattern))
        real = cache(os.path.realpath)  # few folders hold many files
        files: dict[tuple[str, str], Path] = {}
        for match in sorted(paths, key=lambda path: (len(str(path)), path)):
            if not os.path.isdir(match) and not any_left_out(match, pattern):
                files.setdefault((real(str(match.parent)), match.name), match)
    except RecursionError:
        raise InputError(
            f"the glob {_shortened(pattern)} has too many parts; name a folder nearer to the files"
        ) from None
    return sorted(files.values())


def _any_depth(pattern: str) -> Iterator[Path]:
    """Give the files and folders that a glob with `**` in it matches.

    The search state of a folder is the set of places in the pattern that the path to it has reached.  A folder is
    visited once for each such set: links back add nothing, and a match is found by whichever path leads to it."""
    parts = PurePath(pattern).parts
    first = parts.index(ANY_DEPTH)
    before, after = PurePath(*parts[:first]), parts[first:]
    starts = map(Path, sorted(glob.iglob(str(before)))) if glob.has_magic(str(before)) else [Path(before)]
    waiting = deque((start, first_places(after)) for start in starts)
    visited: set[tuple[Folder, frozenset[int]]] = set()
    while waiting:
        folder, places = waiting.popleft()
        opened = _open(folder)
        if opened is None or (opened[0], places) in visited:
            continue
        visited.add((opened[0], places))
        dotted = {place for place in places if place < len(after) and after[place].startswith(".")}
        for entry in opened[1]:  # a name that starts with a dot is matched by a part that does
            reached = next_places(entry.name, dotted if entry.name.startswith(".") else places, after)
            if reached and _is_folder(entry):
                waiting.append((folder / entry.name, reached))
            elif len(after) in reached:
                yield folder / entry.name


def _open(folder: Path, lost: set[Path] | None = None) -> tuple[Folder, list[os.DirEntry[str]]] | None:
    """Return the folder's identity, and its entries ordered by name; None, with a warning, if it cannot be read.

    lost : see `walk_files`."""
    lost = set() if lost is None else lost
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))  # alike in every locale
            lost.discard(folder)
            return (status.st_dev, status.st_ino or os.path.realpath(folder)), ordered
    except OSError as error:
        if folder not in lost:
            shown = _shortened(str(folder))
            logger.warning("the folder %s cannot be read: %s; it is passed over", shown, error.strerror)
        lost.add(folder)
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _shortened(path: str) -> str:
    """Show a path with its middle left out where it is very long."""
    half = LONGEST_SHOWN // 2
    return path if len(path) <= LONGEST_SHOWN else f"{path[:half]}...{path[-half:]}"

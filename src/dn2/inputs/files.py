"""Files and folders that the user names, turned into items."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from dn2.errors import InputError
from dn2.naming import existing, identity, is_possible, path_of_text, path_to_text

logger = logging.getLogger("dn2")

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class Item:
    """One thing to score: the name it goes by everywhere, and its file.

    members : of a group, whose path is a folder, the items in it by their path in the folder; None for a single one.
    in_folder : whether a folder was given that it lies in, and not the file itself."""

    name: str
    path: Path
    members: tuple[Item, ...] | None = None
    in_folder: bool = False


def find_items(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the items that folders, files, globs and `@lists` of paths name.

    suffixes : lower-case endings that make a file in a folder an item; a file named by itself is always one.

    An item in a folder is named by its path relative to that folder, prefixed by the folder's name when several
    inputs are given; any other is named by its path as given.  Names use `/`.  A folder is searched recursively in
    the order of names, hidden files left out, links followed, each real folder visited once.
    Raises InputError if something does not exist, nothing is found, or two items would share a name."""
    given = _given(inputs)
    items: list[Item] = []
    for one in given:
        items += _expand(os.fspath(one), suffixes, several=len(given) > 1)
    if not items:
        raise InputError(
            f"no item found in {_listed(given)}; files ending in {' '.join(sorted(suffixes))} are searched for"
        )
    _check_names(items)
    return items


def find_groups(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the groups that folders hold: each subfolder is one item, and the files anywhere in it are its members.

    A group is named as an item of `find_items` would be.  Files beside the subfolders are passed over.
    Raises InputError for what is no folder, if there is no subfolder, or if two groups would share a name."""
    given = _given(inputs)
    groups: list[Item] = []
    for one in given:
        if not os.path.isdir(one):  # nor is an empty name the working folder
            raise InputError(f"groups are the subfolders of a folder, and {os.fspath(one)!r} is none")
        folder = Path(one)
        prefix = folder.resolve().name if len(given) > 1 else ""
        groups += [_group(folder / name, prefix, suffixes) for name in _subfolders(folder)]
    if not groups:
        raise InputError(f"no group found in {_listed(given)}: each subfolder is one, with its pictures in it")
    _check_names(groups)
    return groups


def find_again(root: Path, name: str, suffixes: frozenset[str], *, group: bool) -> Item | None:
    """Find an item, or a group, by its name below the folder that names start from.

    Returns None if it is not there, or if the name leads out of the folder."""
    try:
        parts = PurePath(path_of_text(name))
    except ValueError:
        return None
    if parts.is_absolute() or ".." in parts.parts:
        return None
    path = Path(existing(str(root / parts)))
    if group:
        return replace(_group(path, "", suffixes), name=name) if os.path.isdir(path) else None
    return Item(name, path) if os.path.isfile(path) else None


def is_among(path: Path, inputs: Inputs, suffixes: frozenset[str]) -> bool:
    """Tell whether a file is one of those that `find_items` would find.  Raises InputError for what does not exist."""
    if not os.path.exists(path):
        return False
    for one in _given(inputs):
        if os.path.isdir(one):  # it may be large, and is searched only if its files may be meant
            files = _files_below(Path(one), suffixes, say=False) if path.suffix.lower() in suffixes else ()
        else:
            files = (item.path for item in _expand(os.fspath(one), suffixes, several=True))
        if any(os.path.exists(file) and path.samefile(file) for file in files):
            return True
    return False


def _given(inputs: Inputs) -> list[str | os.PathLike[str]]:
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    if not given:
        raise InputError("no input given; name a folder, files, a glob or @list.txt")
    if strange := [one for one in given if not isinstance(one, (str, os.PathLike))]:
        raise InputError(f"inputs are named by paths, got {type(strange[0]).__name__} in a {type(inputs).__name__}")
    if impossible := [one for one in given if not is_possible(one)]:
        raise InputError(f"{os.fspath(impossible[0])!r} does not exist, and cannot: it is no path")
    if not all(map(os.path.isabs, given)):
        try:
            os.getcwd()
        except OSError as error:
            raise InputError(f"the working folder cannot be found ({error.strerror}); give whole paths") from error
    return given


def _subfolders(folder: Path) -> list[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror}") from error
    visible = [entry for entry in entries if not entry.name.startswith(".")]
    folders = [entry.name for entry in visible if entry.is_dir()]
    if folders and len(visible) > len(folders):
        logger.info("%s: %d files beside the groups passed over", folder, len(visible) - len(folders))
    return folders


def _group(folder: Path, prefix: str, suffixes: frozenset[str]) -> Item:
    members = tuple(Item(_name(file.relative_to(folder)), file) for file in _files_below(folder, suffixes))
    return Item(_name(PurePath(prefix, folder.name)), folder, members)


def _expand(given: str, suffixes: frozenset[str], several: bool) -> list[Item]:
    if not given:
        raise InputError("an input is empty; name a folder (. for this one), a file, a glob or @list.txt")
    if given.startswith("@") and not os.path.exists(given):
        return [item for line in _read_list(given[1:]) for item in _expand(line, suffixes, several=True)]
    given = existing(given)
    path = Path(given)
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that is too long
        prefix = path.resolve().name if several else ""
        files = _files_below(path, suffixes)
        return [Item(_name(PurePath(prefix, file.relative_to(path))), file, in_folder=True) for file in files]
    if os.path.lexists(path):
        return [Item(_name(path), path)]
    if glob.has_magic(given):
        return [Item(_name(match), match) for match in _matches(given)]
    raise InputError(f"{given!r} does not exist; name a folder, a file, a glob or @list.txt")


def _read_list(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = [line for line in file.read().split("\n") if line.strip()]
    except OSError as error:
        raise InputError(f"the list {path!r} cannot be read: {error.strerror}") from error
    if nested := [line for line in lines if line.startswith("@") and not os.path.exists(line)]:
        raise InputError(f"the list {path!r} names a list, {nested[0]!r}; give both lists instead")
    return lines


def _matches(pattern: str) -> list[Path]:
    """List the files that a glob matches; `**` follows links, also back up, so that each file may match many times."""
    found: dict[tuple[str, str], Path] = {}
    for match in sorted(glob.glob(pattern, recursive=True), key=lambda match: (len(match), match)):
        folder, name = os.path.split(match)
        if not os.path.isdir(match):
            found.setdefault((os.path.realpath(folder), name), Path(match))
    return sorted(found.values())


def _files_below(folder: Path, suffixes: frozenset[str], say: bool = True) -> Iterator[Path]:
    visited: set[str] = set()
    found = skipped = 0
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_warn_of_folder if say else None):
        real = os.path.realpath(parent)
        if real in visited:  # a link back up, or a second way to the same folder
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            if os.path.splitext(name)[1].lower() in suffixes:
                found += 1
                yield Path(parent, name)
            else:
                skipped += 1
    if say and found and skipped:
        logger.info(
            "%s: %d files passed over, whose names do not end in %s", folder, skipped, " ".join(sorted(suffixes))
        )


def _warn_of_folder(error: OSError) -> None:
    logger.warning("the folder %s cannot be read: %s", error.filename, error.strerror)


def _name(path: PurePath) -> str:
    """Write a path with `/`, so that every name can be written."""
    return path_to_text(path.as_posix())


def _check_names(items: list[Item]) -> None:
    seen: dict[str, Path] = {}
    for item in items:
        name = identity(item.name)
        if name in seen:
            raise InputError(
                f"two inputs give an item the name {item.name!r}: {seen[name]} and {item.path}; "
                "give their common folder instead"
            )
        seen[name] = item.path


def _listed(given: list[str | os.PathLike[str]]) -> str:
    shown = ", ".join(repr(os.fspath(one)) for one in given[:3])
    return shown + (f" and {len(given) - 3} more" if len(given) > 3 else "")

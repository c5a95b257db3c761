"""Files and folders that the user names, turned into items."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from dn2.errors import InputError
from dn2.inputs.folders import list_subfolders, walk
from dn2.inputs.items import Item, Piped
from dn2.inputs.named_files import Inputs, NamedFiles, expand, list_paths
from dn2.system.naming import (
    ending_of,
    find_spelling,
    identity,
    path_of_text,
    path_to_text,
)
from dn2.system.stores import AnyPath, StoredPath

logger = logging.getLogger("dn2")

ENDINGS_NAMED = 5
NAMED_ONLY = frozenset({".json", ".json.gz"})  # often settings or annotations beside items: none, unless it is named


def find_items(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the items that folders, files, globs and `@lists` of paths name.

    suffixes : lower-case endings that make a file in a folder an item; a file named by itself is always one.

    An item in a folder is named by its path relative to that folder; when several inputs are given, prefixed by the
    folder's name, and by as much of the folder's path as tells it from other folders of that name.  A file named by
    itself is named by its path as given.  Names use `/`.

    A folder is searched recursively in the order of names, hidden files left out, links followed, each real folder
    visited once.  A file that is named more than once is one item, with a warning.
    Raises InputError if something does not exist, nothing is found, or two files would share a name."""
    paths = list_paths(inputs)
    inputs_named = expand(paths)
    prefixes = _prefixes(inputs_named)
    items: list[Item] = []
    other_endings: Counter[str] = Counter()
    for named_files in inputs_named:
        if named_files.folder is None:
            items += [
                Item(named_files.name or _name(file), file, is_piped=named_files.name is not None)
                for file in named_files.files
            ]
            continue
        files, passed_over = _by_ending(named_files.folder, named_files.files, suffixes)
        prefix = prefixes.get(named_files.folder, "")
        within = _within(named_files.folder)
        items += [Item(_name(PurePath(prefix, within(path))), path, in_folder=True) for path in files]
        other_endings += passed_over
    if not items:
        endings_found = f"; it holds {_count_endings(other_endings)}" if other_endings else ""
        raise InputError(
            f"no item found in {_name_paths(paths)}{endings_found}; files ending in {_list_endings(suffixes)} are "
            "searched for"
        )
    items = _drop_repeated(items) if len(inputs_named) > 1 else items
    check_item_names(items)
    return items


def find_groups(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the groups that folders hold: each subfolder is one item, and the files anywhere in it are its members.

    A group is named as an item of `find_items` would be.  Files beside the subfolders are passed over.
    Raises InputError unless every input is a folder, there is a subfolder, and the names of the groups are unique."""
    paths = list_paths(inputs)
    inputs_named = []
    for path in paths:
        is_folder = not path.is_file() if isinstance(path, StoredPath) else os.path.isdir(path)
        if not is_folder:  # nor is an empty name the working folder
            raise InputError(f"groups are the subfolders of a folder, got {os.fspath(path)!r}, which is not a folder")
        inputs_named.append(NamedFiles(path if isinstance(path, StoredPath) else Path(path), (), len(paths) > 1))
    prefixes = _prefixes(inputs_named)
    groups = []
    for folder in [named.folder for named in inputs_named if named.folder is not None]:
        names, beside = list_subfolders(folder)
        groups += [_group(folder / name, prefixes.get(folder, ""), suffixes) for name in names]
        if names and beside:
            logger.info("%s: %d files beside the groups passed over", folder, beside)
    if not groups:
        raise InputError(f"no group found in {_name_paths(paths)}: each subfolder is one, with its pictures in it")
    groups = _drop_repeated(groups) if len(inputs_named) > 1 else groups
    check_item_names(groups)
    return groups


def find_again(root: AnyPath, name: str, suffixes: frozenset[str], *, group: bool) -> Item | None:
    """Find an item, or a group, by its name below the folder that names start from.

    Returns None if no such item is there, or if the name leads out of the folder."""
    try:
        parts = PurePath(path_of_text(name))
    except ValueError:
        return None
    if parts.is_absolute() or ".." in parts.parts:
        return None
    if isinstance(root, StoredPath):
        stored = root.found(parts.as_posix())
        if stored is None or stored.is_file() == group:
            return None
        return replace(_group(stored, "", suffixes), name=name) if group else Item(name, stored)
    path = Path(find_spelling(str(root / parts)))
    if group:
        return replace(_group(path, "", suffixes), name=name) if os.path.isdir(path) else None
    return Item(name, path) if os.path.isfile(path) else None


def is_among(path: Path, inputs: Inputs, suffixes: frozenset[str]) -> bool:
    """Tell whether `find_items` would find a file.  Raises InputError for inputs that do not exist."""
    if not os.path.exists(path):
        return False
    for named in expand(inputs):
        if named.folder is not None and ending_of(path) not in suffixes:
            continue  # the folder may be large, and is searched only if it may hold the file
        files = () if isinstance(named.folder, StoredPath) else named.files
        if any(os.path.exists(file) and path.samefile(file) for file in files):
            return True
    return False


def _group(folder: Path | StoredPath, prefix: str, suffixes: frozenset[str]) -> Item:
    files, _ = _by_ending(folder, walk(folder, (folder.name,)), suffixes)
    within = _within(folder)
    members = tuple(Item(_name(within(file)), file) for file in files)
    return Item(_name(PurePath(prefix, folder.name)), folder, members)


def _by_ending(
    folder: Path | StoredPath, files: Iterable[AnyPath], suffixes: frozenset[str]
) -> tuple[list[AnyPath], Counter[str]]:
    """Return the files whose endings are among the suffixes, and count the other files by their endings."""
    chosen: list[AnyPath] = []
    others: Counter[str] = Counter()
    for file in files:
        suffix = ending_of(file)
        if suffix in suffixes and suffix not in NAMED_ONLY:
            chosen.append(file)
        else:
            others[suffix] += 1
    if chosen and others:
        logger.info(
            "%s: %d files passed over, %s; taken are those ending in %s",
            folder,
            others.total(),
            _count_endings(others),
            _list_endings(suffixes),
        )
    return chosen, others


def _prefixes(named: Sequence[NamedFiles]) -> Mapping[Path | StoredPath, str]:
    """Return by folder the prefix of its items' names: the last part of the folder's path, and as many parts before it
    as tell the folder from others of the same name."""
    folders = {
        folder: folder.parts if isinstance(folder, StoredPath) else folder.resolve().parts[1:]
        for folder in (inputs.folder for inputs in named if inputs.among_others)
        if folder is not None
    }
    ends: dict[tuple[str, ...], str] = {}
    ambiguous, length = set(folders.values()), 1
    while ambiguous:
        count = Counter(parts[-length:] for parts in ambiguous)
        ends |= {parts: "/".join(parts[-length:]) for parts in ambiguous if count[parts[-length:]] == 1}
        ambiguous, length = ambiguous - ends.keys(), length + 1
    return {folder: ends[parts] for folder, parts in folders.items()}


def _drop_repeated(items: list[Item]) -> list[Item]:
    """Leave out items whose file an earlier item has, with a warning.

    A file in two folders, one of which lies in the other, stays as two items: their names differ."""
    real = cache(os.path.realpath)  # of few folders with many files
    first: dict[Any, Item] = {}
    distinct: list[Item] = []
    repeated: list[Item] = []
    for item in items:
        path = item.path
        earlier = first.setdefault((real(str(path.parent)), path.name) if isinstance(path, Path) else path, item)
        named_again = earlier is not item and (earlier.name == item.name or not item.in_folder)
        (repeated if named_again else distinct).append(item)
    if repeated:
        logger.warning(
            "%s named more than once, and taken once: %s%s",
            "1 item is" if len(repeated) == 1 else f"{len(repeated):,} items are",
            repeated[0].path,
            ", ..." if len(repeated) > 1 else "",
        )
    return distinct


def _within(folder: Path | StoredPath) -> Callable[[Any], PurePath]:
    """Return what gives the path of a file in a folder, or of an object in a folder of its store."""
    return folder.within if isinstance(folder, StoredPath) else lambda path: path.relative_to(folder)


def _name(path: PurePath | StoredPath) -> str:
    """Write a path with `/`, so that every name can be written."""
    return path_to_text(path.as_posix() if isinstance(path, PurePath) else path)


def check_item_names(items: Sequence[Item]) -> None:
    """Raise InputError unless the names of items are unique."""
    seen: dict[str, AnyPath] = {}
    for item in items:
        name = identity(item.name)
        if name in seen:
            raise InputError(
                f"two inputs give an item the name {item.name!r}: {seen[name]} and {item.path}; "
                "rename one, or name a file by its whole path, from the root on"
            )
        seen[name] = item.path


def _name_paths(paths: list[str | os.PathLike[str]]) -> str:
    shown = ", ".join(path.name if isinstance(path, Piped) else repr(os.fspath(path)) for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _list_endings(suffixes: frozenset[str]) -> str:
    searched = sorted(suffixes - NAMED_ONLY)
    packed = [ending for ending in searched if ending.endswith(".gz")]
    plain = " ".join(ending for ending in searched if ending not in packed)
    ways = [f"packed as {ending}" for ending in packed[:1]]
    if named_only := sorted(suffixes & NAMED_ONLY):
        ways.append(f"{' '.join(named_only)} if named itself")
    return f"{', or '.join([plain, *ways])}," if ways else plain


def _count_endings(endings: Counter[str]) -> str:
    """Write the numbers of files by their endings, the commonest first."""
    counts = [f"{count:,} {ending or 'without an ending'}" for ending, count in endings.most_common(ENDINGS_NAMED)]
    others = endings.total() - sum(count for _, count in endings.most_common(ENDINGS_NAMED))
    return ", ".join(counts) + (f" and {others:,} others" if others else "")

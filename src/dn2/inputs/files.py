"""Files and folders that the user names, turned into items."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePath

from dn2.bounds import open_text, read_lines
from dn2.errors import InputError
from dn2.inputs.folders import files_below, matches, subfolders
from dn2.naming import existing, identity, is_possible, path_of_text, path_to_text

logger = logging.getLogger("dn2")

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

LONGEST_PATH = 1 << 16  # characters of a line of a list
ENDINGS_NAMED = 5


@dataclass(frozen=True)
class Item:
    """One thing to score: the name it goes by everywhere, and its file.

    members : of a group, whose path is a folder, the items in it by their path in the folder; None for a single one.
    in_folder : whether a folder was given that it lies in, and not the file itself."""

    name: str
    path: Path
    members: tuple[Item, ...] | None = None
    in_folder: bool = False


@dataclass(frozen=True)
class Named:
    """What one input, or one line of a list, names: a folder, with all visible files below it, or files.

    among_others : whether a list names it, or there are other inputs."""

    folder: Path | None
    files: Iterable[Path]
    among_others: bool


def find_items(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the items that folders, files, globs and `@lists` of paths name.

    suffixes : lower-case endings that make a file in a folder an item; a file named by itself is always one.

    An item in a folder is named by its path relative to that folder, prefixed by the folder's name when several
    inputs are given, and by as much of the folder's path as tells it from others of that name; any other is named by
    its path as given.  Names use `/`.  A folder is searched recursively in the order of names, hidden files left out,
    links followed, each real folder visited once.  A file that is named more than once is one item, which is said.
    Raises InputError if something does not exist, nothing is found, or two files would share a name."""
    given = _given(inputs)
    named = expand(given)
    prefixes = _prefixes(named)
    items: list[Item] = []
    others: Counter[str] = Counter()
    for one in named:
        if one.folder is None:
            items += [Item(_name(file), file) for file in one.files]
            continue
        files, passed_over = _by_ending(one.folder, one.files, suffixes)
        prefix = prefixes.get(one.folder, "")
        items += [Item(_name(PurePath(prefix, path.relative_to(one.folder))), path, in_folder=True) for path in files]
        others += passed_over
    if not items:
        there = f": there is {_counted(others)}" if others else ""
        searched = " ".join(sorted(suffixes))
        raise InputError(f"no item found in {_listed(given)}{there}; files ending in {searched} are searched for")
    items = _each_once(items) if len(named) > 1 else items
    _check_names(items)
    return items


def find_groups(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the groups that folders hold: each subfolder is one item, and the files anywhere in it are its members.

    A group is named as an item of `find_items` would be.  Files beside the subfolders are passed over.
    Raises InputError for what is no folder, if there is no subfolder, or if two groups would share a name."""
    given = _given(inputs)
    named = []
    for one in given:
        if not os.path.isdir(one):  # nor is an empty name the working folder
            raise InputError(f"groups are the subfolders of a folder, and {os.fspath(one)!r} is none")
        named.append(Named(Path(one), (), len(given) > 1))
    prefixes = _prefixes(named)
    groups = []
    for folder in [one.folder for one in named if one.folder is not None]:
        names, beside = subfolders(folder)
        groups += [_group(folder / name, prefixes.get(folder, ""), suffixes) for name in names]
        if names and beside:
            logger.info("%s: %d files beside the groups passed over", folder, beside)
    if not groups:
        raise InputError(f"no group found in {_listed(given)}: each subfolder is one, with its pictures in it")
    groups = _each_once(groups) if len(named) > 1 else groups
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
    for one in expand(inputs):
        if one.folder is not None and path.suffix.lower() not in suffixes:
            continue  # it may be large, and is searched only if its files may be meant
        if any(os.path.exists(file) and path.samefile(file) for file in one.files):
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


def _group(folder: Path, prefix: str, suffixes: frozenset[str]) -> Item:
    files, _ = _by_ending(folder, files_below(folder), suffixes)
    members = tuple(Item(_name(file.relative_to(folder)), file) for file in files)
    return Item(_name(PurePath(prefix, folder.name)), folder, members)


def expand(inputs: Inputs) -> list[Named]:
    """List what inputs name, the lines of lists among them.  Raises InputError for what does not exist."""
    given = [os.fspath(one) for one in _given(inputs)]
    named = []
    for one in given:
        if is_list(one):
            named += [_named(line, among_others=True) for line in _read_list(one[1:])]
        else:
            named.append(_named(one, among_others=len(given) > 1))
    return named


def is_list(given: str) -> bool:
    """Tell whether an input stands for the paths that a file lists."""
    return given.startswith("@") and not os.path.exists(given)


def _named(given: str, *, among_others: bool) -> Named:
    if not given:
        raise InputError("an input is empty; name a folder (. for this one), a file, a glob or @list.txt")
    given = existing(given)
    path = Path(given)
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that is too long
        return Named(path, files_below(path), among_others)
    if os.path.lexists(path):
        return Named(None, [path], among_others)
    if glob.has_magic(given):
        return Named(None, matches(given), among_others)
    raise InputError(f"{given!r} does not exist; name a folder, a file, a glob or @list.txt")


def _read_list(path: str) -> list[str]:
    """Return the lines of a list that are not blank: UTF-8, or UTF-16 by its byte order mark."""
    lines = []
    with open_text(path, f"the list {path!r}") as file:
        for number, line in enumerate(read_lines(file, LONGEST_PATH), 1):
            if line is None:
                raise InputError(f"the list {path!r}, line {number:,}: a path has at most {LONGEST_PATH:,} characters")
            lines.append(line.removesuffix("\n"))
    if nested := [line for line in lines if is_list(line)]:
        raise InputError(f"the list {path!r} names a list, {nested[0]!r}; give both lists instead")
    return [line for line in lines if line.strip()]


def _by_ending(folder: Path, files: Iterable[Path], suffixes: frozenset[str]) -> tuple[list[Path], Counter[str]]:
    """Return the files of a folder that end as they are to, and how many others there are by their endings."""
    found: list[Path] = []
    others: Counter[str] = Counter()
    for file in files:
        suffix = os.path.splitext(file)[1].lower()
        if suffix in suffixes:
            found.append(file)
        else:
            others[suffix] += 1
    if found and others:
        endings = " ".join(sorted(suffixes))
        logger.info(
            "%s: %d files passed over, %s; taken are those ending in %s",
            folder,
            others.total(),
            _counted(others),
            endings,
        )
    return found, others


def _prefixes(named: Sequence[Named]) -> Mapping[Path, str]:
    """Return what the names of items in folders begin with: the name of the folder, and as many of the parts of its
    path before it as tell it from other folders of that name."""
    folders = {one.folder: one.folder.resolve().parts[1:] for one in named if one.folder and one.among_others}
    ends: dict[tuple[str, ...], str] = {}
    left, length = set(folders.values()), 1
    while left:
        count = Counter(parts[-length:] for parts in left)
        ends |= {parts: "/".join(parts[-length:]) for parts in left if count[parts[-length:]] == 1}
        left, length = left - ends.keys(), length + 1
    return {folder: ends[parts] for folder, parts in folders.items()}


def _each_once(items: list[Item]) -> list[Item]:
    """Leave out what names a file again, and say so; two folders of which one lies in the other name it in two ways."""
    real = cache(os.path.realpath)  # of few folders with many files
    first: dict[tuple[str, str], Item] = {}
    kept: list[Item] = []
    again: list[Item] = []
    for item in items:
        before = first.setdefault((real(str(item.path.parent)), item.path.name), item)
        named_again = before is not item and (before.name == item.name or not item.in_folder)
        (again if named_again else kept).append(item)
    if again:
        logger.warning(
            "%s named more than once, and taken once: %s%s",
            "1 item is" if len(again) == 1 else f"{len(again):,} items are",
            again[0].path,
            ", ..." if len(again) > 1 else "",
        )
    return kept


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
                "rename one, or name a file by its whole path, from the root on"
            )
        seen[name] = item.path


def _listed(given: list[str | os.PathLike[str]]) -> str:
    shown = ", ".join(repr(os.fspath(one)) for one in given[:3])
    return shown + (f" and {len(given) - 3} more" if len(given) > 3 else "")


def _counted(endings: Counter[str]) -> str:
    """Say how many files there are by their endings, the commonest first."""
    told = [f"{count:,} {ending or 'without an ending'}" for ending, count in endings.most_common(ENDINGS_NAMED)]
    others = endings.total() - sum(count for _, count in endings.most_common(ENDINGS_NAMED))
    return ", ".join(told) + (f" and {others:,} others" if others else "")

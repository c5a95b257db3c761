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

from dn2.errors import InputError
from dn2.inputs.folders import list_subfolders, match_glob, walk_files
from dn2.inputs.items import Item, Piped
from dn2.system.bounds import open_text, read_lines
from dn2.system.naming import ending_of, find_spelling, identity, is_possible, path_of_text, path_to_text

logger = logging.getLogger("dn2")

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

LONGEST_PATH = 1 << 16  # characters of a line of a list
ENDINGS_NAMED = 5
NAMED_ONLY = frozenset({".json", ".json.gz"})  # often settings or annotations beside items: none, unless it is named


@dataclass(frozen=True)
class NamedFiles:
    """The files that one input, or one line of a list, names.

    folder : the folder that is named, None where files are; files : these, or all visible files below the folder.
    among_others : whether a list names the folder, or there are other inputs.
    name : the name of the item that came through a pipe, None where the file's path names it."""

    folder: Path | None
    files: Iterable[Path]
    among_others: bool
    name: str | None = None


def find_items(inputs: Inputs, suffixes: frozenset[str]) -> list[Item]:
    """List the items that folders, files, globs and `@lists` of paths name.

    suffixes : lower-case endings that make a file in a folder an item; a file named by itself is always one.

    An item in a folder is named by its path relative to that folder; when several inputs are given, prefixed by the
    folder's name, and by as much of the folder's path as tells it from other folders of that name.  A file named by
    itself is named by its path as given.  Names use `/`.

    A folder is searched recursively in the order of names, hidden files left out, links followed, each real folder
    visited once.  A file that is named more than once is one item, with a warning.
    Raises InputError if something does not exist, nothing is found, or two files would share a name."""
    paths = _list_paths(inputs)
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
        items += [
            Item(_name(PurePath(prefix, path.relative_to(named_files.folder))), path, in_folder=True) for path in files
        ]
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
    paths = _list_paths(inputs)
    inputs_named = []
    for path in paths:
        if not os.path.isdir(path):  # nor is an empty name the working folder
            raise InputError(f"groups are the subfolders of a folder, got {os.fspath(path)!r}, which is not a folder")
        inputs_named.append(NamedFiles(Path(path), (), len(paths) > 1))
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


def find_again(root: Path, name: str, suffixes: frozenset[str], *, group: bool) -> Item | None:
    """Find an item, or a group, by its name below the folder that names start from.

    Returns None if no such item is there, or if the name leads out of the folder."""
    try:
        parts = PurePath(path_of_text(name))
    except ValueError:
        return None
    if parts.is_absolute() or ".." in parts.parts:
        return None
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
        if any(os.path.exists(file) and path.samefile(file) for file in named.files):
            return True
    return False


def _list_paths(inputs: Inputs) -> list[str | os.PathLike[str]]:
    if not isinstance(inputs, (str, os.PathLike, Iterable)):
        raise InputError(f"inputs are named by paths, or come from memory, got {inputs!r:.80}")
    paths = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    if not paths:
        raise InputError("no input given; name a folder, files, a glob or @list.txt")
    if not_paths := [path for path in paths if not isinstance(path, (str, os.PathLike))]:
        raise InputError(f"inputs are named by paths, got {type(not_paths[0]).__name__} in a {type(inputs).__name__}")
    if impossible_paths := [path for path in paths if not is_possible(path)]:
        raise InputError(f"{os.fspath(impossible_paths[0])!r} does not exist, and cannot: it is no path")
    if not all(map(os.path.isabs, paths)):
        try:
            os.getcwd()
        except OSError as error:
            raise InputError(f"the working folder cannot be found ({error.strerror}); give whole paths") from error
    return paths


def _group(folder: Path, prefix: str, suffixes: frozenset[str]) -> Item:
    files, _ = _by_ending(folder, walk_files(folder, (folder.name,)), suffixes)
    members = tuple(Item(_name(file.relative_to(folder)), file) for file in files)
    return Item(_name(PurePath(prefix, folder.name)), folder, members)


def expand(inputs: Inputs) -> list[NamedFiles]:
    """List the folders and files that inputs, and the lines of lists, name.  Raises InputError unless all exist."""
    paths = _list_paths(inputs)
    named = []
    for path in paths:
        text, among_others = os.fspath(path), len(paths) > 1
        if isinstance(path, Piped):
            lines = _read_list(text, path.name) if path.is_list else []
            named += [_expand_path(line, among_others=True) for line in lines]
            named += [] if path.is_list else [NamedFiles(None, [path.path], among_others, path.name)]
        elif is_list(text):
            named += [_expand_path(line, among_others=True) for line in _read_list(text[1:], f"the list {text[1:]!r}")]
        else:
            named.append(_expand_path(text, among_others=among_others))
    return named


def is_list(text: str) -> bool:
    """Tell whether an input stands for the paths that a file lists."""
    return text.startswith("@") and not os.path.exists(text)


def _expand_path(text: str, *, among_others: bool) -> NamedFiles:
    if not text:
        raise InputError("an input is empty; name a folder (. for this one), a file, a glob or @list.txt")
    text = find_spelling(text)
    path = Path(text)
    if os.path.isdir(path):  # unlike Path.is_dir, False for a name that is too long
        return NamedFiles(path, walk_files(path), among_others)
    if os.path.lexists(path):
        return NamedFiles(None, [path], among_others)
    if glob.has_magic(text):
        return NamedFiles(None, match_glob(text), among_others)
    raise InputError(f"{text!r} does not exist; name a folder, a file, a glob or @list.txt")


def _read_list(path: str, what: str) -> list[str]:
    """Return the lines of a list that are not blank: UTF-8, or UTF-16 by its byte order mark.

    what : the list, in words."""
    lines = []
    with open_text(path, what) as file:
        for number, line in enumerate(read_lines(file, LONGEST_PATH), 1):
            if line is None:
                raise InputError(f"{what}, line {number:,}: a path has at most {LONGEST_PATH:,} characters")
            lines.append(line.removesuffix("\n"))
    if nested := [line for line in lines if is_list(line)]:
        raise InputError(f"{what} names a list, {nested[0]!r}; give both lists instead")
    return [line for line in lines if line.strip()]


def _by_ending(folder: Path, files: Iterable[Path], suffixes: frozenset[str]) -> tuple[list[Path], Counter[str]]:
    """Return the files whose endings are among the suffixes, and count the other files by their endings."""
    chosen: list[Path] = []
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


def _prefixes(named: Sequence[NamedFiles]) -> Mapping[Path, str]:
    """Return by folder the prefix of its items' names: the last part of the folder's path, and as many parts before it
    as tell the folder from others of the same name."""
    folders = {
        inputs.folder: inputs.folder.resolve().parts[1:] for inputs in named if inputs.folder and inputs.among_others
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
    first: dict[tuple[str, str], Item] = {}
    distinct: list[Item] = []
    repeated: list[Item] = []
    for item in items:
        earlier = first.setdefault((real(str(item.path.parent)), item.path.name), item)
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


def _name(path: PurePath) -> str:
    """Write a path with `/`, so that every name can be written."""
    return path_to_text(path.as_posix())


def check_item_names(items: Sequence[Item]) -> None:
    """Raise InputError unless the names of items are unique."""
    seen: dict[str, Path] = {}
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

"""What inputs name: folders, files, globs, `@lists` of paths, and prefixes and objects in stores."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dn2.errors import InputError
from dn2.inputs.folders import match_glob, walk
from dn2.inputs.items import FilesIn, Piped
from dn2.system.bounds import open_text, read_lines
from dn2.system.naming import find_spelling, is_possible, is_url, without_options
from dn2.system.stores import AnyPath, StoredPath

Inputs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

LIST = "@"  # before the name of a file that lists paths
LONGEST_PATH = 1 << 16  # characters of a line of a list


@dataclass(frozen=True)
class NamedFiles:
    """The files that one input, or one line of a list, names.

    folder : the folder that is named, None where files are; files : these, or all visible files below the folder.
    among_others : whether a list names the folder, or there are other inputs.
    name : the name of the item that came through a pipe, None where the file's path names it."""

    folder: Path | StoredPath | None
    files: Iterable[AnyPath]
    among_others: bool
    name: str | None = None


def list_paths(inputs: Inputs) -> list[str | os.PathLike[str]]:
    """List the paths that inputs are.  Raises InputError for none, and for what cannot be a path."""
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


def expand(inputs: Inputs) -> list[NamedFiles]:
    """List the folders and files that inputs, and the lines of lists, name.  Raises InputError unless all exist."""
    paths = list_paths(inputs)
    named = []
    for path in paths:
        text, among_others = os.fspath(path), len(paths) > 1
        if isinstance(path, StoredPath):
            named.append(_files_of(path, is_folder=not path.is_file(), among_others=among_others))
        elif isinstance(path, FilesIn):
            named.append(NamedFiles(path.folder, path.files, among_others))
        elif isinstance(path, Piped):
            lines = _read_list(text, path.name) if path.is_list else []
            named += [_expand_path(line, among_others=True) for line in lines]
            named += [] if path.is_list else [NamedFiles(None, [path.path], among_others, path.name)]
        elif is_list(text):
            named += [_expand_path(line, among_others=True) for line in _read_list(text[1:], f"the list {text[1:]!r}")]
        else:
            named.append(_expand_path(text, among_others=among_others))
    return named


def _files_of(path: Path | StoredPath, *, is_folder: bool, among_others: bool) -> NamedFiles:
    return NamedFiles(path, walk(path), among_others) if is_folder else NamedFiles(None, [path], among_others)


def is_list(text: str) -> bool:
    """Tell whether an input stands for the paths that a file lists."""
    return text.startswith(LIST) and not is_url(text[1:]) and not os.path.exists(text)


def _expand_path(text: str, *, among_others: bool) -> NamedFiles:
    if not text:
        raise InputError("an input is empty; name a folder (. for this one), a file, a glob or @list.txt")
    if is_url(text.removeprefix(LIST)):
        raise InputError(
            f"{without_options(text)!r} is a URL where none is opened: give it as an input itself, not in a list that "
            "a file holds, nor among messages"
        )
    text = find_spelling(text)
    path = Path(text)
    is_folder = os.path.isdir(path)  # unlike Path.is_dir, False for a name that is too long
    if is_folder or os.path.lexists(path):
        return _files_of(path, is_folder=is_folder, among_others=among_others)
    if glob.has_magic(text):
        return NamedFiles(None, match_glob(text), among_others)
    ways = ", or a URL of s3:// or gs://" if "://" in text else " or @list.txt"
    raise InputError(f"{text!r} does not exist; name a folder, a file, a glob{ways}")


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

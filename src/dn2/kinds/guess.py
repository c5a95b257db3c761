"""The kind of the items that inputs name, guessed."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.inputs.files import NAMED_ONLY, find_items
from dn2.inputs.foreign import refuse_foreign
from dn2.inputs.frames import is_frame
from dn2.inputs.items import Piped
from dn2.inputs.memory import are_messages, are_paths, hold_inputs, is_pattern, texts_of
from dn2.inputs.named_files import NamedFiles, expand, is_list
from dn2.kinds.kind import Kind
from dn2.kinds.registry import KINDS, kind_of, suffixes_of
from dn2.system.interface import command, option
from dn2.system.naming import ending_of, is_url
from dn2.system.stores import AnyPath, StoredPath, name_stored

logger = logging.getLogger("dn2")

TEXTS_LOOKED_AT = 1_000


def hold(inputs: Any, kind: str | None) -> Any:
    """Return inputs that can be read more than once, with a path in a store in place of each URL that a user names.

    A list of messages names none, whatever its texts look like.
    kind : of the items; None to guess it.  Raises InputError for a URL that cannot be used."""
    held = hold_inputs(inputs)
    if not isinstance(held, (list, tuple)):
        return name_stored(held)
    if not any(isinstance(one, str) and is_url(one) for one in held) or _are_items(held, kind):
        return held
    return [name_stored(one) for one in held]


def _are_items(texts: Sequence[Any], kind: str | None) -> bool:
    if kind in KINDS:
        return bool(kind_of(kind).takes_texts)
    found = texts_of(texts)
    return found is not None and are_messages(found, suffixes_of(None))


def guess_kind(inputs: Any) -> str:
    """Guess the kind of items: by what holds them in memory, or by the endings of the files that inputs name.

    Among files in one folder, a kind whose files have companions wins if it has at least as many files as all other
    kinds together; files of other kinds that share a name with one of its files do not count.  A kind whose files are
    often notes counts only if it has more than half of the files.
    Raises InputError where several kinds remain, and for a Parquet file that cannot be read."""
    suffixes = suffixes_of(None)
    if not isinstance(inputs, (str, os.PathLike)) and not _names_files(inputs, suffixes):
        for kind in KINDS:
            if kind_of(kind).claims(inputs, suffixes):
                if (doubt := kind_of(kind).doubt(inputs)) is not None:
                    logger.warning(doubt)
                return kind
    several = [inputs] if isinstance(inputs, (str, os.PathLike)) or not isinstance(inputs, Iterable) else list(inputs)
    for path in several:
        if isinstance(path, (str, os.PathLike)):
            refuse_foreign(path, suffixes)
    guesses = [kind for item in several if isinstance(item, (str, os.PathLike)) for kind in _kinds_of_input(item)]
    kinds = sorted({kind for kind in guesses if kind is not None})
    if len(kinds) > 1:
        raise InputError(
            f"the inputs look like items of several kinds, {' and '.join(kinds)}; give those of one kind, or say which "
            f"are meant with {option('kind')}"
        )
    return kinds[0] if kinds else KINDS[0]


def check_found(inputs: Any) -> None:
    """Raise InputError, naming the endings of all kinds, for folders without a file of any kind."""
    folders = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    if not isinstance(folders, (list, tuple)) or not folders or not all(map(_is_folder, folders)):
        return
    suffixes = suffixes_of(None) - NAMED_ONLY
    if not any(ending_of(file) in suffixes for folder in expand(folders) for file in folder.files):
        find_items(folders, suffixes)


def check_not_texts(inputs: Any) -> None:
    """Raise InputError for a list of texts of which none is a path, where nothing says that they are messages."""
    texts = texts_of(inputs)
    if texts is None or len(texts) < 2 or are_paths(texts, suffixes_of(None)) or any(map(is_pattern, texts)):
        return
    present = [text for text in texts if text is not None]
    first, column = present[0], np.array(present, dtype=object)
    kind = next(kind for kind in KINDS if kind_of(kind).claims(column, suffixes_of(None)))
    many = kind_of(kind).many
    none = f", nor does any other of {len(texts):,} inputs; if these are {many}, say {option('kind', kind)}"
    raise InputError(f"{first!r:.80} does not exist{command('; name a folder, a file, a glob or @list.txt', none)}")


def _is_folder(path: Any) -> bool:
    return isinstance(path, (str, os.PathLike)) and os.path.isdir(path)


def _kinds_of_input(path: str | os.PathLike[str]) -> list[str | None]:
    try:
        folders = expand(path)
    except InputError:  # finding the items raises it again, in the words of their kind
        lists = isinstance(path, Piped) or is_list(os.fspath(path))
        return [None if lists else _kind_of_file(Path(path))]
    return [_kind_of_files(found, os.fspath(path)) for found in folders]


def _kind_of_files(found: NamedFiles, path: str) -> str | None:
    """Guess the kind of the files that a path names; None if no ending is known."""
    where, suffixes = found.folder or path, suffixes_of(None) - (NAMED_ONLY if found.folder else frozenset())
    recognised = [file for file in found.files if ending_of(file) in suffixes]
    main = next((kind for kind in KINDS if kind_of(kind).has_companions), None)
    main_suffixes = kind_of(main).suffixes if main else frozenset()
    main_files = [file for file in recognised if ending_of(file) in main_suffixes]
    stems = {PurePath(file).stem for file in main_files}
    other_files = [
        file for file in recognised if ending_of(file) not in main_suffixes and PurePath(file).stem not in stems
    ]
    counts = Counter({main: len(main_files)} if main_files else {})
    if len(main_files) < len(other_files):
        counts.update(map(_kind_of_file, other_files))
        for kind in [kind for kind in counts if kind is not None and kind_of(kind).is_often_a_note]:
            if 2 * counts[kind] <= counts.total():
                del counts[kind]
    if len(counts) > 1:
        listed = ", ".join(f"{count:,} of the kind {kind}" for kind, count in sorted(counts.items()))
        raise InputError(f"{where} holds files of several kinds, {listed}; say which are meant with {option('kind')}")
    kind_found = next(iter(counts), None)
    if counts.total() < len(main_files) + len(other_files):
        logger.info("%s: items are taken to be of the kind %s; %s says otherwise", where, kind_found, option("kind"))
    return kind_found


def check_files(kind: Kind[Any], inputs: Any) -> None:
    """Raise InputError where inputs name only files that hold items of other kinds, such as a table for pictures."""
    several = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    if not isinstance(several, (list, tuple)) or not all(isinstance(path, (str, os.PathLike)) for path in several):
        return
    known = suffixes_of(None)
    files: list[Path | StoredPath] = [path if isinstance(path, StoredPath) else Path(path) for path in several]
    others = [file for file in files if ending_of(file) in known and file.is_file() and not kind.claims_file(file)]
    if others and len(others) == len(files) and not any(ending_of(file) in kind.suffixes for file in files):
        raise InputError(f"{others[0]} holds no {kind.many}: it is of the kind {_kind_of_file(others[0])}")


def _kind_of_file(file: AnyPath) -> str:
    return next((kind for kind in KINDS if kind_of(kind).claims_file(file)), KINDS[0])


def _names_files(inputs: Any, suffixes: frozenset[str]) -> bool:
    """Tell whether the first items in memory are all paths with the ending of a known file."""
    if is_frame(inputs) or not isinstance(inputs, Iterable):
        return False
    first = list(islice(inputs, TEXTS_LOOKED_AT))
    return bool(first) and all(isinstance(name, (str, os.PathLike)) and ending_of(name) in suffixes for name in first)

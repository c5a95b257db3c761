"""A saved model: a folder whose `model.json` names every other file by its digest.

Files are written once and never changed; replacing `model.json` is the one step that makes a save count.  A reader
sees the old model or the new one, whatever happens to the writer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from dn2.errors import InputError, ModelError
from dn2.store.manifest import FILE_NAME, MANIFEST, read_manifest, seal
from dn2.store.mapped import has_all_data, map_array, require_regular
from dn2.store.versions import NOTHING_NOTED, Replaced, named_by, noted
from dn2.store.writing import lock_folder, write_whole
from dn2.system.interface import command
from dn2.system.naming import is_possible
from dn2.system.processes import cached_property

logger = logging.getLogger("dn2")

ROWS_LIMIT, ARRAYS_LIMIT = 256 << 20, 2 << 30  # bytes of a file of rows, of arrays, that is read whole
ITEM_LIMIT = 64 << 10  # bytes of an item, name and path, averaged over its file
SLOW_TO_HASH = 64 << 20  # bytes; of a longer file its end is looked at first
CHECKED_AT_LOAD = 1 << 30  # bytes of mapped files; more are left to `verify`
TO_JSON = json.JSONEncoder().encode

Arrays = Mapping[str, np.ndarray[Any, Any]]
Rows = Sequence[Mapping[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class StoredFile:
    """A file that lies in the model's folder already."""

    name: str
    digest: str


Content = Arrays | Rows | StoredFile
Contents = Mapping[str, Iterable[Content]]


class Saved(NamedTuple):
    """The result of a save: the model's digest, and its files by kind."""

    digest: str
    files: dict[str, list[StoredFile]]


def save(
    folder: Path, manifest: Mapping[str, Any], contents: Contents, replaces: Replaced | None, overwrite: bool = False
) -> Saved:
    """Write a model: new files, then `model.json`, then remove the files that neither it nor a listed version names.

    manifest : what `model.json` says beside the files; its `mapped` lists the kinds of files, one file a shard, whose
        arrays are mapped into memory at load and not read.
    contents : by kind of file, the arrays or rows of each file, or the stored file that stays as it is, unread.
    replaces : the model that this one came from and replaces, None for a new one.
    overwrite : whether any other model in the folder is replaced, too.
    Raises InputError for a folder that is another model or something else, or cannot be written, ModelError if the
    model on disk is no longer the one that this came from; that model stays as it is, and the new files are removed."""
    check_target(folder, overwrite or replaces is not None)
    try:
        return _save(folder, manifest, contents, replaces, overwrite)
    except OSError as error:
        raise InputError(f"the model {folder} cannot be written: {error.strerror or error}") from error


def check_target(folder: Path, overwrite: bool) -> None:
    """Raise InputError unless a model can be saved in a folder: a new or empty one, or with `overwrite` a model's."""
    if not is_possible(folder):
        raise InputError(f"the model {str(folder)!r} cannot be written: that is no path")
    try:
        os.path.abspath(folder)
    except OSError as error:  # the working folder is gone
        raise InputError(f"the model {folder} cannot be written: {error.strerror}; give its whole path") from error
    if not os.path.lexists(folder / MANIFEST):
        if os.path.lexists(folder) and not _is_empty(folder):
            raise InputError(f"{folder} exists and is no dn2 model; give another name{command(' with -o', '')}")
    elif not overwrite:
        raise InputError(
            f"{folder} is a model already{_in_short(folder)}; give another name, or "
            f"{command('--force', 'overwrite=True')} to replace it"
        )


def is_model(folder: Path) -> bool:
    """Tell whether a folder holds a model, whole or not: a `model.json` beside files that are named as dn2 does."""
    return (folder / MANIFEST).exists() and any(FILE_NAME.fullmatch(path.name) for path in folder.iterdir())


def _in_short(folder: Path) -> str:
    """Say in brackets what a model holds and when it was written, or that it cannot be read."""
    try:
        manifest, written = read_manifest(folder), (folder / MANIFEST).stat().st_mtime
        contents = f"{manifest['calibration']['n_reference']:,} reference items of the kind {manifest['kind']}"
    except (ModelError, OSError, KeyError, TypeError, ValueError):
        return " (damaged, or not dn2's)"
    return f" ({contents}, written {datetime.fromtimestamp(written):%Y-%m-%d %H:%M})"


def _save(
    folder: Path, manifest: Mapping[str, Any], contents: Contents, replaces: Replaced | None, overwrite: bool
) -> Saved:
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder):
        check_target(folder, overwrite or replaces is not None)  # another process may have been faster
        is_there = (folder / MANIFEST).exists()
        if replaces is not None and not (is_there and _has_digest(folder, replaces.digest)):
            replaces = None
        if is_there and not overwrite and replaces is None:
            raise ModelError(f"the model {folder} was changed by someone else meanwhile; load it again and repeat")
        try:
            files = {
                kind: [
                    _write_content(folder, kind, content, mapped=kind in manifest.get("mapped", ()))
                    for content in of_kind
                ]
                for kind, of_kind in contents.items()
            }
            names = {kind: [file.name for file in kind_files] for kind, kind_files in files.items()}
            digests = {file.name: file.digest for kind_files in files.values() for file in kind_files}
            history = NOTHING_NOTED if replaces is None else noted(folder, replaces)
            text, digest = seal({**manifest, **history, "contents": names, "files": digests})
            write_whole(folder / MANIFEST, text)
        except Exception:
            _undo(folder)
            raise
        _remove_unnamed(folder, named_by(folder, read_manifest(folder)))
    return Saved(digest, files)


def _has_digest(folder: Path, digest: str) -> bool:
    try:
        return read_manifest(folder)["digest"] == digest  # type: ignore[no-any-return]
    except ModelError:
        return False


def _undo(folder: Path) -> None:
    """Remove the files of a failed save, which on a full disk would leave the next save no space."""
    with contextlib.suppress(OSError, ModelError):
        _remove_unnamed(folder, named_by(folder, read_manifest(folder)) if (folder / MANIFEST).exists() else set())


def _write_content(folder: Path, kind: str, content: Content, *, mapped: bool) -> StoredFile:
    if isinstance(content, StoredFile):
        if not (folder / content.name).is_file():
            raise ModelError(f"the model {folder} has lost its file {content.name} meanwhile; save at another place")
        return content
    if isinstance(content, Mapping):
        data, suffix = save_tensors(dict(content)), "safetensors"
    else:
        data, suffix = "".join([TO_JSON(row) + "\n" for row in content]).encode(), "jsonl"
    limit = _limit(kind, len(content))
    if len(data) > limit and not (mapped and suffix == "safetensors"):
        raise InputError(
            f"the {kind} of the model take {len(data):,} bytes in one file, and at most {limit:,} are read again; take "
            "fewer, or shorter names"
        )
    digest = hashlib.sha256(data).hexdigest()
    name = f"{kind}-{digest[:16]}.{suffix}"
    path = folder / name
    if not (path.exists() and _file_digest(path) == digest):
        write_whole(path, data)
    return StoredFile(name, digest)


def _limit(kind: str, count: int) -> int:
    """Return how many bytes a file of a kind, with `count` rows or arrays, may have to be read whole."""
    if kind == "items":
        return min(ROWS_LIMIT, ITEM_LIMIT * count)
    return ROWS_LIMIT if kind in ("columns", "verdicts") else ARRAYS_LIMIT


def _remove_unnamed(folder: Path, named: set[str]) -> None:
    for path in folder.iterdir():
        stem = path.name.removesuffix(".tmp")
        if path.name not in named and (FILE_NAME.fullmatch(stem) or stem == MANIFEST):
            # A reader on a system that locks open files may hold one; the next save tries again.
            with contextlib.suppress(OSError):
                path.unlink()


def _is_empty(folder: Path) -> bool:
    """Tell whether a folder is empty, or holds only the files of an interrupted first save."""
    try:
        return all(
            FILE_NAME.fullmatch(path.name.removesuffix(".tmp")) or path.name == f"{MANIFEST}.tmp"
            for path in folder.iterdir()
        )
    except OSError:
        return False


class Bundle:
    """The files of one saved model, read as its `model.json` says.

    folder : the model; name : of its `model.json`, or of a version's.
    Raises ModelError for anything missing or damaged."""

    def __init__(self, folder: Path, name: str = MANIFEST) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder, name)

    def check(self) -> None:
        """Compare every file with its digest; where mapped files exceed 1 GiB, they are left to `problems`."""
        names = [name for name in self.manifest["files"] if not (self.is_large and name in self._mapped)]
        if problems := self.problems(names):
            raise ModelError(f"the model {self.folder} is damaged: {'; '.join(problems)}; restore it or fit again")

    @cached_property
    def is_large(self) -> bool:
        """Whether the mapped files together are too large to be read whole whenever the model is loaded."""
        return sum(self._size(name) for name in self._mapped) > CHECKED_AT_LOAD

    @cached_property
    def _mapped(self) -> set[str]:
        names = (name for kind in self._mapped_kinds for name in self.manifest["contents"][kind])
        return {name for name in names if name.endswith(".safetensors")}

    @property
    def _mapped_kinds(self) -> Sequence[str]:
        return self.manifest.get("mapped", ())  # type: ignore[no-any-return]

    def problems(self, names: Sequence[str] | None = None) -> list[str]:
        """Say of each damaged file what is wrong with it; names : the files to look at, None for all."""
        names = list(self.manifest["files"]) if names is None else list(names)
        with ThreadPoolExecutor() as pool:
            return [problem for problem in pool.map(self._problem, names) if problem]

    def _problem(self, name: str) -> str | None:
        try:
            path, slow = self.folder / name, self._size(name) > SLOW_TO_HASH
            if slow and not (has_all_data(path) if name.endswith(".safetensors") else self._size(name) <= ROWS_LIMIT):
                return f"{name} does not end where it should"
            digest = _file_digest(path)
        except (FileNotFoundError, ModelError):
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        return None if digest == self.manifest["files"][name] else f"{name} does not match its digest"

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except OSError as error:
            raise ModelError(f"the model {self.folder} is damaged: {name} is missing") from error

    def _check_size(self, name: str, limit: int) -> None:
        if (size := self._size(name)) > limit:
            raise ModelError(
                f"the model {self.folder} is damaged: {name} has {size:,} bytes, at most {limit:,} are read"
            )

    def arrays(self, kind: str) -> dict[str, np.ndarray[Any, Any]]:
        """Read the arrays of the one file of a kind into memory."""
        if kind in self._mapped_kinds:  # loading a large model compares none of their digests
            raise ModelError(f"the model {self.folder} is damaged: {MANIFEST} says that its {kind} are mapped")
        (name,) = self.manifest["contents"][kind]
        self._check_size(name, ARRAYS_LIMIT)
        try:
            return dict(load_tensors(require_regular(self.folder / name).read_bytes()))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"the model {self.folder} is damaged: {name}: {error}") from error

    def mapped(self, kind: str, key: str) -> list[np.ndarray[Any, Any]]:
        """Map one array of every file of a kind into memory, without reading or copying it."""
        return [map_array(self.folder / name, key) for name in self.manifest["contents"][kind]]

    def rows(self, kind: str, counts: Sequence[int] | None = None) -> Iterator[list[dict[str, Any]]]:
        """Read the JSON rows of each file of a kind, one file at a time; counts : rows of each file, if known."""
        names = self.manifest["contents"][kind]
        for name, count in zip(names, [1] * len(names) if counts is None else counts, strict=True):
            self._check_size(name, _limit(kind, count))
            try:
                lines = require_regular(self.folder / name).read_bytes().splitlines()
                yield json.loads(b"[" + b",".join(lines) + b"]")  # three times as fast as line by line
            except (OSError, ValueError, RecursionError) as error:
                raise ModelError(f"the model {self.folder} is damaged: {name}: {error}") from error

    def stored_files(self, kind: str) -> list[StoredFile]:
        """List the files of a kind, an empty list for a kind that the model lacks."""
        return [StoredFile(name, self.manifest["files"][name]) for name in self.manifest["contents"].get(kind, ())]


def read(folder: Path, load: Callable[[Bundle], T]) -> T:
    """Load from a model that another process may be replacing: on an error, load again with writers kept out."""
    if not is_possible(folder):
        raise ModelError(f"{str(folder)!r} is no dn2 model: that is no path")
    bundle = Bundle(folder)
    try:
        return load(bundle)
    except ModelError:
        with lock_folder(folder, shared=True):
            return load(Bundle(folder))


def _file_digest(path: Path) -> str:
    with open(require_regular(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

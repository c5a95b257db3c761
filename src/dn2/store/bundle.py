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
import re
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
from dn2.naming import is_possible
from dn2.store.mapped import map_array, regular
from dn2.store.writing import locked, write_whole

logger = logging.getLogger("dn2")

FORMAT = 2  # 1: thumbnails in one file, no draws, no list of removed rows
MANIFEST = "model.json"
MANIFEST_LIMIT = 64 << 20
MAPPED = ("reference", "codes", "thumbnails")  # kinds of files that are not read at load
CHECKED_AT_LOAD = 1 << 30  # of these, in bytes; more are left to `verify`
TO_JSON = json.JSONEncoder().encode
FILE_NAME = re.compile(r"[a-z]+(-[a-z]+)*-[0-9a-f]{16}\.(jsonl|safetensors)")

Arrays = Mapping[str, np.ndarray[Any, Any]]
Rows = Sequence[Mapping[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class Existing:
    """A file that the model has already, by its name and digest."""

    name: str
    digest: str


Part = Arrays | Rows | Existing
Parts = Mapping[str, Iterable[Part]]


class Saved(NamedTuple):
    """What a save wrote: the model's digest, and by kind its files."""

    digest: str
    files: dict[str, list[Existing]]


def save(
    folder: Path, manifest: Mapping[str, Any], parts: Parts, replaces: str | None, overwrite: bool = False
) -> Saved:
    """Write a model: new files, then `model.json`, then remove what it does not name.

    manifest : what `model.json` says beside the files; parts : by kind of file, the arrays or rows of each, or what is
        there already and stays as it is, unread.
    replaces : digest of the model that this one came from and replaces, None for a new one.
    overwrite : whether any model that is there is replaced.
    Raises InputError for a folder that is another model or something else, or cannot be written, ModelError if the
    model on disk is no longer the one that this came from; it stays as it is then, and what was written goes."""
    check_target(folder, overwrite or replaces is not None)
    try:
        return _save(folder, manifest, parts, replaces, overwrite)
    except OSError as error:
        raise InputError(f"the model {folder} cannot be written: {error.strerror or error}") from error


def check_target(folder: Path, overwrite: bool) -> None:
    """Raise InputError where no model can be saved because something else is there, such as a model that is not to be
    overwritten."""
    if not is_possible(folder):
        raise InputError(f"the model {str(folder)!r} cannot be written: that is no path")
    try:
        os.path.abspath(folder)
    except OSError as error:  # the working folder is gone
        raise InputError(f"the model {folder} cannot be written: {error.strerror}; give its whole path") from error
    if not os.path.lexists(folder / MANIFEST):
        if os.path.lexists(folder) and not _is_empty(folder):
            raise InputError(f"{folder} exists and is no dn2 model; give another name with -o")
    elif not overwrite:
        raise InputError(
            f"{folder} is a model already{_in_short(folder)}; give another name, or --force (in Python overwrite=True) "
            "to replace it"
        )


def is_model(folder: Path) -> bool:
    """Tell whether a folder holds a model, whole or not: a `model.json` beside files that are named as dn2 does."""
    return (folder / MANIFEST).exists() and any(FILE_NAME.fullmatch(path.name) for path in folder.iterdir())


def _in_short(folder: Path) -> str:
    """Say what a model holds and when it was written, as far as it can be read."""
    try:
        manifest, written = read_manifest(folder), (folder / MANIFEST).stat().st_mtime
        held = f"{manifest['calibration']['n_reference']:,} reference items of the kind {manifest['kind']}"
    except (ModelError, OSError, KeyError, TypeError, ValueError):
        return " (damaged, or not dn2's)"
    return f" ({held}, written {datetime.fromtimestamp(written):%Y-%m-%d %H:%M})"


def _save(folder: Path, manifest: Mapping[str, Any], parts: Parts, replaces: str | None, overwrite: bool) -> Saved:
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        check_target(folder, overwrite or replaces is not None)  # another may have been faster
        if not overwrite and (folder / MANIFEST).exists() and read_manifest(folder)["digest"] != replaces:
            raise ModelError(f"the model {folder} was changed by someone else meanwhile; load it again and repeat")
        try:
            files = {kind: [_write_part(folder, kind, one) for one in contents] for kind, contents in parts.items()}
            names = {kind: [file.name for file in of_kind] for kind, of_kind in files.items()}
            digests = {file.name: file.digest for of_kind in files.values() for file in of_kind}
            text, digest = _sealed({**manifest, "parts": names, "files": digests})
            write_whole(folder / MANIFEST, text)
        except Exception:
            _undo(folder)
            raise
        _remove_unnamed(folder, set(digests) | {MANIFEST})
    return Saved(digest, files)


def _undo(folder: Path) -> None:
    """Remove what a failed save wrote: on a full disk it would be in the way of the next."""
    with contextlib.suppress(OSError, ModelError):
        named = set(read_manifest(folder)["files"]) if (folder / MANIFEST).exists() else set()
        _remove_unnamed(folder, named | {MANIFEST})


def _write_part(folder: Path, kind: str, content: Part) -> Existing:
    if isinstance(content, Existing):
        if not (folder / content.name).is_file():
            raise ModelError(f"the model {folder} has lost its file {content.name} meanwhile; save at another place")
        return content
    if isinstance(content, Mapping):
        data, suffix = save_tensors(dict(content)), "safetensors"
    else:
        data, suffix = "".join([TO_JSON(row) + "\n" for row in content]).encode(), "jsonl"
    digest = hashlib.sha256(data).hexdigest()
    name = f"{kind}-{digest[:16]}.{suffix}"
    path = folder / name
    if not (path.exists() and _file_digest(path) == digest):
        write_whole(path, data)
    return Existing(name, digest)


def _sealed(manifest: Mapping[str, Any]) -> tuple[bytes, str]:
    """Write a manifest so that its last line is the digest of all bytes before."""
    text = json.dumps(manifest, indent=1, default=lambda number: number.item())  # a parameter may be NumPy's
    body = text.removesuffix("\n}").encode() + b",\n "
    digest = hashlib.sha256(body).hexdigest()
    return body + f'"digest": "{digest}"\n}}\n'.encode(), digest


def _remove_unnamed(folder: Path, named: set[str]) -> None:
    for path in folder.iterdir():
        stem = path.name.removesuffix(".tmp")
        if path.name not in named and (FILE_NAME.fullmatch(stem) or stem == MANIFEST):
            # A reader on a system that locks open files may hold one; the next save tries again.
            with contextlib.suppress(OSError):
                path.unlink()


def _is_empty(folder: Path) -> bool:
    """Tell whether a folder holds nothing, or only what an interrupted first save left."""
    try:
        return all(
            FILE_NAME.fullmatch(path.name.removesuffix(".tmp")) or path.name == f"{MANIFEST}.tmp"
            for path in folder.iterdir()
        )
    except OSError:
        return False


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check `model.json`.  Raises ModelError if it is missing, damaged or of a later format."""
    path = folder / MANIFEST
    try:
        with open(regular(path), "rb") as file:
            data = file.read(MANIFEST_LIMIT + 1)
    except OSError as error:
        raise ModelError(
            f"{folder} is no dn2 model: its {MANIFEST} cannot be read ({error.strerror}); "
            "make one with: dn2 fit INPUT -o MODEL"
        ) from error
    try:
        manifest = json.loads(data)
        version = manifest["format"]
        if type(version) is not int or version < 1:
            raise ValueError(f"format {version!r}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: it is not the JSON that dn2 writes; restore it or fit again") from error
    if version > FORMAT:
        raise ModelError(
            f"{folder} has format {version}, this dn2 reads up to {FORMAT}; "
            f"it takes dn2 {manifest.get('readable_from', 'of a later release')}: pip install --upgrade dn2"
        )
    body, _, _ = data.rpartition(b'"digest"')
    digest = hashlib.sha256(body).hexdigest()
    if data != body + f'"digest": "{digest}"\n}}\n'.encode():
        raise ModelError(f"{path} is damaged: its bytes do not match its digest; restore it or fit again")
    _check_names(path, manifest)
    return dict(manifest)


def _check_names(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a file outside of the folder, and one without a digest."""
    try:
        files, parts = manifest["files"], manifest["parts"]
        if not (isinstance(files, dict) and isinstance(parts, dict)):
            raise TypeError("files and parts are objects")
        named = {name for names in parts.values() for name in names}
        strange = [name for name in named | set(files) if name not in files or not FILE_NAME.fullmatch(name)]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not list the model's files as dn2 does; fit again") from error
    if strange:
        raise ModelError(f"{path} names a file {min(strange)!r} that dn2 would not write; fit again")


class Bundle:
    """The files of one saved model, read as its `model.json` says.

    folder : the model.  Raises ModelError for anything missing or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)

    def check(self) -> None:
        """Compare every file with its digest; more than 1 GiB of those that are mapped is left to `problems`."""
        mapped = {name for kind in MAPPED for name in self.manifest["parts"].get(kind, ())}
        large = sum(self._size(name) for name in mapped) > CHECKED_AT_LOAD
        names = [name for name in self.manifest["files"] if not (large and name in mapped)]
        if problems := self.problems(names):
            raise ModelError(f"the model {self.folder} is damaged: {'; '.join(problems)}; restore it or fit again")

    def problems(self, names: Sequence[str] | None = None) -> list[str]:
        """Say what is wrong with each damaged file, by default of all."""
        names = list(self.manifest["files"]) if names is None else list(names)
        with ThreadPoolExecutor() as pool:
            return [problem for problem in pool.map(self._problem, names) if problem]

    def _problem(self, name: str) -> str | None:
        try:
            digest = _file_digest(self.folder / name)
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        return None if digest == self.manifest["files"][name] else f"{name} does not match its digest"

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except OSError as error:
            raise ModelError(f"the model {self.folder} is damaged: {name} is missing") from error

    def arrays(self, kind: str) -> dict[str, np.ndarray[Any, Any]]:
        """Read the arrays of the one file of a kind into memory."""
        (name,) = self.manifest["parts"][kind]
        try:
            return dict(load_tensors(regular(self.folder / name).read_bytes()))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"the model {self.folder} is damaged: {name}: {error}") from error

    def mapped(self, kind: str, key: str) -> list[np.ndarray[Any, Any]]:
        """Map one array of every file of a kind into memory, without reading or copying it."""
        return [map_array(self.folder / name, key) for name in self.manifest["parts"][kind]]

    def rows(self, kind: str) -> Iterator[list[dict[str, Any]]]:
        """Read the JSON rows of each file of a kind, one file at a time."""
        for name in self.manifest["parts"][kind]:
            try:
                lines = regular(self.folder / name).read_bytes().splitlines()
                yield json.loads(b"[" + b",".join(lines) + b"]")  # three times as fast as line by line
            except (OSError, ValueError, RecursionError) as error:
                raise ModelError(f"the model {self.folder} is damaged: {name}: {error}") from error

    def existing(self, kind: str) -> list[Existing]:
        """Name every file of a kind, none if there are none, with its digest."""
        return [Existing(name, self.manifest["files"][name]) for name in self.manifest["parts"].get(kind, ())]


def read(folder: Path, load: Callable[[Bundle], T]) -> T:
    """Load from a model that another process may be replacing: on trouble, look again with writers kept out."""
    if not is_possible(folder):
        raise ModelError(f"{str(folder)!r} is no dn2 model: that is no path")
    bundle = Bundle(folder)
    try:
        return load(bundle)
    except ModelError:
        with locked(folder, shared=True):
            return load(Bundle(folder))


def _file_digest(path: Path) -> str:
    with open(regular(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Files that are written beside their place, and put there whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

from dn2.errors import InputError
from dn2.extras import import_pyarrow
from dn2.store.bundle import is_model
from dn2.system.naming import is_possible

T = TypeVar("T")


def choose_writer(path: str | os.PathLike[str], writers: Mapping[str, T], what: str) -> T:
    """Choose a writer by the ending of a file's name, and check early that the file can be written.

    writers : by ending; what : the words for the file's content.
    Raises InputError for an unknown ending, for a folder that cannot be made or is a model, and for a name that no file
    can have; MissingExtra."""
    writer = choose_by_ending(path, writers, what)
    target = Path(path)
    if not is_possible(target):
        raise InputError(f"{str(target)!r} cannot be written: that is no path")
    if os.path.isdir(target):
        raise InputError(f"{target} cannot be written: it is a folder")
    with _writing(target):
        folder = next(parent for parent in target.parents if os.path.lexists(parent) or parent == parent.parent)
        if not os.path.isdir(folder):
            raise InputError(f"{target} cannot be written: {folder} is no folder")
        if is_model(folder):
            raise InputError(f"{target} lies in the folder of a model, which holds the model alone; write it elsewhere")
        with contextlib.suppress(FileNotFoundError):
            target.lstat()  # fails for a name that is too long
    return writer


def choose_by_ending(path: str | os.PathLike[str], choices: Mapping[str, T], what: str) -> T:
    """Choose by the ending of a file's name; parameters as in `choose_writer`.

    Raises InputError for an unknown ending, MissingExtra."""
    suffix = Path(path).suffix.lower()
    if suffix not in choices:
        raise InputError(f"{what} must end in {' or '.join(choices)}, got {os.fspath(path)!r}")
    if suffix == ".parquet":
        import_pyarrow()
    return choices[suffix]


def write_text(path: str | os.PathLike[str], write: Callable[[TextIO], None]) -> None:
    """Write a file of UTF-8; write : writes its lines.  Raises InputError if it cannot be written."""

    def into(temporary: Path) -> None:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            write(file)

    write_file(path, into)


def write_parquet(path: str | os.PathLike[str], table: Any) -> None:
    """Write a table of pyarrow as a file.  Raises InputError if it cannot be written."""

    def into(temporary: Path) -> None:
        pyarrow = import_pyarrow()
        with pyarrow.OSFile(
            os.fsencode(temporary), "wb"
        ) as file:  # pyarrow takes a path that is not UTF-8 only as bytes
            pyarrow.parquet.write_table(table, file)

    write_file(path, into)


def write_file(path: str | os.PathLike[str], write: Callable[[Path], None]) -> None:
    """Write a file beside its place and move it there at the end, so that it is never half a file; make its folder."""
    target = Path(path)
    temporary = target.with_name(f".dn2-{secrets.token_hex(8)}.tmp")  # a name that no user or other run has
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error

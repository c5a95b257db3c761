"""Parquet files, and columns as pyarrow holds them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2 import extras
from dn2.bounds import check_fits, parsing
from dn2.errors import InputError
from dn2.extras import import_pyarrow
from dn2.inputs.columns import LARGEST_INTEGER, Column, as_texts, texts, to_column
from dn2.inputs.names import check_names
from dn2.naming import writable

MOST_AT_ONCE = 64  # columns
BYTES_A_ROW = 160  # for its name, and where it is from


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file whose schema has been read: the names of its columns in order."""

    path: Path
    names: list[str]

    def read(
        self, names: Collection[str], text: Collection[str], progress: object = None, verbatim: Collection[str] = ()
    ) -> tuple[dict[str, Column | None], int, dict[int, str]]:
        """Read the columns asked for; those in `text` or `verbatim` as text.

        Returns the columns, the number of rows, and no errors: a row of Parquet is whole.  It takes no time worth a
        progress.
        Raises InputError if the file is damaged, has no rows or more than memory holds, or if a column is nested."""
        columns: dict[str, Column | None] = {}
        wanted = set(names)
        places = [place for place, name in enumerate(self.names) if name in wanted]
        with open_parquet(self.path) as file:
            schema = file.schema_arrow  # made anew each time that it is asked for
            n_rows = self._check_size(file.metadata.num_rows, schema, places)
            given = schema.names
            for start in range(0, len(places), MOST_AT_ONCE):
                some = places[start : start + MOST_AT_ONCE]
                table = file.read(columns=[given[place] for place in some])
                for name, values in zip([self.names[place] for place in some], table.columns, strict=True):
                    if len(values) != n_rows:
                        raise ValueError(f"the column {name!r} has {len(values):,} rows, and the file {n_rows:,}")
                    column = self._column(values, name)
                    columns[name] = as_texts(column) if name in text or name in verbatim else column
        return columns, n_rows, {}

    def _check_size(self, n_rows: int, schema: Any, places: Sequence[int]) -> int:
        """Return the number of rows of some columns.  Raises InputError if a column is nested, if there is no row, or
        if there is not memory enough: many equal values take few bytes in a file."""
        if n_rows <= 0:
            raise InputError(f"{self.path} has no rows")
        width, types = BYTES_A_ROW, schema.types
        for place in places:
            kind = types[place]
            _check_flat(kind, self.names[place], f"{self.path}: ")
            width += 8 + 2 * _width_of(kind)
        check_fits(n_rows * width, f"{self.path}, unpacked,")
        return n_rows

    def _column(self, values: Any, name: str) -> Column:
        try:
            return from_arrow(values, name)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error


def open_table(path: Path) -> ParquetFile:
    """Read the names of a Parquet file's columns.  Raises InputError if it is none, MissingExtra without pyarrow."""
    with open_parquet(path) as file:
        names = [writable(name) for name in file.schema_arrow.names]
    check_names(names, str(path))
    return ParquetFile(path, names)


@contextlib.contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """Open a file as pyarrow.parquet.ParquetFile that reads texts as dictionaries, in which each is held once.

    What is raised inside becomes InputError."""
    with parsing(path, "cannot be read as Parquet"), extras.open_parquet(path) as file:
        yield file


def _width_of(kind: Any) -> int:
    """Return how many bytes a value of a type of pyarrow takes, of a text its place among the texts."""
    try:
        return -(-int(kind.bit_width) // 8)
    except ValueError:  # of no fixed width
        return 8


def from_arrow(values: Any, name: str) -> Column:
    """Turn a pyarrow Array or ChunkedArray, (n,), into a column, by the rules of `to_column`.

    Raises InputError, naming column and type, for a nested type."""
    pyarrow = import_pyarrow()
    kind, types = values.type, pyarrow.types
    if types.is_dictionary(kind):
        return _of_dictionary(values)
    if types.is_boolean(kind):
        return texts(values.to_pylist())
    _check_flat(kind, name)
    if types.is_integer(kind) and _too_large(values):
        return texts(values.to_pylist())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return np.asarray(values.cast(pyarrow.float64(), safe=False)).copy()  # pyarrow's is read-only
    if types.is_timestamp(kind) or types.is_date(kind):
        return to_column(np.asarray(values), name)
    return to_column(_cells(values), name)


def _cells(values: Any) -> list[Any]:
    """List values; texts that are no UTF-8, as some programs write them, as bytes."""
    try:
        return list(values.to_pylist())
    except UnicodeDecodeError:
        return list(values.cast(import_pyarrow().large_binary()).to_pylist())


def _of_dictionary(values: Any) -> Column:
    """Look up the texts of each chunk, so that equal ones share one object."""
    parts = [np.empty(0, object)]
    for chunk in getattr(values, "chunks", [values]):
        known = np.concatenate([texts(_cells(chunk.dictionary)), np.array([None], object)])
        parts.append(known[chunk.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)


def _check_flat(kind: Any, name: str, where: str = "") -> None:
    if import_pyarrow().types.is_nested(kind):
        raise InputError(
            f"{where}the column {name!r} holds {kind}; "
            f"leave it out with --drop-column {name!r} (in Python drop_columns=)"
        )


def _too_large(values: Any) -> bool:
    ends = import_pyarrow().compute.min_max(values)
    return any(abs(end.as_py() or 0) > LARGEST_INTEGER for end in ends.values())

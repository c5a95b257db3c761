"""Parquet files, and columns as pyarrow holds them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2 import extras
from dn2.errors import InputError
from dn2.extras import import_pyarrow
from dn2.inputs.columns import LARGEST_INTEGER, Column, ColumnsRead, leave_out, to_column, write_column, write_texts
from dn2.inputs.names import check_column_names
from dn2.system.bounds import check_fits, parsing
from dn2.system.naming import writable
from dn2.system.stores import LocalPath

MOST_AT_ONCE = 64  # columns
BYTES_A_ROW = 160  # for the row's name, path and digest


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file whose schema has been read: the names of its columns in order."""

    path: LocalPath
    names: list[str]

    def read(
        self,
        names: Collection[str],
        text: Collection[str],
        progress: object = None,
        verbatim: Collection[str] = (),
        with_points: object = (),
    ) -> ColumnsRead:
        """Read the columns `names`; those in `text` or `verbatim` as text.  Every row can be read.

        progress, with_points : unused, since reading takes little time and numbers are numbers.
        Raises InputError if the file is damaged, has no rows or more than memory holds, or if a column is nested."""
        columns: dict[str, Column | None] = {}
        chosen = set(names)
        places = [place for place, name in enumerate(self.names) if name in chosen]
        with open_parquet_table(self.path) as file:
            schema = file.schema_arrow  # a property that builds the schema anew at each access
            n_rows = self._check_size(file.metadata.num_rows, schema, places)
            stored_names = schema.names
            for start in range(0, len(places), MOST_AT_ONCE):
                batch = places[start : start + MOST_AT_ONCE]
                table = file.read(columns=[stored_names[place] for place in batch])
                for name, values in zip([self.names[place] for place in batch], table.columns, strict=True):
                    if len(values) != n_rows:
                        raise ValueError(f"the column {name!r} has {len(values):,} rows, and the file {n_rows:,}")
                    column = self._column(values, name)
                    columns[name] = write_column(column) if name in text or name in verbatim else column
        return ColumnsRead(columns, n_rows, {})

    def _check_size(self, n_rows: int, schema: Any, places: Sequence[int]) -> int:
        """Return the number of rows.

        Raises InputError if there is no row, if a column is nested, or if the columns at `places` take more memory than
        is free: many equal values take few bytes in a file."""
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


def open_table(path: LocalPath) -> ParquetFile:
    """Read the names of a Parquet file's columns.  Raises InputError for a file that is not Parquet, MissingExtra."""
    with open_parquet_table(path) as file:
        names = [writable(name) for name in file.schema_arrow.names]
    check_column_names(names, str(path))
    return ParquetFile(path, names)


@contextlib.contextmanager
def open_parquet_table(path: LocalPath) -> Iterator[Any]:
    """Open a file as `dn2.extras.open_parquet` does; errors inside become InputError."""
    with parsing(path, "cannot be read as Parquet"), extras.open_parquet(path) as file:
        yield file


def _width_of(kind: Any) -> int:
    """Return the bytes that a value of a pyarrow type takes; a text counts as its place in the dictionary."""
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
        return write_texts(values.to_pylist())
    _check_flat(kind, name)
    if types.is_integer(kind) and _too_large(values):
        return write_texts(values.to_pylist())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return np.asarray(values.cast(pyarrow.float64(), safe=False)).copy()  # pyarrow's is read-only
    if types.is_timestamp(kind) or types.is_date(kind):
        return to_column(np.asarray(values), name)
    return to_column(_cells(values), name)


def _cells(values: Any) -> list[Any]:
    """List values; if some texts are not UTF-8, as some programs write them, all as bytes."""
    try:
        return list(values.to_pylist())
    except UnicodeDecodeError:
        return list(values.cast(import_pyarrow().large_binary()).to_pylist())


def _of_dictionary(values: Any) -> Column:
    """Look up the texts of each chunk, so that equal texts share one object."""
    chunks = [np.empty(0, object)]
    for chunk in getattr(values, "chunks", [values]):
        entries = np.concatenate([write_texts(_cells(chunk.dictionary)), np.array([None], object)])
        chunks.append(entries[chunk.indices.fill_null(len(entries) - 1).to_numpy(zero_copy_only=False)])
    return np.concatenate(chunks)


def _check_flat(kind: Any, name: str, where: str = "") -> None:
    if import_pyarrow().types.is_nested(kind):
        raise InputError(f"{where}the column {name!r} holds {kind}; {leave_out(name)}")


def _too_large(values: Any) -> bool:
    ends = import_pyarrow().compute.min_max(values)
    return any(abs(end.as_py() or 0) > LARGEST_INTEGER for end in ends.values())

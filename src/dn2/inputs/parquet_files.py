"""Parquet files, and columns as pyarrow holds them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2 import extras
from dn2.errors import InputError
from dn2.extras import import_pyarrow
from dn2.inputs.columns import LARGEST_INTEGER, Column, as_texts, texts, to_column
from dn2.inputs.names import check_names
from dn2.naming import writable

MOST_AT_ONCE = 64  # columns


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
        Raises InputError if the file is damaged or has no rows, or if a column is nested."""
        columns: dict[str, Column | None] = {}
        places = [place for place, name in enumerate(self.names) if name in names]
        with open_parquet(self.path) as file:
            n_rows = file.metadata.num_rows
            if not n_rows:
                raise InputError(f"{self.path} has no rows")
            for start in range(0, len(places), MOST_AT_ONCE):
                some = places[start : start + MOST_AT_ONCE]
                table = file.read(columns=[file.schema_arrow.names[place] for place in some])
                for name, values in zip([self.names[place] for place in some], table.columns, strict=True):
                    column = self._column(values, name)
                    columns[name] = as_texts(column) if name in text or name in verbatim else column
        return columns, n_rows, {}

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
    """Open a file as pyarrow.parquet.ParquetFile; what it raises inside becomes InputError."""
    pyarrow = import_pyarrow()
    try:
        with extras.open_parquet(path) as file:
            yield file
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def from_arrow(values: Any, name: str) -> Column:
    """Turn a pyarrow Array or ChunkedArray, (n,), into a column, by the rules of `to_column`.

    Raises InputError, naming column and type, for a nested type."""
    pyarrow = import_pyarrow()
    kind, types = values.type, pyarrow.types
    if types.is_dictionary(kind) or types.is_boolean(kind):
        return texts(_cells(values))
    if types.is_nested(kind):
        raise InputError(f"the column {name!r} holds {kind}; leave it out with --drop-column {name!r}")
    if types.is_integer(kind) and _too_large(values):
        return texts(values.to_pylist())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return np.asarray(values.cast(pyarrow.float64(), safe=False)).copy()  # pyarrow's is read-only
    if types.is_timestamp(kind) or types.is_date(kind):
        moments = values.cast(pyarrow.timestamp("us", getattr(kind, "tz", None)), safe=False)
        return np.asarray(moments).astype("datetime64[us]")
    return to_column(_cells(values), name)


def _cells(values: Any) -> list[Any]:
    """List values; texts that are no UTF-8, as some programs write them, as bytes."""
    try:
        return list(values.to_pylist())
    except UnicodeDecodeError:
        return list(values.cast(import_pyarrow().large_binary()).to_pylist())


def _too_large(values: Any) -> bool:
    ends = import_pyarrow().compute.min_max(values)
    return any(abs(end.as_py() or 0) > LARGEST_INTEGER for end in ends.values())

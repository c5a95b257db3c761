"""Frames: tables in memory, recognised by their methods, so that no library is imported for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from dn2.errors import Dn2Error, InputError
from dn2.inputs.columns import Column, to_column, write_column
from dn2.inputs.names import check_column_names, choose_names
from dn2.inputs.parquet_files import from_arrow
from dn2.system.naming import identity, writable


def is_frame(value: object) -> bool:
    """Tell whether a value is a table: a DataFrame of pandas or polars, a pyarrow Table, or a mapping of columns."""
    if isinstance(value, (str, os.PathLike)):
        return False
    named = hasattr(value, "columns") or hasattr(value, "column_names")
    return isinstance(value, Mapping) or (named and hasattr(value, "__getitem__"))


def read_frame(
    frame: Any, id_column: str | None, text: Collection[str], drop: Collection[str], only: Collection[str] | None
) -> tuple[dict[str, Column], list[str], list[str]]:
    """Read the columns of a frame, those in `text` as text; `id_column`, `drop` and `only` as in `choose_names`.

    Returns the columns, the default names of its n rows, and the names of the columns passed over.
    Raises InputError unless names are unique, all columns have the same number of rows, and there is a row."""
    labelled = _columns(frame)
    names = [writable(str(label)) for label, _ in labelled]
    check_column_names(names, "the table")
    chosen = set(choose_names(names, id_column, drop, only))
    columns = {
        name: _column(values, name, name in text)
        for name, (_, values) in zip(names, labelled, strict=True)
        if name in chosen
    }
    lengths = {name: len(column) for name, column in columns.items()}
    (first, n_rows), *others = lengths.items()
    for name, length in others:
        if length != n_rows:
            raise InputError(f"the column {name!r} has {length:,} rows and {first!r} has {n_rows:,}")
    if not n_rows:
        raise InputError("the table has no rows")
    return columns, row_names(frame, n_rows), [name for name in names if name not in chosen]


def _columns(frame: Any) -> list[tuple[Any, Any]]:
    """List the labels of a frame's columns, each with a function that returns its values."""
    if isinstance(frame, Mapping):
        return [(label, lambda label=label: frame[label]) for label in frame]
    if hasattr(frame, "column_names"):  # pyarrow, where two columns may have one name
        return [(name, lambda place=place: frame.column(place)) for place, name in enumerate(frame.column_names)]
    return [(label, lambda label=label: frame[label]) for label in frame.columns]


def _column(values: Callable[[], Any], name: str, as_text: bool) -> Column:
    try:
        content = values()
        column = from_arrow(content, name) if hasattr(content, "to_pylist") else to_column(content, name)
    except (Dn2Error, MemoryError):
        raise
    except Exception as error:  # a library's own values may raise anything
        words = " ".join(str(error).split())
        raise InputError(
            f"the column {name!r} cannot be read: {words:.300}; leave it out, or make it numbers"
        ) from error
    return write_column(column) if as_text else column


def category_columns(frame: Any, names: Collection[str]) -> frozenset[str]:
    """Return those of some columns of a frame that its library declares to hold categories."""
    by_name = {writable(str(label)): values for label, values in _columns(frame)}
    return frozenset(name for name in names if _declares_categories(by_name[name]()))


def _declares_categories(values: Any) -> bool:
    kind = str(getattr(values, "dtype", getattr(values, "type", "")))
    return kind == "category" or kind.startswith(("Categorical", "Enum", "dictionary"))


def row_names(frame: Any, n_rows: int) -> list[str]:
    """Name the rows of a frame or a column by the labels of pandas where these are unique, else by their number."""
    index = getattr(frame, "index", None)
    by_number = [f"row {row}" for row in range(1, n_rows + 1)]
    if isinstance(frame, Mapping) or index is None or _is_default(index):
        return by_number
    names = [writable(str(label)) for label in index]
    return names if len(set(map(identity, names))) == n_rows else by_number


def _is_default(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1

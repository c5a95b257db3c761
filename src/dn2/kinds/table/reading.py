"""Rows of tables, from files, frames and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.inputs.columns import NESTED
from dn2.inputs.memory import is_series, label_items, number_items, type_of
from dn2.inputs.names import list_few
from dn2.inputs.tables import Table, read_table
from dn2.system.naming import writable

FORMS = "rows in memory come as a frame, as dicts of their columns, or as Series of pandas"


def read_rows(inputs: Any, *, compared: Iterable[str] = (), id_column: str | None = None, **options: Any) -> Table:
    """Read a table as `read_table` does, or rows from memory.

    inputs : also a dict or a Series of pandas, which is one row; a list of these; or a dict of dicts by name.
    compared : the columns of a fitted model; a column that a row lacks is a missing value.
    Raises InputError as `read_table` does, and unless the columns have names."""
    rows = rows_by_name(inputs)
    if rows is None:
        if isinstance(inputs, np.ndarray) or (isinstance(inputs, (list, tuple)) and _is_nested(inputs)):
            raise InputError(f"{FORMS}: columns need names, and {type_of(inputs)} has none")
        return read_table(inputs, id_column=id_column, **options)
    columns_compared = list(compared)
    columns, errors = _as_columns(list(rows.values()), columns_compared)
    numbered = bool(columns_compared) and id_column not in columns
    table = read_table(columns, id_column=None if numbered else id_column, **options)
    names = table.names if id_column is not None and not numbered else list(rows)
    return replace(table, names=names, errors={**table.errors, **errors})


def rows_by_name(inputs: Any) -> dict[str, Any] | None:
    """Return rows in memory by name: a single row, a list, or a dict of rows; None for a frame or files."""
    if _is_row(inputs):
        return {"row 1": inputs}
    if isinstance(inputs, Mapping):
        are_records = bool(inputs) and all(isinstance(row, Mapping) for row in inputs.values())
        return dict(zip(label_items(inputs), inputs.values(), strict=True)) if are_records else None
    if isinstance(inputs, (list, tuple)) and any(_is_record(row) for row in inputs):
        return dict(zip(number_items("row", len(inputs)), inputs, strict=True))
    return None


def _is_row(value: Any) -> bool:
    """Tell whether a value that is given alone is one row, rather than a dict of columns."""
    if isinstance(value, Mapping):
        return bool(value) and not any(_is_column(cell) for cell in value.values())
    return _is_record(value)


def _is_record(value: Any) -> bool:
    """Tell whether a value is a row wherever rows are expected: a dict, or a Series of pandas."""
    return isinstance(value, Mapping) or (is_series(value) and hasattr(value, "index") and hasattr(value, "to_dict"))


def _is_column(value: Any) -> bool:
    """Tell whether a value of a dict is a column, so that the dict is a table rather than one row."""
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, (str, bytes))


def _is_nested(inputs: Sequence[Any]) -> bool:
    return any(isinstance(item, (list, tuple, np.ndarray, int, float)) for item in inputs)


def _as_columns(rows: Sequence[Any], required: Sequence[str]) -> tuple[dict[str, list[Any]], dict[int, str]]:
    """Return the columns of rows by name, (n,) each with None where a row lacks it, and by position what is wrong.

    required : columns of the result in any case; a row must have at least one of them."""
    errors: dict[int, str] = {}
    cells: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        record = {writable(str(label)): value for label, value in row.items()} if _is_record(row) else {}
        if not record:
            errors[place] = f"a row must be a dict of its columns, got {type_of(row)}"
        elif required and record.keys().isdisjoint(required):
            errors[place] = f"it has none of the columns that the model compares, only {list_few(record)}"
        elif nested := [name for name, value in record.items() if isinstance(value, (*NESTED, complex))]:
            errors[place] = f"{nested[0]} holds one value a row, got {type_of(record[nested[0]])}"
        cells.append({} if place in errors else record)
    names = dict.fromkeys([*required, *(name for record in cells for name in record)])
    return {name: [record.get(name) for record in cells] for name in names}, errors

"""Tables: CSV and Parquet files, or frames, to named rows and columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.inputs.columns import Column, as_texts, joined
from dn2.inputs.csv_files import CsvFile, Progress, open_csv
from dn2.inputs.digests import sha256_of
from dn2.inputs.files import Inputs, Item, find_items
from dn2.inputs.frames import is_frame, read_frame
from dn2.inputs.names import choose_names, few, name_rows
from dn2.inputs.parquet_files import ParquetFile, open_table

Files = Sequence[CsvFile | ParquetFile]

OPENERS: dict[str, Callable[[Path], CsvFile | ParquetFile]] = {
    ".csv": open_csv,
    ".tsv": open_csv,
    ".parquet": open_table,
}
TABLE_SUFFIXES = frozenset(OPENERS)


@dataclass(frozen=True)
class Table:
    """Rows of a table, column by column.

    names : the item name of each of n rows.
    columns : by name, (n,) each: float64 with NaN where missing, datetime64[us] with NaT, or object of str and None.
    errors : by row position, why a row cannot be read; its cells are missing everywhere.
    paths, digests : of each row the file it came from and the SHA-256 of that file's bytes; empty for a frame.
    passed_over : the names of the columns that were not read."""

    names: list[str]
    columns: dict[str, Column]
    errors: dict[int, str]
    paths: list[str]
    digests: list[str]
    passed_over: list[str] = field(default_factory=list)


def read_table(
    inputs: Inputs | Mapping[Any, Any] | Any,
    *,
    id_column: str | None = None,
    text: Collection[str] = (),
    verbatim: Collection[str] = (),
    drop: Collection[str] = (),
    only: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Table:
    """Read a table from files, as `find_items` finds them, or from one frame of pandas, polars, pyarrow or a mapping.

    id_column : names the rows, and is no column then.  Without it, rows are named by their file and number, or by the
        labels of a frame of pandas where they tell rows apart.
    text : columns to keep as text, whatever they hold; names of no column are passed over.
    verbatim : columns of which every cell is kept as it is written, `NA` and `?`, too, which elsewhere are missing.
    drop : columns to leave out; only : columns to read where they are there, and no others.
    progress : called with the rows of a CSV file that are read, and how many there are, about.

    Files must have the same columns, in any order; a column that is text in one of them is text in all.
    Raises InputError for files that are no tables or do not fit each other, and for a column that is not there."""
    as_text = {*text, *verbatim, *([] if id_column is None else [id_column])}
    if is_frame(inputs):
        columns, defaults, others = read_frame(inputs, id_column, as_text, drop, only)
        nowhere = [""] * len(defaults)
        table = Table(defaults, columns, {}, nowhere, nowhere, others)
    else:
        items = find_items(inputs, TABLE_SUFFIXES)
        files = [_open(item) for item in items]
        known = list(dict.fromkeys(name for file in files for name in file.names))
        chosen = choose_names(known, id_column, drop, only)
        read = set(chosen)
        others = [name for name in known if name not in read]
        table = replace(_read_files(items, files, chosen, as_text, set(verbatim), progress), passed_over=others)
    return table if id_column is None else _named_by(table, id_column)


def _read_files(
    items: list[Item],
    files: Files,
    chosen: list[str],
    text: set[str],
    verbatim: set[str],
    progress: Progress | None,
) -> Table:
    _check_same_columns(files, set(chosen))
    digests = [sha256_of(file.path) for file in files]
    parts: list[dict[str, Column | None]] = []
    names: list[str] = []
    errors: dict[int, str] = {}
    counts: list[int] = []
    for item, file in zip(items, files, strict=True):
        columns, n_rows, failed = file.read(chosen, text, progress, verbatim)
        text = text | {name for name, column in columns.items() if column is None or column.dtype == object}
        errors.update({len(names) + row: reason for row, reason in failed.items()})
        names += [f"{item.name}:{row}" for row in range(1, n_rows + 1)]
        parts.append(columns)
        counts.append(n_rows)
    _settle(files, parts, counts, text)
    return Table(
        names,
        _merged(parts, chosen),
        errors,
        [path for file, n in zip(files, counts, strict=True) for path in [str(file.path)] * n],
        [digest for one, n in zip(digests, counts, strict=True) for digest in [one] * n],
    )


def _open(item: Item) -> CsvFile | ParquetFile:
    suffix = os.path.splitext(item.path)[1].lower()
    if suffix not in OPENERS:
        raise InputError(f"{item.path} is no table; files ending in {', '.join(sorted(TABLE_SUFFIXES))} are read")
    return OPENERS[suffix](item.path)


def _check_same_columns(files: Files, chosen: set[str]) -> None:
    first = files[0]
    wanted = chosen & set(first.names)
    unwanted = chosen - wanted
    for file in files[1:]:
        there = set(file.names)
        missing = [name for name in first.names if name in wanted and name not in there]
        extra = [name for name in file.names if name in unwanted]
        told = [f"it lacks {few(missing)}"] * bool(missing) + [f"it also has {few(extra)}"] * bool(extra)
        if told:
            raise InputError(f"{file.path} must have the columns of {first.path}: {' and '.join(told)}")


def _settle(files: Files, parts: list[dict[str, Column | None]], counts: list[int], text: set[str]) -> None:
    """Read those columns again, as text, that were numbers in one place and are text in another."""
    kinds: dict[str, set[str]] = {}
    for part in parts:
        for name, column in part.items():
            kinds.setdefault(name, set()).add("O" if column is None else column.dtype.kind)
    mixed = text | {name for name, found in kinds.items() if len(found) > 1}
    for file, part, n_rows in zip(files, parts, counts, strict=True):
        again = {name for name in mixed & part.keys() if (column := part[name]) is None or column.dtype != object}
        if not again:
            continue
        columns, n_again, _ = file.read(again, again)
        if n_again != n_rows:
            raise InputError(f"{file.path} was changed while it was read; read it again")
        part.update(columns)


def _merged(parts: list[dict[str, Column | None]], names: list[str]) -> dict[str, Column]:
    """Put the rows of all files below each other, taking each column out of the parts, so that none is held twice."""
    found = ((name, [part.pop(name) for part in parts]) for name in names)
    return {name: joined([column for column in columns if column is not None]) for name, columns in found}


def _named_by(table: Table, id_column: str) -> Table:
    columns = dict(table.columns)
    ids = as_texts(columns.pop(id_column)).tolist()
    names, unnamed = name_rows(ids, table.names)
    errors = {**unnamed, **table.errors}  # a row that cannot be read has no id either
    _blank(columns.values(), np.array(sorted(errors), dtype=int))
    return replace(table, names=names, columns=columns, errors=errors)


def _blank(columns: Iterable[Column], rows: np.ndarray[Any, np.dtype[Any]]) -> None:
    for column in columns:
        column[rows] = None  # NaN, NaT or None

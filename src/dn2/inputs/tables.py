"""Tables: CSV and Parquet files, or frames, to named rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.columns import Column, ColumnsRead, stack, write_column
from dn2.inputs.csv_files import CsvFile, open_csv
from dn2.inputs.digests import sha256_of
from dn2.inputs.encodings import say_encodings
from dn2.inputs.files import find_items
from dn2.inputs.foreign import refuse_foreign
from dn2.inputs.frames import category_columns, is_frame, read_frame
from dn2.inputs.items import Item
from dn2.inputs.json_files import JsonFile, open_records
from dn2.inputs.label_columns import Labels, Wanted, wanted
from dn2.inputs.named_files import Inputs
from dn2.inputs.names import choose_names, list_few, name_rows
from dn2.inputs.parquet_files import ParquetFile, open_table
from dn2.inputs.picking import errors_at, labels_at, picked
from dn2.system.naming import ending_of
from dn2.system.stores import LocalPath, copy_all, here

Files = Sequence[CsvFile | JsonFile | ParquetFile]

OPENERS: dict[str, Callable[[LocalPath], CsvFile | JsonFile | ParquetFile]] = {
    ".csv": open_csv,
    ".tsv": open_csv,
    ".json": open_records,
    ".jsonl": open_records,
    ".ndjson": open_records,
}
OPENERS |= {f"{ending}.gz": opener for ending, opener in OPENERS.items()} | {".parquet": open_table}
TABLE_SUFFIXES = frozenset(OPENERS)


@dataclass(frozen=True)
class Table:
    """Rows of a table, column by column.

    names : the item name of each of n rows.
    columns : by name, (n,) each: float64 with NaN where missing, datetime64[us] with NaT, or object of str and None.
    errors : by row position, why a row cannot be read; its cells are missing everywhere.
    paths, digests : by row, its file and the SHA-256 of that file's bytes; empty texts for a frame.
    passed_over : the names of the columns that were not read.
    delimiter : between the cells of the files; None where they are of several kinds, and for a frame.
    with_points : the columns of numbers whose decimal mark is a point, by their cells in a file.
    categories : the columns that a frame declares to hold categories.
    labels : by column, what the rows belong to: see `dn2.inputs.label_columns`."""

    names: list[str]
    columns: dict[str, Column]
    errors: dict[int, str]
    paths: list[str]
    digests: list[str]
    passed_over: list[str] = field(default_factory=list)
    delimiter: str | None = None
    with_points: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    labels: Mapping[str, Labels] = field(default_factory=dict)

    def at(self, places: Sequence[int]) -> Self:
        """Return the rows at some places."""
        names, paths, digests = picked(places, self.names, self.paths, self.digests)
        return replace(
            self,
            names=names,
            columns={name: column[np.array(places, np.int64)] for name, column in self.columns.items()},
            errors=errors_at(self.errors, places),
            paths=paths,
            digests=digests,
            labels=labels_at(self.labels, places),
        )

    def named(self, names: list[str]) -> Self:
        """Return the same rows under other names."""
        return replace(self, names=names)


def read_table(
    inputs: Inputs | Mapping[Any, Any] | Any,
    *,
    id_column: str | None = None,
    text: Collection[str] = (),
    verbatim: Collection[str] = (),
    drop: Collection[str] = (),
    only: Collection[str] | None = None,
    with_points: Collection[str] = (),
    progress: Progress | None = None,
) -> Table:
    """Read a table from files, as `find_items` finds them, or from one frame of pandas, polars, pyarrow or a mapping.

    id_column : the column whose cells name the rows, which is not compared.  Without it, rows are named by their file
        and number, or by the labels of a pandas frame where these are unique.
    text : columns to keep as text, whatever they hold; unknown names are passed over.
    verbatim : columns whose cells are kept exactly as written; `NA` and `?`, which elsewhere mean missing, too.
    drop : columns to leave out; only : the columns to read, as far as the table has them; None for all.
    with_points : columns whose decimal mark is known to be a point, in files whose numbers do not show it, too.
    progress : called with the number of rows of a CSV file read so far, and about how many there are.

    Numbers that are written otherwise than with a decimal point are texts here: see `dn2.inputs.numbers`.
    Files must have the same columns, in any order; a column that is text in one of them is text in all.
    Raises InputError unless all files are tables with the same columns, and every column named is there."""
    holding = wanted()
    as_text = {*text, *verbatim, *holding.alone, *holding.others, *([] if id_column is None else [id_column])}
    if is_frame(inputs):
        also = only if only is None or holding == Wanted() else {*only, *holding.alone, *holding.others}
        kept = set(drop) - holding.alone - holding.others
        columns, defaults, passed_over = read_frame(inputs, id_column, as_text, kept, also)
        nowhere = [""] * len(defaults)
        table = Table(
            defaults, columns, {}, nowhere, nowhere, passed_over, categories=category_columns(inputs, columns)
        )
    else:
        items = find_items(inputs, TABLE_SUFFIXES)
        copy_all(item.path for item in items)
        files = [_open(item) for item in items]
        say_encodings({file.path: file.encoding for file in files if not isinstance(file, ParquetFile)})
        available = list(dict.fromkeys(name for file in files for name in file.names))
        chosen = choose_names(available, id_column, drop, only)
        chosen += [name for name in holding.among(available) if name not in chosen]
        read = set(chosen)
        passed_over = [name for name in available if name not in read]
        ways = _Ways(as_text, set(verbatim), set(with_points), progress)
        table = replace(_read_files(items, files, chosen, ways), passed_over=passed_over)
    table = _with_labels(table, holding, drop, only)
    return table if id_column is None else _name_rows_by(table, id_column)


def _with_labels(table: Table, holding: Wanted, drop: Collection[str], only: Collection[str] | None) -> Table:
    """Take labels out of the columns that hold them, which stay only if they are to be compared as well."""
    names = holding.among(table.columns)
    labels = {name: write_column(table.columns[name]).tolist() for name in names}
    alone = {name for name in names if name in holding.alone or name in drop or (only is not None and name not in only)}
    columns = {name: column for name, column in table.columns.items() if name not in alone}
    return replace(table, columns=columns, labels=labels)


class _Ways(NamedTuple):
    """How columns are read: see `read_table`."""

    text: set[str]
    verbatim: set[str]
    with_points: set[str]
    progress: Progress | None


def _read_files(items: list[Item], files: Files, chosen: list[str], ways: _Ways) -> Table:
    _check_same_columns(files, set(chosen))
    digests = [sha256_of(file.path) for file in files]
    parts: list[ColumnsRead] = []
    names: list[str] = []
    errors: dict[int, str] = {}
    text = ways.text
    for item, file in zip(items, files, strict=True):
        part = file.read(chosen, text, ways.progress, ways.verbatim, ways.with_points)
        text = text | {name for name, column in part.columns.items() if column is None or column.dtype == object}
        errors.update({len(names) + row: reason for row, reason in part.errors.items()})
        names += [f"{item.name}:{row}" for row in range(1, part.n_rows + 1)]
        parts.append(part)
    _read_mixed_again(files, parts, text)
    counts, delimiters = [part.n_rows for part in parts], {getattr(file, "delimiter", None) for file in files}
    points = frozenset().union(*(part.with_points for part in parts))
    columns = _stack_files([part.columns for part in parts], chosen)
    return Table(
        names,
        columns,
        errors,
        [path for item, n in zip(items, counts, strict=True) for path in [item.origin] * n],
        [digest for file_digest, n in zip(digests, counts, strict=True) for digest in [file_digest] * n],
        delimiter=delimiters.pop() if len(delimiters) == 1 else None,
        with_points=frozenset(name for name in points if columns[name].dtype.kind == "f"),
    )


def _open(item: Item) -> CsvFile | JsonFile | ParquetFile:
    suffix = ending_of(item.path)
    if suffix not in OPENERS:
        refuse_foreign(item.path, TABLE_SUFFIXES)
        raise InputError(f"{item.path} is no table; files ending in {', '.join(sorted(TABLE_SUFFIXES))} are read")
    return OPENERS[suffix](here(item.path))


def _check_same_columns(files: Files, chosen: set[str]) -> None:
    first = files[0]
    shared = chosen & set(first.names)
    excluded = chosen - shared
    for file in files[1:]:
        present = set(file.names)
        missing = [name for name in first.names if name in shared and name not in present]
        extra = [name for name in file.names if name in excluded]
        differences = [f"it lacks {list_few(missing)}"] * bool(missing) + [f"it also has {list_few(extra)}"] * bool(
            extra
        )
        if differences:
            raise InputError(f"{file.path} must have the columns of {first.path}: {' and '.join(differences)}")


def _read_mixed_again(files: Files, parts: list[ColumnsRead], text: set[str]) -> None:
    """Read columns that are numbers in one file and text in another again, all as text."""
    kinds: dict[str, set[str]] = {}
    for part in parts:
        for name, column in part.columns.items():
            kinds.setdefault(name, set()).add("O" if column is None else column.dtype.kind)
    mixed = text | {name for name, kinds_found in kinds.items() if len(kinds_found) > 1}
    for file, part in zip(files, parts, strict=True):
        columns = part.columns
        reread = {name for name in mixed & columns.keys() if (it := columns[name]) is None or it.dtype != object}
        if not reread:
            continue
        again = file.read(reread, reread)
        if again.n_rows != part.n_rows:
            raise InputError(f"{file.path} was changed while it was read; read it again")
        columns.update(again.columns)


def _stack_files(parts: list[dict[str, Column | None]], names: list[str]) -> dict[str, Column]:
    """Put the rows of all files below each other; each column leaves its file's part, so that it is held once."""
    columns_by_name = ((name, [part.pop(name) for part in parts]) for name in names)
    return {name: stack([column for column in columns if column is not None]) for name, columns in columns_by_name}


def _name_rows_by(table: Table, id_column: str) -> Table:
    columns = dict(table.columns)
    ids = write_column(columns.pop(id_column)).tolist()
    names, unnamed = name_rows(ids, table.names, id_column)
    errors = {**unnamed, **table.errors}  # a row that cannot be read has no id either
    _blank(columns.values(), np.array(sorted(errors), dtype=int))
    return replace(table, names=names, columns=columns, errors=errors)


def _blank(columns: Iterable[Column], rows: np.ndarray[Any, np.dtype[Any]]) -> None:
    for column in columns:
        column[rows] = None  # NaN, NaT or None

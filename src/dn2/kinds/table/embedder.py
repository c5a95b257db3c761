"""Rows of a table to vectors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from dn2.arrays import Numbers, Vectors
from dn2.errors import InputError, ReferenceTooSmall
from dn2.inputs.cells import Cells, to_texts
from dn2.inputs.csv_lines import LONGEST_CELL
from dn2.inputs.numbers import DECIMALS, GROUPINGS, LONGEST_UNIT, Notation
from dn2.inputs.writing import Writing
from dn2.kinds.table.columns import CategoryColumn, Column, DateColumn, NumberColumn, check_kind
from dn2.kinds.table.finding import find_column
from dn2.system.interface import option


@dataclass(frozen=True, repr=False)
class TableEmbedder:
    """Turns the rows of a table into features; the reference rows show the kind of each column.

    columns : the compared columns.  left_out : the other columns, with the reason.

    The scale of each column is learnt by the detector."""

    columns: tuple[Column, ...]
    left_out: Mapping[str, str]

    @classmethod
    def learn(
        cls, table: Mapping[str, Cells], writing: Writing | None = None, kinds: Mapping[str, str] | None = None
    ) -> Self:
        """Find the kind of each column, given by name as (n,) cells.

        writing : how the columns are written, by default as their cells show; kinds : `number`, `category` or `date` by
        name, where a person has said it.
        Raises InputError unless a column can be compared, and for columns that can be read in several ways;
        ReferenceTooSmall for a single row."""
        if any(len(cells) == 1 for cells in table.values()):
            raise ReferenceTooSmall("one row cannot show what is normal: a reference set takes at least 3; add 2 more")
        written = writing or Writing(table)
        found_columns = {
            name: find_column(name, cells, written, (kinds or {}).get(name)) for name, cells in table.items()
        }
        left_out = {name: reason for name, reason in found_columns.items() if isinstance(reason, str)}
        columns = tuple(column for column in found_columns.values() if not isinstance(column, str))
        if all(column.is_constant for column in columns):
            left_out |= {column.name: column.words for column in columns}
            reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
            hint = f"; if one holds messages, name it with {option('column')}" if "free text" in reasons else ""
            raise InputError(f"no column is left to compare rows by: {reasons or 'the table has no columns'}{hint}")
        return cls(columns, left_out)

    def __repr__(self) -> str:
        return f"<TableEmbedder of {len(self.columns):,} columns>"

    @property
    def owners(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The column that each feature comes from, (d,)."""
        return np.repeat(np.arange(len(self.columns)), [len(column.categorical) for column in self.columns])

    @property
    def categorical(self) -> list[int]:
        """The places of the features that hold categories."""
        flags = [flag for column in self.columns for flag in column.categorical]
        return [place for place, flag in enumerate(flags) if flag]

    @property
    def dimension(self) -> int:
        """The number d of features."""
        return len(self.owners)

    @property
    def texts(self) -> list[str]:
        """The columns whose cells are read as texts."""
        return [column.name for column in self.columns if not isinstance(column, NumberColumn) or column.is_written]

    @property
    def with_points(self) -> list[str]:
        """The columns of numbers whose decimal mark is a point, and that have no other."""
        return [column.name for column in self.columns if isinstance(column, NumberColumn) and column.notation.is_plain]

    def read(self, table: Mapping[str, Cells], delimiter: str | None = None) -> tuple[Numbers, dict[int, str]]:
        """Return the values of a table's columns, (n, c) with NaN for missing ones, and by row what is wrong.

        delimiter : of the table's files; tells the decimal mark where the reference rows have none.
        Only the columns of the model are read.  Raises InputError for a column that is missing, or that is of another
        kind as a whole."""
        self.require(table)
        marks = {column.notation.decimal for column in self.columns if isinstance(column, NumberColumn)} - {None}
        dialect = marks.pop() if len(marks) == 1 else "." if delimiter == "," else None
        values, errors = [], {}
        n_rows = len(next(iter(table.values())))
        for column in self.columns:
            if column.name not in table:
                values.append(np.full(n_rows, column.usual))
                continue
            column_values, wrong = column.read(table[column.name], dialect)
            check_kind(column, table[column.name], wrong)
            values.append(column_values)
            errors.update({place: error for place, error in wrong.items() if place not in errors})
        return np.stack(values, axis=1), errors

    def changes(self, values: Numbers) -> list[str]:
        """Say what is new in the columns of rows, by their values as `read` gives them, (n, c)."""
        said = ((column.name, column.change(one)) for column, one in zip(self.columns, values.T, strict=True))
        return [f"{name}: {words}" for name, words in said if words is not None]

    def require(self, names: Collection[str]) -> None:
        """Raise InputError unless all columns are among the names of a table's columns."""
        names_there = set(names)
        missing = [column for column in self.columns if column.name not in names_there]
        if missing_names := [column.name for column in missing if not column.is_constant]:
            more = f" and {len(missing_names) - 3} more" if len(missing_names) > 3 else ""
            raise InputError(
                f"the table lacks columns that the model compares: {', '.join(map(repr, missing_names[:3]))}{more}; "
                f"it has {', '.join(map(repr, list(names)[:5]))}{' …' if len(names) > 5 else ''}"
            )

    def embed(self, values: Numbers) -> Vectors:
        """Turn values, (n, c), into features: (n, d) float32, NaN for missing values, codes for categories."""
        values_by_column = zip(self.columns, values.T, strict=True)
        features = np.stack(
            [feature for column, column_values in values_by_column for feature in column.features(column_values)],
            axis=1,
        )
        return np.ascontiguousarray(features, np.float32)

    def with_categories(self, table: Mapping[str, Cells]) -> Self:
        """Return an embedder that knows the categories of a table's rows, too; codes stay the same."""
        return replace(self, columns=tuple(_extend(column, table.get(column.name)) for column in self.columns))

    def texts_of(self, table: Mapping[str, Cells], rows: Any) -> dict[int, list[str | None]]:
        """Return the texts of rows, by the place of each column of categories: values name only known texts.

        A column that the table lacks is always the same in the reference rows, and is taken to be so."""
        return {
            place: to_texts(table[column.name][rows])
            for place, column in enumerate(self.columns)
            if isinstance(column, CategoryColumn) and column.name in table
        }

    def check(self, values: Numbers) -> None:
        """Raise ValueError unless `read` could have given these values, (n, c)."""
        for column, column_values in zip(self.columns, values.T, strict=True):
            present = column_values[~np.isnan(column_values)]
            if isinstance(column, CategoryColumn):
                good = np.isin(present, np.arange(len(column.known)))
            else:
                good = np.abs(present) < (np.inf if column.kind == "number" else 2.0**63)
            if not good.all():
                raise ValueError(f"the values of the column {column.name} do not fit its kind")

    def as_dict(self) -> dict[str, Any]:
        """Return, for `model.json`, which columns are compared and which are left out."""
        kinds = [column.kind for column in self.columns]
        return {
            "columns": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            "left_out": dict(self.left_out),
            "dimension": self.dimension,
        }

    def as_records(self) -> list[dict[str, Any]]:
        """Return the columns as records of a model's file, one a line."""
        return [as_record(column) for column in self.columns]

    @classmethod
    def from_records(cls, records: list[dict[str, Any]], left_out: Mapping[str, str]) -> Self:
        """Restore what `as_records` gave.  Raises ValueError, KeyError, TypeError for other content."""
        return cls(tuple(from_record(record) for record in records), dict(left_out))


def _extend(column: Column, cells: Cells | None) -> Column:
    if cells is None or isinstance(column, DateColumn):
        return column
    if isinstance(column, NumberColumn):
        values, _ = column.read(cells)
        is_constant = column.constant is not None and not np.any(values[~np.isnan(values)] != column.constant)
        return replace(column, constant=column.constant if is_constant else None)
    by_key = {column.key(text): text for text in column.known}
    for text in to_texts(cells):
        if text is not None:
            by_key.setdefault(column.key(text), text)
    return replace(column, known=tuple(by_key.values()))


def as_record(column: Column) -> dict[str, Any]:
    """Return a column as a record of a model's file."""
    return {"kind": column.kind, **asdict(column)}


def from_record(record: Mapping[str, Any]) -> Column:
    """Return the column of a record.  Raises ValueError, KeyError, TypeError unless `as_record` could have made it."""
    fields = dict(record)
    kind = fields.pop("kind")
    if not isinstance(fields["name"], str) or len(fields["name"]) > LONGEST_CELL:
        raise ValueError(f"a column named {fields['name']!r:.80}")
    if kind == "category":
        categories = fields.pop("known")
        if not (isinstance(categories, list) and all(isinstance(text, str) for text in categories)):
            raise ValueError(f"categories must be a list of texts, got {categories!r:.80}")
        if len(set(categories)) < len(categories):
            raise ValueError("categories must occur once each")
        if not isinstance(fields["truth"], bool):
            raise ValueError(f"a column that is one of truth values or not: {fields['truth']!r:.80}")
        return CategoryColumn(known=tuple(categories), **fields)
    numbers = (fields["offset"], fields["scale"])
    if (
        not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)
        or not fields["scale"] > 0
    ):
        raise ValueError(f"a column scaled by {numbers}")
    if kind == "number":
        fields["notation"] = _notation_of(fields["notation"])
        if not isinstance(fields["binary"], bool) or not isinstance(fields["constant"], float | int | None):
            raise ValueError(f"a column that is always {fields['constant']!r:.80}")
        return NumberColumn(**fields)
    if kind == "date":
        flags = [fields[name] for name in ("clock", "weekday", "time")]
        known_order = fields["day_first"] in (True, False, None)
        if not all(isinstance(flag, bool) for flag in flags) or flags == [True, False, False] or not known_order:
            raise ValueError(f"a column of dates that tells {flags}")
        return DateColumn(**fields)
    raise ValueError(f"a column of the kind {kind!r}")


def _notation_of(fields: Any) -> Notation:
    notation = Notation(**fields)
    if (
        notation.decimal not in (*DECIMALS, None)
        or notation.grouping not in (*GROUPINGS, None)
        or not isinstance(notation.unit, str)
        or len(notation.unit) > LONGEST_UNIT
    ):
        raise ValueError(f"a column of numbers written as {fields!r:.80}")
    return notation

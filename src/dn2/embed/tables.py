"""Rows of a table to vectors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from dn2.embed.columns import (
    CategoryColumn,
    Cells,
    Column,
    DateColumn,
    NumberColumn,
    Numbers,
    check_kind,
    find_column,
    to_texts,
)
from dn2.errors import InputError, ReferenceTooSmall

Vectors = np.ndarray[Any, np.dtype[np.float32]]

LONGEST_NAME = 1 << 20  # characters: of a cell of a header


@dataclass(frozen=True)
class TableEmbedder:
    """Turns the rows of a table into features; what kind its columns are is read from the reference rows.

    columns : those that are compared.  left_out : the others, with the reason.

    Nothing else is learnt: what a difference in a column is worth is for the detector to find."""

    columns: tuple[Column, ...]
    left_out: Mapping[str, str]

    @classmethod
    def learn(cls, table: Mapping[str, Cells]) -> Self:
        """Find the kind of each column, given by name as (n,) cells.  Raises InputError if none can be compared,
        ReferenceTooSmall for a single row."""
        if any(len(cells) == 1 for cells in table.values()):
            raise ReferenceTooSmall("one row cannot show what is normal: a reference set takes at least 3; add 2 more")
        found = {name: find_column(name, cells) for name, cells in table.items()}
        left_out = {name: reason for name, reason in found.items() if isinstance(reason, str)}
        columns = tuple(column for column in found.values() if not isinstance(column, str))
        if not columns:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
            hint = "; if one holds messages, name it (column=, --column)" if "free text" in reasons else ""
            raise InputError(f"no column is left to compare rows by: {reasons or 'there is none'}{hint}")
        return cls(columns, left_out)

    @property
    def owners(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The column that each feature comes from, (d,)."""
        return np.repeat(np.arange(len(self.columns)), [len(column.categorical) for column in self.columns])

    @property
    def categorical(self) -> list[int]:
        """Which features hold categories."""
        flags = [flag for column in self.columns for flag in column.categorical]
        return [place for place, flag in enumerate(flags) if flag]

    @property
    def dimension(self) -> int:
        """The number d of features."""
        return len(self.owners)

    @property
    def texts(self) -> list[str]:
        """The columns whose cells are wanted as they are written."""
        return [column.name for column in self.columns if column.kind != "number"]

    def read(self, table: Mapping[str, Cells]) -> tuple[Numbers, dict[int, str]]:
        """Return the values of a table's columns, (n, c) with NaN for what is missing, and by row what is wrong.

        Columns that the model does not have are passed over.  Raises InputError for one that is missing, or that is of
        another kind as a whole."""
        self.require(table)
        values, errors = [], {}
        for column in self.columns:
            of_one, wrong = column.read(table[column.name])
            check_kind(column, table[column.name], wrong)
            values.append(of_one)
            errors.update({place: error for place, error in wrong.items() if place not in errors})
        return np.stack(values, axis=1), errors

    def require(self, names: Collection[str]) -> None:
        """Raise InputError if a column is not among the names of a table's."""
        there = set(names)
        if missing := [column.name for column in self.columns if column.name not in there]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise InputError(
                f"the table lacks columns that the model compares: {', '.join(map(repr, missing[:3]))}{more}; "
                f"it has {', '.join(map(repr, list(names)[:5]))}{' …' if len(names) > 5 else ''}"
            )

    def embed(self, values: Numbers) -> Vectors:
        """Turn values, (n, c), into features: (n, d) float32, NaN for what is missing, codes for categories."""
        of_columns = zip(self.columns, values.T, strict=True)
        features = np.stack([one for column, own in of_columns for one in column.features(own)], axis=1)
        return np.ascontiguousarray(features, np.float32)

    def with_categories(self, table: Mapping[str, Cells]) -> Self:
        """Know the categories of a table's rows, too; codes stay what they are."""
        return replace(self, columns=tuple(_extended(column, table[column.name]) for column in self.columns))

    def texts_of(self, table: Mapping[str, Cells], rows: Any) -> dict[int, list[str | None]]:
        """Return the texts of some rows, by the place of each column of categories: an unknown one has no code."""
        return {
            place: to_texts(table[column.name][rows])
            for place, column in enumerate(self.columns)
            if isinstance(column, CategoryColumn)
        }

    def check(self, values: Numbers) -> None:
        """Raise ValueError for values, (n, c), that `read` would not give."""
        for column, own in zip(self.columns, values.T, strict=True):
            there = own[~np.isnan(own)]
            if isinstance(column, CategoryColumn):
                good = np.isin(there, np.arange(len(column.known)))
            else:
                good = np.abs(there) < (np.inf if column.kind == "number" else 2.0**63)
            if not good.all():
                raise ValueError(f"values of the column {column.name} that are none")

    def as_dict(self) -> dict[str, Any]:
        """Say what is compared and what is left out, as `model.json` has it."""
        kinds = [column.kind for column in self.columns]
        return {
            "columns": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            "left_out": dict(self.left_out),
            "dimension": self.dimension,
        }

    def as_records(self) -> list[dict[str, Any]]:
        """Return the columns as a model keeps them, one a line."""
        return [as_record(column) for column in self.columns]

    @classmethod
    def from_records(cls, records: list[dict[str, Any]], left_out: Mapping[str, str]) -> Self:
        """Restore what `as_records` gave.  Raises ValueError, KeyError, TypeError for anything else."""
        return cls(tuple(from_record(record) for record in records), dict(left_out))


def _extended(column: Column, cells: Cells) -> Column:
    if not isinstance(column, CategoryColumn):
        return column
    known = dict.fromkeys(column.known)
    new = dict.fromkeys(text for text in to_texts(cells) if text is not None and text not in known)
    return replace(column, known=(*column.known, *new))


def as_record(column: Column) -> dict[str, Any]:
    """Return a column as a model keeps it."""
    return {"kind": column.kind, **asdict(column)}


def from_record(record: Mapping[str, Any]) -> Column:
    """Return the column of a record.  Raises ValueError, KeyError, TypeError for what is none."""
    fields = dict(record)
    kind = fields.pop("kind")
    if not isinstance(fields["name"], str) or len(fields["name"]) > LONGEST_NAME:
        raise ValueError(f"a column named {fields['name']!r:.80}")
    if kind == "category":
        known = fields.pop("known")
        if not (isinstance(known, list) and all(isinstance(text, str) for text in known)):
            raise ValueError(f"categories that are no texts: {known!r:.80}")
        if len(set(known)) < len(known):
            raise ValueError("categories that are there twice")
        return CategoryColumn(known=tuple(known), **fields)
    numbers = (fields["offset"], fields["scale"])
    if not all(isinstance(one, (int, float)) and math.isfinite(one) for one in numbers) or not fields["scale"] > 0:
        raise ValueError(f"a column scaled by {numbers}")
    if kind == "number":
        return NumberColumn(**fields)
    if kind == "date":
        flags = [fields[name] for name in ("clock", "weekday", "time")]
        if not all(isinstance(flag, bool) for flag in flags) or flags == [True, False, False]:
            raise ValueError(f"a column of dates that tells {flags}")
        return DateColumn(**fields)
    raise ValueError(f"a column of the kind {kind!r}")

"""Rows of tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np

from dn2.arrays import Numbers, Positions, Progress, Vectors
from dn2.errors import InputError, UnreadableItem
from dn2.inputs.frames import is_frame
from dn2.inputs.memory import is_series, type_of
from dn2.inputs.names import check_column_exists, list_few
from dn2.inputs.tables import TABLE_SUFFIXES, Table
from dn2.inputs.writing import Writing
from dn2.kinds.batches import check_column_name, in_batches, split_rows
from dn2.kinds.exchange import Batch, Judge, Judgement, ReadColumn, Reference
from dn2.kinds.kind import Kind
from dn2.kinds.table import words
from dn2.kinds.table.embedder import TableEmbedder
from dn2.kinds.table.evidence import Contribution, RowEvidence
from dn2.kinds.table.finding import DECLARED
from dn2.kinds.table.options import TableOptions
from dn2.kinds.table.reading import read_rows, rows_by_name
from dn2.neighbors.steps import Scale, Steps
from dn2.store.bundle import Bundle, Content
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows

logger = logging.getLogger("dn2")

CONTRIBUTIONS_NAMED = 5
CHANGES_NAMED = 10


@dataclass(frozen=True, repr=False)
class TableKind(Kind[Table]):
    """Rows of a table, compared column by column; see `Kind`.

    id_column : the column that names rows, None where they are numbered.
    values : (n, c) float64, the values of the reference rows as `TableEmbedder.read` gives them."""

    name: ClassVar[str] = "table"
    one: ClassVar[str] = "row"
    many: ClassVar[str] = "rows"
    options: ClassVar[type[TableOptions]] = TableOptions
    suffixes: ClassVar[frozenset[str]] = TABLE_SUFFIXES
    evidence: ClassVar[type[RowEvidence]] = RowEvidence
    piped: ClassVar[str] = ".csv"
    takes_verdicts: ClassVar[bool] = True
    embedder: TableEmbedder
    id_column: str | None
    values: Numbers

    @classmethod
    def claims(cls, inputs: Any, suffixes: frozenset[str]) -> bool:
        """See `Kind`.  A Series alone is taken for a series."""
        return is_frame(inputs) or (not is_series(inputs) and rows_by_name(inputs) is not None)

    @classmethod
    def doubt(cls, inputs: Any) -> str | None:
        """See `Kind`.  A dict of more columns than rows may be one of vectors by name."""
        if not isinstance(inputs, Mapping) or rows_by_name(inputs) is not None:
            return None
        n_rows = len(next(iter(inputs.values()), ()))
        return words.may_be_vectors(n_rows, len(inputs)) if len(inputs) > n_rows else None

    @classmethod
    def learn(
        cls, inputs: Any, options: TableOptions, cache: Cache | None, progress: Progress | None
    ) -> tuple[Self, Table]:
        """Learn the kinds of a table's columns.  Raises InputError unless a column can be compared."""
        table = read_rows(inputs, id_column=options.id_column, drop=options.drop_columns, progress=progress)
        columns = _readable_columns(table)
        kinds = options.kinds_of_columns()
        for name in kinds:
            check_column_exists(name, columns)
        writing = Writing(columns, options.said(), table.delimiter, table.with_points)
        embedder = TableEmbedder.learn(columns, writing, dict.fromkeys(table.categories, DECLARED) | kinds)
        if embedder.left_out:
            logger.warning("columns left out: %s", words.list_left_out(embedder.left_out))
        for hint in words.hints(embedder, options.id_column):
            logger.info(hint)
        return cls(embedder, options.id_column, np.empty((0, len(embedder.columns)))), table

    @property
    def brief(self) -> str:
        """See `Kind`."""
        return f"{len(self.embedder.columns):,} columns"

    @property
    def dimension(self) -> int:
        """The number of features that the columns become."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> Table:
        """Read rows from files, a frame, or one by one from memory.  Raises InputError unless there is at least one."""
        columns = self.embedder.columns
        varying = [column.name for column in columns if not column.is_constant]
        table = read_rows(
            inputs,
            compared=varying,
            id_column=self.id_column,
            text=set(self.embedder.texts),
            only=dict.fromkeys(column.name for column in columns),
            with_points=self.embedder.with_points,
            progress=progress,
        )
        self.embedder.require([*table.columns, *table.passed_over])
        if strange := [name for name in table.passed_over if name not in self.embedder.left_out]:
            logger.info("columns that the model does not have are passed over: %s", list_few(strange))
        return table

    def embed(self, found_items: Table, progress: Progress | None) -> Iterator[Batch]:
        """Embed rows in order, in batches."""
        values, errors = self.embedder.read(found_items.columns, found_items.delimiter)
        changes = self.embedder.changes(values)
        for change in changes[:CHANGES_NAMED]:
            logger.warning(change)
        if len(changes) > CHANGES_NAMED:
            logger.warning("and so it is with %d more columns", len(changes) - CHANGES_NAMED)

        def embedded(rows: Positions) -> tuple[Vectors, Any]:
            row_values = values[rows]
            return self.embedder.embed(row_values), (row_values, self.embedder.texts_of(found_items.columns, rows))

        return in_batches(found_items, errors | found_items.errors, embedded, progress)

    def embed_one(self, item: Any) -> Batch:
        """See `Kind`.  The item is a row: a dict, or a Series of pandas."""
        rows = rows_by_name(item)
        if rows is None or len(rows) != 1:
            raise InputError(
                f"score_one takes one row, a dict of its columns, got {type_of(item)}; Model.score takes several"
            )
        (batch,) = self.embed(self.find(item), None)
        if batch.errors:
            raise UnreadableItem(f"the row cannot be read: {batch.errors[0]}")
        return batch

    def reference(self, found_items: Table, progress: Progress | None) -> Reference:
        """Embed rows that are to join the reference set, and keep their values."""
        embedder = self.embedder.with_categories(found_items.columns)
        values, errors = embedder.read(found_items.columns, found_items.delimiter)
        items, unreadable, places = split_rows(found_items, errors | found_items.errors)
        kept = replace(self, embedder=embedder, values=np.concatenate([self.values, values[places]]))
        return Reference(items, embedder.embed(values[places]), unreadable, kept)

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[RowEvidence]:
        """Name the columns that make each row strange, with its value and those of its neighbours."""
        distances, positions = judgement.distances, judgement.positions
        parts = self._by_column(judge.detector.split(batch.vectors, distances, positions)) if len(batch.vectors) else ()
        readable = dict(zip(batch.places.tolist(), range(len(parts)), strict=True))
        for place in range(len(batch.names)):
            row = readable.get(place)
            contributions = () if row is None else self._contributions(batch.source, row, parts[row], positions[row])
            yield RowEvidence(tuple(contributions))

    def _by_column(self, parts: Numbers) -> Numbers:
        """Add up the contributions of features, (m, d), over their columns: (m, c)."""
        starts = np.flatnonzero(np.diff(self.embedder.owners, prepend=-1))
        by_column: Numbers = np.add.reduceat(parts, starts, axis=1)
        return by_column

    def _contributions(
        self, source: tuple[Numbers, Mapping[int, Sequence[Any]]], row: int, parts: Numbers, positions: Positions
    ) -> Iterator[Contribution]:
        values, texts = source
        total = parts.sum()
        for place in np.argsort(-parts, kind="stable")[:CONTRIBUTIONS_NAMED].tolist():
            column = self.embedder.columns[place]
            if parts[place] > 0:
                yield Contribution(
                    column=column.name,
                    share=float(parts[place] / total),
                    value=texts[place][row] if place in texts else column.show(float(values[row, place])),
                    neighbors=tuple(map(column.show, self.values[positions, place].tolist())),
                )

    def steps(self, options: TableOptions, n: int) -> Steps:
        """See `Kind`."""
        return replace(super().steps(options, n), scale=Scale(tuple(self.embedder.categorical)))

    @classmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See `Kind`."""
        return words.say(about)

    def remarks(self, judge: Judge) -> list[str]:
        """See `Kind`."""
        return words.list_columns(self.columns)

    @property
    def columns(self) -> Sequence[ReadColumn]:
        """See `Kind`; those that are left out come last."""
        compared = [ReadColumn(column.name, column.words, True) for column in self.embedder.columns]
        return [*compared, *(ReadColumn(name, why, False) for name, why in self.embedder.left_out.items())]

    def only(self, places: Positions) -> Self:
        """Keep only the values at some places."""
        return replace(self, values=self.values[places])

    def embed_kept(self, places: Positions) -> tuple[Positions, Vectors]:
        """Embed the values of rows."""
        return places, self.embedder.embed(self.values[places])

    def describe(self) -> dict[str, Any]:
        """Say which columns are compared."""
        return {"kind": self.name, "embedder": self.embedder.as_dict(), "id_column": self.id_column}

    def contents(self) -> dict[str, Sequence[Content]]:
        """Return the columns."""
        return {"columns": [self.embedder.as_records()]}

    def contents_of_items(self) -> dict[str, Callable[[slice], Content]]:
        """Return the values of rows."""
        return {"values": lambda places: {"values": np.ascontiguousarray(self.values[places])}}

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the columns and the values."""
        manifest = files.manifest
        values, records = np.concatenate(files.mapped("values", "values")), list(chain(*files.rows("columns")))
        if values.dtype != np.float64 or values.shape != (kept.stored, len(records)):
            raise ValueError(f"values of {values.shape} for {kept.stored} rows of {len(records)} columns")
        embedder = TableEmbedder.from_records(records, manifest["embedder"]["left_out"])
        check_column_name(manifest["id_column"])
        embedder.check(values)
        return cls(embedder, manifest["id_column"], values[kept.places])

    def check_steps(self, steps: Steps) -> None:
        """See `Kind`."""
        if steps.scale != Scale(tuple(self.embedder.categorical)):
            raise ValueError("columns of other kinds than were compared")


def _readable_columns(table: Table) -> dict[str, Any]:
    """Return the columns of a table with only the readable rows."""
    if not table.errors:
        return table.columns
    kept = np.ones(len(table.names), bool)
    kept[list(table.errors)] = False
    return {name: column[kept] for name, column in table.columns.items()}

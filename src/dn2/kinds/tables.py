"""Rows of tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np

from dn2.embed.columns import Numbers
from dn2.embed.tables import TableEmbedder
from dn2.embedding import Progress
from dn2.inputs.names import few
from dn2.inputs.tables import Table, read_table
from dn2.kinds.kind import Batch, Reference
from dn2.kinds.rows import check_column_name, in_batches, split_rows
from dn2.neighbors.blocks import Positions, Vectors
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Distances
from dn2.store.bundle import Bundle, Part
from dn2.store.cache import Cache
from dn2.store.rows import Contribution, Row
from dn2.store.shards import Kept

logger = logging.getLogger("dn2")

CONTRIBUTIONS_NAMED = 5


@dataclass(frozen=True)
class Tables:
    """Rows of a table, compared column by column; see `Kind`.

    id_column : the column that names rows, None where they are numbered.
    values : (n, c) float64, the values of the reference rows as `TableEmbedder.read` gives them."""

    name: ClassVar[str] = "table"
    one: ClassVar[str] = "row"
    many: ClassVar[str] = "rows"
    embedder: TableEmbedder
    id_column: str | None
    values: Numbers

    @classmethod
    def learn(cls, table: Table, id_column: str | None) -> Self:
        """Find out what the columns of a table are.  Raises InputError if none can be compared."""
        embedder = TableEmbedder.learn(_readable(table))
        return cls(embedder, id_column, np.empty((0, len(embedder.columns))))

    @property
    def dimension(self) -> int:
        """The number of features that the columns become."""
        return self.embedder.dimension

    def find(self, inputs: Any, progress: Progress | None = None) -> Table:
        """Read a table from files or from a frame.  Raises InputError if there is none, or no row in it."""
        compared, texts = dict.fromkeys(column.name for column in self.embedder.columns), set(self.embedder.texts)
        table = read_table(inputs, id_column=self.id_column, text=texts, only=compared, progress=progress)
        self.embedder.require([*table.columns, *table.passed_over])
        if strange := [name for name in table.passed_over if name not in self.embedder.left_out]:
            logger.info("columns that the model does not have are passed over: %s", few(strange))
        return table

    def embed(self, found: Table, progress: Progress | None) -> Iterator[Batch]:
        """Embed rows in order, so many at a time."""
        values, errors = self.embedder.read(found.columns)

        def embedded(rows: Positions) -> tuple[Vectors, Any]:
            some = values[rows]
            return self.embedder.embed(some), (some, self.embedder.texts_of(found.columns, rows))

        return in_batches(found, errors | found.errors, embedded, progress)

    def reference(self, found: Table, progress: Progress | None) -> Reference:
        """Embed rows that are to join the reference set, and keep their values."""
        embedder = self.embedder.with_categories(found.columns)
        values, errors = embedder.read(found.columns)
        items, unreadable, places = split_rows(found, errors | found.errors)
        kept = replace(self, embedder=embedder, values=np.concatenate([self.values, values[places]]))
        return Reference(items, embedder.embed(values[places]), unreadable, kept)

    def explain(
        self, detector: KNNDetector, batch: Batch, distances: Distances, positions: Positions
    ) -> Iterator[Mapping[str, Any]]:
        """Name the columns that make each row strange, with its value and those of its neighbours."""
        parts = self._by_column(detector.split(batch.vectors, distances, positions)) if len(batch.vectors) else ()
        readable = dict(zip(batch.places.tolist(), range(len(parts)), strict=True))
        for place in range(len(batch.names)):
            own = readable.get(place)
            found = () if own is None else self._contributions(batch.source, own, parts[own], positions[own])
            yield {"columns": tuple(found)}

    def _by_column(self, parts: Numbers) -> Numbers:
        """Add up what features contribute, (m, d), over the columns that they come from: (m, c)."""
        starts = np.flatnonzero(np.diff(self.embedder.owners, prepend=-1))
        by_column: Numbers = np.add.reduceat(parts, starts, axis=1)
        return by_column

    def _contributions(
        self, source: tuple[Numbers, Mapping[int, Sequence[Any]]], own: int, parts: Numbers, positions: Positions
    ) -> Iterator[Contribution]:
        values, texts = source
        total = parts.sum()
        for place in np.argsort(-parts, kind="stable")[:CONTRIBUTIONS_NAMED].tolist():
            column = self.embedder.columns[place]
            if parts[place] > 0:
                yield Contribution(
                    column=column.name,
                    share=float(parts[place] / total),
                    value=texts[place][own] if place in texts else column.show(float(values[own, place])),
                    neighbors=tuple(map(column.show, self.values[positions, place].tolist())),
                )

    def files(self, found: Table) -> None:
        """Return None: rows have no pictures."""

    def files_again(self, root: Any, rows: Sequence[Row]) -> None:
        """Return None: rows have no pictures."""

    def only(self, places: Positions) -> Self:
        """Keep only the values at some places."""
        return replace(self, values=self.values[places])

    def embed_kept(self, places: Positions) -> tuple[Positions, Vectors]:
        """Embed the values of rows."""
        return places, self.embedder.embed(self.values[places])

    def describe(self) -> dict[str, Any]:
        """Say what is compared."""
        return {"kind": self.name, "embedder": self.embedder.as_dict(), "id_column": self.id_column}

    def parts(self) -> dict[str, Sequence[Part]]:
        """Return the columns."""
        return {"columns": [self.embedder.as_records()]}

    def parts_of_items(self) -> dict[str, Callable[[slice], Part]]:
        """Return the values of rows."""
        return {"values": lambda places: {"values": np.ascontiguousarray(self.values[places])}}

    @classmethod
    def restore(cls, files: Bundle, kept: Kept, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the columns and the values."""
        manifest = files.manifest
        values, records = np.concatenate(files.mapped("values", "values")), list(chain(*files.rows("columns")))
        if values.dtype != np.float64 or values.shape != (kept.stored, len(records)):
            raise ValueError(f"values of {values.shape} for {kept.stored} rows of {len(records)} columns")
        embedder = TableEmbedder.from_records(records, manifest["embedder"]["left_out"])
        check_column_name(manifest["id_column"])
        embedder.check(values)
        if embedder.categorical != manifest["detector"]["categorical_columns"]:
            raise ValueError("columns of other kinds than were compared")
        return cls(embedder, manifest["id_column"], values[kept.places])


def _readable(table: Table) -> dict[str, Any]:
    """Return the columns of a table without the rows that cannot be read."""
    if not table.errors:
        return table.columns
    kept = np.ones(len(table.names), bool)
    kept[list(table.errors)] = False
    return {name: column[kept] for name, column in table.columns.items()}

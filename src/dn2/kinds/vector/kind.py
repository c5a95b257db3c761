"""Vectors as items: embeddings made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dn2.arrays import Progress
from dn2.errors import InputError, UnreadableItem
from dn2.inputs.memory import are_numbers, type_of
from dn2.kinds.batches import in_batches, split_rows
from dn2.kinds.exchange import Batch, Reference
from dn2.kinds.kind import Kind
from dn2.kinds.vector import words
from dn2.kinds.vector.options import VectorOptions
from dn2.kinds.vector.reading import VECTOR_SUFFIXES, VectorRows, are_vectors, has_vectors, read_vectors
from dn2.neighbors.steps import Normalize, Steps, Whiten
from dn2.store.bundle import Bundle
from dn2.store.cache import Cache
from dn2.store.shards import StoredRows
from dn2.system.naming import ending_of
from dn2.system.stores import AnyPath, here


@dataclass(frozen=True, repr=False)
class VectorKind(Kind[VectorRows]):
    """Rows that are vectors already; see `Kind`."""

    name: ClassVar[str] = "vector"
    one: ClassVar[str] = "vector"
    many: ClassVar[str] = "vectors"
    options: ClassVar[type[VectorOptions]] = VectorOptions
    suffixes: ClassVar[frozenset[str]] = VECTOR_SUFFIXES | {".parquet"}
    embedder: ClassVar[None] = None
    takes_verdicts: ClassVar[bool] = True
    dimension: int

    @classmethod
    def claims(cls, inputs: Any, suffixes: frozenset[str]) -> bool:
        """See `Kind`."""
        return are_vectors(inputs)

    @classmethod
    def claims_file(cls, path: AnyPath) -> bool:
        """See `Kind`.  Raises InputError for a Parquet file that cannot be read."""
        suffix = ending_of(path)
        return suffix in VECTOR_SUFFIXES or (suffix == ".parquet" and path.is_file() and has_vectors(here(path)))

    @classmethod
    def learn(
        cls, inputs: Any, options: VectorOptions, cache: Cache | None, progress: Progress | None
    ) -> tuple[Self, VectorRows]:
        """See `Kind`."""
        found_items = read_vectors(inputs)
        return cls(found_items.vectors.shape[1]), found_items

    def find(self, inputs: Any, progress: Progress | None = None) -> VectorRows:
        """Read vectors from files or from memory.  Raises InputError unless there are vectors of the model's length."""
        rows = read_vectors(inputs, self.dimension)
        if rows.vectors.shape[1] != self.dimension:
            raise InputError(f"the model has vectors of {self.dimension} numbers, got {rows.vectors.shape[1]}")
        return rows

    def embed(self, found_items: VectorRows, progress: Progress | None) -> Iterator[Batch]:
        """Pass vectors on, in batches."""
        return in_batches(found_items, found_items.errors, lambda rows: (found_items.vectors[rows], None), progress)

    def embed_one(self, item: Any) -> Batch:
        """See `Kind`.  The item is a vector: a 1-d array, or a list of numbers."""
        if not are_numbers(item):
            raise InputError(f"score_one takes one vector, (d,), got {type_of(item)}; Model.score takes several")
        (batch,) = self.embed(self.find([item]), None)
        if batch.errors:
            raise UnreadableItem(f"the vector cannot be read: {batch.errors[0]}")
        return batch

    def reference(self, found_items: VectorRows, progress: Progress | None) -> Reference:
        """Take vectors for the reference set."""
        items, unreadable, places = split_rows(found_items, found_items.errors)
        vectors = found_items.vectors if len(places) == len(found_items.vectors) else found_items.vectors[places]
        return Reference(items, vectors, unreadable, self)

    def steps(self, options: VectorOptions, n: int) -> Steps:
        """See `Kind`."""
        normalize = Normalize(options.normalize or "none")
        return replace(super().steps(options, n), normalize=normalize, whiten=Whiten() if options.whiten else None)

    @classmethod
    def say(cls, about: Mapping[str, Any]) -> list[tuple[str, str]]:
        """See `Kind`."""
        return words.say(about)

    def describe(self) -> dict[str, Any]:
        """Return the length of the vectors."""
        return {"kind": self.name, "embedder": None, "dimension": self.dimension}

    @classmethod
    def restore(cls, files: Bundle, kept: StoredRows, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the length of the vectors."""
        dimension = files.manifest["dimension"]
        if not isinstance(dimension, int):
            raise ValueError(f"vectors of {dimension!r} numbers")
        return cls(dimension)

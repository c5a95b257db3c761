"""Vectors as they come: embeddings made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dn2.embedding import Progress
from dn2.errors import InputError
from dn2.inputs.vectors import VectorRows, read_vectors
from dn2.kinds.keeping_nothing import KeepingNothing
from dn2.kinds.kind import Batch, Reference
from dn2.kinds.rows import in_batches, split_rows
from dn2.store.bundle import Bundle
from dn2.store.cache import Cache
from dn2.store.shards import Kept


@dataclass(frozen=True)
class Vectors(KeepingNothing):
    """Rows that are vectors already; see `Kind`."""

    name: ClassVar[str] = "vector"
    one: ClassVar[str] = "vector"
    many: ClassVar[str] = "vectors"
    dimension: int
    embedder: ClassVar[None] = None

    def find(self, inputs: Any, progress: Progress | None = None) -> VectorRows:
        """Read vectors from files or an array.  Raises InputError if there are none, or of another length."""
        found = read_vectors(inputs)
        if found.vectors.shape[1] != self.dimension:
            raise InputError(f"the model has vectors of {self.dimension} numbers, got {found.vectors.shape[1]}")
        return found

    def embed(self, found: VectorRows, progress: Progress | None) -> Iterator[Batch]:
        """Pass vectors on, so many at a time."""
        return in_batches(found, found.errors, lambda rows: (found.vectors[rows], None), progress)

    def reference(self, found: VectorRows, progress: Progress | None) -> Reference:
        """Take vectors for the reference set."""
        items, unreadable, places = split_rows(found, found.errors)
        vectors = found.vectors if len(places) == len(found.vectors) else found.vectors[places]
        return Reference(items, vectors, unreadable, self)

    def describe(self) -> dict[str, Any]:
        """Say how long the vectors are."""
        return {"kind": self.name, "embedder": None, "dimension": self.dimension}

    @classmethod
    def restore(cls, files: Bundle, kept: Kept, cache: Cache | None, backbone: str | None) -> Self:
        """Restore the length of the vectors."""
        dimension = files.manifest["dimension"]
        if not isinstance(dimension, int):
            raise ValueError(f"vectors of {dimension!r} numbers")
        return cls(dimension)

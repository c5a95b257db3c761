"""Kinds whose reference set is all that a model keeps of the reference items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from dn2.kinds.kind import Batch
from dn2.neighbors.blocks import Positions
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Distances
from dn2.store.bundle import Part
from dn2.store.rows import Row


class KeepingNothing:
    """What vectors and windows share: they have no pictures, no names for what is in them, and nothing beside it."""

    def explain(
        self, detector: KNNDetector, batch: Batch, distances: Distances, positions: Positions
    ) -> Iterator[Mapping[str, Any]]:
        """Say nothing of single items."""
        return ({} for _ in batch.names)

    def files(self, found: Any) -> None:
        """Return None: there are no pictures."""

    def files_again(self, root: Any, rows: Sequence[Row]) -> None:
        """Return None: there are no pictures."""

    def only(self, places: Positions) -> Self:
        """Keep nothing, as ever."""
        return self

    def embed_kept(self, places: Positions) -> None:
        """Return None: nothing is kept."""

    def parts(self) -> dict[str, Sequence[Part]]:
        """Return nothing: the reference set has the items."""
        return {}

    def parts_of_items(self) -> dict[str, Callable[[slice], Part]]:
        """Return nothing, as `parts` does."""
        return {}

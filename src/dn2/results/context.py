"""The data that a page of scored items needs beside their rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from dn2.arrays import Positions, Vector
from dn2.system.stores import AnyPath

MOST_ON_MAP = 2_500  # items, and as many reference items


@dataclass(frozen=True)
class Context:
    """The model that scored some items, with the items' files and embeddings.

    model : a `dn2.Model`; calibration : its calibration when it scored the items.
    files : the items to read pictures from, in the order of the rows, None for an item not found again below `root`;
        None where items have no pictures.
    vectors : the embeddings of the items on the map, by place among the rows.
    guarantee : the meaning of the p-values, in words, where it differs from that of the model's calibration.
    paths : of each row, the file that its item was read from, empty for one from memory; None where that is unknown."""

    model: Any
    calibration: Any
    files: Sequence[Any] | None
    vectors: Mapping[int, Vector]
    root: AnyPath | None = None
    guarantee: Sequence[str] = ()
    paths: Sequence[str] | None = None

    def __repr__(self) -> str:
        return f"<Context of {len(self.vectors):,} items on the map>"

    def only(self, places: Sequence[int]) -> Self:
        """Keep the files and embeddings of the rows at some places, which become 0, 1, ..."""
        files = None if self.files is None else [self.files[place] for place in places]
        paths = None if self.paths is None else [self.paths[place] for place in places]
        vectors = {new: self.vectors[place] for new, place in enumerate(places) if place in self.vectors}
        return replace(self, files=files, vectors=vectors, paths=paths)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # copies of results share the model


def places_on_map(count: int) -> Positions:
    """Draw the places, (m,) ascending, of the items that a map shows among `count` items."""
    return np.sort(np.random.default_rng(0).permutation(count)[:MOST_ON_MAP])


class Points(Protocol):
    """Results for finer things than rows, such as the points of series."""

    def at(self, false_alarm_rate: float, /) -> Points:
        """Decide anew."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write them as a file."""

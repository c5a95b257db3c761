"""The names of the ways to search."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dn2.errors import InputError

INDEXES = ("auto", "exact", "kdtree", "kmeans-tree", "approximate")


@dataclass(frozen=True)
class Method:
    """How a set is searched.

    name : one of `INDEXES`, or `kmeans`; count : of centroids, or of leaves that are visited, None for all.
    why : the reason, in words; methods of different reasons are equal."""

    name: str
    count: int | None = None
    why: str = field(default="as asked for", compare=False)

    @property
    def approximates(self) -> bool:
        """Whether the search may miss neighbours; `auto` may choose one that does."""
        return self.name in ("auto", "approximate") or (self.name == "kmeans-tree" and self.count is not None)


def parse_index(index: Any) -> Method:
    """Read the name of an index; `kmeans:C` has C centroids, and `kmeans-tree:L` visits L leaves.

    Raises InputError for any other."""
    if isinstance(index, str):
        if index in INDEXES:
            return Method(index)
        if counted := re.fullmatch("(kmeans|kmeans-tree):0*([1-9][0-9]{0,8})", index):
            return Method(counted[1], int(counted[2]))
    raise InputError(
        f"the index must be {', '.join(INDEXES)}, kmeans:C with C centroids, such as kmeans:100, or kmeans-tree:L with "
        f"L leaves visited, got {index!r}"
    )

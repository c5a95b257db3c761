"""What rows of tables, vectors and messages share: they come all at once, each readable or with an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dn2.embedding import Progress
from dn2.errors import InputError
from dn2.inputs.tables import Table
from dn2.inputs.texts import TextRows
from dn2.inputs.vectors import VectorRows
from dn2.kinds.kind import Batch, ReferenceItem
from dn2.naming import absolute
from dn2.neighbors.blocks import Positions, Vectors
from dn2.store.rows import Row

Rows = Table | VectorRows | TextRows

ROWS_AT_ONCE = 8_192


def in_batches(
    found: Rows,
    errors: Mapping[int, str],
    embed: Callable[[Positions], tuple[Vectors, Any]],
    progress: Progress | None,
    at_once: int | None = None,
) -> Iterator[Batch]:
    """Embed rows in order, so many at a time.

    errors : by row, why it cannot be read; embed : gives the vectors of the others, and what explains them."""
    n, step = len(found.names), at_once or ROWS_AT_ONCE
    for start in range(0, n, step):
        stop = min(start + step, n)
        rows = np.array([row for row in range(start, stop) if row not in errors], np.int64)
        failed = {row - start: errors[row] for row in range(start, stop) if row in errors}
        vectors, source = embed(rows)
        digests = [found.digests[row] for row in rows.tolist()]
        yield Batch(found.names[start:stop], failed, rows - start, vectors, source, digests)
        if progress is not None:
            progress(stop, n)


def split_rows(found: Rows, errors: Mapping[int, str]) -> tuple[list[ReferenceItem], list[Row], Positions]:
    """Tell rows that can be read from those that cannot.

    Returns the reference items, rows with the errors of the others, and the places of the former.
    Raises InputError if there are none."""
    n = len(found.names)
    places = np.array([row for row in range(n) if row not in errors], np.int64)
    unreadable = [Row(found.names[row], error=errors[row]) for row in sorted(errors)]
    if not len(places):
        raise InputError(f"none of the {n:,} rows can be read; {unreadable[0].item!r}: {unreadable[0].error}")
    paths = {path: absolute(path) if path else "" for path in set(found.paths)}
    items = [ReferenceItem(found.names[row], paths[found.paths[row]], found.digests[row]) for row in places.tolist()]
    return items, unreadable, places


def check_column_name(name: object) -> None:
    """Raise ValueError for what a saved model gives as the name of a column, and is neither a text nor None."""
    if not (name is None or isinstance(name, str)):
        raise ValueError(f"a column named {name!r:.80}")

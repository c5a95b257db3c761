"""Tables, vectors and messages alike: rows that are read all at once, each readable or with an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dn2.arrays import Positions, Progress, Vectors
from dn2.errors import InputError
from dn2.kinds.exchange import Batch, ReferenceItem
from dn2.results.rows import Row
from dn2.system import large_arrays
from dn2.system.naming import absolute


class Rows(Protocol):
    """The rows that inputs name; see `dn2.kinds.exchange.FoundItems`."""

    @property
    def names(self) -> Sequence[str]:
        """The name of each row."""

    @property
    def paths(self) -> Sequence[str]:
        """The file of each row; empty for rows from memory."""

    @property
    def digests(self) -> Sequence[str]:
        """The SHA-256 of that file."""


ROWS_AT_ONCE = 8_192


def in_batches(
    found_rows: Rows,
    errors: Mapping[int, str],
    embed: Callable[[Positions], tuple[Vectors, Any]],
    progress: Progress | None,
    at_once: int | None = None,
) -> Iterator[Batch]:
    """Embed rows in order, so many at a time.

    errors : by row, why it cannot be read; embed : makes the vectors of readable rows, and what explains them."""
    n, step = len(found_rows.names), at_once or ROWS_AT_ONCE
    for start in range(0, n, step):
        stop = min(start + step, n)
        rows = np.array([row for row in range(start, stop) if row not in errors], np.int64)
        failed = {row - start: errors[row] for row in range(start, stop) if row in errors}
        vectors, source = embed(rows)
        digests = [found_rows.digests[row] for row in rows.tolist()]
        yield Batch(found_rows.names[start:stop], failed, rows - start, vectors, source, digests)
        if progress is not None:
            progress(stop, n)


def stack_vectors(batches: Iterable[Batch], n: int, dimension: int) -> Vectors:
    """Stack the vectors of batches, n in all: (n, d), without a second copy of them in memory."""
    vectors = large_arrays.empty((n, dimension))
    done = 0
    for batch in batches:
        vectors[done : done + len(batch.vectors)] = batch.vectors
        done += len(batch.vectors)
    return vectors


def split_rows(found_rows: Rows, errors: Mapping[int, str]) -> tuple[list[ReferenceItem], list[Row], Positions]:
    """Separate readable rows from unreadable ones.

    Returns the reference items, rows with the errors of the others, and the places of the reference items.
    Raises InputError unless at least one row can be read."""
    n = len(found_rows.names)
    places = np.array([row for row in range(n) if row not in errors], np.int64)
    unreadable = [Row(found_rows.names[row], error=errors[row]) for row in sorted(errors)]
    if not len(places):
        raise InputError(f"none of the {n:,} rows can be read; {unreadable[0].item!r}: {unreadable[0].error}")
    paths = {path: absolute(path) if path else "" for path in set(found_rows.paths)}
    items = [
        ReferenceItem(found_rows.names[row], paths[found_rows.paths[row]], found_rows.digests[row])
        for row in places.tolist()
    ]
    return items, unreadable, places


def check_column_name(name: object) -> None:
    """Raise ValueError unless the name of a column in a saved model is a text or None."""
    if not (name is None or isinstance(name, str)):
        raise ValueError(f"a column named {name!r:.80}")

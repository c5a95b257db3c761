"""Names of columns and rows: each stands for one thing, and can be written."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from dn2.errors import InputError
from dn2.system.naming import identity, writable

MOST_COLUMNS = 100_000


def check_column_names(names: Sequence[str], where: str) -> None:
    """Raise InputError unless there is a column, at most 100,000 of them, and each has a name of its own."""
    if not names:
        raise InputError(f"{where} has no columns")
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{where} has {len(names):,} columns; at most {MOST_COLUMNS:,} are read")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{where} has two columns named {name!r}; rename one")
        seen.add(name)


def choose_names(
    names: Collection[str], id_column: str | None, drop: Collection[str], only: Collection[str] | None
) -> list[str]:
    """List the columns to read.

    drop : columns to leave out; only : the columns to choose from, some of which may be missing, None for all.
    Raises InputError, with the nearest names, if a column to drop or the id column is missing, or if no column is left
    beside the ids."""
    available, dropped = set(names), set(drop)
    for to_drop in dropped - available:
        check_column_exists(to_drop, names)
    remaining = [name for name in names if name not in dropped]
    if id_column is not None:
        check_column_exists(id_column, remaining)
    if only is not None:
        chosen = {*only, id_column}
        remaining = [name for name in remaining if name in chosen]
        if set(remaining) <= {id_column}:
            raise InputError(f"there is none of the columns {list_few(only)}; there is {list_few(names)}")
    if set(remaining) <= {id_column}:
        raise InputError("no column is left to compare rows by; drop fewer")
    return remaining


NO_ID = "its id is missing"


def name_rows(ids: Iterable[str | None], defaults: Sequence[str], column: str) -> tuple[list[str], dict[int, str]]:
    """Name n rows by their ids; a row without an id, or with the id of an earlier row, keeps its default name.

    column : what holds the ids.
    Returns the names, and by position the reason why a row keeps its default name.
    Raises InputError where most rows have the id of an earlier one."""
    names: list[str] = []
    errors: dict[int, str] = {}
    first: dict[str, int] = {}
    for row, (row_id, default) in enumerate(zip(ids, defaults, strict=True)):
        name = default if row_id is None else writable(row_id)
        if row_id is None:
            errors[row] = NO_ID
        elif (before := first.setdefault(identity(name), row)) != row:
            errors[row] = f"the id {name!r} is taken by {defaults[before]}"
            name = default
        names.append(name)
    taken = len(names) - len(first) - sum(reason == NO_ID for reason in errors.values())
    if taken > len(names) / 2:
        raise InputError(
            f"{column!r} does not name rows: it has {len(first):,} different values in {len(names):,} rows; take a "
            "column whose values differ"
        )
    return names, errors


def list_few(names: Collection[str]) -> str:
    """Write the first five names, and how many more there are."""
    return ", ".join(map(repr, list(names)[:5])) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def check_column_exists(name: str, names: Collection[str]) -> None:
    """Raise InputError, with the nearest names, unless a column is among the names."""
    if name not in names:
        nearest = difflib.get_close_matches(name, names, cutoff=0.5) or list(names)[:5]
        raise InputError(f"there is no column {name!r}; there is {', '.join(map(repr, nearest))}")

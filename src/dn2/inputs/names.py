"""Names of columns and rows: each stands for one thing, and can be written."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from dn2.errors import InputError
from dn2.naming import identity, writable

MOST_COLUMNS = 100_000


def check_names(names: Sequence[str], where: str) -> None:
    """Raise InputError if there are too many columns, none, or two of one name."""
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
    """List the columns to read: all but the dropped ones, or only some, of which not all need be there.

    Raises InputError, with the nearest names, if one to drop or the one of the ids is not there, or if none is left
    beside the ids."""
    there, dropped = set(names), set(drop)
    for asked in dropped - there:
        check_known(asked, names)
    kept = [name for name in names if name not in dropped]
    if id_column is not None:
        check_known(id_column, kept)
    if only is not None:
        wanted = {*only, id_column}
        kept = [name for name in kept if name in wanted]
        if set(kept) <= {id_column}:
            raise InputError(f"there is none of the columns {few(only)}; there is {few(names)}")
    if set(kept) <= {id_column}:
        raise InputError("no column is left to compare rows by; drop fewer")
    return kept


def name_rows(ids: Iterable[str | None], defaults: Sequence[str]) -> tuple[list[str], dict[int, str]]:
    """Name n rows by their ids; a row whose id is missing or was there before keeps its default name.

    Returns the names, and by position why a row has no name of its own."""
    names: list[str] = []
    errors: dict[int, str] = {}
    first: dict[str, int] = {}
    for row, (one, default) in enumerate(zip(ids, defaults, strict=True)):
        name = default if one is None else writable(one)
        if one is None:
            errors[row] = "its id is missing"
        elif (before := first.setdefault(identity(name), row)) != row:
            errors[row] = f"the id {name!r} is taken by {defaults[before]}"
            name = default
        names.append(name)
    return names, errors


def few(names: Collection[str]) -> str:
    """Name the first five."""
    return ", ".join(map(repr, list(names)[:5])) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def check_known(asked: str, names: Collection[str]) -> None:
    """Raise InputError, with the nearest names, for a column that is not there."""
    if asked not in names:
        near = difflib.get_close_matches(asked, names, cutoff=0.5) or list(names)[:5]
        raise InputError(f"there is no column {asked!r}; there is {', '.join(map(repr, near))}")

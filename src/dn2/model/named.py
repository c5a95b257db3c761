"""Items and parts of a model that the user names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dn2.errors import InputError
from dn2.inputs.names import list_few
from dn2.model.state import State
from dn2.system.interface import command
from dn2.system.naming import identity


def check_names(now: State, names: str | Iterable[str], others: Collection[str] = ()) -> set[str]:
    """Return the identities of names.

    others : identities that the names may have, too.  Raises InputError unless all others are of reference items."""
    identities = set(map(identity, [names] if isinstance(names, str) else names))
    if unknown := identities.difference(others, (identity(item.name) for item in now.items)):
        listed = command("dn2 inspect MODEL --items", "Model.items")
        raise InputError(f"the model has no item {min(unknown)!r}; {listed} lists its items")
    return identities


def check_parts(now: State, parts: str | Iterable[str]) -> set[str]:
    """Return parts, each once.  Raises InputError unless all are parts of reference items."""
    wanted = set([parts] if isinstance(parts, str) else map(str, parts))
    if unknown := wanted.difference(item.part for item in now.items if item.part):
        known = list_few(list(dict.fromkeys(item.part for item in now.items if item.part)))
        there = f"it has {known}" if known else "its items have none"
        raise InputError(f"the model has no part {min(unknown)!r}; {there}")
    return wanted

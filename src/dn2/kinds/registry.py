"""The kinds of data, each in a folder of its own: only this module names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from typing import Any

from dn2.errors import InputError
from dn2.extras import import_above
from dn2.kinds.options import Options, options_in
from dn2.results.rows import Evidence
from dn2.results.words import join_words
from dn2.system.interface import command, option

# In the order in which they are asked whether inputs are theirs.
KINDS = ("image", "text", "vector", "table", "series")


def options_of(kind: str) -> type[Options]:
    """Return the class of a kind's options.  Raises InputError for an unknown kind."""
    if kind not in KINDS:
        raise InputError(f"{option('kind')} must be one of {', '.join(sorted(KINDS))}, got {kind!r}")
    return getattr(import_above(f"dn2.kinds.{kind}.options"), f"{kind.capitalize()}Options")  # type: ignore[no-any-return]


def kind_of(kind: str) -> Any:
    """Return the class of a kind: see `dn2.kinds.kind.Kind`.  Raises InputError for an unknown kind."""
    options_of(kind)
    return getattr(import_above(f"dn2.kinds.{kind}.kind"), f"{kind.capitalize()}Kind")


def room_of(kind: str, room: str) -> Any:
    """Return a module of a kind by name, such as `page` or `bench`; None if the kind lacks it."""
    name = f"dn2.kinds.{kind}.{room}"
    return import_above(name) if find_spec(name) is not None else None


def heading_of(kinds: Iterable[str]) -> str:
    """Name kinds as a heading: `Pictures and messages`."""
    first, *further = [options_of(kind).heading for kind in kinds]
    return join_words([first, *(heading.lower() for heading in further)])


@cache
def columns_of_evidence() -> frozenset[str]:
    """Return the columns that the kinds add to a results file."""
    rooms = (room_of(kind, "evidence") for kind in KINDS)
    members = (member for room in rooms if room is not None for member in vars(room).values())
    return frozenset(
        name
        for member in members
        if isinstance(member, type) and issubclass(member, Evidence)
        for name in member.file_columns
    )


@cache
def owners_of(name: str) -> tuple[str, ...]:
    """Return the kinds that have an option of this name."""
    return tuple(kind for kind in KINDS if name in options_in(options_of(kind)))


def choose_options(kind: str, given: Mapping[str, Any]) -> Options:
    """Make the options of a kind from values by name; None leaves an option at its default.

    Raises InputError for an option of another kind, an unknown option, or a value that its option cannot have."""
    allowed = options_in(options_of(kind))
    for name, value in given.items():
        if name in allowed:
            continue
        owners = owners_of(name)
        if not owners:
            raise InputError(f"there is no option {option(name)}{_suggest_option(name)}")
        if not asks_for_nothing(value):
            instead = command(*options_of(kind).elsewhere.get(name, ("leave it out", "leave it out")))
            raise InputError(
                f"{option(name)} belongs to the kind{'s' * (len(owners) > 1)} {join_words(owners)}, and the items "
                f"here are of the kind {kind}: {instead}"
            )
    return options_of(kind).of({name: value for name, value in given.items() if name in allowed})


def kinds_that_embed() -> tuple[str, ...]:
    """Return the kinds whose items a network embeds; embeddings of the others are learnt from a whole set."""
    return tuple(kind for kind in KINDS if any(item.embeds for item in options_in(options_of(kind)).values()))


def kinds_that_compare_themselves() -> tuple[str, ...]:
    """Return the kinds whose items may be scored without a model."""
    return tuple(kind for kind in KINDS if options_of(kind).compares_itself)


def choose_itself(kind: str | None) -> str:
    """Return the kind of items to be scored against themselves: as asked for, or the only such kind.

    Raises InputError for a kind whose items need a model, and where several kinds are possible and none is named."""
    kinds = kinds_that_compare_themselves()
    if kind is None and len(kinds) == 1:
        return kinds[0]
    if kind is None or kind not in kinds:
        raise InputError(f"items scored against themselves must be of the kind {' or '.join(kinds)}, got {kind!r}")
    return kind


def find_kind_by_options(given: Iterable[str]) -> str | None:
    """Find the kind that the first telling option belongs to; None if every option fits several kinds."""
    for name in given:
        for kind in owners_of(name):
            if options_in(options_of(kind))[name].tells:
                return kind
    return None


def _suggest_option(name: str) -> str:
    names = {name_of_option for kind in KINDS for name_of_option in options_in(options_of(kind))}
    close = get_close_matches(name, sorted(names), 1)
    return f"; is {option(close[0])} meant?" if close else ""


def asks_for_nothing(value: Any) -> bool:
    """Tell whether an option has a value that leaves it out."""
    return value is None or value is False or (isinstance(value, (tuple, list)) and not value)


def suffixes_of(kind: str | None) -> frozenset[str]:
    """Return the endings of the files that hold items of a kind, or of any kind."""
    kinds = KINDS if kind is None else (kind,)
    return frozenset[str]().union(*(kind_of(name).suffixes for name in kinds))

"""Globs followed part by part: the places in a glob that the names of a path lead to."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch

ANY_DEPTH = "**"


def first_places(parts: tuple[str, ...]) -> frozenset[int]:
    """Return the places in a glob before any name of a path."""
    return _with_none({0}, parts)


def next_places(name: str, places: Iterable[int], parts: tuple[str, ...]) -> frozenset[int]:
    """Return the places in a glob reached after one more name; `**` matches any name, and stays.

    A path matches once the place behind the last part is among them."""
    return _with_none(
        {
            place if parts[place] == ANY_DEPTH else place + 1
            for place in places
            if place < len(parts) and (parts[place] == ANY_DEPTH or fnmatch(name, parts[place]))
        },
        parts,
    )


def _with_none(places: set[int], parts: tuple[str, ...]) -> frozenset[int]:
    """Return places with the places behind each `**` among them, which also matches no name at all."""
    reached = set(places)
    for place in range(len(parts)):
        if place in reached and parts[place] == ANY_DEPTH:
            reached.add(place + 1)
    return frozenset(reached)

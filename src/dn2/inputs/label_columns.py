"""The columns of tables that hold labels: what the rows belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

Labels = Sequence[str | None]  # of each item its label, None for an item without one


class Wanted(NamedTuple):
    """The columns that may hold labels, as far as a table has them.

    alone : those that hold nothing else, and are not compared; others : those that are compared as well."""

    alone: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    def among(self, names: Collection[str]) -> list[str]:
        """List the columns of a table that hold labels."""
        return [name for name in names if name in self.alone or name in self.others]


_wanted: ContextVar[Wanted] = ContextVar("wanted", default=Wanted())  # noqa: B039  nothing changes it


@contextmanager
def labelling(part: Any, per: Any) -> Iterator[None]:
    """Let tables that are read inside keep the columns that hold labels; part, per : rules, see `labels_by`."""
    names = [frozenset([rule]) if isinstance(rule, str) else frozenset() for rule in (part, per)]
    token = _wanted.set(Wanted(names[0], names[1] - names[0]))
    try:
        yield
    finally:
        _wanted.reset(token)


def wanted() -> Wanted:
    """Return the columns that may hold labels here."""
    return _wanted.get()

"""Who does work that can be cut into parts: this process, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from dn2.extras import import_above

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Made = TypeVar("Made")


class Workers(Protocol):
    """Workers that have dn2, and reach the files that items are read from.

    is_remote : whether some of them are on other machines; cpus : processors of all of them."""

    def partitioned(self, reference: Any, count: int) -> AbstractContextManager[Any]:
        """Give an index of a reference set in so many partitions; reference : has its `blocks`, in any process."""

    @property
    def is_remote(self) -> bool:
        """See above."""

    @property
    def cpus(self) -> int:
        """See above."""

    def each(self, work: Callable[[Shared, Part], Made], shared: Shared, parts: Iterable[Part]) -> Iterator[Made]:
        """Work on parts, and give what is made of each, in order.

        work : a function of a module; shared : what it needs for every part, opened once by each worker.
        Raises what the work raises, and ClusterError where the cluster fails."""


_now: ContextVar[Workers | None] = ContextVar("workers", default=None)


def workers() -> Workers | None:
    """Return the workers that work is given to; None where this process does it."""
    return _now.get()


@contextmanager
def working(on: str | None) -> Iterator[None]:
    """Let the workers of a cluster work inside; on : names it, see `dn2.scale.cluster`; None leaves all as it is.

    Raises InputError for a name of no cluster, MissingExtra, and ClusterError where it cannot be reached."""
    if on is None:
        yield
        return
    with import_above("dn2.scale.cluster").opened(on) as cluster:
        token = _now.set(cluster)
        try:
            yield
        finally:
            _now.reset(token)


def each(work: Callable[[Any, Part], Made], shared: Any, parts: Iterable[Part]) -> Iterator[Made]:
    """Work on parts, here or by the workers of a cluster, and give what is made of each, in order."""
    now = workers()
    return (work(shared, part) for part in parts) if now is None else now.each(work, shared, parts)

"""What embeds the items of a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from dn2.store.cache import Cache
from dn2.store.partitions import FOLDER, Partition, name_of
from dn2.system.processes import cached_property


class Embedder(ABC):
    """What turns items such as pictures or texts into vectors; the base of each kind's embedder.

    cache : True for the user's cache, False or None to keep nothing.

    Models embed with these and without scikit-learn, which takes as long to import as all the rest: see
    `dn2.kinds.transformer` for what users are given."""

    cache: Cache | bool | None
    derived_attributes: tuple[str, ...] = ()  # attributes that are computed from the parameters at their first use

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length d of an embedding."""

    @cached_property
    def opened_cache(self) -> Cache | None:
        """The cache, opened at first use."""
        return Cache.of(self.cache)

    @abstractmethod
    def as_transformer(self) -> Any:
        """Return the embedder as a transformer of scikit-learn, which shares what has been opened."""

    @abstractmethod
    def fresh_copy(self) -> Self:
        """Return an embedder of the same parameters, which shares the cache and has opened nothing."""

    def with_cache(self, cache: Cache | bool) -> Self:
        """Return the embedder with another cache, or without one; what has been opened is the same."""
        other = self.fresh_copy()
        other.cache = cache
        other.__dict__.update({name: getattr(self, name) for name in self.derived_attributes})
        return other

    @contextmanager
    def in_partition(self, part: Iterable[str]) -> Iterator[Self]:
        """Give an embedder of a worker that keeps what it embeds where all workers find it: in a partition of the
        cache's folder, which they have in common where that lies on a file system that they share.

        part : what the partition is named by."""
        cache = self.opened_cache
        if not isinstance(cache, Cache):
            yield self
            return
        partition, other = Partition(cache.path.parent / FOLDER, name_of(part), cache.max_bytes), self.with_cache(False)
        other.__dict__["opened_cache"] = partition
        yield other
        partition.save()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "opened_cache"}

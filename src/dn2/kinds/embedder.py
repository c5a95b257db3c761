"""What embeds the items of a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from dn2.store.cache import Cache
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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "opened_cache"}

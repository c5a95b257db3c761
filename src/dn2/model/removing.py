"""Items out of a model, as if it never had them, and forgotten where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np

from dn2.kinds.kind import Kind
from dn2.model.named import check_names, check_parts
from dn2.model.state import State
from dn2.results.words import count_in_words
from dn2.store.cache import Cache, default_path
from dn2.system.naming import identity


def without(now: State, names: str | Iterable[str], part: str | Iterable[str], forget: bool) -> State:
    """Return the state of a model without some items, see `Model.remove`.

    Raises InputError for a name or a part that it does not have, ReferenceTooSmall if too few items would remain."""
    said = {identity(one.item): one for one in now.told.judged} if forget else {}
    unwanted, parts = check_names(now, names, said), check_parts(now, part)
    stay = [identity(item.name) not in unwanted and item.part not in parts for item in now.items]
    gone = [item for item, stays in zip(now.items, stay, strict=True) if not stays]
    told = now.told.without({*unwanted, *(identity(item.name) for item in gone)}) if forget else now.told
    kind, detector, items = now.kind, now.detector, now.items
    if gone:
        detector = detector.remove(np.flatnonzero(np.logical_not(stay)))
        items = list(compress(items, stay))
        kind = kind.only(np.flatnonzero(stay)).completed(detector, items)
    count = len({*(identity(item.name) for item in gone), *(unwanted & said.keys())})
    if forget:
        digests = [item.sha256 for item in gone] + [one.sha256 for name, one in said.items() if name in unwanted]
        _forget(now.kind, [*digests, *now.kind.cached_texts(np.flatnonzero(np.logical_not(stay)))])
    words = count_in_words(count, "item", "items") + (" forgotten" if forget else " removed")
    return replace(
        now,
        kind=kind,
        detector=detector,
        items=items,
        known=None,
        told=told,
        changes=(*now.changes, words),
        forgets=now.forgets or forget,
    )


def _forget(kind: Kind[Any], contents: Sequence[str]) -> None:
    """Let what the cache has of some contents go, the user's own where the model has none."""
    cache = getattr(kind.embedder, "opened_cache", None)
    if cache is None and default_path().exists():
        cache = Cache()
    if cache is not None:
        cache.forget(filter(None, contents))

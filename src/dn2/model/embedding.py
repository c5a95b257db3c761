"""Embeddings without a model, of the kinds of data that a network embeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.leaving_out import leaving_out
from dn2.kinds.exchange import Reference
from dn2.kinds.registry import choose_options, kind_of, kinds_that_embed
from dn2.store.cache import Cache


def embed(
    inputs: Any,
    kind: str,
    cache: Cache | bool | None,
    progress: Progress | None,
    options: Mapping[str, Any],
    exclude: str | Sequence[str] = (),
) -> Reference:
    """Embed items, not normalised; parameters and errors as in `dn2.fit`.

    Raises InputError, too, for a kind whose embeddings are learnt from a reference set."""
    kinds = kinds_that_embed()
    if kind not in kinds:
        raise InputError(
            f"embeddings alone are those of the kinds {' and '.join(kinds)}, and the items here are of the kind {kind}"
        )
    with leaving_out(exclude):
        learnt, found_items = kind_of(kind).learn(inputs, choose_options(kind, options), Cache.of(cache), progress)
    return learnt.embedded(found_items, progress)  # type: ignore[no-any-return]

"""Whether this machine embeds as the one did where a model was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dn2.embed.golden import TOLERANCE, Embeddings, largest_error
from dn2.errors import NotReproducible


def check_recipe(digest: Any, preprocessing: Any, manifest: Mapping[str, Any], things: str) -> None:
    """Refuse a backbone that is not the recorded one, or prepares its inputs otherwise, before it is loaded.

    manifest : `model.json`; things : what the inputs are.  Raises NotReproducible."""
    recorded = manifest["embedder"]
    if digest != recorded["digest"]:
        raise NotReproducible(
            f"the backbone {recorded['backbone']} is not the one that the model was made with: its digest must be "
            f"{recorded['digest']}, got {digest}; restore that version or fit again"
        )
    if preprocessing != recorded.get("preprocessing"):
        raise NotReproducible(
            f"this dn2 prepares {things} as {preprocessing}, the model was made with {recorded.get('preprocessing')}; "
            f"use dn2 {manifest['dn2']} or fit again"
        )


def check_reproduced(
    manifest: Mapping[str, Any],
    embed: Callable[[], Embeddings],
    expected: Embeddings,
    things: str,
    way_out: str = "fit again here",
) -> None:
    """Refuse a backbone that embeds the golden inputs otherwise here.

    manifest : `model.json`.
    embed : embeds the golden inputs; expected : what they became where the model was made; things : what they are.
    way_out : what may be done where they become something else.
    Raises NotReproducible."""
    recorded = manifest["embedder"]
    error, accepted = largest_error(embed(), expected), min(manifest["golden_tolerance"], max(TOLERANCE.values()))
    if not error <= accepted:
        raise NotReproducible(
            f"this machine does not reproduce the model's embeddings: its golden {things} differ by {error:.2g}, "
            f"at most {accepted:g} is accepted in {recorded['precision']}; {way_out}"
        )

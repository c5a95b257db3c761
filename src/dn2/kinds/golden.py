"""Checks that this machine embeds like the machine that made a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dn2.errors import NotReproducible
from dn2.networks.golden import TOLERANCE, Embeddings, largest_error


def check_recipe(digest: Any, preprocessing: Any, manifest: Mapping[str, Any], things: str) -> None:
    """Raise NotReproducible, before it is loaded, for a backbone or a preprocessing other than the recorded one.

    manifest : `model.json`; things : a noun for the inputs."""
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
    """Raise NotReproducible for a backbone that embeds the golden inputs differently here.

    manifest : `model.json`.
    embed : embeds the golden inputs; expected : their embeddings where the model was made; things : a noun for them.
    way_out : for the error, what a person may do."""
    recorded = manifest["embedder"]
    error, accepted = largest_error(embed(), expected), min(manifest["golden_tolerance"], max(TOLERANCE.values()))
    if not error <= accepted:
        raise NotReproducible(
            f"this machine does not reproduce the model's embeddings: its golden {things} differ by {error:.2g}, "
            f"at most {accepted:g} is accepted in {recorded['precision']}; {way_out}"
        )

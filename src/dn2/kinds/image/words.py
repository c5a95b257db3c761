"""A model of pictures, in words that an inspector understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dn2.kinds.image.pooling import GEOMETRIC, MEAN

POOLED = {MEAN: "pooled by their mean", GEOMETRIC: "pooled by their geometric mean"}


def say(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the model is made of; about : what `Model.describe` returns."""
    embedder, detector = about["embedder"], about["detector"]
    sizes, white = embedder["preprocessing"], embedder.get("white")
    sizes = sizes if isinstance(sizes, list) else [sizes]
    groups = f", groups of them, {POOLED[about['groups']['pooling']]}" if about["groups"] else ""
    return [
        ("kind", about["kind"] + groups),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("backbone", f"{embedder['backbone']} ({embedder['dimension']} features, {embedder['precision']})"),
        ("pictures", " and ".join(map(_preparation, sizes))),
        *([("white", f"{white:,} in grey pictures of more than 8 bits")] if white is not None else []),
        ("normalisation", about["groups"]["members"] if about["groups"] else detector["normalize"]),
        ("whitening", "partial, learnt" if detector["whiten"] else "none"),
    ]


def _preparation(preprocessing: Mapping[str, Any]) -> str:
    share = preprocessing.get("crop_share", 1)
    middle = f", the middle {share:.0%} of a side" if share < 1 else ""
    return f"{preprocessing['shape']} to {preprocessing['width']} x {preprocessing['height']}{middle}"

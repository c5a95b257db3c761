"""What a model is, in words that an inspector understands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dn2.neighbors.groups import GEOMETRIC, MEAN

POOLED = {MEAN: "pooled by their mean", GEOMETRIC: "pooled by their geometric mean"}


def one_in(rate: float) -> str:
    """Write a rate as a person says it: 0.01 is `1 in 100`."""
    return f"1 in {1 / rate:,.0f}" if math.isclose(1 / rate, round(1 / rate)) else f"{rate:.2%}"


def describe_model(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what a model is made of; about : what `Model.describe` returns."""
    embedder, calibration, detector = about["embedder"], about["calibration"], about["detector"]
    sizes = embedder["preprocessing"]
    sizes = sizes if isinstance(sizes, list) else [sizes]
    groups = f", groups of them, {POOLED[about['groups']['pooling']]}" if about["groups"] else ""
    rows = [
        ("kind", about["kind"] + groups),
        ("reference items", f"{calibration['n_reference']:,}"),
        ("backbone", f"{embedder['backbone']} ({embedder['dimension']} features, {embedder['precision']})"),
        ("pictures", " and ".join(map(_preparation, sizes))),
        ("normalisation", about["groups"]["members"] if about["groups"] else detector["normalize"]),
        ("whitening", "partial, learnt" if detector["whiten"] else "none"),
        ("neighbours", str(detector["n_neighbors"])),
        ("index", _index(detector["index"])),
        ("calibration", f"{calibration['method']}, {calibration['sample_size']:,} items"),
        (
            "false-alarm rate",
            f"{one_in(calibration['false_alarm_rate'])} (smallest: 1 in {calibration['sample_size'] + 1:,})",
        ),
    ]
    if share := about["contamination"]:
        rows.append(
            ("anomalies among them", f"{share['estimate']:.1%}, estimated ({share['low']:.1%} to {share['high']:.1%})")
        )
        rows.append(("set aside", f"{share['aside']:,} (--aside lists them)"))
    return rows


def _preparation(preprocessing: Mapping[str, Any]) -> str:
    share = preprocessing.get("crop_share", 1)
    middle = f", the middle {share:.0%} of a side" if share < 1 else ""
    return f"{preprocessing['shape']} to {preprocessing['width']} x {preprocessing['height']}{middle}"


def _index(name: str) -> str:
    kind, _, count = name.partition(":")
    if kind == "kmeans":
        return f"{count} centroids; an item's neighbour is the one nearest to its centroid, at the centroid's distance"
    return "exact"

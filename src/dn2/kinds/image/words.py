"""A model of pictures, in words that an inspector understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dn2.kinds.image.pooling import GEOMETRIC, MEAN

POOLED = {MEAN: "pooled by their mean", GEOMETRIC: "pooled by their geometric mean"}

DRAWN = {"scratch": "scratches", "spot": "spots", "stain": "stains", "swap": "misplaced pieces"}  # of `planting.KINDS`


def say(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the model is made of; about : what `Model.describe` returns."""
    embedder = about["embedder"]
    sizes, white = embedder["preprocessing"], embedder.get("white")
    sizes = sizes if isinstance(sizes, list) else [sizes]
    patches = about.get("patches")
    groups = f", groups of them, {POOLED[about['groups']['pooling']]}" if about["groups"] else ""
    return [
        ("kind", about["kind"] + groups),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("backbone", f"{embedder['backbone']} ({embedder['dimension']} features, {embedder['precision']})"),
        *([] if patches is None else [("maps", _maps(patches["maps"]))]),
        ("pictures", " and ".join(map(_preparation, sizes))),
        *([("white", f"{white:,} in grey pictures of more than 8 bits")] if white is not None else []),
        *(_patches(patches) if patches is not None else _whole(about)),
    ]


def _whole(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    detector = about["detector"]
    return [
        ("normalisation", about["groups"]["members"] if about["groups"] else detector["normalize"]),
        ("whitening", "partial, learnt" if detector["whiten"] else "none"),
    ]


def _patches(patches: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what patches are compared with, how, and how small a defect would be found."""
    known = zip(patches["banks"], patches["errors"], strict=True)
    banks = [(f"bank {number}", _bank(size, *errors[:2])) for number, (size, errors) in enumerate(known, 1)]
    by_place = "at its place" if patches["by_place"] else "anywhere in the pictures"
    share, seen = patches["share"], patches["looked_at"]
    where = "where its mask is white; the mean of all" if patches["has_masks"] else "where the mask is white"
    score = f"the mean over the strangest {100 * share:g} % of a map" if share else "the strangest place of a map"
    joined = f"{patches['joined']:,} pictures, after what is usual was learnt; fit anew renews it"
    turned = f"each picture in {patches['rotations']} rotations, but for those that calibrate"
    return [
        *([("learnt from", turned)] if patches["rotations"] > 1 else []),
        *banks,
        ("distances", f"of each patch, relative to what is usual {by_place}"),
        ("score", score),
        *([("looked at", f"{seen:.0%} of a picture, {where}")] if seen < 1 or patches["has_masks"] else []),
        *([("joined", joined)] if patches["joined"] else []),
        *_finding(patches["finding"], patches["side"]),
    ]


def _bank(size: int, half: float, nearly_all: float) -> str:
    return f"{size:,} normal patches; half of all others are within {half:.3g} of one, 99 % within {nearly_all:.3g}"


def _finding(finding: Sequence[Mapping[str, Any]], side: int) -> list[tuple[str, str]]:
    """Say how small a defect would be found; side : of a typical picture, in pixels."""
    if not finding:
        return []
    of_size: dict[float, list[str]] = {}
    for one in finding:
        of_size.setdefault(one["size"], []).append(f"{DRAWN[one['kind']]} {one['found']:,} of {one['drawn']:,}")
    return [
        (
            "how small",
            "how many defects drawn into normal pictures are flagged, by their length as a share of a side",
        ),
        *((f"{100 * size:g} % ({_pixels(size * side)})", ", ".join(found)) for size, found in of_size.items()),
    ]


def _pixels(length: float) -> str:
    return f"{length:.0f} px" if length >= 2 else f"{length:.1f} px"


def _maps(maps: Sequence[Sequence[tuple[int, int]]]) -> str:
    """Name the maps of each network: features, and pixels from one patch to the next."""
    networks = [", ".join(f"{features:,} features each {stride} px" for stride, features in one) for one in maps]
    return " and ".join(networks)


def _preparation(preprocessing: Mapping[str, Any]) -> str:
    light = ", brought to one light" if preprocessing.get("even_light") else ""
    if preprocessing["shape"] == "full":
        return f"at their own size{light}"
    if preprocessing["shape"] == "area":
        size = f"{preprocessing['width']} x {preprocessing['height']}"
        return f"scaled to about as many pixels as {size}, never squeezed{light}"
    share = preprocessing.get("crop_share", 1)
    middle = f", the middle {share:.0%} of a side" if share < 1 else ""
    return f"{preprocessing['shape']} to {preprocessing['width']} x {preprocessing['height']}{middle}"

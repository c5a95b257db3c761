"""Backbones by name: the built-in networks, timm's, a file that the user brings, or several of them joined."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from dn2.errors import BackboneError
from dn2.networks import lite
from dn2.networks.backbone import TIMM, Backbone
from dn2.networks.maps import AVERAGED, area_of
from dn2.networks.pixels import Preprocessing
from dn2.system.naming import path_to_text

LITE = re.compile(r"(lite[012])(-posterior)?(?:@([0-9]{1,4}))?")
LITE_SIZES = range(32, 1025)
# Any other + may be part of a file's path.
JOIN = re.compile(r"(?<=\.onnx)\+|\+(?=lite[012](?:-posterior)?(?:@[0-9]{1,4})?(?:\+|$)|timm/)")
LITE_FIRST = re.compile(r"(lite[012](?:-posterior)?(?:@[0-9]{1,4})?)\+(.+)")


def split_name(name: str) -> list[str]:
    """List the networks that a name such as `lite0+lite2` or `net.onnx+lite0` joins."""
    if joined := LITE_FIRST.fullmatch(name):
        return [joined[1], *split_name(joined[2])]
    first, *rest = JOIN.split(name, maxsplit=1)
    return [first, *(part for name_left in rest for part in split_name(name_left))]


def get_backbone(name: str, held: Sequence[bytes] | None = None) -> Backbone:
    """Find one network: `lite0`, `lite1`, `lite2`, `timm/NAME`, `timm/NAME:WEIGHTS`, or the path of an ONNX file.

    `lite0@192` takes pictures of 192 x 192 pixels; `lite0-posterior` joins the features with the probabilities of the
    network's own classifier.
    held : the network's files as a saved model holds them.  The name then comes from the model, so no path is opened
        and nothing is downloaded: other weights come from an installed package or from the cache of its library.
    Raises BackboneError for an unknown name or an unusable file, MissingExtra for `timm/` without the extra `torch`."""
    if found := LITE.fullmatch(name):
        return _lite(name, *found.groups())
    if name.startswith(TIMM):
        from dn2.networks import timm as timm_backbone

        return timm_backbone.read_backbone(name, held)
    if name.endswith(".onnx"):
        from dn2.networks import onnx

        return onnx.read_backbone(name, held)
    raise BackboneError(
        f"the backbone must be {', '.join(lite.SPECS)}, timm/NAME or the path of an .onnx file, or several of these "
        f"joined by +, got {name!r}"
    )


def get_map_backbone(name: str, resolution: int | None, held: Sequence[bytes] | None = None) -> Backbone:
    """Find one network whose maps are wanted: `lite0`, `lite1` or `lite2`, `timm/NAME`, or the path of an ONNX file;
    `lite0@384` has a resolution of its own.

    resolution : pictures are scaled to have as many pixels as a square of this side; None leaves them at their size.
    held : as in `get_backbone`.  Raises BackboneError for any other."""
    if name.startswith(TIMM):
        from dn2.networks import timm_maps

        return timm_maps.read_map_backbone(name, resolution, held)
    if name.endswith(".onnx"):
        from dn2.networks import onnx_maps

        return onnx_maps.read_map_backbone(name, resolution, held)
    found = LITE.fullmatch(name)
    if found is None or found[2]:
        raise BackboneError(
            f"patches are those of {', '.join(lite.SPECS)}, timm/NAME or the path of an .onnx file, or of several of "
            f"these joined by +, got {name!r}"
        )
    spec, own = _of_side(name, found[1], found[3]), found[3] is not None
    side = spec.size if own else resolution
    return Backbone(
        name=name,
        digest=hashlib.sha256(f"{spec.sha256} maps {lite.MAP_STAGES} {AVERAGED}".encode()).hexdigest(),
        preprocessing=area_of(side, max(lite.MAP_STAGES.values())),
        normalize="none",
        build=partial(lite.read_maps, spec),
    )


def count_files(name: str) -> int:
    """Count the files of one network in a saved model: an ONNX network and its recipe, or the weights for timm."""
    return 2 if name.endswith(".onnx") else int(name.startswith(TIMM) and ":" in name)


def strip_folders(name: str) -> str:
    """Name the networks of a backbone without the folders of their files, which another machine does not have."""
    return "+".join(map(_strip_folders, split_name(name)))


def _strip_folders(name: str) -> str:
    if not count_files(name):
        return name
    network, colon, path = name.partition(":") if name.startswith(TIMM) else ("", "", name)
    file = path_to_text(os.path.basename(path))
    return network + colon + file.replace("+", "_")  # a + joins networks


def _of_side(name: str, network: str, side: str | None) -> lite.LiteSpec:
    """Return a network, for pictures of the side that its name says, if any.  Raises BackboneError."""
    spec = lite.SPECS[network]
    if side is None:
        return spec
    if int(side) not in LITE_SIZES:
        raise BackboneError(
            f"the side of a picture must have {LITE_SIZES.start} to {LITE_SIZES.stop - 1} pixels, got {name!r}"
        )
    return replace(spec, size=int(side))


def _lite(name: str, network: str, posterior: str | None, side: str | None) -> Backbone:
    spec = _of_side(name, network, side)
    recipe = f"{spec.sha256} posterior {lite.TEMPERATURE} {lite.POSTERIOR_SHARE}"
    return Backbone(
        name=name,
        digest=hashlib.sha256(recipe.encode()).hexdigest() if posterior else spec.sha256,
        preprocessing=Preprocessing(spec.size, spec.size),
        normalize="root-unit",
        build=partial(lite.read_network, spec, posterior=bool(posterior)),
        probabilities=lite.CLASSES if posterior else 0,
    )

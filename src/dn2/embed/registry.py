"""Backbones by name: the built-in networks, timm's, a file that the user brings, or several of them joined."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from dn2.embed import lite
from dn2.embed.images import Preprocessing
from dn2.errors import BackboneError
from dn2.naming import path_to_text

TIMM = "timm/"
LITE = re.compile(r"(lite[012])(-posterior)?(?:@([0-9]{1,4}))?")
LITE_SIZES = range(32, 1025)
# A file's path may hold any other +.
JOIN = re.compile(r"(?<=\.onnx)\+|\+(?=lite[012](?:-posterior)?(?:@[0-9]{1,4})?(?:\+|$)|timm/)")
LITE_FIRST = re.compile(r"(lite[012](?:-posterior)?(?:@[0-9]{1,4})?)\+(.+)")


@dataclass(frozen=True)
class Backbone:
    """A frozen network and how to feed it.

    name : what the user calls it; digest : SHA-256 over everything that determines its output.
    normalize : the feature normalisation that measures best with it (see `dn2.neighbors.normalize`).
    probabilities : how many of the last features are a classifier's probabilities, which networks joined agree on.
    runs_on : what computes it, see `dn2.embed.network.open_network`.
    build : makes the network, in any process, so it can be pickled: for `openvino` its model, (1, height, width, 3)
        uint8 RGB to (1, d) float32; for `torch` a `dn2.embed.timm_backbone.TimmNetwork`.
    files : the bytes of the files that the user brought, which a saved model holds; none of a network that a package
        brings."""

    name: str
    digest: str
    preprocessing: Preprocessing
    normalize: str
    build: Callable[[], Any]
    runs_on: Literal["openvino", "torch"] = "openvino"
    probabilities: int = 0
    files: tuple[bytes, ...] = ()


def split_name(name: str) -> list[str]:
    """List the networks that a name such as `lite0+lite2` or `net.onnx+lite0` joins."""
    if found := LITE_FIRST.fullmatch(name):
        return [found[1], *split_name(found[2])]
    first, *rest = JOIN.split(name, maxsplit=1)
    return [first, *(part for one in rest for part in split_name(one))]


def get_backbone(name: str, held: Sequence[bytes] | None = None) -> Backbone:
    """Find one network: `lite0`, `lite1`, `lite2`, `timm/NAME`, `timm/NAME:WEIGHTS`, or the path of an ONNX file.

    `lite0@192` takes pictures of 192 x 192 pixels; `lite0-posterior` joins the features with what the network's own
    classifier makes of them.
    held : the network's files as a saved model holds them.  Then the name comes from the model, and nothing that it
        says is opened or downloaded: what is not held is an installed package's, or in the cache of its library.
    Raises BackboneError for an unknown name or an unusable file, MissingExtra for `timm/` without the extra `torch`."""
    if found := LITE.fullmatch(name):
        return _lite(name, *found.groups())
    if name.startswith(TIMM):
        from dn2.embed import timm_backbone

        return timm_backbone.read_backbone(name, held)
    if name.endswith(".onnx"):
        from dn2.embed import onnx

        return onnx.read_backbone(name, held)
    raise BackboneError(
        f"the backbone must be {', '.join(lite.SPECS)}, timm/NAME or the path of an .onnx file, or several of these "
        f"joined by +, got {name!r}"
    )


def count_files(name: str) -> int:
    """Return how many files of one network a saved model holds: of ONNX the network and its recipe, of timm weights."""
    return 2 if name.endswith(".onnx") else int(name.startswith(TIMM) and ":" in name)


def without_folders(name: str) -> str:
    """Name the networks of a backbone without the folders of their files, which another machine does not have."""
    return "+".join(map(_without_folders, split_name(name)))


def _without_folders(name: str) -> str:
    if not count_files(name):
        return name
    network, colon, path = name.partition(":") if name.startswith(TIMM) else ("", "", name)
    file = path_to_text(os.path.basename(path))
    return network + colon + file.replace("+", "_")  # which joins networks


def _lite(name: str, network: str, posterior: str | None, side: str | None) -> Backbone:
    spec = lite.SPECS[network]
    if side is not None:
        if int(side) not in LITE_SIZES:
            raise BackboneError(
                f"the side of a picture must have {LITE_SIZES.start} to {LITE_SIZES.stop - 1} pixels, got {name!r}"
            )
        spec = replace(spec, size=int(side))
    recipe = f"{spec.sha256} posterior {lite.TEMPERATURE} {lite.POSTERIOR_SHARE}"
    return Backbone(
        name=name,
        digest=hashlib.sha256(recipe.encode()).hexdigest() if posterior else spec.sha256,
        preprocessing=Preprocessing(spec.size, spec.size),
        normalize="root-unit",
        build=partial(lite.read_network, spec, posterior=bool(posterior)),
        probabilities=lite.CLASSES if posterior else 0,
    )

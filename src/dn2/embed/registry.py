"""Backbones by name: the built-in networks, or a file that the user brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dn2.embed import lite
from dn2.embed.images import Preprocessing
from dn2.errors import BackboneError

if TYPE_CHECKING:
    import openvino as ov


@dataclass(frozen=True)
class Backbone:
    """A frozen network and how to feed it.

    name : what the user calls it; digest : SHA-256 over everything that determines its output.
    normalize : the feature normalisation that measures best with it (see `dn2.neighbors.normalize`).
    build : makes the network, (1, height, width, 3) uint8 RGB to (1, d) float32."""

    name: str
    digest: str
    preprocessing: Preprocessing
    normalize: str
    build: Callable[[], ov.Model]


def get_backbone(name: str) -> Backbone:
    """Find a backbone: `lite0`, `lite1`, `lite2`, or the path of an ONNX file.

    Raises BackboneError for an unknown name or an unusable file."""
    if name in lite.SPECS:
        return _lite(name)
    if name.endswith(".onnx"):
        from dn2.embed.onnx import read_backbone

        return read_backbone(name)
    raise BackboneError(f"the backbone must be {', '.join(lite.SPECS)} or the path of an .onnx file, got {name!r}")


def _lite(name: str) -> Backbone:
    spec = lite.SPECS[name]
    return Backbone(
        name=name,
        digest=spec.sha256,
        preprocessing=Preprocessing(spec.size, spec.size),
        normalize="root-unit",
        build=lambda: lite.build(lite.read_checkpoint(spec), spec),
    )

"""Patches of a network that the user brings: its feature maps, or the tokens of a vision transformer."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dn2.errors import BackboneError
from dn2.extras import import_openvino
from dn2.networks import onnx
from dn2.networks.backbone import Backbone
from dn2.networks.maps import AVERAGED, area_of
from dn2.networks.onnx import Files

if TYPE_CHECKING:
    import openvino as ov

MOST_TOKENS_BESIDE = 16  # class and register tokens


class Grid(NamedTuple):
    """Where the patches of a map lie.

    stride : pixels from one patch to the next; beside : tokens before those of patches; None for a feature map."""

    stride: int
    beside: int | None


def read_map_backbone(name: str, resolution: int | None, held: Sequence[bytes] | None = None) -> Backbone:
    """Read `net.onnx` with its `net.json`, whose `maps` names the tensors that hold patches, the finest first.

    A map is (1, d, height, width), or (1, n, d) of tokens, of which the first, of a class and registers, are left out.
    A network that takes pictures of any size is given them at the resolution; `size` in the JSON is one that it takes.
    One of a fixed size sees whole pictures, squashed.  Raises BackboneError."""
    files = onnx.read_files(name, held)
    path, recipe, preprocessing = files.path, files.recipe, files.recipe.preprocessing
    json = path.with_suffix(".json")
    if not recipe.maps:
        raise BackboneError(
            f'{json} must name the tensors that hold patches, the finest first: "maps": ["name", ...]; maps are '
            "(1, d, height, width), or tokens (1, n, d)"
        )
    network = onnx.convert(files, recipe.maps)
    if len(network.inputs) != 1:
        raise BackboneError(f"{path} must have one input, got {len(network.inputs)}")
    layout = onnx.find_layout(files, network)
    declared = network.input().get_partial_shape()
    rows = layout.index("H")
    is_dynamic = declared.rank.is_dynamic or (declared[rows].is_dynamic and declared[rows + 1].is_dynamic)
    onnx.reshape(files, network, layout, preprocessing.height, preprocessing.width)
    shapes = [output.get_partial_shape() for output in network.outputs]
    grids = [_grid(files, tensor, shape) for tensor, shape in zip(recipe.maps, shapes, strict=True)]
    strides = [grid.stride for grid in grids]
    if strides != sorted(strides):
        raise BackboneError(f"{json}: maps must be the finest first, got patches of {strides} pixels")
    if is_dynamic:
        preprocessing = area_of(resolution, math.lcm(*strides), preprocessing.interpolation)
    elif preprocessing.shape != "squash" or preprocessing.crop_share != 1:
        raise BackboneError(
            f"{json}: a network of a fixed size whose maps are wanted sees whole pictures: "
            f'"shape": "squash" and "crop_share": 1, got {preprocessing.shape} and {preprocessing.crop_share:g}'
        )
    return Backbone(
        name=name,
        digest=hashlib.sha256(f"{files.digest} maps {AVERAGED}".encode()).hexdigest(),
        preprocessing=preprocessing,
        normalize="none",
        build=partial(_build, files, layout, grids, is_dynamic),
        files=(files.data, files.text),
    )


def _grid(files: Files, tensor: str, shape: Any) -> Grid:
    """Find where the patches of a map lie, by what it is for a picture of the size in the JSON."""
    size = files.recipe.preprocessing
    words = f"{files.path}: the map {tensor!r:.80}, for a picture of {size.height} x {size.width} pixels,"
    if shape.is_dynamic or len(shape) not in (3, 4) or shape.to_shape()[0] != 1:
        raise BackboneError(f"{words} must be (1, d, height, width), or tokens (1, n, d), it is {shape}")
    sides = list(shape.to_shape())
    if len(sides) == 4:
        stride = size.height // sides[2]
        if stride < 1 or (sides[2] * stride, sides[3] * stride) != (size.height, size.width):
            raise BackboneError(
                f"{words} must have patches as far apart down as across, which divide the picture, it is {shape}; "
                'name another tensor, or another "size"'
            )
        return Grid(stride, None)
    for stride in range(1, min(size.height, size.width) + 1):
        if size.height % stride or size.width % stride:
            continue
        beside = sides[1] - size.height // stride * (size.width // stride)
        if 0 <= beside <= MOST_TOKENS_BESIDE:
            return Grid(stride, beside)
    raise BackboneError(
        f"{words} has {sides[1]:,} tokens, which are no grid of patches and up to {MOST_TOKENS_BESIDE} tokens before it"
    )


def _build(files: Files, layout: str, grids: Sequence[Grid], is_dynamic: bool) -> ov.Model:
    """Build the network: pixels to (1, d, height / stride, width / stride) float32 of each map."""
    ov = import_openvino()
    network, size = onnx.convert(files, files.recipe.maps), files.recipe.preprocessing
    onnx.reshape(files, network, layout, *((-1, -1) if is_dynamic else (size.height, size.width)))
    (given,) = network.get_parameters()
    outputs = [
        _as_map(output.get_node().input_value(0), given, grid, layout.index("H"))
        for output, grid in zip(network.outputs, grids, strict=True)
    ]
    return onnx.with_pixels(ov.Model(outputs, [given], "maps"), layout, files.recipe)


def _as_map(x: Any, given: Any, grid: Grid, rows: int) -> Any:
    """Lay tokens out as a map; given : the input, whose axis `rows` is its height."""
    if grid.beside is None:
        return x
    op = import_openvino().opset13

    def whole(value: Any) -> Any:
        return op.constant(np.array(value, np.int64))

    sides = op.divide(op.gather(op.shape_of(given), whole([rows, rows + 1]), whole(0)), whole(grid.stride))
    tokens = op.gather(op.shape_of(x), whole(1), whole(0))
    x = op.gather(x, op.range(whole(grid.beside), tokens, whole(1), "i64"), whole(1))
    depth = op.gather(op.shape_of(x), whole([2]), whole(0))
    x = op.reshape(x, op.concat([whole([1]), sides, depth], 0), False)
    return op.transpose(x, whole([0, 3, 1, 2])).output(0)

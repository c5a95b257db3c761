"""Operations that decisions are put together from, as OpenVINO's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dn2.extras import import_openvino
from dn2.networks.backbone import Backbone
from dn2.networks.pixels import Preprocessing

Node = Any  # openvino.Node

# x -> c - (c - x) with c = x * this rounds to the 11 bits of float16; OpenVINO leaves out a conversion there and back.
TO_11_BITS = np.float32(2**13 + 1)


class Seen(NamedTuple):
    """What networks make of pictures.

    inputs : the parameters of the graph, and how a picture becomes each; outputs : of each network, in order."""

    inputs: dict[Preprocessing, Any]
    outputs: list[list[Node]]


def see(backbones: Sequence[Backbone]) -> Seen:
    """Build networks; those for which pictures are prepared alike share their input."""
    ov = import_openvino()
    inputs: dict[Preprocessing, Any] = {}
    outputs = []
    for backbone in backbones:
        network = backbone.build()
        outputs.append([output.get_node().input_value(0) for output in network.outputs])
        (given,) = network.get_parameters()
        if (shared := inputs.setdefault(backbone.preprocessing, given)) is not given:
            ov.utils.replace_node(given, shared)
    for number, given in enumerate(inputs.values()):
        given.output(0).get_tensor().set_names({"picture" if not number else f"picture_{number}"})
    return Seen(inputs, outputs)


def constant(value: Any, dtype: Any = np.float32) -> Node:
    """Return a constant."""
    return import_openvino().opset13.constant(np.array(value, dtype))


def side(x: Node, axis: int) -> Node:
    """Return the length of an axis, a scalar of int64."""
    op = import_openvino().opset13
    return op.gather(op.shape_of(x), constant(axis, np.int64), constant(0, np.int64))


def shape(*sides: Node | int) -> Node:
    """Return a shape of lengths, some of them known beforehand."""
    op = import_openvino().opset13
    lengths = [constant(one, np.int64) if isinstance(one, int) else one for one in sides]
    return op.concat([op.reshape(one, constant([1], np.int64), False) for one in lengths], 0)


def reshape(x: Node, *sides: Node | int) -> Node:
    """Give the numbers another shape."""
    return import_openvino().opset13.reshape(x, shape(*sides), False)


def counting(count: Node) -> Node:
    """Return 0 ... count - 1, int64."""
    return import_openvino().opset13.range(constant(0, np.int64), count, constant(1, np.int64), "i64")


def interpolation(size: Node, target: Node) -> Node:
    """Return what `dn2.neighbors.patches.joining.interpolation` does, of sides that the picture tells."""
    op = import_openvino().opset13
    size_, target_ = op.convert(size, "f32"), op.convert(target, "f32")
    middles = op.add(op.convert(counting(target), "f32"), constant(0.5))
    places = op.subtract(op.divide(op.multiply(middles, size_), target_), constant(0.5))
    places = op.minimum(op.maximum(places, constant(0)), op.subtract(size_, constant(1)))
    apart = op.subtract(reshape(places, -1, 1), op.convert(reshape(counting(size), 1, -1), "f32"))
    return op.relu(op.subtract(constant(1), op.abs(apart)))


def resize(values: Node, height: Node, width: Node) -> Node:
    """Interpolate a map, (h, w), bilinearly: (height, width)."""
    op = import_openvino().opset13
    down = op.matmul(interpolation(side(values, 0), height), values, False, False)
    return op.matmul(down, interpolation(side(values, 1), width), False, True)


def nearest(values: Node, height: Node, width: Node) -> Node:
    """Repeat the cells of a map, (h, w), so that it has another size: (height, width)."""
    op = import_openvino().opset13
    for axis, target in enumerate((height, width)):
        cells = op.divide(op.multiply(counting(target), side(values, axis)), target)
        values = op.gather(values, cells, constant(axis, np.int64))
    return values


def rounded(x: Node) -> Node:
    """Round to as many bits as float16 has."""
    op = import_openvino().opset13
    far = op.multiply(x, constant(TO_11_BITS))
    return op.subtract(far, op.subtract(far, x))


def squared_length(rows: Node) -> Node:
    """Return the squared lengths of rows, (n, d): (n, 1)."""
    op = import_openvino().opset13
    return op.reduce_sum(op.multiply(rows, rows), constant([1], np.int64), True)


def squares_but_own(rows: Node, others: Any) -> Node:
    """Return squared distances between rows, (n, d), and others, (m, d), but for the rows' own squared lengths."""
    op = import_openvino().opset13
    products = op.matmul(rows, constant(-2 * others), False, True)
    return op.add(products, constant(np.einsum("ij,ij->i", others, others)[None]))


def named(name: str, x: Node) -> Node:
    """Make a node, or one of its outputs, an output of the graph with a name."""
    result = import_openvino().opset13.result(x)
    result.input_value(0).get_tensor().set_names({name})
    return result

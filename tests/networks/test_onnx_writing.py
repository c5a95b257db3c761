"""Networks written as ONNX: OpenVINO reads from the file what was written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dn2.errors import BackboneError, MissingExtra
from dn2.extras import import_openvino
from dn2.networks.onnx_writing import to_onnx

ov = import_openvino()
op = ov.opset13

RNG = np.random.default_rng(0)
PICTURE = RNG.normal(size=(1, 4, 7, 9)).astype(np.float32)


def whole(*values: int) -> Any:
    return op.constant(np.array(values, np.int64))


def weights(*shape: int) -> Any:
    return op.constant(RNG.normal(size=shape).astype(np.float32))


def pool(x: Any, count_edges: bool, rounding: str) -> Any:
    return op.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], not count_edges, rounding, "explicit")


# What is tried, each on a picture of 4 channels.
OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "convolution, same": lambda x: op.convolution(x, weights(5, 4, 3, 3), [2, 2], [0, 0], [0, 0], [1, 1], "same_upper"),
    "convolution, padded": lambda x: op.convolution(x, weights(5, 4, 3, 3), [1, 2], [1, 0], [0, 2], [1, 1]),
    "convolution, dilated": lambda x: op.convolution(x, weights(5, 4, 3, 3), [1, 1], [0, 0], [0, 0], [2, 2], "valid"),
    "convolution, by channel": lambda x: op.group_convolution(
        x, weights(4, 2, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1], "explicit"
    ),
    "average, edges counted": lambda x: pool(x, True, "floor"),
    "average, edges left out": lambda x: pool(x, False, "ceil"),
    "maximum": lambda x: op.max_pool(x, [2, 2], [1, 1], [0, 0], [1, 1], [3, 3]).output(0),
    "clamp": lambda x: op.clamp(x, -0.5, 1.5),
    "rectified and scaled": lambda x: op.multiply(op.sigmoid(op.relu(op.subtract(x, weights(1, 4, 1, 1)))), x),
    "product, second turned": lambda x: op.matmul(x, weights(5, 9), False, True),
    "product, first turned": lambda x: op.matmul(x, weights(7, 5), True, False),
    "softmax": lambda x: op.softmax(x, 1),
    "turned and joined": lambda x: op.concat([op.transpose(x, whole(0, 2, 3, 1)), weights(1, 7, 9, 2)], 3),
    "mean": lambda x: op.reduce_mean(x, whole(2, 3), False),
    "sum": lambda x: op.reduce_sum(op.power(x, op.constant(np.float32(2))), whole(1), True),
    "reshaped": lambda x: op.reshape(x, whole(0, -1), True),
    "gathered": lambda x: op.gather(x, whole(2, 0, 2), whole(3)),
    "largest": lambda x: op.topk(x, op.constant(np.int64(2)), 3, "max", "value", "i64").output(0),
    "least, where": lambda x: op.convert(
        op.topk(x, op.constant(np.int64(2)), 3, "min", "value", "i32").output(1), "f32"
    ),
    "cut": lambda x: op.slice(x, whole(1, 5), whole(4, 0), whole(1, -2), whole(1, 2)),
    "repeated": lambda x: op.add(x, op.broadcast(weights(4, 1, 1), op.shape_of(x))),
    "normalised": lambda x: op.mvn(x, whole(2, 3), True, 1e-3, "inside_sqrt"),
    "rectified smoothly": lambda x: op.gelu(x, "erf"),
    "chosen": lambda x: op.select(op.greater_equal(x, op.constant(np.float32(0))), x, op.abs(op.floor(x))),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_computes_the_same_from_the_file(name: str) -> None:
    given = op.parameter([1, 4, -1, -1], np.float32, name="x")
    given.output(0).get_tensor().set_names({"x"})
    result = op.result(OPERATIONS[name](given))
    result.input_value(0).get_tensor().set_names({"y"})
    network = ov.Model([result], [given], "one")
    core = ov.Core()
    written, plain = (
        core.compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"x": PICTURE})["y"]
        for one in (core.read_model(to_onnx(network)), network)
    )
    assert written.shape == plain.shape
    assert np.abs(written - plain).max() < 1e-5


def test_an_operation_that_is_not_written_is_named_with_the_way_out() -> None:
    given = op.parameter([1, 4, 8, 8], np.float32, name="x")
    network = ov.Model([op.space_to_depth(given, "blocks_first", 2)], [given], "one")
    with pytest.raises(BackboneError, match=r"does not write as ONNX, SpaceToDepth; .* format='openvino'"):
        to_onnx(network)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[onnx\]', or write OpenVINO's files alone"):
        to_onnx(None)

"""A network of OpenVINO's operations as an ONNX file: OpenVINO reads ONNX and does not write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dn2.errors import BackboneError, MissingExtra
from dn2.system.interface import command

OPSET, IR_VERSION = 18, 9  # old enough for what runs ONNX in a plant, new enough for all that is written

# Operations that are the same in both, but for the name.
PLAIN = {
    **{name: name for name in ("Abs", "Add", "Erf", "Exp", "Floor", "Log", "Range", "Relu", "Sigmoid", "Sqrt", "Tanh")},
    **{"Ceiling": "Ceil", "Divide": "Div", "Multiply": "Mul", "Subtract": "Sub", "Power": "Pow", "Negative": "Neg"},
    **{"Maximum": "Max", "Minimum": "Min", "Select": "Where", "HSwish": "HardSwish"},
    **{"Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "Less": "Less", "Equal": "Equal"},
    **{"ShapeOf": "Shape", "Unsqueeze": "Unsqueeze", "Squeeze": "Squeeze"},
}
REDUCTIONS = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")


def check_onnx() -> Any:
    """Import the package that makes ONNX files.  Raises MissingExtra."""
    try:
        import onnx
    except ImportError as error:
        only = command("--format openvino", "format='openvino'")
        raise MissingExtra(
            "ONNX is written by the package onnx; run: pip install 'dn2[onnx]', or write OpenVINO's files alone: "
            f"{only}"
        ) from error
    return onnx


def to_onnx(network: Any) -> bytes:
    """Return an `openvino.Model` as an ONNX file, with its weights in it.

    Raises MissingExtra without the package `onnx`, BackboneError for an operation that is not among those written."""
    onnx = check_onnx()
    writer = _Writer(onnx)
    for node in network.get_ordered_ops():
        writer.write(node)
    graph = onnx.helper.make_graph(writer.nodes, "decision", writer.inputs, writer.outputs, writer.used_weights())
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="dn2")
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


class _Writer:
    """Writes operations one after the other, each after those that it needs."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.weights: list[Any] = []
        self._made = 0
        special: dict[str, Callable[[Any], None]] = {
            "Parameter": self._parameter,
            "Constant": self._constant,
            "Result": self._result,
            "Convert": self._convert,
            "Transpose": self._transpose,
            "MatMul": self._matmul,
            "Softmax": lambda node: self._plain(node, "Softmax", axis=int(node.get_attributes()["axis"])),
            "Concat": lambda node: self._plain(node, "Concat", axis=int(node.get_attributes()["axis"])),
            "Convolution": self._convolution,
            "GroupConvolution": self._convolution,
            "AvgPool": self._pool,
            "MaxPool": self._pool,
            "Clamp": self._clamp,
            "Gather": self._gather,
            "Reshape": self._reshape,
            "TopK": self._top,
            "Slice": self._slice,
            "Broadcast": self._broadcast,
            "MVN": self._normalize,
            "Gelu": self._gelu,
        }
        self._special = special | dict.fromkeys(REDUCTIONS, self._reduce)

    def write(self, node: Any) -> None:
        """Write an operation."""
        kind = node.get_type_name()
        if kind in self._special:
            self._special[kind](node)
        elif kind in PLAIN:
            self._plain(node, PLAIN[kind])
        else:
            raise self._unwritten(node)

    @staticmethod
    def _unwritten(node: Any) -> BackboneError:
        only = command("--format openvino", "format='openvino'")
        return BackboneError(
            f"the network has an operation that dn2 does not write as ONNX, {node.get_type_name()}; write OpenVINO's "
            f"files alone: {only}"
        )

    def used_weights(self) -> list[Any]:
        """Return the constants that an operation takes as they are."""
        used = {name for node in self.nodes for name in node.input}
        return [weight for weight in self.weights if weight.name in used]

    # names

    @staticmethod
    def _output(node: Any, place: int = 0) -> str:
        return f"{node.get_name()}:{place}"

    def _input(self, node: Any, place: int) -> str:
        source = node.input_value(place)
        return self._output(source.get_node(), source.get_index())

    def _inputs(self, node: Any) -> list[str]:
        return [self._input(node, place) for place in range(node.get_input_size())]

    def _new(self, array: Any = None) -> str:
        """Return a new name; array : a constant to be called so."""
        self._made += 1
        name = f"made:{self._made}"
        if array is not None:
            self.weights.append(self._onnx.numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def _add(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.nodes.append(self._onnx.helper.make_node(kind, inputs, outputs, **attributes))

    def _type(self, element: Any) -> int:
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(element.to_dtype())))

    def _value(self, node: Any, place: int) -> Any:
        """Return an input that must be a constant."""
        source = node.input_value(place).get_node()
        if source.get_type_name() != "Constant":
            raise self._unwritten(node)
        return source.get_data()

    # operations

    def _plain(self, node: Any, kind: str, **attributes: Any) -> None:
        self._add(kind, self._inputs(node), [self._output(node)], **attributes)

    def _described(self, name: str, output: Any) -> Any:
        sides = [side.get_length() if side.is_static else None for side in output.get_partial_shape()]
        return self._onnx.helper.make_tensor_value_info(name, self._type(output.get_element_type()), sides)

    def _parameter(self, node: Any) -> None:
        name = node.output(0).get_any_name()
        self.inputs.append(self._described(name, node.output(0)))
        self._add("Identity", [name], [self._output(node)])

    def _constant(self, node: Any) -> None:
        array = np.array(node.get_data())
        self.weights.append(self._onnx.numpy_helper.from_array(array, self._output(node)))

    def _result(self, node: Any) -> None:
        name = node.input_value(0).get_any_name()
        self.outputs.append(self._described(name, node.output(0)))
        self._add("Identity", [self._input(node, 0)], [name])

    def _convert(self, node: Any) -> None:
        self._plain(node, "Cast", to=self._type(node.get_output_element_type(0)))

    def _transpose(self, node: Any) -> None:
        order = self._value(node, 1).astype(int).tolist()
        self._add("Transpose", [self._input(node, 0)], [self._output(node)], perm=order)

    def _matmul(self, node: Any) -> None:
        attributes, inputs = node.get_attributes(), self._inputs(node)
        for place, flag in enumerate(("transpose_a", "transpose_b")):
            rank = node.input(place).get_partial_shape().rank.get_length()
            if attributes[flag] and rank > 1:
                turned = self._new()
                order = [*range(rank - 2), rank - 1, rank - 2]
                self._add("Transpose", [inputs[place]], [turned], perm=order)
                inputs[place] = turned
        self._add("MatMul", inputs, [self._output(node)])

    def _convolution(self, node: Any) -> None:
        attributes, kernel, groups = node.get_attributes(), self._value(node, 1), 1
        if node.get_type_name() == "GroupConvolution":
            groups = kernel.shape[0]
            kernel = kernel.reshape(-1, *kernel.shape[2:])
        names = {"dilations": list(attributes["dilations"]), "group": groups, **_window(attributes)}
        self._add("Conv", [self._input(node, 0), self._new(kernel)], [self._output(node)], **names)

    def _pool(self, node: Any) -> None:
        attributes = node.get_attributes()
        names = {"kernel_shape": list(attributes["kernel"]), **_window(attributes)}
        names["ceil_mode"] = int(attributes["rounding_type"] != "floor")
        if node.get_type_name() == "AvgPool":
            names["count_include_pad"] = int(not attributes["exclude-pad"])
        elif "dilations" in attributes:
            names["dilations"] = list(attributes["dilations"])
        kind = node.get_type_name().replace("Avg", "Average")
        self._add(kind, [self._input(node, 0)], [self._output(node)], **names)

    def _clamp(self, node: Any) -> None:
        ends, dtype = node.get_attributes(), node.get_output_element_type(0).to_dtype()
        low, high = (self._new(np.array(ends[name], dtype)) for name in ("min", "max"))
        self._add("Clip", [self._input(node, 0), low, high], [self._output(node)])

    def _gather(self, node: Any) -> None:
        axis = int(np.asarray(self._value(node, 2)).item())
        self._add("Gather", [self._input(node, 0), self._input(node, 1)], [self._output(node)], axis=axis)

    def _reshape(self, node: Any) -> None:
        shape = self._new()
        self._add("Cast", [self._input(node, 1)], [shape], to=self._onnx.TensorProto.INT64)
        allowed = int(not node.get_attributes()["special_zero"])
        self._add("Reshape", [self._input(node, 0), shape], [self._output(node)], allowzero=allowed)

    def _reduce(self, node: Any) -> None:
        axes = self._new(np.asarray(self._value(node, 1)).astype(np.int64).reshape(-1))
        keep = int(node.get_attributes()["keep_dims"])
        self._add(node.get_type_name(), [self._input(node, 0), axes], [self._output(node)], keepdims=keep)

    def _top(self, node: Any) -> None:
        attributes = node.get_attributes()
        one, whole, count = self._new(np.array([1], np.int64)), self._new(), self._new()
        self._add("Cast", [self._input(node, 1)], [whole], to=self._onnx.TensorProto.INT64)
        self._add("Reshape", [whole, one], [count])
        found = self._new()
        largest = int(attributes["mode"] == "max")
        self._add(
            "TopK",
            [self._input(node, 0), count],
            [self._output(node), found],
            axis=int(attributes["axis"]),
            largest=largest,
        )
        self._add("Cast", [found], [self._output(node, 1)], to=self._type(node.get_output_element_type(1)))

    def _slice(self, node: Any) -> None:
        start, stop, step, axes = self._inputs(node)[1:]
        self._add("Slice", [self._input(node, 0), start, stop, axes, step], [self._output(node)])

    def _broadcast(self, node: Any) -> None:
        if node.get_attributes()["mode"] not in ("numpy", "bidirectional"):
            raise self._unwritten(node)
        self._add("Expand", self._inputs(node)[:2], [self._output(node)])

    def _normalize(self, node: Any) -> None:
        """Subtract the mean over axes, and divide by the deviation from it."""
        attributes, x = node.get_attributes(), self._input(node, 0)
        if not attributes["normalize_variance"] or attributes["eps_mode"].lower() != "inside_sqrt":
            raise self._unwritten(node)
        axes, least = self._new(np.asarray(self._value(node, 1)).reshape(-1)), self._new(np.float32(attributes["eps"]))
        mean = self._made_by("ReduceMean", x, axes, keepdims=1)
        apart = self._made_by("Sub", x, mean)
        variance = self._made_by("ReduceMean", self._made_by("Mul", apart, apart), axes, keepdims=1)
        deviation = self._made_by("Sqrt", self._made_by("Add", variance, least))
        self._add("Div", [apart, deviation], [self._output(node)])

    def _gelu(self, node: Any) -> None:
        if node.get_attributes()["approximation_mode"].lower() != "erf":
            raise self._unwritten(node)
        x, root, one = self._input(node, 0), self._new(np.float32(np.sqrt(0.5))), self._new(np.float32(1))
        share = self._made_by("Add", self._made_by("Erf", self._made_by("Mul", x, root)), one)
        self._add("Mul", [self._made_by("Mul", x, share), self._new(np.float32(0.5))], [self._output(node)])

    def _made_by(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation, and return the name of what it gives."""
        name = self._new()
        self._add(kind, list(inputs), [name], **attributes)
        return name


def _window(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return strides and padding of a window that slides."""
    strides, padding = list(attributes["strides"]), attributes["auto_pad"]
    if padding in ("same_upper", "same_lower"):
        return {"strides": strides, "auto_pad": padding.upper()}
    if padding == "valid":
        return {"strides": strides, "auto_pad": "VALID"}
    return {"strides": strides, "pads": [*attributes["pads_begin"], *attributes["pads_end"]]}

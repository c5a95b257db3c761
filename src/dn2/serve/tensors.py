"""Tensors of the Open Inference Protocol, version 2, with its extension for binary data, to items and back."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Array
from dn2.model.answering import Asked
from dn2.model.state import State
from dn2.results.decisions import decision_of
from dn2.results.rows import Row
from dn2.serve.limits import Limits, Refused
from dn2.serve.received import parse_json

TYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
BYTES = "BYTES"
MOST_INPUTS = 10_000
MOST_DIMENSIONS = 4


class Tensor(NamedTuple):
    """An input: its name, its shape, its datatype, and its numbers, or the bytes of each element."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    values: Array | list[bytes]


class Inference(NamedTuple):
    """A request: its id, its inputs, and the outputs that it asks for, by name, each with whether it is to be binary.

    outputs : None for all; is_binary : whether all outputs are to be binary then."""

    id: str | None
    inputs: Sequence[Tensor]
    outputs: Mapping[str, bool] | None
    is_binary: bool


def read_inference(body: bytes, json_length: str | None) -> Inference:
    """Read a request; json_length : of its JSON, before which binary data follow; None for no such data.

    Raises Refused."""
    length = len(body) if json_length is None else _length(json_length)
    if not 0 <= length <= len(body):
        raise Refused(400, "Inference-Header-Content-Length must be the length of the JSON in the body")
    about, binary = parse_json(body[:length]), memoryview(body)[length:]
    if not isinstance(about, dict):
        raise Refused(400, "the body must be an object with inputs")
    inputs = about.get("inputs")
    if not isinstance(inputs, list) or not 0 < len(inputs) <= MOST_INPUTS:
        raise Refused(400, f"a request has inputs, a list of 1 to {MOST_INPUTS:,} tensors")
    id, parameters = about.get("id"), about.get("parameters") or {}
    if not isinstance(id, str | None) or not isinstance(parameters, dict):
        raise Refused(400, "id must be a text, and parameters an object")
    tensors, start = [], 0
    for one in inputs:
        tensor, size = _read_tensor(one, binary[start:])
        tensors.append(tensor)
        start += size
    if start != len(binary):
        raise Refused(400, f"{len(binary) - start:,} bytes of the body belong to no input")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise Refused(400, "two inputs have one name")
    is_binary = parameters.get("binary_data_output") is True
    return Inference(id, tensors, _read_outputs(about.get("outputs"), is_binary), is_binary)


def _length(said: str) -> int:
    """Return the number that a header says, -1 for none."""
    return int(said[:20]) if said.isascii() and said.isdigit() else -1


def _read_outputs(outputs: Any, is_binary: bool) -> dict[str, bool] | None:
    if outputs is None or outputs == []:
        return None
    asked: dict[str, bool] = {}
    for one in outputs if isinstance(outputs, list) else [None]:
        if not isinstance(one, dict) or one.get("name") not in list(OUTPUTS):
            raise Refused(400, f"outputs are objects with a name, of {', '.join(OUTPUTS)}, got {one!r:.100}")
        name = one["name"]
        parameters = one.get("parameters") or {}
        if not isinstance(parameters, dict) or "classification" in parameters:
            raise Refused(400, f"the output {name} cannot be had in another form")
        asked[name] = parameters.get("binary_data", is_binary) is True
    return asked


def _read_tensor(about: Any, binary: memoryview) -> tuple[Tensor, int]:
    """Read an input; return it, and how many bytes of binary data are its."""
    if not isinstance(about, dict) or not isinstance(about.get("name"), str):
        raise Refused(400, "each input must be an object with name, shape, datatype and data")
    name, shape, datatype = about["name"], about.get("shape"), about.get("datatype")
    what = f"the input {name!r:.100}"
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= MOST_DIMENSIONS
        or not all(type(side) is int and 0 <= side < 1 << 40 for side in shape)
    ):
        raise Refused(400, f"the shape of {what} must be a list of 1 to {MOST_DIMENSIONS} whole numbers")
    if not isinstance(datatype, str) or datatype not in (BYTES, *TYPES):
        raise Refused(400, f"the datatype of {what} must be {', '.join([BYTES, *TYPES])}, got {datatype!r:.100}")
    parameters = about.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise Refused(400, f"the parameters of {what} must be an object")
    count, size = math.prod(shape), parameters.get("binary_data_size")
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(binary):
            raise Refused(400, f"binary_data_size of {what} must be a number of bytes that follow, got {size!r:.100}")
        data = binary[:size]
        values = _split_bytes(data, count, what) if datatype == BYTES else _numbers(data, TYPES[datatype], what)
    else:
        flat = _flat(about.get("data"))
        is_base64 = parameters.get("content_type") == "base64"
        values = [_to_bytes(one, is_base64, what) for one in flat] if datatype == BYTES else _cast(flat, datatype, what)
    if len(values) != count:
        raise Refused(400, f"{what} must have the {count:,} elements of its shape, got {len(values):,}")
    return Tensor(name, tuple(shape), datatype, values), size or 0


def _split_bytes(data: memoryview, count: int, what: str) -> list[bytes]:
    """Split elements, each after its length in four bytes."""
    elements: list[bytes] = []
    place = 0
    while place < len(data):
        if len(elements) == count:
            raise Refused(400, f"{what} must have the {count:,} elements of its shape, got more")
        if place + 4 > len(data):
            raise Refused(400, f"{what} ends within an element")
        (length,) = struct.unpack_from("<I", data, place)
        place += 4 + length
        if place > len(data):
            raise Refused(400, f"{what} ends within an element")
        elements.append(bytes(data[place - length : place]))
    return elements


def _numbers(data: memoryview, kind: str, what: str) -> Array:
    try:
        return np.frombuffer(data, kind)
    except ValueError as error:
        raise Refused(400, f"{what} is not whole: {error}") from error


def _flat(data: Any) -> list[Any]:
    """Return the elements of lists in lists, which the protocol allows."""
    if not isinstance(data, list):
        raise Refused(400, "data must be a list")
    flat = data
    for _ in range(MOST_DIMENSIONS - 1):
        if not flat or not all(isinstance(one, list) for one in flat):
            break
        flat = [value for one in flat for value in one]
    return flat


def _cast(flat: Sequence[Any], datatype: str, what: str) -> Array:
    if not all(isinstance(one, (int, float)) for one in flat):
        raise Refused(400, f"the data of {what} must be numbers")
    try:
        given = np.array(flat) if flat else np.empty(0)
        with np.errstate(all="ignore"):  # what overflows is refused, below or as no number that is compared
            cast = given.astype(TYPES[datatype])
    except (ValueError, OverflowError) as error:
        raise Refused(400, f"the data of {what} are not {datatype}: {error}") from error
    if cast.dtype.kind != "f" and not np.array_equal(cast, given):
        raise Refused(400, f"the data of {what} are not all {datatype}")
    return cast


def _to_bytes(element: Any, is_base64: bool, what: str) -> bytes:
    if not isinstance(element, str):
        raise Refused(400, f"the data of {what} must be texts")
    try:
        return base64.b64decode(element, validate=True) if is_base64 else element.encode()
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"the data of {what} cannot be read: {error}") from error


def items_of(inference: Inference, now: State, limits: Limits) -> Asked:
    """Return what a request asks about, for a model.  Raises Refused."""
    inputs = inference.inputs
    if now.kind.columns:
        cells = {tensor.name: _cells(tensor) for tensor in inputs}
        if len(set(map(len, cells.values()))) > 1:
            raise Refused(400, "inputs are columns, of one length each")
        return Asked(cells)
    if len(inputs) != 1:
        raise Refused(400, f"the model has one input, {_expected(now)[0]['name']}, got {len(inputs)}")
    (tensor,) = inputs
    if tensor.shape[0] > limits.items and len(tensor.shape) != 3:  # before each becomes an object
        raise Refused(413, f"a request must have at most {limits.items:,} items, got {tensor.shape[0]:,}")
    if now.kind.sent_as != "json":
        items: list[Any] = _pictures(tensor)
    elif now.kind.takes_texts:
        items = _cells(tensor)
    else:
        if isinstance(tensor.values, list) or tensor.shape[1:] != (now.kind.dimension,):
            raise Refused(400, f"vectors come as numbers of the shape [n, {now.kind.dimension}]")
        items = tensor.values.reshape(tensor.shape).tolist()
    return Asked(items, [""] * len(items))


def _cells(tensor: Tensor) -> list[Any]:
    if not isinstance(tensor.values, list):
        return tensor.values.tolist()  # type: ignore[no-any-return]
    try:
        return [value.decode() for value in tensor.values]
    except UnicodeDecodeError as error:
        raise Refused(400, f"the input {tensor.name!r:.100} must be texts in UTF-8: {error}") from error


def _pictures(tensor: Tensor) -> list[bytes]:
    """Return pictures as files: as they were sent, or pixels, (n, height, width, 3) or (height, width, 3), as PPM."""
    if isinstance(tensor.values, list):
        return tensor.values
    if tensor.datatype != "UINT8" or len(tensor.shape) not in (3, 4) or tensor.shape[-1] != 3 or 0 in tensor.shape:
        raise Refused(400, f"pictures come as {BYTES} of files, or as UINT8 of the shape [n, height, width, 3]")
    height, width = tensor.shape[-3:-1]
    return [
        b"P6 %d %d 255\n" % (width, height) + pixels.tobytes() for pixels in tensor.values.reshape(-1, height, width, 3)
    ]


def _expected(now: State) -> list[dict[str, Any]]:
    """Return the inputs of a model, as the protocol describes them."""
    if now.kind.columns:
        named = [(column.name, column.words) for column in now.kind.columns if column.is_compared]
        kinds = ["FP64" if words.startswith(("number", "values")) else BYTES for _, words in named]
        return [{"name": name, "datatype": kind, "shape": [-1]} for (name, _), kind in zip(named, kinds, strict=True)]
    if now.kind.sent_as != "json" or now.kind.takes_texts:
        return [{"name": now.kind.one, "datatype": BYTES, "shape": [-1]}]
    return [{"name": now.kind.one, "datatype": "FP32", "shape": [-1, now.kind.dimension]}]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


OUTPUTS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    "anomaly_score": ("FP64", lambda row: _number(row.anomaly_score)),
    "p_value": ("FP64", lambda row: _number(row.p_value)),
    "is_anomaly": ("BOOL", lambda row: bool(row.is_anomaly)),
    "decision": (BYTES, decision_of),
    "neighbors": (BYTES, lambda row: json.dumps([near.as_dict() for near in row.neighbors])),
}


def metadata(name: str, version: str, now: State) -> dict[str, Any]:
    """Describe a model as the protocol does."""
    outputs = [{"name": output, "datatype": datatype, "shape": [-1]} for output, (datatype, _) in OUTPUTS.items()]
    return {
        "name": name, "versions": [version], "platform": "dn2", "inputs": _expected(now), "outputs": outputs
    }  # fmt: skip


def write_outputs(about: dict[str, Any], inference: Inference, rows: Sequence[Row]) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON where binary data follow it.

    about : what the answer says beside its outputs."""
    asked = dict.fromkeys(OUTPUTS, inference.is_binary) if inference.outputs is None else inference.outputs
    outputs, binary = [], []
    for name, is_binary in asked.items():
        datatype, value = OUTPUTS[name]
        values = [value(row) for row in rows]
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(rows)]}
        if is_binary:
            data = _to_binary(values, datatype)
            binary.append(data)
            output["parameters"] = {"binary_data_size": len(data)}
        else:
            output["data"] = [None if isinstance(one, float) and math.isnan(one) else one for one in values]
        outputs.append(output)
    head = json.dumps({**about, "outputs": outputs}, allow_nan=False).encode()
    return head + b"".join(binary), len(head) if binary else None


def _to_binary(values: Sequence[Any], datatype: str) -> bytes:
    if datatype != BYTES:
        return np.array(values, TYPES[datatype]).tobytes()
    encoded = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)

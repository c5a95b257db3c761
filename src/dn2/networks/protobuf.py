"""Whether an ONNX file keeps weights in other files, found by a walk over its untrusted bytes as protocol buffers.

Source: onnx.proto of the ONNX project; the encoding of protocol buffers."""

from __future__ import annotations

from collections.abc import Iterator

# Of each message, the fields that are messages on the way to a tensor.
MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
GRAPH = 7  # of a model
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a tensor
VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5  # how a field is encoded
LONGEST_VARINT = 10
MOST_FIELDS = 5_000_000  # a walk of some seconds; networks have some ten thousand


def has_weights_elsewhere(data: bytes) -> bool:
    """Tell whether a tensor of an ONNX file lies in another file.

    Raises ValueError unless the bytes are an ONNX file."""
    waiting = [("model", memoryview(data))]
    fields = graphs = 0
    while waiting:
        kind, message = waiting.pop()
        for number, value in _fields(message):
            fields += 1
            if fields > MOST_FIELDS:
                raise ValueError(f"it has more than {MOST_FIELDS:,} parts")
            if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value)):
                return True
            inner = MESSAGES[kind].get(number)
            if inner is not None and isinstance(value, memoryview):
                waiting.append((inner, value))
                graphs += kind == "model" and number == GRAPH
    if not graphs:
        raise ValueError("it has no graph")
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Give the number and the value of each field of a message; the value of a number of fixed size is given as 0."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, encoding = key >> 3, key & 7
        value: int | memoryview = 0
        if encoding == VARINT:
            value, place = _varint(message, place)
        elif encoding == DELIMITED:
            size, place = _varint(message, place)
            value, place = message[place : place + size], place + size
        elif encoding in (EIGHT_BYTES, FOUR_BYTES):
            place += 8 if encoding == EIGHT_BYTES else 4
        else:
            raise ValueError(f"it has a field of the unknown encoding {encoding}")
        if place > len(message):
            raise ValueError("it is cut off")
        yield number, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Read a number of variable length; returns it, and the place behind it."""
    number = 0
    for position, byte in enumerate(message[place : place + LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return number, place + position + 1
    raise ValueError("it is cut off")

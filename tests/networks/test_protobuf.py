"""Whether an ONNX file keeps weights elsewhere is told by its bytes, however these are written."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dn2.networks.protobuf import has_weights_elsewhere


def tensor(elsewhere: bool = True) -> TensorProto:
    """Return a tensor whose numbers lie in another file, or in it."""
    made = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    if elsewhere:
        onnx.external_data_helper.set_external_data(made, "weights.bin")
        made.data_location = TensorProto.EXTERNAL
        made.ClearField("raw_data")
    return made


def graph(*, initializers=(), nodes=()):
    nodes = nodes or [helper.make_node("Identity", ["x"], ["y"])]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    return helper.make_graph(nodes, "g", value[:1], value[1:], list(initializers))


def sparse(values: TensorProto):
    indices = numpy_helper.from_array(np.arange(4, dtype=np.int64), "i")
    return helper.make_sparse_tensor(values, indices, [8])


def places(elsewhere: bool) -> dict[str, onnx.ModelProto]:
    """Put a tensor wherever a network may have one."""
    one = tensor(elsewhere)
    branch = graph(initializers=[one])
    nodes = {
        "a constant": helper.make_node("Constant", [], ["y"], value=one),
        "a sparse constant": helper.make_node("Constant", [], ["y"], sparse_value=sparse(one)),
        "a branch": helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=graph()),
        "a branch of a branch": helper.make_node(
            "If", ["x"], ["y"], then_branch=graph(nodes=[helper.make_node("If", ["x"], ["y"], then_branch=branch)])
        ),
        "several graphs": helper.make_node("Some", ["x"], ["y"], domain="d", graphs=[graph(), branch]),
        "several tensors": helper.make_node("Some", ["x"], ["y"], domain="d", tensors=[tensor(False), one]),
    }
    models = {name: helper.make_model(graph(nodes=[node])) for name, node in nodes.items()}
    models["an initializer"] = helper.make_model(graph(initializers=[tensor(False), one]))
    models["a sparse initializer"] = helper.make_model(graph())
    models["a sparse initializer"].graph.sparse_initializer.append(sparse(one))
    of_function = helper.make_function("d", "f", ["x"], ["y"], [nodes["a constant"]], [helper.make_opsetid("", 18)])
    models["a function"] = helper.make_model(graph(), functions=[of_function])
    models["training"] = helper.make_model(graph())
    models["training"].training_info.add().initialization.CopyFrom(branch)
    return models


@pytest.mark.parametrize("place", places(True))
def test_weights_in_another_file_are_found_wherever_a_tensor_may_be(place: str) -> None:
    assert has_weights_elsewhere(places(True)[place].SerializeToString())
    assert not has_weights_elsewhere(places(False)[place].SerializeToString())


def test_a_location_alone_says_so_and_so_does_the_mark_alone() -> None:
    for field in ("data_location", "external_data"):
        one = tensor()
        one.ClearField(field)
        assert has_weights_elsewhere(helper.make_model(graph(initializers=[one])).SerializeToString())


def test_lengths_and_keys_may_be_written_longer_than_they_need_be() -> None:
    model = helper.make_model(graph(initializers=[tensor()])).SerializeToString()
    inner = onnx.ModelProto.FromString(model).graph.SerializeToString()
    size = len(inner)
    long = bytes([0x80 | 7 << 3 & 0x7F | 2, 0x80, 0x00]) + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, 0x80, 0])
    rewritten = long + inner
    assert onnx.ModelProto.FromString(rewritten).graph.initializer[0].external_data
    assert has_weights_elsewhere(rewritten)


@pytest.mark.parametrize(
    "data",
    [b"", b"garbage" * 50, b"\x3a", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08\x09", b"\x3b\x3c"],
)
def test_what_is_no_network_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="it "):
        has_weights_elsewhere(data)


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_walked_to_an_end(noise: bytes, place: int) -> None:
    model = helper.make_model(graph(initializers=[tensor(False)])).SerializeToString()
    for data in (noise, model[:place] + noise + model[place:], model[:place] + noise):
        with contextlib.suppress(ValueError):
            assert has_weights_elsewhere(data) in (True, False)

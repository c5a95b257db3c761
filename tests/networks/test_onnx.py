"""A network that the user brings: fed as its JSON says, refused with the reason, never changed unnoticed."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from dn2.errors import BackboneError
from dn2.kinds.image.transformer import ImageEmbedder
from dn2.networks.openvino import Network
from dn2.networks.pixels import Preprocessing
from dn2.networks.registry import get_backbone

SIZE = (6, 8)
MATRIX = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
RECIPE = {"size": list(SIZE), "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 2]}


def make(shape, *, axes=(2, 3), kind=TensorProto.FLOAT, matrix=MATRIX, inputs=("x",), outputs=("y",), keep=False):
    """Make a network: the mean over space, times a matrix.  With `keep`, the mean over space alone, kept as a map."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    total = inputs[0]
    nodes = []
    if len(inputs) > 1:
        nodes.append(helper.make_node("Add", list(inputs), ["sum"]))
        total = "sum"
    nodes.append(helper.make_node("ReduceMean", [total, "axes"], ["mean"], keepdims=int(keep)))
    if keep:
        nodes += [helper.make_node("Identity", ["mean"], [name]) for name in outputs]
    else:
        nodes += [helper.make_node("MatMul", ["mean", "matrix"], [name]) for name in outputs]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [
            numpy_helper.from_array(np.array(axes, np.int64), "axes"),
            *([] if keep else [numpy_helper.from_array(matrix.astype(dtype), "matrix")]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


NETWORKS = {
    "NCHW": make([1, 3, *SIZE]),
    "NHWC": make([1, *SIZE, 3], axes=(1, 2)),
    "any batch": make(["n", 3, *SIZE]),
    "any size": make([1, 3, "h", "w"]),
    "NHWC of any batch and size": make(["n", "h", "w", 3], axes=(1, 2)),
    "NCHW of any batch and size": make(["n", 3, "h", "w"]),
    "half precision": make([1, 3, *SIZE], kind=TensorProto.FLOAT16),
}


@pytest.fixture
def bring(tmp_path):
    """Return a function that writes a network and its recipe, and returns the network's path."""

    def run(network=NETWORKS["NCHW"], recipe=RECIPE, name="net"):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(network if isinstance(network, bytes) else network.SerializeToString())
        if recipe is not None:
            text = recipe if isinstance(recipe, bytes) else json.dumps(recipe).encode()
            path.with_suffix(".json").write_bytes(text)
        return str(path)

    return run


@pytest.fixture
def picture(tmp_path):
    """Return a picture of the network's size: its file and its pixels."""
    pixels = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png", pixels


def by_hand(pixels, mean=RECIPE["mean"], std=RECIPE["std"]):
    return ((pixels / 255 - mean) / std).mean(axis=(0, 1)) @ MATRIX


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_is_fed_as_its_json_says(bring, picture, kind):
    path, pixels = picture
    vectors = ImageEmbedder(bring(NETWORKS[kind]), precision="f32").transform([path])
    assert (vectors.shape, vectors.dtype) == ((1, 4), np.float32)
    assert np.abs(vectors[0] - by_hand(pixels)).max() < (0.01 if kind == "half precision" else 1e-5)


def test_without_mean_and_std_pixels_are_from_0_to_1(bring, picture):
    path, pixels = picture
    vectors = ImageEmbedder(bring(recipe={"size": list(SIZE)}), precision="f32").transform([path])
    assert np.abs(vectors[0] - by_hand(pixels, 0, 1)).max() < 1e-5


@pytest.mark.parametrize("shape", ["squash", "pad"])
def test_a_picture_of_another_size_is_scaled_to_the_json_s(bring, tmp_path, shape):
    Image.new("RGB", (120, 30), (255, 51, 0)).save(tmp_path / "wide.png")
    embedder = ImageEmbedder(bring(recipe=RECIPE | {"shape": shape}), precision="f32")
    expected = np.full((*SIZE, 3), (255, 51, 0))
    if shape == "pad":  # 8 pixels wide, 2 high
        expected[:2] = expected[4:] = 127
    assert np.abs(embedder.transform([tmp_path / "wide.png"])[0] - by_hand(expected)).max() < 1e-5


def test_the_recipe_is_what_the_json_says(bring):
    backbone = get_backbone(bring(recipe=RECIPE | {"shape": "pad", "normalize": "unit"}))
    assert backbone.preprocessing == Preprocessing(*SIZE, "pad")
    assert backbone.normalize == "unit"
    assert get_backbone(bring()).preprocessing == Preprocessing(*SIZE, "squash")
    assert get_backbone(bring()).normalize == "none"


def test_the_digest_changes_when_either_file_does_and_not_with_the_name(bring):
    digest = get_backbone(bring()).digest
    assert get_backbone(bring(name="other")).digest == digest
    assert len(digest) == 64
    others = {
        get_backbone(bring(make([1, 3, *SIZE], matrix=MATRIX + 1e-6))).digest,
        get_backbone(bring(recipe=RECIPE | {"mean": [0.1, 0.2, 0.30001]})).digest,
        get_backbone(bring(recipe=RECIPE | {"shape": "pad"})).digest,
    }
    assert len(others | {digest}) == 4


@pytest.mark.parametrize(
    "recipe",
    [
        None,
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[224, 224]",
        b"224",
        b"null",
        {},
        {"mean": [0, 0, 0]},
        RECIPE | {"sizes": 1},
        RECIPE | {"Size": [1, 1]},
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_json_that_is_missing_or_no_recipe_is_refused(bring, recipe):
    with pytest.raises(
        BackboneError,
        match=r"net\.json(: cannot be read|: the file is empty| is no JSON| must be an object with `size`)",
    ):
        get_backbone(bring(recipe=recipe))


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("size", [224, "224", [224], [224, 224, 3], [0, 224], [-1, 224], [224.0, 224], [True, 1], [5000, 1], None]),
        ("mean", [0.5, [0.5], [0.5] * 4, ["0", 0, 0], [True, 0, 0], None, [10**400, 0, 0], [0, 1e7, 0]]),
        ("std", [0.5, [0.5] * 2, [0, 1, 1], [1, -1, 1], [1, 1, None], [1, 10**400, 1]]),
        ("shape", ["cut", None, 1, ["pad"]]),
        ("crop_share", [0, 0.05, 1.1, -1, "1", True, None, [1], float("nan")]),
        ("interpolation", ["cubic", "BICUBIC", None, 3, ["bicubic"]]),
        ("normalize", ["l2", None, True, ["unit"]]),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_name(bring, key, values):
    for value in values:
        with pytest.raises(BackboneError, match=rf"net\.json: {key} must be"):
            get_backbone(bring(recipe=RECIPE | {key: value}))


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("place", range(3))
def test_a_number_that_is_not_finite_is_refused(bring, key, value, place):
    values = ["1", "1", "1"]
    values[place] = value
    text = f'{{"size": [6, 8], "{key}": [{", ".join(values)}]}}'
    with pytest.raises(BackboneError, match=rf"net\.json: {key} must be"):
        get_backbone(bring(recipe=text.encode()))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (make([1, 3, *SIZE], inputs=("x", "z")), "must have one input and one output, got 2 and 1"),
        (make([1, 3, *SIZE], outputs=("y", "z")), "must have one input and one output, got 1 and 2"),
        (make([1, 3, *SIZE], keep=True), r"must give one vector, \(1, d\), it gives \[1,3,1,1\]; pool"),
        (make([1, 3, *SIZE], keep=True, axes=(1, 2, 3)), r"must give one vector, \(1, d\), it gives \[1,1,1,1\]"),
        (make([1, 3, *SIZE], axes=(0, 3), matrix=np.ones((6, 4))), r"must give one vector, \(1, d\), it gives \[3,4\]"),
        (make([1, 1, *SIZE], matrix=MATRIX[:1]), r"must take pictures of shape \[1, 3, 6, 8\] or \[1, 6, 8, 3\]"),
        (make([1, 3, 8, 6]), r"must take pictures of shape \[1, 3, 6, 8\] or \[1, 6, 8, 3\]"),
        (make([2, 3, *SIZE]), r"must take pictures of shape"),
        (make([3, *SIZE], axes=(1, 2)), r"must take pictures of shape"),
        (make(["n", 3, "h", "w"], matrix=MATRIX[:2]), r"cannot take pictures of shape|no ONNX network"),
        (b"garbage" * 50, "is no ONNX network that OpenVINO reads"),
        (b"", "the file is empty"),
        (NETWORKS["NCHW"].SerializeToString()[:-40], "is no ONNX network that OpenVINO reads"),
    ],
)
def test_a_network_that_is_no_embedder_of_pictures_is_refused_with_the_reason(bring, network, words):
    with pytest.raises(BackboneError, match=words) as caught:
        Network(get_backbone(bring(network)), "f32")
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_network_says_what_a_backbone_is(tmp_path):
    with pytest.raises(BackboneError, match=r'none\.onnx: cannot be read: No such file.*"size": \[224, 224\]'):
        get_backbone(str(tmp_path / "none.onnx"))


def test_a_folder_is_no_network(tmp_path):
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(BackboneError, match=r"net\.onnx: cannot be read"):
        get_backbone(str(tmp_path / "net.onnx"))


@pytest.mark.parametrize("location", ["net.onnx.data", "w", "weights/" + "long" * 40])
def test_weights_in_another_file_are_refused_since_a_change_of_them_would_go_unnoticed(tmp_path, location):
    (tmp_path / location).parent.mkdir(exist_ok=True)
    network = onnx.ModelProto()
    network.CopyFrom(make([1, 3, *SIZE], matrix=np.ones((3, 400), np.float32)))
    onnx.save(
        network,
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location=location,
        size_threshold=100,
    )
    (tmp_path / "net.json").write_text(json.dumps(RECIPE))
    assert (tmp_path / location).stat().st_size >= 4800
    with pytest.raises(BackboneError, match=r"keeps weights in another file.*save it as one file"):
        get_backbone(str(tmp_path / "net.onnx"))
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "net.onnx")  # the way out that the message gives
    assert Network(get_backbone(str(tmp_path / "net.onnx")), "f32").dimension == 400


def test_metadata_named_location_are_no_weights_in_another_file(bring):
    network = make([1, 3, *SIZE])
    helper.set_model_props(network, {"location": "Jena"})
    assert Network(get_backbone(bring(network)), "f32").dimension == 4

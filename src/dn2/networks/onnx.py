"""Bring your own backbone: an ONNX file and, beside it, a JSON file that says how to feed it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dn2.errors import BackboneError, UnreadableItem
from dn2.extras import import_openvino
from dn2.networks.backbone import Backbone
from dn2.networks.decoding import file_bytes
from dn2.networks.pixels import INTERPOLATIONS, Preprocessing
from dn2.networks.protobuf import has_weights_elsewhere

if TYPE_CHECKING:
    import openvino as ov

KEYS = {"size", "mean", "std", "shape", "crop_share", "interpolation", "normalize", "maps"}
MOST_MAPS = 4
LARGEST_SIDE = 4096
LARGEST_NUMBER = 1e6
SMALLEST_SHARE = 0.1


@dataclass(frozen=True)
class Recipe:
    """How pictures are prepared: scaled to `preprocessing`, divided by 255, then (x - mean) / std per channel.

    maps : names of the tensors that hold patches, the finest first."""

    preprocessing: Preprocessing
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    normalize: str
    maps: tuple[str, ...] = ()


class Files(NamedTuple):
    """A network and its recipe as they lie on disk.

    path : what the user calls it; data, text : the bytes of both."""

    path: Path
    data: bytes
    text: bytes
    recipe: Recipe

    @property
    def digest(self) -> str:
        """SHA-256 over both."""
        return hashlib.sha256(hashlib.sha256(self.data).digest() + hashlib.sha256(self.text).digest()).hexdigest()


def read_backbone(name: str, held: Sequence[bytes] | None = None) -> Backbone:
    """Read `net.onnx` with its `net.json`.

    held : the bytes of both as a saved model holds them, None to read the files.

    The network takes one picture, (1, 3, height, width) or (1, height, width, 3) float32, RGB, and gives one vector,
    (1, d).  The JSON holds `size` ([height, width]), and optionally `mean` and `std` of the channels for pixels from
    0 to 1 (default 0 and 1), `shape` (`squash`, `pad` or `crop`), `crop_share` and `interpolation` (see
    `Preprocessing`), `normalize` (`none`, `unit`, `root-unit`; default `none`), and `maps` (see `onnx_maps`).
    Raises BackboneError for a missing or unusable file."""
    files = read_files(name, held)
    recipe = files.recipe
    return Backbone(
        name=name,
        digest=files.digest,
        preprocessing=recipe.preprocessing,
        normalize=recipe.normalize,
        build=partial(_build, files),
        files=(files.data, files.text),
    )


def read_files(name: str, held: Sequence[bytes] | None = None) -> Files:
    """Read a network and its recipe; held : as in `read_backbone`.  Raises BackboneError."""
    path = Path(name)
    data, text = (_read(path), _read(path.with_suffix(".json"))) if held is None else held
    recipe = _parse(text, path.with_suffix(".json"))
    try:
        elsewhere = has_weights_elsewhere(data)
    except ValueError as error:
        raise BackboneError(f"{path} is no ONNX network that OpenVINO reads: {error}") from error
    if elsewhere:
        raise BackboneError(
            f"{path} keeps weights in another file, where a change would go unnoticed; save it as one file, "
            "for example with torch.onnx.export(..., external_data=False) or onnx.save(onnx.load(old), new)"
        )
    return Files(path, data, text, recipe)


def _read(path: Path) -> bytes:
    try:
        with file_bytes(path) as data:
            return data
    except UnreadableItem as error:
        raise BackboneError(
            f"{path}: {error}; a backbone is an .onnx file with a .json of the same name "
            'beside it that holds its preprocessing, for example {"size": [224, 224]}'
        ) from error


def _parse(text: bytes, path: Path) -> Recipe:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BackboneError(f"{path} is no JSON: {error}") from error
    if not isinstance(values, Mapping) or "size" not in values or values.keys() - KEYS:
        raise BackboneError(
            f"{path} must be an object with `size` and, of choice, {sorted(KEYS - {'size'})}, got {values}"
        )
    size, shape, method = values["size"], values.get("shape", "squash"), values.get("normalize", "none")
    share, interpolation = values.get("crop_share", 1), values.get("interpolation", "bicubic")
    if not (
        isinstance(size, list)
        and len(size) == 2
        and all(type(side) is int and 0 < side <= LARGEST_SIDE for side in size)
    ):
        raise BackboneError(f"{path}: size must be [height, width] of 1 to {LARGEST_SIDE} pixels, got {size}")
    if shape not in ("squash", "pad", "crop"):
        raise BackboneError(f"{path}: shape must be squash, pad or crop, got {shape!r}")
    if not (type(share) in (int, float) and SMALLEST_SHARE <= share <= 1 and (share == 1 or shape != "pad")):
        raise BackboneError(
            f"{path}: crop_share must be a number from {SMALLEST_SHARE} to 1, and 1 with the shape pad, got {share!r}"
        )
    if interpolation not in tuple(INTERPOLATIONS):
        raise BackboneError(f"{path}: interpolation must be one of {', '.join(INTERPOLATIONS)}, got {interpolation!r}")
    if method not in ("none", "unit", "root-unit"):
        raise BackboneError(f"{path}: normalize must be none, unit or root-unit, got {method!r}")
    mean, std = (_three(values.get(key, [default] * 3), key, path) for key, default in (("mean", 0), ("std", 1)))
    if not min(std) > 0:
        raise BackboneError(f"{path}: std must be positive, got {list(std)}")
    maps = values.get("maps", [])
    if not (isinstance(maps, list) and len(maps) <= MOST_MAPS and all(isinstance(one, str) and one for one in maps)):
        raise BackboneError(
            f"{path}: maps must be 1 to {MOST_MAPS} names of tensors, the finest first, got {maps!r:.80}"
        )
    preprocessing = Preprocessing(size[0], size[1], shape, float(share), interpolation)
    return Recipe(preprocessing, mean, std, method, tuple(maps))


def _three(values: Any, key: str, path: Path) -> tuple[float, float, float]:
    if not (
        isinstance(values, list)
        and len(values) == 3
        and all(type(value) in (int, float) and abs(value) <= LARGEST_NUMBER for value in values)
    ):
        raise BackboneError(f"{path}: {key} must be three numbers, one a channel, got {values}")
    return cast(tuple[float, float, float], tuple(float(value) for value in values))


def reason(error: Exception) -> str:
    """Bring OpenVINO's message to one line, without the places in its source."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith(("Exception from", "Check ", "Summary")))


def convert(files: Files, tensors: Sequence[str] = ()) -> ov.Model:
    """Convert a network to OpenVINO's; tensors : names of those that it is to give, by default its own outputs.

    Raises BackboneError for bytes that are no ONNX network, and for a name that no tensor has."""
    ov = import_openvino()
    try:
        reader = ov.frontend.FrontEndManager().load_by_framework("onnx")  # never the reader of another format
        loaded = reader.load(io.BytesIO(files.data))
        places = {name: loaded.get_place_by_tensor_name(name) for name in tensors}
        if places and None not in places.values():
            loaded.override_all_outputs([places[name] for name in tensors])
        network = reader.convert(loaded)
    except Exception as error:  # it raises nearly anything for bytes that are not ONNX
        raise BackboneError(f"{files.path} is no ONNX network that OpenVINO reads: {reason(error)}") from error
    if unknown := [name for name, place in places.items() if place is None]:
        raise BackboneError(f"{files.path} has no tensor {unknown[0]!r:.80}, which its JSON names among its maps")
    return network


def find_layout(files: Files, network: ov.Model) -> str:
    """Tell whether a network takes channels first, `NCHW`, or last, `NHWC`.  Raises BackboneError for any other."""
    ov = import_openvino()
    height, width = files.recipe.preprocessing.height, files.recipe.preprocessing.width
    layouts = {"NCHW": [1, 3, height, width], "NHWC": [1, height, width, 3]}
    declared = network.input().get_partial_shape()
    layout = next((name for name, shape in layouts.items() if declared.compatible(ov.PartialShape(shape))), None)
    if layout is None:
        raise BackboneError(
            f"{files.path} must take pictures of shape {layouts['NCHW']} or {layouts['NHWC']} by its JSON, not "
            f"{declared}"
        )
    return layout


def reshape(files: Files, network: ov.Model, layout: str, height: int, width: int) -> None:
    """Have a network take one picture of a size, -1 for any.  Raises BackboneError."""
    shape = [1, 3, height, width] if layout == "NCHW" else [1, height, width, 3]
    try:
        network.reshape(import_openvino().PartialShape(shape))
    except RuntimeError as error:
        raise BackboneError(f"{files.path} cannot take pictures of shape {shape}: {reason(error)}") from error


def with_pixels(network: ov.Model, layout: str, recipe: Recipe) -> ov.Model:
    """Have a network take pixels, (1, height, width, 3) uint8, and give float32."""
    ov = import_openvino()
    prepare = ov.preprocess.PrePostProcessor(network)
    prepare.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    prepare.input().model().set_layout(ov.Layout(layout))
    prepare.input().preprocess().convert_element_type(ov.Type.f32).mean([255 * value for value in recipe.mean]).scale(
        [255 * value for value in recipe.std]
    )
    for number in range(len(network.outputs)):
        prepare.output(number).tensor().set_element_type(ov.Type.f32)
    return prepare.build()


def _build(files: Files) -> ov.Model:
    path, network = files.path, convert(files)
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise BackboneError(
            f"{path} must have one input and one output, got {len(network.inputs)} and {len(network.outputs)}"
        )
    layout = find_layout(files, network)
    reshape(files, network, layout, files.recipe.preprocessing.height, files.recipe.preprocessing.width)
    output = network.output().get_partial_shape()
    if output.is_dynamic or len(output) != 2 or output[0] != 1:
        raise BackboneError(f"{path} must give one vector, (1, d), it gives {output}; pool its last map over space")
    return with_pixels(network, layout, files.recipe)

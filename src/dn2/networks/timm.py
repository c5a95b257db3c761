"""Any network of timm's, on PyTorch: its weights, its own preprocessing, its own pooled features.

`timm/resnet101.tv_in1k` takes the weights that timm downloads and keeps; `timm/resnet101:weights.safetensors` takes
them from a file.  Nothing here imports PyTorch or timm before a network of that name is asked for.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from types import ModuleType
from typing import Any, Literal, NamedTuple

from dn2.errors import BackboneError, MissingExtra
from dn2.extras import block_telemetry
from dn2.networks.backbone import TIMM, Backbone
from dn2.networks.pixels import INTERPOLATIONS, Preprocessing
from dn2.system.interface import option

# The names of timm's downloads; pickled weights are not among them.
WEIGHTS_FILES = ("model.safetensors", "open_clip_model.safetensors")

SHAPES: dict[str, Literal["squash", "pad", "crop"]] = {"center": "crop", "squash": "squash", "border": "pad"}


class TimmNetwork(NamedTuple):
    """A network on PyTorch and how its input is normalised.

    module : the network, (n, 3, height, width) float32 to (n, d), in evaluation mode.
    mean, std : of the three channels, for pixels from 0 to 1; maps : the numbers of inner maps that are wanted instead,
    the finest first."""

    module: Any
    mean: tuple[float, ...]
    std: tuple[float, ...]
    maps: tuple[int, ...] = ()


class Loaded(NamedTuple):
    """A network that was loaded.

    digest : of all that determines its output; preprocessing : as timm prepares pictures; files : see `Backbone`."""

    network: TimmNetwork
    digest: str
    preprocessing: Preprocessing
    files: tuple[bytes, ...]


def import_timm() -> ModuleType:
    """Import timm, and with it PyTorch.  Raises MissingExtra, or BackboneError if the two do not work together."""
    # PyTorch's threads would wait for one another by spinning, on the processors that the reading threads need: on two
    # processors, large JPEGs took twice as long.  PyTorch reads this setting when it loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with block_telemetry():
            import timm
    except ImportError as error:
        raise MissingExtra(
            f"a backbone of timm needs PyTorch and timm ({_first_line(error)}); run: pip install 'dn2[torch]'"
        ) from error
    except RuntimeError as error:
        raise BackboneError(
            f"timm does not load ({_first_line(error)}); torch and torchvision must be of one build: install both from "
            "the same index"
        ) from error
    return timm  # type: ignore[no-any-return]


def read_backbone(name: str, held: Sequence[bytes] | None = None) -> Backbone:
    """Load `timm/NAME`, or `timm/NAME:WEIGHTS` with the weights of a safetensors file.

    held : the weights as a saved model holds them, empty for weights that timm has in its cache; nothing is downloaded.

    Raises MissingExtra; BackboneError for an unknown name, for weights that are missing or another network's, and for a
    preprocessing that dn2 lacks."""
    network, digest, preprocessing, files = load(name, held)
    return Backbone(
        name=name,
        digest=digest,
        preprocessing=preprocessing,
        normalize="root-unit" if _averages_a_relu(network.module, preprocessing) else "unit",
        build=partial(TimmNetwork, *network),
        runs_on="torch",
        files=files,
    )


def load(name: str, held: Sequence[bytes] | None = None, **features: Any) -> Loaded:
    """Load a network; see `read_backbone`.  features : of the network, that not all have."""
    timm = import_timm()
    architecture, _, weights = name.removeprefix(TIMM).partition(":")
    _check_name(timm, architecture, with_weights=not weights)
    options: dict[str, Any] = {"pretrained": not weights}
    if held is not None and not weights:
        options["pretrained_cfg_overlay"] = {"file": _find_in_cache(timm, architecture)}
    try:
        module = timm.create_model(architecture, num_classes=0, **options, **features).eval()
    except Exception as error:  # a download fails with nearly anything
        raise BackboneError(
            f"{TIMM}{architecture} cannot be loaded ({_first_line(error)}); timm downloads its weights once and keeps "
            f"them, or give them as a file: {TIMM}{architecture}:weights.safetensors"
        ) from error
    files: tuple[bytes, ...] = ()
    if weights:
        files = (_read_weights(weights, architecture),) if held is None else tuple(held)
        _load_weights(module, files[0], weights, architecture)
    config = timm.data.resolve_model_data_config(module)
    network = TimmNetwork(module, tuple(map(float, config["mean"])), tuple(map(float, config["std"])))
    return Loaded(network, _digest(architecture.split(".")[0], network), _preprocessing(config, architecture), files)


def maps_of(network: TimmNetwork, pictures: Any) -> list[Any]:
    """Return the inner maps of a network: (n, d, height, width) each; those of a transformer are normalised."""
    inner = network.module.forward_intermediates
    kept = {"norm": True} if "norm" in signature(inner).parameters and hasattr(network.module, "blocks") else {}
    maps = inner(pictures, indices=list(network.maps), intermediates_only=True, output_fmt="NCHW", **kept)
    return list(maps)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "").rstrip(".") or type(error).__name__


def _check_name(timm: ModuleType, architecture: str, *, with_weights: bool) -> None:
    """Refuse a name that timm does not know, with the nearest names that it knows."""
    plain, _, tag = architecture.partition(".")
    names = timm.list_models()
    if plain not in names:
        names += timm.list_pretrained()
        nearest = difflib.get_close_matches(architecture, names, n=3) or difflib.get_close_matches(plain, names, n=3)
        raise BackboneError(
            f"timm {timm.__version__} has no network {architecture!r}"
            + (f"; the nearest names are {_names(nearest)}" if nearest else "; timm.list_models() lists them")
        )
    pretrained = timm.list_pretrained(f"{plain}.*")
    if tag and architecture not in pretrained:
        raise BackboneError(f"timm {timm.__version__} has no {architecture!r}; it has {_names(pretrained) or plain}")
    if with_weights and not pretrained:
        raise BackboneError(
            f"timm has no weights for {architecture}; give them as a file: {TIMM}{architecture}:weights.safetensors"
        )


def _names(architectures: list[str]) -> str:
    return ", ".join(TIMM + name for name in architectures)


def _find_in_cache(timm: ModuleType, architecture: str) -> str:
    """Find the weights of a network among those that timm has downloaded.  Raises BackboneError."""
    with block_telemetry():
        from huggingface_hub import try_to_load_from_cache
    repository, _, revision = (getattr(timm.get_pretrained_cfg(architecture), "hf_hub_id", "") or "").partition("@")
    path = None
    for file in WEIGHTS_FILES if repository else ():
        path = path or try_to_load_from_cache(repository, file, revision=revision or None)
    if not isinstance(path, str):
        raise BackboneError(
            f"timm has downloaded no weights of {TIMM}{architecture} here as .safetensors, and a saved model downloads "
            f"nothing by itself; name the network to have it downloaded: {option('backbone', TIMM + architecture)}"
        )
    return path


def _read_weights(path: str, architecture: str) -> bytes:
    if not path.endswith(".safetensors"):
        raise BackboneError(
            f"the weights of {architecture} must be a .safetensors file, got {path!r}; "
            "save them with safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
        )
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BackboneError(f"the weights {path} cannot be read ({error.strerror})") from error


def _load_weights(module: Any, data: bytes, path: str, architecture: str) -> None:
    """Load the bytes of a safetensors file into a network, without the tensors of its classifier.

    Raises BackboneError for a damaged file, and for one that lacks a tensor or holds another network's."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
    except SafetensorError as error:
        raise BackboneError(f"the weights {path} cannot be read ({_first_line(error)})") from error
    classifiers = module.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{head}." for head in ([classifiers] if isinstance(classifiers, str) else classifiers))
    expected = module.state_dict()
    loaded = {name: tensor for name, tensor in tensors.items() if name in expected or not name.startswith(heads)}
    # Counts of training steps, which older files lack, change no output.
    lacking = [name for name in expected if name not in loaded and not name.endswith("num_batches_tracked")]
    foreign = [name for name in loaded if name not in expected]
    if lacking or foreign:
        raise BackboneError(
            f"the weights {path} are not those of {architecture}: of {len(expected)} tensors {len(lacking)} are missing"
            f"{_example(lacking)}, and {len(foreign)} are of another network{_example(foreign)}"
        )
    if misshapen := [name for name, tensor in loaded.items() if tensor.shape != expected[name].shape]:
        raise BackboneError(
            f"the weights {path} are not those of {architecture}: {misshapen[0]} must have the shape "
            f"{tuple(expected[misshapen[0]].shape)}, got {tuple(loaded[misshapen[0]].shape)}"
        )
    module.load_state_dict(loaded, strict=False)


def _example(names: list[str]) -> str:
    return f" ({names[0]}, ...)" if names else ""


def _preprocessing(config: Mapping[str, Any], architecture: str) -> Preprocessing:
    """Say in dn2's terms how timm prepares pictures for a network."""
    channels, height, width = config["input_size"]
    shape, share, interpolation = SHAPES.get(config["crop_mode"]), config["crop_pct"], config["interpolation"]
    fits = channels == 3 and interpolation in INTERPOLATIONS and share <= 1
    if shape is None or not fits or (shape == "pad" and share < 1):
        raise BackboneError(
            f"{TIMM}{architecture} needs pictures prepared in a way that dn2 does not: {channels} channels, "
            f"{config['crop_mode']} with crop_pct {share}, {interpolation}; use another network"
        )
    return Preprocessing(height, width, shape, float(share), interpolation)


def _digest(architecture: str, network: TimmNetwork) -> str:
    """Return SHA-256 over all that determines the output: architecture, normalisation of the input, every weight."""
    import torch

    digest = hashlib.sha256(json.dumps([architecture, network.mean, network.std]).encode())
    for name, tensor in sorted(network.module.state_dict().items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _averages_a_relu(module: Any, preprocessing: Preprocessing) -> bool:
    """Tell whether the features are the mean over space of a ReLU's output, and so never negative.

    Measured on one picture of noise, since the names of networks do not tell."""
    import torch

    relus = [part for part in module.modules() if isinstance(part, (torch.nn.ReLU, torch.nn.ReLU6))]
    if not relus:
        return False
    last: list[Any] = []

    def keep(_part: Any, _given: Any, output: Any) -> None:
        last[:] = [output.clone()]

    hooks = [part.register_forward_hook(keep) for part in relus]
    noise = torch.rand(1, 3, preprocessing.height, preprocessing.width, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            features = module(noise)
    finally:
        for hook in hooks:
            hook.remove()
    if not last or last[0].ndim != 4:
        return False
    means = last[0].mean(dim=(2, 3))
    return bool(means.shape == features.shape and torch.allclose(features, means))

"""A timm network as an ONNX file, which OpenVINO runs without PyTorch."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path

from dn2.errors import BackboneError, InputError, MissingExtra
from dn2.networks.backbone import TIMM, Backbone
from dn2.networks.golden import TOLERANCE, embed_pictures, largest_error, make_pictures
from dn2.networks.opening import open_network
from dn2.networks.registry import get_backbone


def export_onnx(backbone: str, path: str | os.PathLike[str]) -> float:
    """Write a backbone of timm as an ONNX file with, beside it, the JSON file that says how to feed it.

    Parameters
    ----------
    backbone : str
        `timm/NAME` or `timm/NAME:WEIGHTS`.
    path : str or path
        The file to write, `.onnx`; one that is there is replaced.

    Returns
    -------
    float
        The largest relative L2 difference between PyTorch's embeddings and OpenVINO's, both in f32, over four pictures;
        nothing is written where it exceeds 1e-3.

    Raises
    ------
    InputError
        For a path that cannot be written.
    BackboneError, MissingExtra
        For a backbone that is unknown or not installed.
    """
    target = Path(path)
    if target.suffix != ".onnx":
        raise InputError(f"the network must be written to a file that ends in .onnx, got {str(target)!r}")
    recipe = target.with_suffix(".json")
    if recipe.exists() and not target.exists():
        raise InputError(f"{recipe} would be replaced, and describes no {target.name}; give the network another name")
    if not backbone.startswith(TIMM):
        raise BackboneError(f"only a backbone {TIMM}NAME can be exported, got {backbone!r}")
    spec = get_backbone(backbone)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise InputError(f"{target} cannot be written: {reason.strerror}") from reason
    with tempfile.TemporaryDirectory(prefix=f".{target.stem}-", dir=target.parent) as folder:
        made = Path(folder) / "network.onnx"
        _write_network(spec, made)
        made.with_suffix(".json").write_text(json.dumps(_recipe(spec), indent=1) + "\n", encoding="utf-8")
        error = _difference(spec, made)
        if not error <= TOLERANCE["f32"]:
            raise BackboneError(
                f"OpenVINO embeds with the exported {backbone} otherwise than PyTorch: a relative difference of "
                f"{error:.2g}, at most {TOLERANCE['f32']:g} is accepted; nothing was written"
            )
        recipe.unlink(missing_ok=True)  # so that no one reads a new network with an old recipe
        os.replace(made, target)
        os.replace(made.with_suffix(".json"), recipe)
    return error


def _write_network(spec: Backbone, path: Path) -> None:
    import torch

    try:
        import onnxscript  # noqa: F401  what PyTorch's exporter needs
    except ImportError as error:
        raise MissingExtra("export needs onnx and onnxscript; run: pip install 'dn2[torch]'") from error
    picture = torch.zeros(1, 3, spec.preprocessing.height, spec.preprocessing.width)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            torch.onnx.export(
                spec.build().module,
                (picture,),
                path,
                input_names=["picture"],
                output_names=["embedding"],
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # it raises nearly anything for what ONNX cannot express
        raise BackboneError(f"{spec.name} cannot be exported to ONNX: {error!r:.300}") from error


def _recipe(spec: Backbone) -> dict[str, object]:
    preprocessing, network = spec.preprocessing, spec.build()
    return {
        "size": [preprocessing.height, preprocessing.width],
        "mean": list(network.mean),
        "std": list(network.std),
        "shape": preprocessing.shape,
        "crop_share": preprocessing.crop_share,
        "interpolation": preprocessing.interpolation,
        "normalize": spec.normalize,
    }


def _difference(spec: Backbone, path: Path) -> float:
    pictures = make_pictures()
    exported = embed_pictures(open_network(get_backbone(str(path)), "f32"), pictures)
    return largest_error(exported, embed_pictures(open_network(spec, "f32"), pictures))

"""Tiny networks of timm's with random weights, and what importing timm takes beside a CPU build of PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

# PyPI's torchvision does not find its compiled operators beside a CPU build of PyTorch, and timm imports it for its
# transforms.  No network here uses an operator: their names are enough.
_operators = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402


def make(architecture: str, seed: int = 0, **options: Any) -> torch.nn.Module:
    """Make a network whose weights are random and large enough that every layer matters, unlike timm's own start."""
    generator = torch.Generator().manual_seed(seed)
    network = timm.create_model(architecture, **options).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "norm.weight")) or (tensor.ndim == 1 and name.endswith(".weight")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point():
            scale = 0.1 if tensor.ndim <= 1 else (tensor.numel() / len(tensor)) ** -0.5
            tensor.copy_(scale * torch.randn(tensor.shape, generator=generator))
    return network


def save(network: torch.nn.Module, path: Path, **changes: torch.Tensor) -> Path:
    """Save a network's tensors as safetensors, with some changed."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in (network.state_dict() | changes).items()}, path)
    return path


def transform(network: torch.nn.Module, **options: Any) -> Any:
    """Return timm's own transform for a network."""
    return timm.data.create_transform(**timm.data.resolve_model_data_config(network), is_training=False, **options)


def embed(network: torch.nn.Module, pictures: list[Any]) -> np.ndarray[Any, Any]:
    """Embed pictures one by one as timm's documentation does."""
    prepare = transform(network)
    with torch.inference_mode():
        return np.concatenate([network(prepare(picture.convert("RGB"))[None]).numpy() for picture in pictures])

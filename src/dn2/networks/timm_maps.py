"""Patches of any network of timm's that gives its inner maps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dn2.errors import BackboneError
from dn2.networks import timm as timm_backbone
from dn2.networks.backbone import Backbone
from dn2.networks.maps import AVERAGED, area_of
from dn2.networks.timm import Loaded, TimmNetwork

STRIDES = (8, 16, 32)  # pixels from one patch to the next
MOST_BLOCKS = 3  # of a transformer whose patches are all of one size: of the last third of its blocks


def read_map_backbone(name: str, resolution: int | None, held: Sequence[bytes] | None = None) -> Backbone:
    """Load `timm/NAME`, see `dn2.networks.timm.read_backbone`, with its maps of strides 8, 16 and 32, or those of the
    last third of the blocks of a transformer whose patches are all of one size.

    A network that takes pictures of any size is given them at the resolution; another sees whole pictures, squashed.
    Raises BackboneError for a network without such maps."""
    loaded = _load(name, held)
    module = loaded.network.module
    levels = _levels(module)
    if not levels or not hasattr(module, "forward_intermediates"):
        strides = ", ".join(map(str, STRIDES))
        raise BackboneError(
            f"{name} has no maps of strides {strides}, nor blocks of patches, that timm gives; take another network, "
            "such as timm/resnet18.a1_in1k"
        )
    network = loaded.network._replace(maps=tuple(levels))
    plain = loaded.preprocessing
    multiple = math.lcm(*levels.values())
    height, width = (multiple * -(-64 // multiple), multiple * -(-96 // multiple))
    if _takes(network, height, width):
        preprocessing = area_of(resolution, multiple, plain.interpolation)
    else:
        preprocessing = replace(plain, shape="squash", crop_share=1.0)
        if not _takes(network, plain.height, plain.width):
            raise BackboneError(f"{name} does not give its maps as (n, d, height, width); take another network")
    return Backbone(
        name=name,
        digest=hashlib.sha256(f"{loaded.digest} maps {list(levels)} {AVERAGED}".encode()).hexdigest(),
        preprocessing=preprocessing,
        normalize="none",
        build=partial(TimmNetwork, *network),
        runs_on="torch",
        files=loaded.files,
    )


def _load(name: str, held: Sequence[bytes] | None) -> Loaded:
    """Load a network, a transformer so that it takes pictures of any size if it can."""
    try:
        return timm_backbone.load(name, held, dynamic_img_size=True)
    except BackboneError:
        return timm_backbone.load(name, held)


def _levels(module: Any) -> dict[int, int]:
    """Choose maps of a network by number, the finest first, and say their strides."""
    strides = [round(one["reduction"]) for one in getattr(module, "feature_info", None) or ()]
    if len(strides) > 1 and len(set(strides)) == 1:
        count = len(strides)
        last = np.linspace(count - max(1, count // 3), count - 1, min(MOST_BLOCKS, max(1, count // 3)))
        return {int(number): strides[0] for number in np.unique(last.round())}
    numbers = {stride: number for number, stride in enumerate(strides)}  # the last of each stride
    return {numbers[stride]: stride for stride in STRIDES if stride in numbers}


def _takes(network: TimmNetwork, height: int, width: int) -> bool:
    """Tell whether a network gives maps of a picture of some size."""
    import torch

    try:
        with torch.inference_mode():
            maps = timm_backbone.maps_of(network, torch.zeros(1, 3, height, width))
    except Exception:  # of more than a thousand networks, many take only pictures of one size
        return False
    strides = _levels(network.module).values()
    expected = [(height // stride, width // stride) for stride in strides]
    return [tuple(one.shape[2:]) for one in maps] == expected

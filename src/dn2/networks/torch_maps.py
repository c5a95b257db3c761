"""Networks on PyTorch whose inner maps are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dn2.arrays import Array, Pixels
from dn2.networks.backbone import Backbone
from dn2.networks.maps import AVERAGED, LARGEST_NUMBER, AnyMapNetwork
from dn2.networks.timm import TimmNetwork, maps_of
from dn2.networks.torch import Batches


class TorchMapNetwork(AnyMapNetwork):
    """A network of timm's; precision : see `dn2.networks.torch.Batches`."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        self.backbone = backbone
        self._batches = _MapBatches(backbone, precision)
        self.precision = self._batches.precision
        self._measure()

    def _start_tile(self, pixels: Pixels, receive: Callable[[Sequence[Array]], None]) -> None:
        self._batches.start(pixels, receive)

    def wait(self) -> None:
        """See `AnyMapNetwork`."""
        self._batches.wait()


class _MapBatches(Batches):
    def _compute(self, network: TimmNetwork, pictures: Any) -> Sequence[Any]:
        from torch.nn.functional import avg_pool2d

        levels = (avg_pool2d(one.float(), AVERAGED, 1, AVERAGED // 2) for one in maps_of(network, pictures))
        laid = (one.clamp(-LARGEST_NUMBER, LARGEST_NUMBER).permute(0, 2, 3, 1).half().cpu().numpy() for one in levels)
        return [[level.copy() for level in maps] for maps in zip(*laid, strict=True)]

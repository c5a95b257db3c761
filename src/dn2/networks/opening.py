"""A backbone made ready for this machine."""

from __future__ import annotations

from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.networks.maps import AnyMapNetwork, MapNetwork
from dn2.networks.openvino import Network


def open_network(backbone: Backbone, precision: str = "auto") -> AnyNetwork:
    """Make a backbone ready for this machine, with what runs it.  Raises BackboneError."""
    if backbone.runs_on == "torch":
        from dn2.networks.torch import TorchNetwork

        return TorchNetwork(backbone, precision)
    return Network(backbone, precision)


def open_map_network(backbone: Backbone, precision: str = "auto") -> AnyMapNetwork:
    """Make a backbone whose maps are wanted ready for this machine.  Raises BackboneError."""
    if backbone.runs_on == "torch":
        from dn2.networks.torch_maps import TorchMapNetwork

        return TorchMapNetwork(backbone, precision)
    return MapNetwork(backbone, precision)

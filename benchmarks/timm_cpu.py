"""What export is worth on a CPU: timm's networks on PyTorch, and the same exported to ONNX on OpenVINO, side by side.

Run: pip install -e '.[torch]' && python benchmarks/timm_cpu.py

Weights are random: only time is measured, and how far the embeddings are apart.  PyTorch runs in f32, OpenVINO in f32
and in what it takes by itself.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else PyTorch's threads spin while others work on the same cores

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import dn2
from common import Report, begin, from_tests, seconds
from dn2.networks.backbone import AnyNetwork
from dn2.networks.opening import open_network
from dn2.networks.registry import get_backbone


@dataclass(frozen=True)
class Sizes:
    """Which networks embed how many pictures, how often."""

    networks: tuple[str, ...] = ("resnet101.tv_in1k", "vit_small_patch16_224.augreg_in1k")
    pictures: int = 32
    rounds: int = 3


def rate(network: AnyNetwork, pictures: list[np.ndarray]) -> float:
    """Embed once; return pictures a second."""
    return len(pictures) / seconds(lambda: network.embed(pictures))


def compare(report: Report, sizes: Sizes, architecture: str, folder: Path) -> None:
    """Measure one network in interleaved rounds."""
    small_timm = from_tests("small_timm")
    weights = small_timm.save(small_timm.make(architecture), folder / f"{architecture}.safetensors")
    name = f"timm/{architecture}:{weights}"
    error = dn2.export_onnx(name, folder / f"{architecture}.onnx")
    exported = get_backbone(str(folder / f"{architecture}.onnx"))
    torch_network, fast = open_network(get_backbone(name), "f32"), open_network(exported)
    networks = {
        "PyTorch f32": torch_network,
        "OpenVINO f32": open_network(exported, "f32"),
        f"OpenVINO auto ({fast.precision})": fast,
    }
    size = exported.preprocessing
    pictures = list(np.random.default_rng(0).integers(0, 256, (sizes.pictures, size.height, size.width, 3), np.uint8))
    rates: dict[str, list[float]] = {what: [] for what in networks}
    for _ in range(sizes.rounds + 1):
        for what, network in networks.items():
            rates[what].append(rate(network, pictures))
    middle = {what: statistics.median(values[1:]) for what, values in rates.items()}
    report.say(f"\n{architecture}, {size.height} x {size.width}, exported with a relative difference of {error:.1e}:")
    for what, value in middle.items():
        report.say(f"  {what:<22} {value:7.1f} pictures a second   {value / middle['PyTorch f32']:5.1f}x")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all networks."""
    run = begin(__doc__, arguments, Sizes(), Sizes(networks=("test_resnet",), pictures=2, rounds=1))
    sizes, report = run.sizes, run.report("timm_cpu")
    from_tests("small_timm")
    report.say(f"torch {version('torch')}, timm {version('timm')}; median of {sizes.rounds} interleaved rounds")
    with tempfile.TemporaryDirectory() as folder:
        for architecture in sizes.networks:
            compare(report, sizes, architecture, Path(folder))
    report.save()


if __name__ == "__main__":
    main()

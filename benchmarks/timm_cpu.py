"""What export is worth on a CPU: timm's networks on PyTorch, and the same exported to ONNX on OpenVINO, side by side.

Run: pip install -e '.[torch]' && python benchmarks/timm_cpu.py

Weights are random: only time is measured, and how far the embeddings are apart.  PyTorch runs in f32, OpenVINO in f32
and in what it takes by itself.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else PyTorch's threads spin while others work on the same cores
sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np

import dn2
import small_timm
from common import Report
from dn2.embed.network import AnyNetwork, open_network
from dn2.embed.registry import get_backbone

NETWORKS = ("resnet101.tv_in1k", "vit_small_patch16_224.augreg_in1k")
PICTURES, ROUNDS = 32, 3


def rate(network: AnyNetwork, pictures: list[np.ndarray]) -> float:
    """Embed once; return pictures a second."""
    start = time.perf_counter()
    network.embed(pictures)
    return len(pictures) / (time.perf_counter() - start)


def compare(report: Report, architecture: str, folder: Path) -> None:
    """Measure one network in interleaved rounds."""
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
    pictures = list(np.random.default_rng(0).integers(0, 256, (PICTURES, size.height, size.width, 3), np.uint8))
    rates: dict[str, list[float]] = {what: [] for what in networks}
    for _ in range(ROUNDS + 1):
        for what, network in networks.items():
            rates[what].append(rate(network, pictures))
    middle = {what: statistics.median(values[1:]) for what, values in rates.items()}
    report.say(f"\n{architecture}, {size.height} x {size.width}, exported with a relative difference of {error:.1e}:")
    for what, value in middle.items():
        report.say(f"  {what:<22} {value:7.1f} pictures a second   {value / middle['PyTorch f32']:5.1f}x")


def main() -> None:
    """Measure all networks."""
    report = Report("timm_cpu")
    report.say(f"torch {version('torch')}, timm {version('timm')}; median of {ROUNDS} interleaved rounds")
    with tempfile.TemporaryDirectory() as folder:
        for architecture in NETWORKS:
            compare(report, architecture, Path(folder))
    report.save()


if __name__ == "__main__":
    main()

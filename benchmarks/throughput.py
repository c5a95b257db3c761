"""How near end-to-end embedding comes to what the two cores could do at best, and what PyTorch does beside it.

Run: python benchmarks/throughput.py  (PyTorch and timm are compared where installed: pip install timm torch==2.13.0)

Decoding and inference share the cores, so the ideal rate is 1 / (1 / decode-only + 1 / engine-only), each alone on
all cores, the engine on ready-made tensors of the same precision.  Every figure is the median of interleaved rounds.
"""

from __future__ import annotations

import io
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from common import CIFAR10, Report, begin, from_tests, seconds
from dn2 import Cache, ImageEmbedder
from dn2.networks.openvino import Network
from dn2.networks.pixels import read_pixels
from dn2.system.processes import cpu_count


@dataclass(frozen=True)
class Sizes:
    """How much is measured: rounds, pictures of CIFAR-10, large photographs, ready-made tensors, those compared, and
    timm's networks."""

    backbone: str = "lite0"
    rounds: int = 3
    pictures: int = 5_000
    photographs: int = 500
    tensors: int = 400
    compared: int = 64
    rivals: tuple[str, ...] = ("tf_efficientnet_lite0", "resnet101")


SMALLEST = Sizes(
    backbone="lite0@32", rounds=1, pictures=20, photographs=2, tensors=4, compared=4, rivals=("test_resnet",)
)


def rate(count: int, work: Callable[[], object]) -> float:
    """Run once; return things a second."""
    return count / seconds(work)


def decode_all(paths: list[Path], embedder: ImageEmbedder) -> None:
    """Read and resize every picture on all cores, keeping none."""
    with ThreadPoolExecutor(cpu_count()) as pool:
        for _ in pool.map(lambda path: read_pixels(path, embedder.specs[0].preprocessing).shape, paths):
            pass


def end_to_end(report: Report, sizes: Sizes, what: str, paths: list[Path]) -> None:
    """Measure one kind of picture: decode-only, engine-only, both, and from a warm cache."""
    got: dict[str, list[float]] = defaultdict(list)
    warm_up = ImageEmbedder(sizes.backbone)
    warm_up.transform(paths[:50])
    tensors = [read_pixels(path, warm_up.specs[0].preprocessing) for path in paths[: sizes.tensors]]
    repeats = max(1, len(paths) // len(tensors))
    for _ in range(sizes.rounds):
        with tempfile.TemporaryDirectory() as folder:
            embedder = ImageEmbedder(sizes.backbone, cache=Cache(Path(folder) / "cache.sqlite"))
            embedder.networks[0].embed(tensors[:20])
            got["decode"].append(rate(len(paths), partial(decode_all, paths, embedder)))
            got["engine"].append(rate(repeats * len(tensors), partial(infer, embedder.networks[0], tensors, repeats)))
            got["cold"].append(rate(len(paths), partial(embedder.transform, paths)))
            got["warm"].append(rate(len(paths), partial(embedder.transform, paths)))
            got["ideal"].append(1 / (1 / got["decode"][-1] + 1 / got["engine"][-1]))
            got["share"].append(got["cold"][-1] / got["ideal"][-1])
            got["cost"].append(got["engine"][-1] / got["decode"][-1])
    middle = {name: statistics.median(values) for name, values in got.items()}
    report.say(
        f"\n{len(paths):,} {what}, {sizes.backbone} {warm_up.networks[0].precision}, median of {sizes.rounds} rounds, "
        "pictures a second:\n"
        f"  reading and resizing alone   {middle['decode']:8.0f}   ({middle['cost']:.2f} of the engine's time)\n"
        f"  engine alone                 {middle['engine']:8.0f}\n"
        f"  ideal for both               {middle['ideal']:8.0f}\n"
        f"  end to end, cold cache       {middle['cold']:8.0f}   ({middle['share']:.3f} of the ideal; rounds: "
        f"{', '.join(f'{share:.3f}' for share in got['share'])})\n"
        f"  end to end, warm cache       {middle['warm']:8.0f}   ({len(paths) / middle['warm']:.2f} s in all)"
    )


def infer(network: Network, tensors: list[np.ndarray], repeats: int) -> None:
    """Run the engine alone."""
    for _ in range(repeats):
        network.embed(tensors)


def large_jpegs(folder: Path, count: int) -> list[Path]:
    """Write JPEGs of 1920 x 1080: random crops of scikit-learn's two photographs, enlarged."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    photographs = load_sample_images().images
    paths = []
    for number in range(count):
        photograph = photographs[number % 2]
        height = int(rng.integers(180, 360))
        width = height * 16 // 9
        top = int(rng.integers(0, photograph.shape[0] - height + 1))
        left = int(rng.integers(0, photograph.shape[1] - width + 1))
        crop = Image.fromarray(photograph[top : top + height, left : left + width])
        buffer = io.BytesIO()
        crop.resize((1920, 1080), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        paths.append(folder / f"{number:03d}.jpg")
        paths[-1].write_bytes(buffer.getvalue())
    return paths


def engines(report: Report, sizes: Sizes) -> None:
    """Compare engines on ready-made tensors of 224 x 224."""
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (224, 224, 3), np.uint8) for _ in range(sizes.compared)]
    embedder = ImageEmbedder()
    f32 = ImageEmbedder(precision="f32").networks[0]
    runs: dict[str, Callable[[], object]] = {
        f"dn2 lite0 {embedder.networks[0].precision}": lambda: embedder.networks[0].embed(pixels),
        "dn2 lite0 f32": lambda: f32.embed(pixels),
    }
    runs |= torch_networks(sizes.rivals, pixels)
    got: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(sizes.rounds + 1):
        for name, work in runs.items():
            got[name].append(rate(len(pixels), work))
    middle = {name: statistics.median(values[1:]) for name, values in got.items()}
    first, second, *_ = middle
    report.say(
        f"\nEngines on ready-made tensors of 224 x 224, median of {sizes.rounds} interleaved rounds, pictures a second:"
    )
    for name, value in middle.items():
        times = f"{middle[first] / value:5.1f}x slower than the first, {middle[second] / value:5.1f}x than the second"
        report.say(f"  {name:<44} {value:8.1f}   {times}")


def torch_networks(names: Sequence[str], pixels: list[np.ndarray]) -> dict[str, Callable[[], object]]:
    """Return timm's networks in PyTorch eager, batches of 16, where both are installed."""
    try:
        import torch

        timm = from_tests("small_timm").timm
    except ImportError:
        return {}
    torch.set_num_threads(cpu_count())
    batch = torch.from_numpy(np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    networks = {name: timm.create_model(name, num_classes=0).eval() for name in names}
    return {f"timm {name}, PyTorch eager": partial(run_torch, network, batch) for name, network in networks.items()}


def run_torch(network: object, batch: object) -> None:
    """Embed a stack of tensors in batches of 16."""
    import torch

    with torch.inference_mode():
        for part in batch.split(16):  # type: ignore[attr-defined]
            network(part)  # type: ignore[operator]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("throughput")
    with run.unpacked(CIFAR10) as folder:
        paths = sorted((folder / "test").rglob("*.png"))[::2][: sizes.pictures]
        end_to_end(report, sizes, "CIFAR-10 PNGs of 32 x 32", paths)
    with tempfile.TemporaryDirectory() as folder:
        end_to_end(report, sizes, "JPEGs of 1920 x 1080", large_jpegs(Path(folder), sizes.photographs))
    engines(report, sizes)
    report.save()


if __name__ == "__main__":
    main()

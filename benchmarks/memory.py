"""Peak memory while embedding 100,000 files: flat but for the embeddings themselves.

Run: python benchmarks/memory.py [--files 100000]

The files are CIFAR-10's pictures, repeated, each made a different file by bytes after its end; the cache starts cold.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
from pathlib import Path

from common import Report, unpacked
from dn2 import Cache
from dn2.embedding import embed_inputs

STEP = 5_000


def main() -> None:
    """Print the peak of resident memory every 5,000 files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    report = Report("memory")
    report.say(f"{count:,} PNGs, lite0, cold cache; MiB")
    report.say("   files   peak resident   embeddings so far   difference")
    with unpacked("cifar10/cifar10_png_35k.zip") as pictures, tempfile.TemporaryDirectory() as folder:
        write_files(sorted(pictures.rglob("*.png")), Path(folder, "files"), count)
        differences = []

        def watch(done: int, _: int) -> None:
            if done % STEP == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                size = done * 1280 * 4 / 2**20
                differences.append(peak - size)
                report.say(f"  {done:>6,}{peak:16.0f}{size:20.0f}{peak - size:13.0f}")

        embed_inputs(Path(folder, "files"), cache=Cache(Path(folder, "cache.sqlite")), progress=watch)
    growth = max(differences) - differences[0]
    each = growth / count * 2**20
    report.say(f"growth of the difference after the first {STEP:,}: {growth:.0f} MiB ({each:.0f} bytes a file)")
    report.save()


def write_files(pictures: list[Path], folder: Path, count: int) -> None:
    """Write `count` files of different content, 1,000 to a folder."""
    for number, picture in zip(range(count), itertools.cycle(pictures), strict=False):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.read_bytes() + number.to_bytes(4, "big"))


if __name__ == "__main__":
    main()

"""Peak memory while embedding 100,000 files: flat but for the embeddings themselves.

Run: python benchmarks/memory.py [--files 100000]

The files are CIFAR-10's pictures, repeated, each made a different file by bytes after its end; the cache starts cold.
"""

from __future__ import annotations

import itertools
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import CIFAR10, begin
from dn2 import Cache
from dn2.model.embedding import embed


@dataclass(frozen=True)
class Sizes:
    """How much is measured: files, and after how many of them."""

    backbone: str = "lite0"
    files: int = 100_000
    step: int = 5_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the peak of resident memory every 5,000 files."""
    run = begin(__doc__, arguments, Sizes(), Sizes(backbone="lite0@32", files=40, step=10))
    sizes, report = run.sizes, run.report("memory")
    count, step = sizes.files, sizes.step
    report.say(f"{count:,} PNGs, {sizes.backbone}, cold cache; MiB")
    report.say("   files   peak resident   embeddings so far   difference")
    with run.unpacked(CIFAR10) as pictures, tempfile.TemporaryDirectory() as folder:
        write_files(sorted(pictures.rglob("*.png")), Path(folder, "files"), count)
        differences = []

        def watch(done: int, _: int) -> None:
            if done % step == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                size = done * 1280 * 4 / 2**20
                differences.append(peak - size)
                report.say(f"  {done:>6,}{peak:16.0f}{size:20.0f}{peak - size:13.0f}")

        cache = Cache(Path(folder, "cache.sqlite"))
        embed(Path(folder, "files"), "image", cache, watch, {"backbone": sizes.backbone})
    growth = max(differences) - differences[0]
    each = growth / count * 2**20
    report.say(f"growth of the difference after the first {step:,}: {growth:.0f} MiB ({each:.0f} bytes a file)")
    report.save()


def write_files(pictures: list[Path], folder: Path, count: int) -> None:
    """Write `count` files of different content, 1,000 to a folder."""
    for number, picture in zip(range(count), itertools.cycle(pictures), strict=False):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.read_bytes() + number.to_bytes(4, "big"))


if __name__ == "__main__":
    main()

"""What dn2 costs as a service: the model's folder, the start, one decision, memory, threads; and the size of an image.

Run: python benchmarks/deploy.py [--images NAME ...]     images of containers that podman has here

Pictures are JPEG files of 1920 x 1080: crops of scikit-learn's photographs, enlarged, with noise of their own.  Each
figure is of a fresh process that loads the model and decides pictures one by one, each from the bytes of its file, also
within the quota of one processor, as a container or a service gives it.  For the quota the benchmark makes a control
group, and so has to run as root; where it cannot, it leaves those lines out.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import dn2
from common import Report, begin, seconds
from install import size_of
from score_one import make_frames

DECIDE = """
import json, os, sys, time
start = time.perf_counter()
model, folder, group = sys.argv[1:]
if group:
    open(os.path.join(group, "cgroup.procs"), "w").write(str(os.getpid()))
from pathlib import Path
import dn2
model = dn2.load(model, cache=False)
loaded = time.perf_counter() - start
pictures = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
model.score_one(pictures[0])
first = time.perf_counter() - start - loaded
taken = []
for picture in pictures[1:]:
    begun = time.perf_counter()
    model.score_one(picture)
    taken.append(time.perf_counter() - begun)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([loaded, first, taken, int(status["VmHWM"].split()[0]) / 1024, int(status["Threads"])]))
"""


@dataclass(frozen=True)
class Sizes:
    """How many reference pictures each model has, how many are decided, and of which size; and the network.

    reference, patch_reference : of whole pictures, and with patches; rounds : processes for each figure."""

    reference: int = 1_000
    patch_reference: int = 200
    decided: int = 60
    width: int = 1_920
    height: int = 1_080
    rounds: int = 3
    backbone: str = "lite0"


SMALLEST = Sizes(reference=12, patch_reference=0, decided=3, width=64, height=48, rounds=1, backbone="lite0@32")


def write_pictures(folder: Path, count: int, sizes: Sizes, seed: int) -> Path:
    """Write pictures, a few in memory at a time."""
    folder.mkdir()
    for number in range(count):
        (frame,) = make_frames(1, (sizes.width, sizes.height), seed + number)
        Image.fromarray(frame).save(folder / f"{number:05}.jpg", quality=90)
    return folder


@contextlib.contextmanager
def group_of(processors: int) -> Iterator[str]:
    """Make a control group with a quota, and give its folder; an empty name where that cannot be."""
    old, new = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    group = (old if old.exists() else new) / "dn2-benchmark"
    try:
        group.mkdir()
    except OSError:
        yield ""
        return
    try:
        if old.exists():
            (group / "cpu.cfs_quota_us").write_text(str(processors * 100_000))
        else:
            (group / "cpu.max").write_text(f"{processors * 100_000} 100000")
        yield str(group)
    finally:
        group.rmdir()


def measure(report: Report, model: Path, pictures: Path, rounds: int, groups: dict[str, str]) -> None:
    """Load a model and decide pictures, in some processes for each control group in turn, and say the medians."""
    runs: dict[str, list[tuple[float, float, list[float], float, int]]] = {name: [] for name in groups}
    for _ in range(rounds):
        for name, group in groups.items():
            command = [sys.executable, "-c", DECIDE, str(model), str(pictures), group]
            runs[name].append(json.loads(subprocess.check_output(command)))
    for name, of_group in runs.items():
        loaded, first, _, memory, threads = (np.median(np.hstack(figures)) for figures in zip(*of_group, strict=True))
        low, middle, high = 1e3 * np.percentile(np.hstack([run[2] for run in of_group]), [5, 50, 95])
        report.say(
            f"  {name:25} start to loaded {loaded:.2f} s, first decision {1e3 * first:.0f} ms, then {middle:.1f} ms "
            f"({low:.1f} to {high:.1f}), {memory:.0f} MiB, {threads:.0f} threads"
        )


def measure_model(report: Report, name: str, reference: Path, pictures: Path, sizes: Sizes, patches: bool) -> None:
    """Fit and save a model, and measure it with and without a quota."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "parts.dn2")
        taken = seconds(lambda: dn2.fit(reference, backbone=sizes.backbone, patches=patches, cache=False).save(model))
        count, size = len(list(reference.iterdir())), size_of(model) / 1e6
        report.say(f"{name}, {count:,} reference pictures: fit and save {taken:.0f} s, the folder {size:.1f} MB")
        with group_of(1) as group:
            groups = {"all processors": "", "a quota of one processor": group}
            if report.smallest or not group:
                del groups["a quota of one processor"]
            measure(report, model, pictures, sizes.rounds, groups)


def measure_images(report: Report, names: Sequence[str]) -> None:
    """Say how large images of containers are."""
    for name in names:
        inspect = ["podman", "image", "inspect", "--format", "{{.Size}}", name]
        report.say(f"image {name}: {int(subprocess.check_output(inspect)) / 1e6:.0f} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure whole pictures, pictures with patches, and images where some are named."""
    flags = {"--images": {"nargs": "+", "default": [], "help": "images of containers that podman has here"}}
    run = begin(__doc__, arguments, Sizes(), SMALLEST, flags)
    report, sizes = run.report("deploy"), run.sizes
    with tempfile.TemporaryDirectory() as folder:
        reference = write_pictures(Path(folder, "reference"), sizes.reference, sizes, 1_000)
        pictures = write_pictures(Path(folder, "pictures"), sizes.decided, sizes, 100_000)
        report.say(
            f"pictures: JPEG of {sizes.width} x {sizes.height}, {size_of(pictures) / sizes.decided / 1e3:.0f} kB"
        )
        measure_model(report, sizes.backbone, reference, pictures, sizes, False)
        report.save()
        for path in sorted(reference.iterdir())[sizes.patch_reference :]:
            os.remove(path)
        if sizes.patch_reference:
            measure_model(report, f"{sizes.backbone} with patches", reference, pictures, sizes, True)
    measure_images(report, run.options.images)
    report.save()


if __name__ == "__main__":
    main()

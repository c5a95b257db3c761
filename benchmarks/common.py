"""What the benchmarks share: where the data lies, what the machine is, how a result is kept."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from dn2 import ImageEmbedder
from dn2.embed.network import cpu_count

DATA = Path(os.environ.get("DN2_DATA", Path(__file__).parents[2] / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"


def need(name: str) -> Path:
    """Return a data file, or end the benchmark saying that it is absent."""
    path = DATA / name
    if not path.exists():
        sys.exit(f"{path} is absent; set DN2_DATA to the folder that holds {name}")
    return path


@contextlib.contextmanager
def unpacked(name: str) -> Iterator[Path]:
    """Unpack a zip of the data into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(need(name)) as archive:
        archive.extractall(folder)
        yield Path(folder)


def machine() -> str:
    """Name the processor, its cores, what it computes in, and the versions that matter."""
    name = platform.processor()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    precision = ImageEmbedder().networks[0].precision
    packages = ", ".join(f"{package} {version(package)}" for package in ("openvino", "faiss-cpu", "pillow", "numpy"))
    return f"{name}, {cpu_count()} cores, {precision}, Python {platform.python_version()}, {packages}"


class Report:
    """Prints lines, and keeps them as the benchmark's committed result."""

    def __init__(self, name: str) -> None:
        self.path = RESULTS / f"{name}.txt"
        self.lines: list[str] = []
        self.say(f"{name}: {machine()}")

    def say(self, line: str = "") -> None:
        """Print a line and keep it."""
        print(line, flush=True)
        self.lines.append(line)

    def save(self) -> None:
        """Write what was said to `benchmarks/results`."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text("\n".join(self.lines) + "\n")

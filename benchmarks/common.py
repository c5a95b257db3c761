"""What the benchmarks share: their options, where the data lies, what the machine is, how a result is kept.

Each benchmark has a `main(arguments)` and a smallest run, `--smallest`: the same code on few, made data, in a second or
two.  The test suite runs it, so that no benchmark breaks unnoticed; its figures mean nothing and are not kept.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import os
import platform
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Generic, TypeVar

import made_data
from dn2 import ImageEmbedder
from dn2.system.processes import cpu_count

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DN2_DATA", ROOT.parent / "shared" / "data"))
RESULTS = ROOT / "benchmarks" / "results"
CIFAR10 = "cifar10/cifar10_png_35k.zip"

Sizes = TypeVar("Sizes")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Fixed:
    """The sizes of a benchmark that has none."""


@dataclass(frozen=True)
class Backbones:
    """The sizes of a benchmark that compares networks."""

    backbones: tuple[str, ...] = ("lite0", "lite1", "lite2")


NOTHING: Any = Fixed()
SMALL_BACKBONES = Backbones(("lite0@32",))


class Missing(SystemExit):
    """Ends a benchmark that needs what this machine does not have, with a message."""


class Report:
    """Prints lines, and keeps them as the benchmark's committed result."""

    def __init__(self, name: str, folder: Path | None, *, smallest: bool = False) -> None:
        self.path = None if folder is None else folder / f"{name}.txt"
        self.smallest = smallest
        self.lines: list[str] = []
        self.say(f"{name}: {machine()}")

    def say(self, line: str = "") -> None:
        """Print a line and keep it."""
        print(line, flush=True)
        self.lines.append(line)

    def claim(self, holds: Any, otherwise: str) -> None:
        """Raise AssertionError if what a benchmark is to show does not hold; a smallest run shows nothing."""
        if not (holds or self.smallest):
            raise AssertionError(otherwise)

    def save(self) -> None:
        """Write what was said to the folder of results, if there is one."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("\n".join(self.lines) + "\n")


@dataclass(frozen=True)
class Run(Generic[Sizes]):
    """How a benchmark was asked to run.

    sizes : how much it measures.  options : its other flags.  output : the folder of its result, None for none."""

    sizes: Sizes
    options: argparse.Namespace
    smallest: bool
    output: Path | None

    def report(self, name: str) -> Report:
        """Begin a result."""
        return Report(name, self.output, smallest=self.smallest)

    def need(self, name: str) -> Path:
        """Return a file or folder of the data, a made one in a smallest run.  Raises Missing."""
        if self.smallest:
            return made_data.make(name)
        path = DATA / name
        if not path.exists():
            raise Missing(f"{path} is absent; set DN2_DATA to the folder that holds {name}")
        return path

    @contextlib.contextmanager
    def unpacked(self, name: str) -> Iterator[Path]:
        """Unpack a zip of the data into a temporary folder.  Raises Missing."""
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(self.need(name)) as archive:
            archive.extractall(folder)
            yield Path(folder)


def begin(
    description: str,
    arguments: Sequence[str] | None,
    full: Sizes = NOTHING,
    smallest: Sizes = NOTHING,
    flags: Mapping[str, dict[str, Any]] | None = None,
) -> Run[Sizes]:
    """Read the options of a benchmark: `--smallest`, `--output`, a flag for each of its sizes, and others.

    description : its docstring; arguments : by default those of the process.
    full, smallest : a dataclass of sizes; each number or text in it, or tuple of these, can be given as a flag.
    flags : other flags, and what argparse's `add_argument` takes for each."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--smallest", action="store_true", help="run in seconds on few, made data; no result is kept")
    parser.add_argument("--output", type=Path, help="folder of the result; benchmarks/results, or none if --smallest")
    for name, default in vars(full).items():
        several = isinstance(default, tuple)
        one = type(default[0] if several and default else default)
        if one in (int, float, str):
            shape: dict[str, Any] = {"nargs": "+"} if several else {}
            flag = f"--{name.replace('_', '-')}"
            parser.add_argument(flag, type=one, default=argparse.SUPPRESS, help=f"by default {default}", **shape)
    for flag, options in (flags or {}).items():
        parser.add_argument(flag, **options)
    given = parser.parse_args(arguments)
    sizes = smallest if given.smallest else full
    asked = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(given).items()
        if name in vars(full)
    }
    output = given.output or (None if given.smallest else RESULTS)
    return Run(dataclasses.replace(sizes, **asked), given, given.smallest, output)  # type: ignore[type-var]


@cache
def machine() -> str:
    """Name the processor, its cores, what it computes in, and the versions that matter."""
    name = platform.processor()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    precision = ImageEmbedder().networks[0].precision
    packages = ", ".join(f"{package} {version(package)}" for package in ("openvino", "faiss-cpu", "pillow", "numpy"))
    return f"{name}, {cpu_count()} cores, pictures in {precision}, Python {platform.python_version()}, {packages}"


def from_tests(name: str) -> Any:
    """Import a module of the tests."""
    folder = str(ROOT / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def run_dn2(words: Sequence[str], *, here: bool) -> tuple[float, float]:
    """Run a command of dn2, and return the seconds it took and its peak memory in GiB.  Ends the benchmark if it fails.

    here : in this process, as smallest runs do, instead of one of its own."""
    if here:
        taken, status = timed(lambda: _exit_status(words))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    else:
        command = [sys.executable, "-c", "import dn2.cli; dn2.cli.main()", *words]
        taken, (_, status, usage) = timed(lambda: os.wait4(os.posix_spawn(command[0], command, os.environ), 0))
        peak = usage.ru_maxrss
    if status:
        sys.exit(f"dn2 {' '.join(words)} failed")
    return taken, peak / 2**20


def apart(work: Callable[..., Made], *arguments: Any, here: bool) -> Made:
    """Call a function of a module in a process of its own, whose memory is its alone, and return what it returns.

    here : in this process, as smallest runs do."""
    if here:
        return work(*arguments)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def peak_memory(process: int | str = "self") -> float:
    """Return the peak of a process's resident memory, in MiB, without that of the process that started it, which
    `getrusage` counts."""
    return resident("VmHWM", process)


def resident(kind: str, process: int | str = "self") -> float:
    """Return the resident memory of a process, in MiB; kind : as the system calls it, such as RssAnon, which is without
    that of mapped files."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{kind}:"))) / 1024


def _exit_status(words: Sequence[str]) -> int:
    from dn2.cli import main

    before, sys.argv = sys.argv, ["dn2", *words]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


def prepare_torch() -> None:
    """Let libraries import PyPI's torchvision beside a CPU build of PyTorch, as the tests do."""
    with contextlib.suppress(ImportError):
        from_tests("small_timm")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    return timed(work)[0]

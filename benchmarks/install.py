"""What an install weighs and how fast it starts: packages, megabytes, seconds to `--help` and to import.

Run: python benchmarks/install.py            this checkout
     python benchmarks/install.py --rival anomalib   and, for comparison, another package from the index

Each is installed by pip into a fresh virtual environment; pip itself is not counted.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import ROOT, Report, begin, seconds


@dataclass(frozen=True)
class Sizes:
    """How often each command is timed."""

    rounds: int = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure this checkout, and a rival where one is named; the smallest run looks at this environment instead."""
    flags = {"--rival": {"help": "a package, measured the same way"}}
    run = begin(__doc__, arguments, Sizes(), Sizes(rounds=1), flags)
    report, rounds, rival = run.report("install"), run.sizes.rounds, run.options.rival
    if run.smallest:
        package = Path(json.__file__).parent
        imported = median_seconds([sys.executable, "-c", "import dn2"], rounds)
        report.say(f"json: {size_of(package) / 1e6:.2f} MB; import dn2 {imported:.2f} s (of {rounds})")
        return
    measure(report, "dn2", str(ROOT), rounds)
    if rival:
        measure(report, rival, rival, rounds)
    report.save()


def measure(report: Report, name: str, requirement: str, rounds: int) -> None:
    """Install into a fresh environment and print what it is like."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder, "bin", "python")
        empty = size_of(folder)
        install = [python, "-m", "pip", "install", "--quiet", requirement]
        installed = seconds(lambda: subprocess.run(install, check=True))
        listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True)
        packages = {package["name"] for package in json.loads(listed.stdout)} - {"pip", "setuptools"}
        size = size_of(folder) - empty
        helped = median_seconds([str(Path(folder, "bin", name)), "--help"], rounds)
        imported = median_seconds([str(python), "-c", f"import {name}"], rounds)
    report.say(
        f"{name}: {len(packages)} packages, {size / 1e6:.0f} MB, torch {'yes' if 'torch' in packages else 'no'}, "
        f"installed in {installed:.0f} s, --help {helped:.2f} s, import {imported:.2f} s (medians of {rounds})"
    )


def size_of(folder: str | Path) -> int:
    """Add up the sizes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())


def median_seconds(command: list[str], rounds: int) -> float:
    """Time a whole process: the median of some runs after one to warm up."""
    times = [seconds(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(rounds + 1)]
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()

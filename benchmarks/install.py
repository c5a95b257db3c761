"""What an install weighs and how fast it starts: packages, megabytes, seconds to `--help` and to import.

Run: python benchmarks/install.py            this checkout
     python benchmarks/install.py --rival anomalib   and, for comparison, another package from the index

Each is installed by pip into a fresh virtual environment; pip itself is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Report

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure this checkout, and a rival where one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rival", help="a package, measured the same way")
    rival = parser.parse_args().rival
    report = Report("install")
    measure(report, "dn2", str(ROOT))
    if rival:
        measure(report, rival, rival)
    report.save()


def measure(report: Report, name: str, requirement: str) -> None:
    """Install into a fresh environment and print what it is like."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder, "bin", "python")
        empty = size_of(folder)
        start = time.perf_counter()
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
        seconds = time.perf_counter() - start
        listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True)
        packages = {package["name"] for package in json.loads(listed.stdout)} - {"pip", "setuptools"}
        size = size_of(folder) - empty
        helped = median_seconds([str(Path(folder, "bin", name)), "--help"])
        imported = median_seconds([str(python), "-c", f"import {name}"])
    report.say(
        f"{name}: {len(packages)} packages, {size / 1e6:.0f} MB, torch {'yes' if 'torch' in packages else 'no'}, "
        f"installed in {seconds:.0f} s, --help {helped:.2f} s, import {imported:.2f} s (medians of 5)"
    )


def size_of(folder: str) -> int:
    """Add up the sizes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())


def median_seconds(command: list[str]) -> float:
    """Time a whole process: the median of five runs after one to warm up."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()

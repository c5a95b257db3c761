"""dn2's search beside FAISS, scikit-learn, PyOD and hnswlib, from 1,000 to 1,000,000 rows: time, memory and recall.

Run: python benchmarks/search.py [--sizes 1000 10000] [--dimensions 1280 2] [--methods dn2-auto hnswlib] [--limit 3600]
     [--pictures FOLDER] [--work FOLDER] [--keep-as search]

1,280 columns are embeddings of CIFAR-10's pictures, up to 38 are KDD Cup 99's, 64 are made; `--work` keeps the rows for
another run (7 GB).  Each method is measured in a process of its own, which reads the rows as a memory map; FAISS flat
always is, as all are compared with it.  The result is kept after each size, and a figure after 1,280 columns.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import search_rivals
from common import RESULTS, Report
from dn2.bench.scoring import roc_auc
from search_data import (
    NEIGHBORS,
    PICTURES_DIMENSION,
    Distances,
    Made,
    Vectors,
    exact_distances,
    make,
    recall,
    true_distances,
)
from search_figure import draw
from search_rivals import ALONE, METHODS, REFERENCE, ROUNDS

SIZES = (1_000, 10_000, 50_000, 200_000, 1_000_000)
DIMENSIONS = (PICTURES_DIMENSION, 2, 8, 16, 64)
LIMIT = 3600  # seconds
SAMPLED_EVERY = 0.01  # seconds

HEADER = (
    f"  {'method':<26}{'fit, s':>9}{'queries/s':>11}{'x FAISS flat':>14}{'one query, ms':>15}{'memory, MiB':>13}"
    f"{'recall':>9}{'rounded':>9}{'ROC AUC':>9}"
)
LEGEND = (
    "fit: seconds to take the rows in; dn2's and PyOD's calibrate in it as well, dn2's with up to 10,000 leave-one-out "
    "searches.",
    f"queries/s: of {ROUNDS} batches of all queries, the median; x FAISS flat: as many times as FAISS flat's of this "
    "run.",
    f"one query: alone, the median of {ALONE}; scikit-learn's and PyOD's on one core, which is faster for one.",
    "memory: the most anonymous memory of the process (RssAnon, every 10 ms), Python and libraries included; the "
    "memory map of the rows is not in it, which some methods search in place, nor are other files.",
    f"recall: share of the {NEIGHBORS} neighbours found whose true squared distance, in float64 from the rows "
    "themselves whatever a method stores, is at most 1 + 1e-6 times that of the exact last one.",
    "rounded: the same, but a neighbour may be farther (L2) by twice the largest error of the distances that the "
    "method itself gives: what rounding may swap where rows are stored compactly.",
    "ROC AUC: of the mean squared distance that the method gives, in %.",
    "hnswlib: its ef is the smallest of 32, 64, 128 ... with a recall of 0.99 on the very queries that are reported, "
    "which favours it.",
)


@dataclass(frozen=True)
class Measured:
    """What one method did on one reference set.

    found : what its process wrote, see `search_rivals.measure`; memory : MiB; failed : why there is nothing, or ''."""

    found: dict[str, Any]
    memory: float = 0.0
    failed: str = ""

    @property
    def total(self) -> float:
        """Seconds that fit and searches took in all, but for any tuning."""
        return float(self.found["fit"] + ROUNDS * self.found["batch"] + (ALONE + 1) * self.found["alone"])


def main() -> None:
    """Print a table for each dimension, and draw the figure."""
    options = parse()
    names = [REFERENCE, *(name for name in METHODS if name in options.methods and name != REFERENCE)]
    report = Report(options.keep_as)
    report.say(f"rivals: {', '.join(map(installed, ('scikit-learn', 'pyod', 'hnswlib')))}")
    report.say("\n" + "\n".join(map(wrapped, LEGEND)))
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        for dimension in options.dimensions:
            made = make(work, dimension, options.sizes, options.pictures)
            report.say("\n" + wrapped(f"d = {dimension:,}: {made.recipe}"))
            speeds = Comparison(report, made, dimension, options.limit, work).run(names)
            if dimension == PICTURES_DIMENSION:
                title = f"Search of {dimension:,}-dimensional embeddings, k = {NEIGHBORS}"
                draw(speeds, "dn2", title, RESULTS / f"{options.keep_as}.svg")


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--dimensions", nargs="+", type=int, default=DIMENSIONS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that a method may take at one size")
    parser.add_argument("--pictures", type=Path, help="where cifar10_png_35k.zip is unpacked")
    parser.add_argument("--work", type=Path, help="where the rows are kept for another run")
    parser.add_argument("--keep-as", default="search", help="name of the result")
    options = parser.parse_args()
    options.sizes = sorted(options.sizes)
    return options


def wrapped(text: str) -> str:
    """Break a text into lines that fit a page."""
    return textwrap.fill(text, 116, subsequent_indent="  ")


def installed(package: str) -> str:
    """Name a package and its version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} is not installed"


class Comparison:
    """The methods on the reference sets of one dimension."""

    def __init__(self, report: Report, made: Made, dimension: int, limit: float, work: Path) -> None:
        self.report, self.made, self.dimension, self.limit, self.work = report, made, dimension, limit, work
        self.queries: Vectors = np.load(made.queries)
        self.latest: dict[str, tuple[int, float]] = {}  # by method: rows, and seconds that they took
        self.speeds: dict[str, list[tuple[int, float]]] = {}

    def run(self, names: list[str]) -> dict[str, list[tuple[int, float]]]:
        """Measure the methods at each size; returns queries a second by their label."""
        for n in self.made.references:
            self.compare(names, n)
            self.report.save()
        return self.speeds

    def compare(self, names: list[str], n: int) -> None:
        """Measure the methods at one size."""
        rows = np.load(self.made.references[n], mmap_mode="r")
        exact = exact_distances(rows, self.queries)
        np.save(self.work / "exact.npy", exact)
        auc = 100 * roc_auc(exact.mean(axis=1), self.made.anomalous)
        self.report.say(f"\nd = {self.dimension:,}, n = {n:,}; ROC AUC of the exact neighbours: {auc:.3f} %\n{HEADER}")
        hows = []
        for name in names:
            method = METHODS[name]
            measured = self.measure(name, n)
            self.report.say(f"  {method.label:<26}{measured.failed or self.line(measured, rows, exact)}")
            if how := measured.found.get("how"):
                hows.append(f"  {method.label}: {how}")
        for how in hows:
            self.report.say(how)

    def measure(self, name: str, n: int) -> Measured:
        """Measure a method, unless it is left out or would take too long by what it took for fewer rows."""
        if reason := METHODS[name].left_out(n, self.dimension):
            return Measured({}, failed=f"skipped: {reason}")
        rows, seconds = self.latest.get(name, (n, 0.0))
        if seconds * n / rows > self.limit:
            return Measured({}, failed=f"skipped: over {self.limit:,.0f} s by what it took for {rows:,} rows")
        measured = self.start(name, n)
        if not measured.failed:
            self.latest[name] = n, measured.total
            self.speeds.setdefault(METHODS[name].label, []).append((n, len(self.queries) / measured.found["batch"]))
        return measured

    def start(self, name: str, n: int) -> Measured:
        """Measure a method in a process of its own, and how much memory that takes."""
        out = self.work / "measured.npz"
        words = [self.made.references[n], self.made.queries, self.work / "exact.npy", out]
        command = [sys.executable, search_rivals.__file__, name, *map(str, words)]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(command, stdout=errors, stderr=errors)
            memory, until = 0.0, time.monotonic() + self.limit
            while process.poll() is None:
                memory = max(memory, anonymous_memory(process.pid))
                if time.monotonic() > until:
                    process.kill()
                    process.wait()
                    self.latest[name] = n, 2 * self.limit
                    return Measured({}, failed=f"stopped after {self.limit:,.0f} s")
                time.sleep(SAMPLED_EVERY)
            errors.seek(0)
            if process.returncode:
                return Measured({}, failed=f"failed: {(errors.read().strip().splitlines() or ['killed'])[-1]}")
        with np.load(out) as arrays:
            found = {key: arrays[key][()] for key in arrays}
        out.unlink()
        return Measured({}, failed=str(found["unavailable"])) if "unavailable" in found else Measured(found, memory)

    def line(self, measured: Measured, rows: Vectors, exact: Distances) -> str:
        """Write the figures of a method."""
        found = measured.found
        speed = len(self.queries) / found["batch"]
        reference = dict(self.speeds.get(METHODS[REFERENCE].label, ())).get(len(rows))
        ratio = f"{speed / reference:.2f}" if reference else "-"
        true = true_distances(rows, self.queries, found["positions"])
        error = float(np.abs(np.sqrt(found["distances"]) - np.sqrt(true)).max())
        auc = 100 * roc_auc(found["distances"].mean(axis=1, dtype=np.float64), self.made.anomalous)
        return (
            f"{found['fit']:9.2f}{speed:11,.0f}{ratio:>14}{1000 * found['alone']:15.2f}"
            f"{measured.memory:13,.0f}{recall(true, exact):9.4f}{recall(true, exact, 2 * error):9.4f}{auc:9.3f}"
        )


def anonymous_memory(process: int) -> float:
    """Return the anonymous memory of a process in MiB; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()

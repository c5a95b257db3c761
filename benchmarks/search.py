"""dn2's search beside FAISS, scikit-learn, PyOD and hnswlib, from 1,000 to 1,000,000 rows: time, memory and recall.

Run: python benchmarks/search.py [--sizes 1000 10000] [--dimensions 1280 2] [--methods dn2-auto hnswlib] [--limit 3600]
     [--pictures FOLDER] [--work FOLDER] [--keep-as search]

1,280 columns are embeddings of CIFAR-10's pictures, up to 38 are KDD Cup 99's, 64 are made; `--work` keeps the rows for
another run (7 GB).  Each method is measured in a process of its own, which reads the rows as a memory map; FAISS flat
always is, as all are compared with it.  The result is kept after each size, and a figure after 1,280 columns.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import search_rivals
from common import Report, begin
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

SAMPLED_EVERY = 0.01  # seconds

HEADER = (
    f"  {'method':<26}{'fit, s':>9}{'queries/s':>11}{'x FAISS flat':>14}{'one query, ms':>15}{'memory, MiB':>13}"
    f"{'recall':>9}{'rounded':>9}{'ROC AUC':>9}"
)
LEGEND = (
    "fit: seconds to take the rows in; dn2's and PyOD's calibrate in it as well, dn2's with up to 10,000 leave-one-out "
    "searches.",
    "queries/s: of {rounds} batches of all queries, the median; x FAISS flat: as many times as FAISS flat's of this "
    "run.",
    "one query: alone, the median of {alone}; scikit-learn's and PyOD's on one core, which is faster for one.",
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


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    sizes : rows; limit : seconds that a method may take at one size; rounds : batches of all queries; alone : queries
    asked alone."""

    sizes: tuple[int, ...] = (1_000, 10_000, 50_000, 200_000, 1_000_000)
    dimensions: tuple[int, ...] = (PICTURES_DIMENSION, 2, 8, 16, 64)
    methods: tuple[str, ...] = tuple(METHODS)
    limit: float = 3600.0
    rounds: int = ROUNDS
    alone: int = ALONE


SMALLEST = Sizes(sizes=(300,), dimensions=(PICTURES_DIMENSION,), methods=("dn2-auto",), limit=60.0, rounds=1, alone=1)
FLAGS: dict[str, dict[str, Any]] = {
    "--pictures": {"type": Path, "help": "where cifar10_png_35k.zip is unpacked"},
    "--work": {"type": Path, "help": "where the rows are kept for another run"},
    "--keep-as": {"default": "search", "help": "name of the result"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each dimension, and draw the figure."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST, FLAGS)
    sizes, options = run.sizes, run.options
    if unknown := set(sizes.methods) - set(METHODS):
        sys.exit(f"{min(unknown)} is no method; choose from {', '.join(METHODS)}")
    names = [REFERENCE, *(name for name in METHODS if name in sizes.methods and name != REFERENCE)]
    report = run.report(options.keep_as)
    report.say(f"rivals: {', '.join(map(installed, ('scikit-learn', 'pyod', 'hnswlib')))}")
    legend = [line.format(rounds=sizes.rounds, alone=sizes.alone) for line in LEGEND]
    report.say("\n" + "\n".join(map(wrapped, legend)))
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        for dimension in sizes.dimensions:
            made = make(run, work, dimension, sorted(sizes.sizes), options.pictures)
            report.say("\n" + wrapped(f"d = {dimension:,}: {made.recipe}"))
            speeds = Comparison(report, made, dimension, sizes, work).run(names)
            if dimension == PICTURES_DIMENSION:
                title = f"Search of {dimension:,}-dimensional embeddings, k = {NEIGHBORS}"
                draw(speeds, "dn2", title, (run.output or work) / f"{options.keep_as}.svg")


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

    def __init__(self, report: Report, made: Made, dimension: int, sizes: Sizes, work: Path) -> None:
        self.report, self.made, self.dimension, self.sizes, self.work = report, made, dimension, sizes, work
        self.limit = sizes.limit
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
            self.latest[name] = n, self.total(measured.found)
            self.speeds.setdefault(METHODS[name].label, []).append((n, len(self.queries) / measured.found["batch"]))
        return measured

    def total(self, found: dict[str, Any]) -> float:
        """Return the seconds that fit and searches took in all, but for any tuning."""
        return float(found["fit"] + self.sizes.rounds * found["batch"] + (self.sizes.alone + 1) * found["alone"])

    def start(self, name: str, n: int) -> Measured:
        """Measure a method in a process of its own, and how much memory that takes; in this one if a smallest run has
        done so once."""
        out = self.work / "measured.npz"
        files = self.made.references[n], self.made.queries, self.work / "exact.npy", out
        words = [name, *map(str, (*files, self.sizes.rounds, self.sizes.alone))]
        if self.report.smallest and name != REFERENCE:
            search_rivals.main(words)
            return measured_in(out, anonymous_memory(os.getpid()))
        command = [sys.executable, search_rivals.__file__, *words]
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
        return measured_in(out, memory)

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


def measured_in(path: Path, memory: float) -> Measured:
    """Read and remove what `search_rivals` wrote."""
    with np.load(path) as arrays:
        found = {key: arrays[key][()] for key in arrays}
    path.unlink()
    return Measured({}, failed=str(found["unavailable"])) if "unavailable" in found else Measured(found, memory)


def anonymous_memory(process: int) -> float:
    """Return the anonymous memory of a process in MiB; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()

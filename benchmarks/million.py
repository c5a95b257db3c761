"""A reference set of 1,000,000 x 1280 within 4 GB: fit, load, search, add 10,000, remove 1,000; beside FAISS flat.

Run: python benchmarks/million.py [--pictures FOLDER] [--work FOLDER]

The rows are those of `search.py`; `--work` keeps them (7 GB, and 3 GB for the model).  Each step is a process
of its own, whose anonymous memory (RssAnon) is sampled every 10 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import dn2
from common import Run, begin, seconds
from dn2.bench.scoring import roc_auc
from search import SAMPLED_EVERY, anonymous_memory
from search_data import NEIGHBORS, PICTURES_DIMENSION, exact_distances, make, recall, true_distances
from search_rivals import ALONE, ROUNDS

LIMIT, RECALL = "4GB", 0.99
MODEL, FOUND = "million.dn2", "found.npz"


@dataclass(frozen=True)
class Sizes:
    """How many rows there are, are added and are removed; batches of queries, and queries alone."""

    rows: int = 1_000_000
    added: int = 10_000
    removed: int = 1_000
    rounds: int = ROUNDS
    alone: int = ALONE


SMALLEST = Sizes(rows=600, added=30, removed=10, rounds=1, alone=1)


@dataclass(frozen=True)
class Work:
    """The folder that the steps work in."""

    folder: Path
    sizes: Sizes

    def load(self, name: object, **options: Any) -> Any:
        """Return rows by their number, or the queries."""
        return np.load(self.path(name), **options)

    def path(self, name: object) -> Path:
        """Return the file of rows by their number, or of the queries."""
        return self.folder / f"{PICTURES_DIMENSION}-{name}.npy"


FLAGS: dict[str, dict[str, Any]] = {
    "--pictures": {"type": Path, "help": "where cifar10_png_35k.zip is unpacked"},
    "--work": {"type": Path, "help": "where the rows are kept for another run"},
    "--step": {"nargs": 2, "metavar": ("NAME", "FOLDER"), "help": argparse.SUPPRESS},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the steps, each by itself, and print what they took."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST, FLAGS)
    options = run.options
    if options.step:
        name, folder = options.step
        print(json.dumps(STEPS[name](Work(Path(folder), run.sizes))))
        return
    with contextlib.ExitStack() as stack:
        compare(run, options.work or Path(stack.enter_context(tempfile.TemporaryDirectory())), options.pictures)


def compare(run: Run[Sizes], folder: Path, pictures: Path | None) -> None:
    """Make the data, run the steps and print."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes, work = run.sizes, Work(folder, run.sizes)
    made = make(run, folder, PICTURES_DIMENSION, (sizes.added, sizes.rows), pictures)
    report = run.report("million")
    report.say(f"{sizes.rows:,} x {PICTURES_DIMENSION}, {LIMIT} in all, recall {RECALL}; data as in search.txt")
    rows, queries = work.load(sizes.rows, mmap_mode="r"), work.load("queries")
    exact = exact_distances(rows, queries)
    flat, fit, search = (step(run, name, folder) for name in ("faiss", "fit", "search"))
    found = np.load(folder / FOUND)
    true = true_distances(rows, queries, found["positions"])
    auc, own = (100 * roc_auc(one.mean(axis=1), made.anomalous) for one in (exact, found["distances"]))
    error = np.abs(np.sqrt(found["distances"]) - np.sqrt(true)).max()
    report.say(f"FAISS flat: {flat['queries']:,.0f} queries/s, one {1000 * flat['alone']:.1f} ms, {memory(flat)}")
    report.say(f"fit and save: {fit['seconds']:.0f} s, {memory(fit)}; {fit['how']}")
    report.say(
        f"load: {search['load']:.1f} s; batch: {search['queries']:,.0f} queries/s, "
        f"{search['queries'] / flat['queries']:.1f} x FAISS flat; one query {1000 * search['alone']:.1f} ms; "
        f"{memory(search)}"
    )
    report.say(
        f"recall {recall(true, exact):.4f}, {recall(true, exact, 2 * error):.4f} but for what rounding swaps; "
        f"ROC AUC {own:.3f} %, of the exact neighbours {auc:.3f} %"
    )
    for name, what in (("add", f"add {sizes.added:,}"), ("remove", f"remove {sizes.removed:,}")):
        done = step(run, name, folder)
        report.say(f"{what}: {done['seconds']:.1f} s, then save {done['save']:.2f} s; {memory(done)}")
    report.save()


def memory(done: dict[str, Any]) -> str:
    """Say how much memory a step took."""
    return f"{done['memory']:,.0f} MiB"


def step(run: Run[Sizes], name: str, folder: Path) -> dict[str, Any]:
    """Run a step in a process of its own, one of a smallest run in this one; returns what it prints, and its memory in
    MiB."""
    words = ["--step", name, str(folder)]
    words += [word for size, value in vars(run.sizes).items() for word in (f"--{size}", str(value))]
    if run.smallest:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            main(words)
        return {**json.loads(printed.getvalue()), "memory": anonymous_memory(os.getpid())}
    most = 0.0
    with subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, anonymous_memory(process.pid))
            time.sleep(SAMPLED_EVERY)
        assert process.stdout is not None
        out = process.stdout.read()
    if process.returncode:
        sys.exit(f"the step {name} failed")
    return {**json.loads(out), "memory": most}


def faiss_flat(work: Work) -> dict[str, Any]:
    """Search with FAISS's exhaustive index."""
    import faiss

    index = faiss.IndexFlatL2(PICTURES_DIMENSION)
    index.add(work.load(work.sizes.rows, mmap_mode="r"))
    return speeds(lambda queries: index.search(queries, NEIGHBORS), work)


def fit(work: Work) -> dict[str, Any]:
    """Fit on the file, and save."""
    start = time.perf_counter()
    model = dn2.fit(str(work.path(work.sizes.rows)), memory=LIMIT, recall=RECALL, neighbors=NEIGHBORS)
    model.save(work.folder / MODEL)
    took = time.perf_counter() - start
    words = [f"{key} {value}" for key, value in model.detector.describe_search().items() if key != "why"]
    return {"seconds": took, "how": ", ".join(words)}


def search(work: Work) -> dict[str, Any]:
    """Load the model and search."""
    start = time.perf_counter()
    model = dn2.load(work.folder / MODEL)
    took = time.perf_counter() - start
    measured = speeds(model.detector.search, work)
    distances, positions = model.detector.search(work.load("queries"))
    np.savez(work.folder / FOUND, distances=distances, positions=positions)
    return {**measured, "load": took}


def add(work: Work) -> dict[str, Any]:
    """Add rows and save."""
    more = work.load(work.sizes.added)
    return changed(work, lambda model: model.add(more))


def remove(work: Work) -> dict[str, Any]:
    """Remove rows, drawn at random, and save."""
    places = np.random.default_rng(0).choice(work.sizes.rows, work.sizes.removed, replace=False)
    return changed(work, lambda model: model.remove([model.items[place].name for place in places]))


def changed(work: Work, change: Callable[[dn2.Model], object]) -> dict[str, Any]:
    """Load, change and save; returns the seconds of the change and of the save."""
    model = dn2.load(work.folder / MODEL)
    return {"seconds": seconds(lambda: change(model)), "save": seconds(lambda: model.save(work.folder / MODEL))}


def speeds(find: Callable[[Any], object], work: Work) -> dict[str, float]:
    """Time batches and single queries, after one of each."""
    queries, sizes = work.load("queries"), work.sizes
    find(queries)
    find(queries[:1])
    batch = np.median([seconds(lambda: find(queries)) for _ in range(sizes.rounds)])
    alone = np.median([seconds(lambda place=place: find(queries[place : place + 1])) for place in range(sizes.alone)])
    return {"queries": len(queries) / float(batch), "alone": float(alone)}


STEPS = {"faiss": faiss_flat, "fit": fit, "search": search, "add": add, "remove": remove}


if __name__ == "__main__":
    main()

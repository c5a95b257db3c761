"""A reference set of 1,000,000 x 1280 within 4 GB: fit, load, search, add 10,000, remove 1,000; beside FAISS flat.

Run: python benchmarks/million.py [--pictures FOLDER] [--work FOLDER]

The rows are those of `search.py`; `--work` keeps them (7 GB, and 3 GB for the model).  Each step is a process
of its own, whose anonymous memory (RssAnon) is sampled every 10 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dn2
from common import Report
from dn2.bench.scoring import roc_auc
from search import SAMPLED_EVERY, anonymous_memory
from search_data import NEIGHBORS, PICTURES_DIMENSION, exact_distances, make, recall, true_distances
from search_rivals import ALONE, ROUNDS

N, N_ADDED, N_REMOVED = 1_000_000, 10_000, 1_000
LIMIT, RECALL = "4GB", 0.99
ROWS, MORE, QUERIES = (f"{PICTURES_DIMENSION}-{name}.npy" for name in (N, N_ADDED, "queries"))
MODEL, FOUND = "million.dn2", "found.npz"


def main() -> None:
    """Run the steps, each by itself, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, help="where cifar10_png_35k.zip is unpacked")
    parser.add_argument("--work", type=Path, help="where the rows are kept for another run")
    parser.add_argument("--step", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, folder = options.step
        print(json.dumps(STEPS[name](Path(folder))))
        return
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        run(work, options.pictures)


def run(work: Path, pictures: Path | None) -> None:
    """Make the data, run the steps and print."""
    work.mkdir(parents=True, exist_ok=True)
    made = make(work, PICTURES_DIMENSION, (N_ADDED, N), pictures)
    report = Report("million")
    report.say(f"{N:,} x {PICTURES_DIMENSION}, {LIMIT} in all, recall {RECALL}; data as in search.txt")
    rows, queries = np.load(work / ROWS, mmap_mode="r"), np.load(work / QUERIES)
    exact = exact_distances(rows, queries)
    flat = step("faiss", work)
    fit = step("fit", work)
    search = step("search", work)
    found = np.load(work / FOUND)
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
    for name, what in (("add", f"add {N_ADDED:,}"), ("remove", f"remove {N_REMOVED:,}")):
        done = step(name, work)
        report.say(f"{what}: {done['seconds']:.1f} s, then save {done['save']:.2f} s; {memory(done)}")
    report.save()


def memory(done: dict[str, Any]) -> str:
    """Say how much memory a step took."""
    return f"{done['memory']:,.0f} MiB"


def step(name: str, work: Path) -> dict[str, Any]:
    """Run a step in a process of its own; returns what it prints, and its memory in MiB."""
    command = [sys.executable, __file__, "--step", name, str(work)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    most = 0.0
    while process.poll() is None:
        most = max(most, anonymous_memory(process.pid))
        time.sleep(SAMPLED_EVERY)
    assert process.stdout is not None
    out = process.stdout.read()
    if process.returncode:
        sys.exit(f"the step {name} failed")
    return {**json.loads(out), "memory": most}


def faiss_flat(work: Path) -> dict[str, Any]:
    """Search with FAISS's exhaustive index."""
    import faiss

    index = faiss.IndexFlatL2(PICTURES_DIMENSION)
    index.add(np.load(work / ROWS, mmap_mode="r"))
    return speeds(lambda queries: index.search(queries, NEIGHBORS), np.load(work / QUERIES))


def fit(work: Path) -> dict[str, Any]:
    """Fit on the file, and save."""
    start = time.perf_counter()
    model = dn2.fit(str(work / ROWS), memory_limit=LIMIT, recall=RECALL, n_neighbors=NEIGHBORS)
    model.save(work / MODEL)
    took = time.perf_counter() - start
    words = [f"{key} {value}" for key, value in model.detector.search_.items() if key != "why"]
    return {"seconds": took, "how": ", ".join(words)}


def search(work: Path) -> dict[str, Any]:
    """Load the model and search."""
    start = time.perf_counter()
    model = dn2.load(work / MODEL)
    took = time.perf_counter() - start
    queries = np.load(work / QUERIES)
    measured = speeds(model.detector.search, queries)
    distances, positions = model.detector.search(queries)
    np.savez(work / FOUND, distances=distances, positions=positions)
    return {**measured, "load": took}


def add(work: Path) -> dict[str, Any]:
    """Add rows and save."""
    more = np.load(work / MORE)
    return changed(work, lambda model: model.add(more))


def remove(work: Path) -> dict[str, Any]:
    """Remove rows, drawn at random, and save."""
    places = np.random.default_rng(0).choice(N, N_REMOVED, replace=False)
    return changed(work, lambda model: model.remove([model.items[place].name for place in places]))


def changed(work: Path, change: Callable[[dn2.Model], object]) -> dict[str, Any]:
    """Load, change and save; returns the seconds of the change and of the save."""
    model = dn2.load(work / MODEL)
    start = time.perf_counter()
    change(model)
    between = time.perf_counter()
    model.save(work / MODEL)
    return {"seconds": between - start, "save": time.perf_counter() - between}


def speeds(find: Callable[[Any], object], queries: Any) -> dict[str, float]:
    """Time batches and single queries, after one of each."""
    find(queries)
    find(queries[:1])
    batch = np.median([seconds(lambda: find(queries)) for _ in range(ROUNDS)])
    alone = np.median([seconds(lambda place=place: find(queries[place : place + 1])) for place in range(ALONE)])
    return {"queries": len(queries) / float(batch), "alone": float(alone)}


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


STEPS = {"faiss": faiss_flat, "fit": fit, "search": search, "add": add, "remove": remove}


if __name__ == "__main__":
    main()

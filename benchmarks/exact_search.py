"""Exact search beside faiss, scikit-learn and PyOD: a batch of queries, one query alone, and leave-one-out.

Run: python benchmarks/exact_search.py [--vectors vectors.npy] [--rounds 5]

Without vectors: random rows around 300 centres, all values positive, square roots taken and then of unit length.
Every round runs all rivals in turn; times are medians, and ratios are those of the medians."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import faiss
import numpy as np
from pyod.models.knn import KNN
from sklearn.neighbors import NearestNeighbors

from common import Report
from dn2.neighbors.blocks import Block, to_blocks
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.leave_one_out import LeaveOneOut

ROWS, QUERIES, DIMENSION, CENTRES, NEIGHBORS = 50_000, 1_000, 1280, 300, 2
LEFT_OUT = 20_000
ALONE = 20  # times that one query alone is asked in each round


def main() -> None:
    """Print the medians and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = random_rows() if options.vectors is None else np.load(options.vectors).astype(np.float32)
    reference, queries = np.ascontiguousarray(rows[QUERIES:][:ROWS]), np.ascontiguousarray(rows[:QUERIES])
    report = Report("exact_search")
    report.say(f"{len(reference):,} x {rows.shape[1]}, {options.vectors or f'{CENTRES} random centres, seed 0'}, k = 2")
    report.say(
        f"load average at the start: {os.getloadavg()[0]:.1f} (others'; above 0.5, run all again when it is quiet)"
    )
    compare(report, f"batch of {QUERIES:,}", searches(reference, queries), options.rounds, 1)
    compare(report, "one query alone", searches(reference, queries[:1]), options.rounds, ALONE)
    compare(report, f"leave-one-out of {LEFT_OUT:,}", leaving_out(reference[:LEFT_OUT]), options.rounds, 1)
    report.say(f"load average at the end, this benchmark included: {os.getloadavg()[0]:.1f}")
    report.save()


def random_rows() -> np.ndarray:
    """Make rows that look like root-normalized embeddings."""
    rng = np.random.default_rng(0)
    centres = rng.exponential(size=(CENTRES, DIMENSION)).astype(np.float32)
    rows = rng.standard_exponential((ROWS + QUERIES, DIMENSION), np.float32)
    rows += 2 * centres[rng.integers(CENTRES, size=len(rows))]
    rows /= rows.sum(axis=1, keepdims=True)
    return np.sqrt(rows, out=rows)


def searches(reference: np.ndarray, queries: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return what searches the reference in each way, ready to run."""
    flat = faiss.IndexFlatL2(reference.shape[1])
    flat.add(reference)
    brute = NearestNeighbors(n_neighbors=NEIGHBORS, algorithm="brute").fit(reference)
    stored = {name: ExactIndex(to_blocks(reference, name)) for name in ("float32", "float16", "uint8")}
    for index in stored.values():
        index.search(queries, NEIGHBORS)
    return {
        "dn2": lambda: stored["float32"].search(queries, NEIGHBORS),
        "faiss IndexFlatL2": lambda: flat.search(queries, NEIGHBORS),
        "scikit-learn brute": lambda: brute.kneighbors(queries),
        "dn2, float16": lambda: stored["float16"].search(queries, NEIGHBORS),
        "dn2, uint8": lambda: stored["uint8"].search(queries, NEIGHBORS),
    }


def leaving_out(rows: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return what searches for the neighbours of each row among the others."""
    blocks, members = [Block(rows)], np.arange(len(rows))
    return {
        "dn2": lambda: LeaveOneOut.of(blocks, ExactIndex(blocks), members, NEIGHBORS),
        "PyOD KNN(n_neighbors=2, method='mean').fit": lambda: KNN(n_neighbors=NEIGHBORS, method="mean").fit(rows),
        "dn2 without symmetry": lambda: ExactIndex(blocks).search(rows, NEIGHBORS, exclude=members),
    }


def compare(report: Report, title: str, ways: dict[str, Callable[[], object]], rounds: int, times: int) -> None:
    """Run all ways in turn, some rounds, and say what each takes and how much longer than the first."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(times):
                way()
            taken[name].append((time.perf_counter() - start) / times)
    report.say(f"{title}: ms, and times dn2's")
    ours = median(taken["dn2"])
    for name, seconds in taken.items():
        report.say(f"  {name:<44}{1e3 * median(seconds):10.1f}{median(seconds) / ours:8.2f}")


if __name__ == "__main__":
    main()

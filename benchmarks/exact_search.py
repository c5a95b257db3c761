"""Exact search beside faiss, scikit-learn and PyOD: a batch of queries, one query alone, and leave-one-out.

Run: python benchmarks/exact_search.py [--vectors vectors.npy] [--rounds 5]

Without vectors: random rows around 300 centres, all values positive, square roots taken and then of unit length.
Every round runs all rivals in turn; times are medians, and ratios are those of the medians."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import faiss
import numpy as np
from sklearn.neighbors import NearestNeighbors

from common import Report, begin, seconds
from dn2.neighbors.blocks import Block, to_blocks
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded

DIMENSION, CENTRES, NEIGHBORS = 1280, 300, 2


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    left_out : rows of leave-one-out; alone : times that one query alone is asked in each round."""

    rounds: int = 5
    rows: int = 50_000
    queries: int = 1_000
    left_out: int = 20_000
    alone: int = 20


SMALLEST = Sizes(rounds=1, rows=400, queries=20, left_out=200, alone=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the medians and the ratios."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST, {"--vectors": {"type": Path}})
    sizes, vectors, n = run.sizes, run.options.vectors, run.sizes.queries
    rows = random_rows(sizes.rows + n) if vectors is None else np.load(vectors).astype(np.float32)
    reference, queries = np.ascontiguousarray(rows[n:][: sizes.rows]), np.ascontiguousarray(rows[:n])
    report = run.report("exact_search")
    report.say(f"{len(reference):,} x {rows.shape[1]}, {vectors or f'{CENTRES} random centres, seed 0'}, k = 2")
    report.say(
        f"load average at the start: {os.getloadavg()[0]:.1f} (others'; above 0.5, run all again when it is quiet)"
    )
    compare(report, f"batch of {n:,}", searches(reference, queries), sizes.rounds, 1)
    compare(report, "one query alone", searches(reference, queries[:1]), sizes.rounds, sizes.alone)
    left_out = leaving_out(reference[: sizes.left_out])
    compare(report, f"leave-one-out of {sizes.left_out:,}", left_out, sizes.rounds, 1)
    report.say(f"load average at the end, this benchmark included: {os.getloadavg()[0]:.1f}")
    report.save()


def random_rows(n: int) -> np.ndarray:
    """Make rows that look like root-normalized embeddings."""
    rng = np.random.default_rng(0)
    centres = rng.exponential(size=(CENTRES, DIMENSION)).astype(np.float32)
    rows = rng.standard_exponential((n, DIMENSION), np.float32)
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
    from pyod.models.knn import KNN

    blocks, members = [Block(rows)], np.arange(len(rows))
    return {
        "dn2": lambda: LeaveOneOut.of(blocks, ExactIndex(blocks), members, NEIGHBORS),
        "PyOD KNN(n_neighbors=2, method='mean').fit": lambda: KNN(n_neighbors=NEIGHBORS, method="mean").fit(rows),
        "dn2 without symmetry": lambda: ExactIndex(blocks).search(rows, NEIGHBORS, Excluded.own(members)),
    }


def compare(report: Report, title: str, ways: dict[str, Callable[[], object]], rounds: int, times: int) -> None:
    """Run all ways in turn, some rounds, and say what each takes and how much longer than the first."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(seconds(lambda way=way: [way() for _ in range(times)]) / times)
    report.say(f"{title}: ms, and times dn2's")
    ours = median(taken["dn2"])
    for name, times_taken in taken.items():
        middle = median(times_taken)
        report.say(f"  {name:<44}{1e3 * middle:10.1f}{middle / ours:8.2f}")


if __name__ == "__main__":
    main()

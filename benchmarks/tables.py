"""kNN on ADBench's tables: dn2's default and plain z-scores, a random half of the normal rows as reference.

Run: python benchmarks/tables.py [--seeds 5] [--sets 38_thyroid --sets 45_wine]

The other half and all anomalies are queries.  dn2's way to scale columns was chosen on 15 of the sets, every other one
of the list; the other 16 were only measured.  Plain z-scores are scikit-learn's, scaling and search, in float64.
A run of all sets with the default number of seeds is kept as the result.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from common import Report, begin, timed
from dn2.bench.result import mean_over_seeds
from dn2.bench.scoring import average_precision, roc_auc
from dn2.kinds.kind import USUAL_NEIGHBORS as N_NEIGHBORS
from dn2.kinds.table.bench.data import TabularSet, read_sets
from dn2.kinds.table.bench.methods import dn2_distances, z_scores

FOLDER = "tabular_adbench"
NEIGHBORS = (1, 2, 5)
N_CHOSEN_ON = 15

# (method, k, seed): ROC AUC and average precision, of one set.
Figures = dict[tuple[str, int, int], tuple[float, float]]


@dataclass(frozen=True)
class Sizes:
    """How many random halves are drawn."""

    seeds: int = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Print means over the sets, then the default's figures for each."""
    flags = {"--sets": {"action": "append", "metavar": "NAME", "help": "only this one; repeat for several"}}
    run = begin(__doc__, arguments, Sizes(), Sizes(seeds=2), flags)
    seeds, options = run.sizes.seeds, run.options
    with open(run.need(f"{FOLDER}/list.csv"), newline="") as file:
        known = [row["file"].removesuffix(".npz") for row in csv.DictReader(file)]
    if unknown := set(options.sets or ()) - set(known):
        sys.exit(f"{min(unknown)} is no set; choose from {', '.join(known)}")
    chosen_on = known[0::2][:N_CHOSEN_ON]
    found: dict[str, Figures] = {}
    sizes: dict[str, str] = {}
    for name in options.sets or known:
        (one,) = read_sets(run.need(f"{FOLDER}/{name}.npz"), max(NEIGHBORS))
        taken, found[name] = timed(lambda one=one: measure(one, seeds))
        sizes[name] = f"{len(one.rows):>8,} {one.rows.shape[1]:>6,} {int(one.anomalous.sum()):>9,}"
        print(f"{len(found)} of {len(options.sets or known)}: {name}, {taken:.1f} s", file=sys.stderr, flush=True)
    report = run.report("tables")
    parts = {
        "Sets that dn2's scaling was chosen on": [name for name in found if name in chosen_on],
        "Other sets": [name for name in found if name not in chosen_on],
        "All sets": list(found),
    }
    for what, names in parts.items():
        say_means(report, what, [found[name] for name in names], seeds)
    report.say(f"\ndn2's default, k = {N_NEIGHBORS}, by set; * the scaling was chosen on it:")
    report.say(f"  {'set':<20} {'rows':>8} {'columns':>6} {'anomalies':>8}   ROC AUC          average precision")
    for name, figures in found.items():
        cells = [mean([figures], "dn2", N_NEIGHBORS, place) for place in (0, 1)]
        report.say(f"  {name + '*' * (name in chosen_on):<20} {sizes[name]}   {cells[0]:<16} {cells[1]}")
    if run.options.output or (options.sets is None and run.sizes == Sizes()):
        report.save()


def measure(one: TabularSet, seeds: int) -> Figures:
    """Measure each method with each number of neighbours on each split of a set."""
    figures: Figures = {}
    for seed in range(seeds):
        split = one.split(seed)
        reference, queries = one.rows[split.reference], one.rows[split.queries]
        for method, search in (("z-scores", plain_distances), ("dn2", dn2_distances)):
            distances = search(reference, queries, max(NEIGHBORS))
            for k in NEIGHBORS:
                scores = distances[:, :k].mean(axis=1, dtype=np.float64)
                figures[method, k, seed] = roc_auc(scores, split.truth), average_precision(scores, split.truth)
    return figures


def plain_distances(reference: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the squared distances to the k nearest in z-scores, (n_queries, k)."""
    known, asked = z_scores(reference, queries)
    return NearestNeighbors(n_neighbors=k).fit(known).kneighbors(asked)[0] ** 2


def say_means(report: Report, what: str, sets: Sequence[Figures], seeds: int) -> None:
    """Print the means over some sets, a line for each method and number of neighbours."""
    if not sets:
        return
    report.say(f"\n{what}, {len(sets)}; {seeds} seeds, mean +- standard error over seeds, in %:")
    report.say(f"  {'':<18} ROC AUC          average precision")
    for method in ("z-scores", "dn2"):
        for k in NEIGHBORS:
            cells = [mean(sets, method, k, place) for place in (0, 1)]
            default = "  (default)" if (method, k) == ("dn2", N_NEIGHBORS) else ""
            report.say(f"  {f'{method}, k = {k}':<18} {cells[0]:<16} {cells[1]}{default}")


def mean(sets: Sequence[Figures], method: str, k: int, place: int) -> str:
    """Average one figure over sets and then over seeds, in %."""
    of_method = (
        (seed, values[place])
        for figures in sets
        for (name, neighbors, seed), values in figures.items()
        if (name, neighbors) == (method, k)
    )
    found = mean_over_seeds(of_method)
    assert found is not None
    error = "" if found.error is None else f" +- {100 * found.error:.2f}"
    return f"{100 * found.value:.2f}{error}"


if __name__ == "__main__":
    main()

"""Protocol: tables, a random half of the normal rows being the reference.

Source: Bergman, Hoshen, "Classification-Based Anomaly Detection for General Data" (GOAD), 2020, which reports F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dn2.bench.context import ProgressFactory
from dn2.bench.result import FurtherRow, Measurement, Result
from dn2.bench.scoring import average_precision, f1_of_as_many
from dn2.kinds.kind import USUAL_NEIGHBORS
from dn2.kinds.table.bench import TABULAR, TabularOptions
from dn2.kinds.table.bench.data import TabularSet, read_sets
from dn2.kinds.table.bench.methods import MOST_REFERENCE, TabularMethod, find_rival_methods, own_methods

PRECISION, F1 = "average precision", "F1"


def run(data: Path, options: TabularOptions, progress_of: ProgressFactory) -> Result:
    """Run the protocol; see `Protocol`."""
    k = options.neighbors or USUAL_NEIGHBORS
    methods, notes = find_methods(k, options.rivals)
    return tabular(read_sets(data, k), methods, notes, seeds=options.seeds, progress_of=progress_of)


def find_methods(n_neighbors: int, rivals: bool) -> tuple[list[TabularMethod], list[str]]:
    """List the methods, dn2's first, and lines for below the table; rivals : whether other libraries' are among them.

    Raises MissingExtra for rivals without PyOD."""
    methods = own_methods(n_neighbors)
    if not rivals:
        return methods, []
    rival_methods, notes = find_rival_methods()
    words = "Rivals: PyOD's, each with its defaults, on the z-scores that kNN gets."
    return methods + rival_methods, [words, *notes]


def tabular(
    sets: Sequence[TabularSet],
    methods: Sequence[TabularMethod],
    notes: Sequence[str],
    *,
    seeds: int,
    progress_of: ProgressFactory,
) -> Result:
    """Score the other half of the normal rows, and all anomalies, against a random half of the normal rows.

    Parameters
    ----------
    sets : sequence of TabularSet
    methods : sequence of TabularMethod
    notes : sequence of str
        Lines on the methods, for below the table.
    seeds : int
        Number of random halves.
    progress_of : ProgressFactory"""
    result = Result(TABULAR.title, "set", further_rows=[FurtherRow(PRECISION), FurtherRow(F1)])
    runs = [(table, seed, method) for table in sets for seed in range(seeds) for method in methods]
    with progress_of("tables") as show:
        for done, (table, seed, method) in enumerate(runs, 1):
            result.measurements.append(_measure(result, table, seed, method))
            show(done, len(runs))
    result.notes = [_describe(sets), *notes, *_restrictions(sets, methods)]
    result.notes.append(
        "F1 is that of flagging as many rows as there are anomalies, of equal scores the normal ones first; it and "
        "average precision are in %, too. The CSV has both for every set."
    )
    return result


def _measure(result: Result, table: TabularSet, seed: int, method: TabularMethod) -> Measurement:
    split = table.split(seed)
    split = replace(split, reference=method.restrict(split.reference, seed))
    with result.timing(method.name):
        scores = method.fit(table.rows[split.reference], table.rows[split.queries], seed)
    figures = {PRECISION: average_precision(scores, split.truth), F1: f1_of_as_many(scores, split.truth)}
    return Measurement.of(method.name, table.name, "y = 0", seed, split, scores, **figures)


def _describe(sets: Sequence[TabularSet]) -> str:
    n_rows, n_anomalies = sum(len(table.rows) for table in sets), sum(int(table.anomalous.sum()) for table in sets)
    sets_in_words = "1 set" if len(sets) == 1 else f"{len(sets)} sets"
    return (
        f"{sets_in_words}, {n_rows:,} rows, {n_anomalies:,} of them anomalies; for each seed a random half of the "
        "normal rows is the reference, the other half and all anomalies are queries."
    )


def _restrictions(sets: Sequence[TabularSet], methods: Sequence[TabularMethod]) -> list[str]:
    """Say which methods get only a part of which sets."""
    names = [method.name for method in methods if method.most_reference is not None]
    large = [table.name for table in sets if table.n_reference > MOST_REFERENCE]
    if not (names and large):
        return []
    return [f"{', '.join(names)} get a random {MOST_REFERENCE:,} of the reference rows of {', '.join(large)}."]

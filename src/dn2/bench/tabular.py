"""Protocol: tables, a random half of the normal rows being the reference.

Source: Bergman, Hoshen, "Classification-Based Anomaly Detection for General Data" (GOAD), 2020, which reports F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dn2.bench.context import measured, timed
from dn2.bench.embeddings import Watch
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import average_precision, f1_of_as_many
from dn2.bench.tabular_data import TabularSet
from dn2.bench.tabular_methods import MOST_REFERENCE, TabularMethod, find_rival_methods, own_methods


def find_methods(n_neighbors: int, rivals: bool) -> tuple[list[TabularMethod], list[str]]:
    """List the methods, dn2's first, and lines for below the table; rivals : whether other libraries' are among them.

    Raises MissingExtra for rivals without PyOD."""
    methods = own_methods(n_neighbors)
    if not rivals:
        return methods, []
    others, notes = find_rival_methods()
    words = "Rivals: PyOD's, each with its defaults, on the z-scores that kNN gets."
    return methods + others, [words, *notes]


def tabular(
    sets: Sequence[TabularSet], methods: Sequence[TabularMethod], notes: Sequence[str], *, seeds: int, watch: Watch
) -> Result:
    """Score the other half of the normal rows, and all anomalies, against a random half of the normal rows.

    notes : on the methods, for below the table; seeds : number of random halves."""
    result = Result("Tables, half of the normal rows as reference", "set", others_below=True)
    runs = [(one, seed, method) for one in sets for seed in range(seeds) for method in methods]
    with watch("tables") as show:
        for done, (one, seed, method) in enumerate(runs, 1):
            result.measurements.append(_run(result, one, seed, method))
            show(done, len(runs))
    result.notes = [_describe(sets), *notes, *_restrictions(sets, methods)]
    result.notes.append(
        "F1 is that of flagging as many rows as there are anomalies, of equal scores the normal ones first; it and "
        "average precision are in %, too. The CSV has both for every set."
    )
    return result


def _run(result: Result, one: TabularSet, seed: int, method: TabularMethod) -> Measurement:
    split = one.split(seed)
    split = replace(split, reference=method.restrict(split.reference, seed))
    with timed(result, method.name):
        scores = method.fit(one.rows[split.reference], one.rows[split.queries], seed)
    figures = {"average precision": average_precision(scores, split.truth), "F1": f1_of_as_many(scores, split.truth)}
    return measured(method.name, one.name, "y = 0", seed, split, scores, **figures)


def _describe(sets: Sequence[TabularSet]) -> str:
    n_rows, n_anomalies = sum(len(one.rows) for one in sets), sum(int(one.anomalous.sum()) for one in sets)
    what = "1 set" if len(sets) == 1 else f"{len(sets)} sets"
    return (
        f"{what}, {n_rows:,} rows, {n_anomalies:,} of them anomalies; for each seed a random half of the normal rows "
        "is the reference, the other half and all anomalies are queries."
    )


def _restrictions(sets: Sequence[TabularSet], methods: Sequence[TabularMethod]) -> list[str]:
    """Say which methods get which sets in part."""
    names = [method.name for method in methods if method.most_reference is not None]
    large = [one.name for one in sets if one.n_reference > MOST_REFERENCE]
    if not (names and large):
        return []
    return [f"{', '.join(names)} get a random {MOST_REFERENCE:,} of the reference rows of {', '.join(large)}."]

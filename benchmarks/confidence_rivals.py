"""The rivals of `confidence.py`, nonconform's certificates and PyOD's thresholds, and the process that decides by them.

Run by `confidence.py` in an environment of their own, with nonconform and PyOD and without dn2:
PYTHON benchmarks/confidence_rivals.py TASKS DECISIONS
"""

from __future__ import annotations

import logging
import sys
import warnings
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

Rows = Any  # (n, d)
Flags = Any  # (rates, queries), whether a query is flagged at a rate

CERTIFICATES = (
    "nonconform, certificate, its defaults",
    "nonconform, certificate",
    "nonconform, conditional p",
    "nonconform, conditional p, best",
)
THRESHOLDS = ("PyOD kNN, contamination", "PyOD kNN, k = 2, contamination", "PyOD kNN, quantile of scores")

# Finite-sample maps of nonconform's conditional p-values: its default, and Simes' with k = m / 1 ... m / 5.
MAPS: tuple[dict[str, Any], ...] = ({"method": "mc"}, *({"method": "simes", "simes_kden": k} for k in range(1, 6)))
SIMULATED_AT_ONCE = 1 << 25  # numbers


def items_for_certificate(rate: float, confidence: float) -> int:
    """Return how many calibrating items nonconform's certificate takes for a threshold that is not infinite."""
    from scipy.stats import ksone

    enough = 1
    while ksone.ppf(confidence, enough) > rate:
        enough *= 2
    few = enough // 2
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if ksone.ppf(confidence, middle) <= rate else (middle, enough)
    return enough


@cache
def conditional(m: int, confidence: float, rate: float | None = None) -> Any:
    """Return nonconform's conditional p-values for m calibrating items.

    rate : the map that flags most at it, by m alone; None takes the default."""
    from nonconform.scoring import ConditionalEmpirical

    simulations = max(100, min(10_000, SIMULATED_AT_ONCE // m))  # 10,000 is the default
    made = [ConditionalEmpirical(delta=1 - confidence, mc_num_simulations=simulations, **one) for one in MAPS]
    for one in made:
        one.set_seed(0)
    if rate is None:
        return made[0]
    ranked, ladder = np.arange(1.0, m + 1), np.arange(m + 0.5, 0, -1)
    return max(made, key=lambda one: int((one.compute_p_values(ladder, ranked) <= rate).sum()))


def decide(task: dict[str, Any], rates: Any, confidence: float) -> dict[str, Flags]:
    """Decide about the queries of a task at each rate by each rival.

    task : `reference` (n, d), `queries` (q, d), `seed`, and the positions of the items to `fit` and to `calibrate`
    with: all n items halved at random by nonconform itself where these are empty."""
    from nonconform import ConformalDetector, Split
    from pyod.models.knn import KNN

    reference, queries, seed = task["reference"], task["queries"], int(task["seed"])
    usual = ConformalDetector(KNN(), Split(), seed=seed).fit(reference)
    if len(task["calibrate"]):
        fitted = KNN(n_neighbors=2, method="mean").fit(reference[task["fit"]])
        alike = ConformalDetector(fitted, Split(), seed=seed)
        alike.calibrate(reference[task["calibrate"]])
    else:
        alike = ConformalDetector(KNN(n_neighbors=2, method="mean"), Split(n_calib=0.5), seed=seed).fit(reference)
    found, calibrating, m = {}, alike.calibration_set, len(alike.calibration_set)
    scores = alike.score_samples(queries)
    for name, detector, own in zip(CERTIFICATES, (usual, alike), (usual.score_samples(queries), scores), strict=False):
        certificate = detector.fpr_bounds(confidence=confidence)
        found[name] = [certificate.select(own, target_fpr=float(rate)) for rate in rates]
    p_values = conditional(m, confidence).compute_p_values(scores, calibrating)
    found[CERTIFICATES[2]] = [p_values <= rate for rate in rates]
    best = [conditional(m, confidence, float(rate)).compute_p_values(scores, calibrating) for rate in rates]
    found[CERTIFICATES[3]] = [p_values <= rate for p_values, rate in zip(best, rates, strict=True)]
    for name, options in zip(THRESHOLDS, ({}, {"n_neighbors": 2, "method": "mean"}), strict=False):
        knn = KNN(contamination=float(rates[0]), **options).fit(reference)
        scores, training = knn.decision_function(queries), knn.decision_scores_
        thresholds = np.percentile(training, 100 * (1 - np.asarray(rates)))  # as PyOD sets it
        assert thresholds[0] == knn.threshold_
        found[name] = [scores > threshold for threshold in thresholds]
        if not options:
            naive = np.percentile(knn.decision_function(reference), 100 * (1 - np.asarray(rates)))
            found[THRESHOLDS[2]] = [scores > threshold for threshold in naive]
    return {name: np.array(flags) for name, flags in found.items()}


def answer(tasks: str, decisions: str) -> None:
    """Decide about all tasks in a file, and write the decisions into another."""
    found: dict[str, Any] = {}
    with np.load(tasks, allow_pickle=False) as given:
        names = [name.removesuffix("/reference") for name in given.files if name.endswith("/reference")]
        for name in names:
            task = {key: given[f"{name}/{key}"] for key in ("reference", "queries", "fit", "calibrate", "seed")}
            for rival, flags in decide(task, given["rates"], float(given["confidence"])).items():
                found[f"{name}/{rival}"] = flags
    np.savez(decisions, **found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if sys.argv[1:]:
        answer(*sys.argv[1:])
    else:
        print(f"nonconform {version('nonconform')}, PyOD {version('pyod')}")

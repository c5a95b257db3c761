"""dn2 as its users have it: scores of the detector of `dn2.fit`, or equal scores by a faster way."""

from __future__ import annotations

from collections.abc import Callable

from dn2.arrays import Distances, Scores, Vectors
from dn2.bench.scoring import rows_of
from dn2.bench.split import Split
from dn2.errors import ReferenceTooSmall
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.detector import Detector
from dn2.neighbors.plan import Plan
from dn2.neighbors.steps import Steps
from dn2.system.interface import option


def compares_all(steps: Steps, n: int, dimension: int) -> bool:
    """Tell whether the detector of n rows compares a query with all of them, normalised and not changed otherwise.

    Then its distances are those of `nearest_distances`, and distances to parts of the set can be merged."""
    plan = Plan.of(steps, n, dimension)
    return not plan.learns and plan.method.name == "exact" and plan.storage == "float32"


def scores_of(steps: Steps, embeddings: Vectors, split: Split, find_nearest: Callable[[int], Distances]) -> Scores:
    """Score the queries of a split as a model of `dn2.fit` does.

    Parameters
    ----------
    steps : Steps
        See `Kind.steps`.
    embeddings : ndarray of shape (n, d)
        The vectors of all items, before any normalisation.
    split : Split
        Which items are the reference, and which are queries.
    find_nearest : callable
        Given k, returns the (n_queries, k) squared distances that `nearest_distances` finds among normalised rows, by
        searches that several reference sets share.  Used where the detector compares with all rows.

    Returns
    -------
    ndarray of shape (n_queries,)
        Anomaly scores; higher is more anomalous.

    Raises
    ------
    ReferenceTooSmall
        For fewer reference items than neighbours."""
    n, k = len(split.reference), int(steps.n_neighbors)
    check_neighbors(k, n, "the reference set")
    if compares_all(steps, n, embeddings.shape[1]):
        return mean_squared_distance(find_nearest(k))
    detector = Detector.fit(steps, rows_of(embeddings, split.reference))
    return detector.anomaly_score(rows_of(embeddings, split.queries))


def check_neighbors(k: int, n: int, what: str) -> None:
    """Raise ReferenceTooSmall, before the work, unless k is below the size n of a reference set.

    what : the set, in words."""
    if k >= n:
        raise ReferenceTooSmall(
            f"{k} neighbours need at least {k + 1} reference items, {what} has {n}; add more, choose other classes "
            f"with {option('classes')} and {option('normal')}, or ask for fewer with {option('neighbors')}"
        )

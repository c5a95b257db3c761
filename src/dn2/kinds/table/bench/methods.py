"""Methods that score the rows of a table: dn2, kNN on z-scores, and PyOD's with their defaults.

PyOD's methods get z-scores, too: a common and fair scaling.  OCSVM, KNN and LOF use distances and need a scaling,
DeepSVDD standardises its input itself, and ECOD, COPOD and Isolation Forest rank alike at any scale of a column."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dn2.arrays import Array, Distances, Numbers, Positions, Scores
from dn2.bench.rivals import deep_svdd, flatten_scores, note_missing_deep_svdd
from dn2.bench.scoring import nearest_distances
from dn2.errors import MissingExtra
from dn2.kinds.table.kind import TableKind
from dn2.kinds.table.options import TableOptions
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.detector import Detector

# Rivals that are quadratic in the reference rows get at most so many of them.
MOST_REFERENCE = 20_000

# Fits on the reference, (n, d), and scores the queries, (m, d), with a seed: (m,), higher is more anomalous.
TabularFit = Callable[[Array, Array, int], Scores]


@dataclass(frozen=True)
class TabularMethod:
    """A method that is fitted on the reference rows, as they are in the file, and scores the query rows.

    most_reference : the most reference rows that it takes, drawn at random from more; None for all."""

    name: str
    fit: TabularFit
    most_reference: int | None = None

    def restrict(self, reference: Positions, seed: int) -> Positions:
        """Draw the reference rows that the method takes, by position."""
        if self.most_reference is None or len(reference) <= self.most_reference:
            return reference
        return np.sort(np.random.default_rng(seed).permutation(reference)[: self.most_reference])


def own_methods(n_neighbors: int) -> list[TabularMethod]:
    """Make dn2's method and the paper's, with k neighbours each."""

    def dn2(reference: Array, queries: Array, seed: int) -> Scores:
        return mean_squared_distance(dn2_distances(reference, queries, n_neighbors))

    def plain(reference: Array, queries: Array, seed: int) -> Scores:
        reference_rows, query_rows = (np.ascontiguousarray(rows, np.float32) for rows in z_scores(reference, queries))
        return mean_squared_distance(nearest_distances(reference_rows, query_rows, n_neighbors))

    return [TabularMethod(f"dn2, k = {n_neighbors}", dn2), TabularMethod(f"kNN on z-scores, k = {n_neighbors}", plain)]


def dn2_distances(reference: Array, queries: Array, k: int) -> Distances:
    """Search as a model of `dn2.fit` does, without the rows of its results and their evidence.

    Parameters
    ----------
    reference : ndarray of shape (n, d)
    queries : ndarray of shape (n_queries, d)
    k : int
        Number of neighbours.

    Returns
    -------
    ndarray of shape (n_queries, k)
        Squared L2 distances between rows with scaled columns, ascending."""
    options = TableOptions(neighbors=k)
    kind, reference_table = TableKind.learn(as_columns(reference), options, None, None)
    fitted = kind.reference(reference_table, None)
    detector = Detector.fit(fitted.kind.steps(options, len(fitted.items)), fitted.vectors)
    batches = fitted.kind.embed(fitted.kind.find(as_columns(queries)), None)
    return np.concatenate([detector.search(batch.vectors)[0] for batch in batches])


def as_columns(rows: Array) -> dict[str, Numbers]:
    """Return the columns of rows, (n, d), as a table in memory: (n,) float64 each, by name."""
    return {f"column {number}": column.astype(np.float64) for number, column in enumerate(rows.T)}


def z_scores(reference: Array, queries: Array) -> tuple[Array, Array]:
    """Bring each column of the reference to mean 0 and variance 1, and the queries alike, as (n, d) float64."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(reference.astype(np.float64))
    return scaler.transform(reference.astype(np.float64)), scaler.transform(queries.astype(np.float64))


def find_rival_methods() -> tuple[list[TabularMethod], list[str]]:
    """Make the rivals that are installed.

    Returns the rivals, and a line on each that is left out.  Raises MissingExtra without PyOD."""
    if importlib.util.find_spec("pyod") is None:
        raise MissingExtra("the rivals on tables need pyod; run: pip install 'dn2[bench]'")
    rivals = [
        TabularMethod("PyOD KNN", _on_z_scores(_nearest), MOST_REFERENCE),
        TabularMethod("PyOD LOF", _on_z_scores(_local_outlier_factor), MOST_REFERENCE),
        TabularMethod("PyOD OCSVM", _on_z_scores(_one_class_svm), MOST_REFERENCE),
        TabularMethod("PyOD IForest", _on_z_scores(_isolation_forest)),
        TabularMethod("PyOD ECOD", _on_z_scores(_ecod)),
        TabularMethod("PyOD COPOD", _on_z_scores(_copod)),
    ]
    left_out = note_missing_deep_svdd()
    return rivals + [TabularMethod("PyOD DeepSVDD", _on_z_scores(deep_svdd))] * (not left_out), left_out


def _on_z_scores(fit: TabularFit) -> TabularFit:
    def scores(reference: Array, queries: Array, seed: int) -> Scores:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about equal rows and constant columns, common in tables
            return fit(*z_scores(reference, queries), seed)

    return scores


def _nearest(reference: Array, queries: Array, seed: int) -> Scores:
    from pyod.models.knn import KNN

    k = min(5, len(reference) - 1)  # 5 is the default
    return flatten_scores(KNN(n_neighbors=k).fit(reference).decision_function(queries))


def _local_outlier_factor(reference: Array, queries: Array, seed: int) -> Scores:
    from pyod.models.lof import LOF

    k = min(20, len(reference) - 1)  # 20 is the default
    return flatten_scores(LOF(n_neighbors=k).fit(reference).decision_function(queries))


def _one_class_svm(reference: Array, queries: Array, seed: int) -> Scores:
    from pyod.models.ocsvm import OCSVM

    return flatten_scores(OCSVM().fit(reference).decision_function(queries))


def _isolation_forest(reference: Array, queries: Array, seed: int) -> Scores:
    from pyod.models.iforest import IForest

    return flatten_scores(IForest(random_state=seed).fit(reference).decision_function(queries))


def _ecod(reference: Array, queries: Array, seed: int) -> Scores:
    from pyod.models.ecod import ECOD

    return flatten_scores(ECOD().fit(reference).decision_function(queries))


def _copod(reference: Array, queries: Array, seed: int) -> Scores:
    from pyod.models.copod import COPOD

    return flatten_scores(COPOD().fit(reference).decision_function(queries))

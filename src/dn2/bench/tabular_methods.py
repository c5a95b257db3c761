"""Ways to score the rows of a table: dn2's, kNN on z-scores, and PyOD's with PyOD's defaults.

PyOD's get z-scores, too: a common and fair scaling.  OCSVM, KNN and LOF rest on distances and need one, DeepSVDD
standardises what it gets itself, and ECOD, COPOD and Isolation Forest rank alike whatever the scale of a column."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dn2.bench.data import Positions
from dn2.bench.rivals import deep_svdd, flat, without_deep_svdd
from dn2.bench.scoring import nearest_distances
from dn2.bench.tabular_data import Rows
from dn2.embed.tables import TableEmbedder
from dn2.embedding import Vectors
from dn2.errors import MissingExtra
from dn2.neighbors.conformal import Scores, mean_squared_distance
from dn2.neighbors.detector import KNNDetector

N_NEIGHBORS = 2
# A rival that is quadratic in the reference rows gets so many of them at most.
MOST_REFERENCE = 20_000

# Fits on the reference, (n, d), and scores the queries, (m, d), with a seed: (m,), higher is more anomalous.
TabularFit = Callable[[Rows, Rows, int], Scores]


@dataclass(frozen=True)
class TabularMethod:
    """A method that is fitted on the reference rows, as they are in the file, and scores the query rows.

    most_reference : how many reference rows it takes; of more, a random draw.  None for all."""

    name: str
    fit: TabularFit
    most_reference: int | None = None

    def restrict(self, reference: Positions, seed: int) -> Positions:
        """Draw the reference rows that it takes, by position."""
        if self.most_reference is None or len(reference) <= self.most_reference:
            return reference
        return np.sort(np.random.default_rng(seed).permutation(reference)[: self.most_reference])


def own_methods(n_neighbors: int) -> list[TabularMethod]:
    """Make dn2's method and the paper's, with k neighbours each."""

    def dn2(reference: Rows, queries: Rows, seed: int) -> Scores:
        return mean_squared_distance(dn2_distances(reference, queries, n_neighbors))

    def plain(reference: Rows, queries: Rows, seed: int) -> Scores:
        known, asked = (np.ascontiguousarray(rows, np.float32) for rows in z_scores(reference, queries))
        return mean_squared_distance(nearest_distances(known, asked, n_neighbors))

    return [TabularMethod(f"dn2, k = {n_neighbors}", dn2), TabularMethod(f"kNN on z-scores, k = {n_neighbors}", plain)]


def dn2_distances(reference: Rows, queries: Rows, k: int) -> Vectors:
    """Search as dn2 does by default among the rows of a table, as `dn2.fit` would read them.

    Returns squared distances between scaled rows, (n_queries, k), ascending."""
    known, asked = (dict(enumerate_columns(rows)) for rows in (reference, queries))
    embedder = TableEmbedder.learn(known)
    detector = KNNDetector(k, scale_columns=True, categorical_columns=embedder.categorical)
    detector.fit(embedder.embed(embedder.read(known)[0]))
    return detector.search(embedder.embed(embedder.read(asked)[0]))[0]


def enumerate_columns(rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Give the columns of rows, (n, d), as (n,) float64 with names."""
    for number, column in enumerate(rows.T):
        yield f"column {number}", column.astype(np.float64)


def z_scores(reference: Rows, queries: Rows) -> tuple[Rows, Rows]:
    """Bring each column of the reference to mean 0 and variance 1, and the queries alike, as (n, d) float64."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(reference.astype(np.float64))
    return scaler.transform(reference.astype(np.float64)), scaler.transform(queries.astype(np.float64))


def find_rival_methods() -> tuple[list[TabularMethod], list[str]]:
    """Make the rivals that are installed.

    Returns them, and a line on each that is left out.  Raises MissingExtra without PyOD."""
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
    left_out = without_deep_svdd()
    return rivals + [TabularMethod("PyOD DeepSVDD", _on_z_scores(deep_svdd))] * (not left_out), left_out


def _on_z_scores(fit: TabularFit) -> TabularFit:
    def scores(reference: Rows, queries: Rows, seed: int) -> Scores:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of equal rows and constant columns, which tables are full of
            return fit(*z_scores(reference, queries), seed)

    return scores


def _nearest(reference: Rows, queries: Rows, seed: int) -> Scores:
    from pyod.models.knn import KNN

    k = min(5, len(reference) - 1)  # 5 is the default
    return flat(KNN(n_neighbors=k).fit(reference).decision_function(queries))


def _local_outlier_factor(reference: Rows, queries: Rows, seed: int) -> Scores:
    from pyod.models.lof import LOF

    k = min(20, len(reference) - 1)  # 20 is the default
    return flat(LOF(n_neighbors=k).fit(reference).decision_function(queries))


def _one_class_svm(reference: Rows, queries: Rows, seed: int) -> Scores:
    from pyod.models.ocsvm import OCSVM

    return flat(OCSVM().fit(reference).decision_function(queries))


def _isolation_forest(reference: Rows, queries: Rows, seed: int) -> Scores:
    from pyod.models.iforest import IForest

    return flat(IForest(random_state=seed).fit(reference).decision_function(queries))


def _ecod(reference: Rows, queries: Rows, seed: int) -> Scores:
    from pyod.models.ecod import ECOD

    return flat(ECOD().fit(reference).decision_function(queries))


def _copod(reference: Rows, queries: Rows, seed: int) -> Scores:
    from pyod.models.copod import COPOD

    return flat(COPOD().fit(reference).decision_function(queries))

"""Other methods on the same splits, each with what its library recommends.

They get the embeddings that dn2 gets, normalised alike; but DeepSVDD, which standardises what it gets, is given them at
unit length, which measures better for it, and one rival compares raw pixels."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.bench.data import ClassFolders, Split
from dn2.bench.embeddings import Watch, read_pixels
from dn2.bench.scoring import nearest_distances, rows_of
from dn2.embedding import Vectors
from dn2.neighbors.conformal import Scores, mean_squared_distance
from dn2.neighbors.normalize import normalize

PIXEL_NEIGHBORS = 2

# Fits on the reference, (n, d), and scores the queries, (m, d), with a seed: (m,), higher is more anomalous.
Fit = Callable[[Vectors, Vectors, int], Scores]


@dataclass(frozen=True)
class Rival:
    """A method that is fitted on the reference rows and scores the query rows.

    rows : what it gets of each picture, (n, d), of any number type."""

    name: str
    random: bool
    rows: np.ndarray[Any, Any]
    fit: Fit

    def scores(self, split: Split, seed: int) -> Scores:
        """Return the anomaly scores of the split's queries, (n_queries,)."""
        reference, queries = (
            rows_of(self.rows, places).astype(np.float32, copy=False) for places in (split.reference, split.queries)
        )
        return self.fit(reference, queries, seed)


def find_rivals(vectors: Vectors, plain: Vectors, data: ClassFolders, watch: Watch) -> tuple[list[Rival], list[str]]:
    """Make the rivals that are installed.

    vectors : (n, d) the embeddings as dn2 normalises them; plain : not normalised.
    Returns them, and a line for each that is left out."""
    pixels = read_pixels([item.path for item in data.items], watch)
    rivals = [
        Rival("OC-SVM", False, vectors, one_class_svm),
        Rival("Isolation Forest", True, vectors, _isolation_forest),
        Rival("LOF", False, vectors, _local_outlier_factor),
        Rival("Mahalanobis, Ledoit-Wolf", False, vectors, mahalanobis),
        Rival(f"pixels, k = {PIXEL_NEIGHBORS}", False, pixels, _pixel_neighbors),
    ]
    if without := without_deep_svdd():
        return rivals, without
    return [*rivals, Rival("DeepSVDD", True, normalize(plain, "unit"), deep_svdd)], []


def without_deep_svdd() -> list[str]:
    """Say that DeepSVDD is left out, and why, in a line; nothing where it is installed."""
    if missing := [name for name in ("pyod", "torch") if importlib.util.find_spec(name) is None]:
        return [f"DeepSVDD is left out: {' and '.join(missing)} not installed; run: pip install 'dn2[bench,torch]'."]
    return []


def one_class_svm(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Fit scikit-learn's one-class SVM on the reference rows, (n, d), and score the query rows, (m, d)."""
    from sklearn.svm import OneClassSVM

    return -flat(OneClassSVM().fit(reference).score_samples(queries))


def _isolation_forest(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    from sklearn.ensemble import IsolationForest

    return -flat(IsolationForest(random_state=seed).fit(reference).score_samples(queries))


def _local_outlier_factor(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    from sklearn.neighbors import LocalOutlierFactor

    fitted = LocalOutlierFactor(min(20, len(reference) - 1), novelty=True).fit(reference)  # 20 is the default
    return -flat(fitted.score_samples(queries))


def mahalanobis(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Score query rows, (m, d), by the Mahalanobis distance to the reference rows, (n, d), with Ledoit and Wolf's
    covariance."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(reference.astype(np.float64))
    away = queries - fitted.location_
    return flat(((away @ fitted.precision_) * away).sum(axis=1))  # its own mahalanobis() is many times slower


def _pixel_neighbors(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    return mean_squared_distance(nearest_distances(reference, queries, PIXEL_NEIGHBORS))


def deep_svdd(reference: np.ndarray[Any, Any], queries: np.ndarray[Any, Any], seed: int) -> Scores:
    """Fit PyOD's DeepSVDD on the reference rows, (n, d), and score the query rows, (m, d)."""
    from pyod.models.deep_svdd import DeepSVDD

    detector = DeepSVDD(n_features=reference.shape[1], random_state=seed, verbose=0)
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002  PyOD shuffles by the global generator
    try:
        return flat(detector.fit(reference).decision_function(queries))
    finally:
        np.random.set_state(before)  # noqa: NPY002


def flat(scores: Sequence[float]) -> Scores:
    """Return the scores that a library gives, of any shape and number type, as (n,) float64."""
    return np.asarray(scores, np.float64).reshape(-1)

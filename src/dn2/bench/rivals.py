"""Other methods on the same splits, each with the defaults of its library.

They get the embeddings that dn2 gets, normalised alike.  Exceptions: DeepSVDD, which standardises its input, gets them
at unit length, which measures better for it; and one rival compares raw pixels."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dn2.arrays import Array, Scores, Vectors
from dn2.bench.scoring import rows_of
from dn2.bench.split import Split

# Fits on the reference, (n, d), and scores the queries, (m, d), with a seed: (m,), higher is more anomalous.
Fit = Callable[[Vectors, Vectors, int], Scores]


@dataclass(frozen=True)
class Rival:
    """A method that is fitted on the reference rows and scores the query rows.

    Parameters
    ----------
    name : str
        The column of the table.
    random : bool
        Whether it draws at random.
    rows : ndarray of shape (n, d)
        Its input, of any number type.
    fit : Fit
        Fits and scores."""

    name: str
    random: bool
    rows: Array
    fit: Fit

    def scores(self, split: Split, seed: int) -> Scores:
        """See `Method`."""
        reference, queries = (
            rows_of(self.rows, places).astype(np.float32, copy=False) for places in (split.reference, split.queries)
        )
        return self.fit(reference, queries, seed)


def note_missing_deep_svdd() -> list[str]:
    """Return a line that says why DeepSVDD is left out; [] where it is installed."""
    if missing := [name for name in ("pyod", "torch") if importlib.util.find_spec(name) is None]:
        return [f"DeepSVDD is left out: {' and '.join(missing)} not installed; run: pip install 'dn2[bench,torch]'."]
    return []


def one_class_svm(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Fit scikit-learn's one-class SVM on the reference rows, (n, d), and score the query rows, (m, d)."""
    from sklearn.svm import OneClassSVM

    return -flatten_scores(OneClassSVM().fit(reference).score_samples(queries))


def isolation_forest(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Fit scikit-learn's Isolation Forest on the reference rows, (n, d), and score the query rows, (m, d)."""
    from sklearn.ensemble import IsolationForest

    return -flatten_scores(IsolationForest(random_state=seed).fit(reference).score_samples(queries))


def local_outlier_factor(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Fit scikit-learn's LOF on the reference rows, (n, d), and score the query rows, (m, d)."""
    from sklearn.neighbors import LocalOutlierFactor

    fitted = LocalOutlierFactor(min(20, len(reference) - 1), novelty=True).fit(reference)  # 20 is the default
    return -flatten_scores(fitted.score_samples(queries))


def mahalanobis(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    """Score query rows, (m, d), by the Mahalanobis distance to the reference rows, (n, d), with Ledoit and Wolf's
    covariance."""
    from sklearn.covariance import LedoitWolf

    fitted = LedoitWolf().fit(reference.astype(np.float64))
    away = queries - fitted.location_
    return flatten_scores(((away @ fitted.precision_) * away).sum(axis=1))  # its own mahalanobis() is many times slower


def deep_svdd(reference: Array, queries: Array, seed: int) -> Scores:
    """Fit PyOD's DeepSVDD on the reference rows, (n, d), and score the query rows, (m, d)."""
    from pyod.models.deep_svdd import DeepSVDD

    detector = DeepSVDD(n_features=reference.shape[1], random_state=seed, verbose=0)
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002  PyOD shuffles by the global generator
    try:
        return flatten_scores(detector.fit(reference).decision_function(queries))
    finally:
        np.random.set_state(before)  # noqa: NPY002


def flatten_scores(scores: Sequence[float]) -> Scores:
    """Return the scores of a library, of any shape and number type, as (n,) float64."""
    return np.asarray(scores, np.float64).reshape(-1)

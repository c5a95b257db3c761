"""Methods that score the points of a series: dn2's, and others on the same windows.

A method on windows gives each point the mean over the windows that cover it, as dn2 does; otherwise it runs with the
defaults of its library."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.arrays import Numbers, Scores
from dn2.bench.rivals import flatten_scores
from dn2.errors import MissingExtra
from dn2.kinds.series.embedder import choose_window
from dn2.model.fitting import fit, score_self
from dn2.neighbors.windows import point_scores

# Scores the points of values, (n, c), with windows of some length; the first n_reference points are the reference, or
# all points if it is 0: (n,).
Score = Callable[[Numbers, int, int], Scores]


@dataclass(frozen=True)
class SeriesMethod:
    """A way to score the points of a series."""

    name: str
    score: Score


def own_method(n_neighbors: int) -> SeriesMethod:
    """Make dn2's method, which calls `dn2.fit` and `dn2.score_self`."""

    def score(values: Numbers, window: int, n_reference: int) -> Scores:
        if n_reference:
            model = fit(values[:n_reference], kind="series", cache=False, window=window, neighbors=n_neighbors)
            results = model.score(values)
        else:
            results = score_self(values, window=window, neighbors=n_neighbors)
        points: Any = results.points
        return np.asarray(points.scores)

    return SeriesMethod(f"dn2, k = {n_neighbors}", score)


def rival_methods() -> list[SeriesMethod]:
    """Make the other methods.  Raises MissingExtra unless their libraries are installed."""
    if missing := [name for name in ("stumpy", "pyod") if importlib.util.find_spec(name) is None]:
        raise MissingExtra(f"the rivals on series need {' and '.join(missing)}; run: pip install 'dn2[bench]'")
    return [
        SeriesMethod("stumpy", _matrix_profile),
        SeriesMethod("PyOD KNN", _pyod_neighbors),
        SeriesMethod("PyOD IForest", _pyod_forest),
        SeriesMethod("smoothed |x - median|", _smooth_deviations),
        SeriesMethod("position", lambda values, window, n_reference: np.arange(float(len(values)))),
    ]


def window_of(n: int, n_reference: int) -> int:
    """Return how many points a window has, as dn2 chooses it; n : points of the series; n_reference : see `Score`."""
    return choose_window(n_reference or n)


def _matrix_profile(values: Numbers, window: int, n_reference: int) -> Scores:
    """Average the matrix profiles of the columns: distances of z-normalised windows to the nearest one."""
    import stumpy

    profiles = []
    for column in values.T:
        if n_reference:
            profile = stumpy.stump(column, window, np.ascontiguousarray(column[:n_reference]), ignore_trivial=False)
        else:
            profile = stumpy.stump(column, window)
        profiles.append(flatten_scores(profile[:, 0]))
    distances = np.mean(profiles, axis=0)
    return _by_point(np.where(np.isfinite(distances), distances, 0), window)


def _pyod_neighbors(values: Numbers, window: int, n_reference: int) -> Scores:
    from pyod.models.knn import KNN

    return _by_point(_fit_and_score(KNN(), values, window, n_reference), window)


def _pyod_forest(values: Numbers, window: int, n_reference: int) -> Scores:
    from pyod.models.iforest import IForest

    return _by_point(_fit_and_score(IForest(random_state=0), values, window, n_reference), window)


def _fit_and_score(detector: object, values: Numbers, window: int, n_reference: int) -> Scores:
    """Fit one of PyOD's detectors on the windows of the reference, with values as z-scores, and score all windows."""
    reference = values[:n_reference] if n_reference else values
    scale = reference.std(axis=0)
    scaled = (values - reference.mean(axis=0)) / np.where(scale > 0, scale, 1)
    rows = np.lib.stride_tricks.sliding_window_view(scaled, window, axis=0).reshape(len(values) - window + 1, -1)
    detector.fit(rows[: n_reference - window + 1] if n_reference else rows)  # type: ignore[attr-defined]
    return flatten_scores(detector.decision_function(rows) if n_reference else detector.decision_scores_)  # type: ignore[attr-defined]


def _smooth_deviations(values: Numbers, window: int, n_reference: int) -> Scores:
    """Average over each window how far values are from the median, in standard deviations."""
    reference = values[:n_reference] if n_reference else values
    scale = reference.std(axis=0)
    away = (np.abs(values - np.median(reference, axis=0)) / np.where(scale > 0, scale, 1)).mean(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(away, window).mean(axis=1)
    return _by_point(windows, window)


def _by_point(scores: Scores, window: int) -> Scores:
    return point_scores(scores, np.arange(len(scores)), window)

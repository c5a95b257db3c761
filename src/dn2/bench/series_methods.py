"""Ways to score the points of a series: dn2's, and others on the same windows.

A method on windows gives each point the mean over the windows that cover it, as dn2 does; otherwise it runs with the
defaults of its library."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dn2.bench.rivals import flat
from dn2.bench.series_data import Values
from dn2.embed.series import choose_window
from dn2.errors import MissingExtra
from dn2.fitting import fit, score_self
from dn2.neighbors.conformal import Scores
from dn2.neighbors.windows import point_scores

# Scores the points of values, (n, c), with windows of some length, the first `known` points being the reference, or all
# of them where it is 0: (n,).
Score = Callable[[Values, int, int], Scores]


@dataclass(frozen=True)
class SeriesMethod:
    """A way to score the points of a series."""

    name: str
    score: Score


def own_method(n_neighbors: int) -> SeriesMethod:
    """Make dn2's method as `dn2.fit` and `dn2.score_self` have it."""

    def score(values: Values, window: int, known: int) -> Scores:
        if known:
            results = fit(values[:known], kind="series", window=window, n_neighbors=n_neighbors).score(values)
        else:
            results = score_self(values, window=window, n_neighbors=n_neighbors)
        assert results.points is not None
        return results.points.scores

    return SeriesMethod(f"dn2, k = {n_neighbors}", score)


def rival_methods() -> list[SeriesMethod]:
    """Make the other methods.  Raises MissingExtra if what they run on is not installed."""
    if missing := [name for name in ("stumpy", "pyod") if importlib.util.find_spec(name) is None]:
        raise MissingExtra(f"the rivals on series need {' and '.join(missing)}; run: pip install 'dn2[bench]'")
    return [
        SeriesMethod("stumpy", _matrix_profile),
        SeriesMethod("PyOD KNN", _pyod_neighbors),
        SeriesMethod("PyOD IForest", _pyod_forest),
        SeriesMethod("smoothed |x - median|", _smoothed),
        SeriesMethod("position", lambda values, window, known: np.arange(float(len(values)))),
    ]


def window_of(n: int, known: int) -> int:
    """Return how many points a window has, as dn2 chooses it; n : points of the series, known : see `Score`."""
    return choose_window(known or n)


def _matrix_profile(values: Values, window: int, known: int) -> Scores:
    """Average the matrix profiles of the columns: distances of z-normalised windows to the nearest one."""
    import stumpy

    profiles = []
    for column in values.T:
        if known:
            found = stumpy.stump(column, window, np.ascontiguousarray(column[:known]), ignore_trivial=False)
        else:
            found = stumpy.stump(column, window)
        profiles.append(flat(found[:, 0]))
    distances = np.mean(profiles, axis=0)
    return _by_point(np.where(np.isfinite(distances), distances, 0), window)


def _pyod_neighbors(values: Values, window: int, known: int) -> Scores:
    from pyod.models.knn import KNN

    return _by_point(_fitted(KNN(), values, window, known), window)


def _pyod_forest(values: Values, window: int, known: int) -> Scores:
    from pyod.models.iforest import IForest

    return _by_point(_fitted(IForest(random_state=0), values, window, known), window)


def _fitted(detector: object, values: Values, window: int, known: int) -> Scores:
    """Fit one of PyOD's detectors on the windows of the reference, with values as z-scores, and score all windows."""
    reference = values[:known] if known else values
    scale = reference.std(axis=0)
    scaled = (values - reference.mean(axis=0)) / np.where(scale > 0, scale, 1)
    rows = np.lib.stride_tricks.sliding_window_view(scaled, window, axis=0).reshape(len(values) - window + 1, -1)
    detector.fit(rows[: known - window + 1] if known else rows)  # type: ignore[attr-defined]
    return flat(detector.decision_function(rows) if known else detector.decision_scores_)  # type: ignore[attr-defined]


def _smoothed(values: Values, window: int, known: int) -> Scores:
    """Take how far each value is from the median, in units of its spread, over a window on average."""
    reference = values[:known] if known else values
    scale = reference.std(axis=0)
    away = (np.abs(values - np.median(reference, axis=0)) / np.where(scale > 0, scale, 1)).mean(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(away, window).mean(axis=1)
    return _by_point(windows, window)


def _by_point(scores: Scores, window: int) -> Scores:
    return point_scores(scores, np.arange(len(scores)), window)

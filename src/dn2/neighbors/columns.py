"""Columns of a table made alike: what a difference in one is worth beside a difference in another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import ndtri

from dn2.neighbors.conformal import Scores
from dn2.neighbors.exact import Vectors

MOST_KNOTS = 1_000


def find_scaling(rows: Vectors) -> Vectors:
    """Learn how the columns of rows, (n, d), are distributed.

    Returns (3 + q, d) float32: means, standard deviations, and what normal scores are divided by (1 for a constant
    column), then q quantiles, evenly placed from the smallest value to the largest."""
    places = np.rint(np.linspace(0, len(rows) - 1, min(MOST_KNOTS, len(rows)))).astype(int)
    quantiles = np.sort(rows, axis=0)[places]  # values as they are: between them, equal ones would fall apart
    spreads = _normal_scores(rows, quantiles).std(axis=0)
    deviations = rows.std(axis=0, dtype=np.float64)
    means = rows.mean(axis=0, dtype=np.float64)
    found = [means, np.where(deviations > 0, deviations, 1), np.where(spreads > 0, spreads, 1)]
    scaling: Vectors = np.concatenate([np.stack(found), quantiles]).astype(np.float32)
    return scaling


def scale_columns(rows: Vectors, scaling: Vectors) -> Vectors:
    """Put beside each other two views of rows, (n, d): z-scores, and normal scores, both of variance 1.

    Z-scores tell how far out a value is; normal scores, of the quantile that a value is, serve skewed and heavy-tailed
    columns.  No single view serves all tables.  Returns (n, 2 d) float32; rows as they are, where nothing is scaled."""
    if not len(scaling):
        return rows
    means, deviations, spreads = scaling[:3].astype(np.float64)
    z_scores = (rows - means) / deviations
    normal = _normal_scores(rows, scaling[3:]) / spreads
    scaled: Vectors = np.concatenate([z_scores, normal], axis=1).astype(np.float32)
    return scaled


def split_over_columns(pairs: Iterable[tuple[Vectors, Vectors]], n_columns: int) -> Scores:
    """Split mean squared distances over the columns of a table, (n, n_columns).

    pairs : a row, (v,), and its nearest ones, (k, v), where v is n_columns once for each view of them."""
    parts = [np.square(row - near.astype(np.float64)).mean(axis=0) for row, near in pairs]
    split: Scores = np.stack(parts).reshape(len(parts), -1, n_columns).sum(axis=1)
    return split


def _normal_scores(rows: np.ndarray[Any, Any], quantiles: np.ndarray[Any, Any]) -> Scores:
    """Return the standard normal value of the quantile that each value is, (n, d); of equal ones the middle."""
    n = len(quantiles)
    places = np.linspace(0, 1, n)
    shares = np.empty(rows.shape)
    for column, knots in enumerate(quantiles.T):
        values = rows[:, column]
        upper = np.interp(values, knots, places)
        lower = np.interp(-values, -knots[::-1], -places[::-1])
        shares[:, column] = (upper - lower) / 2
    scores: Scores = ndtri(np.clip(shares, 0.5 / n, 1 - 0.5 / n))
    return scores

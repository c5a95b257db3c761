"""What a known share of anomalies among the reference items implies for the items that calibrate."""

from __future__ import annotations

import numpy as np


def most_trimmed(n: int, m: int, anomalies: int) -> int:
    """Return how many of the highest of m calibrating scores, less than m, may be left out so that the false-alarm rate
    holds.

    n : reference items, m of which calibrate, drawn at random; anomalies : how many of the n score higher than any
    normal item, and any normal query.

    Which share of them calibrates is chance, J, hypergeometric.  A normal query has a rank of any number, R, among the
    m - J that are normal, and so J + R scores at least as high: its p-value is exactly P(J + R <= r).  Leaving t out
    gives (1 + max(0, r - t)) / (m - t + 1), which no t may make smaller than that, at any r.  As many as are expected
    would be too many: where fewer of them calibrate, normal items would be left out."""
    from scipy.stats import hypergeom

    count = np.arange(m + 1)
    weights = hypergeom(n, anomalies, m).pmf(count) / (m - count + 1)
    exact = (count + 1) * np.cumsum(weights) - np.cumsum(count * weights)
    fewest, most = 0, min(anomalies, m - 1)
    while fewest < most:
        trimmed = (fewest + most + 1) // 2
        p_values = (1 + np.maximum(count - trimmed, 0)) / (m - trimmed + 1)
        if (p_values >= exact * (1 - 1e-9)).all():
            fewest = trimmed
        else:
            most = trimmed - 1
    return fewest

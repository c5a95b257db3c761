"""Small series, and what is done to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from made_series import pump

WINDOW = 60


def short_pump(count: int = 900, seed: int = 0) -> pd.DataFrame:
    """Return rows of one pump."""
    return pump(count, seed=seed)


def intervals(results: Any) -> list[tuple[Any, ...]]:
    """Return what must not change of results by as much as a bit, without the names of items."""
    return [
        (row.anomaly_score, row.p_value, row.is_anomaly, row.start, row.end, row.error, row.curves) for row in results
    ]


def beat(count: int, seed: int = 0) -> Any:
    """Return values in memory: a beat of 33 points with noise, (count,)."""
    rng = np.random.default_rng(seed)
    return np.sin(2 * np.pi * np.arange(count) / 33) + rng.normal(0, 0.1, count)

"""Small tables of all kinds of columns, as frames and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DROPPED = "note"
OFFSETS = {"a": 0, "b": 10, "c": 20}


def frame(n: int, seed: int = 0) -> pd.DataFrame:
    """Return n rows: `part` names them; three numbers that go together, some of them missing; categories that shift
    them; truth values; dates of 90 days in no order; and what is to be left out: a note, a constant, a counter, serial
    numbers and an empty column."""
    rng = np.random.default_rng(seed)
    machine = rng.choice(list("abc"), n, p=[0.5, 0.3, 0.2])
    load = rng.normal(size=n)
    minutes = rng.integers(0, 90 * 24 * 60, n)
    return pd.DataFrame(
        {
            "part": [f"p{seed}-{row}" for row in range(n)],
            "machine": machine,
            "load": load.round(4),
            "temperature": (70 + 5 * load + [OFFSETS[one] for one in machine] + rng.normal(0, 0.5, n)).round(2),
            "pressure": np.where(rng.random(n) < 0.1, np.nan, 1234567.89 + (100 * load).round(2)),
            "passed": rng.random(n) < 0.7,
            "made": pd.Timestamp("2024-03-01") + pd.to_timedelta(minutes, unit="min"),
            "note": [f"note {seed}-{row}" for row in range(n)],
            "line": "L1",
            "count": np.arange(n),
            "serial": [f"S{seed}{row:05}" for row in range(n)],
            "nothing": np.nan,
        }
    )


def write(rows: pd.DataFrame, path: Path) -> Path:
    """Write a table as CSV or Parquet, by the ending of the name."""
    if path.suffix == ".parquet":
        rows.to_parquet(path)
    else:
        rows.to_csv(path, index=False)
    return path


def bits(results: Any) -> list[tuple[Any, ...]]:
    """Return what must not change of results by as much as a bit, without the names of items."""
    return [
        (
            row.anomaly_score,
            row.p_value,
            row.is_anomaly,
            [one.distance for one in row.neighbors],
            row.error,
            row.columns,
        )
        for row in results
    ]

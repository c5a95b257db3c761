"""A beat, in which a few points stand still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from kinds.samples import Sample


def _beat(path: Path, seed: int, still: slice | None = None) -> Path:
    rng = np.random.default_rng(seed)
    values = np.sin(2 * np.pi * np.arange(500) / 33) + rng.normal(0, 0.1, 500)
    if still is not None:
        values[still] = 0.9
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"value": values.round(4)}).to_csv(path, index=False)
    return path


def make(folder: Path) -> Sample:
    """See `kinds.samples`."""
    normal, more = _beat(folder / "normal.csv", 0), _beat(folder / "more.csv", 1)
    queries = _beat(folder / "queries.csv", 2, slice(240, 290))
    return Sample(normal, more, queries, "queries.csv", None, {"window": 30, "values": "value"})

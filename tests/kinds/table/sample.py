"""Rows of two numbers that go together and a category; one of them does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from kinds.samples import Sample


def _rows(first: int, count: int) -> pd.DataFrame:
    load = np.random.default_rng(first).normal(size=count)
    names = [f"r{number}" for number in range(first, first + count)]
    table = {
        "name": names,
        "load": load.round(4),
        "heat": (2 * load).round(4),
        "site": ["north", "south"] * (count // 2),
    }
    return pd.DataFrame(table)


def make(folder: Path) -> Sample:
    """See `kinds.samples`."""
    folder.mkdir(parents=True, exist_ok=True)
    queries = _rows(1_000, 8).astype({"load": object})
    queries.loc[2, "heat"] = 9.0
    queries.loc[5, "load"] = "a lot"
    queries.to_csv(folder / "queries.csv", index=False)
    return Sample(_rows(0, 60), _rows(500, 6), folder / "queries.csv", "r1002", "r1005", {"id_column": "name"})

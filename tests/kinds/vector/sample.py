"""Vectors around the origin, among which one lies far out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinds.samples import Sample


def make(folder: Path) -> Sample:
    """See `kinds.samples`."""
    rows = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    queries = rows[66:74].copy()
    queries[2] += 20
    queries[5, 0] = np.nan
    folder.mkdir(parents=True, exist_ok=True)
    for name, some in (("normal", rows[:60]), ("more", rows[60:66]), ("queries", queries)):
        np.save(folder / f"{name}.npy", some)
    paths = [folder / f"{name}.npy" for name in ("normal", "more", "queries")]
    return Sample(*paths, "queries.npy:3", "queries.npy:6")

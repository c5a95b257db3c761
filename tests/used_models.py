"""A model of each kind, small, with inputs that it scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import dn2
from small_models import write_digits

KINDS = ["image", "vector", "table", "text", "series"]
ROWS = np.random.default_rng(1).normal(size=(700, 24)).astype(np.float32)  # enough for faiss to share out among threads


def fit_some(kind: str, folder: Path, cache: dn2.Cache | None = None) -> tuple[dn2.Model, Any]:
    """Fit a model of a kind, and return it with what it was fitted on; pictures are written into a folder."""
    if kind == "image":
        write_digits(folder, range(12))
        return dn2.fit(folder, backbone="lite0@64", cache=cache), folder
    inputs: Any
    options: dict[str, Any] = {}
    if kind == "vector":
        inputs = ROWS
    elif kind == "table":
        import pandas

        inputs = pandas.DataFrame({"amount": range(60), "city": [f"city {number % 3}" for number in range(60)]})
    elif kind == "text":
        inputs = np.array([f"pump {number} reports {number * 7} bar and all is well" for number in range(60)])
        options = {"kind": "text", "backbone": "characters"}
    else:
        inputs = np.sin(np.arange(600) / 9) + np.random.default_rng(0).normal(0, 0.1, 600)
        options = {"kind": "series", "window": 20}
    return dn2.fit(inputs, **options), inputs

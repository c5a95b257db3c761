"""Small pages: results made by hand, and what a page holds, read back."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dn2.report.results_page import Surroundings, write_results_page
from dn2.store.results import Results
from dn2.store.rows import Contribution, Neighbor, Row

M = 99
ROWS = {  # what is said of rows of a table, which have no pictures
    "pictures": None,
    "reference_pictures": None,
    "one": "row",
    "many": "rows",
    "neighbors": "Nearest normal rows (distance)",
}


def small_jpeg(shade: int = 128) -> bytes:
    """Make a JPEG of one shade."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), shade).save(buffer, "JPEG")
    return buffer.getvalue()


def row(name: str, score: float, p_value: float, *neighbors: str, rate: float = 0.05, **others: Any) -> Row:
    """Make a decided row, whose neighbours lie at distance 1, 2, ..."""
    near = tuple(Neighbor(one, float(n)) for n, one in enumerate(neighbors, 1))
    return Row(name, score, p_value, p_value <= rate, near, **others)


def explained(name: str, score: float, *columns: Contribution) -> Row:
    """Make a row of a table with two neighbours."""
    return row(name, score, 0.01, "near 1", "near 2", columns=columns)


def many_rows(n: int) -> list[Row]:
    """Make n rows whose p-values take every value that 99 calibrating items give."""
    places = np.random.default_rng(0).permutation(n)
    return [
        row(f"item {n:03d}", 200.0 - rank, (1 + rank % (M + 1)) / (M + 1), "a", "b") for n, rank in enumerate(places)
    ]


def surroundings(**changes: Any) -> Surroundings:
    """Describe a model of 99 reference items; everything has a picture."""
    values: dict[str, Any] = {
        "reference_scores": np.arange(101.0, 200.0),
        "model": [("backbone", "lite0"), ("a <b>", "& more")],
        "guarantee": ["It holds on average."],
        "pictures": lambda names: {name: small_jpeg() for name in names},
        "reference_pictures": lambda names: {name: small_jpeg(40) for name in names},
    }
    return Surroundings(**{**values, **changes})


def written(path: Path, rows: Sequence[Row], rate: float | None = 0.05, **changes: Any) -> dict[str, Any]:
    """Write a page and return the data in it."""
    write_results_page(path, Results(rows, rate, M), surroundings(**changes))
    return data_in(path)


def data_in(path: Path) -> dict[str, Any]:
    """Return the data in a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data

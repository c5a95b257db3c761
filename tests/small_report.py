"""Small pages: results made by hand, and what a page holds, read back."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dn2.kinds.image.page import Section as ImageSection
from dn2.kinds.image.patches.drawing import to_png
from dn2.kinds.image.patches.located import Crop, Located, Scale
from dn2.kinds.table.evidence import Contribution, RowEvidence
from dn2.kinds.table.page import Section as TableSection
from dn2.neighbors.calibration import Calibration
from dn2.report.around import PageContext
from dn2.report.results_page import write_results_page
from dn2.results.results import Results
from dn2.results.rows import Neighbor, Row

M = 99
IMAGES, ROWS = ("image", "images"), ("row", "rows")

Some = Callable[[Sequence[str]], Mapping[str, bytes]]


def small_jpeg(shade: int = 128) -> bytes:
    """Make a JPEG of one shade."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), shade).save(buffer, "JPEG")
    return buffer.getvalue()


class SmallPictures:
    """Pictures of one shade of all items, of another of all reference items; or what functions give instead."""

    def __init__(self, items: Some | None = None, reference: Some | None = None, large: Some | None = None) -> None:
        self.of_items = items or (lambda names: dict.fromkeys(names, small_jpeg()))
        self.of_reference = reference or (lambda names: dict.fromkeys(names, small_jpeg(40)))
        self.large_of_items = large or (lambda names: dict.fromkeys(names, b""))
        self.large_of_reference = self.of_reference


class LocatedSmallPictures(SmallPictures):
    """The same, of 80 x 40 pixels, with where they are strange."""

    scale = Scale(1.5, 0.01, [(0.0, (255, 200, 0, 0)), (6.0, (130, 0, 80, 210))])

    def located(self, rows: Sequence[Row]) -> dict[str, Located]:
        """Give each picture a map, and its regions two small pictures."""
        drawn = to_png(np.arange(50, dtype=np.float32).reshape(5, 10) / 10, 1.5)
        crop = Crop(small_jpeg(), (0, 0, 32, 24), small_jpeg(40), (8, 8), (0, 0, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4))
        return {one.item: Located(small_jpeg(), (80, 40), drawn, [crop] * len(one.regions)) for one in rows}


def row(name: str, score: float, p_value: float, *neighbors: str, rate: float = 0.05, **others: Any) -> Row:
    """Make a decided row, whose neighbours lie at distance 1, 2, ..."""
    near = tuple(Neighbor(one, float(n)) for n, one in enumerate(neighbors, 1))
    return Row(name, score, p_value, p_value <= rate, near, **others)


def explained(name: str, score: float, *columns: Contribution) -> Row:
    """Make a row of a table with two neighbours."""
    return row(name, score, 0.01, "near 1", "near 2", evidence=RowEvidence(columns))


def many_rows(n: int) -> list[Row]:
    """Make n rows whose p-values take every value that 99 calibrating items give."""
    places = np.random.default_rng(0).permutation(n)
    return [
        row(f"item {n:03d}", 200.0 - rank, (1 + rank % (M + 1)) / (M + 1), "a", "b") for n, rank in enumerate(places)
    ]


def written(
    path: Path,
    rows: Sequence[Row],
    rate: float | None = 0.05,
    nouns: tuple[str, str] = ("item", "items"),
    warn_rate: float | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Write a page of a model of 99 reference items and return the data in it."""
    values: dict[str, Any] = {
        "reference_scores": np.arange(101.0, 200.0),
        "calibration": Calibration(np.arange(101.0, 200.0), M),
        "model": [("backbone", "lite0"), ("a <b>", "& more")],
        "guarantee": ["It holds on average."],
    }
    parts = changes.pop("parts", ())
    results = Results(rows, rate, M, nouns=nouns, warn_rate=warn_rate, parts=parts)
    write_results_page(path, results, PageContext(**{**values, **changes}))
    return data_in(path)


def written_images(
    path: Path, rows: Sequence[Row], pictures: SmallPictures | None = None, **changes: Any
) -> dict[str, Any]:
    """Write a page of pictures and return the data in it."""
    section = partial(ImageSection, pictures=pictures or SmallPictures())
    return written(path, rows, nouns=IMAGES, section=section, **changes)


def written_table(path: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """Write a page of rows of a table and return the data in it."""
    return written(path, rows, nouns=ROWS, section=TableSection, neighbors="Nearest normal rows (distance)")


def data_in(path: Path, element: str = "data") -> dict[str, Any]:
    """Return the data in an element of a page, or what is there for `later`."""
    found = re.search(
        rf'<script type="application/json" id="{element}">(.*?)</script>', path.read_text("utf-8"), re.DOTALL
    )
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data

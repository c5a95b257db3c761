"""The cells of a column as numbers, as moments or as texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dn2.arrays import Numbers
from dn2.inputs.columns import write_column
from dn2.inputs.dates import DateOrder
from dn2.inputs.numbers import Notation
from dn2.system.naming import encodable

# (n,): float64 with NaN where a value is missing, datetime64 with NaT, or object of str and None.
Cells = np.ndarray[Any, Any]

PLAIN, ANY_ORDER = Notation("."), DateOrder()


def to_numbers(cells: Cells, notation: Notation = PLAIN) -> tuple[Numbers, list[int]]:
    """Return cells as numbers, NaN where a cell is missing or not a number, and the places of cells not a number.

    notation : how texts write numbers."""
    if cells.dtype.kind == "f":
        return cells, []
    if cells.dtype.kind == "M":
        return np.full(len(cells), np.nan), np.flatnonzero(~np.isnat(cells)).tolist()
    return _convert(cells, notation.read_all)


def to_moments(cells: Cells, order: DateOrder = ANY_ORDER) -> tuple[Numbers, list[int]]:
    """Return cells as microseconds since 1970 in UTC, as `to_numbers` does; a number is not a date.

    order : how texts write dates."""
    if cells.dtype.kind == "M":
        moments = cells.astype("datetime64[us]")
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64)), []
    if cells.dtype.kind == "f":
        return np.full(len(cells), np.nan), np.flatnonzero(~np.isnan(cells)).tolist()
    return _convert(cells, lambda texts: np.array([order.read(text) for text in texts], np.float64))


def to_texts(cells: Cells) -> list[str | None]:
    """Return cells as texts that UTF-8 can encode, None where a cell is missing; truth values in lower case."""
    texts = (None if text is None else encodable(text) for text in write_column(cells))
    return [text.lower() if text is not None and text.lower() in ("true", "false") else text for text in texts]


def is_empty(cells: Cells) -> bool:
    """Tell whether no cell holds anything."""
    if cells.dtype.kind == "f":
        return bool(np.isnan(cells).all())
    return bool(np.isnat(cells).all()) if cells.dtype.kind == "M" else all(cell is None for cell in cells)


def present_texts(cells: Cells) -> list[str]:
    """List the texts of a column that are not missing."""
    return [text for text in cells.tolist() if text is not None]


def _convert(cells: Cells, convert: Callable[[list[str]], Numbers]) -> tuple[Numbers, list[int]]:
    """Convert texts, each distinct text once; NaN for a text that cannot be converted.

    Returns the numbers, and the places of texts that cannot be converted."""
    places: dict[str, int] = {}
    codes = np.array([-1 if text is None else places.setdefault(text, len(places)) for text in cells], np.int64)
    values = np.append(convert(list(places)), math.nan)  # which the code of a missing text is the place of
    return values[codes], np.flatnonzero(np.isnan(values[codes]) & (codes >= 0)).tolist()

"""The cells of a column as numbers, as moments or as texts."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from dn2.arrays import Numbers
from dn2.system.naming import encodable

# (n,): float64 with NaN where a value is missing, datetime64 with NaT, or object of str and None.
Cells = np.ndarray[Any, Any]


# A column has the kind that at least this share of its values has; rows with another value cannot be read.
MOST = 0.95


OTHER_DATES = ("%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S")


def to_numbers(cells: Cells) -> tuple[Numbers, list[int]]:
    """Return cells as numbers, NaN where a cell is missing or not a number, and the places of cells not a number."""
    if cells.dtype.kind == "f":
        return cells, []
    if cells.dtype.kind == "M":
        return np.full(len(cells), np.nan), np.flatnonzero(~np.isnat(cells)).tolist()
    return _convert(cells, _number)


def to_moments(cells: Cells) -> tuple[Numbers, list[int]]:
    """Return cells as microseconds since 1970 in UTC, as `to_numbers` does; a number is not a date."""
    if cells.dtype.kind == "M":
        moments = cells.astype("datetime64[us]")
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64)), []
    if cells.dtype.kind == "f":
        return np.full(len(cells), np.nan), np.flatnonzero(~np.isnan(cells)).tolist()
    return _convert(cells, _moment)


def to_texts(cells: Cells) -> list[str | None]:
    """Return cells as texts that UTF-8 can encode, None where a cell is missing; truth values in lower case."""
    texts = (None if text is None else encodable(text) for text in cells)
    return [text.lower() if text is not None and text.lower() in ("true", "false") else text for text in texts]


def _convert(cells: Cells, convert: Callable[[str], float]) -> tuple[Numbers, list[int]]:
    """Convert texts, each distinct text once; NaN for a text that cannot be converted.

    Returns the numbers, and the places of texts that cannot be converted."""
    places: dict[str | None, int] = {}
    codes = np.array([places.setdefault(text, len(places)) for text in cells], np.int64)
    values = np.array([math.nan if text is None else convert(text) for text in places], np.float64)
    wrong = np.isnan(values) & np.array([text is not None for text in places], bool)
    return values[codes], np.flatnonzero(wrong[codes]).tolist()


def _number(text: str) -> float:
    with contextlib.suppress(ValueError):
        return math.nan if "_" in text else float(text)
    return math.nan


def _moment(text: str) -> float:
    readers: list[Callable[[str], datetime]] = [datetime.fromisoformat, *map(_by_format, OTHER_DATES)]
    for read in readers:
        try:
            moment = read(text.strip())
        except ValueError:
            continue
        since: timedelta = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        return float(since // timedelta(microseconds=1))  # exact, as total_seconds is not
    return math.nan


def _by_format(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)

"""The columns of a table: the kind of each, and the numbers that its values become."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dn2.arrays import Numbers
from dn2.errors import InputError
from dn2.inputs.cells import MOST, Cells, to_moments, to_numbers, to_texts
from dn2.system.processes import cached_property

# At least so many rows show whether a column is an identifier or the clock.
MANY = 20
DENSE = 1.25  # different whole numbers in a range at most so much larger than their count number the rows
CALLED_IDENTIFIER = re.compile(r"(^|[^a-z])(id|uuid|guid|index|key)$", re.IGNORECASE)

FARTHEST = 1e12  # quartile distances from the median; larger values are cut off, as float32 would overflow
DAY = 86_400.0
TYPES = {"number": "numbers", "category": "text", "date": "dates"}
CODES = 1 << 24  # of texts: as many numbers as float32 tells apart


@dataclass(frozen=True)
class NumberColumn:
    """Numbers; taken relative to offset and scale, so that float32 holds their differences."""

    kind: ClassVar[str] = "number"
    name: str
    offset: float
    scale: float

    @property
    def categorical(self) -> list[bool]:
        """Whether each feature holds categories."""
        return [False]

    def features(self, values: Numbers) -> list[Numbers]:
        """Turn values as `read` gives them, (n,), into features, (n,) each."""
        return [_scale_values(values, self.offset, self.scale)]

    def read(self, cells: Cells) -> tuple[Numbers, dict[int, str]]:
        """Return the values of cells, (n,), NaN for missing ones, and by place what is wrong with a cell."""
        values, wrong = to_numbers(cells)
        errors = {place: f"{self.name} holds numbers, got {_cell_in_words(cells[place])}" for place in wrong}
        errors |= {int(place): f"{self.name} is infinite" for place in np.flatnonzero(np.isinf(values))}
        return np.where(np.isinf(values), np.nan, values), errors

    def show(self, value: float) -> Any:
        """Return a value as evidence shows it."""
        return plain_number(value)


@dataclass(frozen=True)
class CategoryColumn:
    """Texts that are equal or not.

    known : the texts of the reference rows.  The value of a known text is its place, of another text -1 - its code."""

    kind: ClassVar[str] = "category"
    name: str
    known: tuple[str, ...]

    @property
    def categorical(self) -> list[bool]:
        """See `NumberColumn`."""
        return [True]

    @cached_property
    def _codes(self) -> Numbers:
        return np.array([*map(_code, self.known), math.nan])

    def features(self, values: Numbers) -> list[Numbers]:
        """See `NumberColumn`."""
        places = np.where(np.isnan(values), len(self.known), values)
        return [np.where(places < 0, -1 - places, self._codes[np.maximum(places, 0).astype(np.int64)])]

    def read(self, cells: Cells) -> tuple[Numbers, dict[int, str]]:
        """See `NumberColumn`; every text is valid."""
        places: dict[str | None, float] = {text: float(place) for place, text in enumerate(self.known)}
        places[None] = math.nan
        texts = to_texts(cells)
        return np.array([places[text] if text in places else -1 - _code(text or "") for text in texts], np.float64), {}

    def show(self, value: float) -> Any:
        """See `NumberColumn`."""
        return None if math.isnan(value) else self.known[int(value)]


@dataclass(frozen=True)
class DateColumn:
    """Points in time, compared by the moment, the day of the week and the time of day, where these vary.

    clock : whether rows come in the order of the moment, which is not compared then.  Numbers are microseconds since
    1970 in UTC."""

    kind: ClassVar[str] = "date"
    name: str
    offset: float
    scale: float
    clock: bool
    weekday: bool
    time: bool

    @property
    def categorical(self) -> list[bool]:
        """See `NumberColumn`."""
        return [False] * (not self.clock) + [True] * self.weekday + [False] * (2 * self.time)

    def features(self, values: Numbers) -> list[Numbers]:
        """See `NumberColumn`."""
        days = np.floor(values / (1e6 * DAY))
        turn = 2 * np.pi * (values / (1e6 * DAY) - days)
        features = [] if self.clock else [_scale_values(values, self.offset, self.scale)]
        features += [(days + 3) % 7] if self.weekday else []  # 1970 began on a Thursday; 0 is Monday
        return features + ([np.sin(turn), np.cos(turn)] if self.time else [])

    def read(self, cells: Cells) -> tuple[Numbers, dict[int, str]]:
        """See `NumberColumn`."""
        values, wrong = to_moments(cells)
        return values, {place: f"{self.name} holds dates, got {_cell_in_words(cells[place])}" for place in wrong}

    def show(self, value: float) -> Any:
        """See `NumberColumn`."""
        return None if math.isnan(value) else str(np.datetime64(int(value), "us").astype("datetime64[s]"))


Column = NumberColumn | CategoryColumn | DateColumn


def find_column(name: str, cells: Cells) -> Column | str:
    """Find the kind of a column by its cells, (n,); or return, in words, why the column is left out."""
    if cells.dtype.kind == "M":
        return _date_or_reason(name, to_moments(cells)[0])
    numbers, wrong = to_numbers(cells)
    present = len(wrong) + int((~np.isnan(numbers)).sum())
    if not present:
        return "empty"
    if len(wrong) <= (1 - MOST) * present:
        return _number_or_reason(name, numbers[np.isfinite(numbers)], len(cells))
    moments, wrong = to_moments(cells)
    if len(wrong) <= (1 - MOST) * present:
        return _date_or_reason(name, moments)
    return _category_or_reason(name, to_texts(cells))


def _number_or_reason(name: str, values: Numbers, n_rows: int) -> Column | str:
    if not len(values):
        return "nothing but infinite values"
    low, high = float(values.min()), float(values.max())
    if low == high and len(values) == n_rows:
        return f"constant: {plain_number(low)}"
    whole = bool((values == np.rint(values)).all())
    if whole and len(values) >= MANY and len(np.unique(values)) == len(values):
        steps = np.sign(np.diff(values / 2))  # differences of halves do not overflow
        counts = (low > -1e15 and high < 1e15 and high - low < DENSE * len(values)) or abs(steps.sum()) == len(steps)
        if counts or CALLED_IDENTIFIER.search(name):
            return f"an identifier: {len(values):,} different whole numbers"
    return NumberColumn(name, *_offset_and_scale(values))


def _category_or_reason(name: str, texts: Sequence[str | None]) -> Column | str:
    counts = Counter(text for text in texts if text is not None)
    present = counts.total()
    if len(counts) == 1 and present == len(texts):
        return f"constant: {_cell_in_words(next(iter(counts)))}"
    if len(counts) >= MANY and len(counts) > present / 2:
        return f"an identifier or free text: {len(counts):,} different ones in {present:,} rows"
    return CategoryColumn(name, tuple(counts))


def _date_or_reason(name: str, values: Numbers) -> Column | str:
    present = values[~np.isnan(values)]
    if not len(present):
        return "empty"
    constant = present.min() == present.max()
    if constant and len(present) == len(values):
        return f"constant: {DateColumn(name, 0, 1, False, False, False).show(float(present[0]))}"
    steps = np.diff(present)
    clock = len(present) >= MANY and not constant and (bool((steps >= 0).all()) or bool((steps <= 0).all()))
    days = np.floor(present / (1e6 * DAY))
    weekday, time = bool(np.ptp(days)), bool(np.ptp(present / (1e6 * DAY) - days))
    if clock and not (weekday or time):
        return "the clock: rows come in its order"
    return DateColumn(name, *_offset_and_scale(present), clock=clock, weekday=weekday, time=time)


def _offset_and_scale(values: Numbers) -> tuple[float, float]:
    low, middle, high = 4 * np.quantile(values / 4, [0.25, 0.5, 0.75])  # the difference of two may overflow
    with np.errstate(over="ignore"):
        spreads = (high - low, values.max() - middle, middle - values.min(), 1.0)
    return float(middle), float(next(spread for spread in spreads if 0 < spread < np.inf))


def _scale_values(values: Numbers, offset: float, scale: float) -> Numbers:
    with np.errstate(over="ignore"):
        return ((values - offset) / scale).clip(-FARTHEST, FARTHEST)


def _code(text: str) -> float:
    """Return the code of a text, which is the same in every table."""
    return float(zlib.crc32(text.encode("utf-8", "backslashreplace")) % CODES)


def plain_number(value: float) -> float | int | None:
    """Return a whole number as an integer, and None for NaN."""
    if math.isnan(value):
        return None
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _cell_in_words(value: Any, longest: int = 40) -> str:
    text = str(value)
    return repr(text if len(text) <= longest else text[: longest - 2] + " …")


def check_kind(column: Column, cells: Cells, wrong: Mapping[int, str]) -> None:
    """Raise InputError where most cells, (n,), are of another kind than the column: it has changed as a whole."""
    if len(wrong) < 2:
        return
    present = sum(cell is not None and cell == cell for cell in cells)  # neither NaN nor NaT
    if len(wrong) > MOST * present:
        example = cells[next(iter(wrong))]
        raise InputError(
            f"the column {column.name!r} holds {TYPES[column.kind]} in the model, and here it does not: "
            f"{_cell_in_words(example)}; give it as it was at fit, or fit again"
        )

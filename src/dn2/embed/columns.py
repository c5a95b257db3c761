"""The columns of a table: what kind each is, and the numbers that its values become."""

from __future__ import annotations

import contextlib
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np

from dn2.errors import InputError
from dn2.naming import encodable
from dn2.processes import cached_property

# (n,): float64 with NaN where a value is missing, datetime64 with NaT, or object of str and None.
Cells = np.ndarray[Any, Any]
Numbers = np.ndarray[Any, np.dtype[np.float64]]

# A column is of a kind that at least so many of its values are of; the rows of the others cannot be read.
MOST = 0.95

# From so many rows on it shows what is an identifier, or the clock.
MANY = 20
DENSE = 1.25  # whole numbers of which so few are left out are a count of rows
CALLED_IDENTIFIER = re.compile(r"(^|[^a-z])(id|uuid|guid|index|key)$", re.IGNORECASE)

FARTHEST = 1e12  # quartile distances from the median; beyond, a value is cut off, as float32 would overflow
DAY = 86_400.0
TYPES = {"number": "numbers", "category": "text", "date": "dates"}
OTHER_DATES = ("%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S")
CODES = 1 << 24  # of texts that are compared: so many numbers float32 tells apart


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
        return [_relative(values, self.offset, self.scale)]

    def read(self, cells: Cells) -> tuple[Numbers, dict[int, str]]:
        """Return the values of cells, (n,), NaN for what is missing, and by place what is wrong with others."""
        values, wrong = to_numbers(cells)
        errors = {place: f"{self.name} holds numbers, got {_shown(cells[place])}" for place in wrong}
        errors |= {int(place): f"{self.name} is infinite" for place in np.flatnonzero(np.isinf(values))}
        return np.where(np.isinf(values), np.nan, values), errors

    def show(self, value: float) -> Any:
        """Return a value as evidence shows it."""
        return plain_number(value)


@dataclass(frozen=True)
class CategoryColumn:
    """Texts that are equal or not.

    known : those of the reference rows.  A value is the place of a known one, and of any other -1 - its code."""

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
        """See `NumberColumn`; nothing is wrong with any text."""
        places: dict[str | None, float] = {text: float(place) for place, text in enumerate(self.known)}
        places[None] = math.nan
        texts = to_texts(cells)
        return np.array([places[text] if text in places else -1 - _code(text or "") for text in texts], np.float64), {}

    def show(self, value: float) -> Any:
        """See `NumberColumn`."""
        return None if math.isnan(value) else self.known[int(value)]


@dataclass(frozen=True)
class DateColumn:
    """Points in time: the moment, unless rows come in its order and it is but the clock; the day of the week and the
    time of day, where they vary.  Values are microseconds since 1970 in UTC."""

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
        features = [] if self.clock else [_relative(values, self.offset, self.scale)]
        features += [(days + 3) % 7] if self.weekday else []  # 1970 began on a Thursday; 0 is Monday
        return features + ([np.sin(turn), np.cos(turn)] if self.time else [])

    def read(self, cells: Cells) -> tuple[Numbers, dict[int, str]]:
        """See `NumberColumn`."""
        values, wrong = to_moments(cells)
        return values, {place: f"{self.name} holds dates, got {_shown(cells[place])}" for place in wrong}

    def show(self, value: float) -> Any:
        """See `NumberColumn`."""
        return None if math.isnan(value) else str(np.datetime64(int(value), "us").astype("datetime64[s]"))


Column = NumberColumn | CategoryColumn | DateColumn


def find_column(name: str, cells: Cells) -> Column | str:
    """Tell what kind of column it is from its cells, (n,); or, in words, why it is left out."""
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
        steps = np.sign(np.diff(values / 2))  # halves, whose differences do not overflow
        counts = (low > -1e15 and high < 1e15 and high - low < DENSE * len(values)) or abs(steps.sum()) == len(steps)
        if counts or CALLED_IDENTIFIER.search(name):
            return f"an identifier: {len(values):,} different whole numbers"
    return NumberColumn(name, *_offset_and_scale(values))


def _category_or_reason(name: str, texts: Sequence[str | None]) -> Column | str:
    counts = Counter(text for text in texts if text is not None)
    present = counts.total()
    if len(counts) == 1 and present == len(texts):
        return f"constant: {_shown(next(iter(counts)))}"
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


def _relative(values: Numbers, offset: float, scale: float) -> Numbers:
    with np.errstate(over="ignore"):
        return ((values - offset) / scale).clip(-FARTHEST, FARTHEST)


def to_numbers(cells: Cells) -> tuple[Numbers, list[int]]:
    """Return cells as numbers, NaN for those that are missing or none, and the places of those that are none."""
    if cells.dtype.kind == "f":
        return cells, []
    if cells.dtype.kind == "M":
        return np.full(len(cells), np.nan), np.flatnonzero(~np.isnat(cells)).tolist()
    return _convert(cells, _number)


def to_moments(cells: Cells) -> tuple[Numbers, list[int]]:
    """Return cells as microseconds since 1970 in UTC, as `to_numbers` does.  Numbers are no dates."""
    if cells.dtype.kind == "M":
        moments = cells.astype("datetime64[us]")
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64)), []
    if cells.dtype.kind == "f":
        return np.full(len(cells), np.nan), np.flatnonzero(~np.isnan(cells)).tolist()
    return _convert(cells, _moment)


def to_texts(cells: Cells) -> list[str | None]:
    """Return cells of texts, None for those that are missing; truth values are written alike, and what is no UTF-8 is
    written out."""
    texts = (None if text is None else encodable(text) for text in cells)
    return [text.lower() if text is not None and text.lower() in ("true", "false") else text for text in texts]


def _convert(cells: Cells, convert: Callable[[str], float]) -> tuple[Numbers, list[int]]:
    """Convert texts, each different one once; what cannot be converted gives NaN."""
    places: dict[str | None, int] = {}
    codes = np.array([places.setdefault(text, len(places)) for text in cells], np.int64)
    values = np.array([math.nan if text is None else convert(text) for text in places], np.float64)
    wrong = np.isnan(values) & np.array([text is not None for text in places], bool)
    return values[codes], np.flatnonzero(wrong[codes]).tolist()


def _code(text: str) -> float:
    """Return a number for a text, the same for the same text in any table."""
    return float(zlib.crc32(text.encode("utf-8", "backslashreplace")) % CODES)


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


def plain_number(value: float) -> float | int | None:
    """Write a whole number as one, and what is missing as None."""
    if math.isnan(value):
        return None
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _shown(value: Any, longest: int = 40) -> str:
    text = str(value)
    return repr(text if len(text) <= longest else text[: longest - 2] + " …")


def check_kind(column: Column, cells: Cells, wrong: Mapping[int, str]) -> None:
    """Raise InputError where hardly any cell, (n,), is of the column's kind: it has changed as a whole."""
    if len(wrong) < 2:
        return
    present = sum(cell is not None and cell == cell for cell in cells)  # neither NaN nor NaT
    if len(wrong) > MOST * present:
        example = cells[next(iter(wrong))]
        raise InputError(
            f"the column {column.name!r} holds {TYPES[column.kind]} in the model, and here it does not: "
            f"{_shown(example)}; give it as it was at fit, or fit again"
        )

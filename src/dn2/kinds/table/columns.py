"""The columns of a table: the kind of each, and the numbers that its values become."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from dn2.arrays import Numbers
from dn2.errors import InputError
from dn2.inputs.cells import Cells, present_texts, to_moments, to_numbers, to_texts
from dn2.inputs.dates import DateOrder, find_order
from dn2.inputs.numbers import MOST, NO_MARKS, Notation, Undecided, find_notation, is_number
from dn2.inputs.writing import ask_for_marks, ask_for_order
from dn2.system.processes import cached_property

FARTHEST = 1e12  # quartile distances from the median; larger values are cut off, as float32 would overflow
DAY = 86_400.0
TRUTHS = dict.fromkeys(["true", "t", "yes", "y", "on", "1", "1.0", "wahr", "ja", "oui", "vrai", "si", "sí"], 1.0)
TRUTHS |= dict.fromkeys(["false", "f", "no", "n", "off", "0", "0.0", "falsch", "nein", "non", "faux"], 0.0)
TYPES = {"number": "numbers", "category": "text", "date": "dates"}
CODES = 1 << 24  # of texts: as many numbers as float32 tells apart


@dataclass(frozen=True)
class NumberColumn:
    """Numbers; taken relative to offset and scale, so that float32 holds their differences.

    notation : how texts write them; constant : the only value of the reference rows, None if there are several.
    binary : whether all are 0 or 1, which truth values are, too."""

    kind: ClassVar[str] = "number"
    name: str
    offset: float
    scale: float
    notation: Notation = NO_MARKS
    constant: float | None = None
    binary: bool = False

    @property
    def categorical(self) -> list[bool]:
        """Whether each feature holds categories."""
        return [False]

    def features(self, values: Numbers) -> list[Numbers]:
        """Turn values as `read` gives them, (n,), into features, (n,) each."""
        return [_scale_values(values, self.offset, self.scale)]

    def read(self, cells: Cells, dialect: str | None = None) -> tuple[Numbers, dict[int, str]]:
        """Return the values of cells, (n,), NaN for missing ones, and by place what is wrong with a cell.

        dialect : the decimal mark of the table, where the reference rows did not show that of the column.
        Raises InputError for numbers that can be read in two ways."""
        values, wrong = to_numbers(cells, self._notation_of(cells, dialect))
        if self.binary and wrong:
            truths = np.array([TRUTHS.get(plain_text(cells[place]), math.nan) for place in wrong])
            values[wrong] = truths
            wrong = [place for place, truth in zip(wrong, truths, strict=True) if math.isnan(truth)]
        errors = {place: f"{self.name} holds numbers, got {cell_in_words(cells[place])}" for place in wrong}
        errors |= {int(place): f"{self.name} is infinite" for place in np.flatnonzero(np.isinf(values))}
        return np.where(np.isinf(values), np.nan, values), errors

    @property
    def is_written(self) -> bool:
        """Whether its numbers have marks or units that `float` does not read."""
        notation = self.notation
        return notation.decimal == "," or notation.grouping is not None or bool(notation.unit)

    def _notation_of(self, cells: Cells, dialect: str | None) -> Notation:
        if self.notation.decimal is not None or cells.dtype != object:
            return self.notation
        numbers = [text for text in present_texts(cells) if is_number(text)]
        found = find_notation(numbers, dialect, grouping=self.notation.grouping, codes=True)
        if isinstance(found, Undecided):
            ask_for_marks(self.name, found)
        return replace(self.notation, decimal=found.decimal, grouping=found.grouping) if found else self.notation

    def show(self, value: float) -> Any:
        """Return a value as evidence shows it."""
        return plain_number(value)

    @property
    def is_constant(self) -> bool:
        """Whether all reference rows have the same value, or none."""
        return self.constant is not None

    @property
    def usual(self) -> float:
        """The value of a constant column."""
        return math.nan if self.constant is None else self.constant

    @property
    def words(self) -> str:
        """How the column was read."""
        written = f" {self.notation}" if str(self.notation) else ""
        return f"numbers{written}" + ("" if self.constant is None else f", always {plain_number(self.constant)}")

    def change(self, values: Numbers) -> str | None:
        """Say what is new in values as `read` gives them; None for nothing."""
        if self.constant is None:
            return None
        present = values[~np.isnan(values)]
        others = int((present != self.constant).sum())
        return (
            f"was always {plain_number(self.constant)}; {others:,} of {len(present):,} values differ"
            if others
            else None
        )


@dataclass(frozen=True)
class CategoryColumn:
    """Texts that are equal or not, whatever their case and the blanks around them.

    known : the texts of the reference rows.  The value of a known text is its place, of another text -1 - its code.
    truth : whether all are truth values, of which yes, y, on and 1 are true."""

    kind: ClassVar[str] = "category"
    name: str
    known: tuple[str, ...]
    truth: bool = False

    @property
    def categorical(self) -> list[bool]:
        """See `NumberColumn`."""
        return [True]

    @cached_property
    def _codes(self) -> Numbers:
        return np.array([*map(_code, map(self.key, self.known)), math.nan])

    def key(self, text: str) -> str:
        """Return what equal texts share."""
        plain = plain_text(text)
        return str(TRUTHS.get(plain, plain)) if self.truth else plain

    def features(self, values: Numbers) -> list[Numbers]:
        """See `NumberColumn`."""
        places = np.where(np.isnan(values), len(self.known), values)
        return [np.where(places < 0, -1 - places, self._codes[np.maximum(places, 0).astype(np.int64)])]

    def read(self, cells: Cells, dialect: str | None = None) -> tuple[Numbers, dict[int, str]]:
        """See `NumberColumn`; every text is valid."""
        places = {self.key(text): float(place) for place, text in enumerate(self.known)}
        values: dict[str | None, float] = {None: math.nan}
        for text in set(to_texts(cells)) - {None}:
            key = self.key(text or "")
            values[text] = places[key] if key in places else -1 - _code(key)
        return np.array([values[text] for text in to_texts(cells)], np.float64), {}

    def show(self, value: float) -> Any:
        """See `NumberColumn`."""
        return None if math.isnan(value) else self.known[int(value)]

    @property
    def is_constant(self) -> bool:
        """See `NumberColumn`."""
        return len(self.known) < 2

    @property
    def usual(self) -> float:
        """See `NumberColumn`."""
        return 0.0 if self.known else math.nan

    @property
    def words(self) -> str:
        """See `NumberColumn`."""
        if not self.known:
            return "categories, always empty"
        if len(self.known) == 1:
            return f"categories, always {cell_in_words(self.known[0])}"
        return "truth values" if self.truth else f"{len(self.known):,} categories"

    def change(self, values: Numbers) -> str | None:
        """See `NumberColumn`."""
        present = values[~np.isnan(values)]
        unseen = int((present < 0).sum())
        if not unseen:
            return None
        if not self.known:
            return f"was always empty; {unseen:,} of {len(values):,} values are there"
        if len(self.known) == 1:
            return f"was always {cell_in_words(self.known[0])}; {unseen:,} of {len(present):,} values differ"
        return f"{unseen:,} of {len(present):,} values never seen" if unseen > len(present) / 2 else None


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
    day_first: bool | None = None

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

    def read(self, cells: Cells, dialect: str | None = None) -> tuple[Numbers, dict[int, str]]:
        """See `NumberColumn`."""
        values, wrong = to_moments(cells, self._order_of(cells))
        return values, {place: f"{self.name} holds dates, got {cell_in_words(cells[place])}" for place in wrong}

    def _order_of(self, cells: Cells) -> DateOrder:
        if self.day_first is not None or cells.dtype != object:
            return DateOrder(self.day_first)
        found = find_order(present_texts(cells))
        if isinstance(found, Undecided):
            ask_for_order(self.name, found)
        return found or DateOrder()

    def show(self, value: float) -> Any:
        """See `NumberColumn`."""
        if math.isnan(value):
            return None
        return str(np.datetime64(int(value), "us").astype("datetime64[s]")).removesuffix("T00:00:00")

    @property
    def is_constant(self) -> bool:
        """See `NumberColumn`."""
        return not (self.clock or self.weekday or self.time)

    @property
    def usual(self) -> float:
        """See `NumberColumn`."""
        return self.offset

    @property
    def words(self) -> str:
        """See `NumberColumn`."""
        if self.is_constant:
            return f"dates, always {self.show(self.offset)}"
        order = {True: ", the day first", False: ", the month first", None: ""}[self.day_first]
        clock = ", compared by weekday and time alone: rows come in their order" if self.clock else ""
        return f"dates{order}{clock}"

    def change(self, values: Numbers) -> str | None:
        """See `NumberColumn`."""
        present = values[~np.isnan(values)]
        others = int((present != self.offset).sum())
        if not (self.is_constant and others):
            return None
        return f"was always {self.show(self.offset)}; {others:,} of {len(present):,} values differ"


Column = NumberColumn | CategoryColumn | DateColumn


def _scale_values(values: Numbers, offset: float, scale: float) -> Numbers:
    with np.errstate(over="ignore"):
        return ((values - offset) / scale).clip(-FARTHEST, FARTHEST)


def _code(text: str) -> float:
    """Return the code of a text, which is the same in every table."""
    return float(zlib.crc32(text.encode("utf-8", "backslashreplace")) % CODES)


def plain_text(text: str) -> str:
    """Return a text whatever its case and the blanks in and around it."""
    return " ".join(text.split()).casefold()


def plain_number(value: float) -> float | int | None:
    """Return a whole number as an integer, and None for NaN."""
    if math.isnan(value):
        return None
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def cell_in_words(value: Any, longest: int = 40) -> str:
    """Quote a cell, cut if it is long."""
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
            f"{cell_in_words(example)}; give it as it was at fit, or fit again"
        )

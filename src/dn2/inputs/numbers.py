"""Numbers as people write them: `1.234,56`, `12,34,567.89`, `$9.00`, `19 %`, `(4.50)`; each read as its column is."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from dn2.arrays import Numbers

# A column has the kind that at least this share of its values has; rows with another value cannot be read.
MOST = 0.95

DECIMALS = (".", ",")
GROUPINGS = (".", ",", " ", "'")
PERCENT = ("%", "‰")
LONGEST_UNIT = 8

# Marks that look alike, for one each; by their code points.
ALIKE = {**dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " "), 0x2019: "'", 0x2212: "-", 0x2013: "-"}
SHAPE = ALIKE | dict.fromkeys(map(ord, "23456789"), "1")

CURRENCIES = (
    "AED|AFN|ALL|AMD|ARS|AUD|AZN|BAM|BDT|BGN|BHD|BOB|BRL|BYN|CAD|CHF|CLP|CNY|COP|CRC|CZK|DKK|DOP|DZD|EGP|EUR|GBP|GEL|GHS"
    "|GTQ|HKD|HNL|HRK|HUF|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|JPY|KES|KRW|KWD|KZT|LBP|LKR|MAD|MDL|MKD|MMK|MXN|MYR|NGN|NIO"
    "|NOK|NPR|NZD|OMR|PEN|PHP|PKR|PLN|PYG|QAR|RMB|RON|RSD|RUB|SAR|SEK|SGD|THB|TND|TRY|TTD|TWD|TZS|UAH|UGX|USD|UYU|UZS"
    "|VES|VND|XAF|XOF|ZAR|ZMW|Fr|Rs|kr|Kč|zł|Ft|lei|Lei|DM|R"
)
UNIT = rf"(?:(?:{CURRENCIES})\.?(?![^\W\d_])|[A-Z]{{0,3}}[$€£¥₹₽₺₩₫₴₦฿¢₪₱₲₡₸₮৳]|[%‰])"
NUMBER = re.compile(
    rf"\s*(?P<open>\()?(?P<sign>[+-]?)\s*(?P<before>{UNIT})?\s*(?P<inner>[+-]?)"
    r"(?P<digits>[0-9](?:[0-9., ']*[0-9])?[.,]?|[.,][0-9]+)(?P<exponent>(?:[eE][+-]?[0-9]+)?)(?P<dash>-?)"
    rf"\s*(?P<after>{UNIT})?(?(open)\))\s*"
)


INFINITE = re.compile(r"\s*[+-]?inf(?:inity)?\s*", re.IGNORECASE)
CODE = re.compile(r"[+-]?(?:0[01]+|[01]{16,})")  # in the digits of a shape


class Written(NamedTuple):
    """A number as it is written: its digits with their marks, its exponent, and the unit beside it or ''."""

    negative: bool
    digits: str
    exponent: str
    unit: str


class Reading(NamedTuple):
    """A way to read digits: the marks that are the decimal mark and the grouping; None for none."""

    decimal: str | None
    grouping: str | None


@dataclass(frozen=True)
class Undecided:
    """Numbers, or dates, that can be read in several ways, in words.

    ambiguous : whether saying the decimal mark, or the order, decides."""

    why: str
    ambiguous: bool = True


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    decimal : the decimal mark; None where no number shows it.
    grouping : the mark between groups of digits; None where no number has one, and any may come later.
    unit : the currency or the percent sign beside the numbers; '' for none."""

    decimal: str | None = None
    grouping: str | None = None
    unit: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether a point is the only mark, so that `float` reads the numbers."""
        return self.decimal == "." and self.grouping is None and not self.unit

    def __str__(self) -> str:
        if self.grouping is None and self.decimal in (".", None) and not self.unit:
            return ""
        number = f"1{self.grouping or ''}234{self.decimal + '56' if self.decimal else ''}"
        return f"written {number}{' ' * bool(self.unit)}{self.unit}"

    def read(self, text: str) -> float:
        """Return the number that a text writes in this notation; NaN for any other text."""
        written = split(text)
        if written is None:
            return float(text) if INFINITE.fullmatch(text) else math.nan
        if not self._has_unit(written.unit):
            return math.nan
        for reading in readings(written.digits):
            if self._allows(reading):
                return _value(written, reading)
        return math.nan

    def read_all(self, texts: Iterable[str]) -> Numbers:
        """Read texts as `read` does, to (n,) float64."""
        point = f"(?:{re.escape(self.decimal)}[0-9]+)?" if self.decimal else ""
        groups = rf"[1-9][0-9]{{0,2}}(?:{re.escape(self.grouping)}[0-9]{{3}})+|" if self.grouping else ""
        usual = re.compile(rf"-?(?:{groups}[0-9]+){point}").fullmatch
        to_point = str.maketrans({mark: to for mark, to in ((self.grouping, ""), (self.decimal, ".")) if mark})
        numbers = (float(text.translate(to_point)) if usual(text) else self.read(text) for text in texts)
        return np.fromiter(numbers, np.float64)

    def _allows(self, reading: Reading) -> bool:
        grouping = (None, self.grouping) if self.grouping else (None, *(m for m in GROUPINGS if m != self.decimal))
        return reading.decimal in (None, self.decimal) and reading.grouping in grouping

    def _has_unit(self, unit: str) -> bool:
        return unit == self.unit or (not unit and self.unit not in PERCENT)


NO_MARKS = Notation()


def split(text: str) -> Written | None:
    """Take a number apart; None for a text that is none, whatever the notation."""
    found = NUMBER.fullmatch(text.translate(ALIKE))
    if found is None:
        return None
    signs = found["sign"] + found["inner"] + found["dash"]
    units = [unit.rstrip(".") for unit in (found["before"], found["after"]) if unit]
    if len(signs) > 1 or len(units) > 1 or (found["open"] and signs):
        return None
    return Written(bool(found["open"]) or signs == "-", found["digits"], found["exponent"], "".join(units))


def is_number(text: str) -> bool:
    """Tell whether a text is a number in some notation."""
    written = split(text)
    return written is not None and bool(readings(written.digits))


def readings(digits: str) -> tuple[Reading, ...]:
    """List the ways to read digits with marks: none, one or two."""
    marks = [mark for mark in digits if not mark.isdigit()]
    if not marks:
        return (Reading(None, None),)
    last, kinds = marks[-1], set(marks)
    found = []
    if last in DECIMALS and marks.count(last) == 1:
        whole = digits[: digits.index(last)]
        grouping = (kinds - {last}).pop() if len(kinds) == 2 else None
        if len(kinds) == 1 or (grouping is not None and are_groups(whole, grouping)):
            found.append(Reading(last, grouping))
    if len(kinds) == 1 and are_groups(digits, last):
        found.append(Reading(None, last))
    return tuple(found)


def are_groups(digits: str, mark: str) -> bool:
    """Tell whether a mark groups digits by thousands, or as in India by hundreds above a thousand."""
    first, *others = digits.split(mark)
    if not 1 <= len(first) <= 3 or first.startswith("0") or not others or len(others[-1]) != 3:
        return False
    return len({len(group) for group in others[:-1]} | {3}) == 1 or (
        len(first) <= 2 and all(len(group) == 2 for group in others[:-1])
    )


def find_notation(
    texts: Iterable[str],
    dialect: str | None = None,
    decimal: str | None = None,
    grouping: str | None = None,
    *,
    codes: bool = False,
) -> Notation | Undecided | None:
    """Find how the numbers of a column are written, by all of them.

    dialect : the decimal mark of the table, which decides where the numbers do not show it.
    decimal, grouping : the marks, where a person has said them.
    codes : whether codes, such as 007, are numbers.
    Returns None for a column that does not hold numbers."""
    shapes = _Shapes(texts)
    if not shapes.hold_numbers or (shapes.hold_codes and not codes):
        return None
    if len(shapes.units) > 1:
        units = ", ".join(sorted(unit or "none" for unit in shapes.units))
        return Undecided(f"numbers in several units: {units}", ambiguous=False)
    ways = [
        Reading(mark, group)
        for mark in DECIMALS
        for group in GROUPINGS
        if mark != group and decimal in (None, mark) and grouping in (None, group)
    ]
    fits = {way: shapes.count_fitting(way) for way in ways}
    most = max(fits.values(), default=0)
    if most < MOST * shapes.present:
        said = decimal is not None or grouping is not None
        return None if said else Undecided(f"numbers written in several ways: {shapes.contrast(fits)}")
    best = [way for way in ways if fits[way] == most]
    if shapes.ambiguous is not None and len({way.decimal for way in best}) > 1:
        if dialect is None:
            return Undecided(f"numbers that can be read in two ways, such as {shapes.ambiguous!r}")
        best = [way for way in best if way.decimal == dialect]
    decimals, groupings = {way.decimal for way in best}, {way.grouping for way in best}
    return Notation(
        decimals.pop() if len(decimals) == 1 else None,
        groupings.pop() if len(groupings) == 1 else None,
        next(iter(shapes.units), ""),
    )


class _Shapes:
    """The texts of a column by their shape: all digits but 0 are alike.

    present : the number of texts; units : those beside numbers; ambiguous : a text that two decimal marks fit."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._examples: dict[str, str] = {}
        counts: Counter[str] = Counter()
        for text in texts:
            shape = text.translate(SHAPE)
            counts[shape] += 1
            self._examples.setdefault(shape, text)
        written = {shape: number for shape in counts if (number := split(shape)) is not None}
        self._counts = counts
        self._ways = {shape: found for shape, number in written.items() if (found := readings(number.digits))}
        self.present = counts.total()
        self.units = {written[shape].unit for shape in self._ways}
        if not self.units & set(PERCENT):
            self.units -= {""}
        codes = [shape for shape in self._ways if CODE.fullmatch(shape.strip())]
        self._n_codes, self._code_widths = sum(counts[shape] for shape in codes), {len(shape) for shape in counts}
        self.ambiguous = next((self._examples[shape] for shape, found in self._ways.items() if len(found) > 1), None)

    @property
    def hold_numbers(self) -> bool:
        """Whether enough texts are numbers in some notation."""
        return 0 < MOST * self.present <= sum(self._counts[shape] for shape in self._ways)

    @property
    def hold_codes(self) -> bool:
        """Whether numbers are codes: they have 16 digits and more, or zeros before them and often or one length."""
        one_length = len(self._code_widths) == 1
        return self._n_codes > (1 - MOST) * self.present or (self._n_codes > 0 and one_length)

    def count_fitting(self, way: Reading) -> int:
        """Count the texts that can be read in a way."""
        return sum(self._counts[shape] for shape, found in self._ways.items() if any(_fits(one, way) for one in found))

    def contrast(self, ways: Iterable[Reading]) -> str:
        """Show two texts that no way reads both."""
        ways = list(ways)
        for (one, found), (other, others) in combinations(self._ways.items(), 2):
            both = [way for way in ways if any(_fits(a, way) for a in found) and any(_fits(b, way) for b in others)]
            if not both:
                return f"{self._examples[one]!r} and {self._examples[other]!r}"
        return ", ".join(map(repr, list(self._examples.values())[:3]))


def _fits(reading: Reading, way: Reading) -> bool:
    return reading.decimal in (None, way.decimal) and reading.grouping in (None, way.grouping)


def _value(written: Written, reading: Reading) -> float:
    digits = written.digits.replace(reading.grouping or "", "").replace(reading.decimal or ".", ".")
    number = float(digits + written.exponent)
    return -number if written.negative else number

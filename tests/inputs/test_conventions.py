"""Numbers and dates in 67 conventions of the world: each is read back exactly, two in one column are asked about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from dn2.inputs.cells import to_moments, to_numbers
from dn2.inputs.dates import DateOrder, find_order
from dn2.inputs.numbers import Notation, Undecided, find_notation
from dn2.inputs.writing import Said, Writing

THIN, NARROW, FIXED = "\u2009", "\u202f", "\u00a0"  # blanks between groups of digits
MINUS, APOSTROPHE = "\u2212", "\u2019"


class Numbers(NamedTuple):
    """How numbers are written: the marks, the whole number around them, and what makes it negative.

    groups : the number of digits of the last group, and of the others; places : of decimals, at least one."""

    decimal: str
    grouping: str = ""
    around: str = "{}"
    negative: str = "-{}"
    groups: tuple[int, int] = (3, 3)
    places: int = 2

    def write(self, value: float) -> str:
        """Write a number, digit by digit."""
        whole, _, rest = f"{abs(value):.{self.places}f}".partition(".")
        parts, width = [], self.groups[0] if self.grouping else len(whole)
        while whole:
            parts.insert(0, whole[-width:])
            whole, width = whole[:-width], self.groups[1]
        written = self.around.format(f"{self.grouping.join(parts)}{self.decimal}{rest}")
        return self.negative.format(written) if value < 0 else written

    @property
    def unit(self) -> str:
        """The unit beside the number, alike for all conventions that have it."""
        return self.around.replace("{}", "").strip().rstrip(".")


NUMBERS = {
    "program": Numbers("."),
    "program, signed": Numbers(".", around="+{}", negative=""),
    "German export": Numbers(","),
    "aligned by blanks": Numbers(".", around="   {} "),
    "American": Numbers(".", ","),
    "American accounts": Numbers(".", ",", negative="({})"),
    "American dollars": Numbers(".", ",", "${}"),
    "American dollars in accounts": Numbers(".", ",", "${}", "({})"),
    "American dollars by name": Numbers(".", ",", "US$ {}"),
    "dollars by code": Numbers(".", ",", "USD {}"),
    "British": Numbers(".", ",", "£{}"),
    "Japanese": Numbers(".", ",", "¥{}"),
    "Korean": Numbers(".", ",", "₩{}"),
    "Indian": Numbers(".", ",", groups=(3, 2)),
    "Indian rupees": Numbers(".", ",", "₹{}", groups=(3, 2)),
    "Indian rupees by name": Numbers(".", ",", "Rs. {}", groups=(3, 2)),
    "German": Numbers(",", "."),
    "German, typeset": Numbers(",", ".", negative=MINUS + "{}"),
    "German euros": Numbers(",", ".", "{} €"),
    "German euros by code": Numbers(",", ".", "{} EUR"),
    "SAP": Numbers(",", ".", negative="{}-"),
    "Austrian euros": Numbers(",", ".", "€ {}"),
    "Italian euros": Numbers(",", ".", "€{}", places=3),
    "Brazilian": Numbers(",", ".", "R$ {}"),
    "Turkish": Numbers(",", ".", "₺{}"),
    "Danish": Numbers(",", ".", "kr. {}"),
    "Swiss": Numbers(".", "'"),
    "Swiss, typeset": Numbers(".", APOSTROPHE),
    "Swiss francs": Numbers(".", "'", "CHF {}"),
    "French": Numbers(",", NARROW),
    "French euros": Numbers(",", FIXED, "{} €"),
    "Swedish": Numbers(",", " ", "{} kr"),
    "Norwegian": Numbers(",", FIXED, "NOK {}"),
    "Polish": Numbers(",", FIXED, "{} zł"),
    "Czech": Numbers(",", FIXED, "{} Kč"),
    "scientific": Numbers(".", THIN, places=4),
    "percent": Numbers(".", around="{}%"),
    "percent, typeset": Numbers(",", around="{} %"),
    "per mille": Numbers(",", around="{} ‰"),
}

# How `strftime` writes dates, and whether the day stands before the month, or None where it does not matter.
DATES = {
    "%Y-%m-%d": None,
    "%Y-%m-%d %H:%M": None,
    "%Y-%m-%d %H:%M:%S": None,
    "%Y-%m-%dT%H:%M:%S": None,
    "%Y-%m-%dT%H:%M:%SZ": None,
    "%Y-%m-%dT%H:%M:%S.000": None,
    "%Y-%m-%d %H:%M:%S,000": None,
    "%Y-%m-%d %H:%M:%S UTC": None,
    "%Y/%m/%d": None,
    "%Y.%m.%d": None,
    "%Y-%b-%d": None,
    "%d.%m.%Y": None,
    "%d.%m.%y": None,
    "%d.%m.%Y %H:%M": None,
    "%d.%m.%Y, %H:%M:%S": None,
    "%d/%m/%Y": True,
    "%d/%m/%y": True,
    "%d/%m/%Y %I:%M:%S %p": True,
    "%d-%m-%Y %H:%M:%S": True,
    "%m/%d/%Y": False,
    "%m/%d/%y %I:%M %p": False,
    "%m-%d-%Y": False,
    "%d-%b-%Y": None,
    "%d %B %Y": None,
    "%b %d, %Y": None,
    "%a %d %b %Y": None,
    "%A, %d %b %Y %H:%M:%S +0000": None,
    "%d/%b/%Y:%H:%M:%S +0000": None,
}

AMOUNTS = st.lists(st.integers(-(10**9), 10**9).filter(bool), min_size=1, max_size=20)
DAYS = st.lists(
    st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)).map(lambda at: at.replace(microsecond=0)),
    min_size=1,
    max_size=20,
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_there_are_as_many_conventions_as_are_said() -> None:
    assert len(NUMBERS) + len(DATES) == 67


def as_column(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=object)


def microseconds(text: str, form: str) -> float:
    return (datetime.strptime(text, form).replace(tzinfo=UTC) - EPOCH) / timedelta(microseconds=1)


def values_of(one: Numbers, whole: list[int]) -> list[float]:
    """Return numbers with as many decimals as a convention has, positive where it writes no other."""
    return [(abs(number) if not one.negative else number) / 10**one.places for number in whole]


@given(st.sampled_from(sorted(NUMBERS)), AMOUNTS)
def test_numbers_are_read_back_in_every_convention(name: str, whole: list[int]) -> None:
    one = NUMBERS[name]
    values = values_of(one, whole)
    texts = as_column([one.write(value) for value in values])
    shown = any(len(str(abs(number))) > one.places + 3 for number in whole) or one.places != 3
    for said in (Said(), Said(decimal=one.decimal)) if shown else (Said(decimal=one.decimal),):
        numbers, wrong = Writing({"x": texts}, said).numbers("x")
        assert wrong == []
        assert numbers.tolist() == values


def are_compatible(one: Numbers, other: Numbers) -> bool:
    """Tell whether numbers in two conventions can stand in one column: their marks and units agree."""
    blanks = str.maketrans(dict.fromkeys(THIN + NARROW + FIXED, " ") | {APOSTROPHE: "'"})
    marks = {convention.grouping.translate(blanks) for convention in (one, other)} - {""}
    units = {convention.unit.replace("+", "") for convention in (one, other)}
    if not units & {"%", "‰"}:
        units -= {""}
    return one.decimal == other.decimal and len(marks) < 2 and len(units) < 2


@given(*[st.sampled_from(sorted(NUMBERS))] * 2, *[st.lists(st.integers(10**7, 10**9), min_size=5, max_size=20)] * 2)
@example("American", "German", [10**7] * 5, [10**8] * 5)
def test_two_conventions_of_numbers_in_one_column_agree_or_are_asked(
    first: str, second: str, some: list[int], others: list[int]
) -> None:
    one, other = NUMBERS[first], NUMBERS[second]
    values = values_of(one, some) + values_of(other, others)
    written_as = [one] * len(some) + [other] * len(others)
    texts = [convention.write(value) for convention, value in zip(written_as, values, strict=True)]
    found = find_notation(texts)
    if are_compatible(one, other):
        assert isinstance(found, Notation)
        assert to_numbers(as_column(texts), found)[0].tolist() == values
    else:
        assert isinstance(found, Undecided)


@given(st.sampled_from(sorted(DATES)), DAYS)
def test_dates_are_read_back_in_every_convention(form: str, days: list[datetime]) -> None:
    day_first = DATES[form]
    texts = [day.strftime(form) for day in days]
    order = find_order(texts, day_first)
    assert isinstance(order, DateOrder)
    assert to_moments(as_column(texts), order)[0].tolist() == [microseconds(text, form) for text in texts]
    if day_first is not None:
        found = find_order(texts)
        if any(day.day > 12 for day in days):
            assert found == DateOrder(day_first)
        elif any(day.day != day.month for day in days):
            assert isinstance(found, Undecided)


@given(*[st.sampled_from(sorted(DATES))] * 2, DAYS, DAYS)
@example("%d/%m/%Y", "%m/%d/%Y", [datetime(2024, 1, 1)] * 5, [datetime(2024, 1, 1)] * 5)
def test_two_conventions_of_dates_in_one_column_agree_or_are_asked(
    first: str, second: str, some: list[datetime], others: list[datetime]
) -> None:
    some, others = ([day.replace(day=13 + day.day % 15) for day in (days * 20)[:20]] for days in (some, others))
    forms = [first] * 20 + [second] * 20
    texts = [day.strftime(form) for day, form in zip(some + others, forms, strict=True)]
    found = find_order(texts)
    if {DATES[first], DATES[second]} >= {True, False}:
        assert found == Undecided("dates written with the day first and with the month first")
    else:
        assert isinstance(found, DateOrder)
        expected = [microseconds(text, form) for text, form in zip(texts, forms, strict=True)]
        assert to_moments(as_column(texts), found)[0].tolist() == expected

"""Numbers in the notations that people use, read back by their whole column."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.inputs.numbers import DECIMALS, GROUPINGS, Notation, Undecided, find_notation

# By name of what a group of digits is like: how many digits the groups have from the right.
WIDTHS = {"thousands": (3, 3), "Indian": (3, 2)}
UNITS = ["", "$", "€", "EUR", "CHF", "%", "₹", "kr"]


def write(
    value: float, notation: Notation, *, places: int = 2, widths: tuple[int, int] = (3, 3), negative: str = "-{}"
) -> str:
    """Write a number by hand, digit by digit."""
    digits = f"{abs(value):.{places}f}"
    whole, _, rest = digits.partition(".")
    if notation.grouping:
        groups, width = [], widths[0]
        while whole:
            groups.insert(0, whole[-width:])
            whole, width = whole[:-width], widths[1]
        whole = notation.grouping.join(groups)
    written = whole + (f"{notation.decimal}{rest}" if rest else "")
    written = negative.format(written) if value < 0 else written
    if notation.unit in ("$", "₹", "CHF"):
        return f"{notation.unit}{' ' * (notation.unit == 'CHF')}{written}"
    return f"{written} {notation.unit}" if notation.unit else written


def read(texts: list[str], **known: str) -> list[float]:
    found = find_notation(texts, **known)
    assert isinstance(found, Notation), found
    values = found.read_all(texts)
    np.testing.assert_array_equal(values, [found.read(text) for text in texts])
    return values.tolist()


notations = st.tuples(st.sampled_from(DECIMALS), st.sampled_from([None, *GROUPINGS]), st.sampled_from(UNITS)).filter(
    lambda marks: marks[0] != marks[1]
)
amounts = st.lists(st.integers(-(10**9), 10**9).map(lambda cents: cents / 100), min_size=1, max_size=30)


@given(notations, amounts, st.sampled_from(sorted(WIDTHS)), st.sampled_from(["-{}", "({})", "{}-", "\u2212{}"]))
def test_amounts_are_read_back_in_any_notation(
    marks: tuple[str, str | None, str], values: list[float], widths: str, negative: str
) -> None:
    notation = Notation(*marks)
    if negative == "({})" and notation.unit:
        negative = "-{}"
    texts = [write(value, notation, widths=WIDTHS[widths], negative=negative) for value in values]
    assert read(texts) == values


@given(notations, st.lists(st.integers(1_000, 10**9), min_size=1, max_size=20))
def test_whole_numbers_in_groups_are_read_back_once_something_tells_the_decimal_mark(
    marks: tuple[str, str | None, str], values: list[int]
) -> None:
    notation = Notation(*marks)
    texts = [write(value, notation, places=0) for value in values]
    assert read(texts, dialect=notation.decimal) == values
    assert read(texts, decimal=notation.decimal) == values
    found = find_notation(texts)
    if notation.grouping in DECIMALS and max(values) < 10**6:
        assert isinstance(found, Undecided)
        assert "can be read in two ways" in found.why
    else:
        assert isinstance(found, Notation)
        assert found.read_all(texts).tolist() == values


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["900.000", "12,5"], [900_000, 12.5]),
        (["900,000", "12.5"], [900_000, 12.5]),
        (["0.125", "900.000"], [0.125, 900]),  # no group begins with a zero
        (["1234.567", "900.000"], [1234.567, 900]),
        (["1'234.50", "12"], [1234.5, 12]),
        (["1\u2019234.50", "12"], [1234.5, 12]),
        (["1\u202f234,50", "1 234,50", "1\u00a0234,5"], [1234.5, 1234.5, 1234.5]),
        (["12,34,567.89", "3,000"], [1234567.89, 3000]),
        (["$9.00", "-$1,234.50", "($3.00)", "4.5"], [9, -1234.5, -3, 4.5]),
        (["R$ 1.234,56", "R$ 7"], [1234.56, 7]),
        (["19 %", "7%", "2,5 %"], [19, 7, 2.5]),
        (["1.5e3", "-2E-1", "+4", " 5 "], [1500, -0.2, 4, 5]),
        ([".5", "5."], [0.5, 5]),
        (["1,234,567", "2"], [1234567, 2]),  # two groups are no decimals
    ],
)
def test_columns_of_the_world_are_read_as_they_are_meant(texts: list[str], expected: list[float]) -> None:
    assert read(texts) == expected


@pytest.mark.parametrize(
    "texts",
    [
        ["007", "7", "012"],
        ["01067", "80331", "10115"],
        ["1234567890123456789", "1234567890123456788"],
        ["1_000", "2_000"],
        ["12:30", "13:30"],
        ["2024-01-05", "2024-01-06"],
        ["31.12.2024", "1.1.2025"],
        ["A12", "B7"],
        ["12.34.56", "1.2.3"],
        ["EUR 5 EUR", "--5"],
        ["5 kg", "6 kg"],
    ],
)
def test_codes_dates_and_names_are_no_numbers(texts: list[str]) -> None:
    assert find_notation(texts) is None


def test_a_rare_zero_before_a_number_does_not_make_codes_of_all() -> None:
    texts = [str(number) for number in range(1, 100)] + ["0100"]
    assert read(texts)[-1] == 100
    assert read(["007", "12"], codes=True) == [7, 12]  # type: ignore[arg-type]  # as a person has said


@pytest.mark.parametrize(("texts", "units"), [(["5 EUR", "6 USD"], "EUR, USD"), (["5 %", "6"], "%, none")])
def test_numbers_in_several_units_are_not_compared(texts: list[str], units: str) -> None:
    found = find_notation(texts)
    assert found == Undecided(f"numbers in several units: {units}", ambiguous=False)


@pytest.mark.parametrize("text", ["9.00", "1.234,5", "12,345", "€ 5", "x", "", "5 %"])
def test_what_is_written_otherwise_than_the_column_is_not_read(text: str) -> None:
    assert math.isnan(Notation(".", "'", "$").read(text)) == (text != "9.00")


def test_a_notation_says_how_it_looks() -> None:
    assert [str(one) for one in (Notation("."), Notation(), Notation(",", ".", "€"), Notation(None, " "))] == [
        "",
        "",
        "written 1.234,56 €",
        "written 1 234",
    ]

"""Dates in the forms that people use, read back by their whole column."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.inputs.dates import DateOrder, find_order, moments
from dn2.inputs.numbers import Undecided

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)).map(lambda at: at.replace(microsecond=0))

# How `strftime` writes them, and whether the day stands before the month, or None where it does not matter.
FORMS = [
    ("%Y-%m-%d", None),
    ("%Y-%m-%d %H:%M:%S", None),
    ("%Y-%m-%dT%H:%M:%SZ", None),
    ("%Y-%m-%d %H:%M:%S UTC", None),
    ("%Y/%m/%d", None),
    ("%Y.%m.%d", None),
    ("%d.%m.%Y", None),
    ("%d.%m.%y", None),
    ("%d.%m.%Y %H:%M", None),
    ("%d/%m/%Y", True),
    ("%d/%m/%y", True),
    ("%d-%m-%Y %H:%M:%S", True),
    ("%m/%d/%Y", False),
    ("%m/%d/%y %I:%M %p", False),
    ("%m-%d-%Y", False),
    ("%d-%b-%Y", None),
    ("%d %B %Y", None),
    ("%b %d, %Y", None),
    ("%A, %d %b %Y %H:%M:%S +0000", None),
    ("%d/%b/%Y:%H:%M:%S +0000", None),
]


def microseconds(at: datetime) -> float:
    return (at.replace(tzinfo=UTC) - EPOCH) / timedelta(microseconds=1)


@given(st.sampled_from(FORMS), st.lists(DAYS, min_size=1, max_size=20))
def test_dates_are_read_back_in_any_form(form: tuple[str, bool | None], days: list[datetime]) -> None:
    pattern, day_first = form
    texts = [day.strftime(pattern) for day in days]
    expected = [microseconds(datetime.strptime(text, pattern).replace(tzinfo=None)) for text in texts]
    order = find_order(texts, day_first)
    assert isinstance(order, DateOrder)
    assert [order.read(text) for text in texts] == expected
    if day_first is not None:
        told = [day for day in days if day.day > 12]
        found = find_order(texts)
        if told:
            assert found == DateOrder(day_first)
        elif any(day.day != day.month for day in days):
            assert isinstance(found, Undecided)


@given(st.lists(DAYS, min_size=2, max_size=20))
def test_days_first_and_months_first_in_one_column_are_asked_about(days: list[datetime]) -> None:
    days = [day.replace(day=13 + day.day % 15) for day in days]
    texts = [day.strftime("%d/%m/%Y" if place % 2 else "%m/%d/%Y") for place, day in enumerate(days)]
    assert find_order(texts) == Undecided("dates written with the day first and with the month first")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("31. Januar 2024", "2024-01-31"),
        ("3. März 2024", "2024-03-03"),
        ("31 janvier 2024", "2024-01-31"),
        ("15 août 2024", "2024-08-15"),
        ("31 de enero de 2024", "2024-01-31"),
        ("1er", None),
        ("Jan 31st, 2024", "2024-01-31"),
        ("31-DEC-24", "2024-12-31"),
        ("12/31/2024 12:05 AM", "2024-12-31T00:05"),
        ("12/31/2024 12:05 p.m.", "2024-12-31T12:05"),
        ("2024-01-31 10:00:00,123", "2024-01-31T10:00:00.123"),
        ("31.12.2024 23:30 +01:00", "2024-12-31T22:30"),
        ("01/02/70", "1970-02-01"),
        ("31.12.68", "2068-12-31"),
        ("13:30 PM", None),
        ("31.02.2024", None),
        ("32/13/2024", None),
        ("12/31/2024 13:05 PM", None),
        ("3 marble 2024", None),
        ("1.234", None),
        ("12.05", None),
    ],
)
def test_a_date_is_read_or_is_none(text: str, expected: str | None) -> None:
    first = moments(text)[0]
    if expected is None:
        assert all(map(math.isnan, moments(text)))
    elif text[:2] == "12":
        assert moments(text)[1] == microseconds(datetime.fromisoformat(expected))
    else:
        assert first == microseconds(datetime.fromisoformat(expected))

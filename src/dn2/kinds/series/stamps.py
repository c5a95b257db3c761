"""Stamps of series: moments, or numbers; and the numbers that are moments, counted from 1970 on."""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import numpy as np

from dn2.errors import InputError
from dn2.inputs.columns import Column
from dn2.inputs.numbers import MOST
from dn2.inputs.writing import Writing
from dn2.results.words import number_in_words

logger = logging.getLogger("dn2")

NUMBERS, MOMENTS = "numbers", "moments"
UNITS = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}  # microseconds of each
KINDS_OF_STAMPS = (NUMBERS, MOMENTS, *UNITS)

# Seconds since 1970, from 2000 to 2050: numbers that nearly all lie there are such; so it is for the other units.
FIRST, LAST, WHEN = 946_684_800, 2_524_608_000, "between 2000 and 2050"
MOST_OF_KNOWN = 0.5  # more of the numbers than this must be in the unit that a model knows

SPANS = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
WHOLE = ("d", "h", "min", "s")


def read_stamps(
    cells: Column, writing: Writing, time: str, known: str | None, errors: dict[int, str]
) -> tuple[Column, str]:
    """Return the stamps of a column, (n,), moments or numbers as most of them are, and the kind of these; note the rows
    without one, and those whose stamp is of another kind.

    known : the kind of a fitted model's stamps; numbers in any unit go with its moments, and moments with its units.
    Raises InputError for a column of other things, of several kinds, and of another kind than the model's."""
    stamps = _parse(cells, writing, time, errors) if cells.dtype == object else cells
    if stamps.dtype.kind == "M":
        kind = MOMENTS
        if known == NUMBERS and not np.isnat(stamps).all():
            _refuse_kind(time, known, kind, stamp_texts(stamps[~np.isnat(stamps)][:1])[0])
        bad = np.isnat(stamps)
    else:
        kind = _kind_of_numbers(stamps[np.isfinite(stamps)], time, known)
        bad = ~_are_of(kind, stamps)
    for row in np.flatnonzero(bad).tolist():
        errors.setdefault(row, _why_bad(stamps[row], kind, time))
    if kind in UNITS:
        stamps = _to_moments(np.where(bad, np.nan, stamps) * UNITS[kind])
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
    """Find what numbers are, by nearly all of them, or by most where a model knows the kind.

    Raises InputError where they are of several units, or not of the kind that is known."""
    if known == NUMBERS or not len(numbers):
        return NUMBERS
    counts = {unit: int(_are_of(unit, numbers).sum()) for unit in UNITS}
    likely = max(counts, key=lambda unit: counts[unit])
    of_known = known is not None and counts[likely] > MOST_OF_KNOWN * len(numbers)
    found = likely if of_known or counts[likely] >= MOST * len(numbers) else NUMBERS
    if found == NUMBERS and sum(counts.values()) >= MOST * len(numbers):
        examples = [f"{unit}, such as {_show(numbers[_are_of(unit, numbers)][0])}" for unit in UNITS if counts[unit]]
        raise InputError(
            f"the column of stamps {time!r} holds numbers that count from 1970 on in several units: "
            f"{', and '.join(examples)}; bring them to one"
        )
    if known is not None and found != known and (known in UNITS or found == NUMBERS):
        expected = known if known in UNITS else likely
        _refuse_kind(time, known, found, _show(numbers[~_are_of(expected, numbers)][0]))
    if found == NUMBERS and counts[likely] > MOST_OF_KNOWN * len(numbers):
        logger.warning(
            "the stamps %r are taken as numbers: only %s of %s can be %s since 1970 %s, and not %s",
            time,
            f"{counts[likely]:,}",
            f"{len(numbers):,}",
            likely,
            WHEN,
            _show(numbers[~_are_of(likely, numbers)][0]),
        )
    return found


def _are_of(kind: str, numbers: Column) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell which numbers are stamps of a kind: for a unit those from 2000 to 2050, else all that are finite."""
    if kind not in UNITS:
        return np.isfinite(numbers)
    per_second = 1e6 / UNITS[kind]
    return (numbers >= FIRST * per_second) & (numbers <= LAST * per_second)


def _refuse_kind(time: str, known: str, found: str, example: str) -> NoReturn:
    expected, came = (f"{kind} since 1970" if kind in UNITS else kind for kind in (known, found))
    raise InputError(
        f"the column of stamps {time!r} held {expected} at fit, and here it holds {came}, such as {example}; bring it "
        f"to {expected}"
    )


def _why_bad(stamp: Any, kind: str, time: str) -> str:
    if kind == MOMENTS or np.isnan(stamp):
        return f"its stamp {time!r} is missing"
    what = f"moment in {kind} since 1970 {WHEN}" if kind in UNITS else "finite number"
    return f"its stamp {_show(stamp)!r} is no {what}"


def _show(number: Any) -> str:
    return f"{number:.0f}" if float(number).is_integer() else repr(float(number))


def _parse(column: Column, writing: Writing, time: str, errors: dict[int, str]) -> Column:
    """Read stamps from texts, as what most of them are, and note the rows where a stamp cannot be read.

    Raises InputError where most are neither numbers nor moments, or not more of them the one than the other."""
    (moments, no_moment), (numbers, no_number) = writing.moments(time), writing.numbers(time)
    as_numbers = len(no_number) < len(no_moment)
    wrong = no_number if as_numbers else no_moment
    of_other_kind = set(wrong).difference(no_moment if as_numbers else no_number)
    if len(wrong) > len(column) / 2 or (wrong and len(no_number) == len(no_moment)):
        if 2 * len(of_other_kind) > len(wrong):
            number, moment = min(set(no_moment).difference(no_number)), min(set(no_number).difference(no_moment))
            raise InputError(
                f"the column of stamps {time!r} holds both numbers, such as {column[number]!r:.60}, and moments, such "
                f"as {column[moment]!r:.60}; bring them to one"
            )
        example = next(column[row] for row in wrong if row not in of_other_kind)
        raise InputError(
            f"the column of stamps {time!r} must hold numbers or moments such as 2024-01-31 12:00:00, and it holds "
            f"texts such as {example!r:.60}"
        )
    here, other = ("numbers", "moment") if as_numbers else ("moments", "number")
    for row in wrong:
        why = f"is a {other}, and most are {here}" if row in of_other_kind else "cannot be read"
        errors.setdefault(row, f"its stamp {column[row]!r:.60} {why}")
    return numbers if as_numbers else _to_moments(moments)


def _to_moments(microseconds: Column) -> Column:
    """Turn microseconds since 1970, (n,) with NaN, into moments, NaT for NaN and for infinity."""
    nothing = np.iinfo(np.int64).min
    finite = np.isfinite(microseconds)
    whole = np.rint(np.where(finite, microseconds, 0)).astype(np.int64)
    return np.where(finite, whole, nothing).view("datetime64[us]")

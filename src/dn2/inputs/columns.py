"""Columns of a table: numbers, moments or texts, made of values of any type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from dn2.errors import InputError
from dn2.system.interface import option

# (n,): float64 with NaN where missing; datetime64[us] with NaT; or object of str and None.
Column = np.ndarray[Any, np.dtype[Any]]


class ColumnsRead(NamedTuple):
    """Columns of a file.

    columns : by name, None for a column that must be read again as text: text came after numbers, or its points are
        decimal marks or stand between groups of digits.
    n_rows : the number of rows; errors : by row, why it cannot be read, whose cells are missing.
    with_points : the columns of numbers whose decimal mark is a point, by their cells."""

    columns: dict[str, Column | None]
    n_rows: int
    errors: dict[int, str]
    with_points: frozenset[str] = frozenset()


# Beyond it float64 merges integers; such integers are identifiers, and become texts.
LARGEST_INTEGER = 2**53
MOST_DIGITS = 10**4000  # Python refuses to write many more digits in decimal
LAST_YEAR = 290_000  # in int64 microseconds, before and after 1970
NESTED = (list, tuple, dict, set, frozenset, np.ndarray)
NO_VALUE = {"NoneType", "NAType", "NaTType"}


def to_column(values: Any, name: str) -> Column:
    """Turn the values of one column, (n,), of numpy, pandas, polars or a plain sequence, into a column.

    Truth values become the texts true and false, durations seconds; a moment with a time zone is put in UTC.  A column
    whose values are of several kinds becomes text.
    Raises InputError, naming the column, unless the values are 1-d, and each is a number, a text or a moment."""
    array = _as_array(values, name)
    if array.ndim != 1:
        raise InputError(f"the column {name!r} must hold one value a row, got an array of shape {array.shape}")
    kind = array.dtype.kind
    if kind == "b":
        return write_texts(array.tolist())
    if kind in "iu":
        return write_texts(array.tolist()) if _too_large(array.tolist()) else array.astype(np.float64)
    if kind == "f":
        with np.errstate(over="ignore"):  # infinity is an error of its row
            return array.astype(np.float64)
    if kind == "M":
        return _moments(array)
    if kind == "m":
        return _seconds(array)
    if kind in "OSTU":
        return _of_objects(array.tolist(), name)
    raise InputError(f"the column {name!r} holds {array.dtype}, which is neither number, text nor moment; leave it out")


def write_texts(values: Iterable[Any]) -> Column:
    """Write each value as text, None where it is missing; equal texts share one object."""
    shared: dict[str, str] = {}
    written = (text_of(value) for value in values)
    return np.array([None if text is None else shared.setdefault(text, text) for text in written], dtype=object)


def text_of(value: Any) -> str | None:
    """Write one value as text, None where it is missing.

    A whole number is written without a point, because frames make floats of integers where one is missing."""
    if is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(float(value)) <= LARGEST_INTEGER:
        return str(int(value))
    if isinstance(value, int) and abs(value) >= MOST_DIGITS:
        return hex(value)
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def write_column(column: Column) -> Column:
    """Write a column as texts; moments in ISO 8601, without a time of day where it is midnight."""
    if column.dtype.kind == "M":
        written = (None if text == "NaT" else text for text in np.datetime_as_string(column, unit="us").tolist())
        return write_texts(text and text.removesuffix(".000000").removesuffix("T00:00:00") for text in written)
    return column if column.dtype == object else write_texts(column.tolist())


def stack(parts: Sequence[Column]) -> Column:
    """Put columns of one kind below each other; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _as_array(values: Any, name: str) -> Column:
    if isinstance(values, (list, tuple)):
        return _objects(values)
    if isinstance(values, np.ma.MaskedArray):
        return _objects(values.tolist())  # None where masked
    if hasattr(values, "null_count"):  # polars, which makes floats of integers where one is missing
        if values.dtype.is_nested():
            raise _nested(name, values.dtype)
        return _objects(values.to_list()) if values.null_count() else np.asarray(values.to_numpy())
    dtype = getattr(values, "dtype", None)
    if dtype is not None and not isinstance(dtype, np.dtype) and hasattr(values, "to_numpy"):
        objects = np.asarray(values.to_numpy(dtype=object))  # pandas' own types
        return write_texts(objects.tolist()) if str(dtype) == "category" else objects
    return np.asarray(values)


def _objects(values: Sequence[Any]) -> Column:
    return np.fromiter(values, dtype=object, count=len(values))


def _of_objects(values: list[Any], name: str) -> Column:
    values = [None if is_missing(value) else value for value in values]
    kinds = set(map(type, values)) - {type(None)}
    if nested := [kind for kind in kinds if issubclass(kind, (*NESTED, complex, np.complexfloating))]:
        raise _nested(name, nested[0].__name__)
    if all(issubclass(kind, timedelta) for kind in kinds):
        return np.array([np.nan if value is None else value.total_seconds() for value in values])
    if all(issubclass(kind, (timedelta, np.timedelta64)) for kind in kinds):
        return np.concatenate([_seconds(np.array([value], getattr(value, "dtype", "m8[us]"))) for value in values])
    if all(issubclass(kind, (Real, Decimal)) and not issubclass(kind, bool) for kind in kinds):
        if _too_large(value for value in values if isinstance(value, Integral)):
            return write_texts(values)
        return np.array([np.nan if value is None else _float(value) for value in values])
    if all(issubclass(kind, (date, np.datetime64)) for kind in kinds):
        return _of_moments(values)
    return write_texts(values)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # of a fraction
        return math.inf if value > 0 else -math.inf


def _seconds(array: Column) -> Column:
    """Return durations of any unit, (n,), in seconds, NaN for NaT; numpy's own conversion could overflow."""
    second = np.timedelta64(1, "s")
    unit = np.array(1, np.int64).view(array.dtype)[()]
    counts = np.where(np.isnat(array), np.nan, array.astype(np.int64))
    return counts / (second / unit) if unit <= second else counts * (unit / second)


def _moments(array: Column) -> Column:
    """Return moments, (n,), in microseconds, or all as texts if the year of one is beyond what microseconds hold."""
    years = array.astype("datetime64[Y]").astype(np.int64) + 1970
    beyond = ~np.isnat(array) & (np.abs(years) > LAST_YEAR)
    if not beyond.any():
        return array.astype("datetime64[us]")
    within = write_column(np.where(beyond, np.datetime64("NaT"), array).astype("datetime64[us]"))
    return np.where(beyond, np.array([f"the year {year:,}" for year in years.tolist()], object), within)


def _of_moments(values: list[Any]) -> Column:
    """Convert moments of any types to UTC; all become texts if one of them is then beyond what its type holds."""
    try:
        naive = [
            value.astimezone(UTC).replace(tzinfo=None) if getattr(value, "tzinfo", None) is not None else value
            for value in values
        ]
    except OverflowError:
        return write_texts(values)
    if not any(isinstance(value, np.datetime64) for value in naive):
        return np.array(naive, dtype="datetime64[us]")
    parts = [_moments(np.array([value], getattr(value, "dtype", "M8[us]"))) for value in naive]
    alike = len({part.dtype for part in parts}) == 1
    return np.concatenate(parts if alike else [write_column(part) for part in parts])


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for none: None, NaN, NaT, or what a library has for them."""
    if type(value).__name__ in NO_VALUE:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _too_large(integers: Iterable[Any]) -> bool:
    return any(abs(int(value)) > LARGEST_INTEGER for value in integers)


def _nested(name: str, kind: Any) -> InputError:
    return InputError(f"the column {name!r} holds {kind}, which is neither number, text nor moment; {leave_out(name)}")


def leave_out(name: str) -> str:
    """Say how to leave out a column that cannot be read."""
    return f"leave it out with {option('drop_columns', name)} or, of series, name the others with {option('values')}"

"""Columns of a table: numbers, moments or texts, made of whatever values came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from dn2.errors import InputError

# (n,): float64 with NaN where missing; datetime64[us] with NaT; or object of str and None.
Column = np.ndarray[Any, np.dtype[Any]]

# Beyond it float64 merges integers, which are identifiers then.
LARGEST_INTEGER = 2**53
NESTED = (list, tuple, dict, set, frozenset, np.ndarray)
NO_VALUE = {"NoneType", "NAType", "NaTType"}


def to_column(values: Any, name: str) -> Column:
    """Turn the values of one column, (n,), of numpy, pandas, polars or a plain sequence, into a column.

    Truth values become the texts true and false, durations seconds; a moment with a time zone is put in UTC.  A column
    whose values are of several kinds becomes text.
    Raises InputError, naming the column, for what is nested, complex or not 1-d."""
    array = _as_array(values, name)
    if array.ndim != 1:
        raise InputError(f"the column {name!r} must hold one value a row, got an array of shape {array.shape}")
    kind = array.dtype.kind
    if kind == "b":
        return texts(array.tolist())
    if kind in "iu":
        return texts(array.tolist()) if _too_large(array.tolist()) else array.astype(np.float64)
    if kind == "f":
        return array.astype(np.float64)
    if kind == "M":
        return array.astype("datetime64[us]")
    if kind == "m":
        return array / np.timedelta64(1, "s")
    if kind in "OSTU":
        return _of_objects(array.tolist(), name)
    raise InputError(f"the column {name!r} holds {array.dtype}, which is neither number, text nor moment; leave it out")


def texts(values: Iterable[Any]) -> Column:
    """Write each value as text, None where it is missing; equal texts share one object."""
    known: dict[str, str] = {}
    written = (text_of(value) for value in values)
    return np.array([None if text is None else known.setdefault(text, text) for text in written], dtype=object)


def text_of(value: Any) -> str | None:
    """Write one value as text, None where it is missing.

    A whole number is written without a point, because frames make floats of integers where one is missing."""
    if _is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(float(value)) <= LARGEST_INTEGER:
        return str(int(value))
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def as_texts(column: Column) -> Column:
    """Write a column as texts; moments in ISO 8601, without a time of day where it is midnight."""
    if column.dtype.kind == "M":
        written = (None if text == "NaT" else text for text in np.datetime_as_string(column, unit="us").tolist())
        return texts(text and text.removesuffix(".000000").removesuffix("T00:00:00") for text in written)
    return column if column.dtype == object else texts(column.tolist())


def joined(parts: Sequence[Column]) -> Column:
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
        return texts(objects.tolist()) if str(dtype) == "category" else objects
    return np.asarray(values)


def _objects(values: Sequence[Any]) -> Column:
    return np.fromiter(values, dtype=object, count=len(values))


def _of_objects(values: list[Any], name: str) -> Column:
    values = [None if _is_missing(value) else value for value in values]
    kinds = set(map(type, values)) - {type(None)}
    if nested := [kind for kind in kinds if issubclass(kind, (*NESTED, complex, np.complexfloating))]:
        raise _nested(name, nested[0].__name__)
    if all(issubclass(kind, (Real, Decimal)) and not issubclass(kind, bool) for kind in kinds):
        if _too_large(value for value in values if isinstance(value, Integral)):
            return texts(values)
        return np.array([np.nan if value is None else float(value) for value in values])
    if all(issubclass(kind, (timedelta, np.timedelta64)) for kind in kinds):
        return np.array(values, dtype="timedelta64[us]") / np.timedelta64(1, "s")
    if all(issubclass(kind, (date, np.datetime64)) for kind in kinds):
        return np.array(list(_in_utc(values)), dtype="datetime64[us]")
    return texts(values)


def _in_utc(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        aware = isinstance(value, datetime) and value.tzinfo is not None
        yield value.astimezone(UTC).replace(tzinfo=None) if aware else value


def _is_missing(value: Any) -> bool:
    if type(value).__name__ in NO_VALUE:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _too_large(integers: Iterable[Any]) -> bool:
    return any(abs(value) > LARGEST_INTEGER for value in integers)


def _nested(name: str, kind: Any) -> InputError:
    return InputError(
        f"the column {name!r} holds {kind}, which is neither number, text nor moment; "
        f"leave it out with --drop-column {name!r}"
    )

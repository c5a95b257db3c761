"""Series in memory: arrays, and Series of pandas and polars, by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from dn2.arrays import Numbers
from dn2.errors import InputError
from dn2.inputs.columns import Column, to_column
from dn2.inputs.memory import are_numbers, is_series, label_items
from dn2.inputs.names import list_few

IN_MEMORY = "series"  # the name of a series from memory without a name


def series_by_name(
    inputs: Any, time: str | None, values: Collection[str], id_column: str | None, columns: Sequence[str]
) -> dict[str, Any] | None:
    """Return series in memory by name: an array, a list of numbers or a Series, or a dict of several; None for other
    inputs, such as a frame.

    A dict is a frame where columns of a frame are asked for: `time`, `values`, `id_column`, or `columns`, those of a
    fitted model, unless they have the names that the columns of an array get."""
    if isinstance(inputs, np.ndarray) or (isinstance(inputs, list) and are_numbers(inputs)) or is_series(inputs):
        return {IN_MEMORY: inputs}
    if not isinstance(inputs, Mapping) or not inputs or not all(map(_is_series, inputs.values())):
        return None
    asked_columns = [column for column in (time, id_column) if column is not None]
    from_array = list(columns) == column_names(len(columns))
    of_frame = set(columns) <= set(map(str, inputs)) and not from_array if columns else bool(values)
    if of_frame or (asked_columns and not all(_has_stamps(value) for value in inputs.values())):
        return None
    return dict(zip(label_items(inputs), inputs.values(), strict=True))


def column_names(count: int) -> list[str]:
    """Name the columns of a series without column names."""
    return ["value"] if count == 1 else [f"value {number}" for number in range(1, count + 1)]


def points_of(series: Any, time: str | None, id_column: str | None) -> tuple[Column, Numbers]:
    """Return the stamps, (n,), and the values, (n, c), of a series in memory; the points of a series
    without stamps lie one step apart.

    Raises InputError for values that are not numbers, and for columns that the series does not have."""
    stamped = _has_stamps(series)
    values = _values_of(series)
    asked_columns = [column for column in (None if stamped else time, id_column) if column is not None]
    if asked_columns:
        there = list_few(column_names(values.shape[1]))
        raise InputError(f"an array has the columns {there}, and {list_few(asked_columns)} is asked for; give a frame")
    if not np.isfinite(values).all(axis=1).any():
        if not np.isfinite(values).any():
            raise InputError(f"all {len(values):,} values of the series are missing")
        raise InputError("no row of the array has a number in every column")
    if not stamped:
        return np.arange(float(len(values))), values
    index = series.index
    stamps = to_column((index if index.tz is None else index.tz_convert("UTC").tz_localize(None)).to_numpy(), "index")
    if np.isnat(stamps).any():
        raise InputError("the index of the series must have a moment for every value, and it lacks some (NaT)")
    return stamps, values


def _values_of(series: Any) -> Numbers:
    values = to_column(series, IN_MEMORY) if is_series(series) else np.asarray(series)
    if values.ndim not in (1, 2) or values.dtype.kind not in "iufb" or not values.size:
        raise InputError(
            f"a series in memory is an array of numbers, (n,) or (n, columns), got {values.dtype} of {values.shape}"
        )
    return values.reshape(len(values), -1).astype(np.float64)


def _has_stamps(series: Any) -> bool:
    return is_series(series) and type(getattr(series, "index", None)).__name__ == "DatetimeIndex"


def _is_series(value: Any) -> bool:
    return is_series(value) or are_numbers(value) or (isinstance(value, np.ndarray) and value.ndim == 2)

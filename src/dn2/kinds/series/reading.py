"""Series: the rows of tables in the order of their stamps."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.arrays import Numbers, Progress
from dn2.errors import InputError
from dn2.inputs.columns import Column
from dn2.inputs.frames import is_frame
from dn2.inputs.named_files import Inputs
from dn2.inputs.names import check_column_exists, list_few
from dn2.inputs.numbers import MOST
from dn2.inputs.tables import Table, read_table
from dn2.inputs.writing import NOTHING_SAID, Said, Writing
from dn2.kinds.series.memory import IN_MEMORY, column_names, points_of, series_by_name
from dn2.kinds.series.sensors import hold_slow_sensors, why_no_sensor
from dn2.kinds.series.stamps import MOMENTS, read_stamps
from dn2.results.words import count_in_words
from dn2.system.interface import option
from dn2.system.naming import absolute, identity, writable

logger = logging.getLogger("dn2")

NAMED = 5  # series that one warning lists


@dataclass(frozen=True)
class Series:
    """One series: rows that have a value in every column, one for each stamp.

    stamps : (n,) ascending, float64 or datetime64[us]; values : (n, c).
    missing : (m,) stamps without a value in some column.
    path, digest : of its file, and the SHA-256 of that file's bytes; empty for a series from memory.
    ordered : whether the rows were in order; repeated : how many stamps occurred more than once.
    slow : the places of the columns that report less often than there are rows, whose values hold until the next."""

    name: str
    stamps: Column
    values: Numbers
    missing: Column
    path: str
    digest: str
    ordered: bool
    repeated: int
    slow: tuple[int, ...] = ()


@dataclass(frozen=True)
class SeriesRead:
    """Series of the same columns; errors : by name of a row or a series, why it could not be read.

    said : how numbers and dates turned out to be written; time : the column of stamps.
    stamps : the kind of these, see `dn2.kinds.series.stamps`; None where rows have none."""

    series: Sequence[Series]
    columns: Sequence[str]
    errors: Mapping[str, str]
    said: Said = NOTHING_SAID
    time: str | None = None
    stamps: str | None = None


def read_series(
    inputs: Inputs | Any,
    *,
    time: str | None = None,
    values: Collection[str] = (),
    id_column: str | None = None,
    model_columns: Sequence[str] = (),
    model_stamps: str | None = None,
    said: Said = NOTHING_SAID,
    progress: Progress | None = None,
) -> SeriesRead:
    """Read series from tables, see `read_table`, or from memory: an array, (n,) or (n, c), a Series of pandas or
    polars, or a dict of several of these by name.

    time : the column of stamps, numbers or moments; without it rows come one step after the other.
    values : the columns of values; by default all others that hold numbers.
    id_column : the column that names the series of each row; without it each file is one.
    said : how a person says that numbers and dates are written.
    model_columns : the columns of a fitted model, which tell its frames from series by name; the columns of arrays and
        Series have no names and are taken in this order.  model_stamps : the kind of its stamps.

    Rows are put in the order of their stamps, and values of one stamp are averaged.  Rows without a value in some
    column are left out.  Each of the three is logged.
    Raises InputError unless the inputs are tables or arrays, their columns exist and hold numbers, and a row can be
    read."""
    if (in_memory := series_by_name(inputs, time, values, id_column, model_columns)) is not None:
        return _read_memory(in_memory, time, model_columns or values, id_column)
    inputs, time = _with_index(inputs, time)
    key_columns = [column for column in (time, id_column) if column is not None]
    columns_read = {*values, *key_columns} if values else None
    table = read_table(inputs, text=() if id_column is None else [id_column], only=columns_read, progress=progress)
    for column in (*values, *key_columns):
        check_column_exists(column, [*table.columns, *table.passed_over])
    errors = dict(table.errors)
    writing = Writing(table.columns, said, table.delimiter, table.with_points)
    numbers = _choose_values(table, writing, values, key_columns, errors)
    owners = _owners(table, id_column, is_frame(inputs), errors)
    stamps, kind_of_stamps = _number_rows(owners), None
    if time is not None:
        stamps, kind_of_stamps = read_stamps(table.columns[time], writing, time, model_stamps, errors)
    rows = np.stack(list(numbers.values()), axis=1)
    places: dict[str, list[int]] = {}
    for place, owner in enumerate(owners):
        if place not in errors:
            places.setdefault(owner, []).append(place)
    unread = {table.names[row]: reason for row, reason in sorted(errors.items())}
    series: list[Series] = []
    for name, rows_of_series in places.items():
        places_of_series, path = np.array(rows_of_series), table.paths[rows_of_series[0]]
        if not np.isfinite(rows[places_of_series]).any(axis=0).all():
            unread[name] = _why_unread(list(numbers), rows[places_of_series])
            continue
        series.append(
            _sort_series(
                name,
                stamps[places_of_series],
                rows[places_of_series],
                path and absolute(path),
                table.digests[rows_of_series[0]],
            )
        )
    found = writing.found(numbers, time)
    return _check_readable(SeriesRead(series, list(numbers), unread, found, time, kind_of_stamps))


def _with_index(inputs: Any, time: str | None) -> tuple[Any, str | None]:
    """Make a column of stamps of a frame's index of moments; returns the frame and the name of that column."""
    index: Any = getattr(inputs, "index", None)
    if type(index).__name__ != "DatetimeIndex" or not hasattr(inputs, "assign") or time in inputs.columns:
        return inputs, time
    name = time or str(index.name or "time")
    if name in inputs.columns:
        return inputs, time
    return inputs.assign(**{name: index}), name


def _why_unread(columns: Sequence[str], rows: Numbers) -> str:
    empty = [name for name, cells in zip(columns, rows.T, strict=True) if not np.isfinite(cells).any()]
    return f"no row has a number in {list_few(empty)}; leave {'it' if len(empty) == 1 else 'them'} out"


def _read_memory(
    inputs: Mapping[str, Any], time: str | None, asked_columns: Collection[str], id_column: str | None
) -> SeriesRead:
    """Read series in memory, with the columns that are asked for, or as many as the first has.

    Raises InputError unless at least one can be read."""
    columns, errors = list(asked_columns), dict[str, str]()
    series: list[Series] = []
    for name, values_given in inputs.items():
        try:
            stamps, values = points_of(values_given, time, id_column)
            names = column_names(values.shape[1])
            columns = columns or names
            if len(names) != len(columns):
                raise InputError(
                    f"an array has the columns {list_few(names)}, and {list_few(columns)} is asked for; give a frame"
                )
        except InputError as error:
            if len(inputs) == 1:
                raise
            errors[name] = str(error)
        else:
            series.append(_sort_series(name, stamps, values, "", ""))
    stamped = any(one.stamps.dtype.kind == "M" for one in series)
    return _check_readable(SeriesRead(series, columns, errors, stamps=MOMENTS if stamped else None))


def _check_readable(read: SeriesRead) -> SeriesRead:
    """Return the series that were read, and warn of repairs.  Raises InputError unless there is at least one."""
    if not read.series:
        first, reason = next(iter(read.errors.items()))
        raise InputError(f"no series can be read; {first!r}: {reason}")
    _warn_of_repairs(read.series)
    return read


def _choose_values(
    table: Table, writing: Writing, asked_columns: Collection[str], key_columns: Sequence[str], errors: dict[int, str]
) -> dict[str, Numbers]:
    """Return the columns of values, and note the rows where a value is not a number.

    By default all columns that are mostly numbers are taken; columns asked for must be such."""
    doubled = [name for name in asked_columns if name in key_columns]
    if doubled:
        raise InputError(f"the column {doubled[0]!r} cannot be both a value and the stamp or the name of the series")
    chosen: dict[str, Numbers] = {}
    wrong: dict[str, list[int]] = {}
    not_numbers = []
    for name in dict.fromkeys(asked_columns) or [name for name in table.columns if name not in key_columns]:
        column = table.columns[name]
        numbers, bad = writing.numbers(name)
        if len(bad) > (1 - (0.5 if asked_columns else MOST)) * len(column) or column.dtype.kind == "M":
            not_numbers.append(name)
        else:
            chosen[name], wrong[name] = numbers, bad
    if not asked_columns:
        reasons = {name: why for name, numbers in chosen.items() if (why := why_no_sensor(name, numbers)) is not None}
        if len(reasons) < len(chosen):
            chosen = {name: numbers for name, numbers in chosen.items() if name not in reasons}
            for name, why in reasons.items():
                logger.warning("the column %r is left out: %s; %s takes it in", name, why, option("values", name))
    wrong = {name: bad for name, bad in wrong.items() if name in chosen}
    if asked_columns and not_numbers:
        raise InputError(
            f"the column {not_numbers[0]!r} must hold numbers, and it holds "
            f"{_describe_cells(table.columns[not_numbers[0]])}"
        )
    if not chosen:
        raise InputError(f"no column of numbers is left to be the values; there is {list_few(table.columns)}")
    if not_numbers:
        logger.info("columns that hold no numbers are left out: %s", list_few(not_numbers))
    for name, bad in wrong.items():
        for row in bad:
            errors.setdefault(row, f"{name} holds numbers, got {table.columns[name][row]!r:.60}")
    return chosen


def _describe_cells(column: Column) -> str:
    if column.dtype.kind == "M":
        return "moments"
    return f"texts such as {next((cell for cell in column.tolist() if cell is not None), '')!r:.60}"


def _number_rows(owners: Sequence[str]) -> Column:
    """Number the rows of each series."""
    counts: dict[str, int] = {}
    numbers = np.empty(len(owners))
    for row, owner in enumerate(owners):
        numbers[row] = counts[owner] = counts.get(owner, -1) + 1
    return numbers


def _owners(table: Table, id_column: str | None, in_memory: bool, errors: dict[int, str]) -> Sequence[str]:
    """Return the name of the series of each row, and note the rows without one."""
    if id_column is None:
        return [IN_MEMORY] * len(table.names) if in_memory else [name.rpartition(":")[0] for name in table.names]
    ids: list[str] = table.columns[id_column].tolist()
    for row, series_id in enumerate(ids):
        if series_id is None:
            errors.setdefault(row, f"the name of its series {id_column!r} is missing")
    names: dict[str, str] = {}
    return [
        "" if series_id is None else names.setdefault(identity(series_id), writable(series_id)) for series_id in ids
    ]


def _sort_series(name: str, stamps: Column, values: Numbers, path: str, digest: str) -> Series:
    """Put rows in the order of their stamps, and hold the values of slow sensors."""
    distinct, places, counts = np.unique(stamps, return_inverse=True, return_counts=True)
    means = np.stack([_mean_by_stamp(cells, places, len(distinct)) for cells in values.T], axis=1)
    times = distinct.astype("datetime64[us]").astype(np.int64) if distinct.dtype.kind == "M" else distinct
    means, slow = hold_slow_sensors(times.astype(np.float64), means)
    there = np.isfinite(means).all(axis=1)
    ordered = bool((stamps[1:] >= stamps[:-1]).all())
    repeated = int((counts > 1).sum())
    return Series(name, distinct[there], means[there], distinct[~there], path, digest, ordered, repeated, tuple(slow))


def _mean_by_stamp(cells: Numbers, places: np.ndarray[Any, np.dtype[np.int64]], n: int) -> Numbers:
    """Average the numbers of each stamp, (n,); NaN where there is none."""
    there = np.isfinite(cells)
    count = np.bincount(places[there], minlength=n)
    sums = np.bincount(places[there], cells[there], n)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def _warn_of_repairs(series: Sequence[Series]) -> None:
    unordered = [item.name for item in series if not item.ordered]
    warn_of(unordered, "rows are not in the order of their stamps; they are put in it")
    for one, many, words, count in (
        ("stamp comes", "stamps come", "more than once; their values are averaged", lambda item: item.repeated),
        (
            "sensor reports",
            "sensors report",
            "more seldom than there are rows; a value holds until the next",
            lambda item: len(item.slow),
        ),
        ("row lacks", "rows lack", "a value; short runs of them are bridged", lambda item: len(item.missing)),
    ):
        counted = [(item.name, count(item)) for item in series if count(item)]
        counts = [f"{count_in_words(number, one, many)} " for _, number in counted]
        warn_of([name for name, _ in counted], words, counts)


def warn_of(names: Sequence[str], words: str, counts: Sequence[str] | None = None) -> None:
    """Warn about series, the first five by name; counts : written before the words for each series."""
    for name, count in list(zip(names, counts or [""] * len(names), strict=True))[:NAMED]:
        logger.warning("%s: %s%s", name, count, words)
    if len(names) > NAMED:
        logger.warning("... and so it is with %d more series", len(names) - NAMED)

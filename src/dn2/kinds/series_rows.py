"""Series: the rows of tables in the order of their stamps."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.embed.columns import MOST, to_moments, to_numbers
from dn2.errors import InputError
from dn2.inputs.columns import Column
from dn2.inputs.csv_files import Progress
from dn2.inputs.files import Inputs
from dn2.inputs.frames import is_frame
from dn2.inputs.names import check_known, few
from dn2.inputs.tables import Table, read_table
from dn2.naming import absolute, identity, writable

logger = logging.getLogger("dn2")

NAMED = 5  # series of which the same is said
IN_MEMORY = "series"  # the name of what comes from no file and has none of its own

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Series:
    """One series: rows that have a value in every column, one for each stamp.

    stamps : (n,) ascending, float64 or datetime64[us]; values : (n, c).
    missing : (m,) stamps without a value in some column.
    path, digest : of the file it came from, and the SHA-256 of its bytes; empty for what was in memory.
    ordered : whether the rows came in order; repeated : how many stamps came more than once."""

    name: str
    stamps: Column
    values: Values
    missing: Column
    path: str
    digest: str
    ordered: bool
    repeated: int


@dataclass(frozen=True)
class SeriesRead:
    """Series of the same columns, and by name why rows of tables could not be read."""

    series: Sequence[Series]
    columns: Sequence[str]
    errors: Mapping[str, str]


def read_series(
    inputs: Inputs | Any,
    *,
    time: str | None = None,
    values: Collection[str] = (),
    id_column: str | None = None,
    progress: Progress | None = None,
) -> SeriesRead:
    """Read series from tables, see `read_table`, or from one array, (n,) or (n, c).

    time : the column of stamps, numbers or moments; without it rows come one step after the other.
    values : the columns of values; by default all others that hold numbers.
    id_column : the column that names the series of each row; without it each file is one.

    Rows are put in the order of their stamps, and values of one stamp are averaged.  Rows without a value in some
    column are left out.  All three are said.
    Raises InputError for what is no table or array, for columns that are not there or hold no numbers, and where no row
    can be read."""
    if isinstance(inputs, (np.ndarray, list)) and not _are_paths(inputs):
        return _of_array(inputs, time, values, id_column)
    named = [one for one in (time, id_column) if one is not None]
    only = {*values, *named} if values else None
    table = read_table(inputs, text=() if id_column is None else [id_column], only=only, progress=progress)
    for asked in (*values, *named):
        check_known(asked, [*table.columns, *table.passed_over])
    errors = dict(table.errors)
    numbers = _choose_values(table, values, named, errors)
    owners = _owners(table, id_column, is_frame(inputs), errors)
    stamps = _numbered(owners) if time is None else _stamps(table.columns[time], time, errors)
    rows = np.stack(list(numbers.values()), axis=1)
    places: dict[str, list[int]] = {}
    for place, owner in enumerate(owners):
        if place not in errors:
            places.setdefault(owner, []).append(place)
    unread = {table.names[row]: reason for row, reason in sorted(errors.items())}
    series: list[Series] = []
    for name, of_one in places.items():
        own, path = np.array(of_one), table.paths[of_one[0]]
        if not np.isfinite(rows[own]).all(axis=1).any():
            unread[name] = f"no row has a number in {'each of ' * (len(numbers) > 1)}{few(numbers)}"
            continue
        series.append(_in_order(name, stamps[own], rows[own], path and absolute(path), table.digests[of_one[0]]))
    if not series:
        first, reason = next(iter(unread.items()))
        raise InputError(f"no series can be read; {first!r}: {reason}")
    _say(series)
    return SeriesRead(series, list(numbers), unread)


def stamp_texts(stamps: Column) -> list[str]:
    """Write stamps, (n,), as a person reads them: moments in ISO 8601, numbers as short as they can be."""
    if stamps.dtype.kind == "M":
        return [text.removesuffix(".000000") for text in np.datetime_as_string(stamps, unit="us").tolist()]
    return [str(int(one)) if one.is_integer() and abs(one) < 1e15 else repr(one) for one in stamps.tolist()]


def _are_paths(inputs: Any) -> bool:
    return isinstance(inputs, list) and not all(isinstance(one, (int, float, np.number)) for one in inputs)


def _of_array(array: Any, time: str | None, asked: Collection[str], id_column: str | None) -> SeriesRead:
    values = np.asarray(array)
    if values.ndim not in (1, 2) or values.dtype.kind not in "iufb" or not values.size:
        raise InputError(
            f"a series in memory is an array of numbers, (n,) or (n, columns), got {values.dtype} of {values.shape}"
        )
    values = values.reshape(len(values), -1).astype(np.float64)
    columns = [f"value {number}" for number in range(1, values.shape[1] + 1)] if values.shape[1] > 1 else ["value"]
    if time is not None or id_column is not None or (asked and list(asked) != columns):
        wanted = [one for one in (time, id_column, *asked) if one is not None]
        raise InputError(f"an array has the columns {few(columns)}, and {few(wanted)} is asked for; give a frame")
    if not np.isfinite(values).all(axis=1).any():
        raise InputError("no row of the array has a number in every column")
    series = [_in_order(IN_MEMORY, np.arange(float(len(values))), values, "", "")]
    _say(series)
    return SeriesRead(series, columns, {})


def _choose_values(
    table: Table, asked: Collection[str], named: Sequence[str], errors: dict[int, str]
) -> dict[str, Values]:
    """Return the columns of values, and note the rows where one of them is no number.

    By default all columns are taken of which most cells are numbers; those asked for must be."""
    both = [name for name in asked if name in named]
    if both:
        raise InputError(f"the column {both[0]!r} cannot be both a value and the stamp or the name of the series")
    chosen: dict[str, Values] = {}
    wrong: dict[str, list[int]] = {}
    left = []
    for name in dict.fromkeys(asked) or [name for name in table.columns if name not in named]:
        column = table.columns[name]
        numbers, bad = to_numbers(column)
        if len(bad) > (1 - (0.5 if asked else MOST)) * len(column) or column.dtype.kind == "M":
            left.append(name)
        else:
            chosen[name], wrong[name] = numbers, bad
    if asked and left:
        raise InputError(f"the column {left[0]!r} must hold numbers, and it holds {_what(table.columns[left[0]])}")
    if not chosen:
        raise InputError(f"no column of numbers is left to be the values; there is {few(table.columns)}")
    if left:
        logger.info("columns that hold no numbers are left out: %s", few(left))
    for name, bad in wrong.items():
        for row in bad:
            errors.setdefault(row, f"{name} holds numbers, got {table.columns[name][row]!r:.60}")
    return chosen


def _what(column: Column) -> str:
    if column.dtype.kind == "M":
        return "moments"
    return f"texts such as {next((one for one in column.tolist() if one is not None), '')!r:.60}"


def _numbered(owners: Sequence[str]) -> Column:
    """Number the rows of each series."""
    counts: dict[str, int] = {}
    numbers = np.empty(len(owners))
    for row, owner in enumerate(owners):
        numbers[row] = counts[owner] = counts.get(owner, -1) + 1
    return numbers


def _stamps(column: Column, time: str, errors: dict[int, str]) -> Column:
    """Return the stamps, moments or numbers as most of them are, and note the rows without one."""
    if column.dtype == object:
        column = _parsed(column, time, errors)
    bad = np.isnat(column) if column.dtype.kind == "M" else ~np.isfinite(column)
    for row in np.flatnonzero(bad).tolist():
        errors.setdefault(row, f"its stamp {time!r} is missing")
    return column


def _parsed(column: Column, time: str, errors: dict[int, str]) -> Column:
    """Read stamps that came as texts, and note the rows where they cannot be read."""
    (numbers, no_number), (moments, no_moment) = to_numbers(column), to_moments(column)
    wrong = min(no_number, no_moment, key=len)
    if len(wrong) > len(column) / 2:
        raise InputError(
            f"the column of stamps {time!r} must hold numbers or moments such as 2024-01-31 12:00:00, and it holds "
            f"{_what(column)}"
        )
    for row in wrong:
        errors.setdefault(row, f"its stamp {column[row]!r:.60} cannot be read")
    if len(no_number) < len(no_moment):
        return numbers
    nothing = np.iinfo(np.int64).min
    return np.where(np.isnan(moments), nothing, np.nan_to_num(moments)).astype(np.int64).view("datetime64[us]")


def _owners(table: Table, id_column: str | None, in_memory: bool, errors: dict[int, str]) -> Sequence[str]:
    """Return the name of the series of each row, and note the rows without one."""
    if id_column is None:
        return [IN_MEMORY] * len(table.names) if in_memory else [name.rpartition(":")[0] for name in table.names]
    ids: list[str] = table.columns[id_column].tolist()
    for row, one in enumerate(ids):
        if one is None:
            errors.setdefault(row, f"the name of its series {id_column!r} is missing")
    names: dict[str, str] = {}
    return ["" if one is None else names.setdefault(identity(one), writable(one)) for one in ids]


def _in_order(name: str, stamps: Column, values: Values, path: str, digest: str) -> Series:
    """Make a series of rows, some of which have a number in every column."""
    known, places, counts = np.unique(stamps, return_inverse=True, return_counts=True)
    complete = np.isfinite(values).all(axis=1)
    sums = np.stack([np.bincount(places[complete], one, len(known)) for one in values[complete].T], axis=1)
    having = np.bincount(places[complete], minlength=len(known))
    there = having > 0
    ordered = bool((stamps[1:] >= stamps[:-1]).all())
    means = sums[there] / having[there, None]
    return Series(name, known[there], means, known[~there], path, digest, ordered, int((counts > 1).sum()))


def _say(series: Sequence[Series]) -> None:
    unordered = [one.name for one in series if not one.ordered]
    say_of(unordered, "rows are not in the order of their stamps; they are put in it")
    for words, count in (
        ("stamps come more than once; their values are averaged", lambda one: one.repeated),
        ("rows lack a value; short runs of them are bridged", lambda one: len(one.missing)),
    ):
        found = [(one.name, count(one)) for one in series if count(one)]
        say_of([name for name, _ in found], words, [f"{number:,} " for _, number in found])


def say_of(names: Sequence[str], words: str, counts: Sequence[str] | None = None) -> None:
    """Say something of series, the first five of them by name; counts : what comes before the words for each."""
    for name, count in list(zip(names, counts or [""] * len(names), strict=True))[:NAMED]:
        logger.warning("%s: %s%s", name, count, words)
    if len(names) > NAMED:
        logger.warning("... and so it is with %d more series", len(names) - NAMED)

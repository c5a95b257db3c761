"""The kind of a table's column, found by its cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dn2.arrays import Numbers
from dn2.errors import InputError
from dn2.inputs.cells import Cells, is_empty, present_texts, to_moments, to_numbers, to_texts
from dn2.inputs.dates import DateOrder
from dn2.inputs.numbers import Notation, Undecided
from dn2.inputs.writing import Writing, ask_for_marks, ask_for_order
from dn2.kinds.table.columns import (
    DAY,
    TRUTHS,
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    cell_in_words,
    plain_text,
)

DECLARED = "declared category"

# At least so many rows show whether a column is an identifier or the clock.
MANY = 20
DENSE = 1.25  # different whole numbers in a range at most so much larger than their count number the rows
CALLED_IDENTIFIER = re.compile(r"(^|[^a-z])(id|uuid|guid|index|key)$", re.IGNORECASE)


def find_column(name: str, cells: Cells, writing: Writing | None = None, as_kind: str | None = None) -> Column | str:
    """Find the kind of a column by its cells, (n,); or return, in words, why the column is left out.

    writing : how the columns of the table are written; without it the column is the only one.
    as_kind : `number`, `category` or `date`, where a person has said it; `DECLARED`, where a frame says that the column
        holds categories.
    Raises InputError for numbers or dates that can be read in several ways."""
    writing = writing or Writing({name: cells})
    if is_empty(cells):
        return CategoryColumn(name, ())
    if as_kind in ("category", DECLARED):
        return _category_or_reason(name, to_texts(cells), said=as_kind == "category")
    if as_kind != "date" and cells.dtype.kind != "M":
        notation = writing.of_numbers(name, codes=as_kind == "number")
        if isinstance(notation, Undecided) and notation.ambiguous:
            ask_for_marks(name, notation)
        if isinstance(notation, Undecided):
            return notation.why
        if notation is not None:
            numbers, _ = to_numbers(cells, notation)
            return _number_or_reason(name, numbers[np.isfinite(numbers)], notation, said=as_kind == "number")
        if as_kind == "number":
            raise InputError(f"the column {name!r} does not hold numbers, such as {_example(cells)}")
    order = writing.of_dates(name) if cells.dtype.kind != "f" else None
    if isinstance(order, Undecided):
        ask_for_order(name, order)
    if order is not None:
        return _date_or_reason(name, to_moments(cells, order)[0], order)
    if as_kind == "date":
        raise InputError(f"the column {name!r} does not hold dates, such as {_example(cells)}")
    return _category_or_reason(name, to_texts(cells))


def _number_or_reason(name: str, values: Numbers, notation: Notation, *, said: bool) -> Column | str:
    if not len(values):
        return "nothing but infinite values"
    whole = bool((values == np.rint(values)).all())
    is_measure = said or notation.unit or notation.grouping or not whole
    if not is_measure and len(values) >= MANY and len(np.unique(values)) == len(values):
        steps = np.diff(values / 2)  # differences of halves do not overflow
        low, high = float(values.min()), float(values.max())
        counts = low > -1e15 and high < 1e15 and high - low < DENSE * len(values)
        if counts or (steps == steps[0]).all() or CALLED_IDENTIFIER.search(name):
            return f"an identifier: {len(values):,} different whole numbers"
    distinct = np.unique(values)
    constant = float(distinct[0]) if len(distinct) == 1 else None
    binary = bool(np.isin(distinct, (0, 1)).all())
    return NumberColumn(name, *_offset_and_scale(values), notation, constant, binary)


def _category_or_reason(name: str, texts: Sequence[str | None], *, said: bool = False) -> Column | str:
    counts = Counter(plain_text(text) for text in texts if text is not None)
    present = counts.total()
    if not said and len(counts) >= MANY and len(counts) > present / 2:
        return f"an identifier or free text: {len(counts):,} different ones in {present:,} rows"
    column = CategoryColumn(name, (), truth=bool(counts) and set(counts) <= set(TRUTHS))
    first = {column.key(text): text for text in reversed(texts) if text is not None}
    return replace(column, known=tuple(dict.fromkeys(first[column.key(text)] for text in texts if text is not None)))


def _date_or_reason(name: str, values: Numbers, order: DateOrder) -> Column | str:
    present = values[~np.isnan(values)]
    constant = present.min() == present.max()
    steps = np.diff(present)
    clock = len(present) >= MANY and not constant and (bool((steps >= 0).all()) or bool((steps <= 0).all()))
    days = np.floor(present / (1e6 * DAY))
    weekday, time = bool(np.ptp(days)), bool(np.ptp(present / (1e6 * DAY) - days))
    if clock and not (weekday or time):
        return "the clock: rows come in its order"
    return DateColumn(
        name, *_offset_and_scale(present), clock=clock, weekday=weekday, time=time, day_first=order.day_first
    )


def _example(cells: Cells) -> str:
    return cell_in_words(next(iter(present_texts(cells)), ""))


def _offset_and_scale(values: Numbers) -> tuple[float, float]:
    low, middle, high = 4 * np.quantile(values / 4, [0.25, 0.5, 0.75])  # the difference of two may overflow
    with np.errstate(over="ignore"):
        spreads = (high - low, values.max() - middle, middle - values.min(), 1.0)
    return float(middle), float(next(spread for spread in spreads if 0 < spread < np.inf))

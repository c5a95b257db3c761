"""Messages: text files, JSON Lines and columns of tables to named texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from dn2 import bounds
from dn2.bounds import open_text
from dn2.errors import InputError
from dn2.inputs.columns import as_texts, text_of
from dn2.inputs.csv_files import Progress
from dn2.inputs.digests import sha256_of
from dn2.inputs.files import Inputs, Item, find_items
from dn2.inputs.frames import is_frame, row_names
from dn2.inputs.names import few, name_rows
from dn2.inputs.tables import TABLE_SUFFIXES, read_table

TEXT, JSON_LINES = ".txt", ".jsonl"
PLAIN_SUFFIXES = frozenset({TEXT, JSON_LINES})
TEXT_SUFFIXES = PLAIN_SUFFIXES | TABLE_SUFFIXES

LONGEST_TEXT = 1 << 20  # characters; a cell of a table holds no more either
LONGEST_RECORD = 1 << 24
TEXTS_LOOKED_AT = 1_000
MISSING = "it is missing"


@dataclass(frozen=True)
class TextRows:
    """Messages.

    names : the item name of each of n; texts : (n,), '' where it cannot be read.
    errors : by position, why it cannot be read.
    paths, digests : of each the file it came from and the SHA-256 of that file's bytes; empty for what was in memory.
    column : of the table that they came from, None for text files and lists."""

    names: list[str]
    texts: list[str]
    errors: dict[int, str]
    paths: list[str]
    digests: list[str]
    column: str | None = None


def is_column_of_texts(value: object) -> bool:
    """Tell whether a value is a column of texts in memory: a 1-d array, or a Series of pandas or polars, with a text
    among its first."""
    one_column = (
        value.ndim == 1 if isinstance(value, np.ndarray) else hasattr(value, "to_frame") and not is_frame(value)
    )
    return one_column and any(isinstance(one, str) for one in islice(cast(Iterable[object], value), TEXTS_LOOKED_AT))


def read_texts(
    inputs: Inputs | Mapping[Any, Any] | Any,
    *,
    column: str | None = None,
    id_column: str | None = None,
    progress: Progress | None = None,
) -> TextRows:
    """Read messages from files as `find_items` finds them, from a frame, or from a column of texts in memory.

    A text file given by itself holds one message a line, lines without any passed over; text files in a folder are one
    message each.  JSON Lines hold one message each: a text, or a record with it.  Of tables each row is a message.
    column : that holds the messages; by default the only one of text.  id_column : names them; without it they are
        named by their file and number.  Text files and what is in memory as a column have neither.
    progress : called with the rows of a CSV file that are read, and how many there are, about.
    Raises InputError for what is no such file, and for a column that is not there or cannot be chosen."""
    if column is not None and column == id_column:
        raise InputError(f"the column {column!r} cannot both hold the messages and name them; leave out one of the two")
    if is_column_of_texts(inputs):
        return _in_memory(inputs)
    if is_frame(inputs):
        return _of_table(inputs, column, id_column, progress)
    if not isinstance(inputs, (str, os.PathLike)):
        inputs = list(inputs)
    try:
        items = find_items(inputs, TEXT_SUFFIXES)
    except InputError as error:
        raise InputError(f"{error}; texts themselves come as an array or as a column of pandas or polars") from error
    suffixes = {os.path.splitext(item.path)[1].lower() for item in items}
    if suffixes <= TABLE_SUFFIXES:
        return _of_table(inputs, column, id_column, progress)
    if suffixes == {JSON_LINES}:
        return _of_records(items, column, id_column)
    if suffixes == {TEXT}:
        return _of_plain(items)
    raise InputError(
        f"messages come in files of one kind, got {few(sorted(suffixes))}; text files end in {TEXT}, JSON Lines in "
        f"{JSON_LINES}, tables in {', '.join(sorted(TABLE_SUFFIXES))}"
    )


def read_records(path: Path) -> Iterator[tuple[int, Any, str | None]]:
    """Give what each line of JSON Lines holds that is not blank: its number, the value, and what is wrong, or None.

    Raises InputError if the file cannot be read."""
    for number, line in read_lines(path, LONGEST_RECORD):
        if line is None:
            yield number, None, f"a line of more than {LONGEST_RECORD:,} characters"
        elif line and not line.isspace():
            try:
                yield number, json.loads(line), None
            except json.JSONDecodeError as error:
                yield number, None, f"it is no JSON: {error.msg}, at character {error.pos + 1:,}"
            except (ValueError, RecursionError) as error:  # a number of very many digits, very deep nesting
                yield number, None, f"it is no JSON that is read: {error}"


def read_lines(path: Path, longest: int) -> Iterator[tuple[int, str | None]]:
    """Number the lines of a text file, without their ends; None for one of more than so many characters.

    Bytes that are no UTF-8 become surrogates.  Raises InputError if the file cannot be read."""
    with open_text(path) as file:
        for number, line in enumerate(bounds.read_lines(file, longest), 1):
            yield number, None if line is None else line.removesuffix("\n")


def _in_memory(column: Any) -> TextRows:
    values = column.tolist() if hasattr(column, "tolist") else column.to_list()
    texts = [text_of(value) for value in values]
    errors = {place: MISSING for place, text in enumerate(texts) if text is None}
    nowhere = [""] * len(texts)
    return TextRows(row_names(column, len(texts)), [text or "" for text in texts], errors, nowhere, nowhere)


def _of_table(inputs: Any, column: str | None, id_column: str | None, progress: Progress | None) -> TextRows:
    if column is None:
        columns = read_table(inputs, id_column=id_column).columns
        column = _the_only([name for name, cells in columns.items() if cells.dtype == object], list(columns))
    table = read_table(inputs, id_column=id_column, verbatim={column}, only={column}, progress=progress)
    cells = as_texts(table.columns[column]).tolist()
    errors = {place: MISSING for place, text in enumerate(cells) if text is None} | table.errors
    return TextRows(table.names, [text or "" for text in cells], errors, table.paths, table.digests, column)


def _the_only(texts: Sequence[str], names: Sequence[str]) -> str:
    """Choose the column of messages if there is no choice.  Raises InputError if there is."""
    if len(texts) == 1:
        return texts[0]
    known = f"columns of text are {few(texts)}" if texts else f"there is none of text, only {few(names)}"
    raise InputError(
        f"say which column holds the messages, with column= or --column where the model is fitted: {known}"
    )


def _of_plain(items: Sequence[Item]) -> TextRows:
    rows = TextRows([], [], {}, [], [])
    too_long = f"it has more than {LONGEST_TEXT:,} characters"  # as an embedder says it
    for item in items:
        digest, before = "", len(rows.names)
        try:
            digest = sha256_of(item.path)
            for number, text in _whole(item.path) if item.in_folder else read_lines(item.path, LONGEST_TEXT):
                if item.in_folder or text is None or (text and not text.isspace()):
                    _add(rows, item.name if item.in_folder else f"{item.name}:{number}", text, too_long)
        except InputError as error:
            if not item.in_folder:
                raise
            _add(rows, item.name, None, str(error))
        added = len(rows.names) - before
        rows.paths.extend([str(item.path)] * added)
        rows.digests.extend([digest] * added)
    if not rows.names:
        raise InputError(f"{items[0].path} holds no message; a text file given by itself holds one a line")
    return rows


def _add(rows: TextRows, name: str, text: str | None, error: str) -> None:
    """Append a message, or what is wrong with it if there is none."""
    if text is None:
        rows.errors[len(rows.names)] = error
    rows.names.append(name)
    rows.texts.append(text or "")


def _whole(path: Path) -> Iterator[tuple[int, str | None]]:
    """Give all of a text file as its one message; None if it is too long."""
    with open_text(path) as file:
        text = file.read(LONGEST_TEXT + 2).removesuffix("\n")
    yield 1, None if len(text) > LONGEST_TEXT else text


def _of_records(items: Sequence[Item], column: str | None, id_column: str | None) -> TextRows:
    known = _known_members(items)
    for name in (column, id_column):
        if name is not None and known and name not in known:
            raise InputError(f"{items[0].path}: no record has {name!r}; there is {few(list(known))}")
    if column is None and known:
        column = _the_only([name for name, is_text in known.items() if is_text and name != id_column], list(known))
    rows = TextRows([], [], {}, [], [], column)
    ids: list[str | None] = []
    for item in items:
        digest = sha256_of(item.path)
        for number, record, error in read_records(item.path):
            text, own, reason = ("", None, error) if error else _text_of_record(record, column, id_column)
            if reason is not None:
                rows.errors[len(rows.names)] = reason
            rows.names.append(f"{item.name}:{number}")
            rows.texts.append(text)
            rows.paths.append(str(item.path))
            rows.digests.append(digest)
            ids.append(own)
    if not rows.names:
        raise InputError(f"{items[0].path} holds no record; JSON Lines have one a line")
    if id_column is None:
        return rows
    names, unnamed = name_rows(ids, rows.names)
    texts = ["" if place in unnamed else text for place, text in enumerate(rows.texts)]
    return replace(rows, names=names, texts=texts, errors={**unnamed, **rows.errors})


def _known_members(items: Sequence[Item]) -> dict[str, bool]:
    """Return the members that any record has, and whether each is a text anywhere."""
    known: dict[str, bool] = {}
    for item in items:
        for _, record, _ in read_records(item.path):
            for name, value in record.items() if isinstance(record, dict) else ():
                known[name] = known.get(name, False) or isinstance(value, str)
    return known


def _text_of_record(record: Any, column: str | None, id_column: str | None) -> tuple[str, str | None, str | None]:
    """Return the text, the id, and what is wrong."""
    if isinstance(record, str):
        return record, None, None
    if not isinstance(record, dict):
        return "", None, f"it is to be a text or a record, got {type(record).__name__}"
    own = None if id_column is None else _simple(record.get(id_column))
    value = None if column is None else record.get(column)
    if value is None:
        return "", own, f"{column!r} is missing"
    if isinstance(value, (dict, list)):
        return "", own, f"{column!r} is to be a text, got {type(value).__name__}"
    return text_of(value) or "", own, None


def _simple(value: Any) -> str | None:
    return None if isinstance(value, (dict, list)) else text_of(value)

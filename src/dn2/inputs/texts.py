"""Messages: text files, JSON Lines and columns of tables to named texts."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np

from dn2.errors import InputError
from dn2.inputs.columns import as_texts, text_of
from dn2.inputs.csv_files import Progress
from dn2.inputs.digests import sha256_of
from dn2.inputs.files import Inputs, Item, find_items
from dn2.inputs.frames import is_frame
from dn2.inputs.names import few, name_rows
from dn2.inputs.tables import TABLE_SUFFIXES, read_table

TEXT, JSON_LINES = ".txt", ".jsonl"
PLAIN_SUFFIXES = frozenset({TEXT, JSON_LINES})
TEXT_SUFFIXES = PLAIN_SUFFIXES | TABLE_SUFFIXES

LONGEST_LINE = 1 << 24  # characters
LOOKED_AT = 1_000  # values
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
    return one_column and any(isinstance(one, str) for one in islice(cast(Iterable[object], value), LOOKED_AT))


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
        named by their file and number.
    progress : called with the rows of a CSV file that are read, and how many there are, about.
    Raises InputError for what is no such file, and for a column that is not there or cannot be chosen."""
    if is_column_of_texts(inputs):
        if column is not None or id_column is not None:
            raise InputError("a column of texts in memory has no other columns: leave out column and id_column")
        return _in_memory(inputs)
    if is_frame(inputs):
        return _of_table(inputs, column, id_column, progress)
    items = find_items(inputs, TEXT_SUFFIXES)
    suffixes = {os.path.splitext(item.path)[1].lower() for item in items}
    if suffixes <= TABLE_SUFFIXES:
        return _of_table(inputs, column, id_column, progress)
    if len(suffixes) > 1 or not suffixes <= PLAIN_SUFFIXES:
        raise InputError(
            f"messages come in files of one kind, got {few(sorted(suffixes))}; text files end in {TEXT}, JSON Lines in "
            f"{JSON_LINES}, tables in {', '.join(sorted(TABLE_SUFFIXES))}"
        )
    if suffixes == {JSON_LINES}:
        return _Records(column, id_column).read(items)
    if column is not None or id_column is not None:
        raise InputError("text files have no columns: leave out column and id_column")
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return _read_plain(items, [Path(one) for one in given if os.path.isdir(one)])


def _in_memory(column: Any) -> TextRows:
    values = column.tolist() if hasattr(column, "tolist") else column.to_list()
    texts = [text_of(value) for value in values]
    errors = {place: MISSING for place, text in enumerate(texts) if text is None}
    nowhere = [""] * len(texts)
    names = [f"row {place}" for place in range(1, len(texts) + 1)]
    return TextRows(names, [text or "" for text in texts], errors, nowhere, nowhere)


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
    raise InputError(f"say which column holds the messages (column=, --column): {known}")


def _read_plain(items: Sequence[Item], folders: Sequence[Path]) -> TextRows:
    rows = TextRows([], [], {}, [], [])
    for item in items:
        whole = any(item.path.is_relative_to(folder) for folder in folders)
        lines = _whole(item.path) if whole else (one for one in _lines(item.path) if not _is_blank(one[1]))
        digest, before = sha256_of(item.path), len(rows.names)
        for number, text in lines:
            rows.names.append(item.name if whole else f"{item.name}:{number}")
            _add(rows, text)
        added = len(rows.names) - before
        rows.paths.extend([str(item.path)] * added)
        rows.digests.extend([digest] * added)
    if not rows.names:
        raise InputError(f"{items[0].path} holds no message; a text file given by itself holds one a line")
    return rows


def _add(rows: TextRows, text: str | None) -> None:
    if text is None:
        rows.errors[len(rows.texts)] = f"a line of more than {LONGEST_LINE:,} characters"
    rows.texts.append(text or "")


def _is_blank(text: str | None) -> bool:
    return text is not None and (not text or text.isspace())


def _whole(path: Path) -> Iterator[tuple[int, str | None]]:
    """Give all of a text file; None if it is too long."""
    with _opened(path) as file:
        text = file.read(LONGEST_LINE + 1)
    yield 1, None if len(text) > LONGEST_LINE else text.rstrip("\n")


def _lines(path: Path) -> Iterator[tuple[int, str | None]]:
    """Number the lines of a text file, without their ends; None for one that is too long."""
    with _opened(path) as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) <= LONGEST_LINE:
                yield number, line.removesuffix("\n")
                continue
            while line and not line.endswith("\n"):
                line = file.readline(LONGEST_LINE)
            yield number, None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file as UTF-8, of which other bytes become surrogates, or as UTF-16 by its byte order mark.

    Raises InputError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        with open(path, encoding="utf-16" if wide else "utf-8-sig", errors=None if wide else "surrogateescape") as text:
            yield text
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeError as error:
        raise InputError(f"{path} begins as UTF-16 and does not go on as such; save the file as UTF-8") from error


class _Records:
    """JSON Lines: a text a line, or a record in whose column it is."""

    def __init__(self, column: str | None, id_column: str | None) -> None:
        self.column, self.id_column = column, id_column
        self.known: dict[str, None] = {}  # columns that any record has

    def read(self, items: Sequence[Item]) -> TextRows:
        rows = TextRows([], [], {}, [], [])
        ids: list[str | None] = []
        for item in items:
            digest = sha256_of(item.path)
            for number, line in _lines(item.path):
                if _is_blank(line):
                    continue
                text, own, error = self._of_line(line)
                if error is not None:
                    rows.errors[len(rows.names)] = error
                rows.names.append(f"{item.name}:{number}")
                rows.texts.append(text)
                rows.paths.append(str(item.path))
                rows.digests.append(digest)
                ids.append(own)
        if not rows.names:
            raise InputError(f"{items[0].path} holds no record; JSON Lines have one a line")
        self._check(items[0].path)
        if self.id_column is None:
            return self._with(rows, rows.names, {})
        return self._with(rows, *name_rows(ids, rows.names))

    def _with(self, rows: TextRows, names: list[str], unnamed: Mapping[int, str]) -> TextRows:
        errors = {**unnamed, **rows.errors}
        texts = ["" if place in errors else text for place, text in enumerate(rows.texts)]
        return TextRows(names, texts, errors, rows.paths, rows.digests, self.column)

    def _check(self, path: Path) -> None:
        """Raise InputError for a column that no record has."""
        for name in (self.column, self.id_column):
            if name is not None and name not in self.known:
                raise InputError(f"{path}: no record has {name!r}; there is {few(list(self.known)) or 'no record'}")

    def _of_line(self, line: str | None) -> tuple[str, str | None, str | None]:
        """Return the text, the id, and what is wrong."""
        if line is None:
            return "", None, f"a line of more than {LONGEST_LINE:,} characters"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            return "", None, f"it is no JSON: {error}"
        if isinstance(record, str) and self.id_column is None and self.column is None:
            return record, None, None
        if not isinstance(record, dict):
            return "", None, f"it is to be a record, got {type(record).__name__}"
        self.known.update(dict.fromkeys(record))
        if self.column is None:
            texts = [name for name, value in record.items() if isinstance(value, str) and name != self.id_column]
            self.column = _the_only(texts, list(record))
        own = record.get(self.id_column) if self.id_column is not None else None
        value = record.get(self.column)
        if value is None:
            return "", _simple(own), MISSING
        if isinstance(value, (dict, list)):
            return "", _simple(own), f"{self.column!r} is to be a text, got {type(value).__name__}"
        return text_of(value) or "", _simple(own), None


def _simple(value: Any) -> str | None:
    return None if isinstance(value, (dict, list)) else text_of(value)

"""Messages: text files, JSON Lines and columns of tables to named texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self, cast

import numpy as np

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.columns import is_missing, text_of, write_column
from dn2.inputs.digests import sha256_of
from dn2.inputs.encodings import Encoding, find_encoding, open_encoded, say_encodings
from dn2.inputs.files import find_items
from dn2.inputs.frames import is_frame, row_names
from dn2.inputs.items import Item
from dn2.inputs.json_files import read_records
from dn2.inputs.label_columns import Labels, wanted
from dn2.inputs.memory import are_messages, are_missing, are_paths, label_items, number_items, texts_of
from dn2.inputs.named_files import Inputs
from dn2.inputs.names import list_few, name_rows
from dn2.inputs.picking import errors_at, labels_at, picked
from dn2.inputs.tables import TABLE_SUFFIXES, read_table
from dn2.kinds.text.embedder import LONGEST_TEXT, TOO_LONG
from dn2.system.bounds import read_lines
from dn2.system.interface import command, option
from dn2.system.naming import ending_of
from dn2.system.stores import LocalPath, copy_all, here

TEXTS, JSON_LINES = (
    frozenset(ending + packed for ending in endings for packed in ("", ".gz"))
    for endings in ((".txt", ".log"), (".jsonl", ".ndjson"))
)
PLAIN_SUFFIXES = TEXTS | JSON_LINES
RECORDS = JSON_LINES | {".json", ".json.gz"}
TEXT_SUFFIXES = PLAIN_SUFFIXES | TABLE_SUFFIXES

TEXTS_LOOKED_AT = 1_000
MISSING = "it is missing"


@dataclass(frozen=True)
class TextRows:
    """Messages.

    names, texts : of n messages; '' for an unreadable text.
    errors : by position, why a message cannot be read.
    paths, digests : of each, its file and the SHA-256 of that file's bytes; '' for a message from memory.
    column : of the table that holds the texts; None for text files and lists.
    labels : by column, what the messages belong to: see `dn2.inputs.label_columns`."""

    names: list[str]
    texts: list[str]
    errors: dict[int, str]
    paths: list[str]
    digests: list[str]
    column: str | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)

    def named(self, names: list[str]) -> Self:
        """Return the same rows under other names."""
        return replace(self, names=names)

    def at(self, places: Sequence[int]) -> Self:
        """Return the messages at some places."""
        names, texts, paths, digests = picked(places, self.names, self.texts, self.paths, self.digests)
        errors, labels = errors_at(self.errors, places), labels_at(self.labels, places)
        return replace(self, names=names, texts=texts, errors=errors, paths=paths, digests=digests, labels=labels)


def is_column_of_texts(value: object) -> bool:
    """Tell whether a value is a column of texts in memory: a 1-d array, or a Series of pandas or polars, with a text
    among the first of its values that are there."""
    one_column = (
        value.ndim == 1 if isinstance(value, np.ndarray) else hasattr(value, "to_frame") and not is_frame(value)
    )
    if not one_column or getattr(getattr(value, "dtype", None), "kind", "O") in "biufcmM":
        return False
    present = (item for item in cast(Iterable[object], value) if not is_missing(item))
    return any(isinstance(item, str) for item in islice(present, TEXTS_LOOKED_AT))


def texts_by_name(value: object) -> dict[str, str | None] | None:
    """Return a list of texts in memory, or a dict of texts by name, by name; None for anything else.

    A list of paths, see `dn2.inputs.memory.are_paths`, gives None, too."""
    texts = texts_of([*value.values()] if isinstance(value, Mapping) else value)
    if texts is None:
        return None
    if isinstance(value, Mapping):
        return dict(zip(label_items(value), texts, strict=True))
    return None if are_paths(texts, TEXT_SUFFIXES) else dict(zip(number_items("text", len(texts)), texts, strict=True))


def are_clearly_texts(value: object, suffixes: frozenset[str]) -> bool:
    """Tell whether inputs of unknown kind are texts: a column of texts, or a list or a dict of messages.

    suffixes : the endings of the files that hold items, of any kind."""
    texts = texts_of([*value.values()] if isinstance(value, Mapping) else value)
    return is_column_of_texts(value) if texts is None else are_messages(texts, suffixes)


def read_texts(
    inputs: Inputs | Mapping[Any, Any] | Any,
    *,
    column: str | None = None,
    id_column: str | None = None,
    is_fitted: bool = False,
    progress: Progress | None = None,
) -> TextRows:
    """Read messages from files as `find_items` finds them, from a frame, or from texts in memory: a column, a list, or
    a dict of them by name.

    A text file given by itself holds one message a line, blank lines skipped; text files in a folder are one
    message each.  JSON Lines hold one message each: a text, or a record with it.  Of tables each row is a message.
    column : that holds the messages; by default the only column of text.  id_column : that names them; without it they
        are named by their file and number.  Text files and a column in memory have neither.
    is_fitted : whether a model reads, whose column is as it was fitted.
    progress : called with the number of rows of a CSV file read so far, and about how many there are.
    Raises InputError unless the inputs are such files or texts, and the column exists and can be chosen."""
    if column is not None and column == id_column:
        raise InputError(f"the column {column!r} cannot both hold the messages and name them; leave out one of the two")
    if is_column_of_texts(inputs) or are_missing(inputs):
        return _read_column(inputs)
    if (texts := texts_by_name(inputs)) is not None:
        return _rows_of_texts(list(texts), list(texts.values()))
    if is_frame(inputs):
        return _read_table_column(inputs, column, id_column, is_fitted, progress)
    if not isinstance(inputs, (str, os.PathLike)):
        inputs = list(inputs)
    try:
        items = find_items(inputs, TEXT_SUFFIXES)
    except InputError as error:
        raise InputError(
            f"{error}; texts themselves come as a list without paths, as an array, or as a column of pandas or polars"
        ) from error
    suffixes = {ending_of(item.path) for item in items}
    if suffixes <= RECORDS:
        return _read_record_files(items, column, id_column, is_fitted)
    if suffixes <= TABLE_SUFFIXES:
        return _read_table_column(inputs, column, id_column, is_fitted, progress)
    if suffixes <= TEXTS:
        return _read_text_files(items)
    raise InputError(
        f"messages come in files of one kind, got {list_few(sorted(suffixes))}; text files end in "
        f"{' or '.join(sorted(TEXTS))}, records in {' or '.join(sorted(RECORDS))}, tables in "
        f"{', '.join(sorted(TABLE_SUFFIXES - RECORDS))}"
    )


def _read_lines(path: LocalPath, encoding: Encoding) -> Iterator[tuple[int, str | None]]:
    """Number the lines of a text file, without their ends; None for a line that is too long.

    Bytes that are not valid UTF-8 become surrogates.  Raises InputError if the file cannot be read."""
    with open_encoded(path, encoding) as file:
        for number, line in enumerate(read_lines(file, LONGEST_TEXT), 1):
            yield number, None if line is None else line.removesuffix("\n")


def _read_column(column: Any) -> TextRows:
    if isinstance(column, (list, tuple)):
        return _rows_of_texts(number_items("text", len(column)), [text_of(value) for value in column])
    values = column.tolist() if hasattr(column, "tolist") else column.to_list()
    return _rows_of_texts(row_names(column, len(values)), [text_of(value) for value in values])


def _rows_of_texts(names: list[str], texts: Sequence[str | None]) -> TextRows:
    errors = {place: MISSING for place, text in enumerate(texts) if text is None}
    nowhere = [""] * len(texts)
    return TextRows(names, [text or "" for text in texts], errors, nowhere, nowhere)


def _read_table_column(
    inputs: Any, column: str | None, id_column: str | None, is_fitted: bool, progress: Progress | None
) -> TextRows:
    if column is None:
        table = read_table(inputs, id_column=id_column)
        columns = {name: cells for name, cells in table.columns.items() if name not in table.labels}
        texts = [name for name, cells in columns.items() if cells.dtype == object]
        column = _choose_column(texts, list(columns), is_fitted)
    table = read_table(inputs, id_column=id_column, verbatim={column}, only={column}, progress=progress)
    cells = write_column(table.columns[column]).tolist()
    errors = {place: MISSING for place, text in enumerate(cells) if text is None} | table.errors
    texts = [text or "" for text in cells]
    return TextRows(table.names, texts, errors, table.paths, table.digests, column, table.labels)


def _choose_column(texts: Sequence[str], names: Sequence[str], is_fitted: bool) -> str:
    """Return the only column of text.  Raises InputError unless there is exactly one."""
    if len(texts) == 1:
        return texts[0]
    columns = f"columns of text are {list_few(texts)}" if texts else f"no column holds text, only {list_few(names)}"
    if is_fitted:
        way_out = command(
            "give its column of messages alone, as a table of one column or as lines of a .txt file",
            "give its column of messages alone, such as frame['body']",
        )
        raise InputError(f"the model was fitted on texts without columns; {way_out}: {columns}")
    raise InputError(f"say which column holds the messages, with {option('column')}: {columns}")


def _read_text_files(items: Sequence[Item]) -> TextRows:
    rows = TextRows([], [], {}, [], [])
    encodings: dict[LocalPath, Encoding] = {}
    copy_all(item.path for item in items)
    for item in items:
        digest, before = "", len(rows.names)
        try:
            path = here(item.path)
            digest = sha256_of(path)
            encoding = encodings[path] = find_encoding(path)
            for number, text in (_read_whole if item.in_folder else _read_lines)(path, encoding):
                if item.in_folder or text is None or (text and not text.isspace()):
                    _add_message(rows, item.name if item.in_folder else f"{item.name}:{number}", text, TOO_LONG)
        except InputError as error:
            if not item.in_folder:
                raise
            _add_message(rows, item.name, None, str(error))
        added = len(rows.names) - before
        rows.paths.extend([item.origin] * added)
        rows.digests.extend([digest] * added)
    if not rows.names:
        raise InputError(f"{items[0].path} holds no message; a text file given by itself holds one a line")
    say_encodings(encodings)
    return rows


def _add_message(rows: TextRows, name: str, text: str | None, error: str) -> None:
    """Append a message, or its error if it has no text."""
    if text is None:
        rows.errors[len(rows.names)] = error
    rows.names.append(name)
    rows.texts.append(text or "")


def _read_whole(path: LocalPath, encoding: Encoding) -> Iterator[tuple[int, str | None]]:
    """Give a whole text file as one message; None if it is too long."""
    with open_encoded(path, encoding) as file:
        text = file.read(LONGEST_TEXT + 2).removesuffix("\n")
    yield 1, None if len(text) > LONGEST_TEXT else text


def _read_record_files(items: Sequence[Item], column: str | None, id_column: str | None, is_fitted: bool) -> TextRows:
    copy_all(item.path for item in items)
    paths = [here(item.path) for item in items]
    encodings = {path: find_encoding(path) for path in paths}
    say_encodings(encodings)
    members = _list_members(encodings)
    for name in (column, id_column):
        if name is not None and members and name not in members:
            raise InputError(f"{items[0].path}: no record has {name!r}; there is {list_few(list(members))}")
    holding = wanted().among(members)
    if column is None and members:
        texts = [name for name, is_text in members.items() if is_text and name not in (id_column, *holding)]
        column = _choose_column(texts, list(members), is_fitted)
    labels: dict[str, list[str | None]] = {name: [] for name in holding}
    rows = TextRows([], [], {}, [], [], column, labels)
    ids: list[str | None] = []
    for item, path in zip(items, paths, strict=True):
        digest = sha256_of(path)
        for number, record, error in read_records(path, encodings[path]):
            text, record_id, reason = ("", None, error) if error else _text_of_record(record, column, id_column)
            if reason is not None:
                rows.errors[len(rows.names)] = reason
            rows.names.append(f"{item.name}:{number}")
            rows.texts.append(text)
            rows.paths.append(item.origin)
            rows.digests.append(digest)
            ids.append(record_id)
            for name, of_rows in labels.items():
                of_rows.append(_to_text(record.get(name)) if isinstance(record, dict) else None)
    if not rows.names:
        raise InputError(f"{items[0].path} holds no record")
    if id_column is None:
        return rows
    names, unnamed = name_rows(ids, rows.names, id_column)
    texts = ["" if place in unnamed else text for place, text in enumerate(rows.texts)]
    return replace(rows, names=names, texts=texts, errors={**unnamed, **rows.errors})


def _list_members(encodings: Mapping[LocalPath, Encoding]) -> dict[str, bool]:
    """Return the names of all members of records, and whether each is a text in any record."""
    members: dict[str, bool] = {}
    for path, encoding in encodings.items():
        for _, record, _ in read_records(path, encoding):
            for name, value in record.items() if isinstance(record, dict) else ():
                members[name] = members.get(name, False) or isinstance(value, str)
    return members


def _text_of_record(record: Any, column: str | None, id_column: str | None) -> tuple[str, str | None, str | None]:
    """Return the text of a record, its id, and what is wrong, or None."""
    if isinstance(record, str):
        return record, None, None
    if not isinstance(record, dict):
        return "", None, f"it is to be a text or a record, got {type(record).__name__}"
    record_id = None if id_column is None else _to_text(record.get(id_column))
    value = None if column is None else record.get(column)
    if value is None:
        return "", record_id, f"{column!r} is missing"
    if isinstance(value, (dict, list)):
        return "", record_id, f"{column!r} is to be a text, got {type(value).__name__}"
    return text_of(value) or "", record_id, None


def _to_text(value: Any) -> str | None:
    return None if isinstance(value, (dict, list)) else text_of(value)

"""Records of JSON: one a line, or a list of them; and tables of such records."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.columns import Column, ColumnsRead, to_column, write_column
from dn2.inputs.encodings import Encoding, find_encoding, open_encoded, require_encoding
from dn2.inputs.names import MOST_COLUMNS, check_column_names
from dn2.system.bounds import check_fits, read_lines
from dn2.system.interface import command
from dn2.system.naming import ending_of, writable
from dn2.system.stores import LocalPath

LONGEST_RECORD = 1 << 24
LONGEST_LIST = 1 << 28  # characters of a list, which is parsed as a whole
BYTES_A_CHARACTER, BYTES_A_BRACKET = 24, 80  # which a list takes once it is parsed, at most
ROWS_AT_ONCE = 1_000

Record = tuple[int, Any, str | None]


@dataclass(frozen=True)
class JsonFile:
    """A file of records that has been looked through: the names of its columns in order, and its number of rows."""

    path: LocalPath
    names: list[str]
    n_rows: int
    encoding: Encoding

    def read(
        self,
        names: Collection[str],
        text: Collection[str],
        progress: Progress | None = None,
        verbatim: Collection[str] = (),
        with_points: object = (),
    ) -> ColumnsRead:
        """Read the columns `names`; those in `text` or `verbatim` as text.  A column that a record lacks is missing.

        with_points : unused, since numbers are numbers.
        Raises InputError if the file cannot be read, no row can, or a column holds other than single values."""
        chosen, errors = set(names), dict[int, str]()
        cells: dict[str, list[Any]] = {name: [] for name in self.names if name in chosen}
        for row, (_, value, reason) in enumerate(read_records(self.path, self.encoding)):
            if reason is None and not isinstance(value, dict):
                reason = f"a row is a record such as {{...}}, got {type(value).__name__}"
            if reason is not None:
                errors[row] = reason
            record = {} if reason is not None else {writable(name): cell for name, cell in value.items()}
            for name, column in cells.items():
                column.append(record.get(name))
            if not row % ROWS_AT_ONCE:
                check_fits(64 * len(cells) * ROWS_AT_ONCE, f"{self.path}, read as far as row {row + 1:,},")
                if progress is not None:
                    progress(row, self.n_rows)
        if len(errors) == self.n_rows:
            raise InputError(f"{self.path}: no row can be read; of the first, {errors[0]}")
        columns: dict[str, Column | None] = {}
        for name in list(cells):
            column_read = self._column(cells.pop(name), name)
            columns[name] = write_column(column_read) if name in text or name in verbatim else column_read
        return ColumnsRead(columns, self.n_rows, errors)

    def _column(self, values: list[Any], name: str) -> Column:
        try:
            return to_column(values, name)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error


def open_records(path: LocalPath) -> JsonFile:
    """Look through a file of records for the names of its columns.

    Raises InputError if it cannot be read, holds no records, or their names are too many."""
    encoding, n_rows, names = require_encoding(path), 0, dict[str, None]()
    for _, record, _ in read_records(path, encoding):
        n_rows += 1
        if isinstance(record, dict) and len(names) <= MOST_COLUMNS:
            names |= dict.fromkeys(map(writable, record))
    if not n_rows:
        raise InputError(f"{path} holds no record")
    if not names:
        raise InputError(f"{path} holds no record such as {{...}}, whose names are those of columns")
    check_column_names(list(names), str(path))
    return JsonFile(path, list(names), n_rows, encoding)


def read_records(path: LocalPath, encoding: Encoding | None = None) -> Iterator[Record]:
    """Give, for each record of JSON Lines, or of the list in a `.json`, its number, its value, and what is wrong or
    None.  Blank lines are none.

    encoding : by default as `find_encoding` finds it.  Raises InputError if the file cannot be read."""
    encoding = encoding or find_encoding(path)
    if ending_of(path).startswith(".json") and not ending_of(path).startswith(".jsonl"):
        values = _read_list(path, encoding)
        if values is not None:
            yield from ((number, value, None) for number, value in enumerate(values, 1))
            return
    with open_encoded(path, encoding) as file:
        for number, line in enumerate(read_lines(file, LONGEST_RECORD), 1):
            if line is None:
                yield number, None, f"a line of more than {LONGEST_RECORD:,} characters"
            elif not line.isspace():
                yield number, *_parse(line.removesuffix("\n"))


def _parse(line: str) -> tuple[Any, str | None]:
    try:
        return json.loads(line), None
    except json.JSONDecodeError as error:
        return None, f"it is no JSON: {error.msg}, at character {error.pos + 1:,}"
    except (ValueError, RecursionError) as error:  # a number of very many digits, very deep nesting
        return None, f"it is no JSON that is read: {error}"


def _read_list(path: LocalPath, encoding: Encoding) -> list[Any] | None:
    """Read the list that a file holds; a single flat record is a list of one.

    Returns None for a file of several values, which are one a line.  Raises InputError for anything else."""
    with open_encoded(path, encoding) as file:
        text = file.read(LONGEST_LIST + 1)
        if len(text) > LONGEST_LIST:
            raise InputError(
                f"{path} has more than {LONGEST_LIST:,} characters, and a list is read as a whole; give JSON Lines, "
                "one record a line (.jsonl)"
            )
        n_brackets = text.count("[") + text.count("{")
        check_fits(BYTES_A_CHARACTER * len(text) + BYTES_A_BRACKET * n_brackets, f"{path}, parsed,")
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            if error.msg == "Extra data":
                return None
            raise InputError(f"{path}, line {error.lineno:,}: it is no JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is no JSON that is read: {error}") from error
    if isinstance(value, Mapping):
        return [_flat_record(path, value)]
    if not isinstance(value, list):
        raise InputError(f"{path} holds {type(value).__name__}; a .json holds a list of records, [{{...}}, ...]")
    return value


def _flat_record(path: LocalPath, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object that is one record.  Raises InputError, with the way out, for one that holds records."""
    lists = [
        name for name, value in record.items() if isinstance(value, list) and any(isinstance(x, dict) for x in value)
    ]
    if len(lists) == 1:
        in_python = f"that list alone, json.load(open({str(path)!r}))[{lists[0]!r}]"
        way_out = command(f"that list alone, which jq .{lists[0]} makes of it", in_python)
        raise InputError(
            f"{path} holds one object, whose {lists[0]!r} is a list of {len(record[lists[0]]):,} records; give "
            f"{way_out}"
        )
    if any(isinstance(value, (list, dict)) for value in record.values()):
        raise InputError(
            f"{path} holds one object of lists or objects; a .json holds a list of records, [{{...}}, ...]; pandas "
            "writes one with to_json(orient='records')"
        )
    return record

"""Lines of CSV files, cut into cells, or with the reason why a line cannot be cut."""

from __future__ import annotations

import contextlib
import csv
import threading
from collections.abc import Iterator
from functools import partial
from typing import TextIO

from dn2.errors import InputError
from dn2.inputs.encodings import Encoding, open_encoded
from dn2.system.bounds import read_lines
from dn2.system.processes import PerProcess
from dn2.system.stores import LocalPath

LONGEST_CELL = 1 << 20
LONGEST_LINE = 1 << 24
EMPTY = frozenset({"\n", "\r\n", "\r"})

Record = list[str] | str


@contextlib.contextmanager
def open_lines(path: LocalPath, encoding: Encoding) -> Iterator[TextIO]:
    """Open a CSV file for Python's csv module, with long cells allowed inside.  Raises InputError."""
    with _limit.get().raised(), open_encoded(path, encoding, newline="") as file:
        yield file


class _Limit:
    """The csv module's limit on the length of cells, which is one for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = csv.field_size_limit()

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """Raise the limit until the last of those who need it so is done."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, users: int) -> None:
        with self._lock:
            if not self._users:
                self._before = csv.field_size_limit(LONGEST_CELL)
            self._users += users
            if not self._users:
                csv.field_size_limit(self._before)


_limit = PerProcess(_Limit)


def first_line(file: TextIO) -> str:
    """Read the first line that is not empty, up to the first line break outside of quotes."""
    parts: list[str] = []
    quotes = length = 0
    for line in iter(partial(file.readline, LONGEST_CELL), ""):
        if parts or line.strip():
            parts.append(line)
            quotes, length = quotes + line.count('"'), length + len(line)
            if quotes % 2 == 0 or length > LONGEST_CELL:
                break
    return "".join(parts)


def records(path: LocalPath, file: TextIO, delimiter: str, n_skipped: int = 0) -> Iterator[Record]:
    """Give the cells of each line that is not empty, the header first, or the reason why a line cannot be cut.

    n_skipped : lines that are passed over before the header, without the empty ones."""
    lines = _Lines(file)
    for _ in range(n_skipped):
        lines.between = True
        next(lines, None)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.between = True
        try:
            record: Record | None = next(reader, None)
        except csv.Error as error:
            record = f"line {lines.first:,}: {error}"
            if lines.number > lines.first:  # an open quote may have taken many rows into one cell
                raise InputError(f"{path}, from {record}; is a quote opened there and never closed?") from error
        if lines.broken is not None:
            record, lines.broken = lines.broken, None
        elif record is None:
            return
        if record:
            yield record


class _Lines:
    """The lines of a CSV file; empty lines between records, which may be very many, are passed over.

    number : of the last line given; first : of the line where its record begins.
    between : whether the next line begins a record; the reader sets it before each.
    broken : the reason why the record cannot be read; None as long as its lines are sound."""

    def __init__(self, file: TextIO) -> None:
        self.number = self.first = 0
        self.between = True
        self.broken: str | None = None
        self._lines = read_lines(file, LONGEST_LINE)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if self.between:
            while line in EMPTY:
                line = next(self._lines)
                self.number += 1
            self.between = False
            self.first = self.number
        if line is None:
            self.broken = f"line {self.number:,}: it has more than {LONGEST_LINE:,} characters"
            return "\n"
        if "\0" in line:
            self.broken = f"line {self.number:,}: it holds a NUL byte"
        return line

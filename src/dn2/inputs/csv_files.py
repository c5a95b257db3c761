"""CSV files, read in pieces: a column of numbers if every cell is a number, else of texts."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TextIO

import numpy as np

from dn2.arrays import Progress
from dn2.errors import InputError
from dn2.inputs.columns import Column, ColumnsRead, stack
from dn2.inputs.csv_lines import Record, first_line, open_lines, records
from dn2.inputs.encodings import Encoding, require_encoding
from dn2.inputs.names import check_column_names
from dn2.system.bounds import check_fits
from dn2.system.naming import ending_of
from dn2.system.stores import LocalPath

DELIMITERS = ",;\t|"
SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
MOST_BEFORE = 100  # lines of comments before the header
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
MOST_UNREADABLE = 100_000  # rows at the start of a file, before reading is given up
MOST_ROWS, MOST_CELLS = 1_000, 1_000_000  # of a piece, which is to fit into the processor's cache

# Cells, one a line, that `float` reads and that may be codes: of many digits, or with zeros before them.
LONGEST_INTEGER = 15  # in digits; float64 would merge some longer integers
CODES = re.compile(r"^[^\S\n]*[+-]?(?:\d{16,}|0\d+)[^\S\n]*$", re.MULTILINE)

# A point that may stand between groups of digits, and one that may not.
GROUPED = r"[^\S\n]*[+-]?[1-9]\d{0,2}\.\d{3}[^\S\n]*$"
MAY_GROUP = re.compile(rf"^{GROUPED}", re.MULTILINE)
IS_DECIMAL = re.compile(rf"^(?!{GROUPED})[^\n]*\.", re.MULTILINE)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file whose header has been read: the names of its columns in order, and how to read its rows."""

    path: LocalPath
    names: list[str]
    encoding: Encoding
    delimiter: str
    n_skipped: int = 0  # lines before the header

    def read(
        self,
        names: Collection[str],
        text: Collection[str],
        progress: Progress | None = None,
        verbatim: Collection[str] = (),
        with_points: Collection[str] = (),
    ) -> ColumnsRead:
        """Read the columns `names`; those in `text` as text, those in `verbatim` exactly as they are written.

        progress : called with the number of rows read so far, and an estimate of all, by the bytes read.
        with_points : columns whose points are known to be decimal marks.
        Raises InputError if the file cannot be read, has no rows, or has only rows that do not fit its header."""
        chosen = set(names)
        growing = {
            name: _GrowingColumn(name not in text, name in with_points, name in verbatim)
            for name in self.names
            if name in chosen
        }
        places = [(place, growing[name]) for place, name in enumerate(self.names) if name in growing]
        n_rows, size = 0, os.stat(self.path).st_size
        errors: dict[int, str] = {}
        for piece, position in self._pieces():
            failed = {row: reason for row, record in enumerate(piece) if (reason := _reason(record, len(self.names)))}
            errors.update({n_rows + row: reason for row, reason in failed.items()})
            n_rows += len(piece)
            if len(failed) < len(piece):
                check_fits(8 * MOST_CELLS, f"{self.path}, read as far as row {n_rows:,},")
                rows = [record for row, record in enumerate(piece) if row not in failed]
                cells = list(zip(*rows, strict=True))
                for place, column in places:
                    column.add(cells[place])
            elif len(errors) == n_rows >= MOST_UNREADABLE:
                raise InputError(f"{self.path}: no row can be read of {n_rows:,}; of the first, {errors[0]}")
            if progress is not None:
                progress(n_rows, max(n_rows, round(n_rows * size / position)))
        if not n_rows:
            raise InputError(f"{self.path} has a header and no rows below it")
        if len(errors) == n_rows:
            raise InputError(f"{self.path}: no row can be read; of the first, {errors[0]}")
        if errors:
            check_fits(8 * n_rows * len(growing), f"{self.path}, {n_rows:,} rows of {len(growing):,} columns,")
        read = np.array([row for row in range(n_rows) if row not in errors]) if errors else None
        points = {name for name, column in growing.items() if column.numbers and column.has_point}
        columns = {name: growing.pop(name).column(n_rows, read) for name in list(growing)}
        return ColumnsRead(columns, n_rows, errors, frozenset(points))

    def _pieces(self) -> Iterator[tuple[list[Record], int]]:
        """Give the records below the header in pieces, each with the number of bytes of the file read so far."""
        rows_a_piece = min(MOST_ROWS, MOST_CELLS // len(self.names))
        with open_lines(self.path, self.encoding) as file:
            lines = records(self.path, file, self.delimiter, self.n_skipped)
            next(lines)
            while piece := list(islice(lines, rows_a_piece)):
                yield piece, max(1, os.lseek(file.fileno(), 0, os.SEEK_CUR))


def open_csv(path: LocalPath) -> CsvFile:
    """Read the header of a CSV file, written as `find_encoding` finds.

    The delimiter is the one most frequent in the header, or that of a line `sep=;` before it; in a .tsv file it is a
    tab.  Lines of comments before the header are passed over.  A column without a name is named by its place, from
    `column 1` on.
    Raises InputError if the file cannot be read, is empty, or its first line names no columns."""
    encoding = require_encoding(path)
    with open_lines(path, encoding) as file:
        n_skipped, said, line = _before_header(file)
        delimiter = said or ("\t" if ending_of(path).startswith(".tsv") else _delimiter(line))
    with open_lines(path, encoding) as file:
        header = next(records(path, file, delimiter, n_skipped), None)
    if header is None:
        raise InputError(f"{path} is empty; its first line must name the columns, rows come below")
    if isinstance(header, str):
        raise InputError(f"{path}: the header cannot be read: {header}")
    if _only_numbers(header):
        shown = ", ".join(header[:3]) + (", ..." if len(header) > 3 else "")
        raise InputError(f"{path}: the first line must name the columns, got numbers ({shown}); add a header line")
    names = [name.strip() or f"column {place}" for place, name in enumerate(header, 1)]
    check_column_names(names, f"the header of {path}")
    return CsvFile(path, names, encoding, delimiter, n_skipped)


def _before_header(file: TextIO) -> tuple[int, str | None, str]:
    """Read what programs write before the header: comments, which begin with #, and a line `sep=;`, in any order.

    A line that begins with # and goes on without a blank, of as many cells as the next, is the header itself.

    Returns the number of lines, the delimiter if a line says it, and the header."""
    before: list[str] = []
    said: str | None = None
    line = first_line(file)
    while len(before) < MOST_BEFORE:
        mark = SEP.fullmatch(line) if said is None else None
        if mark is None and not line.startswith("#"):
            break
        said = mark[1] if mark else said
        before.append(line)
        line = first_line(file)
    if before and before[-1].startswith("#") and not before[-1][1:2].isspace():
        delimiter = said or _delimiter(before[-1])
        if before[-1].count(delimiter) == line.count(delimiter) > 0:
            line = before.pop()
    return sum(text.count("\n") or 1 for text in before), said, line


@dataclass
class _GrowingColumn:
    """One column, piece by piece.

    numbers : whether all cells so far are numbers; else the column is text.
    has_point : whether a cell shows that a point is the decimal mark.
    verbatim : whether cells are kept exactly as written.
    lost : whether text came after numbers, whose wording is gone; the column must be read again as text.
    doubtful : whether a point may group digits by thousands."""

    numbers: bool
    has_point: bool = False
    verbatim: bool = False
    pieces: list[Column] = field(default_factory=list)
    lost: bool = False
    doubtful: bool = False

    def add(self, cells: Sequence[str]) -> None:
        if self.verbatim:
            self.pieces.append(np.array(cells, dtype=object))
            return
        numbers = self._parse_numbers(cells) if self.numbers else None
        if self.numbers and numbers is None and self.pieces:
            self.lost = True
            self.pieces.clear()
        self.numbers = numbers is not None
        if not self.lost:
            self.pieces.append(_parse_texts(cells) if numbers is None else numbers)

    def _parse_numbers(self, cells: Sequence[str]) -> Column | None:
        """Read cells as float64, NaN where missing; None if a cell is neither missing nor a number."""
        try:
            numbers = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            with_nan = ["nan" if cell.strip().lower() in MISSING else cell for cell in cells]
            try:
                numbers = np.fromiter(map(float, with_nan), np.float64, len(with_nan))
            except ValueError:
                return None
        lines = "\n".join(cells)
        may_be_code = lines.startswith("0") or "\n0" in lines or len(max(cells, key=len)) > LONGEST_INTEGER
        if "_" in lines or (may_be_code and CODES.search(lines)):  # float() takes 1_000
            return None
        if not self.has_point and "." in lines:
            self.has_point = IS_DECIMAL.search(lines) is not None
            self.doubtful = self.doubtful or MAY_GROUP.search(lines) is not None
        return numbers

    def column(self, n_rows: int, read: np.ndarray[Any, np.dtype[np.int64]] | None) -> Column | None:
        """Return the column of `n_rows` rows; read : the rows with cells, None for all; the other cells are missing.

        Returns None for a column that must be read again as text."""
        if self.lost or (self.numbers and self.doubtful and not self.has_point):
            return None
        cells = stack(self.pieces)
        if read is None:
            return cells
        column = np.full(n_rows, np.nan if cells.dtype.kind == "f" else None, cells.dtype)
        column[read] = cells
        return column


def _parse_texts(cells: Sequence[str]) -> Column:
    shared: dict[str, str] = {}  # categories repeat: one object for each
    values = [None if cell.strip().lower() in MISSING else shared.setdefault(cell, cell) for cell in cells]
    return np.array(values, dtype=object)


def _reason(record: Record, width: int) -> str | None:
    if isinstance(record, str):
        return record
    if len(record) == width:
        return None
    return f"it has {len(record)} cells, the header has {width} columns"


def _delimiter(header: str) -> str:
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _only_numbers(header: Sequence[str]) -> bool:
    named_cells = [cell for cell in header if cell.strip()]
    return bool(named_cells) and all(map(_is_number, named_cells))


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell.replace(",", ".")))
    except ValueError:
        return False

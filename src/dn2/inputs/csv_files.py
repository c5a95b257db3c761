"""CSV files, read in pieces: columns of numbers where every cell is one, of texts elsewhere."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from dn2.bounds import check_fits, reading
from dn2.errors import InputError
from dn2.inputs.columns import Column, joined
from dn2.inputs.csv_lines import Record, first_line, opened, records
from dn2.inputs.names import check_names

DELIMITERS = ",;\t|"
DECIMAL_COMMA = ";\t"  # between cells, where numbers may have a comma in them
WITH_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
MOST_UNREADABLE = 100_000  # rows from the first on, of a file that has others
MOST_ROWS, MOST_CELLS = 1_000, 1_000_000  # of one piece; longer ones leave the processor's cache

# Of longer ones float64 would merge some.
LONGEST_INTEGER = 15
LONGER_INTEGER = re.compile(r"^[^\S\n]*[+-]?\d{16,}[^\S\n]*$", re.MULTILINE)

Errors = dict[int, str]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CsvFile:
    """A CSV file whose header has been read: the names of its columns in order, and how to read on."""

    path: Path
    names: list[str]
    encoding: str
    delimiter: str

    def read(
        self,
        names: Collection[str],
        text: Collection[str],
        progress: Progress | None = None,
        verbatim: Collection[str] = (),
    ) -> tuple[dict[str, Column | None], int, Errors]:
        """Read the columns asked for; those in `text` as text, those in `verbatim` exactly as they are written.

        progress : called with the rows read and how many there will be, by the bytes read so far.
        Returns the columns, None for one that turned out to be text after it had been read as numbers, the number of
        rows, and by row why it cannot be read; its cells are missing then.
        Raises InputError if the file cannot be read, has no rows, or none that fits its header."""
        wanted, comma = set(names), self.delimiter in DECIMAL_COMMA
        marks = frozenset(".,") if comma else frozenset(".")
        growing = {
            name: _Growing(frozenset() if name in text else marks, comma, name in verbatim)
            for name in self.names
            if name in wanted
        }
        places = [(place, growing[name]) for place, name in enumerate(self.names) if name in growing]
        n_rows, errors, size = 0, {}, self.path.stat().st_size
        for piece, position in self._pieces():
            failed = {row: reason for row, one in enumerate(piece) if (reason := _reason(one, len(self.names)))}
            errors.update({n_rows + row: reason for row, reason in failed.items()})
            n_rows += len(piece)
            if len(failed) < len(piece):
                check_fits(8 * MOST_CELLS, f"{self.path}, read as far as row {n_rows:,},")
                rows = [one for row, one in enumerate(piece) if row not in failed]
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
        return {name: growing.pop(name).column(n_rows, read) for name in list(growing)}, n_rows, errors

    def _pieces(self) -> Iterator[tuple[list[Record], int]]:
        """Give the records below the header, so many at a time, and the bytes of the file that are read so far."""
        most = min(MOST_ROWS, MOST_CELLS // len(self.names))
        with opened(self.path, self.encoding) as file:
            found = records(self.path, file, self.delimiter)
            next(found)
            while piece := list(islice(found, most)):
                yield piece, max(1, os.lseek(file.fileno(), 0, os.SEEK_CUR))


def open_csv(path: Path) -> CsvFile:
    """Read the header of a CSV file: UTF-8, or UTF-16 by its byte order mark.

    The delimiter is the one that the header has most of; a tab in a .tsv file.  A column without a name is called
    by its place, `column 1` for the first.
    Raises InputError if the file cannot be read, is empty, or its first line names no columns."""
    with reading(path), open(path, "rb") as binary:
        encoding = "utf-16" if binary.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with opened(path, encoding) as file:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(first_line(file))
    with opened(path, encoding) as file:
        header = next(records(path, file, delimiter), None)
    if header is None:
        raise InputError(f"{path} is empty; its first line must name the columns, rows come below")
    if isinstance(header, str):
        raise InputError(f"{path}: the header cannot be read: {header}")
    if _only_numbers(header):
        shown = ", ".join(header[:3]) + (", ..." if len(header) > 3 else "")
        raise InputError(f"{path}: the first line must name the columns, got numbers ({shown}); add a header line")
    names = [name.strip() or f"column {place}" for place, name in enumerate(header, 1)]
    check_names(names, f"the header of {path}")
    return CsvFile(path, names, encoding, delimiter)


@dataclass
class _Growing:
    """One column, piece by piece.

    marks : the decimal marks with which all cells so far are numbers; without any left, the column is text.
    comma : whether numbers among texts may have a decimal comma, which is written as a point then.
    verbatim : whether cells are kept as they are written, whatever they say."""

    marks: frozenset[str]
    comma: bool
    verbatim: bool = False
    pieces: list[Column] = field(default_factory=list)
    lost: bool = False

    def add(self, cells: Sequence[str]) -> None:
        if self.verbatim:
            self.pieces.append(np.array(cells, dtype=object))
            return
        read = {mark: numbers for mark in self.marks if (numbers := _numbers(cells, mark)) is not None}
        if self.marks and not read and self.pieces:
            self.lost = True
            self.pieces.clear()
        self.marks = frozenset(read)
        if not self.lost:
            self.pieces.append(next(iter(read.values())) if read else _texts(cells, self.comma))

    def column(self, n_rows: int, read: np.ndarray[Any, np.dtype[np.int64]] | None) -> Column | None:
        """Return the column of so many rows: cells are missing but at those that were read, None for all of them."""
        if self.lost:
            return None
        cells = joined(self.pieces)
        if read is None:
            return cells
        column = np.full(n_rows, np.nan if cells.dtype.kind == "f" else None, cells.dtype)
        column[read] = cells
        return column


def _numbers(cells: Sequence[str], mark: str) -> Column | None:
    """Read cells as float64, NaN where missing; None if one is neither."""
    if mark != ".":
        if any("." in cell for cell in cells):
            return None
        cells = [cell.replace(mark, ".") for cell in cells]
    try:
        numbers = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        filled = ["nan" if cell.strip().lower() in MISSING else cell for cell in cells]
        try:
            numbers = np.fromiter(map(float, filled), np.float64, len(filled))
        except ValueError:
            return None
    together = "\n".join(cells)
    if "_" in together:  # float() takes 1_000
        return None
    longer = len(max(cells, key=len)) > LONGEST_INTEGER and LONGER_INTEGER.search(together)
    return None if longer else numbers


def _texts(cells: Sequence[str], comma: bool) -> Column:
    if comma:
        cells = [cell.replace(",", ".") if WITH_COMMA.fullmatch(cell) else cell for cell in cells]
    known: dict[str, str] = {}  # categories repeat: one object for each
    kept = [None if cell.strip().lower() in MISSING else known.setdefault(cell, cell) for cell in cells]
    return np.array(kept, dtype=object)


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
    given = [cell for cell in header if cell.strip()]
    return bool(given) and all(map(_is_number, given))


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell.replace(",", ".")))
    except ValueError:
        return False

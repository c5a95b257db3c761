"""A row as the cells of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from dn2.results.rows import Row


def flatten_row(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a row as cells: lists and dictionaries as JSON, None for a missing value."""
    record = row.as_dict()
    for name, value in record.items():
        if isinstance(value, (list, dict)):
            record[name] = json.dumps(value, ensure_ascii=False) if value else None
    return {name: record.get(name) for name in columns}


def csv_line(values: Iterable[Any]) -> str:
    """Write values as one line of CSV."""
    line = io.StringIO()
    # Before Python 3.13 a line break is quoted only if it is in the line terminator.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().removesuffix("\r\n") + "\n"

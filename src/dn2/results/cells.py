"""Rows as the cells of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from dn2.extras import import_pyarrow
from dn2.results.rows import AUDIT, Row

FLAGS = frozenset({"is_anomaly", AUDIT})


def flatten_row(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a row as cells: lists and dictionaries as JSON, None for a missing value."""
    record = row.as_dict()
    for name, value in record.items():
        if isinstance(value, (list, dict)):
            record[name] = json.dumps(value, ensure_ascii=False) if value else None
    return {name: record.get(name) for name in columns}


def write_csv(file: TextIO, rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Write rows as CSV to an open file."""
    file.write(",".join(columns) + "\n")
    for row in rows:
        record = flatten_row(row, columns)
        for name in FLAGS & record.keys():
            if record[name] is not None:
                record[name] = "true" if record[name] else "false"
        file.write(csv_line(record.values()))


def parquet_table(rows: Iterable[Row], columns: Sequence[str]) -> Any:
    """Return rows as a table of pyarrow.  Raises MissingExtra."""
    pyarrow = import_pyarrow()
    text, number = pyarrow.string(), pyarrow.float64()
    types = dict.fromkeys(columns, text) | {"anomaly_score": number, "p_value": number}
    types |= dict.fromkeys(FLAGS & set(columns), pyarrow.bool_())
    types |= dict.fromkeys({"items"} & set(columns), pyarrow.int64())
    records = [flatten_row(row, columns) for row in rows]
    return pyarrow.table(
        {name: pyarrow.array([record[name] for record in records], kind) for name, kind in types.items()}
    )


def csv_line(values: Iterable[Any]) -> str:
    """Write values as one line of CSV."""
    line = io.StringIO()
    # Before Python 3.13 a line break is quoted only if it is in the line terminator.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().removesuffix("\r\n") + "\n"

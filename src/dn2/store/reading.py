"""Results files back to rows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dn2.errors import InputError
from dn2.store.results import COLUMNS, Member, Neighbor, Row, choose_writer, import_pyarrow

Record = Mapping[str, Any]

# Evidence of very many neighbours or members is one long field.
LONGEST_FIELD = 1 << 28


def read_rows(path: Path) -> list[Row]:
    """Read a results file: CSV, JSON Lines or Parquet, by the ending of its name.

    Raises InputError for a file that is missing or holds something else."""
    readers: dict[str, Callable[[Path], Iterable[Record]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    read = choose_writer(path, readers, "a results file")
    rows = []
    try:
        for number, record in enumerate(read(path), 1):
            rows.append(_row(record, f"{path}, row {number:,}"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise InputError(f"{path} is no results file of dn2's: row {len(rows) + 1:,}: {error}") from error
    if not rows:
        raise InputError(f"{path} holds no rows; it is to be a results file, as dn2 score -o writes it")
    return rows


def _read_csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(LONGEST_FIELD)
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, strict=True)


def _read_jsonl(path: Path) -> Iterator[Record]:
    with open(path, encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def _read_parquet(path: Path) -> Iterator[Record]:
    pyarrow = import_pyarrow()
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} is no Parquet file: {error}") from error


def _row(record: Any, where: str) -> Row:
    """Make a row of what a file holds of it: texts in CSV, values elsewhere."""
    if not isinstance(record, Mapping) or not set(COLUMNS) <= set(record):
        raise InputError(f"{where}: a results file has the columns {', '.join(COLUMNS)}")
    try:
        return Row(
            _text(record["item"]),
            _number(record["anomaly_score"]),
            _number(record["p_value"]),
            _flag(record["is_anomaly"]),
            tuple(Neighbor(_text(one["item"]), float(one["distance"])) for one in _listed(record["neighbors"]) or ()),
            record["error"] or None,
            _members(record),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: not as dn2 writes it ({error})") from error


def _members(record: Record) -> tuple[Member, ...] | None:
    if "members" not in record:
        return None
    return tuple(
        Member(_text(one["item"]), _number(one["share"]), one["error"]) for one in _listed(record["members"]) or ()
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a name that is no text: {value!r}")
    return value


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"no finite number: {value!r}")
    return number


def _flag(value: Any) -> bool | None:
    flags = {None: None, "": None, True: True, False: False, "true": True, "false": False}
    if value not in flags:
        raise ValueError(f"is_anomaly must be true, false or empty, got {value!r}")
    return flags[value]


def _listed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value else value

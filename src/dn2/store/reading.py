"""Results files back to rows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from dn2.bounds import check_fits, parsing, read_lines
from dn2.errors import InputError
from dn2.extras import import_pyarrow, open_parquet
from dn2.store.results import choose_by_ending
from dn2.store.rows import COLUMNS, PLAIN, Contribution, Curve, Member, Neighbor, Row, Wording

Record = Mapping[str, Any]

# Evidence of very many neighbours or members is one long field.
LONGEST_FIELD = 1 << 28
LONG = 1 << 20
BYTES_OF_JSON = 32  # that a character of it becomes, at most
ROWS_AT_ONCE = 64  # of Parquet
CHECKED_EVERY = 1_000  # rows


def read_rows(path: Path) -> list[Row]:
    """Read a results file: CSV, JSON Lines or Parquet, by the ending of its name.

    Raises InputError for a file that is missing or holds something else."""
    readers: dict[str, Callable[[Path], Iterable[Record]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    read = choose_by_ending(path, readers, "a results file")
    rows: list[Row] = []
    characters = 0
    with parsing(path, "is no results file of dn2's"):
        for number, record in enumerate(_numbered(path, read), 1):
            rows.append(_row(record, f"{path}, row {number:,}"))
            characters += sum(len(value) for value in record.values() if isinstance(value, str))
            if not number % CHECKED_EVERY:
                check_fits(characters, f"{path}, from row {number:,} on,")
    if not rows:
        raise InputError(f"{path} holds no rows; it is to be a results file, as dn2 score -o writes it")
    return rows


def _numbered(path: Path, read: Callable[[Path], Iterable[Record]]) -> Iterator[Record]:
    """Give records; what is wrong with one says which it is."""
    number = 1
    try:
        for record in read(path):
            yield record
            number += 1
    except (ValueError, RecursionError, csv.Error) as error:  # UnicodeDecodeError and JSONDecodeError among them
        raise ValueError(f"row {number:,}: {error}") from error


def _read_csv(path: Path) -> Iterator[Record]:
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(_lines(file), strict=True)
    finally:
        csv.field_size_limit(before)


def _read_jsonl(path: Path) -> Iterator[Record]:
    with open(path, encoding="utf-8-sig") as file:
        yield from (json.loads(line) for line in _lines(file) if not line.isspace())


def _lines(file: TextIO) -> Iterator[str]:
    for line in read_lines(file, LONGEST_FIELD):
        if line is None:
            raise ValueError(f"a line has at most {LONGEST_FIELD:,} characters")
        if len(line) >= LONG:
            check_fits(BYTES_OF_JSON * len(line), f"a line of {len(line):,} characters")
        yield line


def _read_parquet(path: Path) -> Iterator[Record]:
    pyarrow = import_pyarrow()
    try:
        with open_parquet(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} is no Parquet file: {error}") from error


def _row(record: Any, where: str) -> Row:
    """Make a row of what a file holds of it: texts in CSV, values elsewhere."""
    missing = [name for name in COLUMNS if not isinstance(record, Mapping) or name not in record]
    if missing:
        raise InputError(
            f"{where}: a results file has the columns {', '.join(COLUMNS)}; {', '.join(missing)} is missing"
        )
    try:
        error = _text(record["error"]) if record["error"] else None
        score, p_value, flag = _number(record["anomaly_score"]), _number(record["p_value"]), _flag(record["is_anomaly"])
        given = [one is not None for one in (score, p_value, flag)]
        if any(given) if error else not all(given):
            raise ValueError("a row has either an error, or all of anomaly_score, p_value and is_anomaly")
        if score is not None and p_value is not None and not (score >= 0 and 0 < p_value <= 1):
            raise ValueError(f"a score of {score:g} with a p-value of {p_value:g}")
        neighbors = tuple(_neighbor(one) for one in _listed(record["neighbors"]) or ())
        members, columns, text, curves = _members(record), _columns(record), _wording(record), _curves(record)
        start, end = (_text(record[name]) if record.get(name) else None for name in PLAIN)
        known = score, p_value, flag, neighbors, error
        return Row(_text(record["item"]), *known, members, columns, text, start, end, curves)
    except Exception as error:  # of evidence that is any JSON at all
        raise InputError(f"{where}: not as dn2 writes it ({str(error) or type(error).__name__:.300})") from error


def _neighbor(one: Any) -> Neighbor:
    distance = _number(one["distance"])
    if distance is None:
        raise ValueError("a neighbor without a distance")
    if distance < 0:
        raise ValueError(f"a neighbor at a distance of {distance:g}")
    return Neighbor(_text(one["item"]), distance)


def _members(record: Record) -> tuple[Member, ...] | None:
    if "members" not in record:
        return None
    return tuple(
        Member(_text(one["item"]), _number(one["share"]), None if one["error"] is None else _text(one["error"]))
        for one in _listed(record["members"]) or ()
    )


def _columns(record: Record) -> tuple[Contribution, ...] | None:
    if "columns" not in record:
        return None
    found = _listed(record["columns"]) or ()
    return tuple(
        Contribution(
            _text(one["column"]), _share(one["share"]), _cell(one["value"]), tuple(map(_cell, one["neighbors"]))
        )
        for one in found
    )


def _wording(record: Record) -> Wording | None:
    found = _listed(record.get("text"))
    if not found:
        return None
    words, neighbors = (tuple(map(_text, found[name])) for name in ("new_words", "neighbors"))
    return Wording(_text(found["value"]), words, neighbors)


def _curves(record: Record) -> tuple[Curve, ...] | None:
    found = _listed(record.get("curves"))
    if not found:
        return None
    return tuple(
        Curve(_text(one["column"]), _share(one["share"]), _values(one["value"]), tuple(map(_values, one["neighbors"])))
        for one in found
    )


def _values(given: Any) -> tuple[float, ...]:
    values = tuple(_number(one) for one in given)
    if not all(isinstance(one, float) for one in values):
        raise ValueError("a curve with a value missing")
    return tuple(one for one in values if one is not None)


def _share(value: Any) -> float:
    share = _number(value)
    if share is None:
        raise ValueError("a column without a share")
    return share


def _cell(value: Any) -> Any:
    if value is not None and not isinstance(value, (str, int, float)):
        raise ValueError(f"a value that is neither number nor text: {value!r}")
    return _text(value) if isinstance(value, str) else value if value is None else _finite(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a name that is no text: {value!r}")
    value.encode()  # as no half of a character can be
    return value


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else _finite(float(value))


def _finite(number: Any) -> Any:
    if not math.isfinite(number):
        raise ValueError(f"no finite number: {number!r}")
    return number


def _flag(value: Any) -> bool | None:
    flags = {None: None, "": None, True: True, False: False, "true": True, "false": False}
    text = value.lower() if isinstance(value, str) else value  # TRUE, as spreadsheets write it
    if text not in flags:
        raise ValueError(f"is_anomaly must be true, false or empty, got {value!r}")
    return flags[text]


def _listed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value else value

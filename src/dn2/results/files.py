"""Results files back to rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from dn2.errors import InputError
from dn2.extras import import_pyarrow, open_parquet
from dn2.results.checked import as_figure, as_list, as_number, as_text, as_whole
from dn2.results.decisions import DECISIONS
from dn2.results.rows import AUDIT, COLUMNS, DECISION, Evidence, Neighbor, Row, from_json
from dn2.results.writing import choose_by_ending
from dn2.system.bounds import check_fits, parsing, read_lines
from dn2.system.interface import command

Record = Mapping[str, Any]

# The evidence of a row, of very many neighbours or members, is one long field.
LONGEST_FIELD = 1 << 28
LONG = 1 << 20
BYTES_OF_JSON = 32  # of memory that a character of JSON takes at most
ROWS_AT_ONCE = 64  # of Parquet
CHECKED_EVERY = 1_000  # rows


def read_rows(path: Path, evidence: type[Evidence] | None = None) -> list[Row]:
    """Read a results file: CSV, JSON Lines or Parquet, by the ending of its name.

    evidence : the evidence class of the kind of data that was scored, None for a kind without one.
    Raises InputError unless the file is a results file with at least one row."""
    readers: dict[str, Callable[[Path], Iterable[Record]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    read = choose_by_ending(path, readers, "a results file")
    rows: list[Row] = []
    characters = 0
    with parsing(path, "is no results file of dn2's"):
        for number, record in enumerate(_number_records(path, read), 1):
            rows.append(row_of(record, f"{path}, row {number:,}", evidence))
            characters += sum(len(value) for value in record.values() if isinstance(value, str))
            if not number % CHECKED_EVERY:
                check_fits(characters, f"{path}, from row {number:,} on,")
    if not rows:
        raise InputError(
            f"{path} holds no rows; it must be a results file, as {command('dn2 score -o', 'Results.save')} writes it"
        )
    if len({row.decision is None for row in rows if row.error is None}) > 1:
        raise InputError(f"{path}: {DECISION} must be given of all items that could be read, or of none")
    return rows if evidence is None else _fill_evidence(rows, evidence)


def _fill_evidence(rows: list[Row], evidence: type[Evidence]) -> list[Row]:
    """Give empty evidence to rows without evidence, if other rows have some; JSON Lines leave out empty columns."""
    if all(row.evidence is None for row in rows):
        return rows
    empty = evidence.from_record(dict.fromkeys(evidence.file_columns))
    return [replace(row, evidence=empty) if row.evidence is None else row for row in rows]


def _number_records(path: Path, read: Callable[[Path], Iterable[Record]]) -> Iterator[Record]:
    """Give records; an error in a record names its row."""
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


def row_of(record: Any, where: str, evidence: type[Evidence] | None) -> Row:
    """Make a row from a record as `Row.as_dict` gives it, or of texts as in CSV.

    where : it comes from, in words.  Raises InputError for any other record."""
    missing = [name for name in COLUMNS if not isinstance(record, Mapping) or name not in record]
    if missing:
        raise InputError(
            f"{where}: a results file has the columns {', '.join(COLUMNS)}; {', '.join(missing)} is missing"
        )
    try:
        error = None if record["error"] in (None, "") else as_text(record["error"])
        score, p_value, flag = (
            as_figure(record["anomaly_score"]),
            as_figure(record["p_value"]),
            _flag(record["is_anomaly"], "is_anomaly"),
        )
        present = [value is not None for value in (score, p_value, flag)]
        is_undecided = "per" in record and present == [True, False, False]
        if any(present) if error else not (all(present) or is_undecided):
            raise ValueError("a row has either an error, or all of anomaly_score, p_value and is_anomaly")
        if score is not None and p_value is not None and not (score >= 0 and 0 < p_value <= 1):
            raise ValueError(f"a score of {score:g} with a p-value of {p_value:g}")
        neighbors = tuple(_neighbor(value) for value in as_list(from_json(record["neighbors"])))
        row_evidence = (
            evidence.from_record(record)
            if evidence is not None and set(evidence.file_columns) & record.keys()
            else None
        )
        decision = _decision(record.get(DECISION), flag)
        part, per = (as_text(record[name]) if record.get(name) else None for name in ("part", "per"))
        items = as_whole(record["items"]) if record.get("items") not in (None, "") else None
        name = as_text(record["item"])
        audit = _flag(record.get(AUDIT), AUDIT)
        return Row(name, score, p_value, flag, neighbors, error, row_evidence, decision, part, per, items, audit)
    except Exception as error:  # evidence may be any JSON at all
        raise InputError(f"{where}: not as dn2 writes it ({str(error) or type(error).__name__:.300})") from error


def _neighbor(record: Any) -> Neighbor:
    distance = as_number(record["distance"])
    if distance < 0:
        raise ValueError(f"a neighbor at a distance of {distance:g}")
    part = record.get("part")
    return Neighbor(as_text(record["item"]), distance, None if part is None else as_text(part))


def _decision(value: Any, flag: bool | None) -> str | None:
    if value in (None, ""):
        return None
    if value not in DECISIONS or flag is None or (value == "reject") != flag:
        raise ValueError(
            f"decision must be {', '.join(DECISIONS)} or empty, and reject where is_anomaly is true, got {value!r:.100}"
        )
    return str(value)


def _flag(value: Any, name: str) -> bool | None:
    flags = {None: None, "": None, True: True, False: False, "true": True, "false": False}
    text = value.lower() if isinstance(value, str) else value  # TRUE, as spreadsheets write it
    if text not in flags:
        raise ValueError(f"{name} must be true, false or empty, got {value!r}")
    return flags[text]

"""What scoring found: one row an item, decided anew at any rate without a new search."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

from dn2.errors import InputError, MissingExtra, ReferenceTooSmall
from dn2.extras import import_pyarrow
from dn2.naming import is_possible
from dn2.store.bundle import is_model
from dn2.store.rows import COLUMNS, EVIDENCE, MORE_COLUMNS, Row

if TYPE_CHECKING:
    import pandas

    from dn2.store.points import Points

T = TypeVar("T")


class Evidence(Protocol):
    """What a report shows beside the rows: the model and the items' pictures."""

    def write_html(self, results: Results, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
        """Write a page that shows the results."""


@dataclass(frozen=True)
class Results:
    """Rows in the order of the input.

    false_alarm_rate : the rate at which `is_anomaly` was decided; None where it was decided otherwise, or is not known.
    sample_size : number of reference items behind the p-values; 1 / (sample_size + 1) is the smallest rate.
    evidence : what a report needs, None if the rows are all there is; it is not pickled.
    points : where rows are intervals of series, what was found of every point.
    false_discovery_rate : the rate at which all rows were decided together, if they were.
    reference_items : how many of the items are reference items themselves, or copies of them."""

    rows: Sequence[Row]
    false_alarm_rate: float | None
    sample_size: int
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    false_discovery_rate: float | None = None
    points: Points | None = field(default=None, repr=False, compare=False)
    reference_items: int = field(default=0, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "evidence": None}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the results file; those of groups have `members`, too, those of tables `columns`, those of
        messages `text`, those of series `start`, `end` and `curves`."""
        more = (name for name in MORE_COLUMNS if any(getattr(row, name) is not None for row in self.rows))
        return (*COLUMNS, *more)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def anomalies(self) -> list[Row]:
        """The rows decided to be anomalous, most anomalous first."""
        found = [row for row in self.rows if row.is_anomaly]
        return sorted(found, key=lambda row: row.anomaly_score or 0.0, reverse=True)

    @property
    def errors(self) -> list[Row]:
        """The rows of items that could not be read."""
        return [row for row in self.rows if row.error is not None]

    @property
    def unreadable(self) -> list[Row]:
        """A row with its error for all that could not be read: items, and members of groups."""
        members = [
            Row(f"{row.item}/{member.item}", error=member.error)
            for row in self.rows
            for member in row.members or ()
            if member.error is not None
        ]
        return self.errors + members

    def at(self, false_alarm_rate: float) -> Results:
        """Decide anew: `is_anomaly` is p_value <= false_alarm_rate.

        Raises InputError outside (0, 1), ReferenceTooSmall for a rate that the reference set cannot support."""
        if not 0 < false_alarm_rate < 1:
            raise InputError(f"a false-alarm rate must lie between 0 and 1, got {false_alarm_rate:g}")
        if false_alarm_rate < 1 / (self.sample_size + 1):
            what = "" if self.points is None else "intervals to compare with"
            raise ReferenceTooSmall.for_rate(false_alarm_rate, self.sample_size, what=what)
        rows = [
            row if row.p_value is None else replace(row, is_anomaly=row.p_value <= false_alarm_rate)
            for row in self.rows
        ]
        points = None if self.points is None else self.points.at(false_alarm_rate)
        return replace(self, rows=rows, false_alarm_rate=false_alarm_rate, false_discovery_rate=None, points=points)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write CSV (UTF-8), evidence as JSON, empty cells for what an unreadable item lacks."""
        _write_text(path, self._write_csv)

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write JSON Lines: one object an item."""
        _write_text(path, self.write_jsonl)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write Parquet, evidence as JSON text.  Raises MissingExtra without the `parquet` extra."""
        pyarrow = import_pyarrow()
        text, number = pyarrow.string(), pyarrow.float64()
        columns = self.columns
        types = dict.fromkeys(columns, text) | {
            "anomaly_score": number,
            "p_value": number,
            "is_anomaly": pyarrow.bool_(),
        }
        records = [_flat(row, columns) for row in self.rows]
        table = pyarrow.table(
            {name: pyarrow.array([record[name] for record in records], kind) for name, kind in types.items()}
        )
        write_parquet(path, table)

    def to_html(self, path: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None) -> None:
        """Write one self-contained page that shows what was found and why; the items' files are read for pictures.

        Raises InputError if it cannot be written, or if these rows came without the model that scored them."""
        if self.evidence is None:
            raise InputError("a report needs the model that scored these rows; take the results that Model.score gives")
        choose_writer(path, {".html": None}, "a report")
        self.evidence.write_html(self, Path(path), progress)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write CSV, JSON Lines or Parquet, by the ending of the name."""
        writer_for(path)(self, path)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame with the columns of the results file, evidence as lists of dictionaries."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("to_pandas needs pandas; run: pip install pandas") from error
        return pandas.DataFrame([row.as_dict() for row in self.rows], columns=list(self.columns))

    def write_jsonl(self, file: TextIO) -> None:
        """Write JSON Lines to an open text file."""
        file.writelines(f"{line}\n" for line in self.json_lines())

    def json_lines(self) -> Iterator[str]:
        """Give each row as one line of JSON."""
        return (json.dumps(row.as_dict(), ensure_ascii=False) for row in self.rows)

    def _write_csv(self, file: TextIO) -> None:
        columns = self.columns
        file.write(",".join(columns) + "\n")
        for row in self.rows:
            record = _flat(row, columns)
            if row.is_anomaly is not None:
                record["is_anomaly"] = "true" if row.is_anomaly else "false"
            file.write(_csv_line(record.values()))


def writer_for(path: str | os.PathLike[str]) -> Callable[[Results, str | os.PathLike[str]], None]:
    """Choose how to write a results file by the ending of its name.  Raises InputError for an unknown one."""
    writers = {".csv": Results.to_csv, ".jsonl": Results.to_jsonl, ".parquet": Results.to_parquet}
    return choose_writer(path, writers, "a results file")


def choose_writer(path: str | os.PathLike[str], writers: Mapping[str, T], what: str) -> T:
    """Choose by the ending of a file's name, and refuse early what could not be written.

    writers : by ending; what : what the file is to hold, in words.
    Raises InputError for an unknown ending, a folder that does not exist or is a model, and a name that no file can
    have; MissingExtra."""
    writer = choose_by_ending(path, writers, what)
    target = Path(path)
    if not is_possible(target):
        raise InputError(f"{str(target)!r} cannot be written: that is no path")
    if not os.path.isdir(target.parent):
        raise InputError(f"{target} cannot be written: there is no folder {target.parent}")
    if os.path.isdir(target):
        raise InputError(f"{target} cannot be written: it is a folder")
    with _writing(target):
        if is_model(target.parent):
            raise InputError(f"{target} lies in the folder of a model, which holds the model alone; write it elsewhere")
        with contextlib.suppress(FileNotFoundError):
            target.lstat()  # not so for a name that is too long
    return writer


def choose_by_ending(path: str | os.PathLike[str], choices: Mapping[str, T], what: str) -> T:
    """Choose by the ending of a file's name; parameters as in `choose_writer`.

    Raises InputError for an unknown ending, MissingExtra."""
    suffix = Path(path).suffix.lower()
    if suffix not in choices:
        raise InputError(f"{what} must end in {' or '.join(choices)}, got {os.fspath(path)!r}")
    if suffix == ".parquet":
        import_pyarrow()
    return choices[suffix]


def _flat(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    record = row.as_dict()
    for name in EVIDENCE:
        record[name] = json.dumps(record[name], ensure_ascii=False) if record.get(name) else None
    return {name: record.get(name) for name in columns}


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    # Before Python 3.13 a line break is quoted only if it is in the line terminator.
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _write_text(path: str | os.PathLike[str], write: Callable[[TextIO], None]) -> None:
    def into(temporary: Path) -> None:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            write(file)

    write_file(path, into)


def write_parquet(path: str | os.PathLike[str], table: Any) -> None:
    """Write a table of pyarrow as a file.  Raises InputError if it cannot be written."""

    def into(temporary: Path) -> None:
        pyarrow = import_pyarrow()
        with pyarrow.OSFile(os.fsencode(temporary), "wb") as file:  # it takes a path that is no UTF-8 as bytes only
            pyarrow.parquet.write_table(table, file)

    write_file(path, into)


def write_file(path: str | os.PathLike[str], write: Callable[[Path], None]) -> None:
    """Write beside the target and put in its place at the end, so that it is never half a file."""
    target = Path(path)
    temporary = target.with_name(f".dn2-{secrets.token_hex(8)}.tmp")  # no file of anyone's, nor of another run
    with _writing(target):
        try:
            write(temporary)
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error

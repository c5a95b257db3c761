"""Results of scoring: one row an item, decided anew at any rate without a new search."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO, overload

from dn2.errors import InputError, MissingExtra
from dn2.extras import import_above, import_pyarrow
from dn2.neighbors.rates import attainable_rate
from dn2.results.cells import csv_line, flatten_row
from dn2.results.context import Context, Points
from dn2.results.rows import BELONGING, COLUMNS, Row
from dn2.results.words import count_in_words, decided_in_words, lost_in_words, rate_in_words
from dn2.results.writing import choose_writer, write_parquet, write_text
from dn2.system.progress import Shown, shown

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Results(Sequence[Row]):
    """Rows in the order of the input: a sequence, a slice of which is `Results` with the same decisions.

    Parameters
    ----------
    rows : sequence of Row
        One an item.
    false_alarm_rate : float or None
        The rate at which `is_anomaly` was decided; None where it was decided otherwise, or the rate is unknown.
    sample_size : int
        Number of reference items behind the p-values; 1 / (sample_size + 1) is the smallest rate.
    context : Context or None
        The data of a page beside the rows, None without it.  Copies share it; it is not pickled.
    false_discovery_rate : float or None
        The rate at which all rows were decided together, if they were.
    points : Points or None
        Where rows are intervals of series, the results of every point; None for a slice.
    reference_items : int
        How many of the items are reference items, or copies of reference items; 0 for a slice, where it is unknown.
    n_reference : int or None
        The size of the reference set where the items that do not calibrate were learnt from, else None.
    counted : str
        The calibrating things, in words, where these are not reference items.
    nouns : (str, str)
        The noun for one item, and for several.
    among_themselves : bool
        Whether the items are ranked among themselves, without a model, so that a rate marks that share of them.
    parts : sequence of Row
        One for each part of several items, where these were asked for: its strangest item, with the part's own p-value
        and decision.
    confidence : float or None
        With which the model's own rate is at most the one that was fixed when it was fitted; None for rates that hold
        on average.

    Examples
    --------
    >>> from dn2 import Results, Row
    >>> results = Results([Row("a", 2.0, 0.05), Row("b", 1.0, 0.4), Row("c", error="empty")], None, 19).at(0.05)
    >>> results
    <Results: 2 items, 1 anomalous at 1 in 20; 1 not read>
    >>> results[0], len(results[:2]), [row.item for row in results.anomalies]
    (<Row 'a': anomaly score 2, p-value 0.05, anomalous>, 2, ['a'])"""

    rows: Sequence[Row]
    false_alarm_rate: float | None
    sample_size: int
    context: Context | None = field(default=None, compare=False)
    false_discovery_rate: float | None = None
    points: Points | None = field(default=None, compare=False)
    reference_items: int = field(default=0, compare=False)
    n_reference: int | None = field(default=None, compare=False)
    counted: str = field(default="", compare=False)
    nouns: tuple[str, str] = field(default=("item", "items"), compare=False)
    among_themselves: bool = field(default=False, compare=False)
    parts: Sequence[Row] = ()
    confidence: float | None = field(default=None, compare=False)

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "context": None}

    def __copy__(self) -> Self:
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return replace(self, rows=deepcopy(self.rows, memo), points=deepcopy(self.points, memo))

    def __repr__(self) -> str:
        scored = count_in_words(len(self.rows) - len(self.errors), *self.nouns)
        rate = "" if self.false_alarm_rate is None else f" at {rate_in_words(self.false_alarm_rate)}"
        lost = f"; {len(self.unreadable):,} not read" if self.unreadable else ""
        return f"<Results: {scored}, {len(self.anomalies):,} anomalous{rate}{lost}>"

    def _repr_html_(self) -> str:
        html: str = import_above("dn2.report.notebook").results_html(self)
        return html

    def summary(self) -> str:
        """Say in one sentence how many items were scored, and how many are anomalous."""
        scored = count_in_words(len(self.rows) - len(self.errors), *self.nouns)
        decided = decided_in_words(self.false_alarm_rate, self.false_discovery_rate, self.among_themselves)
        return f"{scored}, {len(self.anomalies):,} anomalous{decided}{lost_in_words(len(self.unreadable))}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the results file: those of all kinds of data, then what the evidence of this one adds."""
        evidence = [row.evidence for row in self.rows if row.evidence is not None]
        names = evidence[0].file_columns if evidence else ()
        written = (*self.rows, *self.parts)
        belonging = (name for name in BELONGING if any(getattr(row, name) is not None for row in written))
        return (
            *COLUMNS,
            *belonging,
            *(name for name in names if any(getattr(record, name) is not None for record in evidence)),
        )

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Row | Self:
        if not isinstance(place, slice):
            return self.rows[place]
        context = None if self.context is None else self.context.only(range(len(self.rows))[place])
        return replace(self, rows=self.rows[place], context=context, points=None, reference_items=0, parts=())

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def anomalies(self) -> list[Row]:
        """The rows decided to be anomalous, most anomalous first."""
        anomalous = [row for row in self.rows if row.is_anomaly]
        return sorted(anomalous, key=lambda row: row.anomaly_score or 0.0, reverse=True)

    @property
    def errors(self) -> list[Row]:
        """The rows of items that could not be read."""
        return [row for row in self.rows if row.error is not None]

    @property
    def undecided(self) -> list[Row]:
        """The rows of items that were scored and have no p-value: none of the reference items is of their stratum."""
        return [row for row in self.rows if row.error is None and row.p_value is None]

    @property
    def unreadable(self) -> list[Row]:
        """A row with its error for all that could not be read: items, and members of groups."""
        parts = [
            Row(f"{row.item}/{part}", error=error)
            for row in self.rows
            if row.evidence is not None
            for part, error in row.evidence.unreadable()
        ]
        return self.errors + parts

    def at(self, false_alarm_rate: float) -> Results:
        """Decide anew, without a new search.

        Parameters
        ----------
        false_alarm_rate : float
            In (0, 1): a row is an anomaly where its p-value is at most this.

        Returns
        -------
        Results

        Raises
        ------
        InputError
            For a rate outside of (0, 1).
        ReferenceTooSmall
            For a rate that the reference set cannot support.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> results = model.score([[2, 2, 2, 2]])
        >>> results[0].is_anomaly, results.at(0.05)[0].is_anomaly
        (False, True)
        """
        attainable_rate(false_alarm_rate, self.sample_size, self.n_reference, self.counted, self.confidence)
        rows, parts = (tuple(_decided(some, false_alarm_rate)) for some in (self.rows, self.parts))
        points = None if self.points is None else self.points.at(false_alarm_rate)
        return replace(
            self,
            rows=rows,
            parts=tuple(parts),
            false_alarm_rate=false_alarm_rate,
            false_discovery_rate=None,
            points=points,
        )

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write CSV (UTF-8), evidence as JSON, empty cells for what an unreadable item lacks.

        Parameters
        ----------
        path : str or path
            The file; it is put in its place once it is whole.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        write_text(path, self._write_csv)

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write JSON Lines: one object an item.

        Parameters
        ----------
        path : str or path
            The file; it is put in its place once it is whole.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        write_text(path, self.write_jsonl)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write Parquet, evidence as JSON text.

        Parameters
        ----------
        path : str or path
            The file; it is put in its place once it is whole.

        Raises
        ------
        InputError
            If it cannot be written.
        MissingExtra
            For Parquet without pyarrow.
        """
        pyarrow = import_pyarrow()
        text, number = pyarrow.string(), pyarrow.float64()
        columns = self.columns
        types = dict.fromkeys(columns, text) | {
            "anomaly_score": number,
            "p_value": number,
            "is_anomaly": pyarrow.bool_(),
        }
        types |= {"items": pyarrow.int64()} if "items" in types else {}
        records = [flatten_row(row, columns) for row in (*self.rows, *self.parts)]
        table = pyarrow.table(
            {name: pyarrow.array([record[name] for record in records], kind) for name, kind in types.items()}
        )
        write_parquet(path, table)

    def to_html(self, path: str | os.PathLike[str], *, progress: Shown = None) -> None:
        """Write one self-contained page that shows what was found and why; the items' files are read for pictures.

        Parameters
        ----------
        path : str or path
            The page, .html.
        progress : callable or False, default=None
            Called with (done, total); None shows a bar in a notebook and nothing in a script, False nothing.

        Raises
        ------
        InputError
            If it cannot be written, or if these rows came without the model that scored them.
        """
        if self.context is None:
            raise InputError("a report needs the model that scored these rows; take the results that Model.score gives")
        choose_writer(path, {".html": None}, "a report")
        with shown(progress, "reading pictures") as tell:
            import_above("dn2.report.scored").write_page_of(self, Path(path), tell)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write CSV, JSON Lines or Parquet, by the ending of the name.

        Parameters
        ----------
        path : str or path
            The file; it is put in its place once it is whole.

        Raises
        ------
        InputError
            If it cannot be written.
        MissingExtra
            For Parquet without pyarrow.
        """
        writer_for(path)(self, path)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame with the columns of the results file, evidence as lists of dictionaries."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("to_pandas needs pandas; run: pip install pandas") from error
        records = [row.as_dict() for row in (*self.rows, *self.parts)]
        return pandas.DataFrame(records, columns=list(self.columns))

    def write_jsonl(self, file: TextIO) -> None:
        """Write JSON Lines to an open file.

        Parameters
        ----------
        file : text file
            Open for writing.
        """
        file.writelines(f"{line}\n" for line in self.json_lines())

    def json_lines(self) -> Iterator[str]:
        """Give each row as one line of JSON."""
        return (json.dumps(row.as_dict(), ensure_ascii=False) for row in (*self.rows, *self.parts))

    def _write_csv(self, file: TextIO) -> None:
        columns = self.columns
        file.write(",".join(columns) + "\n")
        for row in (*self.rows, *self.parts):
            record = flatten_row(row, columns)
            if row.is_anomaly is not None:
                record["is_anomaly"] = "true" if row.is_anomaly else "false"
            file.write(csv_line(record.values()))


def _decided(rows: Sequence[Row], rate: float) -> Sequence[Row]:
    return [row if row.p_value is None else replace(row, is_anomaly=row.p_value <= rate) for row in rows]


def writer_for(path: str | os.PathLike[str]) -> Callable[[Results, str | os.PathLike[str]], None]:
    """Choose how to write a results file by the ending of its name.  Raises InputError for an unknown one."""
    writers = {".csv": Results.to_csv, ".jsonl": Results.to_jsonl, ".parquet": Results.to_parquet}
    return choose_writer(path, writers, "a results file")

"""The scores of all points of series: a table of its own, beside the intervals."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dn2.arrays import Numbers
from dn2.errors import MissingExtra
from dn2.extras import import_pyarrow
from dn2.results.writing import choose_writer, write_file, write_parquet

if TYPE_CHECKING:
    import pandas

COLUMNS = ("series", "time", "anomaly_score", "p_value", "is_anomaly", "error")


@dataclass(frozen=True, repr=False)
class Points:
    """Points of series, in the order of their stamps within each.

    Parameters
    ----------
    series, times : sequence of str
        The name of the series, and the stamp, of each of n points.
    scores, p_values : ndarray of shape (n,)
        NaN for points that could not be scored.
    errors : dict of int to str
        Why not, by position.
    rate : float, default=0.0
        A point is an anomaly where its p-value is at most this.
    """

    series: Sequence[str]
    times: Sequence[str]
    scores: Numbers
    p_values: Numbers
    errors: Mapping[int, str]
    rate: float = 0.0

    def __repr__(self) -> str:
        return f"<Points: {len(self):,} of {len(set(self.series)):,} series>"

    def __len__(self) -> int:
        return len(self.times)

    def at(self, rate: float) -> Points:
        """Decide anew.

        Parameters
        ----------
        rate : float
            A point is an anomaly where its p-value is at most this.

        Returns
        -------
        Points
        """
        return replace(self, rate=rate)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write CSV or Parquet, by the ending of the name.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        InputError
            If it cannot be written.
        MissingExtra
            For Parquet without pyarrow.
        """
        points_writer_for(path)(self, path)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write CSV (UTF-8), empty cells for what a point that is not scored lacks.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        InputError
            If it cannot be written.
        """

        def into(temporary: Path) -> None:
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                writer.writerows(self._lines())

        write_file(path, into)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write Parquet.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        InputError
            If it cannot be written.
        MissingExtra
            For Parquet without pyarrow.
        """
        pyarrow = import_pyarrow()
        table = pyarrow.table(self._columns())
        write_parquet(path, table)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a DataFrame with the columns of the file."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("to_pandas needs pandas; run: pip install pandas") from error
        return pandas.DataFrame(self._columns(), columns=list(COLUMNS))

    def _columns(self) -> dict[str, list[Any]]:
        scored = ~np.isnan(self.scores)
        flags = [
            bool(flag) if is_scored else None
            for flag, is_scored in zip(self.p_values <= self.rate, scored, strict=True)
        ]
        numbers = [
            [number if is_scored else None for number, is_scored in zip(column.tolist(), scored, strict=True)]
            for column in (self.scores, self.p_values)
        ]
        errors = [self.errors.get(place) for place in range(len(self))]
        return dict(zip(COLUMNS, (list(self.series), list(self.times), *numbers, flags, errors), strict=True))

    def _lines(self) -> Iterator[tuple[Any, ...]]:
        words = {True: "true", False: "false", None: None}
        *columns, flags, errors = self._columns().values()
        return zip(*columns, map(words.__getitem__, flags), errors, strict=True)


def points_writer_for(path: str | os.PathLike[str]) -> Callable[[Points, str | os.PathLike[str]], None]:
    """Choose how to write points by the ending of a file's name.  Raises InputError for an unknown one."""
    return choose_writer(path, {".csv": Points.to_csv, ".parquet": Points.to_parquet}, "a file of points")

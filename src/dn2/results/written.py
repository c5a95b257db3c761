"""The forms in which results are handed on: files, a page, a frame."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dn2.errors import InputError, MissingExtra
from dn2.extras import import_above
from dn2.results.cells import parquet_table, write_csv
from dn2.results.rows import Row
from dn2.results.writing import choose_writer, write_parquet, write_text
from dn2.system.progress import Shown, shown

if TYPE_CHECKING:
    import pandas


class Written(Sequence[Row]):
    """The methods of results that write them: see `dn2.results.results.Results`."""

    rows: Sequence[Row]
    parts: Sequence[Row]
    context: Any
    if TYPE_CHECKING:  # a property there

        @property
        def columns(self) -> tuple[str, ...]: ...

    @property
    def _all(self) -> Sequence[Row]:
        """The rows of items, then those of parts."""
        return (*self.rows, *self.parts)

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
        write_text(path, lambda file: write_csv(file, self._all, self.columns))

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
        write_parquet(path, parquet_table(self._all, self.columns))

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
        return pandas.DataFrame([row.as_dict() for row in self._all], columns=list(self.columns))

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
        return (json.dumps(row.as_dict(), ensure_ascii=False) for row in self._all)


def writer_for(path: str | os.PathLike[str]) -> Callable[[Written, str | os.PathLike[str]], None]:
    """Choose how to write a results file by the ending of its name.  Raises InputError for an unknown one."""
    writers = {".csv": Written.to_csv, ".jsonl": Written.to_jsonl, ".parquet": Written.to_parquet}
    return choose_writer(path, writers, "a results file")

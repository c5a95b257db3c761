"""Optional packages, imported where they are used; what is missing names the extra that installs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dn2.errors import MissingExtra


def import_pyarrow() -> Any:
    """Import pyarrow with what reads and writes Parquet.  Raises MissingExtra."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("Parquet needs pyarrow; run: pip install 'dn2[parquet]'") from error
    return pyarrow


@contextmanager
def open_parquet(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file as pyarrow.parquet.ParquetFile.  Raises MissingExtra, and what pyarrow raises."""
    pyarrow = import_pyarrow()
    # pyarrow takes a path that is no UTF-8 as bytes only.
    with pyarrow.OSFile(os.fsencode(path)) as source, pyarrow.parquet.ParquetFile(source) as file:
        yield file

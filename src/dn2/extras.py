"""Optional packages, imported where they are used; what is missing names the extra that installs it."""

from __future__ import annotations

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

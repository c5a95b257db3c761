"""Files that people have and nothing here reads, with the way out."""

from __future__ import annotations

import os

from dn2.errors import InputError
from dn2.system.interface import command
from dn2.system.naming import ending_of

FOREIGN = dict.fromkeys(
    (".xlsx", ".xlsm", ".xls", ".ods", ".feather", ".arrow", ".sqlite", ".db"), "save its table as CSV or Parquet"
)
FOREIGN |= dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar", ".tgz"), "unpack it first")
READERS = dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "read_excel") | {".feather": "read_feather"}  # of pandas


def refuse_foreign(path: str | os.PathLike[str], known: frozenset[str]) -> None:
    """Raise InputError for a file of such a kind; known : the endings that are read."""
    ending = os.path.splitext(path)[1].lower()
    if ending_of(path) in known or ending not in FOREIGN:
        return
    name, way_out = os.fspath(path), FOREIGN[ending]
    if ending in READERS:
        way_out = command(way_out, f"give the frame pandas.{READERS[ending]}({name!r})")
    raise InputError(f"{name} is of a kind that dn2 does not read; {way_out}")

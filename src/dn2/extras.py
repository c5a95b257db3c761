"""Libraries imported where they are used: what is missing names the extra that installs it, and none reports home."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from dn2.errors import MissingExtra

TELEMETRY = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Import libraries that would tell their makers so, without letting them.

    OpenVINO reports each import, and keeps an identifier in the user's home, unless its telemetry cannot be imported;
    what is imported already is left alone.  Hugging Face's libraries ask the environment."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    blocked = TELEMETRY not in sys.modules
    if blocked:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # which makes importing it fail
    try:
        yield
    finally:
        if blocked:
            sys.modules.pop(TELEMETRY, None)


@cache
def import_openvino() -> Any:
    """Import OpenVINO without its telemetry."""
    with without_telemetry():
        import openvino
    return openvino


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
    """Open a file as pyarrow.parquet.ParquetFile that reads texts as dictionaries, in which each is held once.

    Raises MissingExtra, and what pyarrow raises."""
    pyarrow = import_pyarrow()
    types = pyarrow.types
    with pyarrow.OSFile(os.fsencode(path)) as source:  # of a path that is no UTF-8 pyarrow takes the bytes only
        texts = [
            field.name
            for field in pyarrow.parquet.read_schema(source)
            if any(check(field.type) for check in (types.is_string, types.is_large_string, types.is_binary))
        ]
        with pyarrow.parquet.ParquetFile(source, read_dictionary=texts) as file:
            yield file

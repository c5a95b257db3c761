"""Libraries imported where they are used: a missing one names the extra that installs it, none sends telemetry."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from dn2.errors import MissingExtra

TELEMETRY = "openvino_telemetry"


@contextmanager
def block_telemetry() -> Iterator[None]:
    """Import libraries inside without their telemetry.

    OpenVINO reports each import, and keeps an identifier in the user's home, unless its telemetry module fails to
    import; a telemetry module that is loaded already stays.  Hugging Face's libraries read an environment variable."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    blocked = TELEMETRY not in sys.modules
    if blocked:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes importing it fail
    try:
        yield
    finally:
        if blocked:
            sys.modules.pop(TELEMETRY, None)


@cache
def import_openvino() -> Any:
    """Import OpenVINO without its telemetry."""
    with block_telemetry():
        import openvino
    return openvino


def import_above(name: str) -> Any:
    """Import by name a module of dn2 above the caller in the order of imports, such as a kind's page."""
    return import_module(name)


def import_pyarrow() -> Any:
    """Import pyarrow and its Parquet modules.  Raises MissingExtra."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("Parquet needs pyarrow; run: pip install 'dn2[parquet]'") from error
    return pyarrow


def import_file_systems() -> Any:
    """Import pyarrow's file systems.  Raises MissingExtra."""
    try:
        import pyarrow.fs
    except ImportError as error:
        raise MissingExtra("object stores (s3://, gs://) need pyarrow; run: pip install 'dn2[stores]'") from error
    return pyarrow.fs


def import_paho() -> Any:
    """Import paho's client of MQTT.  Raises MissingExtra."""
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise MissingExtra("MQTT needs paho-mqtt; run: pip install 'dn2[mqtt]'") from error
    return paho.mqtt.client


def import_server() -> Any:
    """Import the service.  Raises MissingExtra."""
    try:
        return import_above("dn2.serve.running")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("dn2"):
            raise
        raise MissingExtra("dn2 serve needs FastAPI and uvicorn; run: pip install 'dn2[server]'") from error


@contextmanager
def open_parquet(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file as a pyarrow.parquet.ParquetFile that reads texts as dictionaries, each distinct text once.

    Raises MissingExtra, and whatever pyarrow raises."""
    pyarrow = import_pyarrow()
    types = pyarrow.types
    with pyarrow.OSFile(os.fsencode(path)) as source:  # pyarrow takes a path that is not UTF-8 only as bytes
        texts = [
            field.name
            for field in pyarrow.parquet.read_schema(source)
            if any(check(field.type) for check in (types.is_string, types.is_large_string, types.is_binary))
        ]
        with pyarrow.parquet.ParquetFile(source, read_dictionary=texts) as file:
            yield file

"""Arrays mapped from safetensors files, without reading or copying them."""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dn2.errors import ModelError

HEADER_LIMIT = 1 << 20
DAMAGE = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, struct.error)
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "U8": "u1", "I64": "<i8", "U64": "<u8"}


def map_array(path: Path, key: str) -> np.ndarray[Any, Any]:
    """Map one array of a safetensors file: 8 bytes of header length, the JSON header, the data.

    Raises ModelError for anything missing or damaged."""
    try:
        with open(require_regular(path), "rb") as file:
            header, start = _read_header(file)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        entry = header[key]
        shape, dtype, (first, last) = entry["shape"], np.dtype(DTYPES[entry["dtype"]]), entry["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, first)):
            raise ValueError(f"{key} has the shape {shape} and begins at {first}")
        if last - first != math.prod(shape) * dtype.itemsize or start + last > len(data):
            raise ValueError(f"{key} does not lie within the file")
        if len(data) != start + _end(header):
            raise ValueError("it does not end where its header says")
        array = np.ndarray(shape, dtype, data, start + first)
        if not array.flags.aligned:
            raise ValueError(f"{key} is not aligned")
        return array
    except DAMAGE as error:
        raise ModelError(f"the model {path.parent} is damaged: {path.name}: {error}") from error


def has_all_data(path: Path) -> bool:
    """Tell whether a safetensors file is as long as its header says, without reading its data."""
    try:
        with open(require_regular(path), "rb") as file:
            header, start = _read_header(file)
            return os.fstat(file.fileno()).st_size == start + _end(header)
    except DAMAGE:
        return False


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file, and where its data begins."""
    (length,) = struct.unpack("<Q", file.read(8))
    if length > HEADER_LIMIT:
        raise ValueError("its header is too long")
    return dict(json.loads(file.read(length))), 8 + length


def _end(header: Mapping[str, Any]) -> int:
    return int(max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"))


def require_regular(path: Path) -> Path:
    """Return the path of a regular file.

    Raises OSError for anything else: a link leads out of the folder, a pipe or a device would be waited for."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise OSError(
            errno.ELOOP,
            "it is a link, and a model's files lie in its folder; "
            "copy the model with what its links lead to: cp -rL MODEL NEW",
        )
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return path

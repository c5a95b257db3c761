"""Arrays mapped from safetensors files, without reading or copying them."""

from __future__ import annotations

import errno
import json
import mmap
import stat
import struct
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import ModelError

HEADER_LIMIT = 64 << 20
DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "U8": "u1", "I64": "<i8", "U64": "<u8"}


def map_array(path: Path, key: str) -> np.ndarray[Any, Any]:
    """Map one array of a safetensors file: 8 bytes of header length, the JSON header, the data.

    Raises ModelError for anything missing or damaged."""
    try:
        with open(regular(path), "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > HEADER_LIMIT:
                raise ValueError("its header is too long")
            entry = json.loads(file.read(length))[key]
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # NumPy refuses a shape that would leave the file.
        array = np.ndarray(entry["shape"], DTYPES[entry["dtype"]], data, 8 + length + entry["data_offsets"][0])
        if not array.flags.aligned:
            raise ValueError(f"{key} is not aligned")
        return array
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, struct.error) as error:
        raise ModelError(f"the model {path.parent} is damaged: {path.name}: {error}") from error


def regular(path: Path) -> Path:
    """Refuse a pipe or a device in the place of a file: reading it would wait or never end.  Raises OSError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return path

"""Limits of memory."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any

from dn2.errors import InputError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 1 << 10, "MIB": 1 << 20}
UNITS |= {"GIB": 1 << 30, "TIB": 1 << 40}


def parse_memory(limit: Any) -> int | None:
    """Return a limit of memory in bytes: a number, or a text such as 4GB or 512MiB.  Raises InputError."""
    if limit is None:
        return None
    if isinstance(limit, Integral) and not isinstance(limit, bool) and int(limit) > 0:
        return int(limit)
    size = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", limit) if isinstance(limit, str) else None
    unit = UNITS.get(size[2].upper()) if size else None
    if size and unit and (in_bytes := int(float(size[1]) * unit)):
        return in_bytes
    raise InputError(f"a limit of memory must be a size such as 4GB or 512MiB, got {limit!r}")


def out_of_memory(what: str, needed: int, limit: int) -> InputError:
    """Return the error that something takes more memory than is allowed; needed, limit : in bytes."""
    sizes = f"about {needed / 1e9:.3g} GB of memory, {limit / 1e9:.3g} GB are allowed"
    return InputError(f"{what} need {sizes}; allow more, or take fewer")

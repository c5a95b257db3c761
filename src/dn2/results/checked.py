"""Strict readers of the values in a results file, whose errors say what is wrong."""

from __future__ import annotations

import math
from typing import Any


def as_text(value: Any) -> str:
    """Return a text that can be written as UTF-8.  Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError(f"a name must be a text, got {_short(value)}")
    value.encode()  # fails for half of a surrogate pair
    return value


def as_number(value: Any) -> float:
    """Return a finite number.  Raises ValueError for anything else, also for a text that spells a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a number is missing, got {_short(value)}")
    number: float = _finite(float(value))
    return number


def as_figure(value: Any) -> float | None:
    """Return the number in a cell of a file, also one spelt as text; None for an empty cell.

    Raises ValueError, TypeError for anything else."""
    if isinstance(value, bool):
        raise ValueError(f"a cell must hold a number, got {value!r}")
    return None if value is None or value == "" else _finite(float(value))


def as_whole(value: Any) -> int:
    """Return a whole number, also one spelt as text.  Raises ValueError, TypeError for anything else."""
    number = as_figure(value)
    if number is None or number != int(number):
        raise ValueError(f"a cell must hold a whole number, got {_short(value)}")
    return int(number)


def as_cell(value: Any) -> Any:
    """Return a number, a text or None.  Raises ValueError for anything else."""
    if value is None:
        return None
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"a value must be a number or a text, got {_short(value)}")
    return as_text(value) if isinstance(value, str) else _finite(value)


def as_list(values: Any) -> list[Any]:
    """Return a list, an empty one for None.  Raises ValueError for anything else."""
    if values is None:
        return []
    if not isinstance(values, list):
        raise ValueError(f"a list is missing, got {_short(values)}")
    return values


def as_texts(values: Any) -> tuple[str, ...]:
    """Return a list of texts.  Raises ValueError for anything else."""
    return tuple(map(as_text, as_list(values)))


def as_numbers(values: Any) -> tuple[float, ...]:
    """Return a list of finite numbers.  Raises ValueError for anything else."""
    return tuple(map(as_number, as_list(values)))


def _finite(number: Any) -> Any:
    if not math.isfinite(number):
        raise ValueError(f"a number must be finite, got {number!r}")
    return number


def _short(value: Any) -> str:
    return f"{value!r:.100}"

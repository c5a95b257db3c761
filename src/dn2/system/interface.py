"""Names of options in messages: flags on the command line, keywords in Python."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

_on_command_line = False


@contextmanager
def use_command_line() -> Iterator[None]:
    """Name options as flags inside, in this process."""
    global _on_command_line
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def option(name: str, value: str | None = None) -> str:
    """Name an option, given as Python's keyword: `drop_columns`, or `--drop-columns` on the command line.

    value : the value to set, as in `--precision f32` or `precision='f32'`."""
    flag = f"--{name.replace('_', '-')}"
    if value is None:
        return flag if _on_command_line else name
    return f"{flag} {shlex.quote(value)}" if _on_command_line else f"{name}={value!r}"


def command(on_command_line: str, in_python: str) -> str:
    """Return the words for the command line while it is in use, else the words for Python."""
    return on_command_line if _on_command_line else in_python

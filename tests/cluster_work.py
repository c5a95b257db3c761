"""Work for the workers of a cluster, some of which fails."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from dn2.errors import ReferenceTooSmall


def doubled(shared: int, part: int) -> int:
    return shared * part


def lost_at_first(folder: Path, part: int) -> int:
    """End the worker at the first try of each third part."""
    begun = folder / str(part)
    if part % 3 == 0 and not begun.exists():
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * part


def always_lost(shared: None, part: int) -> int:
    if part == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def refused(shared: None, part: int) -> int:
    raise ReferenceTooSmall("too few, on purpose")


def broken(shared: None, part: int) -> int:
    raise ZeroDivisionError("of a programmer")

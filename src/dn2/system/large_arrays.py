"""Arrays that are too large for memory: they lie in files while a work lasts, and are mapped."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Files(NamedTuple):
    """Where large arrays lie.

    folder : of their files; memory : bytes that a process may hold besides."""

    folder: Path
    memory: int


_now: ContextVar[Files | None] = ContextVar("files", default=None)


def in_files() -> Files | None:
    """Return where large arrays lie; None for in memory."""
    return _now.get()


@contextmanager
def arrays_in_files(beside: Path | None, memory: int) -> Iterator[None]:
    """Let large arrays that are made inside lie in files; these lose their names afterwards, and go with the arrays.

    beside : the folder in which theirs is made, where all workers of a cluster see it; None for the system's."""
    if beside is not None:
        beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dn2-fit-", dir=beside, ignore_cleanup_errors=True) as folder:
        token = _now.set(Files(Path(folder), memory))
        try:
            yield
        finally:
            _now.reset(token)


def empty(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Make a large array, whose content is arbitrary: in memory, or a `numpy.memmap` of a file."""
    files = in_files()
    if files is None:
        return np.empty(shape, dtype)
    with tempfile.NamedTemporaryFile(dir=files.folder, delete=False) as file:
        return np.memmap(file.name, dtype, "w+", shape=shape)

"""Progress of a run: a bar in a notebook, nothing in a script, or calls of the caller's function."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

from dn2.arrays import Progress
from dn2.errors import InputError

Shown = Progress | Literal[False] | None  # the option: a function, False for silence, None for a bar in a notebook

SECONDS_BEFORE = 0.5  # a shorter run shows nothing
SECONDS_BETWEEN = 0.2


@contextmanager
def shown(progress: Shown, what: str) -> Iterator[Progress | None]:
    """Give the function to call with (done, total) during a run, None for no progress.

    progress : a function is given as it is; None gives a bar in a notebook and nothing elsewhere; False gives nothing.
    what : the name of the run, in a word.  Raises InputError for any other `progress`."""
    if progress is None and in_notebook():
        bar = _Bar(what)
        try:
            yield bar
        finally:
            bar.clear()
    elif progress is None or progress is False:
        yield None
    elif callable(progress):
        yield progress
    else:
        raise InputError(
            f"progress must be a function of (done, total), False for silence, or None for a bar in a notebook, "
            f"got {progress!r}"
        )


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook, Colab's among them."""
    module = sys.modules.get("IPython")
    return module is not None and any(
        base.__name__ == "ZMQInteractiveShell" for base in type(module.get_ipython()).__mro__
    )


class _Bar:
    """A bar below a notebook's cell, removed at the end; its clock starts at the first call, after all start-up."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._handle: Any = None
        self._start: float | None = None
        self._last = 0.0
        self._first = self._before = 0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._start is None or done < self._before:  # the next stretch of work begins
            self._start = self._last = now
            self._first = done
        self._before = done
        wait = SECONDS_BETWEEN if self._handle is not None else SECONDS_BEFORE
        if now - self._last >= wait:
            self._last = now
            self._show(done, total, now - self._start)

    def _show(self, done: int, total: int, seconds: float) -> None:
        rate = max(1, done - self._first) / seconds
        words = f"{self._what}: {done:,} of {total:,}, {rate:,.0f}/s, {(total - done) / rate:,.0f} s left"
        self._display(f'<progress value="{done}" max="{total}"></progress> {words}', words)

    def _display(self, html: str, words: str) -> None:
        shown = {"text/html": html, "text/plain": words}
        if self._handle is None:
            display = import_module("IPython.display").display
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

    def clear(self) -> None:
        """Remove the bar."""
        if self._handle is not None:
            self._handle.update({"text/html": "", "text/plain": ""}, raw=True)

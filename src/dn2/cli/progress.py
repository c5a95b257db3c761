"""Progress on stderr: a bar for a terminal, a plain line now and then for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far a run is, at what rate, and how long it will still take.

    Gives a function to call with (done, total)."""
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TextColumn("left"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=None, rate="-")
        start = time.monotonic()

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, rate=f"{done / max(time.monotonic() - start, 1e-9):.0f}")

        yield show


class _Lines:
    def __init__(self, what: str) -> None:
        self.what = what
        self.start = self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last < SECONDS_BETWEEN_LINES:
            return
        self.last = now
        rate = done / (now - self.start)
        left = (total - done) / rate
        print(f"{self.what}: {done:,} of {total:,}, {rate:.0f}/s, {left:,.0f} s left", file=sys.stderr, flush=True)

"""Progress on stderr: a bar for a terminal, a plain line now and then for a log."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_SAMPLES, SECONDS_LOOKED_BACK = 0.5, 60.0


@contextmanager
def progress(phase: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many items are done, the rate, and the time left; phase : its name.

    Gives a function to call with (done, total)."""
    if not sys.stderr.isatty():
        yield _LogLines(phase)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(phase, total=None, pace="")
        pace = Pace()

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, pace=pace.words(done, total))

        yield show


class Pace:
    """The rate of work, over the last minute, and the time left.

    Time before the first item does not count: work such as opening a network is done once."""

    def __init__(self) -> None:
        self._total = 0
        self._samples: deque[tuple[float, int]] = deque()  # moment, and how many items were done

    def words(self, done: int, total: int) -> str:
        """Write the rate and the time left, given how many items are done; empty until the second item."""
        now = time.monotonic()
        if not self._samples or total != self._total or done < self._samples[-1][1]:  # work that just began
            self._samples = deque([(now, done)])
            self._total = total
        start, before = self._samples[0]
        if now - self._samples[-1][0] > SECONDS_BETWEEN_SAMPLES:
            self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] > SECONDS_LOOKED_BACK:
            self._samples.popleft()
        if done <= before or now <= start:
            return ""
        rate = (done - before) / (now - start)
        return f"{_figure(rate)}/s, {duration((total - done) / rate)} left"


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1g}" if rate < 1 else f"{rate:.1f}"


def duration(seconds: float) -> str:
    """Write a duration for a person: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class _LogLines:
    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.pace = Pace()
        self.last_printed = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        words, now = self.pace.words(done, total), time.monotonic()
        if now - self.last_printed < SECONDS_BETWEEN_LINES:
            return
        self.last_printed = now
        print(f"{self.phase}: {done:,} of {total:,}{words and ', '}{words}", file=sys.stderr, flush=True)

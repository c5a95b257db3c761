"""Commands that go on until they are ended: an option of theirs, signals, and a line that says what is done."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

AuditOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Draw one item in N at random, or one part, for a person to judge whatever its score.",
        show_default=False,
    ),
]


@contextmanager
def ending_in_order() -> Iterator[tuple[threading.Event, list[int]]]:
    """Let the first interrupt, or SIGTERM, end a command in good order; a second one leaves as usual.

    Gives what is set then, and the signals that came."""
    stopped, by = threading.Event(), list[int]()
    before: dict[int, Any] = {}

    def stop(number: int, _frame: object) -> None:
        by.append(number)
        stopped.set()
        signal.signal(number, before[number])

    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
    in_main_thread = threading.current_thread() is threading.main_thread()
    for number in numbers if in_main_thread else ():
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield stopped, by
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def status_line(words: Callable[[], str]) -> Iterator[None]:
    """Show a line at the end of a terminal inside, below all that is printed; words : what it says by now."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    handlers = [handler for handler in logging.root.handlers if isinstance(handler, logging.StreamHandler)]
    streams = [handler.stream for handler in handlers]

    def line() -> Text:
        return Text(words())

    with Live(get_renderable=line, console=Console(stderr=True), transient=True, redirect_stdout=False):
        for handler in handlers:
            handler.setStream(sys.stderr)  # which writes above the line now
        try:
            yield
        finally:
            for handler, stream in zip(handlers, streams, strict=True):
                handler.setStream(stream)

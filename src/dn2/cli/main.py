"""The `dn2` command: exit statuses, and one clear line for every error."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable  # little is imported before an interrupt is provided for

FAILED = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with the status of the contract.

    0 done; 1 an anomaly was found and --fail-on-anomaly given; 2 bad usage or nothing usable; 3 done, but some items
    could not be read; 4 the worst was a warning, of --warn-rate; 130 interrupted, at any moment.  When the reader of
    its output stops, it ends as other programs do."""
    interrupts: list[int] = []

    def stop(number: int, _frame: object) -> None:
        """Interrupt the work once, so that it tidies up; a second interrupt leaves at once."""
        _at_interrupt(_leave)
        sys.unraisablehook = _say_and_leave  # Python would drop an interrupt there and go on
        interrupts.append(number)
        raise KeyboardInterrupt

    _at_interrupt(_leave)
    _prepare()
    try:
        _at_interrupt(stop)
        status = _run()
        _at_interrupt(_leave)
    except BaseException:
        if not interrupts:  # after an interrupt a library may raise anything
            raise
    if interrupts or status == INTERRUPTED:
        _say_and_leave()  # at once: the threads of a network at work would abort an interpreter that ends in good order
    atexit.register(_at_interrupt, signal.SIG_IGN)  # at exit there is nothing left to interrupt
    sys.exit(status)


def _at_interrupt(handler: Callable[..., object] | signal.Handlers) -> None:
    """Set the handler of interrupts, unless they are ignored, as for a command in the background of a shell."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _say_and_leave(*_: object) -> None:
    import contextlib

    from dn2.cli.stopping import work

    with contextlib.suppress(OSError):  # nobody may read it
        print("dn2:", work.words(), file=sys.stderr, flush=True)
    _leave()


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)


def _prepare() -> None:
    """Set up logs, warnings and streams."""
    import io
    import logging
    import warnings

    from dn2.system.printing import line_of

    class OneLine(logging.Formatter):
        """One line for each message, without control characters of a terminal."""

        def format(self, record: logging.LogRecord) -> str:
            return f"dn2: {line_of(record.getMessage())}"

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("dn2").setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it warns of damaged metadata without the file's name
    warnings.filterwarnings("ignore", module="PIL")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):  # JSON is UTF-8; a terminal shows what it can
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")


def _run() -> int:
    from dn2.cli import stopping
    from dn2.system.interface import use_command_line

    stopping.begin()
    with use_command_line():
        return _run_command()


def _run_command() -> int:
    import traceback

    import typer

    from dn2.cli.app import app
    from dn2.errors import Dn2Error
    from dn2.system.printing import printable

    # Click's error, which typer does not name: from click itself or from a copy inside typer, by its version.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        return app(prog_name="dn2", standalone_mode=False) or 0
    except usage_error as error:
        from dn2.cli.usage import words_of

        return _fail(words_of(error))
    except (Dn2Error, OSError) as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("out of memory; give fewer items at a time")
    except typer.Abort:  # an interrupt in typer before 0.16
        return INTERRUPTED
    except Exception:  # a fault of dn2's: status 1 would say that an anomaly was found
        for line in traceback.format_exc().splitlines():
            print(printable(line), file=sys.stderr)
        return _fail("this is a fault of dn2's; please report it with the lines above")


def _fail(words: str) -> int:
    from dn2.system.printing import line_of

    print("dn2:", line_of(words), file=sys.stderr)
    return FAILED

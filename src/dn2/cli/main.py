"""The `dn2` command: exit statuses, and one clear line for every error."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import warnings

from dn2.errors import Dn2Error

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with the status of the contract.

    0 done; 1 an anomaly was found and --fail-on-anomaly given; 2 bad usage or nothing usable; 3 done, but some items
    could not be read; 130 interrupted.  When what reads its output stops, it ends as any program does there."""
    logging.basicConfig(level=logging.WARNING, format="dn2: %(message)s", stream=sys.stderr)
    logging.getLogger("dn2").setLevel(logging.INFO)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # which speaks of damaged metadata, without the file's name
    warnings.filterwarnings("ignore", module="PIL")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):  # JSON is UTF-8; a terminal shows what it can
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    try:
        status = _run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status == INTERRUPTED:
        # At once: the threads of a network at work would abort the interpreter as it ends in good order.
        os._exit(status)
    sys.exit(status)


def _run() -> int:
    import typer

    from dn2.cli.app import app

    # Click's error, which typer does not name: from click itself or from a copy inside typer, by its version.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        return app(standalone_mode=False) or 0
    except usage_error as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "dn2"
        words = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        return _fail(f"{words}; see: {where} --help")
    except (Dn2Error, OSError) as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("out of memory; give fewer items at a time")
    except typer.Abort:  # what typer made of an interrupt before its release 0.16
        return INTERRUPTED


def _fail(words: str) -> int:
    print("dn2:", " ".join(words.splitlines()), file=sys.stderr)
    return 2

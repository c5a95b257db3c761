"""The `dn2` command: exit statuses, and one clear line for every error."""

from __future__ import annotations

import io
import logging
import signal
import sys

import typer

from dn2.errors import Dn2Error

# Click's error of usage, which typer does not name: from click itself or from a copy inside typer, by its version.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line and exit with the status of the contract.

    0 done; 1 an anomaly was found and --fail-on-anomaly given; 2 bad usage or nothing usable; 3 done, but some items
    could not be read; 130 interrupted.  When what reads its output stops, it ends as any program does there."""
    logging.basicConfig(level=logging.WARNING, format="dn2: %(message)s", stream=sys.stderr)
    logging.getLogger("dn2").setLevel(logging.INFO)
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if isinstance(sys.stdout, io.TextIOWrapper):  # JSON is UTF-8; a terminal shows what it can
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")
    sys.exit(_run())


def _run() -> int:
    try:
        from dn2.cli.app import app

        return app(standalone_mode=False) or 0
    except UsageError as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "dn2"
        return _fail(f"{error.format_message().rstrip('.')}; see: {where} --help")  # type: ignore[attr-defined]
    except (Dn2Error, OSError) as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("out of memory; give fewer items at a time")
    except (KeyboardInterrupt, typer.Abort):
        return 130


def _fail(words: str) -> int:
    print("dn2:", " ".join(words.splitlines()), file=sys.stderr)
    return 2

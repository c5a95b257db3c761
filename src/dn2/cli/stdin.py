"""`-`, which stands for stdin."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dn2.errors import Dn2Error, InputError
from dn2.system.stores import name_stored

STDIN, NAME = "-", "stdin"
MOST_BYTES = 1 << 30  # more should come as a file, which can be read again
AT_ONCE = 1 << 20

# The beginning of records of JSON, in any of the encodings that are read; a header such as `[kW];b` is none.
JSON = re.compile(rb'\[\s*(?:[\[{\]"\d-]|$)|\{\s*(?:["}]|$)')

Input = str | os.PathLike[str]


@contextmanager
def with_stdin(inputs: Sequence[str], kind: str | None) -> Iterator[list[Input]]:
    """Give inputs with a file in place of `-`: of the items, for a kind that is read from a stream, else of paths; and
    with a path in a store in place of each URL.

    kind : of the items; None to guess it.
    Raises InputError for a URL that cannot be used, and unless `-` is given once and the stream is neither empty nor
    too long."""
    named: list[Input] = [name_stored(name) for name in inputs]
    if STDIN not in inputs:
        yield named
        return
    if list(inputs).count(STDIN) > 1:
        raise InputError("- stands for stdin, which can be read once; give it once")
    from dn2.inputs.items import Piped
    from dn2.kinds.registry import kind_of

    ending = None if kind is None else kind_of(kind).piped
    with tempfile.TemporaryDirectory(prefix="dn2-") as folder:
        path = Path(folder, NAME)
        with _called_stdin(path):
            _save(path)
            if ending is None:
                _check_list(path, kind)
            elif ending == ".csv":
                ending = _ending_of_json(path) or ending
            path = path.rename(f"{path}{ending or '.list'}")
            piped = Piped(path, NAME, is_list=ending is None)
            yield [piped if name == STDIN else name for name in named]


@contextmanager
def _called_stdin(path: Path) -> Iterator[None]:
    """Write `stdin` for the file, with whatever ending, in errors and in what is logged inside."""
    file = re.compile(rf"{re.escape(str(path))}(?:\.\w+)?")

    def rename(record: logging.LogRecord) -> bool:
        record.msg, record.args = file.sub(NAME, record.getMessage()), None
        return True

    logger = logging.getLogger("dn2")
    logger.addFilter(rename)
    try:
        yield
    except Dn2Error as error:
        error.args = tuple(file.sub(NAME, word) if isinstance(word, str) else word for word in error.args)
        raise
    finally:
        logger.removeFilter(rename)


def _save(path: Path) -> None:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("- stands for stdin, which is closed here; give a file")
    if sys.stdin.isatty():
        print("reading stdin; Ctrl-D ends it", file=sys.stderr)
    stream: Any = sys.stdin.buffer
    left = MOST_BYTES
    with open(path, "wb") as file:
        while block := stream.read1(AT_ONCE):
            left -= len(block)
            if left < 0:
                raise InputError(f"stdin has more than {MOST_BYTES:,} bytes; write it to a file, and give that")
            file.write(block)
    if left == MOST_BYTES:
        raise InputError("nothing came through stdin; - stands for it")


def _ending_of_json(path: Path) -> str | None:
    """Return the ending under which JSON is read, by how it begins; None for anything else."""
    with open(path, "rb") as file:
        start = file.read(AT_ONCE).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not JSON.match(start):
        return None
    first, _, others = start.partition(b"\n")
    return ".jsonl" if first.startswith(b"{") and first.rstrip().endswith(b"}") and others.strip() else ".json"


def _check_list(path: Path, kind: str | None) -> None:
    """Raise InputError where a list of paths looks like the items themselves."""
    import glob

    from dn2.kinds.registry import KINDS, kind_of
    from dn2.system.naming import path_to_text

    with open(path, "rb") as file:
        first = os.fsdecode(file.readline(AT_ONCE).strip())
    may_be_path = os.path.lexists(first) or "\0" in first or (glob.has_magic(first) and not _ending_of_json(path))
    if kind is None and first and not may_be_path:
        piped = " or ".join(f"--kind {kind_name}" for kind_name in KINDS if kind_of(kind_name).piped)
        raise InputError(
            f"stdin is read as a list of paths, and its first line, '{path_to_text(first):.80}', names no file; if it "
            f"holds the items themselves, say so with {piped}"
        )

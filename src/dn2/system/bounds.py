"""Bounds on what is read from users' files: regular files, lines of limited length, no more than memory holds."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from dn2.errors import Dn2Error, InputError, UnreadableItem
from dn2.system.naming import is_url
from dn2.system.stores import StoredPath

LONGEST_WORDS = 300  # characters of another library's message
CGROUP = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], name: str | None = None) -> Iterator[None]:
    """Read a file inside; errors of the system, and a lack of memory, become InputError.

    name : the file's name in errors, by default its path.
    Raises InputError unless it is a regular file: reading from a pipe or a device may never end."""
    name = name or str(path)
    if "\0" in os.fspath(path):
        raise InputError(f"{name!r} cannot be read: no file has a NUL in its name")
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            what = _kind_of_file(mode)
            raise InputError(f"{name} cannot be read: it is {what} and no regular file; save what it gives as a file")
        yield
    except OSError as error:
        words = error.strerror or " ".join(str(error).split())
        raise InputError(f"{name} cannot be read: {words:.{LONGEST_WORDS}}") from error
    except MemoryError as error:
        raise InputError(f"{name} cannot be read: it takes more memory than there is; give it in parts") from error


@contextlib.contextmanager
def parsing(path: str | os.PathLike[str], problem: str) -> Iterator[None]:
    """Read a file inside with parsers that may raise anything on damaged bytes; any error becomes InputError.

    problem : the words between the file's path and the parser's message.  Raises as `reading` does, too."""
    with reading(path):
        try:
            yield
        except (Dn2Error, OSError, MemoryError):
            raise
        except Exception as error:
            words = " ".join(str(error).split())
            raise InputError(f"{path} {problem}: {words:.{LONGEST_WORDS}}") from error


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[Callable[[int], bytes], int]]:
    """Open a regular file, or an object in a store: gives what reads so many bytes on, and its size.

    Raises UnreadableItem for anything else, such as the URL that a model knows of an item, and OSError."""
    if isinstance(path, StoredPath):
        with path.opened() as stored:
            yield stored
        return
    if is_url(os.fspath(path)):
        raise UnreadableItem("a URL is opened only where it is named as an input itself")
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableItem("not a regular file")
        yield file.read, status.st_size


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def open_text(path: str | os.PathLike[str], name: str | None = None) -> Iterator[TextIO]:
    """Open a file as UTF-16 if it has its byte order mark, else as UTF-8, where invalid bytes become surrogates.

    name : see `reading`.  Raises as `reading` does."""
    with reading(path, name):
        with open(path, "rb") as file:
            wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
        try:
            errors = None if wide else "surrogateescape"
            with open(path, encoding="utf-16" if wide else "utf-8-sig", errors=errors) as text:
                yield text
        except UnicodeError as error:
            words = "begins as UTF-16 and does not go on as such; save the file as UTF-8"
            raise InputError(f"{name or path} {words}") from error


def read_lines(file: TextIO, longest: int) -> Iterator[str | None]:
    """Give the lines of an open file with their line breaks; None for a line of more than `longest` characters."""
    for line in iter(partial(file.readline, longest + 1), ""):
        if len(line) <= longest or line[-1] in "\r\n":
            yield line
            continue
        while line and line[-1] not in "\r\n":
            line = file.readline(longest)
        yield None


def check_fits(n_bytes: int, what: str) -> None:
    """Raise InputError if `n_bytes` are more than the free memory; what : the words for what takes them."""
    free = free_memory()
    if n_bytes > free:
        raise InputError(
            f"{what} takes about {n_bytes / 1e9:,.3g} GB of memory, and {free / 1e9:,.3g} GB are free; give it in parts"
        )


def free_memory() -> float:
    """Return how many bytes of memory this process may still take; infinity where the system does not say."""
    return min(_free_in_machine(), _free_in_container(), _free_in_process())


def _free_in_machine() -> float:
    with contextlib.suppress(OSError, KeyError):
        return 1024.0 * _read_numbers(Path("/proc/meminfo"))["MemAvailable:"]
    return float("inf")


def _free_in_container() -> float:
    with contextlib.suppress(OSError, KeyError, ValueError):  # outside of a container, or where its limit is "max"
        files = _read_numbers(CGROUP / "memory.stat")["file"]  # the page cache, which the system frees on demand
        return int((CGROUP / "memory.max").read_text()) - int((CGROUP / "memory.current").read_text()) + files
    return float("inf")


def _free_in_process() -> float:
    try:
        import resource
    except ImportError:  # on Windows
        return float("inf")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return float("inf")
    taken = 0
    with contextlib.suppress(OSError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return limit - taken


def _read_numbers(path: Path) -> dict[str, int]:
    return {words[0]: int(words[1]) for words in map(str.split, path.read_text().splitlines())}


def _kind_of_file(mode: int) -> str:
    for check, what in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if check(mode):
            return what
    return "a device"

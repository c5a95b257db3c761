"""Where results go on this machine: a log, and a folder of the files with anomalies."""

from __future__ import annotations

import contextlib
import filecmp
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from dn2.monitor.arriving import arrived
from dn2.monitor.journal import Entry, Journal
from dn2.monitor.messages import number_of
from dn2.results.decisions import REJECT
from dn2.system.naming import path_of_text

logger = logging.getLogger("dn2")

BLOCK = 1 << 16  # bytes of a log that are read at once, from its end on


class NotTaken(Exception):
    """A sink has not taken a result, which is kept for it."""


class Sink(Protocol):
    """What takes results, in order.

    name : what the journal knows it by; words : what a person does; at_once : how many it takes in one step."""

    name: str
    words: str
    at_once: ClassVar[int]

    def start(self, journal: Journal) -> None:
        """Find out what it has taken already."""

    def send(self, entries: Sequence[Entry]) -> int:
        """Take the first of some results, and return how many.  Raises OSError, NotTaken if it takes none."""

    def rest(self) -> None:
        """Do what is to be done where nothing is to be taken.  Raises as `send` does."""

    def close(self) -> None:
        """Let go of what it holds."""


class Local:
    """What sinks on this machine share: nothing is held between two results."""

    def start(self, journal: Journal) -> None:
        """See `Sink`."""

    def rest(self) -> None:
        """See `Sink`."""

    def close(self) -> None:
        """See `Sink`."""


class Log(Local):
    """A file of JSON Lines, which has each result once: its last line says which came last, whenever a kill came.

    path : of the file, which is made."""

    at_once: ClassVar[int] = 1_000

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name, self.words = f"log {path.absolute()}", str(path)

    def start(self, journal: Journal) -> None:
        """Cut off what a kill has left of a line, and go on after the last whole one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            last = _cut(file.fileno())
        if (sequence := number_of(last, journal.name)) is not None:
            journal.advance(self.name, sequence)

    def send(self, entries: Sequence[Entry]) -> int:
        """See `Sink`."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _cut(handle)
            before = os.fstat(handle).st_size
            data = "".join(f"{entry.text}\n" for entry in entries).encode()
            try:
                while data:
                    data = data[os.write(handle, data) :]
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, before)
                raise
        finally:
            os.close(handle)
        return len(entries)


def _cut(handle: int) -> bytes:
    """Cut off what follows the last end of a line in a file, and return the last line."""
    start, tail = os.fstat(handle).st_size, b""
    while start and tail.count(b"\n") < 2:  # the end of the last line, and of the one before
        before, start = start, max(0, start - BLOCK)
        os.lseek(handle, start, os.SEEK_SET)
        tail = os.read(handle, before - start) + tail
    end = tail.rfind(b"\n") + 1
    if end < len(tail):
        os.ftruncate(handle, start + end)
    return tail[: max(0, end - 1)].rpartition(b"\n")[2]


class Mover(Local):
    """A folder into which files with an anomaly are moved, as they lie in the folder that is watched.

    A file stays that has changed since it was scored, and none is written over: another of that name gets a number.
    folder, source : to which, and from which."""

    at_once: ClassVar[int] = 1

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source = folder, source
        self.name, self.words = f"folder {folder.absolute()}", str(folder)

    def send(self, entries: Sequence[Entry]) -> int:
        """See `Sink`."""
        entry = entries[0]
        if entry.decision == REJECT:
            self._move(entry)
        return 1

    def _move(self, entry: Entry) -> None:
        within = path_of_text(entry.file.name)
        path = self.source / within
        now = arrived(path, entry.file.name)
        if now is None:
            return  # for another of its rows, or before a kill
        if now != entry.file:
            logger.warning("%s is not moved: it has changed since it was scored", entry.file.name)
            return
        target = self.folder / within
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 0
        place = target
        while not _put(path, place):
            number += 1
            place = target.with_name(f"{target.stem}-{number}{target.suffix}")
        path.unlink()


def _put(path: Path, target: Path) -> bool:
    """Put a file also at another place, whole at any moment; tell whether it is there, or another file is."""
    with contextlib.suppress(FileNotFoundError):
        there = os.stat(target)
        own = os.stat(path)
        as_old = (there.st_size, there.st_mtime_ns) == (own.st_size, own.st_mtime_ns)
        return as_old and filecmp.cmp(path, target, shallow=False)  # put there before a kill
    try:
        os.link(path, target)
    except FileExistsError:
        return False
    except OSError:  # another file system, or one without links
        half = target.with_name(f".{target.name}.tmp")
        shutil.copy2(path, half)
        with open(half, "rb+") as file:
            os.fsync(file.fileno())
        os.rename(half, target)
    return True

"""The journal of a watch: one SQLite file that says which files are done, and what of them is still to be delivered."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dn2.errors import InputError
from dn2.monitor.arriving import Arrived
from dn2.store.sqlite import close, transaction, use_write_ahead_log
from dn2.system.interface import option

FORMAT = 1
REMEMBERED = 7 * 86_400  # seconds that a file is remembered after it has gone: a drive may come back
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE done (name TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, gone INTEGER);
CREATE TABLE results (sequence INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, size INTEGER NOT NULL,
    changed INTEGER NOT NULL, decision TEXT, message TEXT NOT NULL);
CREATE TABLE sinks (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
"""


class Result(NamedTuple):
    """A result of a file, before it has a number.

    decision : accept, warn, reject, error or undecided.
    message : the JSON object that is delivered, without its id."""

    file: Arrived
    decision: str
    message: str


class Entry(NamedTuple):
    """A result to deliver: its number, counted from 1 on, and the id that no other result of any watch has."""

    sequence: int
    id: str
    file: Arrived
    decision: str
    message: str

    @property
    def text(self) -> str:
        """The message as it is delivered: one line of JSON."""
        return f'{{"id": {json.dumps(self.id)}, "sequence": {self.sequence}, {self.message[1:]}'


class Journal:
    """What a watch remembers, whole at any moment: a result and that its file is done are one step.

    A process has the file to itself, also on drives that share no memory between machines.  Threads may share it.

    Parameters
    ----------
    path : Path
        The file, which is made, as its folder is.

    Attributes
    ----------
    name : str
        Its own, drawn when it was made.

    Raises
    ------
    InputError
        For another file, one that cannot be written, and one that another watch uses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise self._refusal(error) from error
        except OSError as error:
            raise self._cannot_be_written(error.strerror) from error
        try:
            with self._in_words():
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._file.execute("PRAGMA locking_mode = EXCLUSIVE")  # before the log, which then needs no shared memory
        (tables,) = self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = self._file.execute("PRAGMA user_version").fetchone()
        if version != FORMAT and (tables or version):
            raise InputError(f"{self.path} is no journal of this release of dn2's; name another with {option('state')}")
        use_write_ahead_log(self._file, seconds=0)
        self._file.execute("PRAGMA synchronous = FULL")
        with transaction(self._file):
            if not version:
                for statement in SCHEMA.split(";"):
                    self._file.execute(statement)
                self._file.execute(f"PRAGMA user_version = {FORMAT}")
                self._file.execute("INSERT INTO about VALUES ('name', ?)", (secrets.token_hex(4),))
        (self.name,) = self._file.execute("SELECT value FROM about WHERE name = 'name'").fetchone()
        rows = self._file.execute("SELECT name, size, changed FROM done")
        self._done = {name: Arrived(name, size, changed) for name, size, changed in rows}

    def _refusal(self, error: sqlite3.Error) -> InputError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return InputError(
                f"another dn2 watch uses the journal {self.path}: stop it, or give this one a journal of its own with "
                f"{option('state')}"
            )
        if isinstance(error, sqlite3.OperationalError):
            return self._cannot_be_written(error)
        return InputError(f"{self.path} is no journal of dn2's: {error}; name another with {option('state')}")

    def _cannot_be_written(self, why: object) -> InputError:
        return InputError(f"the journal {self.path} cannot be written: {why}; name another with {option('state')}")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise self._refusal(error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            close(self._file, self._process)

    def belong_to(self, model: str) -> None:
        """Note the name of the model that scores the files.  Raises InputError where another one did."""
        with self._in_words(), transaction(self._file):
            self._file.execute("INSERT OR IGNORE INTO about VALUES ('model', ?)", (model,))
            (known,) = self._file.execute("SELECT value FROM about WHERE name = 'model'").fetchone()
        if known != model:
            raise InputError(
                f"the files that {self.path} knows were scored by the model {known}, not {model}: name a journal of "
                f"its own with {option('state')}"
            )

    def is_done(self, file: Arrived) -> bool:
        """Tell whether a file was scored as it is."""
        return self._done.get(file.name) == file

    @property
    def n_done(self) -> int:
        """The number of files that are remembered."""
        return len(self._done)

    def record(self, files: Collection[Arrived], results: Sequence[Result], about: Mapping[str, str]) -> None:
        """Keep the results of files, and that these are done, in one step; about : what else is to be kept then."""
        rows = [(*result.file, result.decision, result.message) for result in results]
        insert = "INSERT INTO results (name, size, changed, decision, message) VALUES (?, ?, ?, ?, ?)"
        with self._in_words(), transaction(self._file):
            self._file.executemany(insert, rows)
            self._file.executemany("INSERT OR REPLACE INTO done VALUES (?, ?, ?, NULL)", files)
            self._file.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())
            self._file.execute(
                "DELETE FROM results WHERE sequence <= coalesce((SELECT min(position) FROM sinks), ?)",
                (self._last(),),
            )
        self._done |= {file.name: file for file in files}

    def about(self, name: str) -> str | None:
        """Return what `record` kept under a name."""
        with self._in_words():
            found = self._file.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def forget_gone(self, present: Collection[Arrived], now: Callable[[], float] = time.time) -> None:
        """Forget files that went a week ago; present : those that are there."""
        names, moment = {file.name for file in present}, int(now())
        there = [(name,) for name in self._done if name in names]
        gone = [(moment, name) for name in self._done if name not in names]
        with self._in_words(), transaction(self._file):
            self._file.executemany("UPDATE done SET gone = NULL WHERE name = ? AND gone IS NOT NULL", there)
            self._file.executemany("UPDATE done SET gone = ? WHERE name = ? AND gone IS NULL", gone)
            old = self._file.execute("SELECT name FROM done WHERE gone < ?", (moment - REMEMBERED,)).fetchall()
            self._file.executemany("DELETE FROM done WHERE name = ?", old)
        for (name,) in old:
            del self._done[name]

    # delivery

    def join(self, sinks: Sequence[str]) -> dict[str, int]:
        """Begin to deliver to sinks, by name: to a new one from the next result on, to the others where they were.

        Returns of each sink that is no longer named how many results it was not given: they are dropped."""
        with self._in_words(), transaction(self._file):
            known = dict(self._file.execute("SELECT name, position FROM sinks").fetchall())
            last = self._last()
            self._file.executemany("INSERT OR IGNORE INTO sinks VALUES (?, ?)", [(name, last) for name in sinks])
            left = {name: last - position for name, position in known.items() if name not in sinks}
            self._file.executemany("DELETE FROM sinks WHERE name = ?", [(name,) for name in left])
        return left

    def _last(self) -> int:
        found = self._file.execute("SELECT seq FROM sqlite_sequence WHERE name = 'results'").fetchone()
        return 0 if found is None else int(found[0])

    def position(self, sink: str) -> int:
        """Return the number of the last result that a sink has taken, 0 for none."""
        with self._in_words():
            (position,) = self._file.execute("SELECT position FROM sinks WHERE name = ?", (sink,)).fetchone()
        return int(position)

    def advance(self, sink: str, sequence: int) -> None:
        """Note that a sink has taken all results up to one."""
        with self._in_words():
            self._file.execute("UPDATE sinks SET position = max(position, ?) WHERE name = ?", (sequence, sink))

    def after(self, position: int, most: int) -> list[Entry]:
        """Return the results after a number, at most so many."""
        select = "SELECT * FROM results WHERE sequence > ? ORDER BY sequence LIMIT ?"
        with self._in_words():
            rows: list[tuple[Any, ...]] = self._file.execute(select, (position, most)).fetchall()
        return [
            Entry(sequence, f"{self.name}-{sequence}", Arrived(*file), decision, message)
            for sequence, *file, decision, message in rows
        ]

    def left(self, sink: str) -> int:
        """Return how many results a sink has not taken."""
        with self._in_words():
            return self._last() - self.position(sink)

"""A bounded store of bytes by key in one SQLite file, shared by all runs of a user."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from dn2.errors import InputError
from dn2.store.partitions import FOLDER, drop
from dn2.store.sealed import key_range, seal, unseal
from dn2.store.sqlite import SECONDS_TO_WAIT, close, transaction, use_write_ahead_log
from dn2.system.processes import PerProcess

logger = logging.getLogger("dn2")

DEFAULT_BYTES = 4 << 30

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, used REAL NOT NULL);
CREATE INDEX IF NOT EXISTS entries_used ON entries (used);
"""


def default_path() -> Path:
    """Return the cache's file: in `$DN2_CACHE` if set, else in the user's cache folder."""
    return Path(os.environ.get("DN2_CACHE") or platformdirs.user_cache_dir("dn2")) / "cache.sqlite"


class Cache:
    """Bytes by key, least recently used out first; safe under kill and among processes.

    Parameters
    ----------
    path : path, default=None
        The SQLite file, made with its folder when missing; by default `cache.sqlite` in the folder `$DN2_CACHE`, or in
        the user's cache folder.
    max_bytes : int, default=4294967296
        Bound on the file's size; beyond it the least recently used tenth is removed, repeatedly until the bound holds.

    Notes
    -----
    A cache only saves time, so an error of its own (a damaged file, a full disk, a read-only folder) never fails a run:
    it is reported once.  A damaged file is replaced by an empty one; after any other error the run goes on without.

    Examples
    --------
    >>> import dn2, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = dn2.Cache(os.path.join(folder, "cache.sqlite"))
    ...     cache.put({b"key": b"value"})
    ...     cache.get(b"key")
    ...     cache.close()
    b'value'
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, max_bytes: int = DEFAULT_BYTES) -> None:
        self.path = default_path() if path is None else Path(path)
        self.max_bytes = max_bytes
        self._file = PerProcess(partial(_File, self.path))
        self._file.get()

    @classmethod
    def of(cls, cache: Cache | bool | None) -> Cache | None:
        """Return the cache that an option `cache` stands for.

        Parameters
        ----------
        cache : Cache, bool or None
            True for the user's cache, False and None for no cache.

        Returns
        -------
        cache : Cache or None

        Raises
        ------
        InputError
            For anything else.
        """
        if isinstance(cache, (bool, Cache)) or cache is None:
            return cls() if cache is True else cache or None
        raise InputError(f"cache must be True, False or a dn2.Cache, got {cache!r:.80}; write dn2.Cache(path)")

    def __repr__(self) -> str:
        return f"Cache({str(self.path)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a cache in the same file: an open file itself cannot be copied."""
        return type(self), (self.path, self.max_bytes)

    def get(self, key: bytes) -> bytes | None:
        """Return the value kept under a key.

        Parameters
        ----------
        key : bytes

        Returns
        -------
        value : bytes or None
            None for a key without a value.
        """
        return self._file.get().get(key)

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep values in one transaction, and note the keys used since the last call.

        Parameters
        ----------
        entries : mapping of bytes to bytes
            Values by key.
        """
        self._file.get().put(entries, self.max_bytes)

    def forget(self, contents: Iterable[str]) -> None:
        """Let nothing remain of what is kept of some contents, in the file, its log or the partitions beside it.

        Parameters
        ----------
        contents : iterable of str
            What keys were made of, see `key_of`: the SHA-256 of files, or texts.

        Raises
        ------
        InputError
            Where the file cannot be written, as when another process uses it all the time.
        """
        ranges = [key_range(content) for content in contents]
        self._file.get().forget(ranges)
        drop(self.path.parent / FOLDER, ranges)

    def close(self) -> None:
        """Write what is pending and close the file."""
        self._file.get().close(self.max_bytes)


class _File:
    """The cache's file as one process has it open; see `Cache`.

    SQLite fails in a forked child that inherits an open connection, even to the same file by another connection: locks
    of the parent seem held.  So the file is closed before a fork, and opened again at its next use.  If another thread
    is using the file at the fork, the child goes on without the cache."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process = os.getpid()
        self.connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._given_up = False
        self._touched: set[bytes] = set()
        _files[id(self)] = self
        with self._lock:
            self._try(self._connected)

    def _try(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except (sqlite3.OperationalError, OSError) as error:  # locked, read-only or no space: the file itself is sound
            self._give_up()
            logger.warning("going on without the cache %s: %s", self.path, error)
        except sqlite3.Error as error:
            self._disconnect()
            logger.warning("the cache %s is damaged (%s) and is started afresh", self.path, error)
            self._start_afresh()
        return None

    def _connected(self) -> sqlite3.Connection | None:
        """Return the connection, opened anew after a fork; None once the cache was given up."""
        if self.connection is None and not self._given_up:
            if any(file.path.resolve() == self.path.resolve() for file in _files_of_parents()):
                raise OSError("another thread was using it when this process was forked")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(
                self.path, timeout=SECONDS_TO_WAIT, check_same_thread=False, isolation_level=None
            )
            self._end = weakref.finalize(self, close, self.connection, self.process)
            use_write_ahead_log(self.connection)
            self.connection.execute("PRAGMA synchronous = NORMAL")
            self.connection.executescript(SCHEMA)
        return self.connection

    def _start_afresh(self) -> None:
        try:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._connected()
        except (OSError, sqlite3.Error) as error:
            self._give_up()
            logger.warning("going on without the cache %s: %s", self.path, error)

    def _disconnect(self) -> None:
        if self.connection is not None:
            self._end()
            self.connection = None

    def _give_up(self) -> None:
        self._disconnect()
        self._given_up = True

    def release(self) -> None:
        """Close the file before a fork, if no other thread is using it."""
        if self.process == os.getpid() and self._lock.acquire(blocking=False):
            try:
                self._disconnect()
            finally:
                self._lock.release()

    def get(self, key: bytes) -> bytes | None:
        """See `Cache.get`."""
        with self._lock:
            return self._try(lambda: self._read(key))

    def _read(self, key: bytes) -> bytes | None:
        connection = self._connected()
        if connection is None:
            return None
        row = connection.execute("SELECT CAST(value AS BLOB) FROM entries WHERE key = ?", (key,)).fetchone()
        value = None if row is None else unseal(key, row[0])
        if value is not None:
            self._touched.add(key)
        return value

    def put(self, entries: Mapping[bytes, bytes], max_bytes: int) -> None:
        """See `Cache.put`."""
        with self._lock:
            if entries or self._touched:
                self._try(lambda: self._write(self._connected(), entries, max_bytes))

    def _write(self, connection: sqlite3.Connection | None, entries: Mapping[bytes, bytes], max_bytes: int) -> None:
        if connection is None:
            return
        now = time.time()
        with transaction(connection):
            connection.executemany("UPDATE entries SET used = ? WHERE key = ?", [(now, key) for key in self._touched])
            connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                [(key, seal(key, value), now) for key, value in entries.items()],
            )
        self._touched.clear()
        evicted = 1
        while evicted and self._bytes_used(connection) > max_bytes:
            with transaction(connection):
                evicted = connection.execute(
                    "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY used"
                    " LIMIT (SELECT count(*) / 10 + 1 FROM entries))"
                ).rowcount

    def forget(self, ranges: Sequence[tuple[bytes, bytes]]) -> None:
        """Remove the entries whose keys lie in ranges, and write the file anew without a trace of them."""
        with self._lock:
            try:
                connection = self._connected()
                if connection is None:
                    return
                with transaction(connection):
                    connection.executemany("DELETE FROM entries WHERE key BETWEEN ? AND ?", ranges)
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (sqlite3.Error, OSError) as error:
                raise InputError(f"the cache {self.path} could not forget: {error}; repeat it") from error

    @staticmethod
    def _bytes_used(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self, max_bytes: int) -> None:
        """See `Cache.close`."""
        self.put({}, max_bytes)
        with self._lock:
            self._give_up()


_files: weakref.WeakValueDictionary[int, _File] = weakref.WeakValueDictionary()


def _files_of_parents() -> list[_File]:
    files = (reference() for reference in _files.valuerefs())
    return [file for file in files if file and file.process != os.getpid() and file.connection is not None]


def _release_all() -> None:
    for reference in _files.valuerefs():
        if file := reference():
            file.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_release_all)

"""A bounded store of bytes by key in one SQLite file, shared by all runs of a user."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

logger = logging.getLogger("dn2")

DEFAULT_BYTES = 4 << 30
SECONDS_TO_WAIT = 60.0  # for another process that writes

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

    path : the SQLite file, made with its folder when missing; by default see `default_path`.
    max_bytes : bound on the file's size; beyond it the least recently used tenth goes, and again until it holds.

    A cache only saves time, so trouble with it (a damaged file, a full disk, a read-only folder) never fails a run:
    it is reported once, and a damaged file is started afresh; from anything else the run goes on without."""

    def __init__(self, path: str | os.PathLike[str] | None = None, max_bytes: int = DEFAULT_BYTES) -> None:
        self.path = default_path() if path is None else Path(path)
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._touched: set[bytes] = set()
        self._connection: sqlite3.Connection | None = None
        self._try(self._open)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a cache in the same file: an open file itself cannot be copied."""
        return type(self), (self.path, self.max_bytes)

    def _try(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except (sqlite3.OperationalError, OSError) as error:  # locked, read-only, no space: the file itself is fine
            self._disconnect()
            logger.warning("going on without the cache %s: %s", self.path, error)
        except sqlite3.Error as error:
            self._disconnect()
            logger.warning("the cache %s is damaged (%s) and is started afresh", self.path, error)
            self._start_afresh()
        return None

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            self.path, timeout=SECONDS_TO_WAIT, check_same_thread=False, isolation_level=None
        )
        weakref.finalize(self, self._connection.close)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)

    def _start_afresh(self) -> None:
        try:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._open()
        except (OSError, sqlite3.Error) as error:
            self._disconnect()
            logger.warning("going on without the cache %s: %s", self.path, error)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value kept under a key, or None."""
        with self._lock:
            return self._try(lambda: self._read(key))

    def _read(self, key: bytes) -> bytes | None:
        if self._connection is None:
            return None
        row = self._connection.execute("SELECT CAST(value AS BLOB) FROM entries WHERE key = ?", (key,)).fetchone()
        value = None if row is None else _unsealed(key, row[0])
        if value is not None:
            self._touched.add(key)
        return value

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep these values in one transaction, and note what was used since the last call."""
        with self._lock:
            connection = self._connection
            if connection is not None and (entries or self._touched):
                self._try(lambda: self._write(connection, entries))

    def _write(self, connection: sqlite3.Connection, entries: Mapping[bytes, bytes]) -> None:
        now = time.time()
        with _transaction(connection):
            connection.executemany("UPDATE entries SET used = ? WHERE key = ?", [(now, key) for key in self._touched])
            connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                [(key, _sealed(key, value), now) for key, value in entries.items()],
            )
        self._touched.clear()
        evicted = 1
        while evicted and self._bytes_used(connection) > self.max_bytes:
            with _transaction(connection):
                evicted = connection.execute(
                    "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY used"
                    " LIMIT (SELECT count(*) / 10 + 1 FROM entries))"
                ).rowcount

    @staticmethod
    def _bytes_used(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.put({})
        with self._lock:
            self._disconnect()


def _sealed(key: bytes, value: bytes) -> bytes:
    """Append a checksum: SQLite keeps none, and a flipped bit must not become an embedding."""
    return value + zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big")


def _unsealed(key: bytes, kept: bytes) -> bytes | None:
    value = kept[:-4]
    return value if _sealed(key, value) == kept else None


class _transaction:
    """BEGIN IMMEDIATE ... COMMIT: two processes wait for one another instead of failing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.connection.execute("COMMIT")
        elif self.connection.in_transaction:  # SQLite ends it itself on some errors, such as a full disk
            self.connection.execute("ROLLBACK")

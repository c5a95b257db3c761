"""A bounded store of bytes by key in one SQLite file, shared by all runs of a user."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import platformdirs

logger = logging.getLogger("dn2")

DEFAULT_BYTES = 4 << 30

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, used REAL NOT NULL);
CREATE INDEX IF NOT EXISTS entries_used ON entries (used);
"""


def default_path() -> Path:
    """Return the cache's file: in `$DN2_CACHE` if set, else in the user's cache folder."""
    return Path(os.environ.get("DN2_CACHE") or platformdirs.user_cache_dir("dn2")) / "cache.sqlite"


class Cache:
    """Bytes by key, least recently used out first; safe under kill and among processes.

    path : the SQLite file, made with its folder when missing.
    max_bytes : bound on the file's size; beyond it the least recently used tenth goes.

    A cache only saves time, so trouble with it (a damaged file, a full disk, a read-only folder) never fails a run:
    it is reported once and the run goes on without."""

    def __init__(self, path: Path | None = None, max_bytes: int = DEFAULT_BYTES) -> None:
        self.path = path or default_path()
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._touched: set[bytes] = set()
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:  # locked, read-only, no space: the file itself may be fine
            self._give_up(error)
        except sqlite3.DatabaseError as error:
            logger.warning("the cache %s is damaged (%s) and is started afresh", self.path, error)
            self._start_afresh()
        except OSError as error:
            self._give_up(error)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA)
        return connection

    def _start_afresh(self) -> None:
        try:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        logger.warning("going on without the cache %s: %s", self.path, error)
        self._connection = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value kept under a key, or None."""
        with self._lock:
            if self._connection is None:
                return None
            try:
                row = self._connection.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                self._give_up(error)
                return None
            if row is None:
                return None
            self._touched.add(key)
            return bytes(row[0])

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep these values in one transaction, and note what was used since the last call."""
        with self._lock:
            if self._connection is None or not (entries or self._touched):
                return
            try:
                self._write(self._connection, entries)
            except sqlite3.Error as error:
                self._give_up(error)

    def _write(self, connection: sqlite3.Connection, entries: Mapping[bytes, bytes]) -> None:
        now = time.time()
        with _transaction(connection):
            connection.executemany("UPDATE entries SET used = ? WHERE key = ?", [(now, key) for key in self._touched])
            connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", [(key, value, now) for key, value in entries.items()]
            )
        self._touched.clear()
        if self._bytes_used(connection) > self.max_bytes:
            with _transaction(connection):
                connection.execute(
                    "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY used"
                    " LIMIT (SELECT count(*) / 10 + 1 FROM entries))"
                )

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
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _transaction:
    """BEGIN IMMEDIATE ... COMMIT: two processes wait for one another instead of failing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.connection.execute("COMMIT" if kind is None else "ROLLBACK")

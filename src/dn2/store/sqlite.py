"""SQLite files that several processes read and write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator

SECONDS_TO_WAIT = 60.0  # for another process that writes


def use_write_ahead_log(connection: sqlite3.Connection, seconds: float = SECONDS_TO_WAIT) -> None:
    """Switch to write-ahead logging, and wait so long for who writes the file without one; SQLite fails at once."""
    end = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


def close(connection: sqlite3.Connection, process: int) -> None:
    """Close a connection in the process that opened it."""
    if process == os.getpid():
        with contextlib.suppress(sqlite3.Error):  # such as a full disk: values that were put stay in the file
            connection.close()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make what is written inside one step: two processes wait for one another instead of failing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite ends it itself on some errors, such as a full disk
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")

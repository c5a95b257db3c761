"""What a service keeps: the items that people are to judge, what they said, and what became of it, in SQLite."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dn2.errors import InputError
from dn2.inputs.verdicts import VERDICTS
from dn2.store.sqlite import transaction, use_write_ahead_log
from dn2.store.writing import hold_folder
from dn2.system.naming import encodable

FILE = "service.sqlite"
LONGEST_KIND = 200  # characters
SECONDS_TO_WAIT = 5.0  # for who else has the file open, such as a backup: scores wait for what is kept

# Each brings the file of the release before to that of its own; none is ever changed.
MIGRATIONS = (
    """
    CREATE TABLE items (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, version TEXT NOT NULL,
        at TEXT NOT NULL, why TEXT NOT NULL, record TEXT NOT NULL, size INTEGER NOT NULL,
        verdict TEXT, kind TEXT NOT NULL DEFAULT '', taken_in TEXT
    );
    CREATE TABLE contents (item TEXT PRIMARY KEY REFERENCES items (id), content BLOB NOT NULL);
    CREATE INDEX items_held ON items (model, verdict, size) WHERE size > 0;
    CREATE TABLE verdicts (
        number INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL REFERENCES items (id), person TEXT NOT NULL,
        at TEXT NOT NULL, verdict TEXT, kind TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, person TEXT NOT NULL, at TEXT NOT NULL,
        version TEXT NOT NULL, words TEXT NOT NULL
    );
    CREATE TABLE watches (model TEXT PRIMARY KEY, state TEXT NOT NULL);
    """,
)


class Kept(NamedTuple):
    """An item that is kept for people.

    id : of the service; version : of the model that scored it; at : when; why : `alarm`, `warning`, `audit` or `asked`.
    record : its row, see `Row.as_dict`; verdict, kind : what was last said of it; taken_in : the version of the model
    that it was taken into."""

    id: str
    model: str
    version: str
    at: str
    why: str
    record: Mapping[str, Any]
    verdict: str | None
    kind: str
    taken_in: str | None


class Said(NamedTuple):
    """What a person said: of an item, None where they took it back."""

    item: str
    person: str
    at: str
    verdict: str | None
    kind: str


class Change(NamedTuple):
    """What a person did to a model: the version that it became, and what came of it in words."""

    person: str
    at: str
    version: str
    words: Sequence[str]


TAKING = "taking "  # before the version that verdicts are being taken into
KEPT = "id, model, version, at, why, record, verdict, kind, taken_in"


class Store:
    """The file of a service; any number of threads use it at once.

    most_bytes : of the contents of items; beyond it the oldest that nobody has judged are let go, audits last."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.path, self._most_bytes = folder / FILE, most_bytes
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._held = hold_folder(folder)  # two services would take the same verdicts in
            self._connection = sqlite3.connect(
                self.path, timeout=SECONDS_TO_WAIT, isolation_level=None, check_same_thread=False
            )
            os.chmod(self.path, 0o600)  # it holds pictures, and who said what
            self._connection.execute("PRAGMA foreign_keys = ON")
            use_write_ahead_log(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")  # what was acknowledged outlives a power cut
            self._migrate()
        except BlockingIOError as error:
            raise InputError(f"another service keeps verdicts in {folder}: give each --data of its own") from error
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"the service cannot keep verdicts in {self.path}: {error}") from error
        self.let_go = 0

    def _migrate(self) -> None:
        with transaction(self._connection):
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise InputError(
                    f"{self.path} is of a newer release of dn2, whose form {version} this one does not know: update dn2"
                )
            for number, script in enumerate(MIGRATIONS[version:], version + 1):
                for statement in script.split(";"):  # which `executescript` would commit one by one
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {number}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
            if self._held is not None:
                os.close(self._held)
                self._held = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._connection):
            yield self._connection

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock, closing(self._connection.execute(query, values)) as found:
            return found.fetchall()

    def keep(self, model: str, version: str, items: Sequence[tuple[str, str, Mapping[str, Any], bytes]]) -> None:
        """Keep items for people: of each its id, why, its record, and its content as `pack` gives it."""
        at = _now()
        rows = [(id, model, version, at, why, json.dumps(record), len(content)) for id, why, record, content in items]
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO items (id, model, version, at, why, record, size) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )
            connection.executemany("INSERT INTO contents VALUES (?, ?)", [(id, content) for id, *_, content in items])
            self._make_room(connection)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        (held,) = connection.execute("SELECT coalesce(sum(size), 0) FROM items WHERE size > 0").fetchone()
        while held > self._most_bytes:
            oldest = connection.execute(
                "SELECT id, size FROM items WHERE size > 0 AND (verdict IS NULL OR taken_in NOT LIKE 'taking %') "
                "ORDER BY taken_in IS NULL, why = 'audit', number LIMIT 1"
            ).fetchone()
            if oldest is None:
                return
            connection.execute("DELETE FROM contents WHERE item = ?", oldest[:1])
            connection.execute("UPDATE items SET size = 0 WHERE id = ?", oldest[:1])
            connection.execute(
                "DELETE FROM items WHERE id = ? AND NOT EXISTS (SELECT 1 FROM verdicts WHERE item = items.id)",
                oldest[:1],
            )
            held -= oldest[1]
            self.let_go += 1

    def item(self, id: str) -> Kept | None:
        """Return an item by its id."""
        return next(map(_kept, self._rows(f"SELECT {KEPT} FROM items WHERE id = ?", id)), None)

    def content(self, id: str) -> bytes | None:
        """Return the content of an item, while it is kept."""
        found = self._rows("SELECT content FROM contents WHERE item = ?", id)
        return found[0][0] if found else None

    def to_judge(self, model: str, most: int) -> list[Kept]:
        """List the items of a model that nobody has judged: audits first, then the newest."""
        query = (
            f"SELECT {KEPT} FROM items WHERE model = ? AND verdict IS NULL AND size > 0 "
            "ORDER BY why <> 'asked', why <> 'audit', number DESC LIMIT ?"
        )
        return list(map(_kept, self._rows(query, model, most)))

    def judged(self, model: str) -> list[Kept]:
        """List the items that were judged and not yet taken into the model, in the order in which they came."""
        query = (
            f"SELECT {KEPT} FROM items WHERE model = ? AND verdict IS NOT NULL AND taken_in IS NULL "
            "AND size > 0 ORDER BY number"
        )
        return list(map(_kept, self._rows(query, model)))

    def counts(self, model: str) -> tuple[int, int]:
        """Count the items of a model that are to be judged, and those that were and are to be taken in."""
        query = "SELECT count(*) FROM items WHERE model = ? AND size > 0 AND taken_in IS NULL AND verdict IS"
        return self._rows(f"{query} NULL", model)[0][0], self._rows(f"{query} NOT NULL", model)[0][0]

    def say(self, item: str, person: str, verdict: str | None, kind: str = "") -> None:
        """Record what a person says of an item, None to take it back.  Raises InputError."""
        if verdict is not None and verdict not in VERDICTS:
            raise InputError(f"a verdict is {', '.join(VERDICTS)}, or null to take it back, got {verdict!r:.100}")
        kind = encodable(" ".join(kind.split())[:LONGEST_KIND])
        with self._writing() as connection:
            found = connection.execute("SELECT taken_in FROM items WHERE id = ?", (item,)).fetchone()
            if found is None:
                raise InputError(f"no item {item!r:.100} is kept")
            if found[0] is not None:
                raise InputError("the verdict on this item was taken into the model: roll the model back first")
            connection.execute(
                "INSERT INTO verdicts (item, person, at, verdict, kind) VALUES (?, ?, ?, ?, ?)",
                (item, person, _now(), verdict, kind),
            )
            connection.execute("UPDATE items SET verdict = ?, kind = ? WHERE id = ?", (verdict, kind, item))

    def said(self, model: str, most: int) -> list[Said]:
        """List what people said of a model's items, the last first."""
        query = (
            "SELECT v.item, v.person, v.at, v.verdict, v.kind FROM verdicts v JOIN items i ON i.id = v.item "
            "WHERE i.model = ? ORDER BY v.number DESC LIMIT ?"
        )
        return [Said(*row) for row in self._rows(query, model, most)]

    def taking(self, model: str, version: str, items: Sequence[str]) -> None:
        """Record that verdicts are about to be taken into a version of a model: nobody changes them meanwhile."""
        with self._writing() as connection:
            _mark(connection, TAKING + version, items)

    def settle(self, model: str, version: str) -> None:
        """End what `taking` began: the verdicts wait once more where the model still is that version, and else no more.

        version : that the model is now."""
        query = (
            "UPDATE items SET taken_in = CASE taken_in WHEN ? THEN NULL ELSE ? END "
            "WHERE model = ? AND taken_in LIKE 'taking %'"
        )
        with self._writing() as connection:
            connection.execute(query, (TAKING + version, version, model))

    def took_in(self, model: str, person: str, version: str, words: Sequence[str], items: Sequence[str]) -> None:
        """Record that the verdicts on items were taken into a model, which is a new version now."""
        with self._writing() as connection:
            self._change(connection, model, person, version, words)
            _mark(connection, version, items)

    def took_back(self, model: str, person: str, undone: str, version: str, words: Sequence[str]) -> None:
        """Record that a version of a model was taken back, and with it the verdicts in it: they wait once more."""
        with self._writing() as connection:
            self._change(connection, model, person, version, words)
            connection.execute("UPDATE items SET taken_in = NULL WHERE model = ? AND taken_in = ?", (model, undone))

    def _change(
        self, connection: sqlite3.Connection, model: str, person: str, version: str, words: Sequence[str]
    ) -> None:
        connection.execute(
            "INSERT INTO changes (model, person, at, version, words) VALUES (?, ?, ?, ?, ?)",
            (model, person, _now(), version, json.dumps(list(words))),
        )

    def changes(self, model: str, most: int) -> list[Change]:
        """List what people did to a model, the last first."""
        query = "SELECT person, at, version, words FROM changes WHERE model = ? ORDER BY number DESC LIMIT ?"
        return [
            Change(person, at, version, json.loads(words))
            for person, at, version, words in self._rows(query, model, most)
        ]

    def keep_watch(self, model: str, state: Mapping[str, Any]) -> None:
        """Keep the state of a watch for drift."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO watches VALUES (?, ?) ON CONFLICT (model) DO UPDATE SET state = excluded.state",
                (model, json.dumps(state)),
            )

    def watch(self, model: str) -> Mapping[str, Any] | None:
        """Return what `keep_watch` kept."""
        found = self._rows("SELECT state FROM watches WHERE model = ?", model)
        return json.loads(found[0][0]) if found else None


def _mark(connection: sqlite3.Connection, taken_in: str, items: Sequence[str]) -> None:
    connection.executemany("UPDATE items SET taken_in = ? WHERE id = ?", [(taken_in, item) for item in items])


def _kept(row: Sequence[Any]) -> Kept:
    id, model, version, at, why, record, verdict, kind, taken_in = row
    return Kept(id, model, version, at, why, json.loads(record), verdict, kind, taken_in)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

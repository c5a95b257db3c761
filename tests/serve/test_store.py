"""What a service keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dn2.errors import InputError
from dn2.serve.packing import pack, unpack
from dn2.serve.store import FILE, MIGRATIONS, Store


def store_in(folder: Path, most_bytes: int = 1 << 20) -> Store:
    return Store(folder, most_bytes)


def keep(store: Store, *ids: str, why: str = "alarm", size: int = 10) -> None:
    store.keep("parts", "v1", [(id, why, {"item": id}, pack(b"x" * size)) for id in ids])


@pytest.mark.parametrize("item", [b"bytes", (b"two", b"pictures"), {"amount": 1.5}, "a text", [0.5, 1.0]])
def test_an_item_is_kept_as_it_was_sent(item: object) -> None:
    assert unpack(pack(item)) == item


def test_verdicts_are_there_after_a_restart_with_who_said_them(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    keep(store, "a", "b")
    store.say("a", "ada", "normal")
    store.say("b", "grace", "defect", " deep   scratch ")
    store.say("a", "ada", None)
    store.close()
    store = store_in(tmp_path)
    assert [one.id for one in store.to_judge("parts", 9)] == ["a"]
    assert [(one.id, one.verdict, one.kind) for one in store.judged("parts")] == [("b", "defect", "deep scratch")]
    said = [(one.item, one.person, one.verdict) for one in store.said("parts", 9)]
    assert said == [("a", "ada", None), ("b", "grace", "defect"), ("a", "ada", "normal")]
    assert store.counts("parts") == (1, 1)
    assert store.counts("others") == (0, 0)
    store.close()


def test_audits_come_first_then_the_newest(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    keep(store, "a")
    keep(store, "b", why="audit")
    keep(store, "c")
    keep(store, "d", why="asked")
    assert [one.id for one in store.to_judge("parts", 3)] == ["d", "b", "c"]
    store.close()


def test_verdicts_that_were_taken_in_wait_once_more_when_that_is_taken_back(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    keep(store, "a", "b")
    store.say("a", "ada", "normal")
    store.took_in("parts", "ada", "v2", ["1 item is a neighbour now"], ["a"])
    assert store.judged("parts") == []
    with pytest.raises(InputError, match="taken into the model"):
        store.say("a", "ada", "defect")
    store.took_back("parts", "grace", "v2", "v1", ["taken back"])
    assert [one.id for one in store.judged("parts")] == ["a"]
    changes = [(one.person, one.version, one.words) for one in store.changes("parts", 9)]
    assert changes == [("grace", "v1", ["taken back"]), ("ada", "v2", ["1 item is a neighbour now"])]
    store.close()


def test_the_oldest_that_nobody_judged_are_let_go_when_room_is_short(tmp_path: Path) -> None:
    store = store_in(tmp_path, most_bytes=350)
    keep(store, "audit", why="audit", size=100)
    keep(store, "judged", size=100)
    store.say("judged", "ada", "defect")
    keep(store, "old", size=100)
    keep(store, "new", size=100)
    assert store.let_go == 1
    assert [one.id for one in store.to_judge("parts", 9)] == ["audit", "new"]
    assert store.content("old") is None
    assert store.item("old") is None  # nothing of it grows the file
    keep(store, "newest", size=300)
    assert [one.id for one in store.judged("parts")] == ["judged"]
    assert [one.id for one in store.to_judge("parts", 9)] == ["audit"]
    store.close()


@pytest.mark.parametrize("verdict", ["good", "", "NORMAL"])
def test_another_verdict_and_another_item_are_refused(tmp_path: Path, verdict: str) -> None:
    store = store_in(tmp_path)
    keep(store, "a")
    with pytest.raises(InputError, match="a verdict is normal, defect, unsure"):
        store.say("a", "ada", verdict)
    with pytest.raises(InputError, match="no item 'b' is kept"):
        store.say("b", "ada", "normal")
    assert store.said("parts", 9) == []
    store.close()


def test_names_that_would_be_sql_are_names(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    name = "'); DROP TABLE items; --"
    keep(store, name)
    store.say(name, name, "defect", name)
    (kept,) = store.judged("parts")
    assert (kept.id, kept.record["item"], kept.kind) == (name, name, name)
    assert store.said("parts", 1)[0].person == name
    store.close()


def test_a_file_of_a_newer_release_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    store_in(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(InputError, match="newer release"):
        store_in(tmp_path)


def test_a_file_that_is_no_database_and_a_folder_that_is_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all, and long enough to be read as one" * 50)
    with pytest.raises(InputError, match="cannot keep verdicts"):
        store_in(tmp_path)
    with pytest.raises(InputError, match="cannot keep verdicts"):
        store_in(tmp_path / FILE)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store_in(tmp_path).close()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_copy_made_while_it_is_written_is_whole(tmp_path: Path) -> None:
    store = store_in(tmp_path / "own")
    keep(store, "a")
    (tmp_path / "copy").mkdir()
    with closing(sqlite3.connect(tmp_path / "own" / FILE)) as own:
        own.execute("VACUUM INTO ?", [str(tmp_path / "copy" / FILE)])
    keep(store, "b")
    copy = store_in(tmp_path / "copy")
    assert [one.id for one in copy.to_judge("parts", 9)] == ["a"]
    copy.close()
    store.close()


def test_the_state_of_a_watch_is_kept_by_model(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.keep_watch("parts", {"n_seen": 1})
    store.keep_watch("parts", {"n_seen": 2})
    assert (store.watch("parts"), store.watch("others")) == ({"n_seen": 2}, None)
    store.close()


def test_a_second_service_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(InputError, match="another service keeps verdicts"):
        store_in(tmp_path)
    store.close()
    store_in(tmp_path).close()


@pytest.mark.parametrize(("version", "waits"), [("v1", ["a"]), ("v2", [])])
def test_verdicts_that_a_kill_kept_from_being_taken_in_wait_once_more_and_others_do_not(
    tmp_path: Path, version: str, waits: list[str]
) -> None:
    store = store_in(tmp_path, most_bytes=15)
    keep(store, "a")
    store.say("a", "ada", "normal")
    store.taking("parts", "v1", ["a"])
    assert store.judged("parts") == []
    with pytest.raises(InputError, match="was taken into the model"):  # it is what the model is being told
        store.say("a", "ada", "defect")
    store.close()
    store = store_in(tmp_path, most_bytes=15)
    keep(store, "b")
    assert store.content("a") is not None
    store.settle("parts", version)
    assert [one.id for one in store.judged("parts")] == waits
    store.close()

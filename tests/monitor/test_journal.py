"""The journal of a watch: what is done, what is to be delivered, and that one watch has it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from dn2.errors import InputError
from dn2.monitor import journal as journal_module
from dn2.monitor.arriving import Arrived
from dn2.monitor.journal import Journal, Result

FILES = [Arrived(f"{number}.png", 10, 10**18 + number) for number in range(5)]


def result(file: Arrived, decision: str = "accept") -> Result:
    return Result(file, decision, json.dumps({"item": file.name}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def test_what_was_recorded_is_there_when_it_is_opened_again(path):
    journal = Journal(path)
    journal.join(["log"])
    journal.record(FILES[:2], [result(FILES[0]), result(FILES[1], "reject")], {"drift": "{}"})
    assert [journal.is_done(file) for file in FILES[:3]] == [True, True, False]
    assert not journal.is_done(FILES[0]._replace(changed=1))
    journal.close()
    again = Journal(path)
    assert (again.name, again.n_done, again.about("drift"), again.about("other")) == (journal.name, 2, "{}", None)
    assert again.join(["log"]) == {}
    first, second = again.after(0, 10)
    assert (first.sequence, second.sequence, second.file, second.decision) == (1, 2, FILES[1], "reject")
    assert json.loads(second.text) == {"id": f"{again.name}-2", "sequence": 2, "item": "1.png"}
    again.close()


def test_a_result_goes_once_all_sinks_have_taken_it_and_its_number_never_comes_again(path):
    journal = Journal(path)
    journal.join(["log", "hook"])
    journal.record(FILES[:2], [result(file) for file in FILES[:2]], {})
    journal.advance("log", 2)
    journal.advance("log", 1)  # never back
    journal.advance("hook", 1)
    journal.record([FILES[2]], [result(FILES[2])], {})
    assert [entry.sequence for entry in journal.after(0, 10)] == [2, 3]
    assert (journal.position("log"), journal.left("log"), journal.left("hook")) == (2, 1, 2)
    for name in ("log", "hook"):
        journal.advance(name, 3)
    journal.record([FILES[3]], [result(FILES[3])], {})
    assert [entry.sequence for entry in journal.after(0, 10)] == [4]
    journal.close()


def test_without_sinks_nothing_is_kept_but_what_is_done(path):
    journal = Journal(path)
    journal.record(FILES, [result(file) for file in FILES], {})
    assert (journal.after(0, 10), journal.n_done) == ([], 5)
    journal.close()


def test_a_sink_begins_with_the_next_result_and_one_that_is_not_named_is_dropped(path):
    journal = Journal(path)
    journal.join(["log"])
    journal.record(FILES[:2], [result(file) for file in FILES[:2]], {})
    assert journal.join(["hook"]) == {"log": 2}
    journal.record([FILES[2]], [result(FILES[2])], {})
    assert [entry.sequence for entry in journal.after(journal.position("hook"), 10)] == [3]
    journal.close()


def test_files_that_went_are_forgotten_after_a_week(path):
    journal = Journal(path)
    journal.record(FILES[:3], [], {})
    journal.forget_gone(FILES[:2], lambda: 1e9)
    journal.forget_gone(FILES[:1], lambda: 1e9 + journal_module.REMEMBERED)
    assert [journal.is_done(file) for file in FILES[:3]] == [True, True, True]
    journal.forget_gone(FILES[1:2], lambda: 1e9 + journal_module.REMEMBERED + 1)
    assert [journal.is_done(file) for file in FILES[:3]] == [True, True, False]
    journal.close()
    again = Journal(path)
    assert again.n_done == 2
    again.close()


def test_a_second_watch_with_the_same_journal_is_refused(path):
    journal = Journal(path)
    with pytest.raises(InputError, match=r"another dn2 watch uses the journal .* a journal of its own with state"):
        Journal(path)
    journal.record(FILES[:1], [], {})
    journal.close()
    Journal(path).close()


def test_another_file_is_refused_and_left_as_it_was(path):
    path.write_text("no database at all, but a text that is long enough to be looked at as one" * 20)
    before = path.read_bytes()
    with pytest.raises(InputError, match="is no journal of dn2's: file is not a database"):
        Journal(path)
    assert path.read_bytes() == before
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (a)")
    other.commit()
    other.close()
    with pytest.raises(InputError, match="is no journal of this release of dn2's"):
        Journal(path)


def test_a_journal_of_a_later_release_is_refused(path):
    Journal(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 9")
    other.close()
    with pytest.raises(InputError, match="is no journal of this release"):
        Journal(path)


def test_a_journal_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written: Not a directory; name another with state"):
        Journal(tmp_path / "file" / "below" / "journal.sqlite")
    with pytest.raises(InputError, match="cannot be written: unable to open database file; name another with state"):
        Journal(tmp_path)


def test_the_folder_of_a_journal_is_made(tmp_path):
    Journal(tmp_path / "a" / "b" / "journal.sqlite").close()
    assert (tmp_path / "a" / "b" / "journal.sqlite").exists()


def test_a_disk_that_is_full_is_said_and_leaves_the_journal_whole(path):
    journal = Journal(path)
    journal.join(["log"])
    (pages,) = journal._file.execute("PRAGMA page_count").fetchone()
    journal._file.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(InputError, match="cannot be written: database or disk is full"):
        journal.record(FILES, [Result(FILES[0], "accept", json.dumps("x" * 100_000))], {})
    assert (journal.n_done, journal.after(0, 10)) == (0, [])
    journal.close()

"""The log, which has each result once, and the folder of files with anomalies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dn2.monitor import sinks as sinks_module
from dn2.monitor.arriving import arrived
from dn2.monitor.journal import Entry, Journal, Result
from dn2.monitor.sinks import Log, Mover


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


def filled(journal: Journal, folder: Path, names: list[str], decision: str = "accept") -> list[Entry]:
    """Record a result for each file, and return what is to be delivered."""
    results = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(name)
        file = arrived(path, name)
        assert file is not None
        results.append(Result(file, decision, json.dumps({"item": name, "words": "é"}, ensure_ascii=False)))
    journal.record([result.file for result in results], results, {})
    return journal.after(0, 1_000)


def sequences(log: Path) -> list[int]:
    return [json.loads(line)["sequence"] for line in log.read_text("utf-8").splitlines()]


def test_a_log_goes_on_after_its_last_whole_line_wherever_a_kill_came(journal, tmp_path):
    log = Log(tmp_path / "logs" / "log.jsonl")
    journal.join([log.name])
    entries = filled(journal, tmp_path / "in", list("abcde"))
    log.start(journal)
    assert log.send(entries[:3]) == 3
    whole = log.path.read_bytes()
    for end in (len(whole), len(whole) - 1, len(whole) - 20):  # killed after the write, at its end, and amid a line
        log.path.write_bytes(whole[:end])
        journal._file.execute("UPDATE sinks SET position = 0")  # the journal was not told
        log.start(journal)
        taken = journal.position(log.name)
        assert taken == (3 if end == len(whole) else 2)
        log.send([entry for entry in entries if entry.sequence > taken])
        assert sequences(log.path) == [1, 2, 3, 4, 5]


def test_a_line_is_found_however_long_it_is(journal, tmp_path, monkeypatch):
    monkeypatch.setattr(sinks_module, "BLOCK", 7)
    log = Log(tmp_path / "log.jsonl")
    journal.join([log.name])
    log.send(filled(journal, tmp_path / "in", ["a", "b" * 50]))
    with open(log.path, "ab") as file:
        file.write(b'{"half": ')
    log.start(journal)
    assert journal.position(log.name) == 2
    assert sequences(log.path) == [1, 2]


def test_a_log_of_another_journal_or_a_person_is_added_to(journal, tmp_path):
    log = Log(tmp_path / "log.jsonl")
    journal.join([log.name])
    for before in ('{"id": "0-7", "sequence": 7}\n', "a note\n", "[1]\n", ""):
        log.path.write_text(before)
        log.start(journal)
        assert journal.position(log.name) == 0
        assert log.path.read_text() == before


def test_a_log_that_is_taken_away_is_begun_anew(journal, tmp_path):
    log = Log(tmp_path / "log.jsonl")
    journal.join([log.name])
    entries = filled(journal, tmp_path / "in", list("ab"))
    log.start(journal)
    log.send(entries[:1])
    log.path.rename(tmp_path / "log.1.jsonl")
    log.send(entries[1:])
    assert (sequences(tmp_path / "log.1.jsonl"), sequences(log.path)) == ([1], [2])


def test_a_full_disk_leaves_no_half_line(journal, tmp_path, monkeypatch):
    log = Log(tmp_path / "log.jsonl")
    journal.join([log.name])
    entries = filled(journal, tmp_path / "in", list("ab"))
    log.send(entries[:1])
    write = os.write

    def fill(handle: int, data: bytes) -> int:
        write(handle, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(OSError, match="No space"):
        log.send(entries[1:])
    monkeypatch.undo()
    assert sequences(log.path) == [1]


@pytest.fixture
def places(tmp_path):
    return tmp_path / "in", tmp_path / "out"


def test_files_that_are_rejected_are_moved_as_they_lie(journal, places):
    source, target = places
    mover = Mover(target, source)
    journal.join([mover.name])
    filled(journal, source, ["sub/a.png", "b.png"], "reject")
    for entry in filled(journal, source, ["c.png"], "warn"):
        assert mover.send([entry]) == 1
    assert sorted(path.relative_to(target).as_posix() for path in target.rglob("*.png")) == ["b.png", "sub/a.png"]
    assert [path.name for path in source.rglob("*.png")] == ["c.png"]
    assert (target / "sub/a.png").read_text() == "sub/a.png"


def test_none_is_written_over(journal, places):
    source, target = places
    mover = Mover(target, source)
    journal.join([mover.name])
    target.mkdir()
    (target / "a.png").write_text("another")
    (target / "a-1.png").write_text("and one more")
    for entry in filled(journal, source, ["a.png"], "reject"):
        mover.send([entry])
    found = {path.name: path.read_text() for path in target.iterdir()}
    assert found == {"a.png": "another", "a-1.png": "and one more", "a-2.png": "a.png"}


def test_a_file_that_has_changed_since_it_was_scored_stays(journal, places, caplog):
    source, target = places
    mover = Mover(target, source)
    journal.join([mover.name])
    entries = filled(journal, source, ["latest.png"], "reject")
    (source / "latest.png").write_text("the next picture")
    mover.send(entries)
    assert (source / "latest.png").exists()
    assert not target.exists()
    assert "latest.png is not moved: it has changed since it was scored" in caplog.text


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_move_that_a_kill_has_stopped_is_finished(journal, places, links, monkeypatch):
    source, target = places
    mover = Mover(target, source)
    journal.join([mover.name])
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    entries = filled(journal, source, ["sub/a.png"], "reject")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            mover.send(entries)
    assert (source / "sub/a.png").exists()
    assert (target / "sub/a.png").exists()
    mover.send(entries)
    mover.send(entries)  # the journal was not told
    assert not (source / "sub/a.png").exists()
    assert [path.name for path in target.rglob("*") if path.is_file()] == ["a.png"]


def test_another_file_of_the_same_size_and_time_is_told_from_it(journal, places):
    source, target = places
    mover = Mover(target, source)
    journal.join([mover.name])
    entries = filled(journal, source, ["a.png"], "reject")
    target.mkdir()
    (target / "a.png").write_text("b.png")
    os.utime(target / "a.png", ns=(entries[0].file.changed, entries[0].file.changed))
    mover.send(entries)
    assert (target / "a.png").read_text() == "b.png"
    assert (target / "a-1.png").read_text() == "a.png"

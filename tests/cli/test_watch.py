"""`dn2 watch`: what it says, what it refuses, how it ends, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dn2
from dn2.monitor import arriving
from dn2.monitor.journal import Journal
from small_models import start_python
from small_sinks import Broker, Hook, Listener, needs_mosquitto, wait_for

QUICK = ("--settle", "0.02", "--every", "0.01")
DN2 = "from dn2.cli import main; main()"


def rows(seed: int, n: int = 1, moved: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 4)) + moved).astype(np.float32)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of vectors, which takes the shortest to load."""
    folder = tmp_path_factory.mktemp("vectors") / "v.dn2"
    dn2.fit(np.random.default_rng(0).normal(size=(200, 4))).save(folder)
    return folder


@pytest.fixture
def here(vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model `v.dn2` and a folder `in`, where a normal vector and an odd one lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(arriving, "PATIENCE", 0.1)
    shutil.copytree(vectors, "v.dn2")
    Path("in").mkdir()
    np.save("in/good.npy", rows(1))
    np.save("in/odd.npy", rows(2, moved=9))
    return tmp_path


def log(path: str | Path = "log.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def items(path: str | Path = "log.jsonl") -> list[str]:
    return [message["item"] for message in log(path)]


def test_what_is_there_is_scored_and_said(here, dn2_command):
    done = dn2_command("watch", "v.dn2", "in", "--once", "-o", "log.jsonl", *QUICK)
    assert (done.status, done.out) == (0, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("v.dn2: 200 reference items, false-alarm rate ")
    assert lines[1] == "watching in with v.dn2"
    assert lines[2].startswith("reject: odd.npy:1, p-value 0.00498, nearest row ")
    assert lines[3:] == ["2 files scored, 1 rejected"]
    assert sorted(items()) == ["good.npy:1", "odd.npy:1"]
    done = dn2_command("watch", "v.dn2", "in", "--once", "-o", "log.jsonl", *QUICK)
    assert "watching in with v.dn2; 2 files done before" in done.err
    assert len(items()) == 2


def test_all_sinks_are_given_the_same(here, dn2_command):
    hook = Hook()
    with hook.open() as url:
        sinks = ["-o", "log.jsonl", "--move-anomalies", "in/odd", "--webhook", url]
        assert dn2_command("watch", "v.dn2", "in", "--once", *sinks, *QUICK).status == 0
        assert hook.messages == log()
        assert [path.name for path in Path("in/odd").iterdir()] == ["odd.npy"]
        assert not Path("in/odd.npy").exists()
        assert dn2_command("watch", "v.dn2", "in", "--once", *sinks, *QUICK).status == 0
    assert len(hook.messages) == 2  # what was moved is not scored again


@needs_mosquitto
def test_a_broker_is_given_the_same_too(here, dn2_command):
    broker = Broker(here / "broker")
    broker.start()
    listener = Listener(broker.port, "line1/#")
    try:
        url = f"mqtt://127.0.0.1:{broker.port}/line1"
        assert dn2_command("watch", "v.dn2", "in", "--once", "-o", "log.jsonl", "--mqtt", url, *QUICK).status == 0
        wait_for(lambda: listener.of("line1/status") == ["online", "offline"])
        assert listener.of("line1/items") == log()
        assert [state["state"] for state in listener.of("line1/drift")] == ["unchanged"]
    finally:
        listener.close()
        broker.stop()


def test_the_status_tells_what_could_not_be_read_and_what_was_warned_of(here, dn2_command):
    Path("in/bad.npy").write_text("no vectors")
    done = dn2_command("watch", "v.dn2", "in", "--once", *QUICK)
    assert done.status == 3
    assert "error: bad.npy: " in done.err
    assert done.err.endswith("3 files scored, 1 rejected, 1 not read\n")
    os.remove("in/odd.npy")
    np.save("in/so_so.npy", rows(1, moved=0.9))
    done = dn2_command("watch", "v.dn2", "in", "--once", "--warn-rate", "0.5", *QUICK)
    assert (done.status, "warn: so_so.npy:1" in done.err) == (4, True)


def test_what_nobody_takes_waits_and_the_status_says_so(here, dn2_command):
    url = ("--webhook", "http://127.0.0.1:9/hook")
    done = dn2_command("watch", "v.dn2", "in", "--once", *url, *QUICK)
    assert done.status == 3
    assert "dn2: webhook http://127.0.0.1:9/hook: Connection refused; results are kept for it" in done.err
    assert "dn2: webhook http://127.0.0.1:9/hook: 2 results to deliver; the same command goes on" in done.err


def test_what_is_excluded_and_another_journal_are_asked_for(here, dn2_command):
    words = ["watch", "v.dn2", "in", "--once", "-o", "log.jsonl", "--exclude", "odd*", "--state", "here.sqlite"]
    assert dn2_command(*words, *QUICK).status == 0
    assert items() == ["good.npy:1"]
    assert Path("here.sqlite").exists()
    assert not Path("in/.dn2-watch.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["nothing"], "'nothing' is no folder; make it before it is watched"),
        (["v.dn2/model.json"], "is no folder"),
        (["in", "-o", "log.csv"], "a log is a file that ends in .jsonl, got 'log.csv'"),
        (["in", "--move-anomalies", "in"], "give another folder with --move-anomalies"),
        (["in", "--move-anomalies", "."], "give another folder with --move-anomalies"),
        (["in", "--move-anomalies", "in/good.npy"], "in/good.npy is no folder"),
        (["in", "--webhook", "plant"], "--webhook must be a URL of http:// or https:// with a host"),
        (["in", "--webhook-token-file", "t"], "t goes with --webhook, which is not given"),
        (["in", "--mqtt", "mqtt://plant"], "--mqtt must end in a topic without + and #"),
        (["in", "--mqtt-password-file", "p"], "p goes with --mqtt, which is not given"),
        (["in", "--every", "0"], "--every must be seconds, more than 0, got 0"),
        (["in", "--settle", "-1"], "--settle must be seconds, more than 0, got -1"),
        (["in", "--settle", "nan"], "--settle must be seconds, more than 0, got nan"),
        (["in", "--state", "v.dn2/model.json"], "is no journal of dn2's"),
        (["in", "--state", "v.dn2"], "unable to open database file; name another with --state"),
        (["in", "--false-alarm-rate", "1e-9"], "needs at least"),
        (["in", "--audit", "1"], "--audit must be a whole number of at least 2"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_scored(here, dn2_command, words, refusal):
    done = dn2_command("watch", "v.dn2", *words, "--once")
    assert done.status == 2
    assert refusal in done.err.splitlines()[-1]


def test_a_log_that_would_be_scored_itself_is_refused(here, dn2_command, monkeypatch):
    from dn2.kinds.vector.kind import VectorKind

    monkeypatch.setattr(VectorKind, "suffixes", frozenset({".npy", ".jsonl"}))  # as messages have
    done = dn2_command("watch", "v.dn2", "in", "--once", "-o", "in/log.jsonl")
    assert (done.status, "would be scored itself; write it elsewhere" in done.err) == (2, True)


def test_the_model_comes_first(here, dn2_command):
    done = dn2_command("watch", "in", "v.dn2", "--once")
    assert (done.status, "the model comes first; dn2 watch v.dn2 in" in done.err) == (2, True)


def test_a_second_watch_of_a_folder_is_refused(here, dn2_command):
    journal = Journal(here / "in" / ".dn2-watch.sqlite")
    done = dn2_command("watch", "v.dn2", "in", "--once")
    journal.close()
    assert (done.status, "another dn2 watch uses the journal in/.dn2-watch.sqlite" in done.err) == (2, True)


def started(*words: object) -> subprocess.Popen[str]:
    return start_python(DN2, "watch", "v.dn2", "in", "-o", "log.jsonl", *words, *QUICK)


def test_a_watch_ends_in_good_order_when_it_is_asked_to(here):
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        Path("log.jsonl").unlink(missing_ok=True)
        Path("in/.dn2-watch.sqlite").unlink(missing_ok=True)
        process = started()
        wait_for(lambda: Path("log.jsonl").exists() and len(items()) == 2)
        process.send_signal(number)
        words = process.communicate(timeout=20)[1]
        assert process.returncode == status
        assert "2 files scored, 1 rejected" in words
        assert ("dn2: stopped; the same command goes on" in words) == (status == 130)
        assert not Path("in/.dn2-watch.sqlite-wal").exists()


# Kills the process once it has recorded results, or written them to the log, and before it notes that.
KILLED = """
import os, signal, sys
from dn2.monitor.journal import Journal
from dn2.monitor.sinks import Log
def killing(work):
    def worked(*given):
        work(*given)
        os.kill(os.getpid(), signal.SIGKILL)
    return worked
if sys.argv.pop(1) == "recorded":
    Journal.record = killing(Journal.record)
else:
    Log.send = killing(Log.send)
from dn2.cli import main
main()
"""


@pytest.mark.parametrize("step", ["recorded", "written to the log"])
def test_a_kill_at_any_moment_leaves_no_file_twice_or_never(here, step, dn2_command):
    for number in range(6):
        np.save(f"in/{number}.npy", rows(number, 2))
    words = ["watch", "v.dn2", "in", "-o", "log.jsonl", "--once", *QUICK]
    process = start_python(KILLED, step, *words)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert dn2_command(*words).status == 0
    expected = [f"{number}.npy:{row}" for number in range(6) for row in (1, 2)] + ["good.npy:1", "odd.npy:1"]
    assert sorted(items()) == expected
    assert [message["sequence"] for message in log()] == list(range(1, 15))


def test_a_journal_of_another_model_is_refused_for_its_files_would_never_be_scored(here, dn2_command):
    dn2_command("watch", "v.dn2", "in", "--once", "-o", "log.jsonl", *QUICK)
    shutil.copytree("v.dn2", "other.dn2")
    done = dn2_command("watch", "other.dn2", "in", "--once", "-o", "log.jsonl", *QUICK)
    assert done.status == 2
    assert "were scored by the model v.dn2, not other.dn2: name a journal of its own with --state" in done.err
    assert dn2_command("watch", "v.dn2", "in", "--once", "-o", "log.jsonl", *QUICK).status == 0

"""The cache: bounded, shared, and never a reason for a run to fail."""

from __future__ import annotations

import copy
import hashlib
import itertools
import logging
import os
import pickle
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

import dn2
from dn2 import Cache
from dn2.store import cache as cache_module
from dn2.store import sqlite
from small_models import start_python

# Puts batches of 20 entries until it is killed; the value of a key follows from the key.
WRITER = """
import hashlib, itertools, sys
from dn2.store.cache import Cache
cache = Cache(sys.argv[1])
print("ready", flush=True)
for batch in itertools.islice(itertools.count(), int(sys.argv[3])):
    keys = [hashlib.sha256(f"{sys.argv[2]} {batch} {number}".encode()).digest() for number in range(20)]
    cache.put({key: key * (1 + key[0]) for key in keys})
cache.close()
"""


def value_of(key: bytes) -> bytes:
    return key * (1 + key[0])


def keys_of(name: str, batches: int) -> list[bytes]:
    return [hashlib.sha256(f"{name} {b} {n}".encode()).digest() for b in range(batches) for n in range(20)]


def keys_in(path: Path) -> list[bytes]:
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [key for (key,) in connection.execute("SELECT key FROM entries ORDER BY used, key")]
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache.sqlite"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every put happen a second after the one before."""
    monkeypatch.setattr(cache_module.time, "time", itertools.count(1.0).__next__)


def test_what_was_put_is_got_and_nothing_else(path: Path) -> None:
    cache = Cache(path)
    cache.put({b"a": b"1", b"b": b"", b"c": bytes(range(256))})
    assert [cache.get(key) for key in (b"a", b"b", b"c", b"d", b"")] == [b"1", b"", bytes(range(256)), None, None]


def test_a_later_value_replaces_an_earlier_one(path: Path) -> None:
    cache = Cache(path)
    cache.put({b"a": b"1"})
    cache.put({b"a": b"2"})
    assert cache.get(b"a") == b"2"


def test_another_cache_of_the_same_file_sees_what_was_put(path: Path) -> None:
    one, other = Cache(path), Cache(str(path))
    one.put({b"a": b"1"})
    assert other.get(b"a") == b"1"


def test_the_environment_names_the_folder_of_the_default_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DN2_CACHE", str(tmp_path / "mine"))
    assert Cache().path == tmp_path / "mine" / "cache.sqlite"
    assert (tmp_path / "mine" / "cache.sqlite").is_file()


def test_the_least_recently_used_entries_go_first(path: Path, clock: None) -> None:
    cache = Cache(path)
    for number in range(20):
        cache.put({b"%02d" % number: bytes(4000)})
    assert cache.get(b"00") is not None  # used again, so the oldest is now 01
    cache.put({b"20": bytes(4000)})
    cache.max_bytes = 1 << 16
    cache.put({b"21": bytes(4000)})
    left = [number for number in range(22) if cache.get(b"%02d" % number) is not None]
    assert left == [0, *range(22 - len(left) + 1, 22)]
    assert 5 < len(left) < 16


def test_the_file_stays_within_its_bound_and_keeps_the_newest(path: Path, clock: None) -> None:
    bound, batch = 200_000, 10 * 2000
    cache = Cache(path, max_bytes=bound)
    for start in range(0, 1000, 10):
        cache.put({b"%d" % number: bytes(2000) for number in range(start, start + 10)})
        assert all(cache.get(b"%d" % number) is not None for number in range(start, start + 10))
    cache.close()
    assert bound / 2 < path.stat().st_size <= bound + 2 * batch
    assert 40 < len(keys_in(path)) < 100


def test_a_batch_larger_than_the_bound_leaves_a_small_file_and_a_working_cache(path: Path) -> None:
    cache = Cache(path, max_bytes=50_000)
    cache.put({b"%d" % number: bytes(5000) for number in range(100)})
    cache.put({b"a": b"1"})
    assert cache.get(b"a") == b"1"
    cache.close()
    assert len(keys_in(path)) < 10


@pytest.mark.parametrize("damage", [b"no database at all. " * 500, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_started_afresh_with_a_warning(
    path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    cache = Cache(path)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "damaged" in record.message
    assert str(path) in record.message
    cache.put({b"a": b"1"})
    cache.close()
    caplog.clear()
    assert Cache(path).get(b"a") == b"1"
    assert not caplog.records


def test_damage_that_shows_only_later_does_not_end_the_run(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(path)
    cache.put({key: value_of(key) for key in keys_of("x", 20)})
    cache.close()
    data = bytearray(path.read_bytes())
    data[8192:] = os.urandom(len(data) - 8192)  # the schema is whole, the entries are not
    path.write_bytes(data)
    cache = Cache(path)
    assert all(cache.get(key) in (None, value_of(key)) for key in keys_of("x", 20))
    assert "damaged" in caplog.text
    cache.put({b"a": b"1"})
    assert cache.get(b"a") == b"1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "cache.sqlite"
    cache = Cache(path)
    cache.put({key: key * 7 for key in keys_of("whole", 2)})
    cache.close()
    return path.read_bytes()


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_becomes_a_value(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flipped") / "cache.sqlite"
    data = bytearray(whole)
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    cache = Cache(path)
    assert all(cache.get(key) in (None, key * 7) for key in keys_of("whole", 2))
    cache.close()


def test_a_locked_file_is_gone_on_without_and_left_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (cache_module, sqlite):
        monkeypatch.setattr(module, "SECONDS_TO_WAIT", 0.05)
    cache = Cache(path)
    cache.put({b"a": b"1"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    cache.put({b"b": b"2"})
    assert [cache.get(b"a"), cache.get(b"b")] == [None, None]
    assert "going on without the cache" in caplog.text
    assert len(caplog.records) == 1
    other.execute("COMMIT")
    other.close()
    assert Cache(path).get(b"a") == b"1"


@pytest.mark.parametrize("place", ["/proc/dn2/cache.sqlite", "{tmp}/file/cache.sqlite", "{tmp}"])
def test_a_place_that_cannot_be_written_is_gone_on_without(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = Cache(place.format(tmp=tmp_path))
    cache.put({b"a": b"1"})
    assert cache.get(b"a") is None
    cache.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "going on without the cache" in caplog.text


def test_a_full_disk_is_gone_on_without(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache(path)
    connection = cache._file.get().connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 10")
    cache.put({b"a": bytes(1 << 20)})
    cache.put({b"b": b"2"})
    assert cache.get(b"a") is None
    assert "full" in caplog.text
    assert Cache(path).get(b"b") is None


def test_two_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    writers = [start_python(WRITER, path, name, 15) for name in ("one", "two")]
    outputs = [writer.communicate(timeout=60) for writer in writers]
    assert [(writer.returncode, *output) for writer, output in zip(writers, outputs, strict=True)] == [
        (0, "ready\n", "")
    ] * 2
    cache = Cache(path)
    assert all(cache.get(key) == value_of(key) for name in ("one", "two") for key in keys_of(name, 15))
    cache.close()
    assert len(keys_in(path)) == 2 * 15 * 20


def test_a_file_that_another_writes_before_it_has_a_log_is_waited_for(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    later = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    later.start()
    cache = Cache(path)
    later.join()
    cache.put({b"a": b"1"})
    assert cache.get(b"a") == b"1"
    assert not caplog.records
    cache.close()
    other.close()


def test_a_killed_writer_leaves_a_cache_that_opens_with_whole_entries_only(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(1)
    counts = [0]
    for round_ in range(5):
        writer = start_python(WRITER, path, round_, 10**9)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        while not keys_in(path):  # where the first writer had no turn
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        cache = Cache(path)
        keys = keys_in(path)
        assert all(cache.get(key) == value_of(key) for key in keys)
        assert len(keys) % 20 == 0  # a batch is there whole or not at all
        cache.close()
        counts.append(len(keys))
    assert counts == sorted(counts)
    assert counts[-1] > 0
    assert not caplog.records


def test_threads_share_one_cache(path: Path) -> None:
    cache = Cache(path)
    wrong: list[bytes] = []

    def work(name: str) -> None:
        for batch in range(10):
            keys = keys_of(name, batch + 1)[-20:]
            cache.put({key: value_of(key) for key in keys})
            wrong.extend(key for key in keys if cache.get(key) != value_of(key))

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    cache.close()
    assert len(keys_in(path)) == 4 * 10 * 20


def test_closing_keeps_what_was_put_and_notes_what_was_used(path: Path, clock: None) -> None:
    cache = Cache(path)
    cache.put({b"a": b"1"})
    cache.put({b"b": b"2"})
    assert cache.get(b"a") == b"1"
    cache.close()
    assert keys_in(path) == [b"b", b"a"]  # by last use
    cache.put({b"c": b"3"})
    assert cache.get(b"a") is None
    cache.close()
    assert Cache(path).get(b"c") is None


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))])  # noqa: S301
def test_a_copy_of_a_cache_is_a_working_cache_of_the_same_file(path: Path, duplicate) -> None:
    cache = Cache(path, max_bytes=1 << 20)
    cache.put({b"a": b"1"})
    copied = duplicate(cache)
    cache.close()
    assert copied is not cache
    assert (copied.path, copied.max_bytes, copied.get(b"a")) == (path, 1 << 20, b"1")
    copied.put({b"b": b"2"})
    assert Cache(path).get(b"b") == b"2"


def test_an_embedder_with_a_cache_can_be_cloned_and_pickled(path: Path) -> None:
    embedder = dn2.ImageEmbedder(cache=Cache(path))
    for copied in (clone(embedder), copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):  # noqa: S301
        copied.cache.put({b"a": b"1"})
        assert copied.cache.path == path
        assert embedder.cache.get(b"a") == b"1"


def test_a_cache_is_a_cache_or_a_yes_or_no(tmp_path: Path) -> None:
    with pytest.raises(dn2.InputError, match=r"cache must be True, False or a dn2.Cache, got .*; write dn2.Cache"):
        Cache.of(tmp_path / "cache.sqlite")  # type: ignore[arg-type]

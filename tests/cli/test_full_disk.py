"""A disk that is full: one clear line, what was there is whole, and the same command works once there is space."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dn2
from dn2.errors import InputError
from dn2.results.results import Results
from dn2.store.bundle import Bundle
from dn2.store.cache import Cache

SIZE = 2 << 20  # bytes
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no small disk can be made here: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def disk(mounted: Path) -> Path:
    """The same, empty."""
    subprocess.run(["find", str(mounted), "-mindepth", "1", "-delete"], check=True)
    return mounted


def fill(disk: Path, free: int = 0) -> Path:
    """Take all space but some bytes; returns the file that does."""
    blocker = disk / "blocker"
    with open(blocker, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    with open(blocker, "r+b") as file:
        file.truncate(max(0, blocker.stat().st_size - free))
    return blocker


def write_vectors(path: Path, count: int, first: int = 0) -> Path:
    names = np.array([f"v{first + row}" for row in range(count)])
    np.savez(path, embeddings=RNG.standard_normal((count, 64)).astype(np.float32), items=names)
    return path


def only_refused(disk: Path, done: object, model: Path) -> None:
    status, out, err = done
    assert (status, out) == (2, "")
    assert err == f"dn2: the model {model} cannot be written: No space left on device\n"


def test_a_fit_without_space_leaves_no_model_and_works_later(dn2_command, disk: Path, tmp_path: Path) -> None:
    vectors, model = write_vectors(tmp_path / "v.npz", 2000), disk / "m.dn2"
    blocker = fill(disk, free=100_000)
    only_refused(disk, dn2_command("fit", vectors, "-o", model), model)
    assert [path.name for path in model.iterdir()] == []
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        dn2.fit(vectors).save(model)
    blocker.unlink()
    assert dn2_command("fit", vectors, "-o", model).status == 0
    assert Bundle(model).problems() == []
    assert len(dn2.load(model).items) == 2000


@pytest.mark.parametrize("free", [0, 40_000, 100_000])
def test_an_add_without_space_leaves_the_old_model_and_works_later(
    dn2_command, disk: Path, tmp_path: Path, free: int
) -> None:
    model = disk / "m.dn2"
    dn2.fit(write_vectors(tmp_path / "v.npz", 1000)).save(model)
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    more = write_vectors(tmp_path / "more.npz", 500, first=1000)
    blocker = fill(disk, free=free)
    only_refused(disk, dn2_command("add", model, more), model)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before  # no litter either
    loaded = dn2.load(model).add(more)
    with pytest.raises(InputError, match=f"the model {model} cannot be written: No space left on device"):
        loaded.save(model)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    blocker.unlink()
    loaded.save(model)
    assert len(dn2.load(model).items) == 1500
    assert dn2_command("remove", model, *(f"v{row}" for row in range(1000, 1500))).status == 0
    assert dn2_command("add", model, more).status == 0
    assert Bundle(model).problems() == []


def test_what_a_killed_save_left_on_a_full_disk_is_in_nobodys_way(dn2_command, disk: Path, tmp_path: Path) -> None:
    model = disk / "m.dn2"
    dn2.fit(write_vectors(tmp_path / "v.npz", 1000)).save(model)
    (model / "reference-0123456789abcdef.safetensors.tmp").write_bytes(bytes(1 << 20))  # more than there is left then
    blocker = fill(disk)
    more = write_vectors(tmp_path / "more.npz", 500, first=1000)
    only_refused(disk, dn2_command("add", model, more), model)
    assert dn2_command("add", model, more).status == 0  # with the blocker still there
    assert blocker.exists()
    assert len(dn2.load(model).items) == 1500


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_results_without_space_leave_the_old_file(dn2_command, disk: Path, tmp_path: Path, ending: str) -> None:
    vectors = write_vectors(tmp_path / "v.npz", 1000)
    dn2.fit(vectors).save(tmp_path / "m.dn2")
    results = disk / f"r{ending}"
    results.write_bytes(b"of yesterday")
    blocker = fill(disk, free=8192)
    status, out, err = dn2_command("score", tmp_path / "m.dn2", vectors, "-o", results)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{results} cannot be written" in err
    assert "No space left on device" in err
    assert {path.name for path in disk.iterdir()} == {"blocker", results.name}
    assert results.read_bytes() == b"of yesterday"
    blocker.unlink()
    assert dn2_command("score", tmp_path / "m.dn2", vectors, "-o", results).status == 0
    assert len(results.read_bytes()) > 8192


def test_a_report_without_space_is_one_line(dn2_command, disk: Path, tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path / "v.npz", 1000)
    dn2.fit(vectors).save(tmp_path / "m.dn2")
    fill(disk, free=8192)
    status, _, err = dn2_command("score", tmp_path / "m.dn2", vectors, "--report", disk / "r.html")
    assert (status, "Traceback" in err) == (2, False)
    assert "r.html cannot be written: No space left on device" in err
    assert [path.name for path in disk.iterdir()] == ["blocker"]


@pytest.mark.parametrize("free", [0, 65_536, 200_000])
def test_a_cache_without_space_is_gone_without(
    disk: Path, world: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, free: int
) -> None:
    monkeypatch.setenv("DN2_CACHE", str(disk / "cache"))
    fill(disk, free=free)
    expected = dn2.fit(world / "normal", backbone=str(world / "tiny.onnx"), cache=None).score(world / "other")
    with caplog.at_level(logging.WARNING, "dn2"):
        cache = Cache()
        found = dn2.fit(world / "normal", backbone=str(world / "tiny.onnx"), cache=cache).score(world / "other")
        cache.put({bytes([number]): os.urandom(100_000) for number in range(4)})
        cache.close()
    assert isinstance(found, Results)
    assert [*found] == [*expected]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"going on without the cache {disk / 'cache'}")
    assert "full" in message or "No space left" in message or "disk I/O" in message or "unable to open" in message

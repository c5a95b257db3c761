"""Which files of a folder are finished: looked at with a clock that the tests turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dn2.monitor.arriving import Arrivals, Arrived


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path: Path, clock: Clock) -> Arrivals:
    return Arrivals(tmp_path, {".png"}, settle=2.0, patience=30.0, clock=clock)


def names(files: list[Arrived]) -> list[str]:
    return [file.name for file in files]


def write(path: Path, text: str, changed: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if changed is not None:
        os.utime(path, ns=(changed, changed))


def never(_: Arrived) -> bool:
    return False


def test_a_file_is_finished_once_it_has_not_changed_for_a_while(arrivals, clock, tmp_path):
    write(tmp_path / "a.png", "half")
    assert arrivals.look(never) == []
    clock.now += 1.9
    assert arrivals.look(never) == []
    write(tmp_path / "a.png", "half, and a half")
    clock.now += 0.2
    assert arrivals.look(never) == []  # it is another since
    clock.now += 2.0
    assert names(arrivals.look(never)) == ["a.png"]
    assert names(sorted(arrivals.waiting)) == ["a.png"]


def test_a_file_of_the_same_size_that_was_written_again_is_not_finished(arrivals, clock, tmp_path):
    write(tmp_path / "a.png", "one", changed=10**18)
    arrivals.look(never)
    write(tmp_path / "a.png", "two", changed=10**18 + 1)
    clock.now += 2.0
    assert arrivals.look(never) == []


def test_files_come_in_the_order_in_which_they_were_written(arrivals, clock, tmp_path):
    for name, changed in (("b", 3), ("c", 1), ("sub/a", 2), ("a", 3)):
        write(tmp_path / f"{name}.png", name, changed * 10**9)
    arrivals.look(never)
    clock.now += 2.0
    assert names(arrivals.look(never)) == ["c.png", "sub/a.png", "a.png", "b.png"]


def test_what_is_done_is_not_given_again_and_what_goes_is_forgotten(arrivals, clock, tmp_path):
    write(tmp_path / "a.png", "a")
    write(tmp_path / "b.png", "b")
    arrivals.look(never)
    clock.now += 2.0
    assert names(arrivals.look(lambda file: file.name == "a.png")) == ["b.png"]
    (tmp_path / "b.png").unlink()
    assert arrivals.look(lambda file: file.name == "a.png") == []
    assert {file.name for file in arrivals.present} == {"a.png"}


def test_hidden_files_other_endings_and_what_is_excluded_are_no_items(tmp_path, clock):
    for name in (".a.png", ".sub/a.png", "a.txt", "a.png.part", "a_mask.png", "aside/a.png", "kept/A.PNG"):
        write(tmp_path / name, "x")
    arrivals = Arrivals(tmp_path, {".png"}, ["*_mask.png"], [tmp_path / "aside"], clock=clock)
    arrivals.look(never)
    clock.now += 2.0
    assert names(arrivals.look(never)) == ["kept/A.PNG"]


def test_a_file_that_cannot_be_read_is_tried_once_more_much_later(arrivals, clock, tmp_path):
    write(tmp_path / "a.png", "half")
    arrivals.look(never)
    clock.now += 2.0
    (file,) = arrivals.look(never)
    assert arrivals.put_back(file)
    clock.now += 27.0
    assert arrivals.look(never) == []
    clock.now += 1.5
    assert arrivals.look(never) == [file]
    assert not arrivals.put_back(file)


def test_a_folder_that_cannot_be_read_is_said_once(arrivals, tmp_path, caplog, monkeypatch):
    (tmp_path / "sub").mkdir()
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for _ in range(3):
        arrivals.look(never)
    assert caplog.text.count("cannot be read: Permission denied") == 1
    monkeypatch.undo()
    arrivals.look(never)
    monkeypatch.setattr(os, "scandir", refuse)
    arrivals.look(never)
    assert caplog.text.count("cannot be read: Permission denied") == 2


def test_what_is_no_regular_file_is_passed_over(arrivals, clock, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    arrivals.look(never)
    clock.now += 2.0
    assert arrivals.look(never) == []
    assert arrivals.state(Arrived("pipe.png", 0, 0)) is None

"""What only the real command shows: its exit, its pipes, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dn2
from dn2.kinds.image.pipeline import WINDOW
from small_models import start_python, write_digits

DN2 = Path(sys.executable).parent / "dn2"
MANY = 250
KILLS = 2
SMALL = "lite0@64"  # a tenth of the time of lite0

# Runs `dn2`, noting in a file, which outlives a kill, each picture that the network is given; after some it is killed.
COUNTING = """
import os, signal, sys
from dn2.networks.openvino import Network
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
left = int(sys.argv.pop(1))
start = Network.start
def counted(self, pixels, receive):
    global left
    os.write(log, b".")
    start(self, pixels, receive)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
Network.start = counted
from dn2.cli import main
main()
"""
GOLDEN = 4  # pictures embedded at a save or a load besides those of the run


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DN2, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def vectors_in(cache: Path) -> int:
    """Count the embeddings in a cache; thumbnails are JPEG files."""
    if not (cache / "cache.sqlite").exists():
        return 0
    connection = sqlite3.connect(cache / "cache.sqlite", timeout=60)
    try:
        query = "SELECT count(*) FROM entries WHERE substr(value, 1, 3) != x'ffd8ff'"
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # killed before the table was made
        return 0
    finally:
        connection.close()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures to fit on and as many others."""
    folder = tmp_path_factory.mktemp("many")
    write_digits(folder / "normal", range(MANY))
    write_digits(folder / "incoming", range(MANY, 2 * MANY))
    return folder


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of 40 vectors, which takes the shortest to load."""
    folder = tmp_path_factory.mktemp("vectors") / "v.dn2"
    dn2.fit(np.random.default_rng(0).normal(size=(40, 4))).save(folder)
    return folder


def test_the_command_is_installed_and_starts_at_once() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{dn2.__version__}\n", "")


def test_a_refusal_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    done = run("score", tmp_path / "nothing.dn2", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"dn2: there is no model .*: the folder does not exist; .*\n", done.stderr)


def test_a_reader_that_stops_early_sees_no_traceback(saved: Path, world: Path) -> None:
    reader, writer = os.pipe()
    command = [DN2, "score", saved, world / "normal", "--json"]
    process = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(reader)
    os.close(writer)
    words = process.communicate(timeout=60)[1]
    assert words == "" or words.endswith("\n40 images, 0 anomalous at 1 false alarm in 41\n")
    assert process.returncode == -signal.SIGPIPE
    shell = f"{DN2} score {saved} {world / 'normal'} | head -1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("item")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_what_is_piped_is_utf_8_whatever_the_locale(saved: Path, world: Path, tmp_path: Path) -> None:
    name = "é 日本 😀.png"
    shutil.copy(next((world / "other").iterdir()), tmp_path / name)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [DN2, "score", saved, tmp_path / name, "--json"]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert json.loads(done.stdout.decode("utf-8"))["item"].endswith(name)


# Runs `dn2`, which interrupts itself as it imports a module, as it embeds, or as it ends.
INTERRUPTING = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
moment = sys.argv.pop(1)
def interrupt(): os.kill(os.getpid(), signal.SIGINT)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            sys.meta_path.remove(self)
            interrupt()
sys.meta_path.insert(0, Finder())
if moment == "callback":  # which drops what is raised
    from dn2.store import bundle
    read = bundle.read
    class Dies:
        def __del__(self): interrupt()
    bundle.read = lambda *arguments: Dies() and read(*arguments)
if moment == "embedding":
    from itertools import count
    from dn2.networks.openvino import Network
    start, number = Network.start, count()
    Network.start = lambda *arguments: interrupt() if next(number) == 200 else start(*arguments)
from dn2.cli.main import main
if moment == "end":
    atexit.register(interrupt)
main()
"""


@pytest.mark.parametrize("moment", ["logging", "typer", "numpy", "callback", "end"])
def test_an_interrupt_at_whatever_moment_ends_a_run_without_a_traceback(moment: str, vectors: Path) -> None:
    process = start_python(INTERRUPTING, moment, "inspect", vectors, "--items")
    out, err = process.communicate(timeout=60)
    assert process.returncode == (0 if moment == "end" else 130)
    said = "dn2: stopped; nothing was written\n"
    assert err in ([""] if moment in ("logging", "end") else ["", said] if moment == "typer" else [said])
    assert out.count("\n") == (40 if moment == "end" else 0)


def test_an_interrupt_ends_a_run_that_can_go_on_and_what_is_embedded_is_kept(
    many: Path, saved: Path, own_cache: Path, tmp_path: Path
) -> None:
    process = start_python(INTERRUPTING, "embedding", "score", saved, many / "incoming", "-o", tmp_path / "r.csv")
    assert process.communicate(timeout=60) == ("", "dn2: stopped; the same command goes on\n")
    assert process.returncode == 130
    assert not (tmp_path / "r.csv").exists()
    assert 200 - WINDOW <= vectors_in(own_cache) <= 200


def test_an_interrupt_that_is_to_be_ignored_is_ignored(vectors: Path) -> None:
    ignoring = INTERRUPTING.replace("signal.default_int_handler", "signal.SIG_IGN")
    process = start_python(ignoring, "numpy", "inspect", vectors, "--items")
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def test_who_interrupts_again_does_not_wait(vectors: Path, tmp_path: Path) -> None:
    """As the tidying up of the first interrupt takes its time."""
    code = (
        INTERRUPTING.replace("main()\n", "import dn2.cli.app, time\n")
        + """
def slow(*_, **__):
    try:
        interrupt(); time.sleep(600)
    finally:
        print("tidies up", flush=True); time.sleep(600)
dn2.cli.app.load = slow
main()
"""
    )
    process = start_python(code, "never", "inspect", vectors)
    assert process.stdout is not None
    assert process.stdout.readline() == "tidies up\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


def killed_and_repeated(arguments: list[object], count: int, folder: Path) -> str:
    """Kill a command at random moments, let it finish, and check that little was computed again.

    Returns what the last run wrote to stderr."""
    cache, log = folder / "cache", folder / "log"
    rng = random.Random(3)
    computed = kept = 0
    for _ in range(KILLS):
        last = round(rng.uniform(0.1, 0.9) * (count - kept))
        process = start_python(COUNTING, log, last, *arguments, cache=cache)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        before, computed, kept_before, kept = computed, log.stat().st_size, kept, vectors_in(cache)
        assert computed - before - (kept - kept_before) <= WINDOW + GOLDEN
    assert WINDOW <= kept < count  # something was kept, something left to do
    process = start_python(COUNTING, log, 0, *arguments, cache=cache)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")
    assert log.stat().st_size - computed == count - kept + GOLDEN
    assert vectors_in(cache) == count
    return err


def test_a_fit_killed_again_and_again_finishes_as_if_nothing_had_happened(many: Path, tmp_path: Path) -> None:
    target = tmp_path / "killed.dn2"
    killed_and_repeated(["fit", many / "normal", "-o", target, "--backbone", SMALL], MANY, tmp_path)
    dn2.fit(many / "normal", backbone=SMALL).save(tmp_path / "undisturbed.dn2")
    expected = {path.name: path.read_bytes() for path in (tmp_path / "undisturbed.dn2").iterdir()}
    assert {path.name: path.read_bytes() for path in target.iterdir()} == expected


def test_a_score_killed_again_and_again_finishes_as_if_nothing_had_happened(
    many: Path, world: Path, tmp_path: Path
) -> None:
    model, target = tmp_path / "zeros.dn2", tmp_path / "killed.csv"
    dn2.fit(world / "normal", backbone=SMALL).save(model)
    err = killed_and_repeated(["score", model, many / "incoming", "-o", target], MANY, tmp_path)
    assert f"{MANY} images, " in err
    dn2.load(model).score(many / "incoming").to_csv(tmp_path / "undisturbed.csv")
    assert target.read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()


@pytest.mark.xdist_group("browser")  # with the tests that look at its page
def test_the_demo_tells_the_whole_story(demo_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = demo_run
    assert (done.returncode, re.sub(r"(embedding|scoring): .*\n", "", done.stderr)) == (0, "")
    assert "1. Normal is the digit 3: 137 pictures in dn2-demo/normal" in done.stdout
    assert "2. Scoring 1,660 pictures of all ten digits in dn2-demo/incoming" in done.stdout
    assert re.search(r"1,660 images, [\d,]+ anomalous at 1 false alarm in 20; all", done.stdout)
    figures = dict(re.findall(r"^(\S.*?) {2,}(\S+)", done.stdout, re.MULTILINE))
    assert (figures["normal items"], figures["anomalous items"]) == ("46", "1,614")
    assert float(figures["ROC AUC"]) > 0.95
    assert float(figures["false alarms at 1 in 20 asked"]) < 0.15
    assert float(figures["anomalies detected at 1 in 20"]) > 0.6
    assert (folder / "dn2-demo" / "results.csv").read_text().count("\n") == 1661
    assert len(dn2.load(folder / "dn2-demo" / "digits.dn2").items) == 137
    assert vectors_in(folder / "cache") == 1797

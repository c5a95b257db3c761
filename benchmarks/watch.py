"""A watch that is killed, one whom nobody answers, and how fast it is: no file twice, none never, nothing lost.

Run: python benchmarks/watch.py [--only kills outage pace]

Kills: `dn2 watch` is ended by `kill -9` at random moments, 20 times, while pictures are written into its folder, every
third of them in two halves with a pause, sometimes a longer one than the watch takes for the end of a file.  Outage:
the webhook and the broker, Debian's mosquitto, are dead for ten minutes while files arrive.  Pace: a folder of pictures
by `dn2 watch --once` and by `dn2 score`, without the cache.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dn2
from common import CIFAR10, Missing, Report, Run, begin, from_tests, run_dn2

PARTS_OF_RUN = ("kills", "outage", "pace")
QUICK = ("--settle", "0.3", "--every", "0.1")
TOPIC = "line1"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    only : parts of the benchmark; backbone : of the model; reference : pictures of it.
    kills : how often the watch is killed; each : seconds between two pictures meanwhile.
    outage : seconds for which nobody answers; between : seconds between two files meanwhile.
    pictures : of the folder whose pace is measured; repeats : how often it is."""

    only: tuple[str, ...] = PARTS_OF_RUN
    backbone: str = "lite0"
    reference: int = 200
    kills: int = 20
    each: float = 0.05
    outage: float = 600.0
    between: float = 1.0
    pictures: int = 2_000
    repeats: int = 3


SMALLEST = Sizes(backbone="lite0@32", reference=20, kills=1, outage=0.5, between=0.1, pictures=10, repeats=1)


@contextmanager
def watching(words: Sequence[object], lines: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `dn2 watch` in a process of its own inside; lines : the file that what it says is added to."""
    command = [sys.executable, "-c", "import dn2.cli; dn2.cli.main()", "watch", *map(str, words)]
    with open(lines, "ab") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            yield process
        finally:
            process.kill()


class Camera(threading.Thread):
    """Copies pictures into a folder, one after the other; every third in two halves, with a pause between.

    pictures : to copy, over and over under new names; each : seconds between two; names : of those that are whole."""

    def __init__(self, pictures: Sequence[Path], folder: Path, each: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.names: list[str] = []
        self._pictures, self._folder, self._each = pictures, folder, each
        self._rng, self._ending = random.Random(seed), threading.Event()

    def run(self) -> None:
        """Copy until the end."""
        while not self._ending.is_set():
            number = len(self.names)
            picture = self._pictures[number % len(self._pictures)]
            target = self._folder / f"{number // 100:03d}" / f"{number:05d}{picture.suffix}"
            target.parent.mkdir(exist_ok=True)
            data = picture.read_bytes()
            with open(target, "wb") as file:
                if number % 3 == 0:
                    file.write(data[: len(data) // 2])
                    file.flush()
                    time.sleep(self._rng.choice((0.05, 0.2, 0.5)))
                    file.write(data[len(data) // 2 :])
                else:
                    file.write(data)
            self.names.append(target.relative_to(self._folder).as_posix())
            self._ending.wait(self._each)

    def end(self) -> None:
        """Copy the last one, and end."""
        self._ending.set()
        self.join()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a log."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def measure_kills(run: Run[Sizes], report: Report, model: Path, pictures: Sequence[Path], place: Path) -> None:
    """Kill the watch while files are written, and look for what is there twice, or not at all."""
    sizes, rng = run.sizes, random.Random(0)
    folder, log, moved, lines = place / "incoming", place / "log.jsonl", place / "moved", place / "said.txt"
    folder.mkdir(parents=True)
    hook = from_tests("small_sinks").Hook()
    camera = Camera(pictures, folder, sizes.each, 1)
    with hook.open() as url:
        words = [model, folder, "-o", log, "--move-anomalies", moved, "--webhook", url, *QUICK]
        camera.start()
        for _ in range(sizes.kills):
            with watching(words, lines) as process:
                time.sleep(rng.uniform(1.5, 4.0) if not run.smallest else 0.8)
                os.kill(process.pid, signal.SIGKILL)
        camera.end()
        run_dn2(["watch", *map(str, words), "--once"], here=run.smallest)
    messages = read_log(log)
    items = [message["item"] for message in messages]
    sequences = [message["sequence"] for message in messages]
    twice, never = len(items) - len(set(items)), len(set(camera.names) - set(items))
    rejected = {message["item"] for message in messages if message["decision"] == "reject"}
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    there = {path.relative_to(moved).as_posix() for path in moved.rglob("*.png")}
    posted = [message["sequence"] for message in hook.messages]
    first = list(dict.fromkeys(posted))
    errors = sum(message["decision"] == "error" for message in messages)
    report.say(
        f"\nkills: {sizes.kills} of the watch while {len(camera.names):,} pictures were written, a third in halves"
    )
    report.say(f"  in the log      {len(items):,} results: {twice} twice, {never} never, {errors} half read")
    report.say(f"  moved           {len(there):,} of {len(rejected):,} rejected, and {len(there - rejected)} others")
    again = len(posted) - len(first)
    report.say(f"  to the webhook  {len(first):,} results, in order: {first == sequences}; {again} sent again")
    report.claim(not twice and not never and not errors, "each file is to be scored exactly once")
    report.claim(sequences == sorted(set(sequences)), "the log is to be in order")
    report.claim(there == rejected and not left & rejected, "what is rejected is to be moved")
    report.claim(first == sequences, "the webhook is to be given each result, in order")
    report.save()


def measure_outage(run: Run[Sizes], report: Report, model: Path, pictures: Sequence[Path], place: Path) -> None:
    """Let nobody answer for a while, and look for what is lost, and for the order."""
    sizes, sinks = run.sizes, from_tests("small_sinks")
    folder, log, lines = place / "incoming", place / "log.jsonl", place / "said.txt"
    folder.mkdir(parents=True)
    hook = sinks.Hook(sinks.free_port())
    broker = None if sinks.MOSQUITTO is None else sinks.Broker(place / "broker")
    if broker is None and not run.smallest:
        raise Missing("mosquitto is absent; install Debian's")
    words: list[object] = [model, folder, "-o", log, "--webhook", f"http://127.0.0.1:{hook.port}/hook", *QUICK]
    listener = None
    if broker is not None:
        broker.start()
        listener = sinks.Listener(broker.port, f"{TOPIC}/#")
        words += ["--mqtt", f"mqtt://127.0.0.1:{broker.port}/{TOPIC}"]
    camera = Camera(pictures, folder, sizes.between, 2)

    def delivered() -> list[list[int]]:
        of_broker = [] if listener is None else [message["sequence"] for message in listener.of(f"{TOPIC}/items")]
        return [[message["sequence"] for message in hook.messages], of_broker]

    try:
        with watching(words, lines) as process:
            with hook.open():
                camera.start()
                sinks.wait_for(lambda: hook.messages and (listener is None or delivered()[1]), 60)
            if broker is not None:
                broker.stop()
            before = [len(one) for one in delivered()]
            time.sleep(sizes.outage)
            meanwhile = len(read_log(log))
            if broker is not None:
                broker.start()
            with hook.open():
                camera.end()
                whole = len(camera.names)
                back = time.monotonic()
                sinks.wait_for(lambda: log.exists() and len(read_log(log)) >= whole, 60)
                sinks.wait_for(lambda: all(len(set(one)) >= whole for one in delivered()[: 1 + bool(broker)]), 200)
                took = time.monotonic() - back
                process.send_signal(signal.SIGTERM)
                process.wait(60)
    finally:
        if listener is not None:
            listener.close()
        if broker is not None:
            broker.stop()
    report.say(
        f"\noutage: nobody answered for {sizes.outage:.0f} s; {meanwhile:,} results were in the log by then, "
        f"{whole:,} in the end, all delivered {took:.0f} s after both were back"
    )
    for name, sequences, start in zip(("webhook", "broker"), delivered(), before, strict=True):
        if name == "broker" and broker is None:
            report.say("  broker          no mosquitto here")
            continue
        first = list(dict.fromkeys(sequences))
        lost = whole - len(first)
        report.say(
            f"  {name:<15} {start} results before, then {len(first) - start:,}: {lost} lost, in order: "
            f"{first == sorted(first)}; {len(sequences) - len(first)} sent again"
        )
        report.claim(not lost and first == sorted(first), f"the {name} is to be given each result, in order")
    report.save()


def measure_pace(run: Run[Sizes], report: Report, model: Path, pictures: Sequence[Path], place: Path) -> None:
    """Compare a watch of a folder that is full with scoring the folder."""
    sizes = run.sizes
    folder = place / "incoming"
    folder.mkdir(parents=True)
    for number in range(sizes.pictures):
        picture = pictures[number % len(pictures)]
        shutil.copy(picture, folder / f"{number:05d}{picture.suffix}")
    ways: dict[str, list[float]] = {"dn2 score": [], "dn2 watch --once": []}
    for number in range(sizes.repeats):
        scored = ["score", str(model), str(folder), "-o", str(place / f"{number}.csv"), "--no-cache"]
        ways["dn2 score"].append(run_dn2(scored, here=run.smallest)[0])
        log = str(place / f"{number}.jsonl")
        watched = ["watch", str(model), str(folder), "-o", log, "--once", "--no-cache", *QUICK]
        ways["dn2 watch --once"].append(run_dn2(watched, here=run.smallest)[0])
        (folder / ".dn2-watch.sqlite").unlink()
        assert len(read_log(Path(log))) == sizes.pictures
    report.say(
        f"\npace: {sizes.pictures:,} pictures of 32 x 32, best of {sizes.repeats}, with the start of the program"
    )
    best = {way: min(taken) for way, taken in ways.items()}
    for way, taken in best.items():
        report.say(f"  {way:<18} {taken:6.2f} s  {sizes.pictures / taken:6.0f} pictures/s")
    report.say(f"  ratio              {best['dn2 watch --once'] / best['dn2 score']:.2f}")
    report.save()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all parts, and keep the result after each."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    report, sizes = run.report("watch"), run.sizes
    parts = {"kills": measure_kills, "outage": measure_outage, "pace": measure_pace}
    with run.unpacked(CIFAR10) as data, tempfile.TemporaryDirectory() as folder:
        files = sorted(data.rglob("*.png"))
        normal = [file for file in files if file.parent.name == files[0].parent.name]
        model = Path(folder, "normal.dn2")
        half = min(sizes.reference, len(normal) // 2)
        dn2.fit(normal[:half], backbone=sizes.backbone, false_alarm_rate=0.1, cache=False).save(model)
        pictures = [
            *normal[half:][:1_000],
            *[file for file in files if file.parent.name != normal[0].parent.name][:100],
        ]
        for name in sizes.only:
            parts[name](run, report, model, pictures, Path(folder, name))


if __name__ == "__main__":
    main()

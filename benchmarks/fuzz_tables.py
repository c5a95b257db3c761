"""Damaged tables, messages, vectors, series and results files: each gives values, error rows or one InputError.

Run: python benchmarks/fuzz_tables.py [--count 2000] [--seed 0] [--formats csv npz ...]

Files are written whole by their own libraries and then damaged, by their structure or byte by byte, repeatably: the
seed, the format and a number make a file.  Each is read as `fit` or `score` reads it, by a process that may take 8 GiB
of addresses, and 20 s for a file.  A file counts as slow from 2 s on, as large where memory grew by 300 MiB.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import damaged_files as damaged
import dn2
from common import begin
from dn2.results.files import read_rows

ADDRESSES, SECONDS = 8 << 30, 20.0
SLOW, LARGE = 2.0, 300.0
FINE = ("values", "error rows", "InputError")


class Outcome(NamedTuple):
    """What became of a file: in a word, in how many seconds, with how many MiB, and the traceback of what is wrong."""

    word: str
    seconds: float
    megabytes: float
    told: str = ""


@cache
def model(kind: str) -> Any:
    """Fit a model of a kind."""
    if kind == "text":
        texts = np.array([f"the pump {n} runs at valve {n % 7}" for n in range(damaged.ROWS)])
        return dn2.fit(texts, backbone="characters", column=None)
    if kind == "vector":
        return dn2.fit(np.random.default_rng(0).normal(size=(damaged.ROWS, 4)))
    return dn2.fit({name: cells for name, cells in damaged.table().items() if name != "id"})


def fit(**options: Any) -> Callable[[Path], Any]:
    """Return what fits a model of a file."""
    return lambda path: dn2.fit(str(path), **options)


def score(kind: str) -> Callable[[Path], Any]:
    """Return what scores a file."""
    return lambda path: model(kind).score(str(path))


TABLES = (score("table"), fit(kind="table", id_column="id"), fit(kind="series", time="t"), fit())
VECTORS = (score("vector"), fit(kind="vector"))
TEXTS = (score("text"), fit(kind="text", column="body", id_column="id", backbone="characters"))
RESULTS = (read_rows,)
FORMATS: dict[str, tuple[str, Callable[[random.Random], bytes], Sequence[Callable[[Path], Any]]]] = {
    "csv": ("csv", damaged.csv_file, TABLES),
    "parquet": ("parquet", damaged.parquet_file, TABLES),
    "jsonl": ("jsonl", damaged.jsonl_file, TEXTS),
    "npy": ("npy", damaged.npy_file, VECTORS),
    "npz": ("npz", damaged.npz_file, VECTORS),
    "safetensors": ("safetensors", damaged.safetensors_file, VECTORS),
    "vectors.parquet": ("parquet", damaged.vectors_parquet, VECTORS),
    "results.csv": ("csv", damaged.results_csv, RESULTS),
    "results.jsonl": ("jsonl", damaged.results_jsonl, RESULTS),
    "results.parquet": ("parquet", damaged.results_parquet, RESULTS),
}


def outcome(name: str, seed: int, number: int, folder: Path) -> Outcome:
    """Make a file and read it."""
    ending, make, ways = FORMATS[name]
    path = folder / f"file.{ending}"
    path.write_bytes(make(random.Random(f"{seed} {name} {number}")))
    before, start, told = peak(), time.perf_counter(), ""
    try:
        found = ways[number % len(ways)](path)
        unreadable = getattr(found, "errors", getattr(found, "unreadable", ()))
        word = "error rows" if unreadable else "values"
    except dn2.Dn2Error as error:
        word = "InputError" if isinstance(error, (dn2.InputError, dn2.ReferenceTooSmall)) else type(error).__name__
    except Exception as error:
        word, told = type(error).__name__, traceback.format_exc(limit=-3)
    return Outcome(word, time.perf_counter() - start, peak() - before, told)


def peak() -> float:
    """Return the largest memory that was resident so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(tasks: Connection, folder: Path) -> None:
    """Answer with the outcome of each file that is asked for."""
    logging.disable()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    for kind in ("table", "text", "vector"):
        model(kind)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    tasks.send(None)
    while True:
        tasks.send(outcome(*tasks.recv(), folder))


class Worker:
    """A process that reads files one after the other, and is replaced when one ends it or takes too long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._tasks, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()
        self._tasks.recv()

    def outcome(self, name: str, seed: int, number: int) -> Outcome:
        """Have a file read."""
        self._tasks.send((name, seed, number))
        with contextlib.suppress(EOFError, ConnectionError):
            if self._tasks.poll(SECONDS):
                return Outcome(*self._tasks.recv())
        ended = not self._process.is_alive() or self._tasks.poll(0)
        self.close()
        self._start()
        return Outcome("crash" if ended else "timeout", SECONDS, 0.0)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


@dataclass(frozen=True)
class Sizes:
    """How many files of which formats are made, by which seed."""

    count: int = 2_000
    seed: int = 0
    formats: tuple[str, ...] = tuple(FORMATS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what became of the files of each format, and the traceback of the first that went wrong in each way."""
    run = begin(__doc__, arguments, Sizes(), Sizes(count=2))
    sizes, report = run.sizes, run.report("fuzz_tables")
    if unknown := set(sizes.formats) - set(FORMATS):
        sys.exit(f"{min(unknown)} is no format; choose from {', '.join(FORMATS)}")
    report.say(f"{sizes.count:,} files of each format, seed {sizes.seed}")
    report.say("  format            values  rows with errors  InputError  other  slow  large  worst")
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(Path(folder))
        for name in sizes.formats:
            found = [worker.outcome(name, sizes.seed, number) for number in range(sizes.count)]
            words = Counter(one.word for one in found)
            others = words.total() - sum(words[word] for word in FINE)
            slow, large = (sum(one.seconds > SLOW for one in found), sum(one.megabytes > LARGE for one in found))
            worst = f"{max(one.seconds for one in found):.1f} s, {max(one.megabytes for one in found):.0f} MiB"
            counts = f"{words['values']:>8,}{words['error rows']:>18,}{words['InputError']:>12,}"
            report.say(f"  {name:16}{counts}{others:>7,}{slow:>6,}{large:>7,}  {worst}")
            told: set[tuple[str, str]] = set()
            for number, one in enumerate(found):
                key = (one.word, one.told[-120:])
                if (one.word not in FINE or one.seconds > SLOW or one.megabytes > LARGE) and key not in told:
                    told.add(key)
                    report.say(
                        f"    number {number:,}: {one.word}, {one.seconds:.1f} s, {one.megabytes:.0f} MiB {one.told}"
                    )
            report.save()
        worker.close()


if __name__ == "__main__":
    main()

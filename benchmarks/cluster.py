"""Work on a cluster of Ray: the same results, what it costs beside one machine, and what happens when some of it dies.

Run: python benchmarks/cluster.py [--only equal overhead workers faults partitions]

Clusters are of several nodes on this machine, which share its processors: figures of speed compare the same work on the
same processors.  Simulated workers wait for a fixed time and compute nothing, so that as many can be tried as wanted.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import dn2
from common import CIFAR10, Report, Run, apart, begin, peak_memory, resident, timed
from dn2.arrays import Vectors
from dn2.neighbors.choice import FIXED_BYTES
from dn2.scale.partitions import PartitionedIndex
from dn2.scale.starting import import_ray, start
from dn2.system.processes import cpu_count
from dn2.system.workers import each, working

NODES = 4
PARTS_OF_RUN = ("equal", "overhead", "workers", "faults", "partitions")
NORMAL, ODD = "automobile", "truck"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    only : parts of the benchmark; reference, pictures : of CIFAR-10; rows : of a table, and messages.
    overhead : pictures; rounds : how often, in turn.
    crews : simulated workers; parts : for each of them; service : seconds of a part.
    disturbed : seconds during which a worker is killed every `every` seconds.
    rows_in_partitions, dimension, partitions : of a large set; memory : for its fit; queries : searched for in it."""

    only: tuple[str, ...] = PARTS_OF_RUN
    backbone: str = "lite0"
    reference: int = 2_000
    pictures: int = 1_000
    rows: int = 100_000
    overhead: int = 35_000
    rounds: int = 1
    crews: tuple[int, ...] = (1, 2, 4, 8, 16)
    parts: int = 40
    service: float = 0.5
    disturbed: int = 120
    every: int = 10
    rows_in_partitions: int = 1_000_000
    dimension: int = 1_280
    partitions: int = 16
    memory: str = "1.3GB"
    queries: int = 64


SMALLEST = Sizes(only=("workers",), crews=(2,), parts=2, service=0.01)


@contextmanager
def cluster(nodes: int, cpus: int = 1) -> Iterator[Any]:
    """Start nodes on this machine, and connect to them."""
    ray = import_ray()
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    for _ in range(nodes - 1):
        started.add_node(num_cpus=cpus)
    start(ray, started.address)
    try:
        yield started
    finally:
        ray.shutdown()
        started.shutdown()


def rows_of(results: Any) -> list[dict[str, Any]]:
    """Return all that is said of items."""
    return [row.as_dict() for row in results]


def count_equal(here: Any, there: Any) -> str:
    """Count the rows that are the same to the bit."""
    pairs = list(zip(rows_of(here), rows_of(there), strict=True))
    return f"{sum(one == other for one, other in pairs):,} of {len(pairs):,} rows equal"


# The same results


def measure_equal(run: Run[Sizes], report: Report, pictures: dict[str, list[Path]]) -> None:
    """Fit, score and evaluate here and on four nodes, without a cache."""
    sizes, rng = run.sizes, np.random.default_rng(0)
    normal, odd = pictures[NORMAL], pictures[ODD]
    reference, new = normal[: sizes.reference], [*normal[sizes.reference :], *odd][: sizes.pictures]
    n = sizes.rows
    table = {
        "amount": rng.gamma(2, size=2 * n),
        "hour": rng.normal(12, 3, 2 * n),
        "kind": rng.choice(list("abcd"), 2 * n),
    }
    halves = [{name: column[half] for name, column in table.items()} for half in (slice(n), slice(n, None))]
    words = np.array(["valve", "pump", "line", "tank", "open", "shut", "hot", "cold"])
    texts = [" ".join(words[rng.integers(0, len(words), 6)]) + f" {number}" for number in range(2 * n)]
    report.say(f"\nequal: one machine, and {NODES} nodes of one processor each; seconds to fit and score")
    with cluster(NODES):
        for name, known, asked, options in (
            ("pictures", reference, new, {"backbone": sizes.backbone, "index": "exact"}),
            ("rows", *halves, {}),
            ("messages", texts[:n], texts[n:], {"backbone": "characters", "kind": "text"}),
        ):
            (taken, model, results), (taken_there, model_there, results_there) = (
                fit_and_score(known, asked, options, on) for on in (None, "ray")
            )
            loo = [one.detector.leave_one_out for one in (model, model_there)]
            same = all(np.array_equal(*(getattr(one, part) for one in loo)) for part in ("members", "distances"))
            report.say(
                f"  {name:<9}{count_equal(results, results_there)}, calibrated "
                f"{'equally' if same else 'OTHERWISE'}; {taken:.0f} and {taken_there:.0f} s"
            )
            report.save()
        with working("ray"):
            there, _ = models_of_pictures(reference, sizes).evaluate(new[: len(new) // 2], odd[-len(new) // 2 :])
        here, _ = models_of_pictures(reference, sizes).evaluate(new[: len(new) // 2], odd[-len(new) // 2 :])
        report.say(f"  evaluate: ROC AUC {here.roc_auc:.6f} and {there.roc_auc:.6f}")


def fit_and_score(known: Any, asked: Any, options: dict[str, Any], on: str | None) -> tuple[float, Any, Any]:
    """Fit a model, and score by it; return the seconds of both, too."""
    taken, model = timed(lambda: dn2.fit(known, cache=False, on=on, **options))
    seconds, results = timed(lambda: model.score(asked, on=on))
    return taken + seconds, model, results


def models_of_pictures(reference: Sequence[Path], sizes: Sizes) -> Any:
    """Fit a model of pictures."""
    return dn2.fit(reference, backbone=sizes.backbone, cache=False, index="exact")


# What it costs


def measure_overhead(run: Run[Sizes], report: Report, pictures: dict[str, list[Path]]) -> None:
    """Score pictures here, and by Ray on the same processors, without a cache, in turn."""
    sizes = run.sizes
    every = list(chain.from_iterable(pictures.values()))
    model = models_of_pictures(every[: sizes.reference], sizes)
    asked = (every * (1 + sizes.overhead // len(every)))[: sizes.overhead]
    taken: dict[str | None, list[float]] = {None: [], "ray": []}
    for _ in range(sizes.rounds):
        for on, seconds in taken.items():
            seconds.append(timed(lambda on=on: model.score(asked, on=on))[0])  # type: ignore[misc]
    here, there = (statistics.median(seconds) for seconds in taken.values())
    starting = timed(lambda: list(_nothing()))[0]
    report.say(f"\noverhead: {len(asked):,} pictures scored by {cpu_count()} processors, nothing cached")
    report.say(f"  one machine {here:.1f} s; Ray {there:.1f} s, {100 * (there / here - 1):.1f} % more")
    report.say(f"  of which Ray and a worker start in {starting:.1f} s, {100 * starting / here:.1f} %")


def _nothing() -> Iterator[int]:
    with working("ray"):
        yield from each(lambda _, part: part, None, [0])


# Simulated workers


def measure_workers(run: Run[Sizes], report: Report) -> None:
    """Give parts of a fixed time to more and more workers; count from the first that is done."""
    sizes, ray = run.sizes, import_ray()
    report.say(f"\nworkers: simulated, {sizes.service:g} s a part, {sizes.parts} parts each; from the first done on")
    for crew in sizes.crews:
        start(ray, None, num_cpus=crew)
        try:
            with working("ray?cpus=1"):
                # As a lambda it travels by value, whatever modules workers find.
                wait = lambda seconds, part: time.sleep(seconds) or time.time()  # noqa: E731
                done = np.sort(list(each(wait, sizes.service, range(crew * sizes.parts))))
        finally:
            ray.shutdown()
        rate = (len(done) - 1) / (done[-1] - done[0])
        report.say(f"  {crew:>3} workers: {rate:>7.2f} parts/s, {rate * sizes.service / crew:>5.2f} of linear")
        report.save()


# Faults


def processes(name: str) -> list[int]:
    """List the processes of a name."""
    listed = subprocess.run(["pgrep", "-f", name], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def disturbed(disturb: Callable[[], None], every: float, work: Callable[[], Any]) -> tuple[int, Any]:
    """Do some work while it is disturbed; return how often it was, and what came out."""
    ended, count = threading.Event(), 0

    def go_on() -> None:
        nonlocal count
        while not ended.wait(every):
            disturb()
            count += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        made = work()
    finally:
        ended.set()
        thread.join()
    return count, made


def kill_a_worker() -> None:
    """Kill the worker that was started last."""
    if running := processes("ray::MapWorker"):
        os.kill(max(running), signal.SIGKILL)


def measure_faults(run: Run[Sizes], report: Report, pictures: dict[str, list[Path]]) -> None:
    """Kill workers, and nodes, while pictures are scored and while a set is searched."""
    sizes = run.sizes
    every = list(chain.from_iterable(pictures.values()))
    model = models_of_pictures(every[: sizes.reference], sizes)
    once = every[sizes.reference : sizes.reference + 2_000]
    here = model.score(once)
    report.say("\nfaults")
    with cluster(NODES), working("ray"):
        began, kills, rounds, told = time.time(), 0, 0, []
        while time.time() - began < sizes.disturbed:
            count, there = disturbed(kill_a_worker, sizes.every, lambda: model.score(once))
            kills, rounds = kills + count, rounds + 1
            told.append(rows_of(there) == rows_of(here))
        report.say(
            f"  a worker killed every {sizes.every} s for {time.time() - began:.0f} s, {kills} in all: {rounds} runs "
            f"of {len(once):,} pictures, {sum(told)} with the same rows"
        )
        report.save()
    with cluster(NODES) as nodes, working("ray"):
        lost = iter([node for node in nodes.list_all_nodes() if node is not nodes.head_node][:1])
        count, there = disturbed(lambda: remove(nodes, lost), 8, lambda: model.score(once))
        report.say(f"  a node killed while pictures are embedded: {count_equal(here, there)}")
    vectors = np.random.default_rng(0).normal(size=(60_000, 256)).astype(np.float32)
    of_vectors = dn2.fit(vectors, kind="vector", index="exact")
    asked = vectors[:40_000] + np.float32(0.5)
    here = of_vectors.score(asked)
    with cluster(NODES) as nodes, working("ray"):
        lost = iter([node for node in nodes.list_all_nodes() if node is not nodes.head_node][:1])
        count, there = disturbed(lambda: remove(nodes, lost), 8, lambda: of_vectors.score(asked))
        report.say(f"  a node killed while a set is searched: {count_equal(here, there)}")


def remove(nodes: Any, lost: Iterator[Any]) -> None:
    """Kill the next node to be lost."""
    if (node := next(lost, None)) is not None:
        nodes.remove_node(node, allow_graceful=False)


# Partitions


def write_vectors(path: Path, sizes: Sizes) -> None:
    """Write many vectors to a file of NumPy, which is mapped when it is read."""
    n, rng = sizes.rows_in_partitions, np.random.default_rng(0)
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (n, sizes.dimension))
    for at in range(0, n, 10_000):
        vectors[at : at + 10_000] = rng.standard_normal((min(10_000, n - at), sizes.dimension), np.float32)


def fit_large(vectors: Path, folder: Path, **options: Any) -> tuple[float, float, float]:
    """Fit and save a model that is searched exactly: the seconds, the most memory that this process held beside mapped
    files, and the most that a partition held, in MiB; options : of the fit."""
    peaks, done = [0.0, 0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            with suppress(OSError):  # of a process that has ended
                held = sum(resident(one) for one in ("RssAnon", "RssShmem"))
                peaks[:] = max(peaks[0], held), max([peaks[1], *map(peak_memory, processes("ray::Partition"))])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        began = time.perf_counter()
        model = dn2.fit(vectors, kind="vector", index="exact", false_alarm_rate=0.05, **options)
        model.save(folder)
        return time.perf_counter() - began, peaks[0], peaks[1]
    finally:
        done.set()
        watching.join()


def queries(sizes: Sizes) -> Vectors:
    """Make up queries."""
    return np.random.default_rng(1).standard_normal((sizes.queries, sizes.dimension), np.float32)


def score_whole(folder: Path, sizes: Sizes) -> tuple[list[dict[str, Any]], float, float]:
    """Score by the whole set: the rows, seconds, and the peak of memory in MiB."""
    model = dn2.load(folder)
    taken, results = timed(lambda: model.score(queries(sizes)))
    return rows_of(results), taken, peak_memory()


def score_in_partitions(folder: Path, sizes: Sizes) -> tuple[list[dict[str, Any]], float, list[float]]:
    """Score by partitions: the rows, seconds, and the peak of memory of each partition in MiB."""
    peaks: list[float] = []
    search = PartitionedIndex.search

    def watched(index: PartitionedIndex, *asked: Any) -> Any:
        found = search(index, *asked)
        peaks[:] = map(peak_memory, processes("ray::Partition"))
        return found

    model = dn2.load(folder)
    bytes_of_one = 4 * sizes.rows_in_partitions * sizes.dimension / sizes.partitions
    with patch.object(PartitionedIndex, "search", watched):
        memory = int(1.01 * bytes_of_one) + FIXED_BYTES
        taken, results = timed(lambda: model.score(queries(sizes), on="ray", memory=memory))
    return rows_of(results), taken, peaks


def measure_partitions(run: Run[Sizes], report: Report) -> None:
    """Fit and search a large set whole, and in partitions."""
    sizes = run.sizes
    report.say(f"\npartitions: {sizes.rows_in_partitions:,} x {sizes.dimension:,}, {sizes.queries} queries, exact")
    with tempfile.TemporaryDirectory() as folder:
        vectors, model, other = (Path(folder, name) for name in ("large.npy", "large.dn2", "other.dn2"))
        apart(write_vectors, vectors, sizes, here=run.smallest)
        seconds, peak, _ = apart(fit_large, vectors, model, here=run.smallest)
        report.say(f"  fit whole: {seconds:.0f} s, {peak:,.0f} MiB beside mapped files")
        work = partial(fit_large, vectors, other, on="ray", memory=sizes.memory)
        seconds, peak, peak_of_one = apart(work, here=run.smallest)
        here, there = ({path.name for path in one.iterdir()} - {"model.json"} for one in (model, other))
        report.say(
            f"  fit in partitions, {sizes.memory} allowed: {seconds:.0f} s, {peak:,.0f} MiB beside mapped files, up to "
            f"{peak_of_one:,.0f} MiB each; {len(here & there)} of {len(here)} files equal"
        )
        report.save()
        whole, seconds, peak = apart(score_whole, model, sizes, here=run.smallest)
        parts, seconds_apart, peaks = apart(score_in_partitions, model, sizes, here=run.smallest)
        report.say(f"  score whole: {seconds:.1f} s, {peak:,.0f} MiB")
        report.say(
            f"  score in {len(peaks)} partitions: {seconds_apart:.1f} s with their start, {min(peaks):,.0f} to "
            f"{max(peaks):,.0f} MiB each; {sum(map(dict.__eq__, whole, parts))} of {len(whole)} rows equal"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all parts, and keep the result after each."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    report = run.report("cluster")
    parts: dict[str, Callable[..., None]] = {
        "equal": measure_equal,
        "overhead": measure_overhead,
        "workers": measure_workers,
        "faults": measure_faults,
        "partitions": measure_partitions,
    }
    for name in run.sizes.only:
        measure = partial(parts[name], run, report)
        if name in ("workers", "partitions"):
            measure()
        else:
            with run.unpacked(CIFAR10) as folder:
                files = sorted(folder.rglob("*.png"))
                named = {one: [file for file in files if file.parent.name == one] for one in (NORMAL, ODD)}
                named |= {"others": [file for file in files if file.parent.name not in named]}
                measure(named)
        report.save()


if __name__ == "__main__":
    main()

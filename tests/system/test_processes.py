"""Children of a fork and copies by pickle: they score to the bit as their parent does, or say how they could."""

from __future__ import annotations

import copy
import mmap
import multiprocessing
import os
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import dn2
from dn2.neighbors.detector import Detector
from dn2.neighbors.steps import Clean, Scale, Search, Steps, Whiten, Windows
from dn2.networks import decoding, registry
from dn2.system.processes import PerProcess, give_pages_back
from forked import LONGEST, in_child
from small_models import start_python, write_digits
from used_models import KINDS, ROWS, fit_some

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)  # from Python 3.12 on

Used = tuple[dn2.Model, Any, list[dn2.Row]]


def score(model: dn2.Model, inputs: Any) -> list[dn2.Row]:
    return list(model.score(inputs).rows)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_digits(folder, range(12))
    return folder


@pytest.fixture(scope="module", params=KINDS)
def used(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Used:
    """A model of each kind that has scored, what it scored, and the rows."""
    model, inputs = fit_some(request.param, tmp_path_factory.mktemp("used"))
    return model, inputs, score(model, inputs)


@pytest.fixture
def used_embedder(pictures: Path) -> tuple[dn2.ImageEmbedder, list[str], np.ndarray[Any, Any]]:
    paths = sorted(map(str, pictures.iterdir()))
    embedder = dn2.ImageEmbedder("lite0@64")
    return embedder, paths, embedder.transform(paths)


def test_a_forked_child_scores_as_its_parent_does_to_the_bit(used: Used) -> None:
    model, inputs, rows = used
    assert in_child(lambda: score(model, inputs)) == rows
    assert in_child(lambda: in_child(lambda: score(model, inputs))) == rows


def test_a_forked_child_fits_saves_loads_and_changes_as_its_parent_does(used: Used, tmp_path: Path) -> None:
    model, inputs, rows = used

    def work() -> list[dn2.Row]:
        model.save(tmp_path / "m.dn2")
        loaded = dn2.load(tmp_path / "m.dn2")
        name = loaded.items[0].name
        if model.kind.name != "series":
            loaded.remove([name])
        assert len(loaded.items) <= len(model.items)
        return score(dn2.load(tmp_path / "m.dn2"), inputs)

    assert in_child(work) == rows


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda one: pickle.loads(pickle.dumps(one)),  # noqa: S301
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "deepcopy", "copy"],
)
def test_a_copied_model_scores_to_the_bit_and_changes_alone(
    duplicate: Callable[[Any], Any], used: Used, tmp_path: Path
) -> None:
    model, inputs, rows = used
    model.save(tmp_path / "m.dn2")
    for number, one in enumerate((model, dn2.load(tmp_path / "m.dn2"))):  # in memory, and mapped from files
        copied = duplicate(one)
        assert score(copied, inputs) == rows
        if model.kind.name != "series":
            copied.remove([copied.items[0].name])
            assert len(copied.items) == len(one.items) - 1
        copied.save(tmp_path / f"copied{number}.dn2")
        assert score(one, inputs) == rows
        results = one.score(inputs)
        assert list(duplicate(results).rows) == list(results.rows)


def test_a_used_embedder_survives_copies_clones_and_a_file_of_joblib(
    used_embedder: tuple[dn2.ImageEmbedder, list[str], np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    embedder, paths, vectors = used_embedder
    copies = [pickle.loads(pickle.dumps(embedder)), copy.deepcopy(embedder), copy.copy(embedder), clone(embedder)]  # noqa: S301
    joblib.dump(embedder, tmp_path / "embedder.joblib")
    copies.append(joblib.load(tmp_path / "embedder.joblib"))
    for one in copies:
        assert np.array_equal(one.transform(paths), vectors)
    pipeline = make_pipeline(embedder, dn2.KNNDetector(n_neighbors=1)).fit(paths)
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    scores = pipeline.score_samples(paths)
    assert np.array_equal(joblib.load(tmp_path / "pipeline.joblib").score_samples(paths), scores)
    assert np.array_equal(in_child(lambda: pipeline.score_samples(paths)), scores)


@pytest.mark.parametrize(
    "steps",
    [
        Steps(),
        Steps(search=Search("kdtree")),
        Steps(search=Search("kmeans-tree")),
        Steps(search=Search("kmeans-tree:3")),
        Steps(search=Search("approximate", 0.9)),
        Steps(1, search=Search("kmeans:20")),
        Steps(whiten=Whiten()),
        Steps(scale=Scale()),
        Steps(clean=Clean()),
        Steps(search=Search(storage="uint8")),
        Steps(windows=Windows(20)),
    ],
    ids=str,
)
def test_a_used_detector_works_in_a_forked_child_and_survives_copies(steps: Steps) -> None:
    rows = np.random.default_rng(2).normal(size=(1_500, 12)).astype(np.float32)
    detector = Detector.fit(steps, rows)

    def seen(one: Detector) -> list[np.ndarray[Any, Any]]:
        return [*one.search(rows[:500]), one.p_value(rows[:500])]

    expected = seen(detector)

    def same(one: Detector) -> bool:
        return all(np.array_equal(mine, its) for mine, its in zip(seen(one), expected, strict=True))

    assert in_child(lambda: same(detector))
    assert in_child(lambda: same(Detector.fit(steps, rows)))
    assert same(pickle.loads(pickle.dumps(detector)))  # noqa: S301
    assert same(copy.deepcopy(detector))
    changed = copy.copy(detector)
    assert not same(changed.add(rows[:500] + 0.01))
    assert same(detector)


def _scored(model: dn2.Model, inputs: Any) -> list[dn2.Row]:  # at the top of the module, for spawn to find
    return score(model, inputs)


def test_pools_of_processes_share_a_used_model(used: Used) -> None:
    model, inputs, rows = used
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, fork) as executor, fork.Pool(2) as pool:
        answers = [executor.submit(_scored, model, inputs).result(LONGEST) for _ in range(2)]
        answers += pool.starmap_async(_scored, [(model, inputs)] * 2).get(LONGEST)
    assert answers == [rows] * 4


def test_workers_that_are_no_forks_share_a_used_model(used: Used) -> None:
    model, inputs, rows = used
    if model.kind.name == "image":  # which takes most along; each start takes a second or two
        assert (
            joblib.Parallel(2, timeout=LONGEST)(joblib.delayed(_scored)(model, inputs) for _ in range(2)) == [rows] * 2
        )


def test_the_workers_of_a_data_loader_share_a_used_embedder(
    used_embedder: tuple[dn2.ImageEmbedder, list[str], np.ndarray[Any, Any]],
) -> None:
    torch = pytest.importorskip("torch")
    embedder, paths, vectors = used_embedder

    class Embedded(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, place: int) -> Any:
            return torch.from_numpy(embedder.transform([paths[place]])[0])

    loader = torch.utils.data.DataLoader(
        Embedded(), batch_size=5, num_workers=2, timeout=LONGEST, multiprocessing_context="fork"
    )
    assert np.array_equal(torch.cat(list(loader)).numpy(), vectors)


# Children end as any program does, which ends what they have, and their parent's networks and files with it.
ENDS = """
import os, sys, dn2
model = dn2.load(sys.argv[1], cache=dn2.Cache())
rows = model.score(sys.argv[2]).rows
for what in ("does nothing", "scores", "drops"):
    child = os.fork()
    if not child:
        if what == "scores":
            assert model.score(sys.argv[2]).rows == rows
        if what == "drops":
            del model
        sys.exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5, what
assert model.score(sys.argv[2]).rows == rows
"""


def test_forked_children_end_in_good_order(pictures: Path, tmp_path: Path) -> None:
    dn2.fit(pictures, backbone="lite0@64").save(tmp_path / "m.dn2")
    process = start_python(ENDS, tmp_path / "m.dn2", pictures, cache=tmp_path / "cache")
    try:
        assert process.communicate(timeout=LONGEST) == ("", "")
    finally:
        process.kill()
    assert process.returncode == 0


def test_locks_that_other_threads_hold_at_a_fork_do_not_stop_the_child(pictures: Path, tmp_path: Path) -> None:
    model = dn2.fit(pictures, backbone="lite0@64", cache=dn2.Cache(tmp_path / "cache.sqlite"))
    rows = score(model, str(pictures))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        (network,) = model.kind.embedder.networks
        with (
            model._changing.get(),
            network._requests._compiled.get().starting,
            model.kind.embedder.cache._file.get()._lock,
            decoding._of_pixels.get().taken(decoding.BYTES_PER_PIXEL * decoding.MAX_PIXELS),
        ):
            held.set()
            done.wait(LONGEST)

    def work() -> list[dn2.Row]:
        model.kind.embedder.cache = None
        first = score(model, str(pictures))
        model.remove([model.items[0].name])
        return first

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(LONGEST)
    try:
        assert in_child(work) == rows
    finally:
        done.set()
        thread.join()


def test_a_child_forked_while_a_network_is_made_makes_its_own(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(map(str, pictures.iterdir()))
    begun, done = threading.Event(), threading.Event()
    build = registry.lite.read_network

    def slow(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is thread:
            begun.set()
            done.wait(LONGEST)
        return build(*arguments, **options)

    monkeypatch.setattr(registry.lite, "read_network", slow)
    embedder = dn2.ImageEmbedder("lite0@64")
    thread = threading.Thread(target=lambda: embedder.networks)
    thread.start()
    begun.wait(LONGEST)
    try:
        of_child = in_child(lambda: (embedder.transform(paths), dn2.ImageEmbedder("lite0@64").transform(paths)))
    finally:
        done.set()
        thread.join()
    assert all(np.array_equal(one, embedder.transform(paths)) for one in of_child)


def test_children_forked_while_threads_score_work_too(pictures: Path) -> None:
    model, vectors = dn2.fit(pictures, backbone="lite0@64"), dn2.KNNDetector().fit(ROWS)
    rows, scores = score(model, str(pictures)), vectors.anomaly_score(ROWS)
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            model.score(str(pictures))
            vectors.anomaly_score(ROWS)

    threads = [threading.Thread(target=go_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            assert in_child(lambda: score(model, str(pictures))) == rows
            assert np.array_equal(in_child(lambda: vectors.anomaly_score(ROWS)), scores)
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_child_keeps_and_finds_in_the_cache_what_its_parent_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = dn2.Cache(tmp_path / "cache.sqlite")
    cache.put({b"a": b"1"})

    def work() -> bytes | None:
        cache.put({b"b": b"2"})
        return cache.get(b"a")

    assert in_child(work) == b"1"
    assert cache.get(b"b") == b"2"
    with cache._file.get()._lock:  # as a thread at work has it: what it has open must be left alone
        assert cache._file.get().connection is not None
        assert in_child(work) is None
        assert in_child(lambda: dn2.Cache(tmp_path / "cache.sqlite").get(b"a")) is None
        assert in_child(lambda: dn2.Cache(tmp_path / "other.sqlite").get(b"a")) is None
    assert cache.get(b"a") == b"1"


def test_each_process_makes_its_own_once_and_a_copy_makes_another() -> None:
    made: list[int] = []
    own = PerProcess(lambda: made.append(os.getpid()) or object())  # type: ignore[func-returns-value]
    threads = [threading.Thread(target=own.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert own.get() is own.get()
    assert copy.copy(own).get() is not own.get()
    assert made == [os.getpid()] * 2
    assert in_child(lambda: (own.get() is own.get(), made[2:] == [os.getpid()])) == (True, True)


def test_what_fails_to_be_made_is_made_at_the_next_use() -> None:
    answers = iter([1])

    def make() -> int:
        if not made:
            made.append(1)
            raise OSError("not yet")
        return next(answers)

    made: list[int] = []
    own = PerProcess(make)
    with pytest.raises(OSError, match="not yet"):
        own.get()
    assert own.get() == own.get() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system may take the memory later")
def test_rows_whose_memory_is_given_back_take_none_and_leave_those_around_them() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    rows = np.ones((50, 1_000_003), np.uint8)
    before = resident()
    give_pages_back(rows[7:43])
    assert before - resident() > 0.9 * rows[7:43].nbytes
    assert rows[:7].all()
    assert rows[43:].all()
    give_pages_back(rows[:0])
    assert rows[:7].all()

"""Threads that score while others change the model see it as it was or as it is; and what results keep of a run."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dn2
from dn2.errors import InputError
from dn2.kinds import batches as kinds_rows
from dn2.kinds.text import kind as kinds_texts
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.search.exact import ExactIndex
from used_models import KINDS, ROWS, fit_some

SECONDS, LONGEST = 1.5, 60.0


def run_together(*works: Callable[[], object]) -> list[BaseException]:
    """Run functions in threads of their own, and return what they raise."""
    raised: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds_rows, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(kinds_texts, "TEXTS_AT_ONCE", 10)


@pytest.mark.parametrize("kind", [one for one in KINDS if one != "series"])
def test_what_is_scored_while_the_model_changes_is_scored_by_the_model_as_it_was(
    kind: str, small_batches: None, tmp_path: Path
) -> None:
    model, inputs = fit_some(kind, tmp_path / "pictures")
    expected = list(model.score(inputs).rows)
    names = [item.name for item in model.items]

    def change(done: int, total: int) -> None:
        if len(model.items) == len(names):
            model.remove(names[3:])

    results = model.score(inputs, progress=change)
    assert list(results.rows) == expected
    assert len(model.items) == 3
    assert list(model.score(inputs).rows) != expected
    with pytest.raises(InputError, match="the model has changed since it scored these items"):
        results.to_html(tmp_path / "page.html")


def test_threads_that_score_and_look_beside_changes_see_one_state_each(tmp_path: Path) -> None:
    np.save(tmp_path / "more.npy", ROWS[40:60])
    model = dn2.fit(ROWS[:40])
    states = {40: model.score(ROWS[:5]).rows}  # by the number of items
    model.add(tmp_path / "more.npy")
    states[60] = model.score(ROWS[:5]).rows
    more = [item.name for item in model.items[40:]]
    begun = time.monotonic()
    seen: set[int] = set()

    def going_on() -> bool:
        """Until both states were seen, which takes its time on a busy machine."""
        passed = time.monotonic() - begun
        return passed < SECONDS or (seen != {40, 60} and passed < LONGEST)

    def change() -> None:
        while going_on():
            model.remove(more)
            model.add(tmp_path / "more.npy")

    def look() -> None:
        while going_on():
            results = model.score(ROWS[:5])
            size = results.sample_size
            seen.add(size)
            assert [row.anomaly_score for row in results] == [row.anomaly_score for row in states[size]]
            assert [row.p_value for row in results] == [row.p_value for row in states[size]]
            assert model.describe()["calibration"]["sample_size"] in states
            model.near_duplicates()
            state = model.state
            assert len(state.items) == sum(map(len, state.detector.blocks)) == state.calibration.sample_size

    def save() -> None:
        while going_on():
            model.save(tmp_path / "m.dn2")
            assert len(dn2.load(tmp_path / "m.dn2").items) in states

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        assert run_together(change, look, look, save) == []
    finally:
        sys.setswitchinterval(interval)
    assert seen == {40, 60}


def test_changes_from_many_threads_are_all_made() -> None:
    model = dn2.fit(ROWS[:50])
    names = [item.name for item in model.items]
    works = [lambda at=at: model.remove(names[at]) for at in range(8)]  # type: ignore[misc]
    assert run_together(*works) == []
    assert [item.name for item in model.items] == names[8:]


def test_a_detector_that_changes_while_it_searches_answers_by_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = ROWS[600:650]
    plain, search = dn2.KNNDetector().fit(ROWS[:300]), ExactIndex.search
    for method in ("p_value", "predict", "decision_function", "contributions"):
        detector = dn2.KNNDetector().fit(ROWS[:300])
        expected = getattr(plain, method)(queries)

        def change(self: ExactIndex, *arguments: Any, detector: dn2.KNNDetector = detector) -> Any:
            monkeypatch.setattr(ExactIndex, "search", search)
            detector.add(ROWS[300:600])
            return search(self, *arguments)

        monkeypatch.setattr(ExactIndex, "search", change)
        assert np.array_equal(getattr(detector, method)(queries), expected)
        assert len(detector.calibration_.scores) == 600


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_change_that_fails_half_way_changes_nothing(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.save(tmp_path / "more.npy", ROWS[100:120])
    model = dn2.fit(ROWS[:100])
    state, rows = model.state, model.score(ROWS[:9]).rows

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(LeaveOneOut, "after_adding", fail)
    monkeypatch.setattr(LeaveOneOut, "after_removing", fail)
    for change in (lambda: model.add(tmp_path / "more.npy"), lambda: model.remove([model.items[0].name])):
        with pytest.raises(error):
            change()
    assert model.state is state
    assert model.score(ROWS[:9]).rows == rows


def test_a_fit_that_fails_leaves_the_detector_as_it_was() -> None:
    detector = dn2.KNNDetector().fit(ROWS[:, :8])
    expected = detector.anomaly_score(ROWS[:5, :8])
    with pytest.raises(dn2.ReferenceTooSmall):
        detector.fit(ROWS[:2])  # of 24 columns
    with pytest.raises(ValueError, match="24 features"):
        detector.anomaly_score(ROWS[:5])
    assert np.array_equal(detector.anomaly_score(ROWS[:5, :8]), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_results_keep_no_part_of_a_larger_array(kind: str, small_batches: None, tmp_path: Path) -> None:
    model, inputs = fit_some(kind, tmp_path / "pictures")
    known = reached_from([model])
    arrays = [one for one in reached_from([model.score(inputs)], known).values() if isinstance(one, np.ndarray)]
    assert arrays
    assert [one.shape for one in arrays if one.base is not None and one.base.nbytes > one.nbytes] == []


def reached_from(roots: list[Any], known: dict[int, Any] | None = None) -> dict[int, Any]:
    """Return all objects that some keep alive, by id, but for those that are known, classes and modules."""
    found: dict[int, Any] = {}
    while roots:
        one = roots.pop()
        if id(one) in found or id(one) in (known or {}) or isinstance(one, (type, type(sys))) or callable(one):
            continue
        found[id(one)] = one
        roots += gc.get_referents(one)
    return found

"""Drift: a change of what a model scores, noticed apart from single anomalies."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dn2
import naive
from dn2.errors import InputError
from dn2.monitor.frozen import Frozen
from dn2.monitor.stream import PARTS_REMEMBERED
from made_series import pump
from small_models import write_digits

MODEL = dn2.fit(np.random.default_rng(0).normal(size=(200, 4)))


def rows(seed: int, n: int = 400, moved: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 4)) + moved).astype(np.float32)


def labels(first: int, count: int, each: int) -> list[str]:
    return [f"part {first + place}" for place in range(count) for _ in range(each)]


def test_a_change_is_noticed_with_its_start_and_single_anomalies_are_none():
    monitor = dn2.DriftMonitor(MODEL)
    usual = rows(1)
    usual[::40] += 9
    results = monitor.score(usual, names=[f"first {place}" for place in range(400)])
    assert results.rows == MODEL.score(usual, names=[f"first {place}" for place in range(400)]).rows
    assert len(results.anomalies) >= 10
    assert (monitor.alarm, monitor.n_seen, monitor.n_ranked) == (None, 400, 400)
    monitor.score(rows(2, moved=1.5), names=[f"then {place}" for place in range(400)])
    change = monitor.alarm
    assert change is not None
    assert abs(change.since.number - 401) <= 3
    assert change.since.number < change.at.number < 450
    assert change.at.name == f"then {change.at.number - 401}"
    assert change.wealth >= 100
    assert monitor.n_seen == 800
    assert f"since about item {change.since.number} (" in repr(monitor)
    monitor.score(rows(3))
    assert monitor.alarm is change  # it stays


def test_scores_are_of_neighbours_that_hold_no_item_that_calibrates_or_comes():
    frozen = Frozen.of(MODEL.state)
    detector = frozen.scoring.detector
    members = detector.leave_one_out.members.tolist()
    everything = np.concatenate([np.asarray(block) for block in MODEL.detector.blocks])
    neighbors = np.delete(everything, members, axis=0)
    assert 50 <= len(members) <= 100
    expected = [naive.mean_squared_distance(everything[place], neighbors, 2) for place in members]
    assert frozen.scoring.kind.calibrating(detector)[1].tolist() == pytest.approx(expected, rel=1e-5)
    queries = rows(4, 5)
    expected = [naive.mean_squared_distance(query, neighbors, 2) for query in queries]
    assert detector.anomaly_score(queries).tolist() == pytest.approx(expected, rel=1e-5)
    assert MODEL.calibration.method == "leave-one-out"  # the model stays as it is


def test_wealth_is_by_hand():
    monitor = dn2.DriftMonitor(MODEL, seed=7)
    stream = rows(5, 30, moved=0.7)
    monitor.score(stream)
    frozen = Frozen.of(MODEL.state)
    calibrating = frozen.scoring.kind.calibrating(frozen.scoring.detector)[1]
    chances = np.random.default_rng(np.random.PCG64(7)).random(30)
    scores = frozen.scoring.detector.anomaly_score(stream)
    ranks = naive.sequential_ranks(calibrating.tolist(), scores.tolist(), chances.tolist())
    assert monitor.wealth == pytest.approx(naive.wealth(ranks), rel=1e-4)


def test_models_that_hold_items_out_are_watched_as_they_are():
    sure = dn2.fit(rows(0, 300), confidence=0.9, false_alarm_rate=0.1)
    told = dn2.fit(rows(0, 300))
    told.feedback({"odd": "normal"}, np.full((1, 4), 9.0), names=["odd"])
    centroids = dn2.fit(rows(0, 300), index="kmeans:20", neighbors=1)
    for model in (sure, told, centroids):
        assert Frozen.of(model.state).scoring is model.state
        monitor = dn2.DriftMonitor(model)
        monitor.score(rows(6, 300))
        assert monitor.alarm is None
        monitor.score(rows(7, 300, moved=2))
        assert monitor.alarm is not None


@pytest.mark.parametrize(
    "options",
    [
        {"index": "kdtree"},
        {"index": "kmeans-tree"},
        {"whiten": True},
        {"contaminated": True},
        {"false_alarm_rate": 1 / 121},
        {"smooth": True},
    ],
    ids=str,
)
def test_any_model_of_items_can_be_watched(options: dict[str, Any]):
    monitor = dn2.DriftMonitor(dn2.fit(rows(0, 120), **options))
    monitor.score(rows(8, 300))
    assert monitor.alarm is None
    monitor.score(rows(9, 300, moved=3))
    assert monitor.alarm is not None


def test_rows_of_tables_and_messages_are_watched():
    rng = np.random.default_rng(0)

    def table(n: int, amount: float) -> list[dict[str, Any]]:
        return [{"amount": float(rng.normal(amount)), "color": str(rng.choice(["red", "blue"]))} for _ in range(n)]

    def texts(n: int, nouns: list[str]) -> list[str]:
        days = ["monday", "friday"]
        return [f"please send {rng.integers(90)} {rng.choice(nouns)} on {rng.choice(days)}" for _ in range(n)]

    usual, new = ["pumps", "valves", "hoses"], ["invitations", "questionnaires"]
    for model, before, after in (
        (dn2.fit(table(200, 5)), table(200, 5), table(100, 9)),
        (dn2.fit(texts(200, usual), kind="text", backbone="characters"), texts(200, usual), texts(100, new)),
    ):
        monitor = dn2.DriftMonitor(model)
        monitor.score(before)
        assert monitor.alarm is None
        monitor.score(after)
        assert monitor.alarm is not None
        assert abs(monitor.alarm.since.number - 201) <= 3


def test_alarms_are_false_as_rarely_as_is_asked():
    alarms = 0
    for seed in range(60):
        monitor = dn2.DriftMonitor(dn2.fit(rows(100 + seed, 60), seed=seed), delta=0.05, seed=seed)
        monitor.score(rows(1_000 + seed, 300))
        alarms += monitor.alarm is not None
    assert alarms <= 9  # 3 at most on average


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=5), st.booleans())
def test_a_watch_that_goes_on_from_json_equals_one_that_never_stopped(ends, change):
    stream = rows(10, 200, moved=0.8 if change else 0)
    names = [f"item {place}" for place in range(200)]
    never = dn2.DriftMonitor(MODEL)
    never.score(stream, names=names)
    monitor = dn2.DriftMonitor(MODEL)
    for start, end in zip([0, *sorted(ends)], [*sorted(ends), 200], strict=True):
        if end > start:
            monitor.score(stream[start:end], names=names[start:end])
        monitor = dn2.DriftMonitor.from_dict(MODEL, json.loads(json.dumps(monitor.as_dict())))
    assert monitor.as_dict() == never.as_dict()
    assert monitor.alarm == never.alarm
    assert (monitor.alarm is not None) == change


def test_items_one_by_one_are_the_same_stream():
    at_once, one_by_one = dn2.DriftMonitor(MODEL), dn2.DriftMonitor(MODEL)
    at_once.score(rows(11, 40))
    assert [one_by_one.score_one(row).p_value for row in rows(11, 40)] == [
        row.p_value for row in MODEL.score(rows(11, 40))
    ]
    assert (one_by_one.wealth, one_by_one.n_seen) == (at_once.wealth, 40)


def test_a_model_that_changes_is_watched_anew(caplog):
    model = dn2.fit(rows(0, 200))
    monitor = dn2.DriftMonitor(model)
    monitor.score(rows(12, 300, moved=2))
    kept = monitor.as_dict()
    assert monitor.alarm is not None
    model.add(rows(13, 50, moved=2), names=[f"more {place}" for place in range(50)])
    with caplog.at_level(logging.WARNING, "dn2"):
        monitor.score(rows(14, 20))
        assert "the model has changed: drift is watched anew from item 301 on" in caplog.text
        caplog.clear()
        restored = dn2.DriftMonitor.from_dict(model, kept)
        assert "the model has changed" in caplog.text
    assert (monitor.alarm, monitor.n_seen, monitor.n_ranked) == (None, 320, 20)
    assert (restored.alarm, restored.n_seen, restored.n_ranked, restored.wealth) == (None, 300, 0, 1)


def test_a_saved_model_goes_on_where_it_was_left(tmp_path):
    model = dn2.fit(rows(0, 200))
    monitor = dn2.DriftMonitor(model)
    monitor.score(rows(15, 50))
    model.save(tmp_path / "m.dn2")
    again = dn2.DriftMonitor.from_dict(dn2.load(tmp_path / "m.dn2"), monitor.as_dict())
    assert again.as_dict() == monitor.as_dict()


def test_copies_and_pickles_go_on_by_themselves():
    monitor = dn2.DriftMonitor(MODEL)
    monitor.score(rows(16, 20))
    for copied in (copy.deepcopy(monitor), pickle.loads(pickle.dumps(monitor))):  # noqa: S301
        copied.score(rows(17, 20))
        assert (copied.n_ranked, monitor.n_ranked) == (40, 20)


def test_another_model_that_scores_meanwhile_is_not_watched():
    monitor = dn2.DriftMonitor(MODEL)
    with monitor.watching():
        dn2.fit(rows(0, 50)).score(rows(16, 10))
        MODEL.score(rows(16, 3))
    MODEL.score(rows(16, 10))
    assert monitor.n_seen == 3


def test_one_item_of_each_new_part_tells_something():
    model = dn2.fit(rows(0, 300), part=labels(0, 100, 3))
    monitor = dn2.DriftMonitor(model)
    stream = rows(17, 80)
    monitor.score(stream, part=[*labels(100, 20, 3), *labels(119, 5, 2), *labels(7, 5, 2)])
    assert (monitor.n_seen, monitor.n_ranked) == (80, 24)  # part 119 came before, parts 7 to 11 are of the set
    frozen = Frozen.of(model.state)
    members = frozen.scoring.detector.leave_one_out.members
    assert len(frozen.heights[""]) == len(members) / 3  # whole parts are held out, and one item of each calibrates
    firsts = dn2.DriftMonitor(model)
    chosen = [*range(0, 60, 3), *range(62, 70, 2)]
    firsts.score(stream[chosen], part=[*labels(100, 20, 1), *labels(120, 4, 1)])
    assert firsts.wealth == monitor.wealth
    with pytest.raises(InputError, match="part was a list at fit"):
        monitor.score(stream)


def test_parts_that_come_again_and_again_raise_no_alarm():
    copies = rows(18, 100).repeat(20, axis=0)
    model = dn2.fit(rows(0, 300), part=labels(0, 300, 1))
    by_part, by_item = dn2.DriftMonitor(model), dn2.DriftMonitor(dn2.fit(rows(0, 300)))
    by_part.score(copies, part=labels(300, 100, 20))
    by_item.score(copies)
    assert by_part.alarm is None
    assert by_item.alarm is not None  # they are not drawn one by one


def test_few_parts_are_remembered_whatever_comes():
    model = dn2.fit(rows(0, 100), part=labels(0, 100, 1))
    monitor = dn2.DriftMonitor(model)
    n = PARTS_REMEMBERED + 5
    monitor.score(rows(19, n), part=labels(1_000, n, 1))
    assert len(monitor.as_dict()["parts"]) == PARTS_REMEMBERED


def test_products_that_come_in_turn_are_ranked_each_among_their_own():
    def of_two(seed: int, n: int, moved: float = 0) -> tuple[np.ndarray, list[str]]:
        per = ["small"] * n + ["large"] * n
        return np.concatenate([rows(seed, n, moved), 50 + 9 * rows(seed + 1, n)]), per

    both, per = of_two(20, 200)
    model = dn2.fit(both, per=per)
    monitor = dn2.DriftMonitor(model)
    both, per = of_two(22, 200)
    monitor.score(both, per=per)
    assert (monitor.alarm, monitor.n_ranked) == (None, 400)
    monitor.score(rows(24, 9), per=["unknown"] * 9)
    assert monitor.n_ranked == 400
    monitor.score(*of_two(26, 200, moved=1.5)[:1], per=per)
    assert monitor.alarm is not None
    assert abs(monitor.alarm.since.number - 410) < 15
    assert json.loads(json.dumps(monitor.as_dict())) == monitor.as_dict()
    again = dn2.DriftMonitor.from_dict(model, monitor.as_dict())
    assert again.as_dict() == monitor.as_dict()


def test_unreadable_items_are_counted_and_tell_nothing(tmp_path):
    write_digits(tmp_path / "good", range(40))
    write_digits(tmp_path / "new", range(50, 60))
    (tmp_path / "new" / "0053.png").write_bytes(b"no picture")
    monitor = dn2.DriftMonitor(dn2.fit(tmp_path / "good", backbone="lite0@32"))
    monitor.score(tmp_path / "new")
    assert (monitor.n_seen, monitor.n_ranked) == (10, 9)


def test_patches_of_calibrating_pictures_are_in_no_bank(plate_model, plates):
    frozen = Frozen.of(plate_model.state)
    learnt = frozen.scoring.kind.learnt
    assert plate_model.kind.learnt.given
    assert learnt.given == 0
    assert not any(np.isin(bank.owners, learnt.members).any() for bank in learnt.detector.banks)
    assert len(frozen.heights[""]) == len(learnt.members) > 5
    monitor = dn2.DriftMonitor(plate_model)
    monitor.score(plates / "new")
    assert (monitor.n_seen, monitor.n_ranked) == (6, 5)


def test_series_are_refused():
    with pytest.raises(InputError, match="drift is watched in single items, and intervals are near in time"):
        dn2.DriftMonitor(dn2.fit(pump(500, seed=0), kind="series", window=20))


@pytest.mark.parametrize(
    "options", [{"delta": 0}, {"delta": 1}, {"delta": True}, {"delta": "0.1"}, {"seed": -1}], ids=str
)
def test_wrong_values_are_refused(options: dict[str, Any]):
    with pytest.raises(InputError, match=f"{next(iter(options))} "):
        dn2.DriftMonitor(MODEL, **options)


def watched() -> dict[str, Any]:
    monitor = dn2.DriftMonitor(MODEL)
    monitor.score(rows(30, 60, moved=2))
    assert monitor.alarm is not None
    return monitor.as_dict()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("delta",), 2),
        (("seed",), None),
        (("n_seen",), -1),
        (("n_seen",), True),
        (("n_ranked",), 1.5),
        (("parts",), [1]),
        (("parts",), "ab"),
        (("pools",), {}),
        (("pools",), None),
        (("pools", ""), []),
        (("pools", "", "heights"), [2**18]),
        (("pools", "", "counts"), [1.5]),
        (("bets",), {}),
        (("bets", "n"), "1"),
        (("bets", "won"), [1.0]),
        (("bets", "won", 0), -1.0),
        (("bets", "won", 0), float("nan")),
        (("bets", "gains", 0), float("inf")),
        (("bets", "starts", 0), [1]),
        (("bets", "starts", 0), [1, 2]),
        (("alarm",), []),
        (("alarm", "at"), 3),
        (("alarm", "wealth"), "much"),
    ],
    ids=str,
)
def test_a_state_that_is_none_is_refused(path: tuple[Any, ...], value: Any):
    about = copy.deepcopy(watched())
    inner: Any = about
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(InputError):
        dn2.DriftMonitor.from_dict(MODEL, about)
    for broken in ({}, [], None, "text"):
        with pytest.raises(InputError, match=r"DriftMonitor\.as_dict"):
            dn2.DriftMonitor.from_dict(MODEL, broken)  # type: ignore[arg-type]

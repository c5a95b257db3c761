"""Items of parts and strata, bounds with confidence, ties, and the rate that is reached."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors import sampling
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.detector import Detector
from dn2.neighbors.estimator import KNNDetector
from dn2.neighbors.membership import Membership, keys_of
from dn2.neighbors.rates import bounded_p_values, smallest_rate
from dn2.neighbors.steps import Calibrate, Search, Steps, Windows

few_values = st.sampled_from([0.0, 0.1, 0.3, 1.0, 1.5, 7.0])
scores_of_parts = st.lists(st.tuples(few_values, st.integers(0, 5)), min_size=1, max_size=30)


def calibration_of(scored):
    scored = sorted(scored)
    parts = np.unique([part for _, part in scored], return_inverse=True)[1].astype(np.int64)
    return Calibration(np.array([score for score, _ in scored]), len(scored), parts=parts, n_parts=parts.max() + 1)


def scene(rng, n_parts, spread=0.05, d=3):
    """Rows of parts of 1 to 6 rows each, near to each other, and their labels."""
    parts = np.repeat(np.arange(n_parts), rng.integers(1, 7, n_parts))
    rows = rng.normal(size=(n_parts, d))[parts] + spread * rng.normal(size=(len(parts), d))
    return rows, parts


@given(scored=scores_of_parts)
def test_p_values_by_part_equal_naive(scored):
    made = calibration_of(scored)
    queries = [-1.0, 0.05, *[score for score, _ in scored], 9.0]
    expected = [naive.p_value_by_part(query, *zip(*scored, strict=True)) for query in queries]
    np.testing.assert_allclose(made.p_value(np.array(queries)), [float(one) for one in expected], rtol=1e-11)


@given(scored=scores_of_parts, numerator=st.integers(1, 40))
def test_scores_above_the_threshold_of_parts_are_those_flagged(scored, numerator):
    made = calibration_of(scored)
    rate = numerator / 41
    if rate < made.smallest_rate:
        return
    queries = np.array([one for score, _ in scored for one in (score, np.nextafter(score, 9))] + [-1.0, 9.0])
    assert ((queries > made.threshold(rate)) == (made.p_value(queries) <= rate)).all()


def test_parts_of_one_item_each_change_nothing():
    rows, queries = np.random.default_rng(0).normal(size=(2, 60, 3))
    alone, together = KNNDetector().fit(rows), KNNDetector().fit(rows, parts=np.arange(60))
    assert alone.p_value(queries).tolist() == together.p_value(queries).tolist()
    assert alone.calibration_.reachable(0.1) == together.calibration_.reachable(0.1) == 6 / 61


@pytest.mark.parametrize("index", ["exact", "kdtree", "kmeans-tree"])
def test_scores_of_reference_items_leave_their_part_out(index):
    rows, parts = scene(np.random.default_rng(1), 12)
    detector = KNNDetector(2, index=index).fit(rows, parts=parts)
    expected = naive.leave_part_out_scores(rows.astype(np.float32), parts.tolist(), 2)
    np.testing.assert_allclose(detector.calibration_.scores, sorted(expected), rtol=1e-5)


def test_a_query_of_a_known_part_leaves_that_part_out():
    rows, parts = scene(np.random.default_rng(2), 12)
    detector = KNNDetector(2).fit(rows, parts=parts)
    known = detector.anomaly_score(rows, parts=parts)
    np.testing.assert_allclose(
        known, naive.leave_part_out_scores(rows.astype(np.float32), parts.tolist(), 2), rtol=1e-5
    )
    strangers = detector.anomaly_score(rows, parts=parts + 100)
    assert strangers.tolist() == detector.anomaly_score(rows).tolist()
    assert (strangers < known).mean() > 0.5


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_adding_and_removing_equals_a_fresh_fit(data):
    step = Steps(1, search=Search(data.draw(st.sampled_from(["exact", "approximate", "kmeans:2"]))))
    small = arrays(np.float32, (8, 2), elements=st.integers(0, 3))
    labels = st.lists(st.sampled_from("abcdefg"), min_size=8, max_size=8)
    rows, parts = data.draw(small), data.draw(labels)

    def fitted(some_rows, some_parts):
        return Detector.fit(step, some_rows, membership=Membership(keys_of(some_parts, len(some_parts))))

    more, more_parts = data.draw(small), data.draw(labels)
    gone = sorted(data.draw(st.sets(st.integers(0, 15), max_size=6)))
    together, labelled = np.concatenate([rows, more]), parts + more_parts
    left = [place for place in range(16) if place not in gone]
    try:
        first = fitted(rows, parts)
        fresh = fitted(together[left], [labelled[place] for place in left])
        added = first.add(more, membership=Membership(keys_of(more_parts, 8)))
    except ReferenceTooSmall:
        return
    changed = added.remove(gone)
    assert changed.calibration.scores.tolist() == fresh.calibration.scores.tolist()
    assert changed.leave_one_out.members.tolist() == fresh.leave_one_out.members.tolist()
    queries = np.array([[0, 0], [1, 2.5], [9, 9]], np.float32)
    assert changed.p_value(queries).tolist() == fresh.p_value(queries).tolist()


@pytest.mark.parametrize("options", [{"whiten": True}, {"confidence": 0.5}, {"index": "kmeans:3", "n_neighbors": 1}])
def test_a_part_calibrates_as_a_whole_or_not_at_all(options):
    rows, parts = scene(np.random.default_rng(3), 40)
    halves = []
    for seed in (0, 1):
        detector = KNNDetector(**options, seed=seed).fit(rows, parts=parts)
        members = detector.detector_.leave_one_out.members
        chosen = set(parts[members].tolist())
        assert sorted(members.tolist()) == np.flatnonzero(np.isin(parts, list(chosen))).tolist()
        assert len(chosen) == detector.calibration_.of_parts.sample_size == 20
        halves.append(chosen)
    assert halves[0] != halves[1]


def test_a_sample_of_a_large_set_takes_whole_parts(monkeypatch):
    monkeypatch.setattr(sampling, "ALL_UP_TO", 30)
    monkeypatch.setattr(sampling, "SAMPLE_SIZE", 25)
    rows, parts = scene(np.random.default_rng(4), 40)
    members = KNNDetector().fit(rows, parts=parts).detector_.leave_one_out.members
    assert 25 <= len(members) < 25 + 6
    assert members.tolist() == np.flatnonzero(np.isin(parts, parts[members])).tolist()


def test_the_rate_holds_for_items_and_for_parts_where_photos_would_break_it():
    rng, rates = np.random.default_rng(5), np.array([0.1, 0.2])
    photo, item, part = [], [], []
    for _ in range(60):
        rows, parts = scene(rng, 39)
        queries, owners = scene(rng, 20)
        photo.append((KNNDetector().fit(rows).p_value(queries)[:, None] <= rates).mean(axis=0))
        detector = KNNDetector().fit(rows, parts=parts)
        flags = detector.p_value(queries)[:, None] <= rates
        item.append(np.mean([flags[owners == one].mean(axis=0) for one in range(20)], axis=0))
        largest = [detector.anomaly_score(queries[owners == one]).max() for one in range(20)]
        part.append((detector.calibration_.of_parts.p_value(np.array(largest))[:, None] <= rates).mean(axis=0))
    assert (np.mean(photo, axis=0) > 3 * rates).all()
    for got in (item, part):
        error = np.std(got, axis=0) / np.sqrt(60)
        assert (np.mean(got, axis=0) < rates + 3 * error).all()
        assert (np.mean(got, axis=0) > 0.6 * rates).all()


def test_groups_have_a_rate_each():
    rng = np.random.default_rng(6)
    rows = np.concatenate([rng.normal(size=(60, 2)), 3 + 5 * rng.normal(size=(20, 2))])
    per = ["common"] * 60 + ["rare"] * 20
    detector = KNNDetector().fit(rows, per=per)
    scores = detector.calibration_.strata
    assert sorted(len(one.scores) for one in scores.values()) == [20, 60]
    queries = np.zeros((3, 2)) + 4
    got = detector.p_value(queries, per=["common", "rare", "new"])
    loo = np.array(naive.leave_one_out_scores(rows.astype(np.float32), 2))
    score = float(detector.anomaly_score(queries)[0])
    assert got[0] == float(naive.p_value(score, loo[:60]))
    assert got[1] == float(naive.p_value(score, loo[60:]))
    assert np.isnan(got[2])
    assert detector.predict(queries, per=["common", "rare", "new"]).tolist()[2] == 0
    assert detector.false_alarm_rate_ == 1 / 21


@given(m=st.integers(1, 60), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_bounded_p_value_is_the_quantile_of_its_rank(m, confidence):
    bounded = bounded_p_values(np.arange(1.0, m + 2), m, confidence)
    assert bounded[-1] == 1
    assert bounded[0] == smallest_rate(m, confidence)
    for rank in {1, (m + 1) // 2, m}:
        assert naive.share_of_beta_below(bounded[rank - 1], rank, m) == pytest.approx(confidence, abs=1e-9)


def test_items_that_calibrate_with_confidence_are_no_neighbors():
    rows = np.random.default_rng(7).normal(size=(80, 2)).astype(np.float32)
    detector = KNNDetector(1, confidence=0.9).fit(rows)
    members = detector.detector_.leave_one_out.members
    others = np.setdiff1d(np.arange(80), members)
    assert set(detector.kneighbors(rows)[1].ravel()) <= set(others.tolist())
    expected = sorted(naive.nearest(rows[place], rows[others], 1)[0][0] for place in members)
    np.testing.assert_allclose(detector.calibration_.scores, expected, rtol=1e-5)
    assert detector.calibration_.method == "held-out"


def test_a_confidence_that_so_few_items_cannot_give_is_refused_with_the_number():
    rows = np.random.default_rng(8).normal(size=(200, 2))
    with pytest.raises(ReferenceTooSmall, match=r"0.01 with a confidence of 0.95 needs at least 299"):
        KNNDetector(confidence=0.95, false_alarm_rate=0.01).fit(rows)
    more = KNNDetector(confidence=0.95, false_alarm_rate=0.01).fit(np.random.default_rng(8).normal(size=(302, 2)))
    assert more.calibration_.sample_size == 299
    assert more.calibration_.reachable(0.01) == 1 / 300


def test_smoothed_ties_reach_the_rate_of_whole_numbers():
    rng = np.random.default_rng(9)
    plain, smooth = [], []
    for seed in range(120):
        rows, queries = rng.integers(0, 3, size=(49, 2)), rng.integers(0, 3, size=(200, 2))
        plain.append((KNNDetector().fit(rows).p_value(queries) <= 0.1).mean())
        smooth.append((KNNDetector(smooth=True, seed=seed).fit(rows).p_value(queries) <= 0.1).mean())
    assert np.mean(plain) < 0.03
    assert abs(np.mean(smooth) - 0.1) < 3 * np.std(smooth) / np.sqrt(120)
    assert KNNDetector(smooth=True).fit(rows).calibration_.reachable(0.1) == 0.1


def test_a_smoothed_p_value_by_hand():
    made = Calibration(np.array([1.0, 2, 2, 5]), 4, is_smoothed=True)
    got = made.p_value(np.array([2.0, 6.0]), chances=np.array([0.5, 0.25]))
    assert got.tolist() == [float(Fraction(5, 2) / 5), 0.25 / 5]
    by_part = Calibration(made.scores, 4, parts=np.array([0, 0, 1, 1]), n_parts=2, is_smoothed=True)
    got = by_part.p_value(np.array([2.0, 6.0]), chances=np.array([0.5, 0.25]))
    assert got.tolist() == [float(Fraction(2, 3)), float(Fraction(1, 3))]
    assert by_part.reachable(0.4) == pytest.approx((0.5 * 0.4 + 0.5) / 3)


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=2, max_size=5), st.floats(0, 1))
def test_a_smoothed_p_value_of_an_item_is_never_below_that_among_all_items_of_all_parts(parts, chance):
    *others, own = parts
    scores = np.concatenate(others).astype(np.float64)
    labels = np.repeat(np.arange(len(others)), [len(part) for part in others])
    order = np.argsort(scores, kind="stable")
    made = Calibration(scores[order], len(scores), parts=labels[order], n_parts=len(others), is_smoothed=True)
    for score in own:
        exact = sum(np.mean([(one > score) + chance * (one == score) for one in part]) for part in parts) / len(parts)
        assert made.p_value(np.array([score]), chances=np.array([chance]))[0] >= exact - 1e-12


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda rows: KNNDetector().fit(rows, parts=[1, 2]), "a list of 20 labels, got 2"),
        (lambda rows: KNNDetector().fit(rows, parts=[1] * 19 + [None]), "position 19 has none"),
        (lambda rows: KNNDetector().fit(rows, parts=[1.0] * 19 + [np.nan]), "position 19 has none"),
        (lambda rows: KNNDetector().fit(rows, parts="abc"), "must be a list of 20 labels"),
        (lambda rows: KNNDetector().fit(rows, parts=[1] * 19 + [2]), "beside the largest part, of 19, there are 1"),
        (lambda rows: KNNDetector(false_alarm_rate=0.05).fit(rows, parts=[1, 2] * 10), "at least 19 parts, got 2"),
        (lambda rows: KNNDetector(false_alarm_rate=0.05).fit(rows, per=[1, 2] * 10), "at least 19 reference items"),
        (lambda rows: KNNDetector().fit(rows, parts=range(20)).add(rows), "have parts: items that join them must say"),
        (lambda rows: KNNDetector().fit(rows).add(rows, parts=range(20)), "have no parts"),
        (lambda rows: KNNDetector(confidence=1).fit(rows), "between 0 and 1, such as 0.95, got 1"),
        (lambda rows: KNNDetector(confidence=0.9, smooth=True).fit(rows), "leave one of them out"),
        (lambda rows: KNNDetector(confidence=0.9, index="kdtree").fit(rows), "by a confidence or feedback; ask for"),
        (lambda rows: KNNDetector(seed=-1).fit(rows), "whole number from 0"),
        (
            lambda rows: Detector.fit(Steps(windows=Windows(2)), rows, membership=Membership(keys_of(range(20), 20))),
            "windows of series have no parts",
        ),
        (
            lambda rows: Detector.fit(Steps(1, calibrate=Calibrate(0.9), windows=Windows(2)), rows),
            "leave out confidence",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words(call, words):
    with pytest.raises((InputError, ReferenceTooSmall), match=words):
        call(np.random.default_rng(0).normal(size=(20, 2)))

"""The detector that learns from its reference set: centroids, items set aside, split calibration."""

import math
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.estimator_checks import parametrize_with_checks

import naive
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors import blocks as blocks_module
from dn2.neighbors import plan as plan_module
from dn2.neighbors import sampling
from dn2.neighbors.detector import Detector
from dn2.neighbors.estimator import KNNDetector
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.prepare.whitening import NEIGHBORS, POWER
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.steps import Clean, Scale, Search, Steps, Whiten
from dn2.neighbors.trimming import most_trimmed

PAPER = Steps(2, clean=Clean(0.5, 2))
CENTROIDS = Search("kmeans:5")
LEARNING = {
    "centroids": Steps(1, search=CENTROIDS),
    "contaminated": Steps(clean=Clean(0.2)),
    "paper's": PAPER,
    "estimated": Steps(clean=Clean()),
    "both": Steps(1, clean=Clean(0.2), search=CENTROIDS),
    "whitened": Steps(whiten=Whiten()),
    "scaled": Steps(scale=Scale()),
    "scaled, contaminated": Steps(scale=Scale(), clean=Clean(0.2)),
    "all": Steps(1, clean=Clean(0.2), whiten=Whiten(), search=CENTROIDS),
}


@pytest.fixture(params=LEARNING)
def steps(request):
    """Return the steps of each way to learn from the reference set."""
    return LEARNING[request.param]


@pytest.fixture
def dirty(embeddings):
    """Return 100 rows of features and 20 of another kind, in any order, (120, 16) float32; all different."""
    rows = embeddings.copy()
    rows[100:] = rows[100:] * np.float32(1.5) + np.float32(3)
    return np.random.default_rng(5).permutation(rows)


@parametrize_with_checks([KNNDetector(1, false_alarm_rate=0.3, index="kmeans:2", contaminated=True, drop=0.1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def seen(detector, queries):
    """Return all that a user can see of a detector, as bytes."""
    arrays = [*detector.search(queries), detector.p_value(queries)]
    arrays += [detector.calibration.scores, detector.aside, np.concatenate(detector.blocks)]
    arrays += [*detector.learnt.as_arrays().values(), *vars(detector.leave_one_out).values()]
    whole = (detector.calibration.as_dict(0.5), detector.false_alarm_rate, detector.offset, detector.contamination)
    return [array.tobytes() for array in arrays], whole, list(detector.learnt.as_arrays()), detector.suspicion()


def parts(detector):
    """Return the positions that calibrate and those that were learnt from."""
    members = detector.leave_one_out.members
    return members, np.setdiff1d(np.arange(detector.calibration.n_reference), members)


# Scores and p-values


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("drop", [0, 0.1, 0.5])
def test_after_the_papers_cleaning_scores_and_p_values_are_those_of_what_is_left(dirty, k, drop):
    detector = Detector.fit(Steps(k, clean=Clean(drop, 3)), dirty)
    members, learning = parts(detector)
    gone, limit = naive.papers_cleaning(dirty[learning], int(drop * 60), 3)
    aside = {int(place) for place, out in zip(learning, gone, strict=True) if out}
    if drop:
        aside |= {int(i) for i in members if naive.mean_squared_distance(dirty[i], dirty[learning], 3) > limit}
    assert set(detector.aside) == aside
    standing = [place for place in range(120) if place not in aside]
    calibration = sorted(naive.split_scores(dirty, standing, members, k))
    calibration = calibration[: 60 - most_trimmed(120, 60, int(drop * 120))]
    np.testing.assert_allclose(detector.calibration.scores, calibration, rtol=1e-5)
    queries = dirty[::3] + np.float32(0.5)
    expected = [naive.mean_squared_distance(query, dirty[standing], k) for query in queries]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-5)
    p_values = [float(naive.p_value(score, calibration)) for score in expected]
    np.testing.assert_allclose(detector.p_value(queries), p_values, atol=1e-12)


def test_with_centroids_a_score_is_the_squared_distance_to_the_nearest_and_the_other_half_calibrates(embeddings):
    detector = Detector.fit(Steps(1, search=Search("kmeans:6")), embeddings)
    members, learning = parts(detector)
    centroids = detector.learnt.search.means
    assert (len(members), len(centroids)) == (60, 6)
    assert set(detector.learnt.search.representatives) <= set(learning)
    calibration = [naive.nearest(row, centroids, 1)[0][0] for row in embeddings[members]]
    np.testing.assert_allclose(detector.calibration.scores, sorted(calibration), rtol=1e-5)
    queries = embeddings + np.float32(0.3)
    near = [naive.nearest(query, centroids, 1)[0] for query in queries]
    np.testing.assert_allclose(detector.anomaly_score(queries), [distance for distance, _ in near], rtol=1e-5)
    assert detector.kneighbors(queries)[1][:, 0].tolist() == [
        detector.learnt.search.representatives[place] for _, place in near
    ]
    p_values = [float(naive.p_value(distance, calibration)) for distance, _ in near]
    np.testing.assert_allclose(detector.p_value(queries), p_values, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_whitened_scores_are_distances_in_the_whitening_of_the_half_that_does_not_calibrate(dirty, k):
    detector = Detector.fit(Steps(k, whiten=Whiten()), dirty)
    members, learning = parts(detector)
    assert len(members) == 60
    rows = naive.whitened(dirty, dirty[learning], NEIGHBORS, POWER)
    calibration = naive.split_scores(rows, range(120), members, k)
    np.testing.assert_allclose(detector.calibration.scores, sorted(calibration), rtol=1e-3)
    queries = dirty[::3] + np.float32(0.5)
    expected = [naive.mean_squared_distance(query, rows, k) for query in rows[::3] + rows_of_shift(detector, 0.5)]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-3)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_scaled_scores_are_distances_in_the_scaling_of_the_half_that_does_not_calibrate(dirty, k):
    dirty[:, 3] = np.round(dirty[:, 3])  # ties
    dirty[:, 4] = np.float32(1e4) * dirty[:, 4] ** 3
    detector = Detector.fit(Steps(k, scale=Scale()), dirty)
    members, learning = parts(detector)
    rows = naive.scaled_columns(dirty, dirty[learning])
    calibration = naive.split_scores(rows, range(120), members, k)
    np.testing.assert_allclose(detector.calibration.scores, sorted(calibration), rtol=1e-4)
    queries = dirty[::3] + np.float32(0.5)
    expected = [naive.mean_squared_distance(query, rows, k) for query in naive.scaled_columns(queries, dirty[learning])]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-4)


def rows_of_shift(detector, shift):
    """Whiten a shift of all features: the whitening is linear."""
    return detector.as_compared(np.full((1, 16), shift, np.float32)).astype(np.float64)


def test_a_copy_lies_at_distance_0_in_a_whitening_whatever_is_scored_with_it(dirty):
    detector = Detector.fit(Steps(1, whiten=Whiten()), dirty)
    assert not detector.anomaly_score(dirty).any()
    for count in (1, 2, 3, 7, 50):
        assert not detector.anomaly_score(dirty[-count:]).any()


def test_what_is_learnt_is_counted(embeddings):
    calibration = Detector.fit(Steps(1, search=Search("kmeans:6")), embeddings).calibration
    assert (calibration.method, calibration.sample_size, calibration.n_reference) == ("split", 60, 120)
    assert calibration.learnt == (("centroids", 6),)


@pytest.mark.parametrize("drop", [None, 0.0, 0.25, 0.9])
def test_as_many_scores_are_left_out_of_the_calibration_as_the_share_given_implies(dirty, drop):
    detector = Detector.fit(Steps(1, clean=Clean(drop), search=CENTROIDS), dirty)
    whole = detector.leave_one_out.distances.astype(float).mean(axis=1)
    trimmed = most_trimmed(120, 60, math.floor((drop or 0) * 120))
    assert detector.calibration.scores.tolist() == sorted(whole.tolist())[: 60 - trimmed]
    assert detector.calibration.n_trimmed == trimmed
    assert (trimmed > 0) == bool(drop)


def test_what_a_person_took_back_is_not_left_out_of_the_calibration(dirty):
    detector = Detector.fit(Steps(clean=Clean(0.2)), dirty)
    members = detector.leave_one_out.members
    highest = int(members[detector.leave_one_out.distances.mean(axis=1).argmax()])
    assert highest in detector.aside
    after = detector.readmit([highest])
    assert after.calibration.n_trimmed == detector.calibration.n_trimmed
    (own,) = after.leave_one_out.distances.astype(float).mean(axis=1)[members == highest]
    assert own in after.calibration.scores


def test_p_values_fall_as_scores_rise(steps, dirty):
    detector = Detector.fit(steps, dirty)
    queries = np.concatenate([dirty, dirty * np.float32(1.3), dirty + 5])
    scores, p_values = detector.anomaly_score(queries), detector.p_value(queries)
    assert (np.diff(p_values[scores.argsort(kind="stable")]) <= 0).all()
    assert p_values.min() == detector.calibration.smallest_rate
    decided = p_values <= detector.false_alarm_rate
    assert (scores > -detector.offset).tolist() == decided.tolist()


def test_a_search_asks_for_no_more_than_there_is(dirty):
    centroids = Detector.fit(Steps(1, search=CENTROIDS), dirty)
    assert sorted(centroids.kneighbors(dirty[:1], 5)[1][0]) == sorted(centroids.learnt.search.representatives)
    with pytest.raises(InputError, match=r"must lie in 1 \.\.\. 5 reference items, got 6"):
        centroids.kneighbors(dirty[:1], 6)
    cleaned = Detector.fit(PAPER, dirty)
    kept = 120 - len(cleaned.aside)
    assert sorted([*cleaned.kneighbors(dirty[:1], kept)[1][0], *cleaned.aside]) == list(range(120))
    with pytest.raises(InputError, match=rf"must lie in 1 \.\.\. {kept} reference items"):
        cleaned.kneighbors(dirty[:1], kept + 1)


def test_the_rows_compared_with_are_those_of_the_distances(steps, dirty):
    detector = Detector.fit(steps, dirty)
    queries = dirty + np.float32(0.2)
    distances, positions = detector.search(queries)
    compared = detector.as_compared(queries)
    for query, rows, expected in zip(compared, detector.compared_with(compared, positions), distances, strict=True):
        assert [naive.squared_distance(query, row) for row in rows] == pytest.approx(expected.tolist(), rel=1e-5)


def test_anomalies_among_the_items_are_set_aside(dirty):
    anomalous = np.flatnonzero(dirty.min(axis=1) >= 3)
    assert len(anomalous) == 20
    for index in ("auto", "kmeans:5"):
        detector = Detector.fit(Steps(1, clean=Clean(0.25), search=Search(index)), dirty)
        assert set(anomalous) <= set(detector.aside)
        assert len(detector.aside) < 40
        assert detector.anomaly_score(dirty[anomalous]).min() > np.median(detector.anomaly_score(dirty)) * 3
    assert Detector.fit(Steps(), dirty).contamination is None


# A reference set that changes


@pytest.mark.parametrize("n", [60, 90, 119])
def test_adding_equals_having_had_the_items_from_the_start(steps, dirty, monkeypatch, n):
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 16)
    detector = Detector.fit(steps, dirty[:n]).add(dirty[n:])
    assert seen(detector, dirty + 1) == seen(Detector.fit(steps, dirty), dirty + 1)


@pytest.mark.parametrize("gone", [[0], [119], [3, 4, 80], range(10, 50)])
def test_removing_an_item_equals_never_having_added_it(steps, dirty, monkeypatch, gone):
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 16)
    detector = Detector.fit(steps, dirty).remove(gone)
    fresh = Detector.fit(steps, np.delete(dirty, gone, axis=0))
    assert seen(detector, dirty) == seen(fresh, dirty)


def test_adding_then_removing_scores_bit_for_bit_as_before(steps, dirty):
    detector = Detector.fit(steps, dirty[:100])
    before = seen(detector, dirty)
    assert seen(detector.add(dirty[100:]).remove(range(100, 120)), dirty) == before
    assert seen(detector, dirty) == before


@pytest.mark.parametrize("name", ["centroids", "contaminated", "paper's", "both"])
def test_an_item_removed_and_added_again_changes_no_score(dirty, name):
    """It comes last then: neither the split nor what is learnt depends on the order of the set."""
    expected = Detector.fit(LEARNING[name], dirty)
    detector = expected.remove([7]).add(dirty[7:8])
    queries = dirty + np.float32(0.5)
    for method in ("anomaly_score", "p_value"):
        np.testing.assert_array_equal(getattr(detector, method)(queries), getattr(expected, method)(queries))
    again = np.append(np.delete(np.arange(120), 7), 7)
    assert sorted(again[detector.aside]) == expected.aside.tolist()


@given(data=st.data(), name=st.sampled_from(sorted(LEARNING)))
def test_any_adding_and_removing_equals_a_fresh_fit(data, name):
    some_rows = st.integers(1, 8).flatmap(lambda n: arrays(np.float32, (n, 2), elements=st.integers(0, 3)))
    steps = LEARNING[name]
    if steps.search == CENTROIDS:
        steps = replace(steps, search=Search("kmeans:2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_ROWS", 5)
        patch.setattr(sampling, "SAMPLE_SIZE", data.draw(st.sampled_from([4, 100])))
        patch.setattr(plan_module, "MOST_FILTERING", data.draw(st.sampled_from([6, 100])))
        rows = data.draw(arrays(np.float32, (14, 2), elements=st.integers(0, 3)))
        detector = fitted_or_none(steps, rows)
        for _ in range(data.draw(st.integers(1, 3)) if detector else 0):
            if data.draw(st.booleans()):
                gone = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) // 2)))
                changed, change = np.delete(rows, gone, axis=0), partial(detector.remove, gone)
            else:
                new = data.draw(some_rows)
                changed, change = np.concatenate([rows, new]), partial(detector.add, new)
            fresh = fitted_or_none(steps, changed)
            if fresh is None:
                with pytest.raises(ReferenceTooSmall):
                    change()
                continue
            detector, rows = change(), changed
            assert seen(detector, rows) == seen(fresh, rows)
            kept = np.setdiff1d(np.arange(len(rows)), detector.aside)
            assert len(kept) + len(detector.aside) == len(rows)


def fitted_or_none(steps, rows):
    """Fit, or return None where so few rows are refused."""
    try:
        return Detector.fit(steps, rows)
    except ReferenceTooSmall:
        return None


# Taking back


def test_an_item_taken_back_is_found_at_distance_0_and_stays(dirty):
    detector = Detector.fit(PAPER, dirty)
    aside = detector.aside
    back = [int(aside[0]), int(aside[5])]
    assert (detector.kneighbors(dirty[back], 1)[0] > 0).all()
    detector = detector.readmit(back)
    assert detector.aside.tolist() == [place for place in aside if place not in back]
    for _ in range(2):
        assert detector.kneighbors(dirty[back], 1)[1][:, 0].tolist() == back
        assert not detector.kneighbors(dirty[back], 1)[0].any()
        detector = detector.add(dirty[:1] + np.float32(0.1))
    with pytest.raises(InputError, match=f"the item at position {back[0]} is not set aside"):
        detector.readmit(back[:1])


def test_an_item_taken_back_keeps_its_place_as_others_go(dirty):
    detector = Detector.fit(PAPER, dirty)
    back = int(detector.aside[-1])
    lower = [place for place in range(back) if place not in detector.aside][:3]
    detector = detector.readmit(back).remove(lower)
    assert back - 3 not in detector.aside
    assert detector.learnt.readmitted.tolist() == [back - 3]
    detector = detector.remove([back - 3])
    assert detector.learnt.readmitted.tolist() == []


def test_taking_back_one_by_one_equals_taking_back_at_once(dirty):
    one = other = Detector.fit(PAPER, dirty)
    back = one.aside[[4, 1, 9]]
    for place in back:
        one = one.readmit([place])
    assert seen(one, dirty) == seen(other.readmit(back), dirty)


@pytest.mark.parametrize("positions", [[120], [-1], ["a"], [0.5]])
def test_what_is_no_position_cannot_be_taken_back(dirty, positions):
    with pytest.raises(InputError, match="positions must"):
        Detector.fit(PAPER, dirty).readmit(positions)


def test_where_nothing_stands_aside_nothing_can_be_taken_back(dirty):
    for steps in (Steps(2), Steps(1, search=Search("kmeans:3"))):
        detector = Detector.fit(steps, dirty)
        with pytest.raises(InputError, match="the item at position 3 is not set aside"):
            detector.readmit([3])
        assert detector.readmit([]) is detector


# Refusals


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"index": "kmeans:5"}, "compared with its nearest centroid: neighbors must be 1, got 2"),
        ({"index": "kmeans:5", "n_neighbors": 3}, "neighbors must be 1, got 3"),
        ({"index": "kmeans:0", "n_neighbors": 1}, "the index must be auto, exact, kdtree, kmeans-tree"),
        ({"index": "tree"}, "the index must be auto, exact, kdtree, kmeans-tree"),
        ({"index": None}, "the index must be auto, exact, kdtree, kmeans-tree"),
        ({"contaminated": True, "drop": -0.1}, "the share to drop must be at least 0 and less than 1, got -0.1"),
        ({"contaminated": True, "drop": 1}, "the share to drop must be at least 0 and less than 1, got 1"),
        ({"contaminated": True, "drop": math.nan}, "the share to drop must be at least 0 and less than 1, got nan"),
        ({"contaminated": True, "drop": "half"}, "the share to drop must be at least 0 and less than 1, got 'half'"),
        ({"drop": 0.5}, "drop and first_neighbors need a set that is contaminated"),
        ({"drop": 0.0}, "drop and first_neighbors need a set that is contaminated"),
        ({"first_neighbors": 2}, "drop and first_neighbors need a set that is contaminated"),
        ({"contaminated": True, "first_neighbors": 0}, "first_neighbors must be an integer of at least 1, got 0"),
        ({"contaminated": True, "first_neighbors": 2.0}, "first_neighbors must be an integer of at least 1"),
        ({"contaminated": True, "first_neighbors": True}, "first_neighbors must be an integer of at least 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused_before_a_search(embeddings, monkeypatch, parameters, words):
    monkeypatch.setattr(ExactIndex, "search", lambda *_: pytest.fail("searched"))
    with pytest.raises(InputError, match=words):
        KNNDetector(**parameters).fit(embeddings)


def test_an_index_that_is_exact_is_the_default(embeddings):
    one, other = (Detector.fit(steps, embeddings) for steps in (Steps(search=Search("exact")), Steps()))
    assert one.learnt is None
    assert np.array_equal(one.p_value(embeddings), other.p_value(embeddings))


@pytest.mark.parametrize(("n", "centroids", "got"), [(20, 11, 10), (21, 12, 11), (2, 2, 1)])
def test_more_centroids_than_there_are_items_to_learn_from_are_refused(embeddings, n, centroids, got):
    with pytest.raises(ReferenceTooSmall, match=f"{centroids} centroids need at least .* got {got}, a random half"):
        Detector.fit(Steps(1, search=Search(f"kmeans:{centroids}")), embeddings[:n])
    fitted = Detector.fit(Steps(1, search=Search(f"kmeans:{got}")), embeddings[:n])
    assert len(fitted.learnt.search.means) == got


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10, 11])
@pytest.mark.parametrize("k", [1, 2, 10])
@pytest.mark.parametrize("made", ["different", "alike", "all but one"])
def test_a_tiny_contaminated_set_is_fitted_or_refused_in_words(embeddings, n, k, made):
    rows = embeddings[:n].copy()
    if made != "different":
        rows[:] = rows[0]
    if made == "all but one":
        rows[-1] += 1
    words = []
    for clean in (Clean(), Clean(0.0), Clean(0.5), Clean(0.99), Clean(first_neighbors=2), PAPER.clean):
        try:
            detector = Detector.fit(Steps(k, clean=clean), rows)
        except ReferenceTooSmall as error:
            words.append(str(error))
        else:
            assert k < n - len(detector.aside)
            assert detector.p_value(rows).max() <= 1
            assert 1 <= detector.calibration.sample_size <= n // 2
    assert all(f"neighbours need at least {k + 1} reference items" in one for one in words)
    if k < n:
        try:
            Detector.fit(Steps(k, clean=Clean(0.0)), rows)
        except ReferenceTooSmall:
            pytest.fail("nothing is dropped, and there are enough")


def test_a_share_so_large_that_too_few_remain_is_refused(embeddings):
    words = r"10 neighbours need at least 11 reference items, \d+ are left of 25 once others are set aside; add more or"
    with pytest.raises(ReferenceTooSmall, match=words):
        Detector.fit(Steps(10, clean=Clean(0.95)), embeddings[:25])


@pytest.mark.parametrize(("n", "more"), [(40, 158), (41, 162), (120, 78)])
def test_a_rate_that_the_calibrating_half_cannot_support_says_how_many_more_it_takes(n, more):
    rows = np.random.default_rng(0).normal(size=(300, 4))
    steps = Steps(1, 0.01, search=Search("kmeans:3"))
    words = rf"0\.01 needs at least 99 items that calibrate, got {n // 2} of {n}; add {more} more or ask for"
    with pytest.raises(ReferenceTooSmall, match=words):
        Detector.fit(steps, rows[:n])
    assert Detector.fit(steps, rows[: n + more]).false_alarm_rate == 0.01
    with pytest.raises(ReferenceTooSmall, match="items that calibrate"):
        Detector.fit(Steps(1, search=Search("kmeans:3")), rows[:n]).calibration.rate(0.01)


def test_such_a_rate_is_refused_before_the_work(embeddings, monkeypatch):
    monkeypatch.setattr(plan_module, "estimate_share", lambda *_: pytest.fail("learnt"))
    with pytest.raises(ReferenceTooSmall):
        Detector.fit(Steps(2, 0.01, clean=Clean()), embeddings)


def test_a_change_that_cannot_be_is_refused(dirty):
    for steps in LEARNING.values():
        detector = Detector.fit(replace(steps, false_alarm_rate=0.035), dirty)
        for change in (
            partial(detector.remove, range(70)),
            partial(detector.add, dirty * np.float32(1e20)),
            partial(detector.readmit, [int(np.setdiff1d(range(120), detector.aside)[0])]),
        ):
            with pytest.raises((InputError, ReferenceTooSmall)):
                change()


# Copies, restored detectors


def test_a_pickled_detector_scores_the_same_and_goes_on(steps, dirty):
    detector = Detector.fit(steps, dirty)
    copy = pickle.loads(pickle.dumps(detector))  # noqa: S301
    assert seen(copy.add(dirty[:3] + 1), dirty) == seen(detector.add(dirty[:3] + 1), dirty)


def test_a_restored_detector_is_the_one_that_was_saved(steps, dirty):
    saved = Detector.fit(steps, dirty)
    learnt = Learnt.from_arrays(saved.learnt.as_arrays())
    restored = Detector.from_saved(Steps.from_dict(saved.steps.as_dict()), saved.blocks, saved.leave_one_out, learnt)
    assert seen(restored, dirty + 1) == seen(saved, dirty + 1)


def test_what_was_learnt_must_be_what_the_steps_learn(dirty):
    detectors = {name: Detector.fit(steps, dirty) for name, steps in LEARNING.items()}
    forms = {name: {one.partition(".")[0] for one in of.learnt.as_arrays()} for name, of in detectors.items()}
    for name, one in detectors.items():
        with pytest.raises(InputError, match="needs what it learnt"):
            Detector.from_saved(one.steps, one.blocks, one.leave_one_out)
        with pytest.raises(InputError, match="needs what it learnt"):
            Detector.from_saved(Steps(one.steps.n_neighbors), one.blocks, one.leave_one_out, one.learnt)
        for other, strange in detectors.items():
            if forms[other] | {"whitening"} != forms[name] | {"whitening"} or forms[other] > forms[name]:
                with pytest.raises(InputError, match="must be what the steps learn"):
                    Detector.from_saved(one.steps, one.blocks, one.leave_one_out, strange.learnt)


def test_copies_are_counted_among_items_but_not_among_centroids(embeddings):
    rows = np.concatenate([embeddings, embeddings[:30]])
    cleaned = Detector.fit(Steps(2, clean=Clean(0.0)), rows)
    expected = [place for place in cleaned.leave_one_out.members if (rows == rows[place]).all(axis=1).sum() > 1]
    assert [one for one, _ in cleaned.near_duplicates(0.0)] == expected
    assert cleaned.suspicion().repeats == len(expected) > 0
    centroids = Detector.fit(Steps(1, search=Search("kmeans:60")), rows)
    assert (centroids.near_duplicates(0.0), centroids.suspicion().repeats) == ([], 0)


# False alarms


@pytest.mark.parametrize("name", ["centroids", "contaminated", "both"])
def test_of_new_normal_items_at_most_the_rate_is_flagged(name):
    """On average over 200 reference sets, within three standard errors."""
    steps = {
        "centroids": Steps(1, 0.1, search=Search("kmeans:3")),
        "contaminated": Steps(2, 0.1, clean=Clean()),
        "both": Steps(1, 0.1, clean=Clean(), search=Search("kmeans:3")),
    }[name]
    kinds = 8 * np.eye(3, 12)[np.random.default_rng(0).choice(3, 140, p=[0.7, 0.2, 0.1])]
    rates = []
    for seed in range(200):
        rows = np.random.default_rng(seed).permutation(kinds) + np.random.default_rng(seed).normal(size=(140, 12))
        detector = Detector.fit(steps, rows[:40])
        rates.append(np.mean(detector.p_value(rows[40:]) <= 0.1))
    assert np.mean(rates) <= 0.1 + 3 * np.std(rates) / math.sqrt(len(rates))
    assert np.mean(rates) > 0.05  # (1 + floor(0.1 * 21)) / 21 at the most: the rate is used, not merely kept

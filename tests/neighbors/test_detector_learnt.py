"""The detector that learns from its reference set: centroids, items set aside, split calibration."""

import math
import pickle

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
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import ExactIndex
from dn2.neighbors.whitening import NEIGHBORS, POWER

PAPER = {"contaminated": True, "drop": 0.5, "first_neighbors": 2}
LEARNING = {
    "centroids": {"n_neighbors": 1, "index": "kmeans:5"},
    "contaminated": {"contaminated": True, "drop": 0.2},
    "paper's": PAPER,
    "estimated": {"contaminated": True},
    "both": {"n_neighbors": 1, "index": "kmeans:5", "contaminated": True, "drop": 0.2},
    "whitened": {"whiten": True},
    "scaled": {"scale_columns": True},
    "scaled, contaminated": {"scale_columns": True, "contaminated": True, "drop": 0.2},
    "all": {"n_neighbors": 1, "index": "kmeans:5", "contaminated": True, "drop": 0.2, "whiten": True},
}


@pytest.fixture(params=LEARNING)
def parameters(request):
    """Return the parameters of each way to learn from the reference set."""
    return LEARNING[request.param]


@pytest.fixture
def dirty(embeddings):
    """Return 100 rows of features and 20 of another kind, in any order, (120, 16) float32; all different."""
    rows = embeddings.copy()
    rows[100:] = rows[100:] * np.float32(1.5) + np.float32(3)
    return np.random.default_rng(5).permutation(rows)


@parametrize_with_checks(
    [
        KNNDetector(1, false_alarm_rate=0.3, index="kmeans:2", contaminated=True, drop=0.1),
        KNNDetector(2, false_alarm_rate=0.2, scale_columns=True),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def seen(detector, queries):
    """Return all that a user can see of a detector, as bytes."""
    arrays = [*detector.search(queries), detector.p_value(queries), detector.predict(queries)]
    arrays += [detector.calibration_.scores, detector.aside_, np.concatenate(detector.blocks_)]
    arrays += [*vars(detector.learnt_).values(), *vars(detector.leave_one_out_).values()]
    whole = (detector.calibration_.as_dict(0.5), detector.false_alarm_rate_, detector.offset_, detector.contamination_)
    return [array.tobytes() for array in arrays], whole, detector.near_duplicates()


def parts(detector):
    """Return the positions that calibrate and those that were learnt from."""
    members = detector.leave_one_out_.members
    return members, np.setdiff1d(np.arange(detector.calibration_.n_reference), members)


# Scores and p-values


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("drop", [0, 0.1, 0.5])
def test_after_the_papers_cleaning_scores_and_p_values_are_those_of_what_is_left(dirty, k, drop):
    detector = KNNDetector(k, contaminated=True, drop=drop, first_neighbors=3).fit(dirty)
    members, learning = parts(detector)
    gone, limit = naive.papers_cleaning(dirty[learning], int(drop * 60), 3)
    aside = {int(place) for place, out in zip(learning, gone, strict=True) if out}
    if drop:
        aside |= {int(i) for i in members if naive.mean_squared_distance(dirty[i], dirty[learning], 3) > limit}
    assert set(detector.aside_) == aside
    standing = [place for place in range(120) if place not in aside]
    calibration = sorted(naive.split_scores(dirty, standing, members, k))
    calibration = calibration[: len(calibration) - int(detector.contamination_.low * 60)]
    np.testing.assert_allclose(detector.calibration_.scores, calibration, rtol=1e-5)
    queries = dirty[::3] + np.float32(0.5)
    expected = [naive.mean_squared_distance(query, dirty[standing], k) for query in queries]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-5)
    p_values = [float(naive.p_value(score, calibration)) for score in expected]
    np.testing.assert_allclose(detector.p_value(queries), p_values, atol=1e-12)


def test_with_centroids_a_score_is_the_squared_distance_to_the_nearest_and_the_other_half_calibrates(embeddings):
    detector = KNNDetector(1, index="kmeans:6").fit(embeddings)
    members, learning = parts(detector)
    centroids = detector.learnt_.centroids
    assert (len(members), len(centroids)) == (60, 6)
    assert set(detector.learnt_.representatives) <= set(learning)
    calibration = [naive.nearest(row, centroids, 1)[0][0] for row in embeddings[members]]
    np.testing.assert_allclose(detector.calibration_.scores, sorted(calibration), rtol=1e-5)
    queries = embeddings + np.float32(0.3)
    near = [naive.nearest(query, centroids, 1)[0] for query in queries]
    np.testing.assert_allclose(detector.anomaly_score(queries), [distance for distance, _ in near], rtol=1e-5)
    assert detector.kneighbors(queries)[1][:, 0].tolist() == [
        detector.learnt_.representatives[place] for _, place in near
    ]
    p_values = [float(naive.p_value(distance, calibration)) for distance, _ in near]
    np.testing.assert_allclose(detector.p_value(queries), p_values, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_whitened_scores_are_distances_in_the_whitening_of_the_half_that_does_not_calibrate(dirty, k):
    detector = KNNDetector(k, whiten=True).fit(dirty)
    members, learning = parts(detector)
    assert len(members) == 60
    rows = naive.whitened(dirty, dirty[learning], NEIGHBORS, POWER)
    calibration = naive.split_scores(rows, range(120), members, k)
    np.testing.assert_allclose(detector.calibration_.scores, sorted(calibration), rtol=1e-3)
    queries = dirty[::3] + np.float32(0.5)
    expected = [naive.mean_squared_distance(query, rows, k) for query in rows[::3] + rows_of_shift(detector, 0.5)]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-3)


@pytest.mark.parametrize("k", [1, 2, 7])
def test_scaled_scores_are_distances_in_the_scaling_of_the_half_that_does_not_calibrate(dirty, k):
    dirty[:, 3] = np.round(dirty[:, 3])  # ties
    dirty[:, 4] = np.float32(1e4) * dirty[:, 4] ** 3
    detector = KNNDetector(k, scale_columns=True).fit(dirty)
    members, learning = parts(detector)
    rows = naive.scaled_columns(dirty, dirty[learning])
    calibration = naive.split_scores(rows, range(120), members, k)
    np.testing.assert_allclose(detector.calibration_.scores, sorted(calibration), rtol=1e-4)
    queries = dirty[::3] + np.float32(0.5)
    expected = [naive.mean_squared_distance(query, rows, k) for query in naive.scaled_columns(queries, dirty[learning])]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-4)


def rows_of_shift(detector, shift):
    """Whiten a shift of all features: the whitening is linear."""
    return detector.as_compared(np.full((1, 16), shift, np.float32)).astype(np.float64)


def test_a_copy_lies_at_distance_0_in_a_whitening_whatever_is_scored_with_it(dirty):
    detector = KNNDetector(1, whiten=True).fit(dirty)
    assert not detector.anomaly_score(dirty).any()
    for count in (1, 2, 3, 7, 50):
        assert not detector.anomaly_score(dirty[-count:]).any()


def test_what_is_learnt_is_said(embeddings):
    calibration = KNNDetector(1, index="kmeans:6").fit(embeddings).calibration_
    assert (calibration.method, calibration.sample_size, calibration.n_reference) == ("split", 60, 120)
    assert any(
        "A random 60 of the 120 items calibrate; the 6 centroids were learnt" in w for w in calibration.assumptions()
    )


@pytest.mark.parametrize("found", [0.25, 1.0])
def test_the_low_end_of_the_share_is_left_out_of_the_calibration_but_never_all_of_it(embeddings, monkeypatch, found):
    from dn2.neighbors.clean import Share

    monkeypatch.setattr(plan_module, "estimate_share", lambda rows: Share(found, found, found))
    detector = KNNDetector(2, contaminated=True, drop=0.0).fit(embeddings)
    whole = naive.split_scores(embeddings, range(120), detector.leave_one_out_.members, 2)
    left = 45 if found == 0.25 else 1
    np.testing.assert_allclose(detector.calibration_.scores, sorted(whole)[:left], rtol=1e-5)
    assert detector.calibration_.n_trimmed == 60 - left
    assert any(
        f"The {60 - left} calibrating items that score highest" in w for w in detector.calibration_.assumptions()
    )


def test_p_values_fall_as_scores_rise(parameters, dirty):
    detector = KNNDetector(**parameters).fit(dirty)
    queries = np.concatenate([dirty, dirty * np.float32(1.3), dirty + 5])
    scores, p_values = detector.anomaly_score(queries), detector.p_value(queries)
    assert (np.diff(p_values[scores.argsort(kind="stable")]) <= 0).all()
    assert p_values.min() == detector.calibration_.smallest_rate
    decided = detector.p_value(queries) <= detector.false_alarm_rate_
    assert detector.predict(queries).tolist() == [-1 if one else 1 for one in decided]


def test_a_search_asks_for_no_more_than_there_is(dirty):
    centroids = KNNDetector(1, index="kmeans:5").fit(dirty)
    assert sorted(centroids.kneighbors(dirty[:1], 5)[1][0]) == sorted(centroids.learnt_.representatives)
    with pytest.raises(InputError, match=r"must lie in 1 \.\.\. 5 reference items, got 6"):
        centroids.kneighbors(dirty[:1], 6)
    cleaned = KNNDetector(2, **PAPER).fit(dirty)
    kept = 120 - len(cleaned.aside_)
    assert sorted([*cleaned.kneighbors(dirty[:1], kept)[1][0], *cleaned.aside_]) == list(range(120))
    with pytest.raises(InputError, match=rf"must lie in 1 \.\.\. {kept} reference items"):
        cleaned.kneighbors(dirty[:1], kept + 1)


def test_the_rows_compared_with_are_those_of_the_distances(parameters, dirty):
    detector = KNNDetector(**parameters).fit(dirty)
    queries = dirty + np.float32(0.2)
    distances, positions = detector.search(queries)
    compared = detector.as_compared(queries)
    for query, rows, expected in zip(compared, detector.compared_with(compared, positions), distances, strict=True):
        assert [naive.squared_distance(query, row) for row in rows] == pytest.approx(expected.tolist(), rel=1e-5)


def test_anomalies_among_the_items_are_set_aside(dirty):
    anomalous = np.flatnonzero(dirty.min(axis=1) >= 3)
    assert len(anomalous) == 20
    for index in ("auto", "kmeans:5"):
        detector = KNNDetector(1, contaminated=True, drop=0.25, index=index).fit(dirty)
        assert set(anomalous) <= set(detector.aside_)
        assert len(detector.aside_) < 40
        assert detector.anomaly_score(dirty[anomalous]).min() > np.median(detector.anomaly_score(dirty)) * 3
    assert KNNDetector(2).fit(dirty).contamination_ is None


# A reference set that changes


@pytest.mark.parametrize("n", [60, 90, 119])
def test_adding_equals_having_had_the_items_from_the_start(parameters, dirty, monkeypatch, n):
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 16)
    detector = KNNDetector(**parameters).fit(dirty[:n]).add(dirty[n:])
    assert seen(detector, dirty + 1) == seen(KNNDetector(**parameters).fit(dirty), dirty + 1)


@pytest.mark.parametrize("gone", [[0], [119], [3, 4, 80], range(10, 50)])
def test_removing_an_item_equals_never_having_added_it(parameters, dirty, monkeypatch, gone):
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 16)
    detector = KNNDetector(**parameters).fit(dirty).remove(gone)
    fresh = KNNDetector(**parameters).fit(np.delete(dirty, gone, axis=0))
    assert seen(detector, dirty) == seen(fresh, dirty)


def test_adding_then_removing_scores_bit_for_bit_as_before(parameters, dirty):
    detector, expected = (KNNDetector(**parameters).fit(dirty[:100]) for _ in range(2))
    detector.add(dirty[100:]).remove(range(100, 120))
    assert seen(detector, dirty) == seen(expected, dirty)


@pytest.mark.parametrize("name", ["centroids", "contaminated", "paper's", "both"])
def test_an_item_removed_and_added_again_changes_no_score(dirty, name):
    """It comes last then: neither the split nor what is learnt depends on the order of the set."""
    detector, expected = (KNNDetector(**LEARNING[name]).fit(dirty) for _ in range(2))
    detector.remove([7]).add(dirty[7:8])
    queries = dirty + np.float32(0.5)
    for method in ("anomaly_score", "p_value", "predict"):
        np.testing.assert_array_equal(getattr(detector, method)(queries), getattr(expected, method)(queries))
    again = np.append(np.delete(np.arange(120), 7), 7)
    assert sorted(again[detector.aside_]) == expected.aside_.tolist()


@given(data=st.data(), name=st.sampled_from(sorted(LEARNING)))
def test_any_adding_and_removing_equals_a_fresh_fit(data, name):
    some_rows = st.integers(1, 8).flatmap(lambda n: arrays(np.float32, (n, 2), elements=st.integers(0, 3)))
    parameters = LEARNING[name] | ({"index": "kmeans:2"} if "index" in LEARNING[name] else {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_ROWS", 5)
        patch.setattr(plan_module, "SAMPLE_SIZE", data.draw(st.sampled_from([4, 100])))
        patch.setattr(plan_module, "MOST_JUDGES", data.draw(st.sampled_from([6, 100])))
        rows = data.draw(arrays(np.float32, (14, 2), elements=st.integers(0, 3)))
        detector = fitted_or_none(parameters, rows)
        for _ in range(data.draw(st.integers(1, 3)) if detector else 0):
            if data.draw(st.booleans()):
                gone = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) // 2)))
                changed, change = np.delete(rows, gone, axis=0), lambda gone=gone: detector.remove(gone)
            else:
                new = data.draw(some_rows)
                changed, change = np.concatenate([rows, new]), lambda new=new: detector.add(new)
            fresh, before = fitted_or_none(parameters, changed), seen(detector, rows)
            if fresh is None:
                with pytest.raises(ReferenceTooSmall):
                    change()
                assert seen(detector, rows) == before
                continue
            change()
            rows = changed
            assert seen(detector, rows) == seen(fresh, rows)
            kept = np.setdiff1d(np.arange(len(rows)), detector.aside_)
            assert len(kept) + len(detector.aside_) == len(rows)


def fitted_or_none(parameters, rows):
    """Fit, or return None where so few rows are refused."""
    try:
        return KNNDetector(**parameters).fit(rows)
    except ReferenceTooSmall:
        return None


# Taking back


def test_an_item_taken_back_is_found_at_distance_0_and_stays(dirty):
    detector = KNNDetector(2, **PAPER).fit(dirty)
    aside = detector.aside_
    back = [int(aside[0]), int(aside[5])]
    assert (detector.kneighbors(dirty[back], 1)[0] > 0).all()
    detector.readmit(back)
    assert detector.aside_.tolist() == [place for place in aside if place not in back]
    for _ in range(2):
        assert detector.kneighbors(dirty[back], 1)[1][:, 0].tolist() == back
        assert not detector.kneighbors(dirty[back], 1)[0].any()
        detector.add(dirty[:1] + np.float32(0.1))
    with pytest.raises(InputError, match=f"the item at position {back[0]} is not set aside"):
        detector.readmit(back[:1])


def test_an_item_taken_back_keeps_its_place_as_others_go(dirty):
    detector = KNNDetector(2, **PAPER).fit(dirty)
    back = int(detector.aside_[-1])
    lower = [place for place in range(back) if place not in detector.aside_][:3]
    detector.readmit(back).remove(lower)
    assert back - 3 not in detector.aside_
    assert detector.learnt_.readmitted.tolist() == [back - 3]
    detector.remove([back - 3])
    assert detector.learnt_.readmitted.tolist() == []


def test_taking_back_one_by_one_equals_taking_back_at_once(dirty):
    one, other = (KNNDetector(2, **PAPER).fit(dirty) for _ in range(2))
    back = one.aside_[[4, 1, 9]]
    for place in back:
        one.readmit([place])
    assert seen(one, dirty) == seen(other.readmit(back), dirty)


@pytest.mark.parametrize("positions", [[120], [-1], ["a"], [0.5]])
def test_what_is_no_position_cannot_be_taken_back(dirty, positions):
    with pytest.raises(InputError, match="positions must"):
        KNNDetector(2, **PAPER).fit(dirty).readmit(positions)


def test_where_nothing_stands_aside_nothing_can_be_taken_back(dirty):
    for detector in (KNNDetector(2), KNNDetector(1, index="kmeans:3")):
        before = detector.fit(dirty).anomaly_score(dirty)
        with pytest.raises(InputError, match="the item at position 3 is not set aside"):
            detector.readmit([3])
        assert np.array_equal(detector.readmit([]).anomaly_score(dirty), before)


# Refusals


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"index": "kmeans:5"}, "compared with its nearest centroid: n_neighbors must be 1, got 2"),
        ({"index": "kmeans:5", "n_neighbors": 3}, "n_neighbors must be 1, got 3"),
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
        ({"contaminated": True, "first_neighbors": 0}, "first_neighbors must be a whole number of at least 1, got 0"),
        ({"contaminated": True, "first_neighbors": 2.0}, "first_neighbors must be a whole number of at least 1"),
        ({"contaminated": True, "first_neighbors": True}, "first_neighbors must be a whole number of at least 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused_before_a_search(embeddings, monkeypatch, parameters, words):
    monkeypatch.setattr(ExactIndex, "search", lambda *_: pytest.fail("searched"))
    with pytest.raises(InputError, match=words):
        KNNDetector(**parameters).fit(embeddings)


def test_an_index_that_is_exact_is_the_default(embeddings):
    one, other = KNNDetector(2, index="exact").fit(embeddings), KNNDetector(2).fit(embeddings)
    assert one.learnt_ is None
    assert np.array_equal(one.p_value(embeddings), other.p_value(embeddings))


@pytest.mark.parametrize(("n", "centroids", "got"), [(20, 11, 10), (21, 12, 11), (2, 2, 1)])
def test_more_centroids_than_there_are_items_to_learn_from_are_refused(embeddings, n, centroids, got):
    with pytest.raises(ReferenceTooSmall, match=f"{centroids} centroids need at least .* got {got}, a random half"):
        KNNDetector(1, index=f"kmeans:{centroids}").fit(embeddings[:n])
    assert len(KNNDetector(1, index=f"kmeans:{got}").fit(embeddings[:n]).learnt_.centroids) == got


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
    for options in ({}, {"drop": 0.0}, {"drop": 0.5}, {"drop": 0.99}, {"first_neighbors": 2}, PAPER):
        try:
            detector = KNNDetector(k, **{"contaminated": True, **options}).fit(rows)
        except ReferenceTooSmall as error:
            words.append(str(error))
        else:
            assert k < n - len(detector.aside_)
            assert detector.p_value(rows).max() <= 1
            assert 1 <= detector.calibration_.sample_size <= n // 2
    assert all(f"neighbours need at least {k + 1} reference items" in one for one in words)
    if k < n:
        try:
            KNNDetector(k, contaminated=True, drop=0.0).fit(rows)
        except ReferenceTooSmall:
            pytest.fail("nothing is dropped, and there are enough")


def test_a_share_so_large_that_too_few_remain_is_refused(embeddings):
    words = r"10 neighbours need at least 11 reference items, \d+ are left of 25 once others are set aside; add more or"
    with pytest.raises(ReferenceTooSmall, match=words):
        KNNDetector(10, contaminated=True, drop=0.95).fit(embeddings[:25])


@pytest.mark.parametrize(("n", "more"), [(40, 158), (41, 162), (120, 78)])
def test_a_rate_that_the_calibrating_half_cannot_support_says_how_many_more_it_takes(n, more):
    rows = np.random.default_rng(0).normal(size=(300, 4))
    detector = KNNDetector(1, index="kmeans:3", false_alarm_rate=0.01)
    words = rf"0\.01 needs at least 99 items that calibrate, got {n // 2} of {n}; add {more} more or ask for"
    with pytest.raises(ReferenceTooSmall, match=words):
        detector.fit(rows[:n])
    assert detector.fit(rows[: n + more]).false_alarm_rate_ == 0.01
    with pytest.raises(ReferenceTooSmall, match="items that calibrate"):
        KNNDetector(1, index="kmeans:3").fit(rows[:n]).calibration_.rate(0.01)


def test_such_a_rate_is_refused_before_the_work(embeddings, monkeypatch):
    monkeypatch.setattr(plan_module, "estimate_share", lambda *_: pytest.fail("judged"))
    with pytest.raises(ReferenceTooSmall):
        KNNDetector(2, contaminated=True, false_alarm_rate=0.01).fit(embeddings)


def test_a_refused_change_changes_nothing(dirty):
    queries = dirty[:10] + 1
    for parameters in LEARNING.values():
        detector = KNNDetector(**parameters, false_alarm_rate=0.03).fit(dirty)
        before = seen(detector, queries)
        for change in (
            lambda detector=detector: detector.remove(range(60)),
            lambda detector=detector: detector.add(dirty * np.float32(1e20)),
            lambda detector=detector: detector.readmit([int(np.setdiff1d(range(120), detector.aside_)[0])]),
        ):
            with pytest.raises((InputError, ReferenceTooSmall)):
                change()
            assert seen(detector, queries) == before


# Copies, restored detectors


def test_a_pickled_detector_scores_the_same_and_goes_on(parameters, dirty):
    detector = KNNDetector(**parameters).fit(dirty)
    copy = pickle.loads(pickle.dumps(detector))  # noqa: S301
    assert seen(copy.add(dirty[:3] + 1), dirty) == seen(detector.add(dirty[:3] + 1), dirty)


def test_a_restored_detector_is_the_one_that_was_saved(parameters, dirty):
    saved = KNNDetector(**parameters).fit(dirty)
    restored = KNNDetector(**parameters).from_saved(saved.blocks_, saved.leave_one_out_, saved.learnt_)
    assert seen(restored, dirty + 1) == seen(saved, dirty + 1)


def test_what_was_learnt_and_the_parameters_must_go_together(embeddings):
    plain, learnt = KNNDetector(1).fit(embeddings), KNNDetector(1, index="kmeans:3").fit(embeddings)
    with pytest.raises(InputError, match="needs what it learnt"):
        KNNDetector(1, index="kmeans:3").from_saved(plain.blocks_, plain.leave_one_out_, None)
    with pytest.raises(InputError, match="needs what it learnt, and only that one"):
        KNNDetector(1).from_saved(plain.blocks_, plain.leave_one_out_, learnt.learnt_)


def test_copies_are_counted_among_items_but_not_among_centroids(embeddings):
    rows = np.concatenate([embeddings, embeddings[:30]])
    cleaned = KNNDetector(2, contaminated=True, drop=0.0).fit(rows)
    copies = naive.near_duplicates(rows, 0.0)
    expected = [place for place in cleaned.leave_one_out_.members if copies[place]]
    assert [one for one, _ in cleaned.near_duplicates()] == expected
    assert cleaned.calibration_.n_near_duplicates == len(expected) > 0
    centroids = KNNDetector(1, index="kmeans:60").fit(rows)
    assert (centroids.near_duplicates(), centroids.calibration_.n_near_duplicates) == ([], 0)


# False alarms


@pytest.mark.parametrize("name", ["centroids", "contaminated", "both"])
def test_of_new_normal_items_at_most_the_rate_is_flagged(name):
    """On average over 200 reference sets, within three standard errors."""
    parameters = {
        "centroids": {"n_neighbors": 1, "index": "kmeans:3"},
        "contaminated": {"contaminated": True, "drop": 0.0},
        "both": {"n_neighbors": 1, "index": "kmeans:3", "contaminated": True, "drop": 0.3},
    }[name]
    rates = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        detector = KNNDetector(**parameters, false_alarm_rate=0.1).fit(rng.normal(size=(40, 12)))
        if detector.calibration_.n_trimmed:  # taken for anomalies: what that costs is said
            continue
        rates.append(np.mean(detector.predict(rng.normal(size=(100, 12))) == -1))
    assert len(rates) > 100
    assert np.mean(rates) <= 0.1 + 3 * np.std(rates) / math.sqrt(len(rates))
    assert np.mean(rates) > 0.05  # (1 + floor(0.1 * 21)) / 21 at the most: the rate is used, not merely kept

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.estimator_checks import parametrize_with_checks

import naive
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors import blocks as blocks_module
from dn2.neighbors import sampling
from dn2.neighbors.blocks import Block
from dn2.neighbors.detector import Detector
from dn2.neighbors.estimator import KNNDetector
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.steps import Normalize, Steps

# On a line: 0, 1, 3, 7, 15.
LINE = np.array([[0], [1], [3], [7], [15]], np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 16)


@parametrize_with_checks([KNNDetector(false_alarm_rate=0.2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def assert_same(one, other, queries):
    """Bit for bit: all that a user can see."""
    for name in ("predict", "decision_function"):
        np.testing.assert_array_equal(getattr(one, name)(queries), getattr(other, name)(queries))
    assert_same_detector(one.detector_, other.detector_, queries)


def assert_same_detector(one, other, queries):
    for found, expected in zip(one.search(queries), other.search(queries), strict=True):
        np.testing.assert_array_equal(found, expected)
    for name in ("anomaly_score", "p_value"):
        np.testing.assert_array_equal(getattr(one, name)(queries), getattr(other, name)(queries))
    np.testing.assert_array_equal(np.concatenate(one.blocks), np.concatenate(other.blocks))
    for name in ("members", "distances", "neighbors"):
        np.testing.assert_array_equal(getattr(one.leave_one_out, name), getattr(other.leave_one_out, name))
    assert one.calibration.as_dict(0.5) == other.calibration.as_dict(0.5)
    np.testing.assert_array_equal(one.calibration.scores, other.calibration.scores)
    assert (one.false_alarm_rate, one.offset) == (other.false_alarm_rate, other.offset)
    assert one.suspicion() == other.suspicion()


# Scores and decisions.


def test_scores_by_hand():
    detector = KNNDetector(2).fit(LINE)
    queries = [[0], [2], [11], [-3]]
    # Squared distances to the two nearest: 0 and 1; 1 and 1; 16 and 16; 9 and 16.
    assert detector.anomaly_score(queries).tolist() == [0.5, 1, 16, 12.5]
    # Leave-one-out: (1 + 9) / 2, (1 + 4) / 2, (4 + 9) / 2, (16 + 36) / 2, (64 + 144) / 2.
    assert detector.calibration_.scores.tolist() == [2.5, 5, 6.5, 26, 104]
    assert detector.p_value(queries).tolist() == [6 / 6, 6 / 6, 3 / 6, 3 / 6]
    assert detector.kneighbors(queries)[1].tolist() == [[0, 1], [1, 2], [3, 4], [0, 1]]


def test_the_smallest_rate_flags_what_is_farther_than_every_reference_item():
    detector = KNNDetector(2).fit(LINE)
    assert detector.false_alarm_rate_ == 1 / 6
    assert detector.offset_ == -104
    # 15 + x: the distances to 15 and 7 are x and x + 8; (x^2 + (x + 8)^2) / 2 = 104 at x = 5.38...
    assert detector.predict([[20.25], [20.5]]).tolist() == [1, -1]


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("normalization", ["none", "unit", "root-unit"])
def test_scores_equal_naive(embeddings, k, normalization):
    reference, queries = embeddings[:90], embeddings[90:]
    detector = KNNDetector(k, normalize=normalization).fit(reference)
    rows = [np.sqrt(x) if normalization == "root-unit" else x for x in embeddings.astype(np.float64)]
    rows = [x if normalization == "none" else x / math.sqrt((x * x).sum()) for x in rows]
    expected = [naive.mean_squared_distance(query, rows[:90], k) for query in rows[90:]]
    np.testing.assert_allclose(detector.anomaly_score(queries), expected, rtol=1e-5)
    scores = naive.leave_one_out_scores(rows[:90], k)
    np.testing.assert_allclose(detector.calibration_.scores, sorted(scores), rtol=1e-5)
    p_values = [float(naive.p_value(score, scores)) for score in expected]
    np.testing.assert_allclose(detector.p_value(queries), p_values)


@pytest.mark.parametrize("n", [9, 10, 49, 90])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_predict_is_p_value_within_the_rate_even_on_ties(n, steps):
    rows = np.random.default_rng(n).integers(0, 4, size=(n, 2))
    queries = [[x, y] for x in range(-4, 8) for y in range(-4, 8)]
    detector = KNNDetector(2, false_alarm_rate=steps / (n + 1)).fit(rows)
    p_values = detector.p_value(queries)
    scores = naive.leave_one_out_scores(rows, 2)
    assert p_values.tolist() == [
        float(naive.p_value(naive.mean_squared_distance(query, rows, 2), scores)) for query in queries
    ]
    assert detector.predict(queries).tolist() == [-1 if p <= steps / (n + 1) else 1 for p in p_values]
    assert set(detector.predict(queries)) == {-1, 1}


def test_score_samples_is_the_negative_score_and_decisions_start_at_the_offset():
    detector = KNNDetector(2).fit(LINE)
    assert detector.score_samples([[2], [11]]).tolist() == [-1, -16]
    assert detector.decision_function([[2], [11]]).tolist() == [103, 88]


@pytest.mark.parametrize("k", [None, 1, 5])
def test_kneighbors_equals_scikit_learns(embeddings, k):
    reference, queries = embeddings[:90], embeddings[90:]
    distances, positions = KNNDetector(3).fit(reference).kneighbors(queries, k)
    expected, places = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(reference).kneighbors(queries, k)
    np.testing.assert_allclose(distances, expected, rtol=1e-4)
    np.testing.assert_array_equal(positions, places)


def test_kneighbors_is_l2_and_search_is_l2_squared():
    detector = KNNDetector(1).fit([[0, 0], [30, 40], [100, 0]])
    assert detector.kneighbors([[3, 4]], 2)[0].tolist() == [[5, 45]]
    assert detector.detector_.search([[3, 4]], 2)[0].tolist() == [[25, 2025]]


def test_a_copy_of_a_reference_item_has_a_neighbor_at_distance_exactly_zero(embeddings):
    distances, positions = KNNDetector(1).fit(embeddings + 100).kneighbors(embeddings + 100)
    assert not distances.any()
    assert positions[:, 0].tolist() == list(range(120))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.int64, np.uint8, bool])
def test_numbers_of_any_type_are_accepted(dtype):
    rows = np.random.default_rng(0).integers(0, 2 if dtype is bool else 100, size=(40, 6))
    expected = [naive.mean_squared_distance(row, rows[:30], 2) for row in rows[30:]]
    found = KNNDetector(2).fit(rows[:30].astype(dtype)).anomaly_score(rows[30:].astype(dtype))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_arrays_in_fortran_order_and_lists_score_as_any_other(embeddings):
    detector = KNNDetector(2).fit(embeddings)
    expected = detector.anomaly_score(embeddings[:9])
    for rows in (np.asfortranarray(embeddings), embeddings[::-1][::-1], embeddings.tolist()):
        np.testing.assert_array_equal(KNNDetector(2).fit(rows).anomaly_score(rows[:9]), expected)


# Bad input.


@pytest.mark.parametrize("k", [0, -1, True, 2.0, "2", None, math.nan])
def test_a_bad_number_of_neighbors_is_refused_at_fit(embeddings, k):
    with pytest.raises(InputError, match=r"n_neighbors must be an integer of at least 1, got"):
        KNNDetector(k).fit(embeddings)


@pytest.mark.parametrize("k", [0, -1, True, 2.0, "2", math.nan])
def test_a_bad_number_of_neighbors_is_refused_at_search(embeddings, k):
    with pytest.raises(InputError, match=r"n_neighbors must be an integer of at least 1, got"):
        KNNDetector(2).fit(embeddings).kneighbors(embeddings, k)


def test_as_many_neighbors_as_reference_items_are_found_but_no_more(embeddings):
    detector = KNNDetector(2).fit(embeddings)
    assert sorted(detector.kneighbors(embeddings[:1], 120)[1][0]) == list(range(120))
    with pytest.raises(InputError, match=r"n_neighbors must lie in 1 \.\.\. 120 reference items, got 121"):
        detector.kneighbors(embeddings[:1], 121)


@pytest.mark.parametrize(("k", "n", "more"), [(2, 1, 2), (2, 2, 1), (5, 5, 1), (50, 20, 31), (1, 1, 1)])
def test_a_reference_set_too_small_for_its_neighbors_is_refused(embeddings, k, n, more):
    message = rf"{k} neighbours need at least {k + 1} reference items, got n_samples={n}; add {more} more"
    with pytest.raises(ReferenceTooSmall, match=message):
        KNNDetector(k).fit(embeddings[:n])
    assert KNNDetector(k).fit(embeddings[: n + more]).calibration_.n_reference == n + more


def test_a_rate_that_the_set_cannot_support_is_refused(embeddings):
    with pytest.raises(ReferenceTooSmall, match=r"0\.001 needs at least 999 reference items, got 120; add 879 more"):
        KNNDetector(2, false_alarm_rate=0.001).fit(embeddings)


def test_such_a_rate_is_refused_before_a_search_that_may_take_minutes(embeddings, monkeypatch):
    monkeypatch.setattr(ExactIndex, "search", lambda *_: pytest.fail("searched"))
    with pytest.raises(ReferenceTooSmall):
        KNNDetector(2, false_alarm_rate=0.001).fit(embeddings)


@pytest.mark.parametrize("rate", [0, 1, -0.5, 2, math.nan, math.inf])
def test_a_rate_outside_0_and_1_is_refused(embeddings, rate):
    with pytest.raises(InputError, match="a false-alarm rate must lie between 0 and 1, got"):
        KNNDetector(2, false_alarm_rate=rate).fit(embeddings)


def test_an_unknown_normalization_is_refused(embeddings):
    with pytest.raises(InputError, match="normalize must be one of none, unit, root-unit, got 'l2'"):
        KNNDetector(2, normalize="l2").fit(embeddings)


def test_negative_features_are_refused_where_roots_are_taken(embeddings):
    with pytest.raises(InputError, match="non-negative"):
        KNNDetector(2, normalize="root-unit").fit(-embeddings)
    with pytest.raises(InputError, match="non-negative"):
        KNNDetector(2, normalize="root-unit").fit(embeddings).p_value(-embeddings)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(embeddings, value):
    rows = embeddings.copy()
    rows[3, 5] = value
    detector = KNNDetector(2).fit(embeddings)
    for use in (KNNDetector(2).fit, detector.add, detector.p_value, detector.kneighbors):
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            use(rows)


@pytest.mark.parametrize("value", [6e17, -6e17, 1e30, -1e300])
def test_values_whose_squares_would_overflow_are_refused(value):
    rows = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, value, 0]], np.float64)
    detector = KNNDetector(1).fit(rows[:2])
    for use in (KNNDetector(1).fit, detector.add, detector.p_value):
        with pytest.raises(InputError, match=r"values must lie within \+-5e\+17, got [\de.+]+; scale them down"):
            use(rows)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_whole_numbers_too_large_are_refused_as_well(dtype):
    rows = np.array([[0, 0], [1, 1], [0, np.iinfo(dtype).min or np.iinfo(dtype).max]], dtype)
    with pytest.raises(InputError, match="values must lie within"):
        KNNDetector(1).fit(rows)


@pytest.mark.parametrize("d", [1, 5, 40_000])
def test_the_largest_values_accepted_have_finite_scores(d):
    rows = np.full((4, d), 0.999e18 / math.sqrt(d), np.float32)
    rows[1::2] *= -1
    rows[3] *= np.float32(0.5)
    detector = KNNDetector(1).fit(rows)
    # Half of the longest row's length, and 1 + 1/2 of it, apart.
    near, far = 0.25 * 0.999e18**2, 2.25 * 0.999e18**2
    np.testing.assert_allclose(detector.calibration_.scores, [0, 0, near, near], rtol=1e-3)
    np.testing.assert_allclose(
        detector.detector_.search(-rows[3:], 4)[0][0], [near, near, 1e36 * 0.998, far], rtol=1e-3
    )


@pytest.mark.parametrize("width", [15, 17])
def test_another_number_of_features_is_refused(embeddings, width):
    detector = KNNDetector(2).fit(embeddings)
    for use in (detector.p_value, detector.add, detector.kneighbors):
        with pytest.raises(ValueError, match=f"X has {width} features, but KNNDetector is expecting 16 features"):
            use(np.zeros((3, width)))


def test_no_items_and_one_dimension_and_words_are_refused(embeddings):
    detector = KNNDetector(2).fit(embeddings)
    for use in (KNNDetector(2).fit, detector.add, detector.p_value):
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            use(np.zeros((0, 16)))
        with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
            use(embeddings[0])
        with pytest.raises(ValueError, match="not compatible with arrays of bytes/strings"):
            use([["a"] * 16])


def test_a_detector_without_a_reference_set_says_so(embeddings):
    for use in ("add", "remove", "readmit", "kneighbors", "p_value", "predict", "contributions"):
        with pytest.raises(NotFittedError):
            getattr(KNNDetector(), use)(embeddings)


@pytest.mark.parametrize("k", [1, 2])
def test_a_refused_change_changes_nothing(embeddings, k):
    detector, expected = KNNDetector(k, false_alarm_rate=0.01).fit(embeddings), KNNDetector(k).fit(embeddings)
    with pytest.raises(ReferenceTooSmall, match=r"0\.01 needs at least 99 reference items, got 98; add 1 more"):
        detector.remove(range(22))
    with pytest.raises(InputError):
        detector.add(embeddings * np.float32(1e20))
    assert_same(detector, expected, embeddings[:10])


# A reference set that changes.


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("sizes", [[1], [3, 1], [16], [17], [5, 40, 2]])
def test_adding_equals_having_had_the_items_from_the_start(embeddings, sizes):
    first = 120 - sum(sizes)
    detector = KNNDetector(2).fit(embeddings[:first])
    for size in sizes:
        detector.add(embeddings[first : first + size])
        first += size
    assert max(map(len, detector.detector_.blocks)) <= 16
    assert_same(detector, KNNDetector(2).fit(embeddings), embeddings[::7] + np.float32(0.1))


@pytest.mark.usefixtures("small_blocks")
def test_removing_an_item_equals_never_having_added_it(embeddings):
    queries = embeddings + np.float32(0.1)
    for gone in ([0], [119], [3, 4, 80], range(10, 50), [-0], np.array([7, 7, 2]), 5):
        detector = KNNDetector(2).fit(embeddings).remove(gone)
        assert_same(detector, KNNDetector(2).fit(np.delete(embeddings, np.unique(gone), axis=0)), queries)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("n", [100, 112, 119])
def test_adding_then_removing_scores_bit_for_bit_as_before(embeddings, n):
    detector, expected = KNNDetector(2).fit(embeddings[:n]), KNNDetector(2).fit(embeddings[:n])
    detector.add(embeddings[n:]).remove(range(n, 120))
    assert_same(detector, expected, embeddings)


def test_removing_nothing_changes_nothing(embeddings):
    assert_same(KNNDetector(2).fit(embeddings).remove([]), KNNDetector(2).fit(embeddings), embeddings[:10])


@given(data=st.data(), sampled=st.booleans())
def test_any_adding_and_removing_equals_a_fresh_fit(data, sampled):
    some_rows = st.integers(1, 12).flatmap(lambda n: arrays(np.float32, (n, 2), elements=st.integers(0, 3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_ROWS", 5)
        if sampled:
            patch.setattr(sampling, "ALL_UP_TO", 8)
            patch.setattr(sampling, "SAMPLE_SIZE", 4)
        rows = data.draw(arrays(np.float32, (6, 2), elements=st.integers(0, 3)))
        detector = KNNDetector(2).fit(rows)
        for _ in range(data.draw(st.integers(1, 4))):
            if len(rows) > 3 and data.draw(st.booleans()):
                gone = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) - 3)))
                detector.remove(gone)
                rows = np.delete(rows, gone, axis=0)
            else:
                new = data.draw(some_rows)
                detector.add(new)
                rows = np.concatenate([rows, new])
        queries = np.array([[x, y] for x in range(4) for y in range(4)], np.float32)
        assert_same(detector, KNNDetector(2).fit(rows), queries)
        scores = [naive.mean_squared_distance(query, rows, 2) for query in queries]
        assert detector.anomaly_score(queries).tolist() == scores


def test_the_default_rate_follows_the_size_of_the_set(embeddings):
    detector = KNNDetector(2).fit(embeddings[:49])
    assert detector.false_alarm_rate_ == 1 / 50
    assert detector.add(embeddings[49:]).false_alarm_rate_ == 0.01
    assert detector.remove(range(41)).false_alarm_rate_ == 1 / 80


def test_added_items_are_normalized_like_the_others(embeddings):
    detector = KNNDetector(2, normalize="unit").fit(embeddings[:100]).add(embeddings[100:])
    assert not detector.kneighbors(embeddings * np.float32(4), 1)[0].any()  # a power of 2 scales without rounding


@pytest.mark.parametrize("positions", [[120], [-1], [0, 500], [-3, 2], [2**70]])
def test_positions_that_do_not_exist_are_refused(embeddings, positions):
    with pytest.raises(InputError, match=r"positions must .*0 \.\.\. 119, got "):
        KNNDetector(2).fit(embeddings).remove(positions)


@pytest.mark.parametrize("positions", [[1.7], [True, False], ["part_17.png"], [None]])
def test_positions_that_are_no_whole_numbers_are_refused(embeddings, positions):
    with pytest.raises(InputError, match=r"positions must be whole numbers in 0 \.\.\. 119, got "):
        KNNDetector(2).fit(embeddings).remove(positions)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_removing_too_many_is_refused(embeddings, left):
    with pytest.raises(ReferenceTooSmall, match=rf"at least 3 reference items, got n_samples={left}; add {3 - left}"):
        KNNDetector(2).fit(embeddings).remove(range(left, 120))


@pytest.mark.usefixtures("small_blocks")
def test_a_restored_detector_is_the_one_that_was_saved(embeddings, tmp_path):
    steps = Steps(3, 0.05, Normalize("unit"))
    saved = Detector.fit(steps, embeddings[:100])
    blocks = []
    for number, block in enumerate(saved.blocks):
        np.save(tmp_path / f"{number}.npy", block)
        blocks.append(Block(np.load(tmp_path / f"{number}.npy", mmap_mode="r")))
    restored = Detector.from_saved(steps, blocks, saved.leave_one_out)
    assert_same_detector(restored, saved, embeddings)
    rows = np.delete(embeddings, [0, 99, 111], axis=0)
    changed = restored.add(embeddings[100:]).remove([0, 99, 111])
    assert_same_detector(changed, Detector.fit(steps, rows), embeddings)
    assert_same_detector(restored, saved, embeddings)


def test_a_pickled_detector_scores_the_same(embeddings):
    detector = KNNDetector(2).fit(embeddings)
    copy = pickle.loads(pickle.dumps(detector))  # noqa: S301
    assert_same(copy.add(embeddings[:3]), detector.add(embeddings[:3]), embeddings)


def test_a_clone_has_the_parameters_and_no_reference_set(embeddings):
    original = KNNDetector(3, false_alarm_rate=0.1, normalize="unit", contaminated=True, drop=0.2).fit(embeddings)
    copy = clone(original)
    assert copy.get_params() == original.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(embeddings)


def test_a_number_of_neighbors_of_numpy_is_one_too(embeddings):
    detector = KNNDetector(np.int64(3)).fit(embeddings)
    assert np.array_equal(detector.anomaly_score(embeddings), KNNDetector(3).fit(embeddings).anomaly_score(embeddings))
    assert detector.kneighbors(embeddings[:2], np.int32(4))[1].shape == (2, 4)

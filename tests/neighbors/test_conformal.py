import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.errors import InputError, ReferenceTooSmall
from dn2.kinds.guarantee import assumptions, learnt_in_words
from dn2.neighbors import sampling
from dn2.neighbors.calibration import (
    Calibration,
    LearntStep,
    mean_squared_distance,
)
from dn2.neighbors.estimator import KNNDetector
from dn2.neighbors.rates import attainable_rate, false_discoveries, required_sample


def calibration(scores, n_reference=None):
    return Calibration(np.sort(np.asarray(scores, np.float64)), n_reference or len(scores))


# Few different values, so that there are ties.
scores_with_ties = st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0, 1.5, 7.0]), min_size=1, max_size=40)


def around(score):
    return [score, np.nextafter(score, -np.inf), np.nextafter(score, np.inf)]


def rates_near(j, n):
    """Return j / (n + 1) as arithmetic may yield it, and the floats next to it."""
    return [j / (n + 1), 1 - (n + 1 - j) / (n + 1), (1 / (n + 1)) * j, *around(j / (n + 1))[1:]]


def test_a_score_is_the_mean_of_the_squared_distances():
    distances = np.array([[0, 1, 8], [2, 2, 2]], np.float32)
    assert mean_squared_distance(distances).tolist() == [3, 2]


def test_the_mean_does_not_overflow_what_a_distance_may_be():
    assert mean_squared_distance(np.array([[3e38, 3e38]], np.float32))[0] == np.float64(np.float32(3e38))


def test_p_values_by_hand():
    assert calibration([1, 2, 2, 5]).p_value(np.array([0.0, 1, 1.5, 2, 3, 5, 6])).tolist() == [
        5 / 5,
        5 / 5,
        4 / 5,
        4 / 5,
        2 / 5,
        2 / 5,
        1 / 5,
    ]


@given(scores=scores_with_ties)
def test_p_values_equal_naive(scores):
    queries = np.array([near for score in scores for near in around(score)] + [-1, np.inf])
    assert calibration(scores).p_value(queries).tolist() == [float(naive.p_value(query, scores)) for query in queries]


@given(scores=scores_with_ties, one=st.floats(0, 10), other=st.floats(0, 10))
def test_p_values_fall_as_scores_rise(scores, one, other):
    low, high = sorted([one, other])
    p_low, p_high = calibration(scores).p_value(np.array([low, high]))
    assert 1 >= p_low >= p_high >= 1 / (len(scores) + 1)


@given(scores=scores_with_ties, data=st.data())
def test_a_p_value_is_within_the_rate_exactly_where_the_score_exceeds_the_threshold(scores, data):
    n = len(scores)
    rate = data.draw(
        st.one_of(
            st.floats(1 / (n + 1), 1, exclude_max=True),
            st.integers(1, n).flatmap(lambda j: st.sampled_from(rates_near(j, n))),
        )
    )
    assume(1 / (n + 1) <= rate < 1)
    threshold = calibration(scores).threshold(rate)
    for score in (near for known in {*scores, threshold} for near in around(known)):
        assert (score > threshold) == (float(naive.p_value(score, scores)) <= rate)


@pytest.mark.parametrize("n", [1, 2, 6, 9, 48, 99, 999, 10_000])
def test_every_attainable_rate_allows_exactly_its_number_of_scores(n):
    """With scores 1 ... n, the rate j / (n + 1) leaves j - 1 of them above the threshold: it is n + 1 - j."""
    steps = calibration(np.arange(1, n + 1))
    for j in range(1, n + 1, max(1, n // 500)):
        assert steps.threshold(j / (n + 1)) == n + 1 - j
        assert steps.threshold(np.nextafter(j / (n + 1), 1)) == n + 1 - j
        if j > 1:
            assert steps.threshold(np.nextafter(j / (n + 1), 0)) == n + 2 - j


@pytest.mark.parametrize("percent", range(1, 100))
def test_with_99_items_a_rate_in_percent_is_a_rank(percent):
    assert calibration(np.arange(1, 100)).threshold(percent / 100) == 100 - percent


@pytest.mark.parametrize(("n", "rate"), [(1, 1 / 2), (3, 1 / 4), (98, 1 / 99), (99, 0.01), (100, 0.01), (5000, 0.01)])
def test_the_default_rate_is_1_in_100_or_the_smallest_attainable(n, rate):
    assert calibration(np.arange(n)).rate(None) == rate
    assert calibration(np.arange(n)).smallest_rate == 1 / (n + 1)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_a_rate_outside_0_and_1_is_refused(rate):
    with pytest.raises(InputError, match="must lie between 0 and 1"):
        calibration(np.arange(100)).rate(rate)
    with pytest.raises(InputError, match="must lie between 0 and 1"):
        false_discoveries(np.array([0.5]), rate)


RATES = [
    *(1 / j for j in [2, 3, 7, 10, 49, 50, 93, 98, 99, 100, 101, 107, 161, 187, 1000, 1003, 3333, 10_000]),
    *[0.5, 0.3, 0.1, 0.07, 0.05, 0.025, 0.02, 0.011, 0.01, 0.0099, 0.003, 0.001, 0.0007, 0.0001],
    *[1 - 0.99, 1 - 0.95, 0.1 * 0.1, 0.9],
    1 - 0.9,
]


@pytest.mark.parametrize("rate", RATES)
def test_a_refused_rate_names_the_number_of_items_that_it_takes(rate):
    need = naive.smallest_reference(rate)
    assert attainable_rate(rate, need) == rate
    for n in {1, need // 2, need - 1} - {0, need}:
        with pytest.raises(ReferenceTooSmall, match=f"needs at least {need} reference items, got {n}; add {need - n} "):
            attainable_rate(rate, n)


@pytest.mark.parametrize("n", [2, 3, 6, 9, 12, 98, 99, 100, 332, 999, 4321])
def test_the_rate_offered_instead_of_a_refused_one_is_attainable(n):
    with pytest.raises(ReferenceTooSmall) as refusal:
        calibration(np.arange(n)).rate(1e-6)
    offered = float(re.search(r"ask for ([\d.e-]+)", str(refusal.value)).group(1))
    assert 1 / (n + 1) <= offered < 1 / (n + 1) + 1e-4
    assert calibration(np.arange(n)).rate(offered) == offered


@pytest.mark.parametrize(("rate", "size"), [(None, 0), (0.01, 10_000), (0.5, 200), (0.03, 3334), (0.001, 100_000)])
def test_a_sample_resolves_a_hundredth_of_the_rate(rate, size):
    assert required_sample(rate) == size


# The guarantee.


def p_value_of_each_among_the_others(rows, k):
    """Take each row in turn as the query: what P(p <= rate) is an average over, for exchangeable rows."""
    places = np.arange(len(rows))
    return [float(KNNDetector(k).fit(rows[places != i]).p_value(rows[[i]])[0]) for i in places]


@given(
    rows=st.integers(5, 16).flatmap(
        lambda n: st.sampled_from([2, 3, 100]).flatmap(
            lambda values: arrays(np.float32, (n, 2), elements=st.integers(0, values))
        )
    ),
    k=st.integers(1, 3),
)
def test_of_any_rows_at_most_the_rate_are_flagged_each_scored_against_the_others(rows, k):
    """Holds for every set of rows, copies and all, hence for every distribution: this is the guarantee itself."""
    p_values = p_value_of_each_among_the_others(rows, k)
    for flagged in range(len(rows)):
        assert sum(p <= flagged / len(rows) for p in p_values) <= flagged


def test_the_guarantee_is_not_vacuous():
    """Nearly as many alarms as allowed: p-values of continuous data are close to uniform."""
    rng = np.random.default_rng(0)
    p_values = np.array([p_value_of_each_among_the_others(rng.normal(size=(40, 3)), 2) for _ in range(15)])
    for rate in (0.05, 0.1, 0.25, 0.5):
        assert 0.7 * rate < (p_values <= rate).mean() <= rate


@pytest.mark.parametrize("kind", ["continuous", "copies"])
def test_alarms_keep_to_the_rate_where_a_sample_calibrates(kind, monkeypatch):
    monkeypatch.setattr(sampling, "ALL_UP_TO", 20)
    monkeypatch.setattr(sampling, "SAMPLE_SIZE", 19)
    rng = np.random.default_rng(0)
    flagged = []
    for _ in range(300):
        rows = rng.normal(size=(80, 2))
        if kind == "copies":
            rows = np.where(rng.random((80, 1)) < 0.5, rows[:1], rows)
            rows = rng.permutation(rows)
        detector = KNNDetector(1, false_alarm_rate=None).fit(rows[:60])
        assert detector.calibration_.sample_size == 19
        flagged.append((detector.p_value(rows[60:]) <= 0.1).mean())
    mean, error = np.mean(flagged), np.std(flagged) / np.sqrt(300)
    assert mean <= 0.1 + 3 * error
    assert mean >= 0.05


# What the calibration says of itself.


def test_the_words_say_what_the_rate_rests_on():
    words = " ".join(assumptions(calibration(np.arange(99))))
    assert "exchangeable" in words
    assert "average over reference sets" in words
    assert "because of their score" in words
    assert "calibrate" not in words


def test_the_words_mention_a_sample_where_one_calibrates():
    sampled = calibration(np.arange(10_000), n_reference=1_234_567)
    assert sampled.method == "sampled"
    assert "random 10,000 of the 1,234,567 reference items" in " ".join(assumptions(sampled))
    assert calibration(np.arange(10_000)).method == "leave-one-out"


def test_the_record_holds_what_the_model_file_needs():
    record = calibration([3, 1, 2]).as_dict(0.5)
    assert record == {
        "method": "leave-one-out",
        "sample_size": 3,
        "n_reference": 3,
        "n_parts": 0,
        "n_strata": 0,
        "false_alarm_rate": 0.5,
        "reachable_false_alarm_rate": 0.5,
        "smallest_false_alarm_rate": 0.25,
        "confidence": None,
        "smoothed": False,
        "threshold": 2.0,
        "trimmed": 0,
        "told": 0,
    }


# Batches.


def test_false_discoveries_by_hand():
    """Benjamini and Hochberg, 1995, table of section 3.2, at 0.05: the four smallest of 15."""
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p_values += [0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert false_discoveries(np.array(p_values), 0.05).tolist() == [True] * 4 + [False] * 11
    assert false_discoveries(np.array(p_values[::-1]), 0.05).tolist() == [False] * 11 + [True] * 4


@given(data=st.data())
def test_false_discoveries_equal_naive(data):
    """p-values are fractions with one denominator: exact arithmetic decides, no rounding."""
    denominator = data.draw(st.sampled_from([2, 10, 20, 100, 121, 1000]))
    numerators = data.draw(st.lists(st.integers(1, denominator), max_size=12))
    level = data.draw(st.sampled_from(["0.01", "0.05", "0.1", "0.15", "0.2", "0.3", "0.35", "0.7", "0.9"]))
    alarms = false_discoveries(np.array([j / denominator for j in numerators]), float(level))
    expected = naive.benjamini_hochberg([Fraction(j, denominator) for j in numerators], Fraction(level))
    assert alarms.tolist() == expected


def test_a_p_value_on_the_line_exactly_is_an_alarm():
    assert false_discoveries(np.array([0.1, 1, 1]), 0.3).tolist() == [True, False, False]  # 0.1 * 3 > 0.3 in floats


# Split calibration


@pytest.mark.parametrize(
    ("sample", "n", "is_split", "window", "method"),
    [
        (40, 40, False, 0, "leave-one-out"),
        (20, 40, False, 0, "sampled"),
        (20, 40, True, 0, "split"),
        (20, 40, False, 9, "blocks"),
    ],
)
def test_the_method_is_named_by_which_items_calibrate(sample, n, is_split, window, method):
    made = Calibration(np.arange(sample, dtype=float), n, is_split=is_split, window=window)
    assert made.as_dict(0.5)["method"] == method


@pytest.mark.parametrize(
    ("learnt", "words"),
    [
        ([("cleaning", 1)], "what stands aside was"),
        ([("centroids", 2)], "the 2 centroids were"),
        ([("cells", 1500)], "the 1,500 cells of the search were"),
        ([("tree", 7)], "the 7 means of the tree were"),
        ([("whitening", 2)], "the whitening was"),
        ([("scaling", 3)], "the scaling of columns was"),
        ([("cleaning", 9), ("scaling", 3)], "what stands aside and the scaling of columns were"),
        ([("whitening", 2), ("centroids", 2)], "the whitening and the 2 centroids were"),
        ([], "nothing was"),
    ],
)
def test_what_was_learnt_is_the_subject_of_a_sentence(learnt, words):
    assert learnt_in_words([LearntStep(*one) for one in learnt]) == words


def test_split_calibration_says_what_was_learnt_and_what_was_left_out():
    learnt = (LearntStep("cleaning", 5),)
    made = Calibration(np.arange(38, dtype=float), 80, is_split=True, learnt=learnt, n_trimmed=2)
    words = " ".join(assumptions(made))
    assert "A random 40 of the 80 items calibrate; what stands aside was learnt from the others." in words
    assert "The 2 calibrating items that score highest are left out, for drop says that so many are anomalies" in words
    assert "up to 0.053 above the rate" in words  # 2 / 38
    assert made.as_dict(0.5)["trimmed"] == 2
    assert "What stands aside" not in words
    assert "left out" not in " ".join(assumptions(calibration(range(40))))
    words = " ".join(assumptions(replace(made, n_trimmed=0)))
    assert "What stands aside calibrates, too: the rate holds if all items are normal" in words


@given(scores=scores_with_ties, trimmed=st.integers(0, 5))
def test_scores_left_out_change_a_p_value_by_no_more_than_is_said(scores, trimmed):
    """Of new normal items, no larger a share may be flagged beyond the rate than `trimmed` of those that are left."""
    trimmed = min(trimmed, len(scores) - 1)
    left = sorted(scores)[: len(scores) - trimmed]
    made = Calibration(np.array(left), len(scores), is_split=True, n_trimmed=trimmed)
    for score in scores:
        honest = naive.p_value(score, scores)
        assert float(honest) <= made.p_value(np.array([score]))[0] + trimmed / len(left) + 1e-12


@pytest.mark.parametrize(
    ("rate", "m", "n", "need", "more"),
    [(0.01, 45, 90, 99, 108), (0.01, 20, 41, 99, 162), (0.1, 5, 12, 9, 10)],
)
def test_an_unattainable_rate_counts_also_those_that_do_not_calibrate(rate, m, n, need, more):
    words = rf"{rate:g} needs at least {need} items that calibrate, got {m} of {n}; add {more} more or ask for"
    for refused in (
        lambda: attainable_rate(rate, m, n),
        lambda: Calibration(np.arange(m), n, is_split=True).rate(rate),
    ):
        with pytest.raises(ReferenceTooSmall, match=words):
            refused()
    assert attainable_rate(rate, math.floor(m * (n + more) / n), n + more) == rate

"""A contaminated set: which of its rows stand aside, and how many anomalies there are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_digits

import naive
from dn2.errors import InputError
from dn2.neighbors import clean
from dn2.neighbors.clean import ContaminationFilter, Share, check_share, estimate_share

SHARES = [0, 0.01, 0.1, 0.29, 0.5, 0.9, 0.999]


def rows_of(seed, n=60, d=5):
    """Return normal rows and a quarter of others farther out, in any order."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d))
    rows[: n // 4] = rows[: n // 4] * 0.7 + 2.5
    return rng.permutation(rows).astype(np.float32)


@pytest.fixture(scope="module")
def planted():
    """Return 90 rows around the origin, then 10 of two far groups, and which those are."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(100, 8))
    rows[90:95] += 12
    rows[95:] -= 12
    return rows.astype(np.float32), np.arange(100) >= 90


# Setting aside


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("k", [1, 2, 10])
def test_with_its_number_of_neighbors_the_cleaning_is_the_papers(share, k):
    rows = rows_of(k)
    expected, _ = naive.papers_cleaning(rows.astype(float), math.floor(share * 60), k)
    assert ContaminationFilter(rows, share, k).aside.tolist() == expected


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("k", [1, 2, 10])
def test_other_items_are_excluded_that_lie_farther_than_every_row_that_stays(share, k):
    rows, others = rows_of(k), rows_of(100 + k, 80)
    _, limit = naive.papers_cleaning(rows.astype(float), math.floor(share * 60), k)
    expected = [share * 60 >= 1 and naive.mean_squared_distance(other, rows, k) > limit for other in others]
    assert ContaminationFilter(rows, share, k).exclude(others).tolist() == expected


@pytest.mark.parametrize("share", [0.02, 0.1, 0.29, 0.5, 0.9])
@pytest.mark.parametrize("weighings", [0, 3])
def test_by_default_rows_are_compared_with_many_again_and_again(share, weighings):
    rows = rows_of(7)
    expected = naive.many_judges(rows.astype(float), math.floor(share * 60), 5, 4, weighings, 8)  # 8 % of 60 judge
    assert ContaminationFilter(rows, share, weighings=weighings).aside.tolist() == expected


@pytest.mark.parametrize(("n", "share", "count"), [(100, 0.29, 29), (100, 0.57, 57), (10, 0.1, 1), (7, 0.5, 3)])
def test_as_many_rows_are_set_aside_as_the_share_says(n, share, count):
    """0.29 * 100 is 28.999... in floating-point numbers."""
    for k in (None, 2):
        assert ContaminationFilter(rows_of(0, n), share, k).aside.sum() == count


@pytest.mark.parametrize("k", [None, 10])
def test_planted_anomalies_are_set_aside_and_their_like_excluded(planted, k):
    rows, anomalous = planted
    contamination = ContaminationFilter(rows, 0.1, k)
    assert contamination.aside.tolist() == anomalous.tolist()
    others = np.random.default_rng(2).normal(size=(50, 8)).astype(np.float32)
    assert contamination.exclude(others + np.float32(12)).all()
    assert not contamination.exclude(others * np.float32(0.5)).any()


def test_no_share_sets_nothing_aside_and_excludes_nothing(planted):
    contamination = ContaminationFilter(planted[0], 0.0)
    assert not contamination.aside.any()
    assert not contamination.exclude(planted[0] + 100).any()


def test_of_no_items_none_are_excluded(planted):
    assert ContaminationFilter(planted[0], 0.3).exclude(np.empty((0, 8), np.float32)).shape == (0,)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("made", ["alike", "all but one", "different", "zero"])
@pytest.mark.parametrize("k", [None, 1, 50])
def test_of_few_rows_or_rows_alike_the_share_is_set_aside_and_at_least_one_stays(n, made, k):
    rows = {
        "alike": np.full((n, 3), 0.1),
        "all but one": np.full((n, 3), 0.1) + np.eye(n, 3, k=-(n // 2)),
        "different": rows_of(n, n, 3),
        "zero": np.zeros((n, 3)),
    }[made].astype(np.float32)
    for share in SHARES:
        assert ContaminationFilter(rows, share, k).aside.sum() == math.floor(share * n)
    assert ContaminationFilter(rows, 1.0, k).aside.sum() == n - 1


def test_one_row_unlike_all_others_is_the_first_to_go():
    rows = np.full((20, 3), 0.1, np.float32)
    rows[13] += 1
    for k in (None, 2):
        assert np.flatnonzero(ContaminationFilter(rows, 0.05, k).aside).tolist() == [13]


@given(seed=st.integers(0, 10_000), share=st.sampled_from(SHARES))
def test_the_order_of_the_rows_does_not_matter(seed, share):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    order = rng.permutation(30)
    for k in (None, 2):
        assert (
            ContaminationFilter(rows[order], share, k).aside.tolist()
            == ContaminationFilter(rows, share, k).aside[order].tolist()
        )


@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1e16])
def test_the_scale_does_not_matter(planted, scale):
    rows, anomalous = planted
    assert ContaminationFilter(rows * np.float32(scale), 0.1).aside.tolist() == anomalous.tolist()
    assert estimate_share(rows * np.float32(scale)) == estimate_share(rows)


# Estimating


@pytest.mark.parametrize("seed", [0, 2, 3, 4])  # in which no row lies far out
def test_the_share_is_the_votes_counted_and_corrected_for_how_often_they_err(seed):
    rows = rows_of(seed)
    suspect = naive.many_judges(rows.astype(float), 30, 5, 4, 0, 8)
    counted = sum(naive.voted(rows.astype(float), suspect, 3, 2)) / 60
    estimates = [(counted - 0.05) / (0.52 - 0.05), (counted - 0.01) / (0.42 - 0.01)]
    expected = [min(0.5, max(0, estimate)) for estimate in estimates]
    share = estimate_share(rows)
    assert [share.estimate, share.high] == pytest.approx(expected, abs=1e-12)
    assert share.low == 0


@given(rows=arrays(np.float32, st.tuples(st.integers(1, 25), st.integers(1, 3)), elements=st.integers(-3, 3)))
def test_every_set_has_a_share_between_its_low_and_its_high_end(rows):
    share = estimate_share(rows)
    assert 0 <= share.low <= share.estimate <= share.high <= 1


def test_one_row_tells_nothing():
    assert estimate_share(np.ones((1, 4), np.float32)) == Share(0, 0, 0.5)


def digits(digit, share):
    """Return the pixels of one handwritten digit with a share of others among them."""
    data = load_digits()
    normal, others = data.data[data.target == digit], data.data[data.target != digit]
    count = round(len(normal) * share / (1 - share))
    chosen = np.random.default_rng(digit).choice(len(others), count, replace=False)
    return np.concatenate([normal, others[chosen]]).astype(np.float32)


@pytest.mark.parametrize("share", [0, 0.1, 0.2])
def test_other_digits_among_zeros_are_counted_within_the_range(share):
    found = estimate_share(digits(0, share))
    assert found.low <= share <= found.high


def test_of_a_digit_that_is_written_in_two_ways_hardly_any_lies_alone():
    assert estimate_share(digits(1, 0)).low == 0


@pytest.mark.parametrize("dimension", [1, 2, 3, 8, 64])
def test_a_normal_cloud_of_any_dimension_is_hardly_contaminated(dimension):
    share = estimate_share(np.random.default_rng(0).normal(size=(1000, dimension)).astype(np.float32))
    assert share.low <= 0.005
    assert share.estimate < 0.05


def test_gross_outliers_that_lie_apart_from_one_another_are_counted():
    rows = np.random.default_rng(3).normal(size=(400, 16))
    rows[:80] *= 10
    assert estimate_share(rows.astype(np.float32)).high >= 0.2


def test_of_one_normal_cloud_the_low_end_is_nothing():
    for seed in range(5):
        assert estimate_share(np.random.default_rng(seed).normal(size=(300, 16)).astype(np.float32)).low == 0


# Bad input


@pytest.mark.parametrize("share", [-1e-9, -1, 1, 1.5, math.nan, math.inf, -math.inf])
def test_a_share_outside_0_and_1_is_refused(share):
    with pytest.raises(InputError, match=r"the share to drop must be at least 0 and less than 1, got .*; 0\.5 is"):
        check_share(share)


@pytest.mark.parametrize("share", [None, 0, 0.0, 0.5, 1 - 1e-9])
def test_a_share_from_0_to_below_1_is_taken(share):
    check_share(share)


def test_no_search_is_for_more_neighbors_than_are_compared_with(monkeypatch):
    asked = []
    knn = clean.faiss.knn
    monkeypatch.setattr(clean.faiss, "knn", lambda q, rows, k: asked.append(k) or knn(q, rows, k))
    rows = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    ContaminationFilter(rows, 0.2).exclude(rows + np.float32(0.1))
    assert max(asked) == 32 + 1  # 8 % of 400, and the row itself
    assert asked[-2:] == [8, 8]

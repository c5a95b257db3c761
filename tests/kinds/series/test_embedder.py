"""Windows as vectors, and series on an even grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from dn2.errors import InputError
from dn2.kinds.series.embedder import LEVEL_WEIGHT, SeriesEmbedder, choose_window
from dn2.kinds.series.grid import find_step, is_even, longest_run, seconds_of, stretches_of


def one_stretch(values, window):
    """Return the embedder of even values, (n, c)."""
    (stretch,) = stretches_of(np.arange(float(len(values))), values, 1.0, 0)
    return SeriesEmbedder.learn([f"c{n}" for n in range(values.shape[1])], window, 1.0, [stretch])


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return np.cumsum(rng.normal(size=(60, 3)), axis=0) * [1, 1e-6, 1e6] + [1e9, 0, -3e7]


def test_distances_are_those_of_shapes_and_levels(values):
    embedder = one_stretch(values, 7)
    embedded = embedder.embed(values)
    assert embedded.shape == (54, embedder.dimension) == (54, 24)
    scale = values.std(axis=0)
    for a, b in ((0, 1), (3, 40), (53, 10)):
        expected = naive.window_distance(values[a : a + 7], values[b : b + 7], scale, LEVEL_WEIGHT)
        assert naive.squared_distance(embedded[a], embedded[b]) == pytest.approx(expected, rel=1e-4)


def test_a_part_of_the_windows_is_embedded_as_in_the_whole(values):
    embedder = one_stretch(values, 7)
    assert (embedder.embed(values, 20, 31) == embedder.embed(values)[20:31]).all()
    assert embedder.count(values[:6]) == 0


def test_values_come_back_from_a_vector(values):
    embedder = one_stretch(values, 7)
    back = embedder.values_of(embedder.embed(values))
    expected = np.stack([values[start : start + 7] for start in range(54)])
    assert (np.abs(back - expected) <= 1e-5 * values.std(axis=0)).all()


def test_shares_of_columns_add_up_to_the_mean_squared_distance(values):
    embedder = one_stretch(values, 7)
    window, *near = embedder.embed(values)[[5, 30, 50]]
    parts = embedder.by_column(window, np.stack(near))
    assert parts.sum() == pytest.approx(np.mean([naive.squared_distance(window, one) for one in near]), rel=1e-5)
    other = embedder.embed(values)[5].copy()
    other[7:14] += 1
    assert np.flatnonzero(embedder.by_column(window, other[None])).tolist() == [1]


def test_a_constant_column_is_compared_in_its_own_units():
    rows = np.c_[np.full(40, 0.1), np.arange(40.0) % 7]
    embedder = one_stretch(rows, 5)
    assert embedder.scale.tolist() == [1.0, rows[:, 1].std()]
    changed = rows.copy()
    changed[:, 0] += 2
    distance = naive.squared_distance(embedder.embed(rows)[3], embedder.embed(changed)[3])
    assert distance == pytest.approx((2 * LEVEL_WEIGHT) ** 2, rel=1e-5)


def test_a_value_that_would_overflow_is_cut_off(values):
    embedder = one_stretch(values, 7)
    changed = values.copy()
    changed[20] = [1e300, -1e30, 1e25]
    embedded = embedder.embed(changed)
    assert np.isfinite(embedded).all()
    assert np.abs(embedded).max() <= 1e12


def test_values_so_large_that_they_have_no_spread_are_refused(values):
    with pytest.raises(InputError, match=r"the column 'c1' has values up to 1e\+200; scale them down"):
        one_stretch(np.where(np.arange(3) == 1, 1e200 * np.sign(values), values), 7)


def test_an_embedder_is_restored_as_it_was(values):
    embedder = one_stretch(values, 7)
    again = SeriesEmbedder.from_dict(embedder.as_dict())
    assert (again.embed(values) == embedder.embed(values)).all()


@pytest.mark.parametrize(
    "change",
    [
        {"window": 1},
        {"window": "7"},
        {"step": 0},
        {"step": float("nan")},
        {"level_weight": 1.0},
        {"scale": [1, 1]},
        {"scale": [1, 1, 0]},
        {"centre": [0, 0, float("inf")]},
        {"columns": []},
    ],
)
def test_what_is_no_embedder_is_refused(values, change):
    with pytest.raises(ValueError, match=r".+"):
        SeriesEmbedder.from_dict(one_stretch(values, 7).as_dict() | change)


# Time


def test_even_stamps_keep_their_values_and_short_gaps_are_bridged():
    times = np.array([0.0, 10, 20, 50, 60.4, 70])
    (stretch,) = stretches_of(times, np.array([[1.0], [2], [3], [6], [7], [9]]), 10.0, 2)
    assert stretch.places.tolist() == [0, 1, 2, 5, 6, 7]
    assert stretch.values[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 9]


def test_a_long_gap_cuts_a_series():
    times = np.array([0.0, 1, 2, 6, 7])
    first, second = stretches_of(times, np.arange(5.0)[:, None], 1.0, 2)
    assert (first.rows, second.rows) == (slice(0, 3), slice(3, 5))
    assert (len(first.values), len(second.values)) == (3, 2)
    assert longest_run(times, 1.0, 2) == 3
    assert longest_run(times, 1.0, 3) == 8
    assert longest_run(times[:1], 1.0, 3) == 1


def test_a_step_that_is_a_little_off_does_not_add_up():
    """Over 100,000 points a clock that runs 0.01 % fast would be 10 points off."""
    times = np.arange(100_000) * 1.0001
    (stretch,) = stretches_of(times, np.arange(100_000.0)[:, None], 1.0, 0)
    assert (stretch.places == np.arange(100_000)).all()


def test_uneven_stamps_are_interpolated():
    times = np.array([0.0, 0.4, 1.5, 1.9, 3.1, 4])
    assert not is_even(times, 1.0)
    (stretch,) = stretches_of(times, 10 * times[:, None], 1.0, 3)
    np.testing.assert_allclose(stretch.values[:, 0], [0, 10, 20, 30, 40])
    assert stretch.places.tolist() == [0, 0, 2, 2, 3, 4]
    assert stretch.times(times, 1.0).tolist() == [0, 1, 2, 3, 4]


def test_points_between_even_rows_have_times_between_theirs():
    times = np.array([5.0, 6.1, 9.1, 10])
    (stretch,) = stretches_of(times, times[:, None], 1.0, 3)
    np.testing.assert_allclose(stretch.times(times, 1.0), [5, 6.1, 7.1, 8.1, 9.1, 10])


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(0, 5))
def test_stretches_hold_every_row_once(steps, gap):
    times = np.cumsum([0, *steps]).astype(float)
    values = np.sin(times)[:, None]
    found = list(stretches_of(times, values, 1.0, gap))
    assert [row for one in found for row in range(one.rows.start, one.rows.stop)] == list(range(len(times)))
    assert longest_run(times, 1.0, gap) == max(len(one.values) for one in found)
    if is_even(times, 1.0):
        for one in found:
            assert (one.values[one.places] == values[one.rows]).all()


def test_the_step_is_the_median_and_moments_are_seconds():
    stamps = np.array(["2024-03-01", "2024-03-01T00:05", "2024-03-01T00:10", "2024-03-02"], "datetime64[us]")
    assert seconds_of(stamps).tolist() == [0, 300, 600, 86_400]
    assert find_step([seconds_of(stamps), np.array([0.0])]) == 300
    assert find_step([np.array([0.0])]) == 1
    assert find_step([np.array([0.0, 60, 120]), np.array([0.0, 300, 600])]) == 60


def test_the_window_is_200_points_or_a_quarter():
    assert [choose_window(n) for n in (10_000, 800, 799, 400, 10, 3)] == [200, 200, 199, 100, 2, 0]

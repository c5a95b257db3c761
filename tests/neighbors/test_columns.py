from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from dn2 import InputError, KNNDetector
from dn2.neighbors import columns
from dn2.neighbors.columns import find_scaling, scale_columns


def table(n, seed=0):
    """Return rows of 7 columns: normal, skewed, heavy-tailed, rounded, of two values, constant, and tiny: (n, 7)."""
    rng = np.random.default_rng(seed)
    columns = [
        rng.normal(5, 2, n),
        rng.lognormal(3, 2, n),
        rng.standard_cauchy(n),
        rng.poisson(2, n),
        rng.random(n) < 0.1,
        np.full(n, 7.5),
        1e-9 * rng.normal(size=n),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.mark.parametrize("n", [2, 3, 40])
def test_columns_are_scaled_as_by_hand(n):
    rows = table(n)
    queries = np.concatenate([table(20, seed=1), rows[:5]])
    scaled = scale_columns(queries, find_scaling(rows))
    np.testing.assert_allclose(scaled, naive.scaled_columns(queries, rows), rtol=1e-4, atol=1e-4)


def test_more_rows_than_knots_are_told_by_evenly_placed_ones(monkeypatch):
    rows = table(200)
    monkeypatch.setattr(columns, "MOST_KNOTS", 50)
    scaling = find_scaling(rows)
    assert len(scaling) == 3 + 50
    exact = naive.scaled_columns(rows[:20], rows)
    got, exact = scale_columns(rows[:20], scaling)[:, 7:10], exact[:, 7:10]  # columns without ties
    middle = np.abs(exact) < 1.5  # what is farther out is told more coarsely
    np.testing.assert_allclose(got[middle], exact[middle], atol=0.1)


def test_scaled_columns_vary_alike_and_a_constant_one_not_at_all():
    scaled = scale_columns(rows := table(500), find_scaling(rows))
    spreads = scaled.astype(np.float64).std(axis=0).reshape(2, 7)
    np.testing.assert_allclose(np.delete(spreads, 5, axis=1), 1, atol=0.01)
    assert not spreads[:, 5].any()


def test_a_value_that_leaves_a_constant_column_stands_out():
    rows = table(200)
    odd = rows[:1].copy()
    odd[0, 5] = 8.5
    detector = KNNDetector(1, scale_columns=True).fit(rows)
    assert detector.contributions(odd)[0].argmax() == 5


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=50), st.lists(st.floats(-1e7, 1e7, width=32)))
def test_scaling_keeps_the_order_of_values_and_bounds_normal_scores(values, queries):
    rows = np.array(values, np.float32)[:, None]
    asked = np.sort(np.array(queries, np.float32))[:, None]
    scaled = scale_columns(asked, find_scaling(rows))
    assert (np.diff(scaled, axis=0) >= 0).all()
    assert np.isfinite(scaled).all()


def test_a_row_is_scaled_alike_in_any_company():
    rows = table(100)
    scaling = find_scaling(rows)
    whole = scale_columns(rows, scaling)
    for count in (1, 2, 7, 50):
        assert scale_columns(rows[-count:], scaling).tobytes() == whole[-count:].tobytes()


@pytest.mark.parametrize("options", [{}, {"n_neighbors": 5}, {"n_neighbors": 1, "index": "kmeans:4"}])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_parts_of_a_score_add_up_to_it(options, scaled):
    rows = table(150)
    rows[:, [1, 2]] = np.clip(rows[:, [1, 2]], -100, 100)
    detector = KNNDetector(**options, scale_columns=scaled).fit(rows)
    queries = table(30, seed=2)
    parts = detector.contributions(queries)
    assert parts.shape == (30, 7)
    assert (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(axis=1), detector.anomaly_score(queries), rtol=1e-5)


def test_a_planted_wrong_column_contributes_most():
    rng = np.random.default_rng(3)
    mixed = rng.normal(size=(6, 12))
    rows = (rng.normal(size=(1_300, 6)) @ mixed + 0.3 * rng.normal(size=(1_300, 12))) * 10.0 ** rng.integers(-3, 4, 12)
    queries, planted = rows[1_000:].copy(), rng.integers(12, size=300)
    places = np.arange(300)
    queries[places, planted] += 6 * rng.choice([-1, 1], 300) * rows[:, planted].std(axis=0)
    found = KNNDetector(5, scale_columns=True).fit(rows[:1_000]).contributions(queries).argmax(axis=1)
    assert (found == planted).mean() >= 0.95


@pytest.mark.parametrize("options", [{"normalize": "unit"}, {"whiten": True}])
def test_scores_that_do_not_split_over_columns_are_refused(options):
    detector = KNNDetector(**options).fit(table(50)[:, :4])
    with pytest.raises(InputError, match="split over columns only with"):
        detector.contributions(table(5)[:, :4])


def test_the_scale_of_a_column_does_not_matter():
    rows, queries = table(200)[:, [0, 1, 3]], table(50, seed=4)[:, [0, 1, 3]]
    factors = np.float32([1, 1024, 2**-9])  # which round nothing
    plain = scale_columns(queries, find_scaling(rows))
    scaled = scale_columns(queries * factors, find_scaling(rows * factors))
    np.testing.assert_allclose(scaled, plain, rtol=1e-5, atol=1e-5)

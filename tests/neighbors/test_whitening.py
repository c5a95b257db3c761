"""Partial whitening: directions, factors, and what they do to rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors.prepare import whitening as whitening_module
from dn2.neighbors.prepare.whitening import POWER, find_whitening


def stretched(n=200, seed=0):
    """Make rows that vary by 8, 4, 2, 1, 1, 1 in directions of their own."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    return (rng.normal(size=(n, 6)) * [8, 4, 2, 1, 1, 1] @ turn).astype(np.float32)


def test_directions_in_which_neighbors_differ_more_than_on_average_are_weakened_by_the_power():
    rows = stretched()
    whitening = find_whitening(rows)
    directions, factors = whitening.directions, whitening.factors
    assert len(factors) in (1, 2)
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(factors)), atol=1e-5)
    assert (factors > 0).all()
    assert (factors <= 1).all()
    np.testing.assert_allclose(whitening.apply(rows), naive.whitened(rows, rows, 50, POWER), atol=1e-4)


def test_of_many_directions_the_strongest_are_weakened(monkeypatch):
    monkeypatch.setattr(whitening_module, "MOST_DIRECTIONS", 1)
    rows = stretched()
    directions, factors = vars(find_whitening(rows)).values()
    assert directions.shape == (1, 6)
    expected = naive.whitened(directions, rows, 50, POWER) @ directions.T
    assert factors[0] == pytest.approx(expected[0, 0], rel=1e-4)


def test_other_directions_stay_as_they_are():
    rows = stretched()
    whitening = find_whitening(rows)
    change = whitening.apply(rows) - rows
    along = change @ whitening.directions.T @ whitening.directions
    np.testing.assert_allclose(change, along, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1.0, 1e17])
def test_the_scale_of_rows_does_not_matter(scale):
    rows = stretched()
    factors = find_whitening(rows).factors
    np.testing.assert_allclose(find_whitening(rows * np.float32(scale)).factors, factors, rtol=1e-3)


@pytest.mark.parametrize("rows", [np.zeros((5, 3)), np.ones((5, 3)), np.ones((1, 3)), np.full((40, 3), 1e17)])
def test_rows_that_are_all_alike_are_not_whitened(rows):
    assert find_whitening(rows.astype(np.float32)) is None


@given(
    rows=arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.integers(-3, 3)),
    queries=st.integers(1, 9),
)
def test_any_rows_give_a_whitening_that_shortens_distances_and_rounds_a_row_alike_in_any_company(rows, queries):
    whitening = find_whitening(rows)
    if whitening is None:
        return
    whitened = whitening.apply(rows)
    assert np.isfinite(whitened).all()
    for place in range(len(rows)):
        np.testing.assert_array_equal(whitening.apply(rows[place : place + queries])[0], whitened[place])
        shorter, longer = (naive.squared_distance(one[0], one[place]) for one in (whitened, rows))
        assert shorter <= longer * (1 + 1e-5) + 1e-9

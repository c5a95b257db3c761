from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2 import InputError
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import NO_MEMBERSHIP
from dn2.neighbors.prepare import scaling as columns
from dn2.neighbors.prepare.scaling import Scaling
from dn2.neighbors.sampling import Sampler
from dn2.neighbors.steps import Normalize, Scale, Search, Steps, Whiten


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


def distances(queries, rows, categorical=()):
    """Return the squared distances of queries to rows, by column, (n_queries, n, d), in the scaling of the rows."""
    scaling = Scaling.find(rows, categorical)
    near = scaling.apply(rows).astype(np.float64)
    apart = np.square(scaling.apply(queries).astype(np.float64)[:, None] - near)
    return np.stack([apart[:, :, scaling.owners == column].sum(axis=2) for column in range(rows.shape[1])], axis=2)


def by_hand(queries, rows, categorical=(), others=None):
    """Return what `distances` does, to other rows where they are given."""
    values = np.asarray(rows, np.float64).T.tolist()

    def apart(query, row):
        return [
            naive.column_distance(*pair, values[j], j in categorical)
            for j, pair in enumerate(zip(query, row, strict=True))
        ]

    compared = np.asarray(rows if others is None else others, np.float64).tolist()
    return np.array([[apart(query, row) for row in compared] for query in np.asarray(queries, np.float64).tolist()])


@pytest.mark.parametrize("n", [2, 3, 40])
def test_columns_are_scaled_as_by_hand(n):
    rows = table(n)
    queries = np.concatenate([table(8, seed=1), rows[:2]])
    np.testing.assert_allclose(distances(queries, rows), by_hand(queries, rows), rtol=1e-3, atol=1e-3)


def messy(n, seed=0):
    """Return rows of 5 columns: numbers with some missing, few numbers, only missing, categories, categories with some
    missing: (n, 5)."""
    rng = np.random.default_rng(seed)
    columns = [
        np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        np.where(np.arange(n) < 2, rng.normal(size=n), np.nan),
        np.full(n, np.nan),
        rng.integers(0, 4, n),
        np.where(rng.random(n) < 0.2, np.nan, rng.geometric(0.3, n)),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.mark.parametrize("n", [2, 40])
def test_missing_values_and_categories_are_compared_as_by_hand(n):
    rows = messy(n)
    queries = np.concatenate([messy(10, seed=1), rows[:5], np.float32([[0.5, 3, 8, 99, -7]])])
    got = distances(queries, rows, (3, 4))
    np.testing.assert_allclose(got, by_hand(queries, rows, (3, 4)), rtol=1e-3, atol=1e-3)


def test_a_value_missing_where_none_was_and_one_that_leaves_a_constant_column_lie_far_out():
    rows = table(40)
    queries = rows[:4].copy()
    queries[[0, 1], [0, 5]] = np.nan, 8.5
    queries[2] = np.nan
    got = distances(queries, rows)
    np.testing.assert_allclose(got, by_hand(queries, rows), rtol=1e-3, atol=1e-3)
    assert (got[0, :, 0] > 30).all()
    assert (got[1, :, 5] > 80).all()


def test_beyond_fifty_categories_the_others_share_a_few_coordinates():
    rng = np.random.default_rng(5)
    rows = np.concatenate([np.repeat(np.arange(60), rng.integers(1, 9, 60)), [70, 71]]).astype(np.float32)[:, None]
    queries = np.float32([[0], [30], [70], [71], [99], [np.nan]])
    np.testing.assert_allclose(distances(queries, rows, (0,)), by_hand(queries, rows, (0,)), rtol=1e-4)
    assert Scaling.find(rows, (0,)).apply(rows).shape[1] == 50 + 16


def test_a_column_of_two_categories_is_worth_as_much_as_the_same_column_of_numbers():
    rows = (np.random.default_rng(6).random((200, 1)) < 0.3).astype(np.float32)
    np.testing.assert_allclose(distances(rows, rows, (0,)), distances(rows, rows), rtol=1e-4, atol=1e-4)


def test_more_rows_than_knots_are_told_by_evenly_placed_ones(monkeypatch):
    rows = table(200)
    exact = Scaling.find(rows).apply(rows[:20])[:, 7:10]  # normal scores of columns without ties
    monkeypatch.setattr(columns, "MOST_KNOTS", 50)
    scaling = Scaling.find(rows)
    assert len(scaling.numbers) == 5 + 50
    middle = np.abs(exact) < 1.5  # what is farther out is told more coarsely
    np.testing.assert_allclose(scaling.apply(rows[:20])[:, 7:10][middle], exact[middle], atol=0.1)


def test_scaled_columns_vary_alike_and_a_constant_one_not_at_all():
    scaled = Scaling.find(rows := table(500)).apply(rows)
    spreads = scaled.astype(np.float64).std(axis=0).reshape(2, 7)
    np.testing.assert_allclose(np.delete(spreads, 5, axis=1), 1, atol=0.01)
    assert not spreads[:, 5].any()


def test_a_value_that_leaves_a_constant_column_stands_out():
    rows = table(200)
    odd = rows[:1].copy()
    odd[0, 5] = 8.5
    detector = Detector.fit(Steps(1, scale=Scale()), rows)
    assert detector.contributions(odd)[0].argmax() == 5


def test_a_category_never_seen_stands_out():
    rows = messy(300)[:, [0, 3, 4]]
    odd = rows[:1].copy()
    odd[0, 1] = 9
    detector = Detector.fit(Steps(1, scale=Scale((1, 2))), rows)
    assert detector.contributions(odd)[0].argmax() == 1
    assert detector.p_value(odd)[0] < 0.01


def test_a_category_never_seen_stands_out_among_very_many():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(size=1_000), rng.integers(0, 120, 1_000)], axis=1).astype(np.float32)
    odd = rows[:50].copy()
    odd[:, 1] = np.arange(5_000, 5_050)
    detector = Detector.fit(Steps(2, scale=Scale((1,))), rows)
    assert (detector.contributions(odd).argmax(axis=1) == 1).mean() >= 0.9
    assert np.median(detector.p_value(odd)) < 0.2


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=50), st.lists(st.floats(-1e7, 1e7, width=32)))
def test_scaling_keeps_the_order_of_values_and_bounds_scores(values, queries):
    rows = np.array(values, np.float32)[:, None]
    asked = np.sort(np.array(queries, np.float32))[:, None]
    scaled = Scaling.find(rows).apply(asked)
    assert (np.diff(scaled, axis=0) >= 0).all()
    assert np.isfinite(scaled).all()


def test_a_row_is_scaled_alike_in_any_company():
    rows = table(100)
    scaling = Scaling.find(rows)
    whole = scaling.apply(rows)
    for count in (1, 2, 7, 50):
        assert scaling.apply(rows[-count:]).tobytes() == whole[-count:].tobytes()


def test_many_rows_are_scaled_in_parts(monkeypatch):
    rows = messy(100)
    scaling = Scaling.find(rows, (3, 4))
    whole = scaling.apply(rows)
    monkeypatch.setattr(columns, "VALUES_AT_ONCE", 70)
    assert scaling.apply(rows).tobytes() == whole.tobytes()


@pytest.mark.parametrize("steps", [Steps(), Steps(5), Steps(1, search=Search("kmeans:4"))])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_parts_of_a_score_add_up_to_it(steps, scaled):
    rows, queries = table(150), table(30, seed=2)
    detector = Detector.fit(replace(steps, scale=Scale() if scaled else None), rows)
    parts = detector.contributions(queries)
    assert parts.shape == (30, 7)
    assert (parts >= 0).all()
    np.testing.assert_allclose(parts.sum(axis=1), detector.anomaly_score(queries), rtol=1e-9)


@given(data=st.data())
def test_parts_add_up_for_any_rows_with_missing_values_and_categories(data):
    numbers = st.one_of(st.floats(-1e9, 1e9, width=32), st.just(float("nan")), st.integers(0, 3))
    rows = data.draw(arrays(np.float32, (12, 3), elements=numbers))
    queries = data.draw(arrays(np.float32, (4, 3), elements=numbers))
    categorical = data.draw(st.sets(st.integers(0, 2)))
    detector = Detector.fit(Steps(2, scale=Scale(tuple(sorted(categorical)))), rows)
    parts = detector.contributions(queries)
    np.testing.assert_allclose(parts.sum(axis=1), detector.anomaly_score(queries), rtol=1e-6)
    np.testing.assert_allclose(detector.contributions(rows).sum(axis=1), detector.anomaly_score(rows), rtol=1e-6)


def test_the_parts_are_those_of_the_mean_over_the_neighbors():
    rows, queries = messy(60), messy(8, seed=3)
    detector = Detector.fit(Steps(3, scale=Scale((3, 4))), rows)
    learning = Sampler(detector.blocks, NO_MEMBERSHIP).split().learning
    near = detector.kneighbors(queries)[1]
    expected = [
        by_hand(q[None], rows[learning], (3, 4), others=rows[places])[0].mean(axis=0)
        for q, places in zip(queries, near, strict=True)
    ]
    np.testing.assert_allclose(detector.contributions(queries), expected, rtol=1e-3, atol=1e-3)


def test_a_planted_wrong_column_contributes_most():
    rng = np.random.default_rng(3)
    mixed = rng.normal(size=(6, 12))
    rows = (rng.normal(size=(1_300, 6)) @ mixed + 0.3 * rng.normal(size=(1_300, 12))) * 10.0 ** rng.integers(-3, 4, 12)
    queries, planted = rows[1_000:].copy(), rng.integers(12, size=300)
    places = np.arange(300)
    queries[places, planted] += 6 * rng.choice([-1, 1], 300) * rows[:, planted].std(axis=0)
    found = Detector.fit(Steps(5, scale=Scale()), rows[:1_000]).contributions(queries).argmax(axis=1)
    assert (found == planted).mean() >= 0.95


@pytest.mark.parametrize("steps", [Steps(normalize=Normalize("unit")), Steps(whiten=Whiten())])
def test_scores_that_do_not_split_over_columns_are_refused(steps):
    detector = Detector.fit(steps, table(50)[:, :4])
    with pytest.raises(InputError, match="split over columns only with"):
        detector.contributions(table(5)[:, :4])


def test_the_scale_of_a_column_does_not_matter():
    rows, queries = table(200)[:, [0, 1, 3]], table(50, seed=4)[:, [0, 1, 3]]
    factors = np.float32([1, 1024, 2**-9])  # which round nothing
    plain = Scaling.find(rows).apply(queries)
    scaled = Scaling.find(rows * factors).apply(queries * factors)
    np.testing.assert_allclose(scaled, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (Steps(scale=Scale((7,))), "must lie in 0 ... 6, got 7"),
        (Steps(scale=Scale((-1,))), "must lie in 0 ..., got -1"),
        (Steps(scale=Scale(("x",))), "must lie in 0 ..., got 'x'"),
        (Steps(scale=Scale(5)), "must be a tuple of their numbers, got 5"),
        (Steps(normalize=Normalize("unit"), scale=Scale()), "normalize must be none, got 'unit'"),
        (Steps(scale=Scale(), search=Search(storage="uint8")), "storage must be auto or float32, got 'uint8'"),
    ],
)
def test_columns_that_cannot_be_scaled_so_are_refused(steps, words):
    with pytest.raises(InputError, match=words):
        Detector.fit(steps, table(50))


def test_infinity_is_refused_and_a_missing_value_only_where_columns_are_not_scaled():
    rows = table(50)
    with_nan, with_inf = rows.copy(), rows.copy()
    with_nan[3, 0], with_inf[3, 0] = np.nan, np.inf
    assert Detector.fit(Steps(scale=Scale()), with_nan).anomaly_score(with_nan).max() < np.inf
    for steps, wrong, words in (
        (Steps(scale=Scale()), with_inf, "values must lie within .* got inf"),
        (Steps(), with_nan, "rows must be finite, got NaN"),
        (Steps(), with_inf, "values must lie within .* got inf"),
    ):
        with pytest.raises(InputError, match=words):
            Detector.fit(steps, wrong)


def test_time_is_linear_in_columns_of_categories():
    """Of 16 times the columns, it is 16 times as long, or 256 where it is quadratic."""

    def seconds(n):
        rows = np.tile(np.arange(6, dtype=np.float32)[:, None], n)
        scaling = Scaling.find(rows, range(n))
        start = time.process_time()
        scaling.apply(rows)
        return time.process_time() - start

    assert seconds(4_000) < 50 * min(seconds(250) for _ in range(3))

"""What breaks exchangeability is found among nearest neighbours, and nothing where rows are drawn one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

import dn2
import naive
from dn2.neighbors.detector import Detector
from dn2.neighbors.proposal import propose_parts
from dn2.neighbors.steps import Scale, Search, Steps
from dn2.neighbors.surroundings import Surroundings, spread
from dn2.neighbors.suspicion import Finding, Suspicion, find_repeats, look

ORDINARY = Steps(2)


def fitted(rows, steps=ORDINARY):
    return Detector.fit(steps, np.asarray(rows, np.float32))


def names(rows, steps=ORDINARY, **options):
    return {finding.name for finding in look(fitted(rows, steps).reference, **options).findings}


def parts(rng, sizes, noise, dimension=8):
    """Return rows of several views of each part, and the part of each."""
    owners = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(size=(len(sizes), dimension))[owners] + noise * rng.normal(size=(len(owners), dimension)), owners


def in_order(rows):
    return [np.arange(len(rows))]


# Neighbours.


@pytest.mark.parametrize("search", ["exact", "kdtree", "kmeans:20"])
def test_neighbors_are_the_nearest_that_differ_from_an_item_and_from_each_other(search):
    rng = np.random.default_rng(0)
    which = rng.integers(120, size=150)
    rows, keys = rng.normal(size=(120, 3)).astype(np.float32)[which], (which % 60).astype(np.uint64)
    detector = Detector.fit(Steps(1, search=Search(search)), rows)
    for given_keys in (None, keys):
        around = Surroundings.of(detector.reference, given_keys)
        near = around.nearest(around.sample(150), 30)
        assert near.positions.shape[1] == 30
        assert len(near.members) >= 0.9 * len(np.unique(rows, axis=0))
        for member, positions in zip(near.members, near.positions, strict=True):
            expected = naive.nearest_others(rows, member, len(positions), given_keys)
            np.testing.assert_array_equal(rows[positions], rows[expected])


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=20)
def test_numbers_that_come_again_are_spread_over_less_than_half_of_the_gap_to_the_next(seed, digits):
    rows = np.random.default_rng(seed).normal(size=(30, 2)).round(digits)
    wide = spread(rows.astype(np.float32))
    for column, spread_column in zip(rows.T, wide.T, strict=True):
        values, counts = np.unique(column, return_counts=True)
        alone = np.isin(column, values[counts == 1])
        np.testing.assert_allclose(spread_column[alone], column[alone], rtol=1e-6)
        nearest = values[np.abs(spread_column[:, None] - values).argmin(axis=1)]
        np.testing.assert_allclose(nearest, column)


# What is found.


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_views_of_parts_are_found_where_every_item_is_a_near_copy(noise):
    rng = np.random.default_rng(1)
    for sizes in ([5] * 60, [2] * 150, rng.integers(1, 8, size=80)):
        rows, _ = parts(rng, sizes, noise)
        found = {finding.name: finding for finding in fitted(rows[rng.permutation(len(rows))]).suspicion().findings}
        assert found["copies"].share > 0.6
        assert abs(found["copies"].size - np.median(np.repeat(sizes, sizes))) <= 1


def test_views_that_differ_much_are_found_by_their_number():
    rows, _ = parts(np.random.default_rng(2), [5] * 60, 0.3)
    found = {finding.name: finding for finding in fitted(rows).suspicion().findings}
    assert abs(found["clusters"].size - 5) <= 1


@pytest.mark.parametrize("dimension", [1, 2, 8, 60])
def test_nothing_is_found_in_rows_drawn_one_by_one(dimension):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(250, dimension)) ** rng.choice([1, 3])
        assert names(rows, orders=in_order(rows)) == set()
        assert names(np.round(rows, 1), orders=in_order(rows)) == set()
        assert names(np.round(rows, 1), Steps(2, scale=Scale()), orders=in_order(rows)) == set()


def test_exact_repeats_are_counted_and_not_suspected():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(120, 5))[rng.integers(120, size=300)]
    suspicion = fitted(rows).suspicion()
    again = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    assert suspicion.repeats == (again[2][again[1]] > 1).sum()
    assert suspicion.findings == ()


def test_near_copies_are_counted_on_a_scale_that_they_do_not_set():
    rows, _ = parts(np.random.default_rng(4), [5] * 60, 0.005)
    assert fitted(rows).suspicion().near_copies == 300
    rows[5:] = np.random.default_rng(5).normal(size=(295, 8))
    assert fitted(rows).suspicion().near_copies == 5


def test_measurements_of_a_unit_are_found_in_a_table_and_cells_of_categories_are_not():
    rng = np.random.default_rng(6)
    units = np.column_stack([rng.normal(size=(70, 4)), rng.integers(0, 4, size=70)])
    rows = np.repeat(units, 4, axis=0)
    rows[:, :4] += rng.normal(scale=0.02, size=(280, 4))
    table = Steps(2, scale=Scale((4,)))
    assert "copies" in names(rows, table)
    cells = np.column_stack([rng.normal(size=280), *rng.integers(0, 4, size=(3, 280))])
    for categories in ((1, 2, 3), ()):
        assert names(cells, Steps(2, scale=Scale(categories))) == set()
    assert names(cells[:, 1:], Steps(2, scale=Scale((0, 1, 2)))) == set()


# Orders.


def test_neighbors_that_follow_on_each_other_are_found_and_kinds_and_sorted_tables_are_not():
    rng = np.random.default_rng(7)
    walk = np.cumsum(rng.normal(size=(300, 4)), axis=0)
    assert names(walk, orders=in_order(walk)) == {"order"}
    shuffled = rng.permutation(300)
    assert names(walk[shuffled], orders=in_order(walk)) == set()
    assert names(walk[shuffled], orders=[*in_order(walk), shuffled]) == {"order"}
    kinds = np.sort(rng.integers(10, size=400))
    rows = 6 * rng.normal(size=(10, 4))[kinds] + rng.normal(size=(400, 4))
    assert names(rows, orders=in_order(rows)) == set()
    for dimension in (1, 2):
        rows = rng.normal(size=(400, dimension))
        rows = rows[np.argsort(rows[:, 0])]
        assert names(rows, orders=in_order(rows)) == set()


# Parts that are known.


def test_views_of_a_part_are_expected_where_parts_are_known_and_copies_across_parts_are_found():
    rng = np.random.default_rng(8)
    rows, owners = parts(rng, [5] * 60, 0.02)
    assert names(rows, keys=owners.astype(np.uint64), orders=in_order(rows)) == set()
    twice = np.concatenate([rows[::5], rows[::5] + 0.02 * rng.normal(size=(60, 8))])
    assert "copies" in names(twice, keys=np.arange(120).astype(np.uint64))


@pytest.mark.parametrize("noise", [0.02, 0.2])
def test_parts_are_proposed_by_distance_and_by_order(noise):
    rng = np.random.default_rng(9)
    rows, owners = parts(rng, [6] * 50, noise)
    rows = np.concatenate([rows, rows[:40]])
    owners, shuffled = np.concatenate([owners, owners[:40]]), rng.permutation(340)
    for places, orders in ((shuffled, []), (np.argsort(owners, kind="stable"), in_order(rows))):
        reference = fitted(rows[places]).reference
        suspicion = fitted(rows[places]).suspicion(orders)
        proposed = propose_parts(reference, suspicion, orders)
        assert adjusted_rand_score(owners[places], proposed) > 0.9


# What is kept.


def test_what_was_found_is_restored_and_nothing_else_is():
    found = Suspicion(20, 3, 2, 0.5, (Finding("copies", 0.4, 0.2, 5),))
    record = found.as_dict()
    assert Suspicion.from_dict(record) == found
    finding = record["findings"][0]
    for wrong in (
        {"looked_at": -1},
        {"copy_distance": float("nan")},
        {"findings": [finding | {"name": "x"}]},
        {"a": 1},
    ):
        with pytest.raises((ValueError, TypeError)):
            Suspicion.from_dict(record | wrong)


def test_exact_copies_are_suspected_where_they_come_more_evenly_than_by_chance():
    rng = np.random.default_rng(0)

    def found(contents, units=None):
        contents = np.asarray(contents).astype(np.uint64)
        return find_repeats(contents, np.arange(len(contents)) if units is None else np.asarray(units))

    each_five_times = np.repeat(np.arange(60), 5)
    assert found(each_five_times) == Finding("repeats", 1.0, pytest.approx(0.993, abs=1e-3), 5)
    assert found(each_five_times, each_five_times) is None  # of one part each
    assert found(np.repeat(np.arange(60), 2)).size == 2
    assert found(np.repeat(np.arange(200), rng.integers(2, 7, 200))).size == 4
    for many in (20, 100, 1000):
        assert not any(found(rng.integers(0, many, n)) for n in (60, 300, 2000) for _ in range(20))
        assert not any(found(rng.zipf(1 + many / 500, n)) for n in (60, 300, 2000) for _ in range(20))
    words = ["order of the day", "please call back", *(f"ticket {n} is {n % 7}" for n in range(40))]
    model = dn2.fit(words * 4, kind="text", backbone="characters")
    assert "repeats" in [finding.name for finding in model.state.suspicion.findings]
    assert "about 4 of each" in " ".join(model.describe()["calibration"]["assumptions"])

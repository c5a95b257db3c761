from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors.search import selected
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.selected import SelectedIndex, group_copies


@given(data=st.data())
def test_selected_rows_are_found_under_the_positions_that_they_stand_for(data):
    items = data.draw(arrays(np.float32, (12, 2), elements=st.integers(-2, 2)))
    chosen = data.draw(st.lists(st.integers(0, 11), min_size=3, max_size=12, unique=True))
    index = SelectedIndex(items[chosen], np.array(chosen))
    assert len(index) == len(chosen)
    distances, positions = index.search(items, 2)
    expected, places = naive.search(items, items[chosen], 2)
    assert distances.tolist() == expected.tolist()
    assert positions.tolist() == np.array(chosen)[places].tolist()


@given(data=st.data())
def test_an_item_among_the_selected_is_excluded_and_any_other_excludes_nothing(data):
    items = data.draw(arrays(np.float32, (12, 2), elements=st.integers(-2, 2)))
    chosen = data.draw(st.lists(st.integers(0, 11), min_size=3, max_size=12, unique=True))
    own = np.arange(12)
    places = [chosen.index(one) if one in chosen else None for one in own]
    distances, positions = SelectedIndex(items[chosen], np.array(chosen)).search(items, 2, Excluded.own(own))
    expected, near = naive.search(items, items[chosen], 2, places)
    assert distances.tolist() == expected.tolist()
    assert positions.tolist() == np.array(chosen)[near].tolist()
    assert not (positions == own[:, None]).any()


def test_two_rows_may_stand_for_one_item():
    index = SelectedIndex(np.array([[0], [10], [4]], np.float32), np.array([7, 7, 3]))
    distances, positions = index.search(np.array([[9], [1]], np.float32), 3)
    assert distances.tolist() == [[1, 25, 81], [1, 9, 81]]
    assert positions.tolist() == [[7, 3, 7], [7, 3, 7]]


def test_all_rows_that_stand_for_an_excluded_item_are_excluded():
    index = SelectedIndex(np.array([[0], [10], [4], [5]], np.float32), np.array([7, 7, 3, 8]))
    queries = np.array([[9], [1]], np.float32)
    assert index.search(queries, 2, Excluded.own(np.array([7, 3])))[1].tolist() == [[8, 3], [7, 8]]
    assert index.search(queries, 1, Excluded(np.array([[7, 9], [0, 8]])))[1].tolist() == [[3], [8]]


@given(data=st.data())
def test_copies_are_found_one_by_one_in_the_order_of_the_rows(data):
    n = data.draw(st.integers(2, 40))
    rows = data.draw(arrays(np.float32, (n, 2), elements=st.integers(0, 2)))
    queries = data.draw(arrays(np.float32, (5, 2), elements=st.integers(-1, 3)))
    k = data.draw(st.integers(1, n))
    got = SelectedIndex(rows, np.arange(n)).search(queries, k)
    expected = naive.search(queries, rows, k)
    assert [one.tolist() for one in got] == [one.tolist() for one in expected]
    got = SelectedIndex(rows, np.arange(n)).search(rows, min(k, n - 1), Excluded.own(np.arange(n)))
    expected = naive.search(rows, rows, min(k, n - 1), list(range(n)))
    assert [one.tolist() for one in got] == [one.tolist() for one in expected]


def test_rows_of_which_a_hundred_thousand_are_alike_are_searched_without_comparing_with_all(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 8, size=(100_000, 3)).astype(np.float32)
    monkeypatch.setattr(ExactIndex, "_compare_with_all", None)
    distances, positions = SelectedIndex(rows, np.arange(len(rows))).search(rows[:500], 3, Excluded.own(np.arange(500)))
    assert not distances.any()
    assert (rows[positions] == rows[:500, None]).all()
    assert (positions != np.arange(500)[:, None]).all()


@pytest.mark.parametrize("at_once", [1, 7, 1 << 22])
def test_queries_are_searched_alike_in_parts_of_any_size(monkeypatch, at_once):
    rows = np.random.default_rng(1).integers(0, 3, size=(60, 2)).astype(np.float32)
    expected = naive.search(rows, rows, 4, list(range(60)))
    monkeypatch.setattr(selected, "CANDIDATES_AT_ONCE", at_once)
    monkeypatch.setattr(selected, "WORDS_AT_ONCE", at_once)
    got = SelectedIndex(rows, np.arange(60)).search(rows, 4, Excluded.own(np.arange(60)))
    assert [one.tolist() for one in got] == [one.tolist() for one in expected]


@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.integers(0, 2)))
def test_copies_are_grouped_by_their_first(rows):
    order, starts = group_copies(rows)
    groups = [order[start:stop].tolist() for start, stop in pairwise(starts)]
    expected: dict[bytes, list[int]] = {}
    for place, row in enumerate(rows):
        expected.setdefault(row.tobytes(), []).append(place)
    assert groups == list(expected.values())


def test_rows_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(selected, "_hashes", lambda rows: np.zeros(len(rows), np.uint64))
    rows = np.float32([[1], [2], [2], [1]])
    got = SelectedIndex(rows, np.arange(4)).search(rows, 3)
    expected = naive.search(rows, rows, 3)
    assert [one.tolist() for one in got] == [one.tolist() for one in expected]

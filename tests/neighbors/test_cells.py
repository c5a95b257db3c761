from __future__ import annotations

import numpy as np
import pytest

import naive
from dn2 import KNNDetector
from dn2.neighbors import learnt as learnt_module
from dn2.neighbors.cells import RECALL, CellIndex, find_cells
from dn2.neighbors.selected import SelectedIndex


def clustered(n, seed=0):
    """Return rows around 20 points of the plane, in random order: (n, 6)."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(20, 6)) * 10
    return (centres[rng.integers(20, size=n)] + rng.normal(size=(n, 6))).astype(np.float32)


def test_all_cells_together_give_what_an_exact_search_gives():
    rows, queries = clustered(300), clustered(40, seed=1)
    found = CellIndex(rows, rows[:16], 16).search(queries, 3)
    expected = naive.search(queries, rows, 3)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    assert found[1].tolist() == expected[1].tolist()


def test_only_rows_of_near_cells_are_found_at_their_exact_distance():
    rows, queries = clustered(300), clustered(40, seed=1)
    centres = rows[:16]
    distances, positions = CellIndex(rows, centres, 2).search(queries, 3)
    cell_of = naive.search(rows, centres, 1)[1][:, 0]
    near = naive.search(queries, centres, 2)[1]
    for query, cells, far, found in zip(queries, near, distances, positions, strict=True):
        inside = np.flatnonzero(np.isin(cell_of, cells))
        if len(inside) >= 3:
            expected = naive.search(query[None], rows[inside], 3)
            np.testing.assert_allclose(far, expected[0][0], rtol=1e-5)
            assert found.tolist() == inside[expected[1][0]].tolist()


def test_a_query_whose_cells_hold_too_few_rows_is_compared_with_all():
    rows = np.float32([[0], [1], [2], [100]])
    distances, positions = CellIndex(rows, np.float32([[1], [100]]), 1).search(np.float32([[99], [1]]), 2)
    assert positions.tolist() == [[3, 2], [1, 0]]
    assert distances.tolist() == [[1, 97**2], [0, 1]]


def test_a_copy_lies_at_distance_0():
    rows = clustered(2_000)
    centres, (n_searched, _) = find_cells(rows, 2)
    assert not CellIndex(rows, centres, int(n_searched)).search(rows, 1)[0].any()


def test_as_many_cells_are_searched_as_find_what_is_promised():
    rows = clustered(4_000)
    centres, (n_searched, recall) = find_cells(rows, 2)
    assert RECALL <= recall <= 1
    assert 1 <= n_searched <= len(centres) / 2
    queries = clustered(100, seed=3)
    found = CellIndex(rows, centres, int(n_searched)).search(queries, 2)[0]
    assert (np.isclose(found, naive.search(queries, rows, 2)[0], rtol=1e-4)).mean() >= 0.99


def test_where_cells_do_not_help_there_are_none():
    rows = np.random.default_rng(0).normal(size=(2_000, 200)).astype(np.float32)  # all about equally far apart
    centres, probing = find_cells(rows, 2)
    assert (len(centres), len(probing)) == (0, 0)


@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_few_rows_are_no_error(n):
    centres, probing = find_cells(clustered(n), 2)
    assert len(probing) == (2 if len(centres) else 0)


def test_the_same_rows_give_the_same_cells_bit_for_bit():
    one, other = (find_cells(clustered(3_000), 2) for _ in range(2))
    assert one[0].tobytes() == other[0].tobytes()
    assert one[1].tolist() == other[1].tolist()


def test_copies_in_cells_are_found_one_by_one():
    rows = np.repeat(clustered(100), 3, axis=0)
    index = SelectedIndex(rows, np.arange(300), clustered(10), 10)
    distances, positions = index.search(rows, 2, np.arange(300))
    assert not distances.any()
    assert (positions // 3 == np.arange(300)[:, None] // 3).all()
    assert (positions != np.arange(300)[:, None]).all()


def test_leave_one_out_goes_through_the_same_search():
    rows = clustered(2_500)
    detector = KNNDetector(2, index="approximate").fit(rows)
    assert detector.calibration_.method == "split"
    found = detector.learnt_
    index = CellIndex(rows, found.cells, int(found.probing[0]))
    members = detector.leave_one_out_.members
    distances, positions = index.search(rows[members], 3)
    without = [far[near != own][:2] for far, near, own in zip(distances, positions, members, strict=True)]
    np.testing.assert_array_equal(detector.leave_one_out_.distances, np.stack(without))
    assert any("cells of the search were learnt" in words for words in detector.calibration_.assumptions())


def test_false_alarms_are_as_asked_though_the_search_is_approximate(monkeypatch):
    rng = np.random.default_rng(0)
    flagged = []
    for _ in range(40):
        rows = rng.normal(size=(1_200, 3)).astype(np.float32)
        detector = KNNDetector(2, false_alarm_rate=0.1, index="approximate").fit(rows[:600])
        flagged.append((detector.predict(rows[600:]) < 0).mean())
    assert 0.08 <= np.mean(flagged) <= 0.11


@pytest.mark.parametrize(("index", "method"), [("auto", "approximate"), ("exact", "exact")])
def test_large_tables_are_searched_approximately_unless_asked_otherwise(monkeypatch, index, method):
    rows = clustered(2_000)
    monkeypatch.setattr(learnt_module, "APPROXIMATE_FROM", 2_000)
    assert KNNDetector(scale_columns=True, index=index).fit(rows).learnt_.search["method"] == method
    assert KNNDetector(scale_columns=True, index=index).fit(rows[:1_999]).learnt_.search == {"method": "exact"}


def test_adding_and_removing_gives_the_same_approximate_search():
    rows = clustered(1_500)
    detector = KNNDetector(2, index="approximate").fit(rows[:1_400])
    queries = clustered(100, seed=5)
    before = detector.anomaly_score(queries)
    detector.add(rows[1_400:]).remove(np.arange(1_400, 1_500))
    assert detector.anomaly_score(queries).tobytes() == before.tobytes()

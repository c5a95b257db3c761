from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import naive
from dn2.neighbors import choice, reference
from dn2.neighbors.blocks import Block, rows_at, to_blocks
from dn2.neighbors.detector import Detector
from dn2.neighbors.search import cells as cells_module
from dn2.neighbors.search import finding_cells
from dn2.neighbors.search.cells import CellIndex, CellSearch, Effort
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.finding_cells import find_cells
from dn2.neighbors.search.selected import SelectedIndex
from dn2.neighbors.steps import Clean, Scale, Search, Steps, Whiten

RECALL = 0.999


def clustered(n, seed=0, d=6):
    """Return rows around 20 points, in random order: (n, d)."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(20, d)) * 10
    return (centres[rng.integers(20, size=n)] + rng.normal(size=(n, d))).astype(np.float32)


def around(centres, n_searched):
    """Return cells of rows that are compared as they are."""
    reach = np.full(len(centres), np.inf, np.float32)
    return CellSearch(centres, reach, None, Effort(n_searched, 1), None, finding_cells.NOT_MEASURED)


def found_in(rows, k=2, recall=RECALL):
    return find_cells([Block(rows)], np.arange(len(rows)), k, recall)


@pytest.fixture(params=["as they are", "reduced"])
def either_way(request, monkeypatch):
    """Let rows be compared as they are, or be reduced first, as long ones are."""
    monkeypatch.setattr(finding_cells, "REDUCED_FROM", 4 if request.param == "reduced" else 10**6)
    monkeypatch.setattr(finding_cells, "REDUCED_TO", 5)
    return request.param


def test_all_cells_together_give_what_an_exact_search_gives():
    rows, queries = clustered(300), clustered(40, seed=1)
    found = CellIndex([Block(rows)], around(rows[:16], 16)).search(queries, 3)
    expected = naive.search(queries, rows, 3)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    assert found[1].tolist() == expected[1].tolist()


def test_only_rows_of_near_cells_are_found_at_their_exact_distance():
    rows, queries = clustered(300), clustered(40, seed=1)
    centres = rows[:16]
    distances, positions = CellIndex([Block(rows)], around(centres, 2)).search(queries, 3)
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
    index = CellIndex([Block(rows)], around(np.float32([[1], [100]]), 1))
    distances, positions = index.search(np.float32([[99], [1]]), 2)
    assert positions.tolist() == [[3, 2], [1, 0]]
    assert distances.tolist() == [[1, 97**2], [0, 1]]
    assert index.search(np.float32([[100]]), 1, Excluded.own(np.array([3])))[1].tolist() == [[2]]


@pytest.mark.usefixtures("either_way")
def test_a_copy_lies_at_distance_0():
    rows = clustered(1_000)
    distances, _ = CellIndex([Block(rows)], found_in(rows, recall=0.9)).search(rows, 1)
    assert not distances.any()


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("recall", [0.9, 0.999])
def test_as_many_cells_are_searched_as_find_what_is_promised(recall):
    rows = clustered(2_000)
    cells = found_in(rows, recall=recall)
    assert recall <= min(cells.accuracy.recall, cells.accuracy.strange_recall) <= 1
    assert 1 <= cells.near.n_searched <= len(cells.centres) / 2
    queries = clustered(40, seed=3)
    found = CellIndex([Block(rows)], cells).search(queries, 2)[0]
    assert (found <= naive.search(queries, rows, 2)[0][:, 1:] * (1 + 1e-5)).mean() >= recall - 0.03


def strange(rows, queries):
    """Return queries unlike rows: of other clusters, noise as wide as the set or wider, one number far off, a shift."""
    rng, (n, d) = np.random.default_rng(7), queries.shape
    spread = rows.std(axis=0)
    one_far_off = queries.copy()
    one_far_off[np.arange(n), rng.integers(d, size=n)] += 20 * spread.max()
    return {
        "other clusters": (rng.normal(size=(20, d))[rng.integers(20, size=n)] * 10 + rng.normal(size=(n, d))),
        "noise": rows.mean(axis=0) + spread * rng.normal(size=(n, d)),
        "wide noise": rows.mean(axis=0) + 10 * spread * rng.normal(size=(n, d)),
        "one far off": one_far_off,
        "shifted": queries + 50 * spread.max() * rng.normal(size=d),
    }


@pytest.mark.parametrize(("index", "d"), [("approximate", 6), ("approximate", 40), ("kmeans-tree:4", 6)])
def test_the_recall_promised_holds_for_queries_far_from_everything(index, d, monkeypatch):
    monkeypatch.setattr(finding_cells, "REDUCED_FROM", 39)
    monkeypatch.setattr(finding_cells, "REDUCED_TO", 30)
    rows, queries = clustered(3_000, d=d), clustered(200, seed=3, d=d)
    detector = Detector.fit(Steps(2, search=Search(index, 0.99)), rows)
    assert "recall" in detector.describe_search()
    for kind, asked in strange(rows, queries).items():
        asked = asked.astype(np.float32)
        exact, found = ExactIndex([rows]).search(asked, 2)[0], detector.search(asked)[0]
        assert (found <= exact[:, 1:]).mean() >= 0.98, kind


def test_the_recall_that_is_told_is_that_of_rows_among_the_others(either_way):
    rows = clustered(400)
    cells = found_in(rows, recall=0.9)
    tried = rows[:100]
    index = CellIndex([Block(rows)], cells)
    candidates = index.candidates(tried, max(cells.near.n_candidates, 10) + 1, cells.near.n_searched)
    expected, _ = naive.search(tried, rows, 2, list(range(100)))
    found = []
    for own, (row, near) in enumerate(zip(tried, candidates, strict=True)):
        apart = sorted(naive.squared_distance(row, rows[one]) for one in near if one not in (own, -1))[:2]
        found += [far <= expected[own, 1] * (1 + 1e-5) for far in apart]
    told, measured = cells.accuracy.recall, np.mean(found)
    assert told <= measured + 0.004 if either_way == "reduced" else told == pytest.approx(measured, abs=0.004)


def test_where_cells_do_not_help_there_are_none():
    rows = np.random.default_rng(0).normal(size=(2_000, 200)).astype(np.float32)  # all about equally far apart
    assert found_in(rows) is None


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("n", [2, 3, 5, 40, 90])
def test_few_rows_are_no_error(n):
    cells = found_in(clustered(n))
    if cells is not None:
        found = CellIndex([Block(clustered(n))], cells).search(clustered(5, seed=1), 2)
        assert np.isfinite(found[0]).all()


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", ["constant", "one far out", "two rows many times"])
def test_adversarial_rows_are_no_error_and_exact_or_approximate_answers_hold(kind):
    rows = {
        "constant": np.ones((200, 6), np.float32),
        "one far out": np.concatenate([clustered(199), np.full((1, 6), 1e12, np.float32)]),
        "two rows many times": np.repeat(clustered(2), 100, axis=0),
    }[kind]
    cells = found_in(rows, recall=0.9)
    if cells is None:
        return
    distances, positions = CellIndex([Block(rows)], cells).search(rows, 2, Excluded.own(np.arange(200)))
    assert (positions != np.arange(200)[:, None]).all()
    expected, _ = naive.search(rows, rows, 2, list(range(200)))
    assert (distances <= expected[:, 1:] * (1 + 1e-5)).mean() >= 0.88


@pytest.mark.usefixtures("either_way")
def test_every_cell_has_more_rows_that_were_learnt_from_than_neighbours_are_asked_for():
    rows = np.concatenate([clustered(900), 100 * clustered(8, seed=3)])
    centres = found_in(rows, 3, recall=0.5).centres
    if centres.shape[1] == rows.shape[1]:
        assert min(np.bincount(naive.search(rows, centres, 1)[1][:, 0], minlength=len(centres))) > 3


@pytest.mark.usefixtures("either_way")
def test_the_same_rows_give_the_same_cells_bit_for_bit():
    one, other = (found_in(clustered(1_500), recall=0.9) for _ in range(2))
    expected = other.as_arrays()
    assert {name: array.tobytes() for name, array in one.as_arrays().items()} == {
        name: array.tobytes() for name, array in expected.items()
    }


@pytest.mark.usefixtures("either_way")
def test_blocks_and_codes_that_are_known_find_the_same_as_one_block():
    rows, queries = clustered(1_500), clustered(50, seed=4)
    cells = found_in(rows, recall=0.9)
    whole = CellIndex([Block(rows)], cells)
    parts = [Block(rows[:700]), Block(rows[700:])]
    codes = cells.encode(parts) if cells.reduction is not None else None
    for index in (CellIndex(parts, cells), CellIndex(parts, cells, codes)):
        for one, other in zip(index.search(queries, 2), whole.search(queries, 2), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("either_way")
def test_what_is_found_does_not_depend_on_the_other_queries():
    rows, queries = clustered(1_500), clustered(50, seed=4)
    index = CellIndex([Block(rows)], found_in(rows, recall=0.9))
    together = index.search(queries, 2)
    for place in range(50):
        alone = index.search(queries[place : place + 1], 2)
        np.testing.assert_array_equal(alone[0][0], together[0][place])


def test_another_row_never_makes_the_neighbours_that_calibrate_farther(either_way, monkeypatch):
    """Leave-one-out gives one candidate away to the item itself, so that no other one can be pushed out."""
    monkeypatch.setattr(cells_module, "SPARE_CANDIDATES", 1)
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(400, 12)).astype(np.float32)
    cells = found_in(rows, recall=0.3)
    assert cells is not None
    calibrating = CellIndex([Block(rows)], cells).search(rows[:200], 1, Excluded.own(np.arange(200)))[0]
    for new in rng.normal(size=(10, 12)).astype(np.float32):
        grown = np.concatenate([rows, new[None]])
        index = CellIndex([Block(grown)], cells)
        own = Excluded.own(np.arange(200))
        candidates = index.candidates(rows[:200], max(cells.near.n_candidates, 2), cells.near.n_searched, own)
        distances = index.exact.distances(rows[:200], candidates).min(axis=1)
        assert (distances <= calibrating[:, 0]).all()


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    "steps", [Steps(20), Steps(20, scale=Scale()), Steps(20, whiten=Whiten()), Steps(20, clean=Clean(0.2))]
)
def test_an_item_left_out_is_compared_with_one_candidate_fewer_than_a_query(steps, grouped, monkeypatch):
    """Else one more row might push a neighbour of it out; of half the rows there are copies, and others stand aside."""
    rows = clustered(1_500)
    rows[::4] = rows[1::4]
    detector = Detector.fit(replace(steps, search=Search("approximate", 0.3)), rows)
    index, members = detector.reference.index, np.arange(1_500)
    groups = members.astype(np.uint64) // np.uint64(3)
    excluded = Excluded.of_groups(groups, groups) if grouped else Excluded.own(members)
    in_cells, counted = index if isinstance(index, CellIndex) else index._index, []
    distances = in_cells.exact.distances
    monkeypatch.setattr(
        in_cells.exact, "distances", lambda queries, at: counted.append((at >= 0).sum(axis=1)) or distances(queries, at)
    )
    asked = detector.reference.compared(rows)
    compared = []
    for left_out in (None, excluded):
        counted.clear()
        index.search(asked, 20, left_out)
        compared.append(np.concatenate([count[count > 0] for count in counted]))
    queried, left_out = compared
    assert left_out.max() == queried.max() - 1


def test_copies_in_cells_are_found_one_by_one():
    rows = np.repeat(clustered(100), 3, axis=0)
    index = SelectedIndex(rows, np.arange(300), around(clustered(10), 10))
    distances, positions = index.search(rows, 2, Excluded.own(np.arange(300)))
    assert not distances.any()
    assert (positions // 3 == np.arange(300)[:, None] // 3).all()
    assert (positions != np.arange(300)[:, None]).all()


@pytest.mark.usefixtures("either_way")
def test_leave_one_out_goes_through_the_same_search():
    rows = clustered(1_500)
    detector = Detector.fit(Steps(2, search=Search("approximate", 0.9)), rows)
    assert detector.calibration.method == "split"
    index = CellIndex([Block(rows)], detector.learnt.search)
    members = detector.leave_one_out.members
    distances, _ = index.search(rows[members], 2, Excluded.own(members))
    np.testing.assert_array_equal(detector.leave_one_out.distances, distances)
    assert detector.calibration.learnt == (("cells", len(detector.learnt.search.centres)),)


@pytest.mark.parametrize("storage", ["float16", "uint8"])
@pytest.mark.usefixtures("either_way")
def test_compact_rows_are_found_at_the_distance_of_what_is_stored(storage):
    rows, queries = clustered(1_000), clustered(30, seed=2)
    detector = Detector.fit(Steps(2, search=Search("approximate", 0.99, storage)), rows)
    stored = rows_at(to_blocks(rows, storage), np.arange(len(rows)))
    rounded = rows_at(to_blocks(queries, storage), np.arange(len(queries)))
    expected, _ = naive.search(rounded, stored, 2)
    found = detector.search(queries)[0]
    assert (found <= expected[:, 1:] * (1 + 1e-4) + 1e-6).mean() >= 0.8
    assert (found >= expected * (1 - 1e-4) - 1e-6).all()
    assert (detector.search(rows, 1)[0] == 0).mean() >= 0.9


def test_false_alarms_are_as_asked_though_the_search_is_approximate(either_way):
    rng = np.random.default_rng(0)
    flagged = []
    for _ in range(14):
        rows = rng.normal(size=(1_200, 6)).astype(np.float32)
        detector = Detector.fit(Steps(2, 0.1, search=Search("approximate", 0.9)), rows[:600])
        flagged.append((detector.p_value(rows[600:]) <= 0.1).mean())
    assert 0.08 <= np.mean(flagged) <= 0.11


@pytest.mark.parametrize(("index", "method"), [("auto", "approximate"), ("exact", "exact")])
def test_large_tables_are_searched_approximately_unless_asked_otherwise(monkeypatch, index, method):
    rows = clustered(2_000)
    monkeypatch.setattr(choice, "APPROXIMATE_TABLES_FROM", 2_000)
    steps = Steps(scale=Scale(), search=Search(index))
    assert Detector.fit(steps, rows).describe_search()["method"] == method
    assert Detector.fit(steps, rows[:1_999]).describe_search()["method"] == "exact"


def test_where_no_cells_find_enough_the_search_is_exact_and_says_so():
    rows = np.random.default_rng(0).normal(size=(600, 200)).astype(np.float32)
    detector = Detector.fit(Steps(search=Search("approximate")), rows)
    search = detector.describe_search()
    assert search["method"] == "exact"
    assert "finds 0.999 of the neighbours" in search["why"]
    assert (detector.calibration.method, detector.calibration.learnt) == ("split", ())
    for one, other in zip(detector.search(rows[:9]), ExactIndex([rows]).search(rows[:9], 2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_adding_and_removing_gives_the_same_approximate_search():
    rows = clustered(1_500)
    detector = Detector.fit(Steps(search=Search("approximate")), rows[:1_400])
    queries = clustered(100, seed=5)
    before = detector.anomaly_score(queries)
    detector = detector.add(rows[1_400:]).remove(np.arange(1_400, 1_500))
    assert detector.anomaly_score(queries).tobytes() == before.tobytes()


@pytest.mark.usefixtures("either_way")
def test_a_large_set_keeps_what_was_learnt_and_says_how_stale_it_is(monkeypatch):
    monkeypatch.setattr(reference, "LEARNT_ANEW_UP_TO", 1_000)
    monkeypatch.setattr(reference, "SAMPLE_SIZE", 200)
    rows, queries = clustered(1_500), clustered(100, seed=5)
    detector = Detector.fit(Steps(2, search=Search("approximate", 0.9)), rows[:1_400])
    learnt, before, p_values = detector.learnt, detector.anomaly_score(queries), detector.p_value(queries)
    detector = detector.add(rows[1_400:])
    assert detector.learnt.search is learnt.search
    assert detector.describe_search()["learnt_from"] == 1_400
    assert (detector.search(rows[1_400:], 1)[0] == 0).mean() >= 0.8
    assert len(detector.leave_one_out.members) > 700
    detector = detector.remove(np.arange(1_400, 1_500))
    assert detector.anomaly_score(queries).tobytes() == before.tobytes()
    assert detector.p_value(queries).tobytes() == p_values.tobytes()
    detector = detector.remove(np.arange(600))
    assert detector.learnt.search is not learnt.search
    assert detector.describe_search()["learnt_from"] == 800

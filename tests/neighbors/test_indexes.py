"""The contract of an index, `dn2.neighbors.search.index.Index`, whole: add an index to `INDEXES` to hold it to that."""

import inspect

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors.blocks import Block
from dn2.neighbors.search import candidates, cells, exact, kdtree
from dn2.neighbors.search.cells import CellIndex, CellSearch, Effort
from dn2.neighbors.search.counted import CountedIndex
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.finding_cells import NOT_MEASURED
from dn2.neighbors.search.kdtree import KDTreeIndex
from dn2.neighbors.search.kmeans_tree import KMeansTree
from dn2.neighbors.search.selected import SelectedIndex
from dn2.neighbors.search.tree import learn_tree
from made_rows import DATA, assert_same, random


def all_cells(rows):
    """Return a search of all cells around some rows, which compares all rows in full: approximate by name only."""
    centres = rows[:: max(1, len(rows) // 6)].copy()
    reach = np.full(len(centres), np.median(naive.search(rows, centres, 1)[0]), np.float32)
    return CellSearch(centres, reach, None, Effort(len(rows), 2 * len(rows)), None, NOT_MEASURED)


INDEXES = {
    "exact": lambda rows: ExactIndex([rows]),
    "exact, in blocks": lambda rows: ExactIndex([rows[: len(rows) // 3], rows[len(rows) // 3 :]]),
    "k-means tree": KMeansTree.of,
    "all leaves of a tree": lambda rows: KMeansTree(rows, learn_tree(rows[: len(rows) // 2 + 1]), len(rows)),
    "kd-tree": KDTreeIndex,
    "copies as one": lambda rows: SelectedIndex(rows, np.arange(len(rows))),
    "copies as one, in cells": lambda rows: SelectedIndex(rows, np.arange(len(rows)), all_cells(rows)),
    "cells": lambda rows: CellIndex([Block(part) for part in np.split(rows, [5]) if len(part)], all_cells(rows)),
}
EXACT = [name for name in INDEXES if "cells" not in name]


indexes = pytest.mark.parametrize("index", INDEXES)


def kinds(test):
    """Run a test on rows of every kind; a failure says of which."""
    signature = inspect.signature(test)

    def run(**arguments):
        for kind in DATA:
            try:
                test(kind=kind, **arguments)
            except AssertionError as error:
                error.add_note(f"rows: {kind}")
                raise

    run.__name__ = test.__name__
    others = [one for one in signature.parameters.values() if one.name != "kind"]
    run.__signature__ = signature.replace(parameters=others)
    return run


def assert_nearest(found, queries, reference, k, exclude=None):
    """Distances equal the naive ones up to rounding, and are those of the positions, which differ."""
    expected, _ = naive.search(queries, reference, k, exclude)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-37)
    at = [[naive.squared_distance(q, reference[p]) for p in row] for q, row in zip(queries, found[1], strict=True)]
    np.testing.assert_allclose(np.reshape(at, expected.shape), expected, rtol=1e-5, atol=1e-37)
    assert all(len(set(row)) == k for row in found[1].tolist())


def in_float32(found):
    return found[0].astype(np.float32), found[1]


@indexes
@pytest.mark.parametrize(("n", "d", "k"), [(300, 2, 2), (20, 3, 20), (1, 4, 1), (90, 30, 7)])
@kinds
def test_the_nearest_rows_are_found(index, kind, n, d, k):
    reference = DATA[kind](max(n, 2), d)[:n]
    queries = np.concatenate([DATA[kind](6, d, seed=1), reference[:2]])
    built = INDEXES[index](reference)
    assert len(built) == n
    assert_nearest(built.search(queries, k), queries, reference, k)


@indexes
@pytest.mark.parametrize("d", [1, 40])
@kinds
def test_all_indexes_find_the_same_bit_for_bit(index, kind, d):
    reference = DATA[kind](500, d)
    queries = np.concatenate([DATA[kind](50, d, seed=1), reference[:10]])
    built, expected = INDEXES[index](reference), ExactIndex([reference])
    for k in (1, 3, 20):
        assert_same(built.search(queries, k), expected.search(queries, k))


@indexes
@given(data=st.data())
def test_on_any_small_grid_ties_are_broken_by_position_whatever_is_excluded(index, data):
    n, d = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 3))
    reference = data.draw(arrays(np.float32, (n, d), elements=st.integers(0, 3)))
    queries = data.draw(arrays(np.float32, (3, d), elements=st.integers(-1, 4)))
    k = data.draw(st.integers(1, n))
    built = INDEXES[index](reference)
    assert_same(built.search(queries, k), in_float32(naive.search(queries, reference, k)))
    ends = data.draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), min_size=3, max_size=3))
    spans = np.array([sorted(pair) for pair in ends])
    if (left := n - int(np.diff(spans).max())) >= 1:
        k = min(k, left)
        expected = naive.search(queries, reference, k, [range(*span) for span in spans.tolist()])
        assert_same(built.search(queries, k, Excluded(spans)), in_float32(expected))
    if n > k:
        own = np.array(data.draw(st.lists(st.integers(-1, n - 1), min_size=3, max_size=3)))
        expected = naive.search(queries, reference, k, own.tolist())
        assert_same(built.search(queries, k, Excluded.own(own)), in_float32(expected))


@indexes
@given(data=st.data())
def test_on_any_small_grid_no_row_of_a_query_s_group_is_found(index, data):
    """Groups of any sizes lie anywhere, copies of a row in one or in several, and few or many rows are excluded."""
    n, d = data.draw(st.integers(2, 60)), data.draw(st.integers(1, 2))
    reference = data.draw(arrays(np.float32, (n, d), elements=st.integers(0, data.draw(st.integers(1, 4)))))
    groups = data.draw(arrays(np.uint64, n, elements=st.sampled_from([0, 1, 2, 3, 2**64 - 1])))
    queries = data.draw(arrays(np.float32, (6, d), elements=st.integers(-1, 4)))
    wanted = data.draw(arrays(np.uint64, 6, elements=st.sampled_from([0, 1, 3, 7, 2**64 - 1])))
    left = n - max(map(len, naive.excluded_of(groups, wanted)))
    assume(left)
    k = data.draw(st.integers(1, left))
    expected = naive.search(queries, reference, k, naive.excluded_of(groups, wanted))
    with pytest.MonkeyPatch.context() as patch:
        few = data.draw(st.sampled_from([0, 100]))
        for module in (exact, kdtree, cells):
            patch.setattr(module, "FEW_EXCLUDED", few)
        patch.setattr(candidates, "TILE", 5)
        found = INDEXES[index](reference).search(queries, k, Excluded.of_groups(groups, wanted))
    assert_same(found, in_float32(expected))


@indexes
@kinds
def test_rows_of_a_large_group_that_lie_all_over_the_set_are_no_neighbors(index, kind):
    reference, groups = DATA[kind](400, 6), random(400, 1)[:, 0].argsort().astype(np.uint64) % 3
    found = INDEXES[index](reference).search(reference, 3, Excluded.of_groups(groups, groups))
    assert (groups[found[1]] != groups[:, None]).all()
    expected = naive.excluded_of(groups, groups[:5])
    assert_nearest((found[0][:5], found[1][:5]), reference[:5], reference, 3, expected)


@pytest.mark.parametrize("index", EXACT)
@given(data=st.data())
def test_on_any_floats_all_exact_indexes_find_the_same(index, data):
    n, d = data.draw(st.integers(2, 60)), data.draw(st.integers(1, 2))
    floats = st.floats(-(2.0**55), 2.0**55, width=32)
    reference = data.draw(arrays(np.float32, (n, d), elements=floats))
    queries = data.draw(arrays(np.float32, (3, d), elements=floats))
    k = data.draw(st.integers(1, n - 1))
    excluded = Excluded.own(np.array([0, n - 1, n // 2]))
    built, expected = INDEXES[index](reference), ExactIndex([reference])
    assert_same(built.search(queries, k, excluded), expected.search(queries, k, excluded))
    assert_same(built.search(reference, 1), expected.search(reference, 1))


@indexes
@pytest.mark.parametrize(("n", "k"), [(200, 2), (30, 29)])
@kinds
def test_an_excluded_position_is_no_neighbor(index, kind, n, k):
    reference, own = DATA[kind](n, 3), np.arange(n)
    found = INDEXES[index](reference).search(reference, k, Excluded.own(own))
    assert not (found[1] == own[:, None]).any()
    assert_same(found, ExactIndex([reference]).search(reference, k, Excluded.own(own)))
    assert_nearest((found[0][:9], found[1][:9]), reference[:9], reference, k, range(9))


@indexes
@pytest.mark.parametrize(("n", "width", "k"), [(200, 70, 3), (40, 10, 20)])
@kinds
def test_excluded_positions_from_a_first_to_a_last_are_no_neighbors(index, kind, n, width, k):
    reference, places = DATA[kind](n, 3), np.arange(n)
    spans = np.stack([np.maximum(places - width + 1, 0), np.minimum(places + width, n)], axis=1)
    found = INDEXES[index](reference).search(reference, k, Excluded(spans))
    assert ((found[1] < spans[:, :1]) | (found[1] >= spans[:, 1:])).all()
    assert_same(found, ExactIndex([reference]).search(reference, k, Excluded(spans)))
    some = [0, 1, n // 2, n - 1]
    excluded = [range(*span) for span in spans[some].tolist()]
    assert_nearest((found[0][some], found[1][some]), reference[some], reference, k, excluded)


@indexes
@kinds
def test_one_position_a_span_of_one_and_a_group_of_one_are_the_same(index, kind):
    reference, own = DATA[kind](100, 4), np.arange(100)
    built = INDEXES[index](reference)
    expected, keys = built.search(reference, 3, Excluded.own(own)), own.astype(np.uint64)[::-1].copy()
    for excluded in (Excluded(np.stack([own, own + 1], axis=1)), Excluded.of_groups(keys, keys)):
        assert_same(built.search(reference, 3, excluded), expected)
    strange = Excluded.of_groups(keys, keys + np.uint64(100))
    for nothing in (Excluded.own(np.full(100, -1)), Excluded(np.zeros((100, 2), np.int64)), strange):
        assert_same(built.search(reference, 3, nothing), built.search(reference, 3))


@indexes
@kinds
def test_a_copy_lies_at_distance_0_and_the_first_of_several_is_found(index, kind):
    reference = DATA[kind](150, 5)
    distances, positions = INDEXES[index](reference).search(reference.copy(), 1)
    assert not distances.any()
    first = [next(i for i, row in enumerate(reference) if (row == query).all()) for query in reference]
    if kind not in ("tiny", "small", "exponential"):  # there, different rows are at distance 0 too
        assert positions[:, 0].tolist() == first


@indexes
@kinds
def test_what_is_found_does_not_depend_on_the_other_queries(index, kind):
    reference, queries = DATA[kind](300, 4), DATA[kind](10, 4, seed=1)
    built = INDEXES[index](reference)
    distances, positions = built.search(queries, 3)
    for size in (1, 4):
        for start in range(0, 10, size):
            part = slice(start, start + size)
            assert_same(built.search(queries[part], 3), (distances[part], positions[part]))
    assert_same(built.search(queries[::-1].copy(), 3), (distances[::-1], positions[::-1]))


@indexes
def test_no_queries_find_nothing(index):
    none = np.empty(0, np.int64)
    for excluded in (
        None,
        Excluded.own(none),
        Excluded.of_groups(np.arange(100, dtype=np.uint64), none.view(np.uint64)),
    ):
        distances, positions = INDEXES[index](random(100, 3)).search(random(0, 3), 2, excluded)
        assert distances.shape == positions.shape == (0, 2)
        assert (distances.dtype, positions.dtype) == (np.float32, np.int64)


@given(data=st.data())
def test_an_item_that_counts_as_several_is_found_as_several_copies_would_be(data):
    n, k, times = data.draw(st.integers(3, 12)), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows, queries = (rng.integers(0, 4, (size, 2)).astype(np.float32) for size in (n, 5))
    flags = rng.random(n) < 0.4
    distances, positions = CountedIndex(ExactIndex([rows]), flags, times).search(queries, k)
    owners = np.repeat(np.arange(n), np.where(flags, times, 1))
    expected, copies = naive.search(queries, rows[owners], k)
    assert np.array_equal(distances, expected)
    assert np.array_equal(positions, owners[copies])

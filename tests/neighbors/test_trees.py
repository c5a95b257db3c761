"""Trees of means, and searches of some of their leaves; see `test_indexes.py` for what all indexes do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from dn2.neighbors.search import kmeans_tree
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.kmeans_tree import KMeansTree
from dn2.neighbors.search.tree import LEAF_ROWS, Tree, learn_tree
from made_rows import DATA, assert_same, grid, random


@pytest.mark.parametrize("pairs", [1, 10**6])
def test_what_is_found_does_not_depend_on_how_many_step_together(pairs, monkeypatch):
    reference, queries = random(3000, 3), random(200, 3, seed=1)
    expected = ExactIndex([reference]).search(queries, 4)
    monkeypatch.setattr(kmeans_tree, "PAIRS_AT_ONCE", pairs)
    monkeypatch.setattr(kmeans_tree, "QUERIES_AT_ONCE", 64)
    assert_same(KMeansTree.of(reference).search(queries, 4), expected)


def arguments(tree):
    return tree.means, tree.first_child, tree.n_children


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("d", [1, 3])
def test_a_tree_holds_every_row_in_a_leaf_that_is_small_or_of_rows_alike(kind, d):
    rows = DATA[kind](600, d)
    tree = learn_tree(rows)
    assert (tree.means.dtype, tree.means.shape) == (np.float32, (len(tree.first_child), d))
    inner = tree.n_children > 0
    assert (tree.n_children[inner] > 1).all()
    children = [first + np.arange(n) for first, n in zip(tree.first_child, tree.n_children, strict=True)]
    assert sorted(np.concatenate(children).tolist()) == list(range(1, len(inner)))
    if kind in ("tiny", "small", "exponential"):
        return  # in float32, rows are as far from one mean as from another
    sizes = np.bincount([naive.leaf_of(row, *arguments(tree)) for row in rows], minlength=len(inner))
    assert not sizes[inner].any()
    assert (sizes[~inner] > 0).all()
    _, copies = np.unique(rows, axis=0, return_counts=True)
    assert sizes.max() <= max(LEAF_ROWS, copies.max())


def test_the_same_rows_give_the_same_tree():
    for one, other in zip(arguments(learn_tree(random(500, 3))), arguments(learn_tree(random(500, 3))), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("base", [1.01, 1.5])
def test_rows_spaced_exponentially_make_no_deep_tree(base):
    rows = (base ** -np.arange(5000.0).clip(max=40 / np.log(base))).astype(np.float32)[:, None]
    tree, depth = learn_tree(rows), 0
    level = np.array([0])
    while len(level := np.flatnonzero(np.isin(_parents(tree), level))):
        depth += 1
    assert depth <= 30
    queries = rows[::50].copy()
    assert_same(KMeansTree.of(rows).search(queries, 2), ExactIndex([rows]).search(queries, 2))


def _parents(tree):
    return np.concatenate([[-1], np.repeat(np.arange(len(tree.means)), tree.n_children)])


def test_searching_leaves_no_trace_in_the_tree():
    rows = np.repeat(random(3, 2), 100, axis=0)
    tree = learn_tree(rows)
    before = [array.copy() for array in arguments(tree)]
    KMeansTree(rows, tree).search(rows, 1)
    for one, other in zip(arguments(tree), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_tree_learnt_from_other_rows_finds_the_same():
    reference, queries = random(2000, 3), random(100, 3, seed=1)
    for learnt in (random(300, 3, seed=2), random(300, 3, seed=2) + np.float32(5), random(3, 3)):
        found = KMeansTree(reference, learn_tree(learnt)).search(queries, 3)
        assert_same(found, ExactIndex([reference]).search(queries, 3))


@pytest.mark.parametrize("max_leaves", [1, 3, 5, 20])
@pytest.mark.parametrize("k", [1, 3])
def test_so_many_leaves_hold_what_an_approximate_search_finds(max_leaves, k):
    reference, queries = random(700, 3), random(40, 3, seed=1)
    tree = learn_tree(reference[:400])
    leaves = np.array([naive.leaf_of(row, *arguments(tree)) for row in reference])
    exclude = Excluded.own(np.arange(40))
    for left_out in (None, exclude):
        found = KMeansTree(reference, tree, max_leaves).search(queries, k, left_out)
        for place, query in enumerate(queries):
            visited = naive.first_leaves(query, *arguments(tree), max(max_leaves, k + 1))
            inside = np.flatnonzero(np.isin(leaves, visited) & (left_out is None or np.arange(700) != place))
            expected = naive.nearest(query, reference[inside], k)
            assert found[1][place].tolist() == [inside[at] for _, at in expected]
            np.testing.assert_allclose(found[0][place], [far for far, _ in expected], rtol=1e-5)


def test_an_approximate_search_of_all_leaves_is_exact():
    reference, queries = random(900, 4), random(50, 4, seed=1)
    tree = learn_tree(reference)
    found = KMeansTree(reference, tree, int((tree.n_children == 0).sum())).search(queries, 3)
    assert_same(found, ExactIndex([reference]).search(queries, 3))
    assert (KMeansTree(reference, tree, 4).search(queries, 3)[0] > found[0]).any()


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), max_leaves=st.integers(1, 8), k=st.integers(1, 4))
def test_another_row_can_only_bring_neighbors_closer(seed, max_leaves, k):
    rows, queries = grid(120, 3, seed, 4) + random(120, 3, seed) / 10, random(30, 3, seed + 1)
    tree = learn_tree(rows[:60])
    before = KMeansTree(np.ascontiguousarray(rows[:-20]), tree, max_leaves).search(queries, k)[0]
    assert (KMeansTree(rows, tree, max_leaves).search(queries, k)[0] <= before).all()


def test_where_leaves_hold_too_few_rows_all_are_searched():
    tree = Tree(
        np.float32([[5], [0], [10], [9], [10], [11]]), np.array([1, 0, 3, 0, 0, 0]), np.array([2, 0, 3, 0, 0, 0])
    )
    rows = np.float32([[1], [2], [3], [9]])
    distances, positions = KMeansTree(rows, tree, 1).search(np.float32([[11], [1]]), 2)
    assert positions.tolist() == [[3, 2], [0, 1]]
    assert distances.tolist() == [[4, 64], [0, 1]]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_few_distances_are_computed_as_fukunaga_and_narendra_report(seed):
    reference, queries = random(1000, 2, seed), random(1000, 2, seed + 10)
    search = naive.BranchAndBound(reference, *arguments(learn_tree(reference)))
    found = [search.search(query, 1) for query in queries.astype(np.float64).tolist()]
    expected = ExactIndex([reference]).search(queries, 1)[1][:, 0]
    assert [best[0][1] for best, _ in found] == expected.tolist()
    assert np.mean([count for _, count in found]) <= 61

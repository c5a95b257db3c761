import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors.search import exact
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from made_rows import FEW as DATA
from made_rows import grid, random


@pytest.fixture(autouse=True)
def matrix_products(monkeypatch):
    """Let faiss expand the distances of few and short queries too, as it does those of thousands."""
    monkeypatch.setattr(faiss.cvar, "distance_compute_blas_threshold", 1)
    monkeypatch.setattr(exact, "ONE_BY_ONE", 0)


@pytest.fixture(params=["matrix products", "one by one", "directly"])
def either_way(request, monkeypatch):
    if request.param == "one by one":
        monkeypatch.setattr(faiss.cvar, "distance_compute_blas_threshold", 10**9)
    if request.param == "directly":
        monkeypatch.setattr(exact, "ONE_BY_ONE", 10**9)


small_grids = st.integers(1, 3).flatmap(
    lambda d: st.integers(1, 40).flatmap(lambda n: arrays(np.float32, (n, d), elements=st.integers(0, 3)))
)


def assert_same(found, expected):
    """Bit for bit."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_nearest(found, queries, reference, k, exclude=None):
    """Distances equal the naive ones up to rounding; positions are those of rows as near as that.

    Rounding may only exchange rows that are equally near up to rounding."""
    distances, positions = found
    expected, _ = naive.search(queries, reference, k, exclude)
    np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-37)
    assert all(len(set(row)) == k for row in positions.tolist())
    at = [[naive.squared_distance(q, reference[p]) for p in row] for q, row in zip(queries, positions, strict=True)]
    np.testing.assert_allclose(np.reshape(at, expected.shape), expected, rtol=1e-5, atol=1e-37)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize(("n", "d", "k"), [(200, 30, 2), (300, 1, 3), (150, 8, 150), (120, 64, 119), (1, 5, 1)])
def test_search_equals_comparing_with_every_row(kind, n, d, k):
    reference = DATA[kind](n, d)
    queries = np.concatenate([DATA[kind](n + 25, d)[-25:], reference[:5]])
    assert_nearest(ExactIndex([reference]).search(queries, k), queries, reference, k)


@pytest.mark.parametrize("k", [1, 2, 9, 60, 100, 180, 247, 248, 300])
def test_any_number_of_neighbors_equals_comparing_with_every_row(k):
    reference, queries = grid(320, 4, values=10), grid(30, 4, seed=1, values=10)
    assert_same(ExactIndex([reference[:7], reference[7:]]).search(queries, k), naive.search(queries, reference, k))


@pytest.mark.parametrize("n_queries", [1, 19, 20, 64])
def test_on_a_grid_full_of_ties_the_lower_position_comes_first(n_queries):
    reference, queries = grid(500, 3), grid(n_queries, 3, seed=1)
    assert_same(ExactIndex([reference]).search(queries, 5), naive.search(queries, reference, 5))


@pytest.mark.parametrize("offset", [0, 1000])
def test_of_more_copies_than_candidates_the_lowest_positions_are_found(offset):
    row, other = random(2, 6) + np.float32(offset)
    reference = np.array([other] * 3 + [row] * 700 + [other] * 400)
    blocks = [reference[:300], reference[300:]]
    distances, positions = ExactIndex(blocks).search(np.array([row, other, row]), 4)
    assert positions.tolist() == [[3, 4, 5, 6], [0, 1, 2, 703], [3, 4, 5, 6]]
    assert not distances.any()


def test_copies_of_the_excluded_row_are_its_neighbors():
    reference = np.repeat(random(2, 6), [3, 700], axis=0)
    index = ExactIndex([reference[:300], reference[300:]])
    distances, positions = index.search(reference[[3, 500]], 3, Excluded.own(np.array([3, 500])))
    assert positions.tolist() == [[4, 5, 6], [3, 4, 5]]
    assert not distances.any()


@given(reference=small_grids, data=st.data())
def test_blocks_in_any_partition_equal_the_whole(reference, data):
    n, d = reference.shape
    k = data.draw(st.integers(1, n))
    queries = data.draw(arrays(np.float32, (3, d), elements=st.integers(-1, 4)))
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=5))) if n > 1 else []
    blocks = np.split(reference, cuts)
    found = ExactIndex(blocks).search(queries, k)
    assert_same(found, ExactIndex([reference]).search(queries, k))
    for query, distances, positions in zip(queries, *found, strict=True):
        assert list(zip(distances.tolist(), positions.tolist(), strict=True)) == naive.merged_search(query, blocks, k)


@pytest.mark.parametrize("kind", DATA)
def test_blocks_equal_the_whole_bit_for_bit_whatever_the_data(kind):
    reference, queries = DATA[kind](400, 20), DATA[kind](460, 20)[-60:]
    whole = ExactIndex([reference]).search(queries, 3)
    for sizes in ([1, 399], [100, 100, 200], [3] * 133 + [1]):
        assert_same(ExactIndex(np.split(reference, np.cumsum(sizes)[:-1])).search(queries, 3), whole)


@pytest.mark.parametrize("kind", DATA)
def test_a_copy_of_a_reference_row_lies_at_distance_exactly_zero(kind):
    reference = DATA[kind](400, 33)
    distances, positions = ExactIndex([reference[:150], reference[150:]]).search(reference.copy(), 1)
    assert not distances.any()
    first = [next(i for i, row in enumerate(reference) if (row == query).all()) for query in reference]
    if kind != "tiny":  # there, different rows are at distance 0 too
        assert positions[:, 0].tolist() == first


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("n", [12, 300])
def test_what_is_found_does_not_depend_on_the_other_queries(kind, n):
    reference, queries = DATA[kind](n, 20), DATA[kind](n + 50, 20)[-50:]
    index = ExactIndex([reference])
    distances, positions = index.search(queries, 3)
    for size in (1, 7, 19, 20, 21):
        for start in range(0, 50, size):
            part = slice(start, start + size)
            assert_same(index.search(queries[part], 3), (distances[part], positions[part]))
    assert_same(index.search(queries[::-1].copy(), 3), (distances[::-1], positions[::-1]))


def test_what_is_found_does_not_depend_on_where_the_rows_lie(tmp_path):
    reference, queries = random(300, 17), random(40, 17, seed=1)
    expected = ExactIndex([reference]).search(queries, 3)
    np.save(tmp_path / "rows.npy", reference)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    frozen = reference.copy()
    frozen.flags.writeable = False
    unaligned = np.empty(300 * 17 + 3, np.float32)[3:].reshape(300, 17)
    unaligned[:] = reference
    for rows in (mapped, frozen, unaligned):
        assert_same(ExactIndex([rows[:100], rows[100:]]).search(queries, 3), expected)
        assert_same(ExactIndex([reference]).search(rows[:40], 3), ExactIndex([reference]).search(reference[:40], 3))


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize(("n", "k"), [(40, 39), (40, 2), (12, 3), (300, 2)])
def test_an_excluded_row_is_no_neighbor(kind, n, k):
    reference = DATA[kind](n, 6)
    exclude = np.arange(n)[::-1].copy()
    found = ExactIndex([reference[:11], reference[11:]]).search(reference, k, Excluded.own(exclude))
    assert not (found[1] == exclude[:, None]).any()
    assert_nearest(found, reference, reference, k, exclude.tolist())


def test_more_queries_than_are_searched_at_once():
    reference, queries = grid(30, 2, values=20), grid(exact.QUERIES_AT_ONCE + 300, 2, seed=1, values=20)
    exclude = np.arange(len(queries)) % 30
    distances, positions = ExactIndex([reference]).search(queries, 2, Excluded.own(exclude))
    assert len(distances) == len(positions) == len(queries)
    for part in (slice(0, 30), slice(exact.QUERIES_AT_ONCE - 20, exact.QUERIES_AT_ONCE + 20), slice(-30, None)):
        assert_same((distances[part], positions[part]), naive.search(queries[part], reference, 2, exclude[part]))


def test_no_queries_find_nothing():
    distances, positions = ExactIndex([random(20, 3)]).search(random(0, 3), 2)
    assert distances.shape == positions.shape == (0, 2)


def test_matrix_products_of_rows_far_from_the_origin_find_wrong_neighbors_without_the_proof():
    """Else the tests here that pass on such rows say nothing."""
    reference, queries = DATA["offset 1000"](200, 3), DATA["offset 1000"](240, 3)[-40:]
    _, proposed = faiss.knn(queries, reference, 2 + exact.SPARE_CANDIDATES)
    _, positions = naive.search(queries, reference, 1)
    assert any(nearest not in some for nearest, some in zip(positions[:, 0], proposed, strict=True))


@pytest.mark.parametrize("kind", DATA)
def test_what_is_found_does_not_depend_on_how_faiss_computes(kind, monkeypatch):
    reference, queries = DATA[kind](300, 20), DATA[kind](350, 20)[-50:]
    found = ExactIndex([reference]).search(queries, 3)
    monkeypatch.setattr(faiss.cvar, "distance_compute_blas_threshold", 10**9)
    assert_same(ExactIndex([reference]).search(queries, 3), found)


@pytest.mark.parametrize("kind", DATA)
def test_direct_comparison_in_small_steps_equals_proposing_candidates(kind, monkeypatch):
    reference, queries = DATA[kind](300, 6), DATA[kind](340, 6)[-40:]
    index, exclude = ExactIndex([reference[:100], reference[100:]]), Excluded.own(np.arange(40))
    expected = index.search(queries, 3, exclude)
    monkeypatch.setattr(exact, "MOST_CANDIDATES", 0)
    monkeypatch.setattr(exact, "DISTANCES_AT_ONCE", 250)
    assert_same(index.search(queries, 3, exclude), expected)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("d", [1, 3, 64, 1000])
@pytest.mark.parametrize("n_queries", [5, 40])
def test_the_bound_on_rounding_holds_for_expanded_and_direct_distances_together(kind, d, n_queries):
    reference, queries = DATA[kind](90, d), DATA[kind](90 + n_queries, d)[-n_queries:]
    index = ExactIndex([reference])
    proposed, order = faiss.knn(queries, reference, len(reference))
    expanded = np.empty_like(proposed)
    np.put_along_axis(expanded, order, proposed, axis=1)
    direct = index.distances(queries, np.tile(np.arange(len(reference)), (n_queries, 1)))
    true = ((queries.astype(np.float64)[:, None] - reference.astype(np.float64)) ** 2).sum(axis=2)
    error = np.abs(expanded - true) + np.abs(direct - true)
    assert (error <= index._rounding_error(queries, np.full(n_queries, np.inf, np.float32))[:, None]).all()


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("d", [1, 3, 64])
def test_a_row_far_out_makes_no_search_less_certain(d):
    reference = np.concatenate([random(500, d), 1e6 * random(5, d, seed=1)])
    queries = np.concatenate([random(40, d, seed=2), reference[-2:] * np.float32(1.001)])
    index = ExactIndex([reference])
    nearest = index.search(queries, 1)[0][:, 0]
    bound = index._rounding_error(queries, nearest)
    proposed, order = faiss.knn(queries, reference, len(reference))
    expanded = np.empty_like(proposed)
    np.put_along_axis(expanded, order, proposed, axis=1)
    direct = index.distances(queries, np.tile(np.arange(len(reference)), (len(queries), 1)))
    true = ((queries.astype(np.float64)[:, None] - reference.astype(np.float64)) ** 2).sum(axis=2)
    off = np.abs(expanded - true) + np.abs(direct - true) > bound[:, None]
    assert (bound[:40] < 1e-2).all()
    assert (direct > nearest[:, None])[off].all()

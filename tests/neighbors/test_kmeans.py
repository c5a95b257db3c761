"""Centroids: what k-means must give, whatever its start."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from threadpoolctl import threadpool_limits

import naive
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.search.centroids import find_centroids
from dn2.neighbors.search.method import parse_index

# On a line: two groups, around 1 and around 21.
LINE = np.array([[0], [20], [1], [22], [2], [21]], np.float32)


def blobs(seed, n=80, d=4, groups=5):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(groups, d)) * 5
    return (centers[rng.integers(0, groups, n)] + rng.normal(size=(n, d))).astype(np.float32)


def test_centroids_by_hand():
    centroids, nearest = find_centroids(LINE, 2)
    order = centroids[:, 0].argsort()
    assert centroids[order].tolist() == [[1], [21]]
    assert nearest[order].tolist() == [2, 5]


@pytest.mark.parametrize("count", [1, 2, 7, 40])
@pytest.mark.parametrize("seed", range(3))
def test_every_centroid_is_the_mean_of_the_rows_nearest_to_it(seed, count):
    rows = blobs(seed)
    centroids, nearest = find_centroids(rows, count)
    assert (centroids.shape, centroids.dtype) == ((count, 4), np.float32)
    homes = [naive.nearest(row, centroids, 1)[0][1] for row in rows]
    for number, centroid in enumerate(centroids):
        mean = naive.mean_row([row for row, home in zip(rows, homes, strict=True) if home == number])
        np.testing.assert_allclose(centroid, mean, rtol=1e-4, atol=1e-4)
        distance = naive.squared_distance(centroid, rows[nearest[number]])
        assert distance == pytest.approx(naive.nearest(centroid, rows, 1)[0][0], rel=1e-6)


def test_as_many_centroids_as_rows_are_the_rows():
    rows = blobs(0, 12)
    centroids, nearest = find_centroids(rows, 12)
    assert sorted(nearest) == list(range(12))
    np.testing.assert_allclose(centroids, rows[nearest], rtol=1e-6)


@given(
    rows=arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 2)), elements=st.integers(-2, 2)),
    count=st.integers(1, 12),
)
def test_where_fewer_rows_differ_there_are_fewer_centroids_and_none_is_empty(rows, count):
    count = min(count, len(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        centroids, nearest = find_centroids(rows, count)
    different = {tuple(row) for row in rows.tolist()}
    assert 1 <= len(centroids) <= min(count, len(different))
    assert len(nearest) == len(centroids)
    assert np.isfinite(centroids).all()
    assert (rows.min() <= centroids + 1e-6).all()
    assert (centroids - 1e-6 <= rows.max()).all()


def test_the_same_rows_give_the_same_bits_whatever_the_number_of_threads():
    rows = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    first = [array.tobytes() for array in find_centroids(rows, 20)]
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            assert [array.tobytes() for array in find_centroids(rows.copy(), 20)] == first


@pytest.mark.parametrize("exponent", [-50, -30, 30, 55])
def test_the_scale_of_the_rows_is_that_of_the_centroids_and_nothing_else(exponent):
    rows = blobs(1)
    centroids, nearest = find_centroids(rows, 5)
    scaled, places = find_centroids(np.ldexp(rows, exponent), 5)
    np.testing.assert_array_equal(scaled, np.ldexp(centroids, exponent))
    assert places.tolist() == nearest.tolist()


def test_the_largest_values_that_a_detector_takes_have_centroids():
    rows = (np.random.default_rng(0).random(size=(2000, 20)) * 2 - 1).astype(np.float32) * np.float32(2.2e17)
    assert np.isfinite(find_centroids(rows, 5)[0]).all()


@pytest.mark.parametrize(("n", "count"), [(1, 2), (5, 6), (5, 1000)])
def test_more_centroids_than_rows_are_refused(n, count):
    with pytest.raises(
        ReferenceTooSmall, match=rf"{count} centroids need at least {count} reference items .* got {n},"
    ):
        find_centroids(LINE[:n], count)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("auto", ("auto", None)),
        ("exact", ("exact", None)),
        ("kdtree", ("kdtree", None)),
        ("kmeans-tree", ("kmeans-tree", None)),
        ("kmeans-tree:20", ("kmeans-tree", 20)),
        ("kmeans:1", ("kmeans", 1)),
        ("kmeans:100", ("kmeans", 100)),
        ("kmeans:007", ("kmeans", 7)),
        ("kmeans:999999999", ("kmeans", 999999999)),
    ],
)
def test_an_index_is_named_with_its_count(index, expected):
    method = parse_index(index)
    assert (method.name, method.count) == expected


@pytest.mark.parametrize(
    "index",
    [
        "",
        "hnsw",
        "kmeans",
        "kmeans:",
        "kmeans:0",
        "kmeans:00",
        "kmeans:x",
        "kmeans:-3",
        "kmeans:+3",
        "kmeans: 3",
        "kmeans:3 ",
        "kmeans:3\n",
        "kmeans:1.5",
        "kmeans:1e3",
        "kmeans:٣",
        "KMEANS:3",
        "exact:3",
        "kmeans:2147483648",
        "kmeans:" + "9" * 5000,
        None,
        5,
        b"kmeans:5",
    ],
)
def test_an_unknown_index_is_refused(index):
    with pytest.raises(
        InputError, match=r"the index must be auto, exact, kdtree, kmeans-tree, approximate, kmeans:C .* got"
    ):
        parse_index(index)

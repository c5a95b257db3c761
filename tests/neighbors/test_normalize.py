import numpy as np
import pytest

from dn2.errors import InputError
from dn2.neighbors.prepare.normalize import NORMALIZATIONS, normalize


def vectors(rows):
    return np.array(rows, np.float32)


def test_none_leaves_vectors_as_they_are():
    rows = vectors([[3, -4], [0, 0]])
    assert normalize(rows, "none").tolist() == [[3, -4], [0, 0]]


def test_unit_scales_each_row_to_length_1():
    found = normalize(vectors([[3, -4], [0, 0.5], [-1, 0]]), "unit")
    np.testing.assert_allclose(found, [[0.6, -0.8], [0, 1], [-1, 0]], rtol=1e-6)
    assert found.dtype == np.float32


def test_root_unit_takes_square_roots_first():
    """(9, 16) -> (3, 4) -> (0.6, 0.8)."""
    found = normalize(vectors([[9, 16], [0, 25], [2, 2]]), "root-unit")
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 1], [0.5**0.5, 0.5**0.5]], rtol=1e-6)
    assert found.dtype == np.float32


def test_root_unit_makes_distances_those_of_hellinger():
    """Between the distributions (1/2, 1/2, 0) and (1/2, 0, 1/2), whatever the scale: 2 - 2 * sum(sqrt(p * q)) = 1."""
    one, other = normalize(vectors([[5, 5, 0], [200, 0, 200]]), "root-unit")
    assert ((one - other) ** 2).sum() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("method", NORMALIZATIONS)
def test_a_row_of_zeros_stays_one(method):
    found = normalize(vectors([[0, 0, 0], [1, 0, 0]]), method)
    assert found.tolist() == [[0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("method", NORMALIZATIONS)
def test_the_vectors_given_are_not_changed(method):
    rows = vectors([[9, 16], [0, 0]])
    normalize(rows, method)
    assert rows.tolist() == [[9, 16], [0, 0]]


@pytest.mark.parametrize("method", NORMALIZATIONS)
def test_a_row_is_normalized_by_itself(method, embeddings):
    whole = normalize(embeddings, method)
    for i in (0, 7, 119):
        np.testing.assert_array_equal(normalize(embeddings[i : i + 1].copy(), method)[0], whole[i])


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-22, 1e16, 1e25])
def test_unit_does_not_depend_on_the_scale_even_where_squares_underflow_or_overflow(scale):
    found = normalize(vectors([[3 * scale, -4 * scale]]), "unit")
    expected = np.array([[3 * scale, -4 * scale]], np.float32).astype(np.float64)  # 1e-44 is coarse in float32
    np.testing.assert_allclose(found, expected / np.sqrt((expected**2).sum()), rtol=1e-6)


def test_root_unit_refuses_negative_features():
    with pytest.raises(InputError, match=r"root-unit normalisation needs non-negative features, got -0.5; use unit"):
        normalize(vectors([[1, 2], [3, -0.5]]), "root-unit")


def test_an_unknown_normalization_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="must be one of none, unit, root-unit, got 'l2'"):
        normalize(vectors([[1, 2]]), "l2")

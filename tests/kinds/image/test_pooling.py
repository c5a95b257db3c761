"""Groups: the mean of their members, of either kind, and each member's part in their score."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.errors import InputError
from dn2.kinds.image.pooling import GEOMETRIC, MEAN, Pooling

MEANS = Pooling("unit", MEAN)
GEOMETRIC_MEANS = Pooling("root-unit", GEOMETRIC)
pool, contributions, shares_of_members = MEANS.pool, MEANS.contributions, MEANS.shares

any_members = st.tuples(st.integers(1, 9), st.just(3)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-4, 4, width=16))
)


@given(members=any_members)
def test_a_group_is_the_mean_of_its_members(members):
    pooled = pool(members)
    assert (pooled.shape, pooled.dtype) == ((3,), np.float32)
    np.testing.assert_allclose(pooled, naive.mean_row(members), rtol=1e-6, atol=1e-12)


@given(members=any_members, data=st.data())
def test_the_order_of_the_members_does_not_matter(members, data):
    order = data.draw(st.permutations(range(len(members))))
    for way in (MEANS, Pooling("none", MEAN), GEOMETRIC_MEANS):
        rows = np.abs(members) if way is GEOMETRIC_MEANS else members
        np.testing.assert_array_equal(way.pool(rows[order]), way.pool(rows))


def test_a_member_of_a_group_of_one_is_the_group():
    row = np.array([[0.1, -3e-8, 7]], np.float32)
    np.testing.assert_array_equal(pool(row), row[0])


def test_many_members_lose_no_digits():
    """Summed up in float32, a million times 0.1 gives 100,958."""
    assert pool(np.full((1_000_000, 1), 0.1, np.float32))[0] == np.float32(0.1)


def test_contributions_by_hand():
    # The mean is (2, 0), the neighbour (0, 0): its squared distance is 4.  <x_i, (2, 0)> / 2 is 5 and -1.
    parts = contributions(np.array([[5, 3], [-1, -3]], np.float32), np.zeros((1, 2), np.float32))
    assert parts.tolist() == [5, -1]


@given(members=any_members, near=arrays(np.float32, (2, 3), elements=st.floats(-4, 4, width=16)))
def test_contributions_equal_naive_and_add_up_to_the_score(members, near):
    parts = contributions(members, near)
    np.testing.assert_allclose(parts, naive.contributions(members, near), rtol=1e-9, atol=1e-9)
    score = sum(naive.squared_distance(naive.mean_row(members), row) for row in near) / 2
    assert parts.sum() == pytest.approx(score, rel=1e-6, abs=1e-9)


def test_a_member_moves_with_its_part_when_the_members_change_places():
    rng = np.random.default_rng(0)
    members, near = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=(2, 5)).astype(np.float32)
    order = rng.permutation(7)
    np.testing.assert_allclose(contributions(members[order], near), contributions(members, near)[order], rtol=1e-12)


def test_the_member_unlike_the_neighbours_has_the_largest_part():
    rng = np.random.default_rng(0)
    members = rng.normal(size=(20, 8)).astype(np.float32) * np.float32(0.1)
    members[13] += 5
    parts = contributions(members, np.zeros((3, 8), np.float32))
    assert parts.argmax() == 13
    assert parts[13] > 0.9 * parts.sum()


@given(members=any_members, near=arrays(np.float32, (2, 3), elements=st.floats(-4, 4, width=16)))
def test_shares_add_up_to_1(members, near):
    score = sum(naive.squared_distance(naive.mean_row(members), row) for row in near) / 2
    shares = shares_of_members(members, near)
    if score > 1e-6:
        np.testing.assert_allclose(shares, np.array(naive.contributions(members, near)) / score, rtol=1e-6, atol=1e-6)
    assert shares.sum() == pytest.approx(1, rel=1e-6) or not shares.any()


@pytest.mark.parametrize("spread", [0, 1e-6, 1e-3, 1])
def test_members_of_a_copy_have_no_share_in_whatever_order(spread):
    rng = np.random.default_rng(0)
    members = (1 + spread * rng.random((9, 40))).astype(np.float32)
    for _ in range(10):
        assert not shares_of_members(rng.permutation(members), pool(members)[None]).any()
    assert shares_of_members(members + np.float32(1e-4), pool(members)[None]).sum() == pytest.approx(1)


# The geometric mean

positive_members = st.tuples(st.integers(1, 9), st.just(3)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(0, 4, width=16))
)


@given(members=positive_members)
def test_members_normalized_by_root_unit_are_pooled_by_their_geometric_mean(members):
    pooled = Pooling.of("root-unit").pool(members)
    assert (pooled.shape, pooled.dtype) == ((3,), np.float32)
    np.testing.assert_allclose(pooled, naive.geometric_mean_row(members), rtol=1e-6)
    assert Pooling.of("unit") == MEANS
    assert Pooling.of("none").pooling == MEAN


@given(members=positive_members, near=arrays(np.float32, (2, 3), elements=st.floats(0.0625, 4, width=16)))
def test_geometric_contributions_equal_naive_and_add_up_to_the_score(members, near):
    parts = GEOMETRIC_MEANS.contributions(members, near)
    np.testing.assert_allclose(parts, naive.geometric_contributions(members, near), rtol=1e-6, atol=1e-9)
    score = sum(naive.squared_distance(naive.geometric_mean_row(members), row) for row in near) / 2
    assert parts.sum() == pytest.approx(score, rel=1e-9, abs=1e-12)


def test_what_one_member_lacks_counts_more_than_what_it_has_alone():
    """The geometric mean is near the smallest value."""
    others = np.full((3, 4), 0.5, np.float32)
    lacking, having = others.copy(), others.copy()
    lacking[0, 0], having[0, 0] = 0, 1
    normal = GEOMETRIC_MEANS.pool(others)
    apart = [naive.squared_distance(GEOMETRIC_MEANS.pool(rows), normal) for rows in (lacking, having)]
    assert apart[0] > 2 * apart[1]
    for rows in (lacking, having):
        assert GEOMETRIC_MEANS.shares(rows, normal[None]).argmax() == 0


def test_members_of_a_copy_have_no_share_in_its_geometric_mean():
    members = np.random.default_rng(0).random((9, 40)).astype(np.float32)
    assert not GEOMETRIC_MEANS.shares(members[::-1], GEOMETRIC_MEANS.pool(members)[None]).any()


def test_a_black_picture_has_no_feature_and_is_pooled_all_the_same():
    members = np.zeros((2, 4), np.float32)
    assert GEOMETRIC_MEANS.pool(members).tolist() == [0.5] * 4


@pytest.mark.parametrize("way", [("l1", MEAN), (None, MEAN), ("unit", "max"), ("unit", None)])
def test_another_way_to_pool_is_refused(way):
    with pytest.raises(InputError, match="members normalised by"):
        Pooling(*way)

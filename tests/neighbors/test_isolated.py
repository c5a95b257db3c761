"""Rows that lie alone: what is no kind of its own, however rare."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from dn2.neighbors.isolated import Isolation


def cloud(seed, n=80, d=4):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def scattered(seed):
    """Return a cloud, and at its end six rows far from it, each in a direction of its own."""
    return np.concatenate([cloud(seed), 60 * np.eye(4), -60 * np.eye(4)[:2]]).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("made", [cloud, scattered, lambda seed: np.tile(cloud(seed, 10), (8, 1))])
def test_rows_lie_alone_that_are_far_out_and_near_none_that_is(seed, made):
    rows = made(seed)
    assert Isolation(rows).alone.tolist() == naive.lying_alone(rows.astype(float))


def test_what_lies_far_from_all_others_is_told_in_the_set_and_beside_it():
    isolation = Isolation(scattered(0))
    assert isolation.alone.tolist() == [False] * 80 + [True] * 6
    others = np.concatenate([cloud(9, 20), np.float32([[0, 0, 0, -90], [0, 0, -90, 0]])])
    assert isolation.exclude(others).tolist() == [False] * 20 + [True] * 2
    assert isolation.exclude(others[:0]).shape == (0,)


@given(seed=st.integers(0, 999), size=st.integers(4, 40), spread=st.sampled_from([0.0, 0.1, 1.0, 4.0, 10.0]))
def test_no_row_of_a_kind_lies_alone_however_rare_the_kind_and_however_spread(seed, size, spread):
    rows = cloud(seed)
    kind = 1_000 + np.float32(spread) * cloud(seed + 1, size)
    isolation = Isolation(np.concatenate([rows, kind]).astype(np.float32))
    assert isolation.alone[80:].sum() <= 1
    assert isolation.exclude(kind).sum() <= 1


@pytest.mark.parametrize("rows", [np.zeros((50, 3)), np.eye(50)[:, :3], np.ones((1, 3)), np.eye(3), np.eye(4)])
def test_of_copies_or_few_rows_none_lies_alone(rows):
    isolation = Isolation(rows.astype(np.float32))
    assert not isolation.alone.any()
    assert not isolation.exclude(np.full((2, rows.shape[1]), 1e6, np.float32)).any()

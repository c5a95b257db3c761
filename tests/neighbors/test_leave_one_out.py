from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from dn2.neighbors import leave_one_out, sampling
from dn2.neighbors.blocks import Block, encode, rows_at
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.membership import NO_MEMBERSHIP
from dn2.neighbors.search import candidates, symmetric
from dn2.neighbors.search.exact import ExactIndex
from dn2.neighbors.search.excluded import Excluded
from made_rows import FEW as DATA


def sample_positions(parts, at_least=0):
    return sampling.Sampler([Block(part) for part in parts], NO_MEMBERSHIP, at_least=at_least).sample()


def fresh(parts, k, at_least=0):
    blocks = [Block(part) for part in parts]
    members = sampling.Sampler(blocks, NO_MEMBERSHIP, at_least=at_least).sample()
    return LeaveOneOut.of(blocks, ExactIndex(blocks), members, k)


def assert_same(one, other):
    """Bit for bit."""
    np.testing.assert_array_equal(one.members, other.members)
    np.testing.assert_array_equal(one.distances, other.distances)
    np.testing.assert_array_equal(one.neighbors, other.neighbors)


def added(loo, parts, rows):
    """Return parts and leave-one-out after `rows` came as a block of their own."""
    parts = [*parts, rows]
    blocks = [Block(part) for part in parts]
    index = ExactIndex(blocks)
    return parts, loo.after_adding(blocks, index, len(index) - len(rows), sample_positions(parts))


def removed(loo, parts, positions):
    parts = [np.delete(np.concatenate(parts), positions, axis=0)]
    blocks = [Block(parts[0])]
    return parts, loo.after_removing(blocks, ExactIndex(blocks), np.array(positions), sample_positions(parts))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_scores_equal_naive(embeddings, k):
    loo = fresh([embeddings[:50], embeddings[50:]], k)
    np.testing.assert_array_equal(loo.members, np.arange(120))
    np.testing.assert_allclose(
        mean_squared_distance(loo.distances), naive.leave_one_out_scores(embeddings, k), rtol=1e-6
    )


def test_an_item_is_not_its_own_neighbor_but_its_copy_is():
    rows = np.array([[1, 2], [5, 5], [1, 2], [9, 9]], np.float32)
    loo = fresh([rows], 1)
    assert loo.neighbors.tolist() == [[2], [0], [0], [1]]
    assert loo.distances.tolist() == [[0], [25], [0], [32]]


def test_rows_are_gathered_from_blocks_in_the_order_asked_for(embeddings):
    blocks = [Block(embeddings[:3]), Block(embeddings[3:100]), Block(embeddings[100:])]
    places = np.array([119, 0, 3, 2, 99, 100, 3])
    np.testing.assert_array_equal(rows_at(blocks, places), embeddings[places])


@pytest.fixture
def small_tiles(monkeypatch):
    for module in (symmetric, candidates):
        monkeypatch.setattr(module, "TILE", 64)
    monkeypatch.setattr(leave_one_out, "WORTH_SYMMETRY", 0)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize(
    ("n", "d", "k"), [(400, 20, 3), (129, 1, 2), (300, 70, 1), (200, 3, 199), (11, 6, 2), (2, 4, 1)]
)
def test_comparing_each_pair_once_equals_searching_for_each_row(kind, n, d, k):
    rows = DATA[kind](n, d)
    blocks, members = [Block(rows[:1]), Block(rows[1:])], np.arange(n)
    expected = LeaveOneOut(members, *ExactIndex(blocks).search(rows, k, Excluded.own(members)))
    assert_same(fresh([rows[:1], rows[1:]], k), expected)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("storage", ["float16", "uint8"])
def test_comparing_each_pair_once_equals_searching_for_each_row_of_a_compact_set(storage):
    blocks = [Block(encode(part, storage)) for part in np.split(DATA["random"](300, 20), [10, 200])]
    blocks[1] = blocks[1].without(np.array([0, 7, 99]))
    index, members = ExactIndex(blocks), np.arange(297)
    expected = LeaveOneOut(members, *index.search(rows_at(blocks, members), 2, Excluded.own(members)))
    assert_same(LeaveOneOut.of(blocks, index, members, 2), expected)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("ascending", [True, False])
def test_rows_that_each_come_nearer_to_the_others_are_all_compared(ascending):
    """Of each tile, every row is nearer to those of the next than what they know so far."""
    rows = np.float32(2.0) ** np.linspace(-20, 20, 333, dtype=np.float32)[:: 1 if ascending else -1, None]
    expected = naive.search(rows, rows, 2, range(333))
    loo = fresh([rows], 2)
    np.testing.assert_array_equal(loo.neighbors, expected[1])
    np.testing.assert_allclose(loo.distances, expected[0], rtol=1e-5)


@pytest.mark.usefixtures("small_tiles")
def test_a_grid_full_of_ties_compared_pair_by_pair_once_equals_naive():
    rows = DATA["grid"](300, 3)
    loo = fresh([rows], 4)
    expected = naive.search(rows, rows, 4, range(300))
    np.testing.assert_array_equal(loo.distances, expected[0])
    np.testing.assert_array_equal(loo.neighbors, expected[1])


@st.composite
def histories(draw):
    """Draw k, the rows to begin with, and what happens then: rows added, or positions removed, never too many."""
    k = draw(st.integers(1, 3))
    rows_of = st.integers(1, 8).flatmap(lambda n: arrays(np.float32, (n, 2), elements=st.integers(0, 2)))
    first = draw(arrays(np.float32, (draw(st.integers(k + 1, 14)), 2), elements=st.integers(0, 2)))
    steps, n = [], len(first)
    for _ in range(draw(st.integers(1, 5))):
        if n > k + 1 and draw(st.booleans()):
            places = draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n - k - 1))
            steps.append(("remove", sorted(places)))
            n -= len(places)
        else:
            steps.append(("add", draw(rows_of)))
            n += len(steps[-1][1])
    return k, first, steps


def after(history):
    """Live through a history; return blocks, k and what leave-one-out was kept up to date on the way."""
    k, first, steps = history
    blocks, loo = [first], fresh([first], k)
    for what, argument in steps:
        blocks, loo = added(loo, blocks, argument) if what == "add" else removed(loo, blocks, argument)
    return blocks, k, loo


@given(histories())
def test_any_adding_and_removing_equals_a_fresh_computation_and_naive(history):
    blocks, k, loo = after(history)
    assert_same(loo, fresh(blocks, k))
    rows = np.concatenate(blocks)
    distances, neighbors = naive.search(rows, rows, k, exclude=range(len(rows)))
    np.testing.assert_array_equal(loo.distances, distances)
    np.testing.assert_array_equal(loo.neighbors, neighbors)


@given(histories())
def test_any_adding_and_removing_equals_a_fresh_computation_where_a_sample_calibrates(history):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "ALL_UP_TO", 9)
        patch.setattr(sampling, "SAMPLE_SIZE", 5)
        blocks, k, loo = after(history)
        n = sum(map(len, blocks))
        assert len(loo.members) == (n if n <= 9 else 5)
        assert_same(loo, fresh(blocks, k))


@pytest.mark.parametrize("kind", ["continuous", "far from the origin"])
def test_updates_equal_a_fresh_computation_on_real_numbers_too(embeddings, kind):
    rows = embeddings if kind == "continuous" else embeddings + np.float32(1000)
    loo, blocks, k = fresh([rows[:60]], 3), [rows[:60]], 3
    blocks, loo = added(loo, blocks, rows[60:61])
    blocks, loo = added(loo, blocks, rows[61:])
    blocks, loo = removed(loo, blocks, [0, 7, 8, 60, 119])
    assert_same(loo, fresh(blocks, k))
    assert_same(fresh([np.concatenate(blocks)], k), loo)


@pytest.fixture
def small_samples(monkeypatch):
    monkeypatch.setattr(sampling, "ALL_UP_TO", 50)
    monkeypatch.setattr(sampling, "SAMPLE_SIZE", 30)


@pytest.mark.usefixtures("small_samples")
@pytest.mark.parametrize(
    ("n", "at_least", "size"),
    [(1, 0, 1), (50, 0, 50), (51, 0, 30), (120, 0, 30), (120, 29, 30), (120, 70, 70), (120, 119, 119), (60, 60, 60)],
)
def test_all_of_a_small_set_and_a_sample_of_a_large_one_calibrate(embeddings, n, at_least, size):
    members = sample_positions([embeddings[:n]], at_least)
    assert len(members) == size
    assert (np.diff(members) > 0).all()
    assert members[0] >= 0
    assert members[-1] < n


@pytest.mark.usefixtures("small_samples")
def test_the_same_rows_are_drawn_whatever_their_order_and_blocks(embeddings):
    drawn = {embeddings[place].tobytes() for place in sample_positions([embeddings])}
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(embeddings)
        places = sample_positions([shuffled[:1], shuffled[1:70], shuffled[70:]])
        assert {shuffled[place].tobytes() for place in places} == drawn


@pytest.mark.usefixtures("small_samples")
def test_as_many_copies_of_each_row_are_drawn_whatever_their_order(embeddings):
    rows = np.repeat(embeddings[:12], 10, axis=0)
    drawn = Counter(rows[place].tobytes() for place in sample_positions([rows]))
    shuffled = np.random.default_rng(0).permutation(rows)
    assert Counter(shuffled[place].tobytes() for place in sample_positions([shuffled])) == drawn


def test_copies_are_drawn_one_by_one_as_if_they_were_different_rows(monkeypatch):
    """All copies or none of them would be no random sample: the calibrating scores might all be zero."""
    monkeypatch.setattr(sampling, "ALL_UP_TO", 50)
    monkeypatch.setattr(sampling, "SAMPLE_SIZE", 100)
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = np.concatenate([np.repeat(rng.normal(size=(1, 3)), 200, axis=0), rng.normal(size=(200, 3))])
        copies = (sample_positions([rows.astype(np.float32)]) < 200).sum()
        assert 25 <= copies <= 75  # hypergeometric: 50 +- 4.3


def test_every_position_is_drawn_equally_often(monkeypatch):
    monkeypatch.setattr(sampling, "ALL_UP_TO", 1)
    monkeypatch.setattr(sampling, "SAMPLE_SIZE", 5)
    rng, times = np.random.default_rng(0), np.zeros(20)
    for _ in range(1000):
        times[sample_positions([rng.normal(size=(20, 2)).astype(np.float32)])] += 1
    assert times.sum() == 5000
    assert (np.abs(times - 250) < 5 * np.sqrt(1000 * 0.25 * 0.75)).all()


@pytest.mark.usefixtures("small_samples")
def test_a_sample_is_scored_against_all_others_not_against_the_sample(embeddings):
    members = sample_positions([embeddings])
    loo = LeaveOneOut.of([Block(embeddings)], ExactIndex([embeddings]), members, 2)
    expected = [naive.mean_squared_distance(embeddings[i], embeddings, 2, exclude=i) for i in members]
    np.testing.assert_allclose(mean_squared_distance(loo.distances), expected, rtol=1e-6)


@pytest.mark.usefixtures("small_samples")
def test_crossing_the_size_from_which_a_sample_calibrates_equals_a_fresh_computation(embeddings):
    blocks, loo = [embeddings[:45]], fresh([embeddings[:45]], 2)
    sizes = []
    for rows in np.split(embeddings[45:], 5):
        blocks, loo = added(loo, blocks, rows)
        assert_same(loo, fresh(blocks, 2))
        sizes.append(len(loo.members))
    while len(loo.members) < 45:
        blocks, loo = removed(loo, blocks, list(range(0, sum(map(len, blocks)), 4)))
        assert_same(loo, fresh(blocks, 2))
        sizes.append(len(loo.members))
    assert sizes == [30, 30, 30, 30, 30, 30, 30, 50]

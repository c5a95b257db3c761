"""Ranks of a stream, and bets on them, against slow and obvious versions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

import naive
from dn2.monitor.betting import CELLS, Place, Wealth
from dn2.monitor.pool import Pool, heights_of

FEW = st.lists(st.sampled_from([0.0, 0.5, 0.5001, 1.0, 1.25, 3.0, 1e-20, 1e20, -2.0]), max_size=30)
NUMBERS = st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), max_size=30)


def drawn(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n)


def after(ranks: np.ndarray) -> Wealth:
    bets = Wealth()
    for number, rank in enumerate(ranks.tolist(), 1):
        bets.bet(rank, Place(number, f"item {number}"))
    return bets


@given(FEW | NUMBERS, FEW | NUMBERS, st.integers(0, 9))
def test_ranks_are_those_among_the_calibrating_scores_and_all_before(calibrating, scores, seed):
    chances = drawn(seed, len(scores))
    ranks = Pool(heights_of(np.array(calibrating))).ranks(heights_of(np.array(scores)), chances)
    assert ranks.tolist() == pytest.approx(naive.sequential_ranks(calibrating, scores, chances.tolist()), abs=1e-15)


def test_ranks_of_a_long_stream_are_those_of_its_pieces():
    scores, chances = heights_of(drawn(1, 1_000)), drawn(2, 1_000)
    at_once, in_pieces = Pool(scores[:50]), Pool(scores[:50])
    pieces = [slice(0, 1), slice(1, 300), slice(300, 300), slice(300, 1_000)]
    found = np.concatenate([in_pieces.ranks(scores[piece], chances[piece]) for piece in pieces])
    assert np.array_equal(found, at_once.ranks(scores, chances))
    assert np.array_equal(at_once.counts, in_pieces.counts)


@given(NUMBERS, NUMBERS)
def test_ranks_do_not_change_where_all_scores_double(calibrating, scores):
    chances = drawn(0, len(scores))
    ranks = [
        Pool(heights_of(scale * np.array(calibrating))).ranks(heights_of(scale * np.array(scores)), chances)
        for scale in (1.0, 2.0)
    ]
    assert np.array_equal(*ranks)


@pytest.mark.parametrize("many_alike", [False, True])
def test_ranks_of_an_exchangeable_stream_are_even_and_independent(many_alike):
    found = []
    for seed in range(300):
        scores = drawn(seed, 40)
        scores = np.round(3 * scores) if many_alike else scores
        found.append(Pool(heights_of(scores[:20])).ranks(heights_of(scores[20:]), drawn(10_000 + seed, 20)))
    ranks = np.array(found)
    assert min(kstest(ranks[:, place], "uniform").pvalue for place in (0, 1, 10, 19)) > 1e-4
    correlations = np.corrcoef(ranks.T)[np.triu_indices(20, 1)]
    assert abs(correlations.mean()) < 4 / np.sqrt(300 * len(correlations))


@given(NUMBERS)
def test_heights_are_in_the_order_of_scores(scores):
    ordered = np.sort(np.array(scores, np.float64))
    heights = heights_of(ordered)
    assert (np.diff(heights) >= 0).all()
    assert ((heights >= 0) & (heights < 2**18)).all()
    assert heights_of(np.array([-0.0])) == heights_of(np.array([0.0]))


@pytest.mark.parametrize("ranks", [drawn(0, 25), drawn(1, 25) / 4, 1 - drawn(2, 25) / 9, 0.4 + drawn(3, 25) / 5])
def test_wealth_is_that_of_all_bets_from_all_items_on(ranks):
    bets = after(ranks)
    assert bets.total == pytest.approx(naive.wealth(ranks.tolist()), rel=1e-4)
    assert bets.since.number == naive.likeliest_start(ranks.tolist()) + 1
    assert bets.since.name == f"item {bets.since.number}"


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=50))
def test_wealth_is_a_martingale_that_starts_at_one(ranks):
    bets = after(np.array(ranks))
    nexts = [copy.deepcopy(bets).bet((cell + 0.5) / CELLS, Place(0, "")) for cell in range(CELLS)]
    assert np.mean(nexts) == pytest.approx(bets.total, rel=1e-12)
    assert Wealth().total == 1


def test_wealth_rarely_grows_where_nothing_changes_and_soon_where_something_does():
    ever = [max(after(drawn(seed, n)).total for n in (50, 400)) >= 20 for seed in range(100)]
    assert sum(ever) <= 12  # 5 at most on average
    for changed in (lambda u: u / 2, lambda u: 1 - u / 2, lambda u: u**3, lambda u: 0.5 + (u - 0.5) / 3):
        ranks = np.append(drawn(5, 1_000), changed(drawn(6, 150)))
        bets = after(ranks)
        assert bets.total > 100
        assert abs(bets.since.number - 1_001) < 25


def test_one_item_wins_little():
    assert after(np.append(drawn(0, 500), np.zeros(4))).total < 20

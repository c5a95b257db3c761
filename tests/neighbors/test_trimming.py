"""How many calibrating scores may be left out where a share of the items is said to be anomalous."""

import math
from fractions import Fraction

import pytest

from dn2.neighbors.trimming import most_trimmed


def flagged(n, m, anomalies, trimmed, rank):
    """Return with what probability a normal query is flagged whose p-value must be that of a rank, or less.

    All anomalies score higher than all normal items; which of them calibrate is chance."""
    most = Fraction(1 + max(0, rank - trimmed), m - trimmed + 1)
    total = Fraction(0)
    for j in range(max(0, m - (n - anomalies)), min(anomalies, m) + 1):
        chance = Fraction(math.comb(anomalies, j) * math.comb(n - anomalies, m - j), math.comb(n, m))
        ranks = [j + higher for higher in range(m - j + 1)]  # of the query among all: any number of normal ones higher
        p_values = [Fraction(1 + max(0, r - trimmed), m - trimmed + 1) for r in ranks]
        total += chance * Fraction(sum(p <= most for p in p_values), len(p_values))
    return total, most


@pytest.mark.parametrize(("n", "m"), [(6, 3), (20, 10), (41, 20)])
@pytest.mark.parametrize("share", [0, 0.1, 0.3, 0.5, 0.9])
def test_as_many_are_left_out_as_keep_every_rate_and_one_more_does_not(n, m, share):
    anomalies = int(share * n)
    trimmed = most_trimmed(n, m, anomalies)
    for rank in range(m + 1):
        got, asked = flagged(n, m, anomalies, trimmed, rank)
        assert got <= asked
    if trimmed + 1 < min(anomalies, m):
        one_more = [flagged(n, m, anomalies, trimmed + 1, rank) for rank in range(m + 1)]
        assert any(got > asked for got, asked in one_more)


def test_nearly_as_many_are_left_out_as_are_expected_and_none_where_none_are_said_to_be():
    assert most_trimmed(20_000, 10_000, 2_000) == 971
    assert most_trimmed(400, 200, 0) == 0
    assert most_trimmed(10, 5, 10) == 4  # one score stays

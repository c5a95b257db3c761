"""A batch whose bulk is far out is told from one with anomalies in it."""

from __future__ import annotations

import numpy as np
import pytest

from dn2 import KNNDetector
from dn2.neighbors.shift import find_shift


def p_values(reference, batch):
    return KNNDetector().fit(reference).p_value(batch), len(reference)


def normal(rng, n):
    return rng.normal(size=(n, 4))


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("distance", [1.5, 3, 9])
def test_anomalies_in_a_batch_are_no_shift(n, distance):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        batch = normal(rng, 400)
        batch[: rng.integers(121)] += distance
        assert find_shift(*p_values(normal(rng, n), batch)) is None


@pytest.mark.parametrize("distance", [1.5, 3, 9])
def test_a_shift_of_all_is_found_in_a_batch_and_not_in_a_few(distance):
    rng = np.random.default_rng(0)
    p_of_batch, m = p_values(normal(rng, 300), normal(rng, 200) + distance)
    shift = find_shift(p_of_batch, m)
    assert shift is not None
    assert shift.small == (p_of_batch <= 0.1).mean()
    assert find_shift(p_of_batch[:20], m) is None


def test_new_parts_are_found_where_the_reference_set_has_several_views_of_each():
    rng = np.random.default_rng(1)
    views = np.repeat(normal(rng, 60), 5, axis=0) + 0.1 * normal(rng, 300)
    assert find_shift(*p_values(views, normal(rng, 200))) is not None

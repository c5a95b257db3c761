"""Rows that try a search: ties, copies, far from the origin, so small or large that squares under- or overflow."""

import numpy as np


def random(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def grid(n, d, seed=0, values=3):
    """Whole numbers: distances are exact in float32 and in float64, and full of ties."""
    return np.random.default_rng(seed).integers(0, values, size=(n, d)).astype(np.float32)


def repeated(n, d):
    return np.repeat(random(-(-n // 20), d), 20, axis=0)[np.random.default_rng(1).permutation(n)]


FEW = {
    "random": random,
    "duplicated": repeated,
    "grid": grid,
    "offset 1000": lambda n, d: random(n, d) + np.float32(1000),
    "offset of one feature": lambda n, d: random(n, d) + np.eye(1, d, dtype=np.float32) * np.float32(1e5),
    "tiny": lambda n, d: random(n, d) * np.float32(1e-20),  # squares underflow
    "large": lambda n, d: random(n, d) * np.float32(1e16),
}


def duplicated(n, d, seed=0):
    return random(7, d)[np.random.default_rng(seed).integers(7, size=n)]


def exponential(n, d, seed=0):
    return (random(n, d, seed) * 2.0 ** np.random.default_rng(seed).uniform(-60, 50, size=(n, 1))).astype(np.float32)


DATA = {
    "random": random,
    "duplicated": duplicated,
    "constant": lambda n, d, seed=0: np.full((n, d), 3.7, np.float32),
    "mostly constant": lambda n, d, seed=0: random(n, d, seed) * (np.arange(n) % 20 == 0)[:, None].astype(np.float32),
    "grid": lambda n, d, seed=0: grid(n, d, seed, 4),
    "offset 1000": lambda n, d, seed=0: random(n, d, seed) + np.float32(1000),
    "large": lambda n, d, seed=0: random(n, d, seed) * np.float32(1e16),
    "tiny": lambda n, d, seed=0: random(n, d, seed) * np.float32(1e-20),  # squares underflow
    "small": lambda n, d, seed=0: random(n, d, seed) * np.float32(3e-19),  # some do
    "exponential": exponential,
    "collinear": lambda n, d, seed=0: random(n, 1, seed) * np.arange(1, d + 1, dtype=np.float32),
    "far out": lambda n, d, seed=0: np.concatenate([random(n - 2, d, seed), random(2, d, seed) * np.float32(1e12)]),
    "clusters": lambda n, d, seed=0: random(n, d, seed) * np.float32(1e-3) + 100 * grid(n, d, seed, 4),
}


def assert_same(found, expected):
    """Bit for bit."""
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)

"""What tests share: how hypothesis runs, and a small reference set."""

import os

import numpy as np
import pytest
from hypothesis import settings

# Threads that wait by spinning make small searches ten times slower wherever the cores are busy.  Before faiss loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples in every run, and no deadline: a slow machine is no failure.
settings.register_profile("dn2", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("dn2")


@pytest.fixture
def embeddings():
    """Return 120 vectors of 16 non-negative features, (120, 16) float32, like those of a network; all different."""
    return np.random.default_rng(0).gamma(1.0, size=(120, 16)).astype(np.float32)

"""What tests share: how hypothesis runs, and a small reference set."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Threads that wait by spinning make small searches ten times slower wherever the cores are busy.  Before faiss loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No test reads or writes the user's cache.
os.environ["DN2_CACHE"] = tempfile.mkdtemp(prefix="dn2-cache-")

# The same examples in every run, and no deadline: a slow machine is no failure.
settings.register_profile("dn2", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("dn2")


def pytest_unconfigure():
    """Leave no cache behind."""
    shutil.rmtree(os.environ["DN2_CACHE"], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Run the tests of a file in one process, which makes what they share once; `make test` runs several."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(autouse=True)
def signals():
    """Leave signals as they were: the command line sets the first two, PyTorch's data loader the ends of children.

    Its handler, where a library's thread has lost its stack for signals, ends the process at a later test's child."""
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD)}
    yield
    for one, handler in handlers.items():
        signal.signal(one, handler)


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """Run `dn2 demo` once, for tests of the group `browser`: the folder it ran in, with its cache, and what it did."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "COLUMNS": "160", "DN2_CACHE": str(folder / "cache")}
    command = Path(sys.executable).parent / "dn2"
    done = subprocess.run([command, "demo"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return folder, done


@pytest.fixture
def embeddings():
    """Return 120 vectors of 16 non-negative features, (120, 16) float32, like those of a network; all different."""
    return np.random.default_rng(0).gamma(1.0, size=(120, 16)).astype(np.float32)

"""What the tests of embedding share: real pictures, encoders that owe nothing to dn2, a network, a clock."""

import io
import threading
import time

import numpy as np
import openvino as ov
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone

WAITED = 60  # seconds


@pytest.fixture(scope="session")
def photos():
    """Return scikit-learn's two photographs, (427, 640, 3) uint8 each."""
    return [np.array(image) for image in load_sample_images().images]


@pytest.fixture(scope="session")
def crops(photos):
    """Return eight different crops of the photographs, (200, 240, 3) uint8 each."""
    return [photo[y : y + 200, x : x + 240] for photo in photos for y in (0, 220) for x in (0, 390)]


@pytest.fixture(scope="session")
def digits():
    """Return eight handwritten digits, (64, 64) uint8 each."""
    return [np.kron(digit * 15, np.ones((8, 8))).astype(np.uint8) for digit in load_digits().images[:8]]


@pytest.fixture(scope="session")
def lite0():
    """Return lite0 in f32, compiled once for all tests."""
    return Network(get_backbone("lite0"), "f32")


@pytest.fixture(scope="session")
def has_bf16():
    """Tell whether this processor computes in bf16."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture
def needs_bf16(has_bf16):
    """Skip a test where the processor does not compute in bf16."""
    if not has_bf16:
        pytest.skip("this processor does not compute in bf16")


@pytest.fixture
def files(tmp_path, crops):
    """Return eight PNG files of different photographs."""
    paths = [tmp_path / f"photo {number}.png" for number in range(len(crops))]
    for path, crop in zip(paths, crops, strict=True):
        Image.fromarray(crop).save(path)
    return paths


@pytest.fixture(scope="session")
def encode():
    """Return a function that encodes an array or a picture."""

    def run(picture, fmt, **options):
        buffer = io.BytesIO()
        (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(buffer, fmt, **options)
        return buffer.getvalue()

    return run


@pytest.fixture
def promptly():
    """Return a function that calls another in a thread and fails, rather than waits, when it takes too long.

    What counts is the time that it computes, as the machine may be busy; what waits for something is given up later."""

    def run(work, seconds=20):
        outcome = {}

        def target():
            start = time.thread_time()
            try:
                outcome["result"] = work()
            except BaseException as error:
                outcome["error"] = error
            outcome["seconds"] = time.thread_time() - start

        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        thread.join(WAITED)
        assert not thread.is_alive(), f"still at work after {WAITED} s"
        assert outcome["seconds"] < seconds
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]

    return run

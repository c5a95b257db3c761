"""Golden pictures: the same bytes every time, and a tolerance that tells one arithmetic from another."""

import io

import numpy as np
import pytest
from PIL import Image

from dn2.errors import UnreadableItem
from dn2.networks import golden
from dn2.networks.golden import TOLERANCE, check_pictures, embed_pictures, largest_error, make_pictures
from dn2.networks.lite import SPECS
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone


def test_the_pictures_are_the_same_every_time():
    assert make_pictures() == make_pictures()
    assert len(make_pictures()) == 4
    assert {Image.open(io.BytesIO(picture)).size for picture in make_pictures()} == {(320, 272)}


def test_golden_pictures_that_are_many_large_or_none_are_refused_before_they_are_decoded(promptly):
    def png(width, height):
        encoded = io.BytesIO()
        Image.new("1", (width, height)).save(encoded, "PNG")
        return encoded.getvalue()

    check_pictures(make_pictures())
    check_pictures([png(1024, 1024)] * 16)
    with pytest.raises(ValueError, match="must be 1 to 16, got 300"):
        promptly(lambda: check_pictures([png(9, 9)] * 300), seconds=5)
    with pytest.raises(ValueError, match="must be 1 to 16, got 0"):
        check_pictures([])
    with pytest.raises(ValueError, match="at most 1,048,576 pixels, got 1025 x 1024"):
        check_pictures([png(1024, 1024), png(1025, 1024)])
    with pytest.raises(UnreadableItem, match="not a picture"):
        check_pictures([b"no picture"])


def test_the_pictures_differ_from_one_another_in_every_network(lite0):
    vectors = embed_pictures(lite0, make_pictures())
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) / np.linalg.norm(vectors, axis=1)
    assert distances[~np.eye(4, dtype=bool)].min() > 0.1


def test_the_largest_error_is_the_largest_relative_distance_of_a_row():
    expected = np.array([[3, 4], [0, 2]], np.float32)
    assert largest_error(expected, expected) == 0
    assert largest_error(expected + np.array([[0, 1], [0, 0]], np.float32), expected) == pytest.approx(0.2)
    assert largest_error(expected + np.array([[0, 1], [1, 0]], np.float32), expected) == pytest.approx(0.5)


def test_a_network_that_gives_zeros_reproduces_zeros_and_nothing_else():
    zeros = np.zeros((2, 3), np.float32)
    assert largest_error(zeros, zeros) == 0
    assert largest_error(zeros + 1e-6, zeros) > 1


def test_an_embedding_that_is_no_number_is_never_within_the_tolerance():
    got = np.array([[np.nan, 1]], np.float32)
    assert not largest_error(got, np.ones((1, 2), np.float32)) <= max(TOLERANCE.values())


@pytest.mark.parametrize("name", SPECS)
def test_the_same_network_compiled_twice_reproduces_every_bit(name):
    first, second = (embed_pictures(Network(get_backbone(name)), make_pictures()) for _ in range(2))
    assert largest_error(first, second) == 0


@pytest.mark.usefixtures("needs_bf16")
@pytest.mark.parametrize("name", SPECS)
def test_either_precision_is_refused_where_the_other_was_recorded(name):
    """Measured in relative L2: largest 0.071 (lite0), 0.073 (lite1), 0.047 (lite2), each over 0.02."""
    exact, coarse = (embed_pictures(Network(get_backbone(name), one), make_pictures()) for one in ("f32", "bf16"))
    assert largest_error(coarse, exact) > TOLERANCE["f32"]
    assert largest_error(exact, coarse) > 1.5 * TOLERANCE["bf16"]


def test_rounding_of_another_order_of_summation_is_within_the_tolerance_of_f32(lite0):
    """Noise of the size of PyTorch's difference (4e-6 of the largest feature, see test_parity.py), ten times over."""
    expected = embed_pictures(lite0, make_pictures())
    noise = np.random.default_rng(0).uniform(-1, 1, expected.shape) * 4e-5 * expected.max()
    assert 0 < largest_error((expected + noise).astype(np.float32), expected) < TOLERANCE["f32"]


@pytest.mark.parametrize("change", ["other resampling", "one level darker", "channels swapped"])
def test_another_preprocessing_is_beyond_the_tolerance_of_f32(lite0, change, monkeypatch):
    expected = embed_pictures(lite0, make_pictures())
    right = golden.to_pixels

    def wrong(image, preprocessing):
        if change == "other resampling":
            return np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))
        pixels = right(image, preprocessing)
        return np.maximum(pixels, 1) - 1 if change == "one level darker" else pixels[:, :, ::-1].copy()

    monkeypatch.setattr(golden, "to_pixels", wrong)
    assert largest_error(embed_pictures(lite0, make_pictures()), expected) > TOLERANCE["f32"]

"""One compiled network: a picture's embedding depends on nothing but the picture."""

import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from dn2.errors import BackboneError
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone


@pytest.fixture(scope="module")
def pixels(crops, digits):
    """Return twelve different inputs of lite0: photographs and digits."""
    colored = [np.repeat(digit[:, :, None], 3, axis=2) for digit in digits[:4]]
    return [np.resize(picture, (224, 224, 3)) for picture in crops + colored]


@pytest.fixture(scope="module", params=["f32", "bf16"])
def network(request, lite0, has_bf16):
    """Return lite0 in each precision that this processor has."""
    if request.param == "bf16" and not has_bf16:
        pytest.skip("this processor does not compute in bf16")
    return lite0 if request.param == "f32" else Network(get_backbone("lite0"), request.param)


def test_an_embedding_has_the_same_bits_alone_and_in_any_company_and_order(network, pixels):
    alone = np.concatenate([network.embed([picture]) for picture in pixels])
    assert len({row.tobytes() for row in alone}) == len(pixels)
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(np.arange(2 * len(pixels)) % len(pixels))
        assert np.array_equal(network.embed([pixels[place] for place in order]), alone[order])


def test_two_threads_share_a_network_without_mixing_their_pictures(network, pixels):
    expected = network.embed(pixels)
    got = {}

    def work(name, order):
        got[name] = [network.embed([pixels[place] for place in order]) for _ in range(3)]

    orders = {"up": list(range(12)), "down": list(range(11, -1, -1)), "odd": list(range(1, 12, 2))}
    threads = [threading.Thread(target=work, args=item) for item in orders.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name, order in orders.items():
        assert all(np.array_equal(vectors, expected[order]) for vectors in got[name])


def test_a_picture_may_be_changed_once_it_is_started(lite0, pixels):
    expected = lite0.embed(pixels[:1])[0]
    picture, received = pixels[0].copy(), []
    lite0.start(picture, received.append)
    picture[:] = 0
    lite0.wait()
    assert np.array_equal(received[0], expected)


def test_a_received_vector_is_not_overwritten_by_the_next(lite0, pixels):
    received = []
    for picture in pixels[:1] + pixels[1:] * 3:
        lite0.start(picture, received.append)
        lite0.wait()
    assert np.array_equal(received[0], lite0.embed(pixels[:1])[0])


def test_no_pictures_give_no_rows(lite0):
    assert lite0.embed([]).shape == (0, 1280)


@pytest.mark.usefixtures("needs_bf16")
def test_bf16_is_recorded_and_differs_from_f32_by_a_few_percent(lite0, pixels):
    """Measured: 2 to 7 % in L2, the more the smoother the picture."""
    coarse = Network(get_backbone("lite0"), "bf16")
    assert (lite0.precision, coarse.precision) == ("f32", "bf16")
    exact = lite0.embed(pixels)
    errors = np.linalg.norm(coarse.embed(pixels) - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert (errors > 1e-4).all()
    assert (errors < 0.2).all()


def test_auto_records_the_precision_that_it_computes_in(pixels, has_bf16):
    network = Network(get_backbone("lite0"))
    assert network.precision == ("bf16" if has_bf16 else "f32")
    same = Network(get_backbone("lite0"), network.precision)
    assert np.array_equal(network.embed(pixels[:3]), same.embed(pixels[:3]))


@pytest.mark.parametrize("precision", ["fp32", "int8", "", None])
def test_an_unknown_precision_is_refused_with_the_known_ones(precision):
    with pytest.raises(BackboneError, match=f"must be one of auto, f32, bf16, got {precision!r}"):
        Network(get_backbone("lite0"), precision)


def test_what_received_a_vector_is_freed_while_the_network_stays(lite0, pixels):
    class Receiver:
        def receive(self, vector):
            self.vector = vector

    receiver = Receiver()
    lite0.start(pixels[0], receiver.receive)
    lite0.wait()
    assert receiver.vector.shape == (lite0.dimension,)
    freed = weakref.ref(receiver)
    del receiver
    assert freed() is None


def test_a_signal_finds_its_stack_after_networks_came_and_went():
    """OpenVINO gives the thread that compiles a stack for signals, and takes it back when its core is destroyed."""
    script = """
import faulthandler, os, signal
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone

with open(os.devnull, "w") as nothing:
    faulthandler.register(signal.SIGUSR1, nothing)  # a handler on the stack for signals
    networks = [Network(get_backbone("lite0@32"), precision) for precision in ("auto", "f32", "auto")]
    for place in (0, 0, 0):
        del networks[place]
        os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

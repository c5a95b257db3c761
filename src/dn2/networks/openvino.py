"""A compiled backbone that embeds pictures asynchronously, the same bits for a picture every time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from dn2.arrays import Pixels, Vector
from dn2.errors import BackboneError
from dn2.extras import import_openvino
from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.system.processes import PerProcess, cpu_count

PRECISIONS = ("auto", "f32", "bf16")


class Network(AnyNetwork):
    """A backbone compiled for this machine's CPU by OpenVINO.

    precision : `f32`, `bf16`, or `auto`, which takes bf16 where the processor computes in it.

    One picture is one request on one thread, and as many run at once as there are processors: measured as fast
    as any batch, and a picture's embedding then depends on nothing but the picture."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        if precision not in PRECISIONS:
            raise BackboneError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        if precision == "auto":
            capabilities = _with_core(lambda core: core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
            precision = "bf16" if "BF16" in capabilities else "f32"
        self.backbone = backbone
        self.precision = precision
        self._requests = PerProcess(partial(_compile, backbone, precision))
        self.dimension = self._requests.get().dimension

    def start(self, pixels: Pixels, receive: Callable[[Vector], None]) -> None:
        """Embed one picture, (height, width, 3) uint8; `receive` gets its (d,) vector from another thread.

        Returns at once unless all requests are busy."""
        requests = self._requests.get()
        with requests.starting:
            requests.queue.start_async({0: pixels[None]}, [receive])

    def wait(self) -> None:
        """Wait until every picture started so far has been received."""
        self._requests.get().queue.wait_all()


class _Requests(NamedTuple):
    """A compiled network and its queue of requests.

    dimension : the length of its output; starting : a lock, held while a request starts, since the queue may give the
    same idle request to two threads at once."""

    dimension: int
    queue: Any
    starting: threading.Lock


def _compile(backbone: Backbone, precision: str) -> _Requests:
    threads = cpu_count()
    network = backbone.build()
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the threads that decode pictures need the same processors
    }
    compiled = _with_core(lambda core: core.compile_model(network, "CPU", options))
    queue = import_openvino().AsyncInferQueue(compiled, 2 * threads)
    queue.set_callback(_deliver)
    return _Requests(int(compiled.output(0).get_partial_shape()[1].get_length()), queue, threading.Lock())


def _with_core(work: Callable[[Any], Any]) -> Any:
    """Do some work with a core of OpenVINO in a thread of its own.

    A core gives the thread that opens it a stack for signals and, when it is destroyed, puts back the one before, which
    was perhaps another core's and is gone: the next signal would end the process.  So that thread ends first.  One core
    for all networks would do, too, but keeps threads for the next network that a forked child lacks and waits for."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: work(import_openvino().Core())).result()


def _deliver(request: Any, receivers: list[Callable[[Vector], None]]) -> None:
    receive = receivers.pop()  # the request keeps the list until its next picture
    receive(request.get_output_tensor(0).data[0].copy())

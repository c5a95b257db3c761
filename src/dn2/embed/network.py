"""A compiled backbone that embeds pictures asynchronously, the same bits for a picture every time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from dn2.embed.images import Pixels
from dn2.embed.registry import Backbone
from dn2.errors import BackboneError
from dn2.extras import import_openvino
from dn2.processes import PerProcess

PRECISIONS = ("auto", "f32", "bf16")

Vector = np.ndarray[Any, np.dtype[np.float32]]


def cpu_count() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class AnyNetwork(Protocol):
    """A backbone made ready for this machine, whatever computes it.

    precision : what it computes in; dimension : d of its embeddings."""

    backbone: Backbone
    precision: str
    dimension: int

    def start(self, pixels: Pixels, receive: Callable[[Vector], None]) -> None:
        """Embed one picture, (height, width, 3) uint8; `receive` gets its (d,) vector, by `wait` at the latest."""

    def wait(self) -> None:
        """Wait until every picture started so far has been received."""

    def embed(self, pixels: list[Pixels]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed pictures of shape (height, width, 3), uint8, to (n, d) float32."""
        vectors = np.empty((len(pixels), self.dimension), np.float32)
        for row, picture in zip(vectors, pixels, strict=True):
            self.start(picture, partial(np.copyto, row))
        self.wait()
        return vectors


def open_network(backbone: Backbone, precision: str = "auto") -> AnyNetwork:
    """Make a backbone ready for this machine, with what runs it.  Raises BackboneError."""
    if backbone.runs_on == "torch":
        from dn2.embed.torch_network import TorchNetwork

        return TorchNetwork(backbone, precision)
    return Network(backbone, precision)


class Network(AnyNetwork):
    """A backbone compiled for this machine's CPU by OpenVINO.

    precision : `f32`, `bf16`, or `auto`, which takes bf16 where the processor computes in it.

    One picture is one request on one thread, and as many run at once as there are processors: measured as fast
    as any batch, and a picture's embedding then depends on nothing but the picture."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        if precision not in PRECISIONS:
            raise BackboneError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        if precision == "auto":
            precision = (
                "bf16" if "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
            )
        self.backbone = backbone
        self.precision = precision
        self._requests = PerProcess(partial(_compile, backbone, precision))
        self.dimension = self._requests.get().dimension

    def start(self, pixels: Pixels, receive: Callable[[Vector], None]) -> None:
        """Embed one picture, (height, width, 3) uint8; `receive` gets its (d,) vector from another thread.

        Returns at once unless all requests are busy."""
        requests = self._requests.get()
        with requests.starting:
            requests.queue.start_async({0: pixels[None]}, receive)

    def wait(self) -> None:
        """Wait until every picture started so far has been received."""
        self._requests.get().queue.wait_all()


class _Requests(NamedTuple):
    """A compiled network of so many outputs, and its threads.

    starting : held while a request starts, since the queue gives the same idle one to two threads at once."""

    dimension: int
    queue: Any
    starting: threading.Lock


def _compile(backbone: Backbone, precision: str) -> _Requests:
    ov = import_openvino()
    threads = cpu_count()
    compiled = ov.Core().compile_model(
        backbone.build(),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the threads that decode pictures need the same processors
        },
    )
    queue = ov.AsyncInferQueue(compiled, 2 * threads)
    queue.set_callback(_deliver)
    return _Requests(int(compiled.output(0).get_partial_shape()[1].get_length()), queue, threading.Lock())


def _deliver(request: Any, receive: Callable[[Vector], None]) -> None:
    receive(request.get_output_tensor(0).data[0].copy())

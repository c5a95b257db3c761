"""Models compiled for this machine that embed asynchronously, the same bits for an input every time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from dn2.arrays import Array, Pixels, Vector
from dn2.errors import BackboneError
from dn2.extras import import_openvino
from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.system.processes import PerProcess, cpu_count

PRECISIONS = ("auto", "f32", "bf16")


class Requests:
    """A model compiled for this machine's CPU by OpenVINO, in each process that uses it.

    build : makes the model, of one input, whose first dimension is 1, as that of its outputs; precision : `f32` or
        `bf16`.

    One input is one request on one thread, and as many run at once as there are processors: measured as fast as any
    batch, and what comes out then depends on nothing but that input.

    Attributes
    ----------
    dimension : the last dimension of its first output."""

    def __init__(self, build: Callable[[], Any], precision: str) -> None:
        self._compiled = PerProcess(partial(_compile, build, precision))
        self.dimension = self._compiled.get().dimension

    def start(self, value: Array, receive: Callable[[Sequence[Array]], None]) -> None:
        """Start on one input; `receive` gets each output, without its first dimension, from another thread.

        The outputs are there only until it returns.  Returns at once unless all requests are busy."""
        compiled = self._compiled.get()
        with compiled.starting:
            compiled.queue.start_async({0: value}, [receive])

    def wait(self) -> None:
        """Wait until everything started so far has been received."""
        self._compiled.get().queue.wait_all()


class Network(AnyNetwork):
    """A backbone on `Requests`; precision : `f32`, `bf16`, or `auto`, which takes bf16 where the processor computes
    in it."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        self.backbone = backbone
        self.precision = choose_precision(precision)
        self._requests = Requests(backbone.build, self.precision)
        self.dimension = self._requests.dimension

    def start(self, pixels: Pixels, receive: Callable[[Vector], None]) -> None:
        """See `AnyNetwork`.  Returns at once unless all requests are busy; `receive` is called from another thread."""
        self._requests.start(pixels[None], lambda outputs: receive(outputs[0].copy()))

    def wait(self) -> None:
        """See `AnyNetwork`."""
        self._requests.wait()


def choose_precision(precision: str) -> str:
    """Return the arithmetic that is asked for; for `auto`, bf16 where the processor computes in it, else f32.

    Raises BackboneError for any that there is not."""
    if precision not in PRECISIONS:
        raise BackboneError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision != "auto":
        return precision
    capabilities = _with_core(lambda core: core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return "bf16" if "BF16" in capabilities else "f32"


class _Compiled(NamedTuple):
    """A compiled model and its queue of requests.

    dimension : the length of its output; starting : a lock, held while a request starts, since the queue may give the
    same idle request to two threads at once."""

    dimension: int
    queue: Any
    starting: threading.Lock


def _compile(build: Callable[[], Any], precision: str) -> _Compiled:
    threads = cpu_count()
    model = build()
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the threads that prepare inputs need the same processors
    }
    compiled = _with_core(lambda core: core.compile_model(model, "CPU", options))
    queue = import_openvino().AsyncInferQueue(compiled, 2 * threads)
    queue.set_callback(_deliver)
    return _Compiled(int(compiled.output(0).get_partial_shape()[-1].get_length()), queue, threading.Lock())


def open_file(path: str | os.PathLike[str]) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """Open a network that was exported, in f32: inputs by name, to outputs by name.  Raises BackboneError."""

    def compiled(core: Any) -> Any:
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cpu_count()}
        return core.compile_model(core.read_model(os.fspath(path)), "CPU", options)

    try:
        network = _with_core(compiled)
    except RuntimeError as error:
        raise BackboneError(f"OpenVINO cannot open what was exported: {error!s:.300}") from error

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = network(dict(inputs))
        return {name: outputs[output].copy() for output in network.outputs for name in output.get_names()}

    return run


def save(network: Any, path: str | os.PathLike[str]) -> None:
    """Write a network as OpenVINO's own files, an .xml and beside it a .bin, its numbers as they are."""
    import_openvino().save_model(network, os.fspath(path), compress_to_fp16=False)


def _with_core(work: Callable[[Any], Any]) -> Any:
    """Do some work with a core of OpenVINO in a thread of its own.

    A core gives the thread that opens it a stack for signals and, when it is destroyed, puts back the one before, which
    was perhaps another core's and is gone: the next signal would end the process.  So that thread ends first.  One core
    for all networks would do, too, but keeps threads for the next network that a forked child lacks and waits for."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: work(import_openvino().Core())).result()


def _deliver(request: Any, receivers: list[Callable[[Sequence[Array]], None]]) -> None:
    receive = receivers.pop()  # the request keeps the list until its next picture
    receive([tensor.data[0] for tensor in request.output_tensors])

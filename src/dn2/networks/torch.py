"""A network on PyTorch: pictures in batches, on a GPU where there is one."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Pixels
from dn2.errors import BackboneError
from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.networks.timm import TimmNetwork
from dn2.system.processes import PerProcess, one_thread_after_fork

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "f32", "bf16", "f16")

# Pictures at a time: on a CPU, where 4 to 16 are equally fast; on a GPU at first, and at most (the pipeline's window).
CPU_BATCH = 8
GPU_BATCH, LARGEST_GPU_BATCH = 16, 128
# A batch twice as large is kept if it embeds at least this many times as many pictures a second.
WORTH_DOUBLING = 1.05


class BatchSize:
    """Finds how many pictures at a time are fastest: doubles as long as that helps and memory allows.

    first, largest : the sizes to begin and to end with.  Of each size the second batch is timed, since the first one
    also prepares the device."""

    def __init__(self, first: int, largest: int) -> None:
        self.size = first
        self._largest = largest
        self._batches = 0
        self._rate = 0.0

    def ran(self, pictures: int, seconds: float) -> None:
        """Note the time of a batch, and double the size while that pays."""
        self._batches += pictures == self.size
        if pictures < self.size or self._batches != 2:
            return
        rate = pictures / seconds
        if rate < WORTH_DOUBLING * self._rate:
            self.size //= 2  # for good: doubling no longer pays
        elif 2 * self.size <= self._largest:
            self.size, self._rate, self._batches = 2 * self.size, rate, 0

    def failed(self) -> None:
        """Halve the size for good: a batch of it took more memory than there is."""
        self.size = self._largest = self.size // 2
        self._batches = 2


class Batches(ABC):
    """A timm network, given pictures in batches, on CUDA where there is a GPU, else on Apple's (MPS), else on the CPU.

    precision : `f32`, `bf16`, `f16`, or `auto`, which on CUDA takes bf16 where the GPU computes in it and else f16, and
        f32 elsewhere.  The layers that need f32 keep it (PyTorch's autocast).

    Pictures of one size are gathered to batches, in the order that they are started.  What comes out may differ in its
    last bits with the batch that it was computed in.  Raises BackboneError."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        import torch

        if precision not in PRECISIONS:
            raise BackboneError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        one_thread_after_fork(torch.set_num_threads)
        self.backbone = backbone
        device = _device()
        self.precision = _default_precision(device) if precision == "auto" else precision
        on_gpu = device.type == "cuda"
        self._batch = BatchSize(GPU_BATCH, LARGEST_GPU_BATCH) if on_gpu else BatchSize(CPU_BATCH, CPU_BATCH)
        self._state = PerProcess(partial(_State.of, backbone))

    def start(self, pixels: Pixels, receive: Callable[[Any], None]) -> None:
        """Give one picture, (height, width, 3) uint8, with the next full batch; `receive` gets what comes out."""
        state = self._state.get()
        with state.one_at_a_time:
            state.waiting.append((pixels.copy(), receive))
            if len(state.waiting) >= self._batch.size:
                self.wait()

    def wait(self) -> None:
        """Embed the pictures that wait for a full batch."""
        state = self._state.get()
        with state.one_at_a_time:
            waiting, state.waiting[:] = sorted(state.waiting, key=lambda one: one[0].shape), []
            while waiting:
                batch = [one for one in waiting[: self._batch.size] if one[0].shape == waiting[0][0].shape]
                found = self._run([pixels for pixels, _ in batch])
                if found is None:
                    continue  # with smaller batches
                waiting = waiting[len(batch) :]
                for one, (_, receive) in zip(found, batch, strict=True):
                    receive(one)

    def _run(self, pixels: list[Pixels]) -> Sequence[Any] | None:
        """Embed a batch and note how long it took; None if memory was short and the batch size was halved."""
        import torch

        start = time.perf_counter()
        try:
            found = self.run(np.stack(pixels))
        except torch.OutOfMemoryError as error:
            if self._batch.size == 1:
                raise BackboneError(
                    f"the GPU has too little memory for {self.backbone.name}, even for one picture at a time; free "
                    "some, take a smaller network, or hide the GPU to use the CPU (CUDA_VISIBLE_DEVICES=)"
                ) from error
            self._batch.failed()
            return None
        self._batch.ran(len(pixels), time.perf_counter() - start)
        return found

    def run(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Sequence[Any]:
        """Give (n, height, width, 3) uint8 to the network, and return what comes out for each."""
        import torch

        state = self._state.get()
        with torch.inference_mode(), _arithmetic(state.mean.device, self.precision):
            pictures = torch.from_numpy(pixels).to(state.mean.device).permute(0, 3, 1, 2)
            return self._compute(state.network, (pictures.float() - state.mean) / state.std)

    @abstractmethod
    def _compute(self, network: TimmNetwork, pictures: Any) -> Sequence[Any]:
        """Return what comes out for each of n pictures, (n, 3, height, width)."""


class TorchNetwork(Batches, AnyNetwork):
    """A network on PyTorch; see `Batches`."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        super().__init__(backbone, precision)
        self.dimension = self._measure_dimension()

    def _compute(self, network: TimmNetwork, pictures: Any) -> Sequence[Any]:
        return list(network.module(pictures).float().cpu().numpy())

    def _measure_dimension(self) -> int:
        preprocessing = self.backbone.preprocessing
        try:
            (vector,) = self.run(np.zeros((1, preprocessing.height, preprocessing.width, 3), np.uint8))
        except Exception as error:  # of more than a thousand networks, not all take a picture and give a vector
            raise BackboneError(f"{self.backbone.name} does not embed pictures: {error!r:.300}") from error
        if vector.ndim != 1:
            shape = (1, *vector.shape)
            raise BackboneError(f"{self.backbone.name} must give one vector, (1, d), for a picture, it gives {shape}")
        return len(vector)


class _State(NamedTuple):
    """A network on its device, with the pictures that wait for a batch.

    mean, std : (3, 1, 1) of pixels from 0 to 255; one_at_a_time : a lock, held while it works."""

    network: TimmNetwork
    mean: torch.Tensor
    std: torch.Tensor
    waiting: list[tuple[Pixels, Callable[[Any], None]]]
    one_at_a_time: Any

    @classmethod
    def of(cls, backbone: Backbone) -> Self:
        """Bring a network to the device.  Raises BackboneError for a GPU that the parent of a forked child uses."""
        import torch

        network, device = backbone.build(), _device()
        try:
            module = network.module.to(device, memory_format=torch.channels_last)
            mean, std = (
                255 * torch.tensor(values, device=device).view(3, 1, 1) for values in (network.mean, network.std)
            )
        except RuntimeError as error:
            if "fork" not in str(error):
                raise
            raise BackboneError(
                f"a forked child cannot use {backbone.name} on the GPU that its parent uses; start it another way, as "
                'with multiprocessing.get_context("spawn"), or use the GPU in the child alone'
            ) from error
        return cls(network._replace(module=module), mean, std, [], threading.RLock())


def _device() -> torch.device:
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _default_precision(device: torch.device) -> str:
    import torch

    if device.type != "cuda":
        return "f32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "f16"


@contextmanager
def _arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in a precision: by autocast, or in f32 that CUDA does not round to TF32 as it would by default."""
    import torch

    if precision != "f32":
        with torch.autocast(device.type, {"bf16": torch.bfloat16, "f16": torch.float16}[precision]):
            yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)

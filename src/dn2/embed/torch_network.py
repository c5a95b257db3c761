"""A network on PyTorch: pictures in batches, on a GPU where there is one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from dn2.embed.images import Pixels
from dn2.embed.network import AnyNetwork, Vector
from dn2.embed.registry import Backbone
from dn2.errors import BackboneError

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "f32", "bf16", "f16")

# Pictures at a time: on a CPU, where 4 to 16 are about as fast; on a GPU at first, and at most (the pipeline's window).
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
        """Take note of a batch that ran, and perhaps double the size."""
        self._batches += pictures == self.size
        if pictures < self.size or self._batches != 2:
            return
        rate = pictures / seconds
        if rate < WORTH_DOUBLING * self._rate:
            self.size //= 2  # and no further: the largest that was worth it
        elif 2 * self.size <= self._largest:
            self.size, self._rate, self._batches = 2 * self.size, rate, 0

    def failed(self) -> None:
        """Halve the size for good: a batch of it took more memory than there is."""
        self.size = self._largest = self.size // 2
        self._batches = 2


class TorchNetwork(AnyNetwork):
    """A timm network on CUDA where there is a GPU, else on Apple's (MPS), else on the CPU.

    precision : `f32`, `bf16`, `f16`, or `auto`, which on CUDA takes bf16 where the GPU computes in it and else f16, and
        f32 elsewhere.  The layers that need f32 keep it (PyTorch's autocast).

    Pictures are gathered to batches, in the order that they are started.  An embedding may differ in its last bits with
    the batch that it was computed in.  Raises BackboneError."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        import torch

        if precision not in PRECISIONS:
            raise BackboneError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        self.backbone = backbone
        self._device = _device()
        self.precision = _default_precision(self._device) if precision == "auto" else precision
        on_gpu = self._device.type == "cuda"
        self._batch = BatchSize(GPU_BATCH, LARGEST_GPU_BATCH) if on_gpu else BatchSize(CPU_BATCH, CPU_BATCH)
        network = backbone.build()
        self._module = network.module.to(self._device, memory_format=torch.channels_last)
        self._mean, self._std = (
            255 * torch.tensor(values, device=self._device).view(3, 1, 1) for values in (network.mean, network.std)
        )
        self._waiting: list[tuple[Pixels, Callable[[Vector], None]]] = []
        self._one_at_a_time = threading.RLock()
        self.dimension = self._measure_dimension()

    def start(self, pixels: Pixels, receive: Callable[[Vector], None]) -> None:
        """Embed one picture, (height, width, 3) uint8, with the next full batch; `receive` gets its (d,) vector."""
        with self._one_at_a_time:
            self._waiting.append((pixels.copy(), receive))
            if len(self._waiting) >= self._batch.size:
                self.wait()

    def wait(self) -> None:
        """Embed what is waiting for its batch to fill."""
        with self._one_at_a_time:
            waiting, self._waiting = self._waiting, []
            while waiting:
                batch = waiting[: self._batch.size]
                vectors = self._run([pixels for pixels, _ in batch])
                if vectors is None:
                    continue  # with smaller batches
                waiting = waiting[len(batch) :]
                for vector, (_, receive) in zip(vectors, batch, strict=True):
                    receive(vector.copy())

    def _run(self, pixels: list[Pixels]) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Embed a batch and note how long it took; None if memory was short and the batch size was halved."""
        import torch

        start = time.perf_counter()
        try:
            vectors = self._embed(np.stack(pixels))
        except torch.OutOfMemoryError as error:
            if self._batch.size == 1:
                raise BackboneError(
                    f"the GPU has too little memory for {self.backbone.name}, even for one picture at a time; free "
                    "some, take a smaller network, or hide the GPU to use the CPU (CUDA_VISIBLE_DEVICES=)"
                ) from error
            self._batch.failed()
            return None
        self._batch.ran(len(pixels), time.perf_counter() - start)
        return vectors

    def _embed(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed (n, height, width, 3) uint8 to (n, d)."""
        import torch

        with torch.inference_mode(), _arithmetic(self._device, self.precision):
            pictures = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2)
            embeddings = self._module((pictures.float() - self._mean) / self._std)
        return embeddings.float().cpu().numpy()  # type: ignore[no-any-return]

    def _measure_dimension(self) -> int:
        preprocessing = self.backbone.preprocessing
        try:
            shape = self._embed(np.zeros((1, preprocessing.height, preprocessing.width, 3), np.uint8)).shape
        except Exception as error:  # of more than a thousand networks, not all take a picture and give a vector
            raise BackboneError(f"{self.backbone.name} does not embed pictures: {error!r:.300}") from error
        if len(shape) != 2 or shape[0] != 1:
            raise BackboneError(f"{self.backbone.name} must give one vector, (1, d), for a picture, it gives {shape}")
        return int(shape[1])


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

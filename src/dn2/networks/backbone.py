"""Backbones, and the protocol of the networks that run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from dn2.arrays import Pixels, Vector
from dn2.networks.pixels import Preprocessing

TIMM = "timm/"


@dataclass(frozen=True)
class Backbone:
    """A frozen network and how to feed it.

    name : what the user calls it; digest : SHA-256 over everything that determines its output.
    normalize : the feature normalisation that measures best with it (see `dn2.neighbors.prepare.normalize`).
    probabilities : the number of last features that are a classifier's probabilities; equal in joined networks.
    runs_on : the library that computes it, see `dn2.networks.opening.open_network`.
    build : makes the network, in any process, so it can be pickled: for `openvino` its model, (1, height, width, 3)
        uint8 RGB to (1, d) float32; for `torch` a `dn2.networks.timm.TimmNetwork`.
    files : the bytes of the files that the user brought, which a saved model holds; empty for a packaged network."""

    name: str
    digest: str
    preprocessing: Preprocessing
    normalize: str
    build: Callable[[], Any]
    runs_on: Literal["openvino", "torch"] = "openvino"
    probabilities: int = 0
    files: tuple[bytes, ...] = ()


class AnyNetwork(Protocol):
    """A backbone made ready for this machine, whatever computes it.

    precision : of its arithmetic; dimension : the length d of its embeddings."""

    backbone: Backbone
    precision: str
    dimension: int

    def start(self, pixels: Pixels, receive: Callable[[Vector], None]) -> None:
        """Embed one picture, (height, width, 3) uint8; `receive` gets its (d,) vector, by `wait` at the latest."""

    def wait(self) -> None:
        """Wait until every picture started so far has been received."""

    def pack(self, vector: Vector) -> bytes:
        """Pack what a picture became into bytes, as a cache keeps it."""
        return vector.tobytes()

    def unpack(self, data: bytes) -> Vector:
        """Unpack what `pack` packed."""
        return np.frombuffer(data, np.float32)

    def embed(self, pixels: list[Pixels]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed pictures of shape (height, width, 3), uint8, to (n, d) float32."""
        vectors = np.empty((len(pixels), self.dimension), np.float32)
        for row, picture in zip(vectors, pixels, strict=True):
            self.start(picture, partial(np.copyto, row))
        self.wait()
        return vectors

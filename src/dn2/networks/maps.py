"""Networks whose inner maps are wanted, at several strides: patches of a picture, embedded."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, Literal

import numpy as np

from dn2.arrays import Array, Pixels
from dn2.extras import import_openvino
from dn2.networks.backbone import Backbone
from dn2.networks.openvino import Requests, choose_precision
from dn2.networks.pixels import Preprocessing
from dn2.system.processes import give_pages_back

Level = np.ndarray[Any, np.dtype[np.float16]]  # (height, width, d)
Maps = tuple[Level, ...]  # of one network, the finest first

# A large picture passes the network in tiles, each with what lies around it, so that memory does not grow with it.  A
# place of the coarsest map of lite0 sees 457 pixels on each side, the farthest of them faintly: with this margin maps
# differ from those in one piece by a tenth of what they vary by, at most, and with half of it by more than that.
TILE = 768
MARGIN = 256
AVERAGED = 3  # patches a side: each place is averaged with those around it, nothing lying beyond the edge

FULL_SIZE = 4096  # pixels a side that memory is planned for where pictures keep their size
LARGEST_NUMBER = float(np.finfo(np.float16).max)

HEADER = struct.Struct("<HHH")  # height, width and dimension of a map


def area_of(resolution: int | None, multiple: int, interpolation: str = "bicubic") -> Preprocessing:
    """Return how pictures become the input of a network that takes any size.

    resolution : they have as many pixels as a square of this side; None leaves them at their size."""
    side = FULL_SIZE if resolution is None else resolution
    shape: Literal["full", "area"] = "full" if resolution is None else "area"
    return Preprocessing(side, side, shape, interpolation=interpolation, multiple=multiple)


def largest_uncut(preprocessing: Preprocessing) -> int | None:
    """Return the longest side of an input that is left whole, in pixels; None where that is any."""
    if preprocessing.shape not in ("area", "full"):
        return None
    tile, margin = _sides(preprocessing.multiple)
    return tile + 2 * margin


class AnyMapNetwork(ABC):
    """A backbone whose maps are wanted, made ready for this machine; see `dn2.networks.backbone.AnyNetwork`.

    Maps are rounded to float16: they come the same from the cache as from the network.

    Attributes
    ----------
    dimensions : the length of the patch embeddings of each map; strides : pixels from one patch of it to the next."""

    backbone: Backbone
    precision: str
    dimensions: list[int]
    strides: list[int]

    @abstractmethod
    def _start_tile(self, pixels: Pixels, receive: Callable[[Sequence[Array]], None]) -> None:
        """Embed the patches of a part of a picture; `receive` gets its maps, (height, width, d) float16 each, which are
        there only until it returns."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until every picture started so far has been received."""

    def _measure(self) -> None:
        """Embed the patches of a small picture, and note how long and how far apart they are."""
        size = self.backbone.preprocessing
        small = size.shape in ("area", "full")
        height, width = (
            (max(1, TILE // 2 // size.multiple) * size.multiple,) * 2 if small else (size.height, size.width)
        )
        (maps,) = self.embed([np.zeros((height, width, 3), np.uint8)])
        self.dimensions = [level.shape[2] for level in maps]
        self.strides = [height // level.shape[0] for level in maps]

    def start(
        self,
        pixels: Pixels,
        receive: Callable[[Maps], None],
        passed: Callable[[Pixels], object] = give_pages_back,
    ) -> None:
        """Embed the patches of one picture, (height, width, 3) uint8; `receive` gets its maps, by `wait` at the latest,
        perhaps from another thread.

        passed : gets rows that are not needed any more; by default a large picture is used up as it passes."""
        preprocessing, (height, width) = self.backbone.preprocessing, pixels.shape[:2]
        if largest_uncut(preprocessing) is None:
            self._start_tile(pixels, lambda maps: receive(tuple(level.copy() for level in maps)))
            return
        side, margin = _sides(preprocessing.multiple)
        down, across = _cut(height, side, margin), _cut(width, side, margin)
        joined = _Joined(len(down) * len(across), receive)
        for top, bottom in down:
            for left, right in across:
                tile = (top, bottom), (left, right)
                around = (
                    slice(max(0, top - margin), min(bottom + margin, height)),
                    slice(max(0, left - margin), min(right + margin, width)),
                )
                self._start_tile(pixels[around], partial(joined.take, (height, width), tile, around))
            passed(pixels[: max(0, bottom - margin)])

    def embed(self, pixels: Sequence[Pixels]) -> list[Maps]:
        """Embed the patches of pictures, one after the other."""
        received: list[Maps] = []
        for picture in pixels:
            self.start(picture, received.append, lambda rows: None)
            self.wait()
        return received

    @staticmethod
    def pack(maps: Maps) -> bytes:
        """Pack maps into bytes, as a cache keeps them."""
        return b"".join(HEADER.pack(*level.shape) + level.tobytes() for level in maps)

    @staticmethod
    def unpack(data: bytes) -> Maps:
        """Unpack what `pack` packed."""
        maps, place = [], 0
        while place < len(data):
            shape = HEADER.unpack_from(data, place)
            place += HEADER.size
            level = np.frombuffer(data, np.float16, int(np.prod(shape)), place).reshape(shape)
            place += level.nbytes
            maps.append(level)
        return tuple(maps)


class MapNetwork(AnyMapNetwork):
    """A network on OpenVINO; precision : see `dn2.networks.openvino.Network`."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        self.backbone = backbone
        self.precision = choose_precision(precision)
        self._requests = Requests(partial(_with_patches, backbone.build), self.precision)
        self._measure()

    def _start_tile(self, pixels: Pixels, receive: Callable[[Sequence[Array]], None]) -> None:
        self._requests.start(pixels[None], receive)

    def wait(self) -> None:
        """See `AnyMapNetwork`."""
        self._requests.wait()


class _Joined:
    """Puts the maps of tiles together to those of a picture."""

    def __init__(self, tiles: int, receive: Callable[[Maps], None]) -> None:
        self._left = tiles
        self._receive = receive
        self._maps: Maps | None = None
        self._lock = Lock()

    def take(
        self,
        size: tuple[int, int],
        tile: tuple[tuple[int, int], tuple[int, int]],
        around: tuple[slice, slice],
        outputs: Sequence[Array],
    ) -> None:
        """Take the maps of one tile; around : the rows and columns of the picture that were embedded with it."""
        (top, bottom), (left, right) = tile
        strides = [(around[0].stop - around[0].start) // output.shape[0] for output in outputs]
        with self._lock:
            if self._maps is None:
                self._maps = tuple(
                    np.empty((size[0] // stride, size[1] // stride, output.shape[2]), np.float16)
                    for output, stride in zip(outputs, strides, strict=True)
                )
            for level, output, stride in zip(self._maps, outputs, strides, strict=True):
                rows, columns = (slice(low // stride, high // stride) for low, high in (tile[0], tile[1]))
                inner = (
                    slice((top - around[0].start) // stride, (bottom - around[0].start) // stride),
                    slice((left - around[1].start) // stride, (right - around[1].start) // stride),
                )
                level[rows, columns] = output[inner]
            self._left -= 1
            done = self._left == 0
        if done:
            self._receive(self._maps)


def _sides(multiple: int) -> tuple[int, int]:
    """Return the side of a tile and what lies around it, in pixels: about `TILE` and `MARGIN`, of whole patches."""
    return max(1, TILE // multiple) * multiple, -(-MARGIN // multiple) * multiple


def _cut(side: int, tile: int, margin: int) -> list[tuple[int, int]]:
    """Cut a side into tiles, or leave one that is little longer whole."""
    if side <= tile + 2 * margin:
        return [(0, side)]
    return [(start, min(start + tile, side)) for start in range(0, side, tile)]


def averaged(output: Any) -> Any:
    """Average a map of a network, (1, d, height, width), over neighbouring places: (1, height, width, d)."""
    op = import_openvino().opset13
    pad = AVERAGED // 2
    x = op.avg_pool(output, [1, 1], [pad, pad], [pad, pad], [AVERAGED, AVERAGED], False, "floor", "explicit")
    x = op.clamp(x, -LARGEST_NUMBER, LARGEST_NUMBER)
    return op.transpose(x, op.constant(np.array([0, 2, 3, 1])))


def _with_patches(build: Callable[[], Any]) -> Any:
    """Average the maps of a network over neighbouring places, and give them as (1, height, width, d) float16."""
    ov = import_openvino()
    network = build()
    averages = (averaged(output.get_node().input_value(0)) for output in network.outputs)
    outputs = [ov.opset13.convert(average, "f16") for average in averages]
    return ov.Model(outputs, network.get_parameters(), network.get_friendly_name())

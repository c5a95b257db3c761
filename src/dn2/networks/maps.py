"""Networks whose inner maps are wanted, at several strides: patches of a picture, embedded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from dn2.arrays import Array, Pixels
from dn2.extras import import_openvino
from dn2.networks.backbone import Backbone
from dn2.networks.openvino import Requests, choose_precision

Level = np.ndarray[Any, np.dtype[np.float16]]  # (height, width, d)
Maps = tuple[Level, ...]  # of one network, the finest first

# A large picture passes the network in tiles, each with what lies around it, so that memory does not grow with it.
TILE = 512
MARGIN = 128
LARGEST_UNCUT = TILE + 2 * MARGIN  # pixels a side of a picture that is left whole
AVERAGED = 3  # patches a side: each place is averaged with those around it, nothing lying beyond the edge

HEADER = struct.Struct("<HHH")  # height, width and dimension of a map


class MapNetwork:
    """A backbone whose maps are wanted, made ready for this machine; see `dn2.networks.backbone.AnyNetwork`.

    Maps are rounded to float16: they come the same from the cache as from the network.

    Attributes
    ----------
    dimensions : the length of the patch embeddings of each map; strides : pixels from one patch to the next."""

    def __init__(self, backbone: Backbone, precision: str = "auto") -> None:
        self.backbone = backbone
        self.precision = choose_precision(precision)
        self._requests = Requests(partial(_with_patches, backbone.build), self.precision)
        maps = self._of_tile(np.zeros((TILE // 2, TILE // 2, 3), np.uint8))
        self.dimensions = [level.shape[2] for level in maps]
        self.strides = [TILE // 2 // level.shape[0] for level in maps]

    def start(self, pixels: Pixels, receive: Callable[[Maps], None]) -> None:
        """Embed the patches of one picture, (height, width, 3) uint8; `receive` gets its maps from another thread."""
        tiles = list(_tiles(*pixels.shape[:2]))
        joined = _Joined(len(tiles), receive)
        for tile in tiles:
            (top, bottom), (left, right) = tile
            around = (
                slice(max(0, top - MARGIN), min(bottom + MARGIN, pixels.shape[0])),
                slice(max(0, left - MARGIN), min(right + MARGIN, pixels.shape[1])),
            )
            given = partial(joined.take, pixels.shape[:2], tile, (around[0].start, around[1].start))
            self._requests.start(np.ascontiguousarray(pixels[around])[None], given)

    def wait(self) -> None:
        """Wait until every picture started so far has been received."""
        self._requests.wait()

    def embed(self, pixels: Sequence[Pixels]) -> list[Maps]:
        """Embed the patches of pictures, one after the other."""
        received: list[Maps] = []
        for picture in pixels:
            self.start(picture, received.append)
            self.wait()
        return received

    def _of_tile(self, pixels: Pixels) -> Maps:
        return self.embed([pixels])[0]

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
        origin: tuple[int, int],
        outputs: Sequence[Array],
    ) -> None:
        """Take the maps of one tile, which begins at `origin` with what lies around it."""
        (top, bottom), (left, right) = tile
        with self._lock:
            if self._maps is None:
                self._maps = tuple(self._empty(size, tile, origin, output) for output in outputs)
            for level, output in zip(self._maps, outputs, strict=True):
                stride = size[0] // level.shape[0]
                rows, columns = (slice(low // stride, high // stride) for low, high in (tile[0], tile[1]))
                inner = (
                    slice((top - origin[0]) // stride, (bottom - origin[0]) // stride),
                    slice((left - origin[1]) // stride, (right - origin[1]) // stride),
                )
                level[rows, columns] = output[inner]
            self._left -= 1
            done = self._left == 0
        if done:
            self._receive(self._maps)

    @staticmethod
    def _empty(
        size: tuple[int, int], tile: tuple[tuple[int, int], tuple[int, int]], origin: tuple[int, int], output: Array
    ) -> Level:
        bottom = min(tile[0][1] + MARGIN, size[0])
        stride = (bottom - origin[0]) // output.shape[0]
        return np.empty((size[0] // stride, size[1] // stride, output.shape[2]), np.float16)


def _tiles(height: int, width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut a picture into tiles of at most `TILE` pixels a side, or leave one that is little larger whole."""
    return [(rows, columns) for rows in _cut(height) for columns in _cut(width)]


def _cut(side: int) -> list[tuple[int, int]]:
    if side <= LARGEST_UNCUT:
        return [(0, side)]
    return [(start, min(start + TILE, side)) for start in range(0, side, TILE)]


def averaged(output: Any) -> Any:
    """Average a map of a network, (1, d, height, width), over neighbouring places: (1, height, width, d)."""
    op = import_openvino().opset13
    pad = AVERAGED // 2
    x = op.avg_pool(output, [1, 1], [pad, pad], [pad, pad], [AVERAGED, AVERAGED], False, "floor", "explicit")
    return op.transpose(x, op.constant(np.array([0, 2, 3, 1])))


def _with_patches(build: Callable[[], Any]) -> Any:
    """Average the maps of a network over neighbouring places, and give them as (1, height, width, d) float16."""
    ov = import_openvino()
    network = build()
    averages = (averaged(output.get_node().input_value(0)) for output in network.outputs)
    outputs = [ov.opset13.convert(average, "f16") for average in averages]
    return ov.Model(outputs, network.get_parameters(), network.get_friendly_name())

"""PatchCore, written from its paper.

Source: Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler, "Towards Total Recall in Industrial Anomaly Detection", 2022.
The number of dimensions that the selection is projected to is that of its authors' code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from dn2.arrays import Array, Distances, Vectors
from dn2.errors import InputError
from dn2.kinds.image.bench.patches.papers import to_pixels
from dn2.neighbors.patches.joining import Map, join
from dn2.neighbors.patches.selecting import select
from dn2.networks.maps import Maps

SHARE = 0.01  # of all patches, which a bank holds by default
PROJECTED = 128
REWEIGHTED = 9  # patches of the bank around the one that is nearest to the strangest patch
LARGEST = 700.0  # of which the exponential is finite
AT_ONCE = 1 << 16  # rows that are projected together


@dataclass(frozen=True, eq=False)
class PatchCore:
    """A bank of patches; bank : (m, d); side : of the square input."""

    bank: Vectors
    side: int

    @classmethod
    def learn(cls, pictures: Iterable[Maps], side: int, size: int | None = None, seed: int = 0) -> Self:
        """Learn from the maps of normal pictures; size : patches of the bank, None for 1 % of all."""
        levels = [join(maps[:2]).astype(np.float16) for maps in pictures]
        if not levels:
            raise InputError("none of the pictures to learn from can be read")
        rows = np.concatenate(levels)
        del levels  # as large as the rows
        count = max(1, round(SHARE * len(rows))) if size is None else size
        chosen = select(project(rows, seed), count, seed)
        return cls(rows[chosen].astype(np.float32), side)

    def examine(self, maps: Maps) -> tuple[float, Map]:
        """Return the anomaly score of a picture and its map, at the pixels of the square input."""
        rows = join(maps[:2])
        squares = squared_distances(rows, self.bank)
        nearest = squares.argmin(axis=1)
        distances: Map = np.sqrt(squares[np.arange(len(rows)), nearest])
        strangest = int(distances.argmax())
        score = float(distances[strangest]) * self._weight(squares[strangest], int(nearest[strangest]))
        return score, to_pixels(distances.reshape(maps[0].shape[:2]), self.side)

    def _weight(self, squares: Distances, nearest: int) -> float:
        """Return the weight of the strangest patch, of squared distances (m,): the smaller, the more it is like each of
        the patches around the nearest one."""
        around = squared_distances(self.bank[nearest][None], self.bank)[0]
        others = np.argsort(around, kind="stable")[:REWEIGHTED]
        distances = np.sqrt(squares[others].astype(np.float64))
        farther = np.minimum(distances - np.sqrt(float(squares[nearest])), LARGEST)
        return float(1 - 1 / np.exp(farther).sum()) if len(others) > 1 else 1.0


def project(rows: Array, seed: int) -> Vectors:
    """Project rows, (n, d), at random to fewer dimensions, where they have more: (n, `PROJECTED`) float32."""
    d = rows.shape[1]
    if d <= PROJECTED:
        return rows.astype(np.float32)
    directions = np.random.default_rng(seed).normal(size=(d, PROJECTED)).astype(np.float32) / np.float32(
        np.sqrt(PROJECTED)
    )
    projected = np.empty((len(rows), PROJECTED), np.float32)
    for start in range(0, len(rows), AT_ONCE):
        projected[start : start + AT_ONCE] = rows[start : start + AT_ONCE].astype(np.float32) @ directions
    return projected


def squared_distances(rows: Vectors, bank: Vectors) -> Distances:
    """Return the squared L2 distances of rows, (n, d), from the patches of a bank, (m, d): (n, m)."""
    squares: Distances = rows @ (-2 * bank.T)
    squares += np.einsum("ij,ij->i", rows, rows)[:, None]
    squares += np.einsum("ij,ij->i", bank, bank)
    np.maximum(squares, 0, out=squares)
    return squares

"""PaDiM, written from its paper.

Source: Defard, Setkov, Loesch, Audigier, "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", 2021."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Self

import numpy as np

from dn2.arrays import Array, Positions, Vectors
from dn2.errors import InputError
from dn2.kinds.image.bench.patches.papers import to_pixels
from dn2.neighbors.patches.joining import Map, join
from dn2.networks.maps import Maps

CHANNELS = 100  # drawn at random, as of the paper's smaller network
REGULAR = 0.01  # added to the variance of each channel
AT_ONCE = 32  # pictures that are summed up together


class Moments:
    """Sums over pictures, at each place, about the mean of the first few, so that digits are kept.

    rows : (places, pictures, c) of the first few."""

    def __init__(self, rows: Array) -> None:
        self._about = rows.mean(axis=1, keepdims=True)
        self._total: Array = np.zeros(rows.shape[::2])
        self._products: Array = np.zeros((*rows.shape[::2], rows.shape[2]))
        self._count = 0

    def add(self, rows: Array) -> None:
        """Take pictures in, (places, pictures, c)."""
        away = rows - self._about
        self._total += away.sum(axis=1)
        self._products += away.transpose(0, 2, 1) @ away
        self._count += rows.shape[1]

    def gaussians(self) -> tuple[Array, Array]:
        """Return means, (places, c), and covariances, (places, c, c)."""
        means = self._total / self._count
        products = self._products - self._count * means[:, :, None] * means[:, None, :]
        return means + self._about[:, 0], products / max(1, self._count - 1)


@dataclass(frozen=True, eq=False)
class PaDiM:
    """A Gaussian at each place.

    channels : (c,) those that are used; means : (places, c); inverses : (places, c, c) of the covariances.
    side : of the square input."""

    channels: Positions
    means: Vectors
    inverses: Array
    side: int

    @classmethod
    def learn(cls, pictures: Iterable[Maps], side: int, seed: int = 0) -> Self:
        """Learn from the maps of normal pictures."""
        left = iter(pictures)
        channels: Positions = np.empty(0, np.int64)
        moments: Moments | None = None
        while some := list(islice(left, AT_ONCE)):
            if moments is None:
                d = sum(level.shape[2] for level in some[0])
                channels = np.sort(np.random.default_rng(seed).permutation(d)[:CHANNELS])
            rows = np.stack([join(maps)[:, channels] for maps in some], axis=1)
            moments = moments or Moments(rows)
            moments.add(rows)
        if moments is None:
            raise InputError("none of the pictures to learn from can be read")
        means, covariances = moments.gaussians()
        inverses = np.linalg.inv(covariances + REGULAR * np.eye(len(channels)))
        return cls(channels, means.astype(np.float32), inverses.astype(np.float32), side)

    def examine(self, maps: Maps) -> tuple[float, Map]:
        """Return the anomaly score of a picture and its map, at the pixels of the square input."""
        away = join(maps)[:, self.channels] - self.means
        squares = ((away[:, None, :] @ self.inverses)[:, 0, :] * away).sum(axis=1)
        anomaly_map = to_pixels(np.sqrt(np.maximum(squares, 0)).reshape(maps[0].shape[:2]), self.side)
        return float(anomaly_map.max()), anomaly_map

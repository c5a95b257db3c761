"""A group as one item: its members' embeddings pooled without order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Scores, Vectors
from dn2.errors import InputError
from dn2.neighbors.prepare.normalize import NORMALIZATIONS

MEAN, GEOMETRIC = "mean", "geometric"

# Pooled values of the same members differ by at most this share of their length.
ROUNDING = 2.0**-22


@dataclass(frozen=True)
class Pooling:
    """How the members of a group become one item.

    members : how they are normalised first.
    pooling : `mean` is the paper's; `geometric` takes the geometric mean of each feature, which is near the smallest
        of the members' values: what they have in common.  The values must be at least 0; 1 / sqrt(d), the root mean
        square of a row of length 1, is added to them first, so that a single zero does not decide.
    Raises InputError for any other value."""

    members: str
    pooling: str

    def __post_init__(self) -> None:
        if self.members not in NORMALIZATIONS or self.pooling not in (MEAN, GEOMETRIC):
            raise InputError(f"members normalised by {self.members!r} and pooled by {self.pooling!r}")

    @classmethod
    def of(cls, normalization: str) -> Self:
        """Choose what measures best with members normalised so (benchmarks/pooling.py)."""
        return cls(normalization, GEOMETRIC if normalization == "root-unit" else MEAN)

    def pool(self, members: Vectors) -> Vectors:
        """Pool a group's m (normalised) members, (m, d), to one row, (d,), the same bit for bit in any order."""
        pooled: Vectors = self._mean(np.sort(members, axis=0)).astype(np.float32)
        return pooled

    def _mean(self, members: Vectors) -> Scores:
        if self.pooling == MEAN:
            return members.mean(axis=0, dtype=np.float64)  # type: ignore[no-any-return]
        means: Scores = np.exp(self._logarithms(members).mean(axis=0))
        return means

    @staticmethod
    def _logarithms(members: Vectors) -> Scores:
        logarithms: Scores = np.log(members.astype(np.float64) + 1 / math.sqrt(members.shape[1]))
        return logarithms

    def contributions(self, members: Vectors, neighbors: Vectors) -> Scores:
        """Split a group's anomaly score over its members.

        members : (m, d) embeddings, as they are pooled; neighbors : (k, d) pooled embeddings of its nearest groups.
        Returns (m,): how much each member pulls the group away from its neighbours, negative if it pulls it near.
        With q the members x_i pooled and n a neighbour, q - n = 1/m sum_i c_i, where c_i is x_i - n for the mean and
        (q - n) (log x_i - log n) / (log q - log n) for the geometric mean.  So |q - n|^2 = 1/m sum_i <c_i, q - n>:
        averaged over the neighbours, the parts add up to the score."""
        parts = [self._parts(members, near) for near in neighbors.astype(np.float64)]
        shares: Scores = np.mean(parts, axis=0) / len(members)
        return shares

    def _parts(self, members: Vectors, near: Scores) -> Scores:
        away = self._mean(members) - near
        if self.pooling == MEAN:
            parts: Scores = (members - near) @ away
            return parts
        apart = self._logarithms(members) - np.log(near)
        ratio = apart.mean(axis=0)  # log q - log n
        slope = near * np.divide(np.expm1(ratio), ratio, out=np.ones_like(ratio), where=ratio != 0)
        parts = apart @ (slope * away)
        return parts

    def shares(self, members: Vectors, neighbors: Vectors) -> Scores:
        """Return the contributions as shares of the score, (m,), which add up to 1.

        All are 0 for a copy of its neighbours, whose distance is rounding alone."""
        parts = self.contributions(members, neighbors)
        lengths = (neighbors.astype(np.float64) ** 2).sum(axis=1)
        total = parts.sum()
        return parts / total if total > ROUNDING**2 * lengths.mean() else np.zeros(len(parts))

    def as_dict(self) -> dict[str, Any]:
        """Return the values as recorded in `model.json`."""
        return {"pooling": self.pooling, "members": self.members}

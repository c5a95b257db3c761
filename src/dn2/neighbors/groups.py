"""A group as one item: its members' embeddings pooled without order."""

from __future__ import annotations

import numpy as np

from dn2.neighbors.conformal import Scores
from dn2.neighbors.exact import Vectors

# A mean of the same members in another order differs by this share of its length at the most.
ROUNDING = 2.0**-22


def pool(members: Vectors) -> Vectors:
    """Pool the (normalised) embeddings of a group's m members, (m, d), to one, (d,): their mean."""
    pooled: Vectors = members.mean(axis=0, dtype=np.float64).astype(np.float32)
    return pooled


def contributions(members: Vectors, neighbors: Vectors) -> Scores:
    """Split a group's anomaly score over its members.

    members : (m, d) embeddings, as they were pooled; neighbors : (k, d) pooled embeddings of its nearest groups.
    Returns (m,): how much each member pulls the group away from its neighbours, negative where it holds it near.
    With q the mean of the members x_i and n a neighbour, |q - n|^2 = 1/m sum_i <x_i - n, q - n>: averaged over the
    neighbours, the parts add up to the score."""
    rows, near = members.astype(np.float64), neighbors.astype(np.float64)
    away = rows.mean(axis=0) - near
    parts = rows @ away.T - (near * away).sum(axis=1)
    shares: Scores = parts.mean(axis=1) / len(rows)
    return shares


def shares_of_members(members: Vectors, neighbors: Vectors) -> Scores:
    """Return the contributions as shares of the score, (m,), which add up to 1.

    All are 0 for a copy of its neighbours, which lies away from them by rounding alone."""
    parts = contributions(members, neighbors)
    lengths = (neighbors.astype(np.float64) ** 2).sum(axis=1)
    total = parts.sum()
    return parts / total if total > ROUNDING**2 * lengths.mean() else np.zeros(len(parts))

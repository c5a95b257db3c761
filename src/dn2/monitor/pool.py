"""The scores of a stream among all that came before, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from dn2.arrays import Positions, Scores

SIDE = 512  # heights are numbers below its square
DROPPED = 32 - 18  # bits of a float32, so that 18 are left: scores that differ by 2 in 1,000 may count as equal
AT_ONCE = 256


def heights_of(scores: Scores) -> Positions:
    """Return how high scores are, (n,): whole numbers from 0 to 2^18 - 1 in the order of the scores.

    Nothing but a score itself decides its height: what is exchangeable stays so."""
    bits = (np.asarray(scores, np.float32) + np.float32(0)).view(np.uint32)  # which makes -0 a 0
    ordered = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
    heights: Positions = (ordered >> DROPPED).astype(np.int64)
    return heights


class Pool:
    """Scores, counted by their heights.

    counts : (SIDE, SIDE) by the first and the second digit of a height."""

    def __init__(self, heights: Positions) -> None:
        self.counts = np.bincount(heights, minlength=SIDE * SIDE).reshape(SIDE, SIDE)
        self._of_rows = self.counts.sum(axis=1)

    def ranks(self, heights: Positions, chances: Scores) -> Scores:
        """Rank scores one after the other among those before, let each join, and return the ranks, (n,) in [0, 1).

        A rank is the share of scores that are higher, of those before and its own; chances : (n,) even numbers of
        [0, 1) that say how much of those as high counts.  Where all scores are exchangeable, the ranks are independent
        and even.  Source: Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", 2003."""
        parts = [slice(start, start + AT_ONCE) for start in range(0, len(heights), AT_ONCE)]
        return np.concatenate([np.empty(0), *(self._ranks(heights[part], chances[part]) for part in parts)])

    def _ranks(self, heights: Positions, chances: Scores) -> Scores:
        n, known, digits = len(heights), int(self._of_rows.sum()), np.arange(SIDE)
        row, column = np.divmod(heights, SIDE)
        above_rows = self._of_rows[::-1].cumsum()[::-1] - self._of_rows
        higher = above_rows[row] + np.where(digits > column[:, None], self.counts[row], 0).sum(axis=1)
        before = np.tri(n, k=-1, dtype=bool)
        higher += ((heights > heights[:, None]) & before).sum(axis=1)
        equal = self.counts[row, column] + ((heights == heights[:, None]) & before).sum(axis=1)
        np.add.at(self.counts, (row, column), 1)
        np.add.at(self._of_rows, row, 1)
        ranks: Scores = (higher + chances * (equal + 1)) / (known + np.arange(n) + 1)
        return ranks

    def since(self, heights: Positions) -> dict[str, list[int]]:
        """Return what joined since it was made of some heights: heights and how often each."""
        joined = self.counts.ravel() - np.bincount(heights, minlength=SIDE * SIDE)
        there = np.flatnonzero(joined)
        return {"heights": there.tolist(), "counts": joined[there].tolist()}

    @classmethod
    def restored(cls, heights: Positions, about: Any) -> Self:
        """Make it of heights, and let join what `since` gave.  Raises LookupError, TypeError, ValueError else."""
        pool = cls(heights)
        there, counts = (_whole(about[name]) for name in ("heights", "counts"))
        if there.shape != counts.shape or ((there < 0) | (there >= SIDE * SIDE)).any() or (counts < 0).any():
            raise ValueError("heights must be whole numbers up to 2^18 - 1, with a count each")
        np.add.at(pool.counts, np.divmod(there, SIDE), counts)
        pool._of_rows = pool.counts.sum(axis=1)
        return pool


def _whole(numbers: Sequence[int]) -> Positions:
    if not all(type(one) is int for one in numbers):
        raise ValueError("whole numbers are counted")
    return np.array(numbers, np.int64)

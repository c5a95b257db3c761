"""What a detector has learnt at a moment: a change makes a new one, and whoever reads the old is not disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dn2.errors import InputError
from dn2.neighbors.blocks import Positions, Vectors
from dn2.neighbors.columns import Scaling
from dn2.neighbors.conformal import Calibration, Scores, mean_squared_distance, near_duplicates
from dn2.neighbors.exact import Distances
from dn2.neighbors.reference import ReferenceSet

SPLIT_AT_ONCE = 1 << 22  # numbers


@dataclass(frozen=True)
class Fitted:
    """A reference set, what its p-values rest on, and the rate to decide at."""

    reference: ReferenceSet
    calibration: Calibration
    false_alarm_rate: float

    @classmethod
    def of(cls, reference: ReferenceSet, false_alarm_rate: float | None) -> Self:
        """Calibrate a reference set.  Raises ReferenceTooSmall for a false-alarm rate that it cannot support."""
        calibration = reference.calibration
        return cls(reference, calibration, calibration.rate(false_alarm_rate))

    @property
    def offset(self) -> float:
        """The negative of the largest score that is no alarm."""
        return -self.calibration.threshold(self.false_alarm_rate)

    @property
    def aside(self) -> Positions:
        """The positions of the items that cleaning set aside, ascending."""
        learnt = self.reference.learnt
        return np.empty(0, np.int64) if learnt is None else learnt.aside

    def search(self, rows: Vectors, k: int) -> tuple[Distances, Positions]:
        """Return squared L2 distances and positions of the nearest reference items of rows, (n, d): (n, k) each.

        Raises InputError for more neighbours than there are items."""
        index = self.reference.index
        if k > len(index):
            raise InputError(f"n_neighbors must lie in 1 ... {len(index)} reference items, got {k}")
        return index.search(self.reference.compared(rows), k)

    def split(self, rows: Vectors, distances: Distances, positions: Positions) -> Scores:
        """Split the scores of rows, (n, d), over their columns, given what `search` found for them: (n, d)."""
        reference = self.reference
        scaling = Scaling.none(rows.shape[1]) if reference.learnt is None else reference.learnt.columns
        rows = reference.compared(rows)
        step = max(1, SPLIT_AT_ONCE // (rows.shape[1] * distances.shape[1]))
        parts = [np.empty((0, rows.shape[1]))]
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            near = reference.compared_with(rows[some], positions[some])
            parts.append(np.square(rows[some, None] - near.astype(np.float64)).mean(axis=1))
        return scaling.by_column(np.concatenate(parts), mean_squared_distance(distances))

    def near_duplicates(self) -> list[tuple[int, int]]:
        """List (item, nearest other item), by position, of calibrating items that have a near copy."""
        learnt, loo = self.reference.learnt, self.reference.loo
        if self.reference.line is not None or (learnt is not None and not learnt.tells_copies):
            return []
        copies = near_duplicates(loo.distances[:, 0])
        return [(int(a), int(b)) for a, b in zip(loo.members[copies], loo.neighbors[copies, 0], strict=True)]

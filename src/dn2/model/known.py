"""Scores of items that are known to be normal or anomalous."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dn2.arrays import Flags, Scores
from dn2.results.evaluation import Evaluation, evaluate
from dn2.results.rows import Row

logger = logging.getLogger("dn2")

REFERENCE_ITEMS = (
    "%d of %d %s items are reference items, or copies of them: such an item has itself as a neighbour, and the figures "
    "are not those of new items; keep some items back from fit, and give those"
)


class KnownScores(NamedTuple):
    """Scores, p-values and truth of n items, (n,) each.

    unreadable : rows of the unreadable items, which are left out.
    normal_reference, anomalous_reference : how many items are reference items, or copies of them.
    parts : (n,) what the items belong to, where the model tells it."""

    scores: Scores
    p_values: Scores
    is_anomalous: Flags
    unreadable: list[Row]
    normal_reference: int
    anomalous_reference: int
    parts: Sequence[str | None] | None = None

    def evaluate(self, rate: float, warn_rate: float | None = None) -> Evaluation:
        """Compare with the truth, decided at a rate, and warn of reference items.  Raises InputError unless
        both classes have items."""
        figures = evaluate(self.scores, self.p_values, self.is_anomalous, rate, warn_rate, self.parts)
        if self.normal_reference:
            logger.warning(REFERENCE_ITEMS, self.normal_reference, figures.n_normal, "normal")
        if self.anomalous_reference:
            logger.warning(REFERENCE_ITEMS, self.anomalous_reference, figures.n_anomalous, "anomalous")
        return replace(figures, normal_reference=self.normal_reference, anomalous_reference=self.anomalous_reference)

"""Whether the bulk of a batch is farther from the reference set than its own items are."""

from __future__ import annotations

import math
from typing import NamedTuple

from dn2.arrays import Scores

FEWEST = 50
TENTH, MIDDLE = 0.1, 0.55
FEWEST_LEFT = 0.35  # of a batch with p-values above a tenth, where not two thirds of it are anomalies
FEWEST_ABOVE = 0.4  # of these, of which half should lie above the middle, where some are slightly odd
DEVIATIONS = 2.8  # about one in 400 batches that just reach these


class Shift(NamedTuple):
    """The p-values of a batch that is far out as a whole: the share of at most a tenth, and the share of the others
    that lies above 0.55, where half of them should."""

    small: float
    above: float


def find_shift(p_values: Scores, sample_size: int) -> Shift | None:
    """Test whether more of a batch is far out than anomalies among normal items explain.

    Most anomalies have p-values of a tenth and less, and above it those of normal items are even.  The test allows for
    the error of the calibrating items, which all p-values share, and says nothing of fewer than 50.

    p_values : (n,); sample_size : how many items calibrate."""
    left = p_values > TENTH
    if len(p_values) < FEWEST:
        return None
    above = float((p_values[left] > MIDDLE).mean()) if left.any() else 0.0
    is_low = _is_below(left.mean(), FEWEST_LEFT, len(left), sample_size)
    if is_low or _is_below(above, FEWEST_ABOVE, int(left.sum()), sample_size):
        return Shift(float(1 - left.mean()), above)
    return None


def _is_below(share: float, usual: float, n: int, sample_size: int) -> bool:
    error = math.sqrt(usual * (1 - usual) * (1 / max(n, 1) + 1 / sample_size))
    return bool(usual - share > DEVIATIONS * error)

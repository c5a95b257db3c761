"""What an approximate search loses, measured with rows that an exact search has searched as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dn2.arrays import Distances, Positions, Scores
from dn2.neighbors.calibration import mean_squared_distance

TRIED = 1_000  # rows that accuracy is measured with, or a quarter of the rows learnt from


@dataclass(frozen=True)
class Accuracy:
    """What is lost, of a sample of the rows learnt from among the others.

    recall : share of the k nearest neighbours that are found, or others as near.
    auc_loss : how much the ROC AUC falls at most, whatever the anomalies are: the largest difference of the two
        distributions of the sample's scores.  (An anomaly's score can only rise, which raises the area.)
    p_change : the largest change of a p-value of the sample within it."""

    recall: float
    auc_loss: float
    p_change: float

    @classmethod
    def of(cls, exact: Distances, found: Distances) -> Self:
        """Compare squared distances to the k nearest rows, (n, k), with the distances to the rows found."""
        scores, found_scores = mean_squared_distance(exact), mean_squared_distance(found)
        return cls(
            recall_of(exact, found),
            _largest_difference(scores, found_scores),
            float(np.abs(_p_values(scores) - _p_values(found_scores)).max()),
        )


def recall_of(exact: Distances, found: Distances) -> float:
    """Return the share of the k nearest that are found, or others as near, by squared distances, (n, k)."""
    return float((found <= exact[:, -1:]).mean())


def choose_tried(learning: Positions) -> Positions:
    """Choose the rows that accuracy is measured with, of the rows learnt from, in random order."""
    return learning[: min(TRIED, len(learning) // 4)]


def _largest_difference(scores: Scores, others: Scores) -> float:
    at = np.concatenate([scores, others])
    shares = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (scores, others)]
    return float(np.abs(shares[0] - shares[1]).max())


def _p_values(scores: Scores) -> Scores:
    as_large = len(scores) - np.searchsorted(np.sort(scores), scores, side="left")
    p_values: Scores = (1 + as_large) / (len(scores) + 1)
    return p_values

"""What an approximate search loses, measured with rows that an exact search has searched as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dn2.arrays import Distances, Positions, Scores, Vectors
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.checks import LARGEST_LENGTH

TRIED = 1_000  # rows that accuracy is measured with, or a quarter of the rows learnt from
STRANGE = 200  # queries of each kind that are unlike the rows
OUTWARDS, MOVED = 10, (3, 100)  # how far such queries are moved, in distances from the mean


@dataclass(frozen=True)
class Accuracy:
    """What is lost, of a sample of the rows learnt from among the others.

    recall : share of the k nearest neighbours that are found, or others as near.
    strange_recall : the same for queries that are unlike the rows, of the kind for which it is least: see
        `with_strange_queries`.
    auc_loss : how much the ROC AUC falls at most, whatever the anomalies are: the largest difference of the two
        distributions of the sample's scores.  (An anomaly's score can only rise, which raises the area.)
    p_change : the largest change of a p-value of the sample within it."""

    recall: float
    strange_recall: float
    auc_loss: float
    p_change: float

    @classmethod
    def of(cls, exact: Distances, found: Distances, kinds: Positions) -> Self:
        """Compare squared distances to the k nearest rows, (n, k), with the distances to the rows found.

        kinds : (n,) 0 for a row of the sample, and a number for each kind of strange queries."""
        recalls = recalls_of(exact, found, kinds)
        exact, found = exact[kinds == 0], found[kinds == 0]
        scores, found_scores = mean_squared_distance(exact), mean_squared_distance(found)
        return cls(
            recalls[0],
            min(recalls[1:], default=1.0),
            _largest_difference(scores, found_scores),
            float(np.abs(_p_values(scores) - _p_values(found_scores)).max()),
        )


def recall_of(exact: Distances, found: Distances) -> float:
    """Return the share of the k nearest that are found, or others as near, by squared distances, (n, k)."""
    return float((found <= exact[:, -1:]).mean())


def recalls_of(exact: Distances, found: Distances, kinds: Positions) -> list[float]:
    """Return the recall of each kind of queries, 0 and those after it, that is among these; kinds : (n,)."""
    return [recall_of(exact[kinds == kind], found[kinds == kind]) for kind in np.unique(kinds)]


def with_strange_queries(rows: Vectors) -> tuple[Vectors, Positions]:
    """Append to rows, (n, d), queries that are unlike them, of several kinds: halfway between two of them, each number
    from another row, farther out from the mean, and moved in any direction, by little and by much.

    Returns all queries, and of each its kind: see `Accuracy.of`."""
    rng, some = np.random.default_rng(0), rows[:STRANGE].astype(np.float64)
    mean = rows.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.square(some - mean).sum(axis=1).mean())
    directions = rng.normal(size=some.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    strange = [
        (some + rows[::-1][: len(some)]) / 2,
        rng.permuted(rows, axis=0)[: len(some)],
        mean + OUTWARDS * (some - mean),
        *(some + times * spread * directions for times in MOVED),
    ]
    most = LARGEST_LENGTH / np.sqrt(rows.shape[1])
    parts = [rows, *(queries.clip(-most, most).astype(np.float32) for queries in strange)]
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


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

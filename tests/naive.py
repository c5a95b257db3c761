"""The slow, obviously right version of each fast path: plain loops, float64, no code of dn2."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np


def squared_distance(a: Any, b: Any) -> float:
    """Return the squared L2 distance of two rows."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return float((difference * difference).sum())


def nearest(query: Any, reference: Any, k: int, exclude: int | None = None) -> list[tuple[float, int]]:
    """Return (squared distance, position) of the k nearest rows, nearest first, the lower position first in a tie."""
    pairs = [(squared_distance(query, row), place) for place, row in enumerate(reference) if place != exclude]
    return sorted(pairs)[:k]


def search(queries: Any, reference: Any, k: int, exclude: Sequence[int] | None = None) -> tuple[Any, Any]:
    """Return squared distances and positions, both (n_queries, k)."""
    left_out = [None] * len(queries) if exclude is None else exclude
    found = [nearest(query, reference, k, out) for query, out in zip(queries, left_out, strict=True)]
    distances = np.array([[distance for distance, _ in near] for near in found], np.float64).reshape(-1, k)
    positions = np.array([[place for _, place in near] for near in found], np.int64).reshape(-1, k)
    return distances, positions


def merged_search(query: Any, blocks: Sequence[Any], k: int) -> list[tuple[float, int]]:
    """Search each block by itself, then merge; positions count through all blocks."""
    found: list[tuple[float, int]] = []
    start = 0
    for block in blocks:
        found += [(distance, start + place) for distance, place in nearest(query, block, k)]
        start += len(block)
    return sorted(found)[:k]


def mean_squared_distance(query: Any, reference: Any, k: int, exclude: int | None = None) -> float:
    """Return the anomaly score of one query."""
    return sum(distance for distance, _ in nearest(query, reference, k, exclude)) / k


def leave_one_out_scores(reference: Any, k: int) -> list[float]:
    """Score each row against all the others."""
    return [mean_squared_distance(row, reference, k, exclude=place) for place, row in enumerate(reference)]


def p_value(score: float, calibration: Iterable[float]) -> Fraction:
    """Return the share of scores at least as large, the query's own among them."""
    calibration = list(calibration)
    as_large = sum(1 for other in calibration if other >= score)
    return Fraction(1 + as_large, 1 + len(calibration))


def smallest_reference(rate: float) -> int:
    """Return the smallest n for which the smallest p-value, 1 / (n + 1), is no larger than the rate."""
    n = 1
    while 1 / (n + 1) > rate:
        n += 1
    return n


def near_duplicates(reference: Any, share: float) -> list[bool]:
    """Mark rows whose nearest other row lies within a share of the median of these distances."""
    distances = [math.sqrt(nearest(row, reference, 1, exclude=place)[0][0]) for place, row in enumerate(reference)]
    return [distance <= share * float(np.median(distances)) for distance in distances]


def benjamini_hochberg(p_values: Sequence[Fraction], level: Fraction) -> list[bool]:
    """Reject the hypotheses of the i smallest p-values, i the largest with p_(i) <= i * level / n."""
    n = len(p_values)
    ascending = sorted(p_values)
    rejected = max((i for i in range(1, n + 1) if ascending[i - 1] <= i * level / n), default=0)
    return [rejected > 0 and p <= ascending[rejected - 1] for p in p_values]


def roc_auc(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the share of (anomalous, normal) pairs in the right order; a tie counts half."""
    anomalous = [score for score, is_anomalous in zip(scores, truth, strict=True) if is_anomalous]
    normal = [score for score, is_anomalous in zip(scores, truth, strict=True) if not is_anomalous]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in anomalous for b in normal)
    return won / (len(anomalous) * len(normal))


def fpr_at_tpr(scores: Sequence[float], truth: Sequence[bool], share: float) -> float:
    """Return the share of normals flagged at the highest threshold that finds at least a share of the anomalies."""
    anomalous = sorted(score for score, is_anomalous in zip(scores, truth, strict=True) if is_anomalous)
    normal = [score for score, is_anomalous in zip(scores, truth, strict=True) if not is_anomalous]
    threshold = max(t for t in scores if sum(score >= t for score in anomalous) / len(anomalous) >= share)
    return sum(score >= threshold for score in normal) / len(normal)

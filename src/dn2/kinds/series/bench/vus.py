"""The volume under the precision-recall surface of scores of points, without point adjustment.

Source: Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly
Detection", 2022, in the form of the TSB-AD benchmark, 2024, with whose code it is compared in the tests."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Flags, Positions, Scores

LARGEST_BUFFER = 100  # points
THRESHOLDS = 250


def vus_pr(scores: Scores, truth: Flags, largest: int = LARGEST_BUFFER) -> float:
    """Return the mean area under the precision-recall curve, in [0, 1], over buffers of 0 ... `largest` points.

    scores : (n,) higher is more anomalous; truth : (n,) bool.
    A buffer of w points lets the labels of each anomaly fall off over w // 2 points on both sides, as sqrt(1 - d / w)
    at the distance d; and the recall counts the share of anomalies, with their buffers, that are found at all."""
    n, edges = len(truth), np.flatnonzero(np.diff(np.concatenate([[0], truth.astype(int), [0]])))
    firsts, lasts = edges[::2], edges[1::2] - 1
    limits = -np.sort(-scores)[np.linspace(0, n - 1, THRESHOLDS).astype(int)]
    flagged = _count_reaching(scores, limits)
    within = _count_reaching(scores[truth], limits)
    areas = []
    for width in range(largest + 1):
        ramps = np.where(truth, 0.0, _widen_labels(truth, firsts, lasts, width))
        around = np.flatnonzero(ramps)
        reached = _count_reaching(scores[around], limits, ramps[around])
        highest = [scores[first:stop].max() for first, stop in _merge_anomalies(firsts, lasts, width // 2, n)]
        share_found = _count_reaching(np.array(highest), limits) / len(highest)
        recall = np.minimum((within + reached) / (truth.sum() + reached / 2), 1) * share_found
        areas.append(np.diff(recall, prepend=0) @ ((within + reached) / flagged))
    return float(np.mean(areas))


def _count_reaching(scores: Scores, limits: Scores, weights: Scores | None = None) -> Scores:
    """Return the number, or the weight, of the scores that reach each limit, (m,); limits descend."""
    first = np.searchsorted(-limits, -scores, side="left")  # the highest limit that a score reaches
    reached: Scores = np.cumsum(np.bincount(first, weights, len(limits) + 1)[: len(limits)])
    return reached


def _widen_labels(truth: Flags, firsts: Positions, lasts: Positions, width: int) -> Scores:
    """Return labels, (n,), that fall off on both sides of each anomaly."""
    labels = truth.astype(float)
    for step in range(1, width // 2 + 1):
        weight = np.sqrt(1 - step / width)
        for places in (firsts - step, lasts + step):
            np.add.at(labels, places[(places >= 0) & (places < len(labels))], weight)
    capped: Scores = np.minimum(labels, 1)
    return capped


def _merge_anomalies(firsts: Positions, lasts: Positions, half: int, n: int) -> list[tuple[int, int]]:
    """Return where anomalies with their buffers start and stop; anomalies that touch count as one."""
    apart = np.flatnonzero(lasts[:-1] + half >= firsts[1:] - half)
    starts, stops = np.delete(firsts, apart + 1) - half, np.delete(lasts, apart) + half + 1
    return list(zip(np.maximum(starts, 0).tolist(), np.minimum(stops, n).tolist(), strict=True))

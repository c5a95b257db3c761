"""Measures of how well scores and decisions separate items whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dn2.arrays import Flags, Scores
from dn2.errors import InputError
from dn2.results.segmentation import SegmentationFigures


@dataclass(frozen=True)
class Evaluation:
    """Figures of merit on known normal and anomalous items; every share lies in [0, 1].

    roc_auc, average_precision : of the scores, independent of any threshold.
    fpr_at_95_tpr : share of normals flagged at the threshold that finds 95 % of the anomalies.
    false_alarms, detected : share of normals and of anomalies flagged at `false_alarm_rate`; of items that belong to
        parts, the mean over parts of the share of each.
    normal_reference, anomalous_reference : how many of the items are reference items, or copies of reference items;
        unless both are 0, the figures do not hold for new items.
    warn_rate : the laxer rate to warn at, if there is one; false_alarms_or_warnings, detected_or_warned : share of
        normals and of anomalies that are flagged or warned of.
    with_regions : share of normals in which a region is found, where a model finds regions and was measured by them.
    segmentation : how well the regions show where the defects lie, likewise."""

    n_normal: int
    n_anomalous: int
    roc_auc: float
    average_precision: float
    fpr_at_95_tpr: float
    false_alarm_rate: float
    false_alarms: float
    detected: float
    normal_reference: int = 0
    anomalous_reference: int = 0
    warn_rate: float | None = None
    false_alarms_or_warnings: float | None = None
    detected_or_warned: float | None = None
    with_regions: float | None = None
    segmentation: SegmentationFigures | None = None


def evaluate(
    scores: Scores,
    p_values: Scores,
    is_anomalous: np.ndarray[Any, Any],
    rate: float,
    warn_rate: float | None = None,
    parts: Sequence[str | None] | None = None,
) -> Evaluation:
    """Measure scores and p-values, (n,), against the truth, (n,) bool.

    parts : (n,) what the items belong to, None for an item that stands for itself.
    Raises InputError if a class is empty."""
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    truth = np.asarray(is_anomalous, bool)
    if truth.all() or not truth.any():
        raise InputError(f"evaluation needs normal and anomalous items, got {(~truth).sum()} and {truth.sum()}")
    false_positive, true_positive, _ = roc_curve(truth, scores, drop_intermediate=False)
    weights = weights_of(truth, parts)
    flagged = p_values <= rate
    marked = None if warn_rate is None else p_values <= warn_rate
    return Evaluation(
        n_normal=int((~truth).sum()),
        n_anomalous=int(truth.sum()),
        roc_auc=float(roc_auc_score(truth, scores)),
        average_precision=float(average_precision_score(truth, scores)),
        fpr_at_95_tpr=float(false_positive[true_positive >= 0.95][0]),
        false_alarm_rate=rate,
        false_alarms=share_of(flagged, ~truth, weights),
        detected=share_of(flagged, truth, weights),
        warn_rate=warn_rate,
        false_alarms_or_warnings=None if marked is None else share_of(marked, ~truth, weights),
        detected_or_warned=None if marked is None else share_of(marked, truth, weights),
    )


def weights_of(truth: Flags, parts: Sequence[str | None] | None) -> Scores:
    """Return what each item counts for, (n,): those of one part and truth share one."""
    if parts is None:
        return np.ones(len(truth))
    owners = [
        (flag, place if part is None else part) for place, (flag, part) in enumerate(zip(truth, parts, strict=True))
    ]
    counts = Counter(owners)
    return np.array([1 / counts[owner] for owner in owners])


def share_of(flags: Flags, of: Flags, weights: Scores) -> float:
    """Return the share of flags among some items, (n,) each, by what each item counts for."""
    return float(np.average(flags[of], weights=weights[of]))

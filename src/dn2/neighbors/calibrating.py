"""From the leave-one-out scores of a reference set to its calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dn2.arrays import Positions, Scores
from dn2.neighbors.calibration import Calibration, mean_squared_distance
from dn2.neighbors.clean import share_of
from dn2.neighbors.learnt import Learnt
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.membership import Keys, Membership, numbered
from dn2.neighbors.parts import one_a_part
from dn2.neighbors.steps import Clean, Steps
from dn2.neighbors.trimming import most_trimmed


def calibrate(n: int, loo: LeaveOneOut, membership: Membership, steps: Steps, learnt: Learnt | None) -> Calibration:
    """Calibrate with the leave-one-out scores of some items of n.

    membership : what all n items belong to; learnt : what was learnt from the items that do not calibrate."""
    scores, step = mean_squared_distance(loo.distances), steps.calibrate
    kept = np.ones(len(scores), bool)
    if learnt is not None and steps.clean is not None:
        kept[_trimmed(n, scores, loo.members, learnt.readmitted, steps.clean)] = False
    own = membership.at(loo.members[kept])
    known = Calibration(
        np.empty(0),
        n,
        is_split=learnt is not None,
        learnt=() if learnt is None else learnt.steps,
        n_trimmed=int((~kept).sum()),
        n_parts=membership.n_parts,
        confidence=step.confidence,
        holds_out=steps.holds_out,
        n_told=membership.n_told,
        is_smoothed=step.smooth,
    )
    whole = _calibrated(known, scores[kept], own.parts, step.seed)
    if membership.strata is None or own.strata is None:
        return whole
    strata = {}
    for key in np.unique(own.strata).tolist():
        inside = np.flatnonzero(own.strata == np.uint64(key))
        of_key = _of_stratum(known, membership, key)
        strata[key] = _calibrated(of_key, scores[kept][inside], own.at(inside).parts, step.seed)
    return replace(whole, strata=strata)


def _calibrated(known: Calibration, scores: Scores, parts: Keys | None, seed: int) -> Calibration:
    """Add the scores of items, (m,), and the parts that they belong to."""
    if parts is None:
        return replace(known, scores=np.sort(scores))
    numbers = numbered(parts)
    largest = np.full(int(numbers.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(largest, numbers, scores)
    of_parts = replace(known, scores=np.sort(largest), n_reference=known.n_parts)
    if known.confidence is not None:
        drawn = one_a_part(parts, seed)
        return replace(known, scores=np.sort(scores[drawn]), of_parts=of_parts)
    order = np.argsort(scores, kind="stable")
    return replace(known, scores=scores[order], parts=numbers[order], of_parts=of_parts)


def _of_stratum(known: Calibration, membership: Membership, key: int) -> Calibration:
    """Count what the reference set has of a stratum."""
    own = np.flatnonzero(membership.strata == np.uint64(key))
    return replace(known, n_reference=len(own), n_parts=membership.at(own).n_parts)


def _trimmed(n: int, scores: Scores, members: Positions, readmitted: Positions, clean: Clean) -> Positions:
    """Return the places of the calibrating scores to leave out of a contaminated set: as many as the share implies that
    is said to be anomalous, the highest but for those of items that a person took back; none without a share."""
    trimmable = np.flatnonzero(~np.isin(members, readmitted))
    count = min(most_trimmed(n, len(scores), share_of(clean.drop or 0, n)), len(trimmable))
    highest: Positions = trimmable[np.argsort(scores[trimmable], kind="stable")[len(trimmable) - count :]]
    return highest

"""The assumptions behind the p-values of a model, in words."""

from __future__ import annotations

from collections.abc import Sequence

from dn2.neighbors.calibration import Calibration, LearntStep
from dn2.system.interface import option

# Each step as the subject of a sentence, and its verb.
SUBJECTS = {
    "cleaning": ("what stands aside", "was"),
    "scaling": ("the scaling of columns", "was"),
    "whitening": ("the whitening", "was"),
    "centroids": ("the {:,} centroids", "were"),
    "cells": ("the {:,} cells of the search", "were"),
    "tree": ("the {:,} means of the tree", "were"),
}


def assumptions(calibration: Calibration) -> list[str]:
    """Say what the guarantee of a false-alarm rate rests on, for items that are scored one by one."""
    words = [
        "The rate holds for new normal items drawn like the reference items (exchangeable with them).",
        "It is an average over reference sets: one particular set may give somewhat more or fewer alarms"
        " (with 99 items and 1 in 100, about one set in eight gives more than 2 in 100).",
        "Adding or removing items because of their score breaks the guarantee.",
    ]
    m, n, trimmed = calibration.sample_size, calibration.n_reference, calibration.n_trimmed
    if calibration.method == "split":
        words.append(
            f"A random {m + trimmed:,} of the {n:,} items calibrate; {learnt_in_words(calibration.learnt)} learnt from"
            " the others."
        )
    if trimmed:
        words.append(
            f"The {trimmed:,} calibrating items that score highest are left out, for {option('drop')} says that so many"
            " are anomalies. The rate holds if at least that share of the set are anomalies and they score higher than"
            " the normal items. Each one of the left out that is normal, and each anomaly that hides among the rest,"
            f" makes for more false alarms: up to {trimmed / m:.2g} above the rate, if all are."
        )
    elif any(step.name == "cleaning" for step in calibration.learnt):
        words.append(
            "What stands aside calibrates, too: the rate holds if all items are normal, of one kind or of several."
            " The more anomalies are among them, the fewer alarms there are, false ones and others."
        )
    if calibration.method == "sampled":
        words.append(f"A random {m:,} of the {n:,} reference items calibrate, each against all others.")
    if calibration.n_near_duplicates:
        words.append(
            f"{calibration.n_near_duplicates:,} of {m:,} items have a near copy in the reference set."
            " Copies break exchangeability and cause more alarms than asked for: keep one of each."
        )
    return words


def learnt_in_words(steps: Sequence[LearntStep]) -> str:
    """Name what was learnt, as the subject of a sentence with its verb."""
    if not steps:
        return "nothing was"
    subjects, verbs = zip(*(SUBJECTS[step.name] for step in steps), strict=True)
    names = " and ".join(subject.format(step.size) for subject, step in zip(subjects, steps, strict=True))
    return f"{names} {'were' if len(steps) > 1 else verbs[0]}"

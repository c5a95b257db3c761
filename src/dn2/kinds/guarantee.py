"""The assumptions behind the p-values of a model, in words."""

from __future__ import annotations

from collections.abc import Sequence

from dn2.neighbors.calibration import Calibration, LearntStep

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
            f"The {trimmed:,} calibrating items that score highest are taken for anomalies, the low end of their"
            " estimated share, and left out. Where they are normal, or other anomalies hide among the rest, there are"
            f" more false alarms: up to {trimmed / m:.2g} above the rate."
        )
    if calibration.method == "sampled":
        words.append(f"A random {m:,} of the {n:,} reference items calibrate, each against all others.")
    return words


def learnt_in_words(steps: Sequence[LearntStep]) -> str:
    """Name what was learnt, as the subject of a sentence with its verb."""
    if not steps:
        return "nothing was"
    subjects, verbs = zip(*(SUBJECTS[step.name] for step in steps), strict=True)
    names = " and ".join(subject.format(step.size) for subject, step in zip(subjects, steps, strict=True))
    return f"{names} {'were' if len(steps) > 1 else verbs[0]}"

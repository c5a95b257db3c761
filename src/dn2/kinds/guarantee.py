"""What the rates of a model guarantee, under which assumptions, and what breaks them, in words."""

from __future__ import annotations

from collections.abc import Sequence

from dn2.neighbors.calibration import Calibration, LearntStep
from dn2.neighbors.rates import reached_rate
from dn2.results.results import Results
from dn2.results.words import about_in_words, count_in_words
from dn2.system.interface import option

SEVERAL = "Several items of one thing (photos of a part, frames of a scene, rows of a customer)"

# Each step as the subject of a sentence, and its verb.
SUBJECTS = {
    "cleaning": ("what stands aside", "was"),
    "scaling": ("the scaling of columns", "was"),
    "whitening": ("the whitening", "was"),
    "centroids": ("the {:,} centroids", "were"),
    "cells": ("the {:,} cells of the search", "were"),
    "patches": ("the {:,} patches to compare with, and what is usual at each place,", "were"),
    "tree": ("the {:,} means of the tree", "were"),
}


def assumptions(calibration: Calibration) -> list[str]:
    """Say what a false-alarm rate guarantees of items that are scored one by one, and what it rests on."""
    words = [_guarantee(calibration)]
    if calibration.confidence is None:
        words.append(
            "It is an average over reference sets, no bound for this one: with 99 items and 1 in 100, one set in ten to"
            " one in five has a rate of more than 2 in 100, the more, the more the items fall into clusters."
        )
    if calibration.strata:
        words.append(
            f"Each of the {len(calibration.strata):,} groups has the rate of its own, ranked among its own items; all"
            " are neighbours of all. An item of another group has a score, and no p-value and no decision."
        )
    else:
        words.append(
            "It is an average over all that is normal: of one product, camera or supplier there may be more alarms."
        )
    repeated = "Parts that are alike (of one batch, say)" if calibration.n_parts else SEVERAL
    words.append(
        f"{repeated}, near copies, and drift (other light, another supplier) break it, and cause more alarms. So does"
        " adding or removing items because of their score."
    )
    if calibration.is_smoothed:
        words.append("Ties between scores are broken by chance, by the item's name and the seed of the model.")
    return words + _sizes(calibration)


def _guarantee(calibration: Calibration) -> str:
    """Say what is proven, and of what."""
    one = "A normal item, drawn at random from a part that is new," if calibration.n_parts else "A new normal item"
    drawn = "parts that are drawn like the parts" if calibration.n_parts else "items that are drawn like the items"
    if calibration.n_trimmed:
        return (
            f"{one} is meant to be flagged at the rate: no bound is proven of a set that had to be cleaned, and more"
            " was measured, see docs/contaminated.md."
        )
    if calibration.n_told:
        told = count_in_words(calibration.n_told, "item is a neighbour", "items are neighbours")
        calibrating = f"{calibration.sample_size:,} {'parts' if calibration.n_parts else 'items'} calibrate"
        return (
            f"{one} is meant to be flagged at the rate: that is measured (benchmarks/results/feedback.txt) and not"
            f" proven, since {told} because of scores, by what people said. {calibrating} and are no neighbours: see"
            " docs/feedback.md."
        )
    if calibration.confidence is not None:
        return (
            f"With a confidence of {100 * calibration.confidence:g} %, this very model flags at most the rate asked for"
            f" of all normal items: this is proven for the one rate fixed at fit and {drawn} of the reference set,"
            f" independently. {calibration.sample_size:,} {'parts' if calibration.n_parts else 'items'} calibrate and"
            " are no neighbours, which costs detections: see docs/decisions.md."
        )
    like = "that calibrate and are no neighbours" if calibration.holds_out else "of the reference set"
    return (
        f"{one} is flagged with a probability of at most the rate: this is proven for {drawn} {like} (exchangeable with"
        " them). Both are searched for neighbours alike."
    )


def _sizes(calibration: Calibration) -> list[str]:
    """Say what calibrates, where that is not simply all of the reference set."""
    words = []
    m, n, trimmed = len(calibration.scores), calibration.n_reference, calibration.n_trimmed
    if calibration.n_parts:
        words.append(
            f"Items of one part are no neighbours of each other, and each of the {calibration.sample_size:,} parts that"
            " calibrate counts once, however many items it has."
        )
    if calibration.method == "held-out" and calibration.confidence is None and not calibration.n_told:
        words.append(f"{m:,} of the {n:,} items calibrate.")
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
    return words


def worth_of(results: Results) -> str:
    """Say what the number of flagged items is worth: how many would be, if all were normal.

    Empty where nothing says so, as of reference items, which are hardly ever flagged."""
    calibration = None if results.context is None else results.context.calibration
    if results.false_discovery_rate is not None:
        return false_discoveries_in_words(calibration, results.false_discovery_rate)
    if results.false_alarm_rate is None or results.among_themselves or results.reference_items:
        return ""
    decided = len(results) - len(results.errors) - len(results.undecided)
    rate = _reached(results, results.false_alarm_rate)
    if not decided:
        return ""
    flagged, would = f"{len(results.anomalies):,} flagged", about_in_words(rate * decided)
    if results.warn_rate is not None:
        beyond = _reached(results, results.warn_rate) - rate
        flagged = f"{len(results.anomalies):,} rejected and {len(results.warnings):,} warnings"
        would += f" and {about_in_words(beyond * decided)}"
    words = f"{flagged} of {decided:,}; if all {decided:,} were normal, about {would} would be"
    return words + _caveat_of(results)


def _reached(results: Results, rate: float) -> float:
    """Return the share of normal items that a rate flags."""
    if results.context is None or results.context.calibration is None:
        return reached_rate(rate, results.sample_size)
    return float(results.context.calibration.reachable(rate))


def expectation_of(results: Results) -> str:
    """Explain the number of items that would be flagged at any rate, if all were normal; see `worth_of`."""
    if results.among_themselves:
        return ""
    calibration = None if results.context is None else results.context.calibration
    words = f"The last number is how many would be flagged, on average, if every item were normal{_caveat_of(results)}."
    if results.false_discovery_rate is not None:
        return f"Asked was {false_discoveries_in_words(calibration, results.false_discovery_rate)}. {words}"
    return f"{words} What is found beyond it is worth a look."


def _caveat_of(results: Results) -> str:
    """Say what makes more alarms, as far as the model of results tells; at the end of a sentence."""
    if results.context is None:
        return ""
    if results.context.model.state.suspicion.findings:
        return "; more, for the reference items do not look as if drawn one by one"
    return caveat(results.context.calibration)


def caveat(calibration: Calibration) -> str:
    """Say, at the end of a sentence on how many alarms to expect, what makes more of them."""
    if calibration.window:
        return "; more where series drift"
    return "; more where normal items were set aside" if calibration.n_trimmed else ""


def false_discoveries_in_words(calibration: Calibration | None, level: float) -> str:
    """Say what a false-discovery rate is worth: proven where no calibrating item is a neighbour of anything."""
    learnt = () if calibration is None or calibration.n_trimmed else calibration.learnt
    held_out = calibration is not None and calibration.holds_out and not calibration.n_trimmed + calibration.n_told
    if held_out or any(step.name == "centroids" for step in learnt):
        return (
            f"a false-discovery rate of {level:g}: on average at most this share of the alarms is false, proven for"
            " normal items that are drawn independently (one of a part, no near copies, no drift)"
        )
    return (
        f"a false-discovery rate of {level:g}: on average about this share of the alarms is false, or less, which is"
        " measured (benchmarks/results/false_discoveries.txt) and not proven, as calibrating items are neighbours, too;"
        " more where normal items are not drawn independently (several of a part, near copies, drift)"
    )


def learnt_in_words(steps: Sequence[LearntStep]) -> str:
    """Name what was learnt, as the subject of a sentence with its verb."""
    if not steps:
        return "nothing was"
    subjects, verbs = zip(*(SUBJECTS[step.name] for step in steps), strict=True)
    names = " and ".join(subject.format(step.size) for subject, step in zip(subjects, steps, strict=True))
    return f"{names} {'were' if len(steps) > 1 else verbs[0]}"

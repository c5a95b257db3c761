"""What rates guarantee, in words that are true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dn2
from dn2 import Calibration, Results, Row
from dn2.kinds.guarantee import assumptions, caveat, expectation_of, false_discoveries_in_words, worth_of
from dn2.neighbors.calibration import LearntStep

SCORES = np.arange(1.0, 100.0)
EXACT = Calibration(SCORES, 99)
CENTROIDS = Calibration(SCORES, 198, is_split=True, learnt=(LearntStep("centroids", 10),))
WHITENED = Calibration(SCORES, 198, is_split=True, learnt=(LearntStep("whitening", 4),))
CLEANED = Calibration(SCORES, 198, is_split=True, learnt=(LearntStep("cleaning", 9),), n_trimmed=3)


def found(flagged: int, warned: int, n: int, rate: float | None, **more: Any) -> Results:
    decisions = ["reject"] * flagged + ["warn"] * warned + ["accept"] * (n - flagged - warned)
    rows = [Row("x", 1.0, 0.5, word == "reject", decision=word if warned else None) for word in decisions]
    return Results([*rows, Row("lost", error="empty")], rate, 99, **more)


def test_beside_what_is_flagged_stands_what_would_be_if_all_were_normal() -> None:
    assert worth_of(found(175, 0, 679, 0.01)) == "175 flagged of 679; if all 679 were normal, about 7 would be"
    said = "175 rejected and 40 warnings of 679; if all 679 were normal, about 7 and 27 would be"
    assert worth_of(found(175, 40, 679, 0.01, warn_rate=0.05)) == said
    assert worth_of(found(1, 0, 10, 0.01)).endswith("if all 10 were normal, about 0.1 would be")
    # 99 items reach 1 in 100 where 1.9 in 100 is asked for.
    assert worth_of(found(20, 0, 1_000, 0.019)).endswith("about 10 would be")
    for silent in ({"among_themselves": True}, {"reference_items": 3}):
        assert worth_of(found(1, 0, 10, 0.01, **silent)) == ""
    assert worth_of(found(1, 0, 10, None)) == ""
    assert expectation_of(found(1, 0, 10, 0.01, among_themselves=True)) == ""


def test_what_makes_more_alarms_is_said_with_the_number(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    scenes = np.repeat(rng.normal(size=(40, 4)), 5, axis=0) + 0.001 * rng.normal(size=(200, 4))
    for rows, words in (
        (scenes, "; more, for the reference items do not look as if drawn one by one"),
        (scenes[::5], ""),
    ):
        results = dn2.fit(rng.permutation(rows)).score(rng.normal(size=(50, 4)))
        assert worth_of(results).endswith(f"would be{words}")
        assert f"if every item were normal{words}." in expectation_of(results)
    assert caveat(EXACT) == ""
    assert "set aside" in caveat(CLEANED)
    assert "drift" in caveat(replace(EXACT, window=10))


@pytest.mark.parametrize(
    ("calibration", "is_proven"), [(EXACT, True), (CENTROIDS, True), (WHITENED, True), (CLEANED, False)]
)
def test_at_most_is_said_where_it_is_proven_and_of_an_average(calibration: Calibration, is_proven: bool) -> None:
    words = assumptions(calibration)
    assert ("at most" in " ".join(words)) == is_proven
    assert ("no bound is proven of a set that had to be cleaned, and more was measured" in words[0]) != is_proven
    assert "average over reference sets" in words[1]
    said = " ".join(words)
    assert all(thing in said for thing in ("photos of a part", "near copies", "drift"))


@pytest.mark.parametrize(
    ("calibration", "is_proven"),
    [(CENTROIDS, True), (EXACT, False), (WHITENED, False), (CLEANED, False), (None, False)],
)
def test_a_false_discovery_rate_is_proven_where_calibrating_items_are_no_neighbours(
    calibration: Calibration | None, is_proven: bool
) -> None:
    words = false_discoveries_in_words(calibration, 0.1)
    assert ("at most" in words) == is_proven
    assert ("benchmarks/results/false_discoveries.txt" in words) != is_proven
    assert "independently" in words


def test_what_is_decided_together_is_said_from_the_model_that_decided() -> None:
    rng = np.random.default_rng(0)
    normal, new = rng.normal(size=(200, 4)), rng.normal(size=(50, 4))
    proven = dn2.fit(normal, index="kmeans:4").score(new, fdr=0.1)
    assert worth_of(proven) == false_discoveries_in_words(CENTROIDS, 0.1)
    assert worth_of(proven) in expectation_of(proven)
    assert "measured" in worth_of(dn2.fit(normal).score(new, fdr=0.1))

"""Stamps of series that count from 1970 on: read as moments, in the unit that held at fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.kinds.series.stamps import step_in_words

START, STEP, N = 1_717_884_000, 1_800, 600
PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def series(stamps: Any, seed: int = 0) -> pd.DataFrame:
    places = np.arange(len(stamps))
    noise = np.random.default_rng(seed).normal(0, 0.1, len(places))
    return pd.DataFrame({"time": stamps, "value": np.sin(2 * np.pi * places / 24) + noise})


def epoch(unit: str, first: int = 0) -> Any:
    return (START + STEP * np.arange(first, first + N)) * PER_SECOND[unit]


@pytest.mark.parametrize("unit", PER_SECOND)
@pytest.mark.parametrize("in_file", [True, False])
def test_stamps_from_1970_on_are_moments_everywhere(unit: str, in_file: bool, tmp_path: Path) -> None:
    reference, new = series(epoch(unit)), series(epoch(unit, N), 1)
    if in_file:
        for name, frame in (("reference.csv", reference), ("new.csv", new)):
            frame.to_csv(tmp_path / name, index=False)
        reference, new = tmp_path / "reference.csv", tmp_path / "new.csv"  # type: ignore[assignment]
    model = dn2.fit(reference, time="time", window=24)
    model.save(tmp_path / "m.dn2")
    results = dn2.load(tmp_path / "m.dn2").score(new)
    stamps = [str(moment.isoformat()) for moment in pd.to_datetime(epoch("seconds", N), unit="s")]
    assert results.points is not None
    assert list(results.points.times) == stamps
    for row in results:
        assert row.start <= row.peak <= row.end
        assert {row.start, row.peak, row.end} <= set(stamps)
        assert row.evidence.say(row.neighbors, row.item)[1].startswith(f"highest at {row.peak}; ")
        assert row.neighbors[0].item.rpartition(":2024")[2]
    shown = model._repr_html_()
    assert f"24 points, by time ({unit} since 1970), 30 min apart" in shown
    assert "e+" not in shown


def test_the_unit_that_held_at_fit_holds_at_score_and_moments_always_do() -> None:
    model = dn2.fit(series(epoch("seconds")), time="time", window=24)
    moments = pd.to_datetime(epoch("seconds", N), unit="s")
    same = [list(map(repr, model.score(series(stamps, 1)))) for stamps in (epoch("seconds", N), moments)]
    assert same[0] == same[1]
    for stamps, found in ((epoch("milliseconds", N), "milliseconds since 1970"), (STEP * np.arange(N), "numbers")):
        with pytest.raises(
            dn2.InputError, match=f"'time' held seconds since 1970 at fit, and here it holds {found}, such"
        ):
            model.score(series(stamps))


def test_numbers_that_are_no_moments_stay_numbers() -> None:
    model = dn2.fit(series(0.5 * np.arange(N)), time="time", window=24)
    assert model.score(series(START + 0.5 * np.arange(N), 1))[0].start == f"{START}"
    assert "by time, 0.5 apart" in model._repr_html_()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (86_400, "1 d"), (604_800, "7 d"), (3_600, "1 h"), (1_800, "30 min"), (90, "90 s"), (5_400, "90 min"),
        (2.5, "2.5 s"), (0.01, "10 ms"), (1 / 12_000, "83.33 µs"), (1e-7, "100 ns"),
    ],
)  # fmt: skip
def test_the_time_between_points_is_written_for_a_person(step: float, words: str) -> None:
    assert step_in_words(step, in_seconds=True) == words

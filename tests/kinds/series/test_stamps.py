"""Stamps of series that count from 1970 on: read as moments, in the unit that held at fit."""

from __future__ import annotations

import re
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
    for reference, stamps, words in (
        (
            epoch("seconds"),
            epoch("nanoseconds"),
            "seconds since 1970 .*nanoseconds since 1970, such as 1717884000000000000",
        ),
        (
            epoch("seconds"),
            mixed(epoch("seconds"), 0, 0.7),
            "seconds since 1970 at fit, and here it holds numbers, such as 0",
        ),
        (moments, STEP * np.arange(N), "moments at fit, and here it holds numbers, such as 0; bring it to moments"),
        (moments, mixed(epoch("seconds"), 7, 0.7), "moments at fit, and here it holds numbers, such as 7; "),
        (STEP * np.arange(N), moments, "numbers at fit, and here it holds moments, such as 2024-06-21T10:00:00; "),
    ):
        with pytest.raises(dn2.InputError, match=f"the column of stamps 'time' held {words}"):
            dn2.fit(series(reference), time="time", window=24).score(series(stamps))
    for reference, stamps in ((moments, epoch("milliseconds", N)), (epoch("milliseconds"), moments)):
        assert not dn2.fit(series(reference), time="time", window=24).score(series(stamps)).errors


def mixed(stamps: Any, other: Any, share: float) -> Any:
    """Put another stamp, or others, in place of an evenly spread share of the stamps, from the second on."""
    places = 1 + np.linspace(0, len(stamps) - 2, round(share * len(stamps))).astype(int)
    changed = np.array(stamps, object)
    changed[places] = other[places] if isinstance(other, np.ndarray) else other
    return changed.tolist()


@pytest.mark.parametrize("unit", ["seconds", "nanoseconds"])
@pytest.mark.parametrize("stray", [0, -1, 99_999_999_999_999_999_999, 20.5, float("inf")])
def test_a_stamp_far_from_all_others_is_an_error_of_its_row(unit: str, stray: float, tmp_path: Path) -> None:
    model = dn2.fit(series(epoch(unit)), time="time", window=24)
    stamps = epoch(unit, N).tolist()
    stamps[100] = stray
    frame = series(stamps)
    path = tmp_path / "new.csv"
    frame.to_csv(path, index=False)
    assert dn2.fit(path, time="time", window=24).describe()["stamps"] == unit
    why = rf"its stamp '{stray:.0f}.*' is no moment in {unit} since 1970 between 2000 and 2050"
    for new, name in ((frame.astype({"time": float}), "row 101"), (path, "new.csv:101")):
        ((item, error),) = [(row.item, row.error or "") for row in model.score(new).errors]
        assert item.removeprefix(f"{tmp_path}/") == name
        assert re.fullmatch(why, error)
    assert len(model.score(series(mixed(epoch(unit, N), stray, 0.3))).errors) == 180


def test_what_stamps_are_is_said_where_it_is_in_doubt(caplog: pytest.LogCaptureFixture) -> None:
    model = dn2.fit(series(mixed(epoch("seconds"), -5, 0.1)), time="time", window=24)
    assert model.describe()["stamps"] == "numbers"
    assert (
        "'time' are taken as numbers: only 540 of 600 can be seconds since 1970 between 2000 and 2050, and not -5"
        in caplog.text
    )
    caplog.clear()
    words = "several units: seconds, such as 1717884000, and milliseconds, such as 17178858"
    with pytest.raises(dn2.InputError, match=words):
        dn2.fit(series(mixed(epoch("seconds"), epoch("milliseconds"), 0.3)), time="time", window=24)
    assert dn2.fit(series(1.0 * np.arange(N)), time="time", window=24).describe()["stamps"] == "numbers"
    assert "taken as numbers" not in caplog.text


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("n_files", [1, 2])
def test_moments_among_numbers_are_said_to_be_moments(share: float, n_files: int, tmp_path: Path) -> None:
    moments = pd.to_datetime(epoch("seconds"), unit="s").strftime("%Y-%m-%d %H:%M").to_numpy(object)
    numbers = epoch("seconds").astype(object)
    n = round(share * N)
    stamps = mixed(numbers, moments, share) if n_files == 1 else [*numbers[:-n], *moments[-n:]]
    ends = [N] if n_files == 1 else [N - n, N]
    for start, end in zip([0, *ends], ends, strict=False):
        series(stamps)[start:end].to_csv(tmp_path / f"{start}.csv", index=False)
    if share == 0.5:
        with pytest.raises(
            dn2.InputError, match=r"'time' holds both numbers, such as '17.*', and moments, such as '2024"
        ):
            dn2.fit(tmp_path, time="time", window=24)
        return
    model = dn2.fit(tmp_path, time="time", window=24)
    assert model.describe()["stamps"] == ("seconds" if share < 0.5 else "moments")
    why = "moment, and most are numbers" if share < 0.5 else "number, and most are moments"
    reasons = [row.error for row in model.unreadable]
    assert len(reasons) == 60
    assert all(re.fullmatch(rf"its stamp '.*' is a {why}", reason or "") for reason in reasons)


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

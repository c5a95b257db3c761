"""Which columns are sensors, and what becomes of sensors of different rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.kinds.series.sensors import hold_slow_sensors, why_no_sensor

RNG = np.random.default_rng(0)


def beat(n: int) -> pd.DataFrame:
    """Hours of a beat."""
    values = 10 + 3 * np.sin(2 * np.pi * np.arange(n) / 24) + RNG.normal(0, 0.2, n)
    return pd.DataFrame({"time": pd.date_range("2024", periods=n, freq="h"), "v": values.round(4)})


@pytest.mark.parametrize(
    ("name", "numbers", "why"),
    [
        ("column 1", np.arange(50.0), "it counts the rows"),
        ("anything", np.arange(7.0, 57), "it counts the rows"),
        ("device_id", np.full(50, 7.0), "it names or labels rows"),
        ("is anomaly", np.repeat([0.0, 1], 25), "it names or labels rows"),
        ("dead", np.full(50, np.nan), "no value"),
        ("flow", np.arange(50.0)[::-1], None),
        ("valid", np.full(50, 7.0), None),
        ("stroke", np.repeat([0.0, 1], 25), None),
        ("id", RNG.normal(size=50), None),
    ],
)
def test_columns_that_count_name_or_label_rows_are_no_sensors(name: str, numbers: np.ndarray, why: str | None) -> None:
    assert why_no_sensor(name, numbers) == why


def test_the_last_value_of_a_slow_sensor_holds_until_its_next() -> None:
    times = np.arange(9.0)
    nan = np.nan
    values = np.array([[nan, 5, nan, nan, 6, nan, nan, 7, nan], np.arange(9)], float).T
    held, slow = hold_slow_sensors(times, values)
    assert slow == [0]
    np.testing.assert_array_equal(held[:, 0], [nan, 5, 5, 5, 6, 6, 6, 7, 7])
    np.testing.assert_array_equal(held[:, 1], values[:, 1])


def test_a_sensor_that_fails_for_a_while_is_not_held() -> None:
    times, column = np.arange(60.0), np.arange(60.0)
    column[20:26] = np.nan
    held, slow = hold_slow_sensors(times, column[:, None])
    assert slow == []
    assert np.isnan(held[20:26]).all()
    slow_column = np.where(np.arange(60) % 5 == 0, 1.0, np.nan)
    slow_column[20:40] = np.nan  # and neither does a slow one beyond its own step
    held, slow = hold_slow_sensors(times, slow_column[:, None])
    assert slow == [0]
    assert np.isnan(held[20:40]).all()
    assert np.isfinite(held[:20]).all()


def test_a_spike_beside_a_slow_sensor_is_found() -> None:
    table = beat(1_900)
    table.loc[1_701:1_708, "v"] += 30
    table["slow"] = np.where(np.arange(1_900) % 10 == 0, 20 + RNG.normal(0, 0.1, 1_900), np.nan)
    model = dn2.fit(table.iloc[:1_500], time="time", window=24)
    rows = model.score(table.iloc[1_500:]).rows
    top = max(rows, key=lambda row: row.anomaly_score or 0)
    assert top.is_anomaly
    assert top.start <= "2024-03-11T21" <= top.end


def test_an_index_of_moments_is_the_time(tmp_path: Path) -> None:
    table = beat(1_900)
    indexed = table.set_index("time")
    by_column = dn2.fit(table.iloc[:1_500], time="time", window=24)
    for options in ({"kind": "series"}, {"time": "time"}):
        model = dn2.fit(indexed.iloc[:1_500].sample(frac=1, random_state=0), window=24, **options)
        assert model.score(indexed.iloc[1_500:]).rows == by_column.score(table.iloc[1_500:]).rows
    assert model.describe()["time"] == "time"
    table.iloc[1_500:].to_csv(tmp_path / "new.csv", index=False)
    assert len(model.score(tmp_path / "new.csv").rows) == len(by_column.score(table.iloc[1_500:]).rows)


def test_columns_that_are_no_sensors_are_left_out_by_name_and_asked_for_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = beat(900).assign(device_id=7, dead=np.nan)
    table.to_csv(tmp_path / "a.csv")
    model = dn2.fit(tmp_path / "a.csv", time="time", window=24)
    assert [column.name for column in model.columns] == ["v"]
    said = " ".join(caplog.messages)
    assert all(f"the column {name!r} is left out" in said for name in ("column 1", "device_id", "dead"))
    asked = dn2.fit(tmp_path / "a.csv", time="time", window=24, values=["v", "device_id"])
    assert [column.name for column in asked.columns] == ["v", "device_id"]
    with pytest.raises(dn2.InputError, match="no row has a number in 'dead'; leave it out"):
        dn2.fit(tmp_path / "a.csv", time="time", window=24, values=["v", "dead"])


def test_german_stamps_and_values_are_read_and_the_way_of_writing_is_kept(tmp_path: Path) -> None:
    table = beat(1_200)
    values = [f"{value:.2f}".replace(".", ",") for value in table["v"]]
    written = pd.DataFrame({"zeit": table["time"].dt.strftime("%d/%m/%Y %H:%M"), "wert": values})
    written.iloc[:1_000].to_csv(tmp_path / "a.csv", index=False, sep=";")
    written.iloc[1_000:1_150].to_csv(tmp_path / "b.csv", index=False, sep=";")
    rounded = table.assign(v=[float(value.replace(",", ".")) for value in values])
    model = dn2.fit(tmp_path / "a.csv", time="zeit", window=24)
    assert model.describe()["writing"] == {"decimal": ",", "thousands": None, "day_first": True}
    model.save(tmp_path / "m.dn2")
    rows = dn2.load(tmp_path / "m.dn2").score(tmp_path / "b.csv").rows
    assert rows[0].start.startswith("2024-02-11")
    other = dn2.fit(rounded.iloc[:1_000], time="time", window=24)
    assert [row.anomaly_score for row in rows] == pytest.approx(
        [row.anomaly_score for row in other.score(rounded.iloc[1_000:1_150])]
    )

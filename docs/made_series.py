"""Two sensors of a pump, made up for the documents and the tests: a normal series, and one with anomalies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas

BEAT = 60  # minutes
SPIKE, MISSING_BEAT, SHIFT = slice(400, 402), slice(780, 840), slice(1_200, 1_290)


def pump(count: int, *, seed: int, start: str = "2024-03-01") -> pandas.DataFrame:
    """Make up one row a minute: the pressure rises and falls once an hour, and the flow follows it."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(count) / BEAT
    pressure = 4 + np.sin(phase) + 0.3 * np.sin(3 * phase) + rng.normal(0, 0.08, count)
    flow = 20 + 3 * np.sin(phase - 0.8) + rng.normal(0, 0.3, count)
    time = pandas.Timestamp(start) + pandas.to_timedelta(np.arange(count), unit="min")
    return pandas.DataFrame({"time": time, "pressure": pressure.round(3), "flow": flow.round(2)})


def with_anomalies(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Put a spike of the pressure, a beat that is left out and a shift of the flow into 1,600 rows."""
    changed = rows.copy()
    changed.loc[SPIKE.start : SPIKE.stop - 1, "pressure"] = 9.0
    changed.loc[MISSING_BEAT.start : MISSING_BEAT.stop - 1, ["pressure", "flow"]] = [3.98, 17.9]
    changed.loc[SHIFT.start : SHIFT.stop - 1, "flow"] += 6
    return changed


def write_series(folder: Path) -> None:
    """Write pump.csv, new_pump.csv with anomalies, pumps.csv of two pumps, and labelled/pump.csv."""
    normal, new = pump(4_000, seed=0), with_anomalies(pump(1_600, seed=1, start="2024-04-01"))
    normal.to_csv(folder / "pump.csv", index=False)
    new.to_csv(folder / "new_pump.csv", index=False)
    both = [rows.assign(pump=name) for name, rows in (("north", normal[:2_000]), ("south", pump(2_000, seed=2)))]
    pandas.concat(both).to_csv(folder / "pumps.csv", index=False)
    (folder / "known").mkdir()
    anomaly = np.zeros(len(new), int)
    for one in (SPIKE, MISSING_BEAT, SHIFT):
        anomaly[one] = 1
    new.assign(anomaly=anomaly).to_csv(folder / "known" / "pump.csv", index=False)

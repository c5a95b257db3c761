"""Models of series: fit, score, score against themselves, evidence, add, remove, save, and what goes wrong."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dn2
import naive
from dn2 import Curve, InputError, Model, ModelError, Points, ReferenceTooSmall
from dn2.kinds.series.embedder import LEVEL_WEIGHT
from dn2.kinds.series.evidence import IntervalEvidence
from dn2.neighbors.steps import Steps, Windows
from dn2.results.files import read_rows
from made_series import MISSING_BEAT, SHIFT, SPIKE, pump, with_anomalies
from small_models import flip_a_bit, reseal
from small_series import WINDOW, beat, intervals, short_pump

FITTED: dict[str, Any] = {"time": "time", "window": WINDOW}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """3,000 normal rows; not to be changed."""
    return pump(3_000, seed=0)


@pytest.fixture(scope="module")
def new() -> pd.DataFrame:
    """1,600 rows with three anomalies; not to be changed."""
    return with_anomalies(pump(1_600, seed=1, start="2024-04-01"))


@pytest.fixture(scope="module")
def saved(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of `rows`; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "pump.dn2"
    dn2.fit(rows, **FITTED).save(folder)
    return folder


@pytest.fixture
def model(saved: Path) -> Model:
    return dn2.load(saved)


@pytest.fixture
def short() -> pd.DataFrame:
    return short_pump()


def points_of(results: dn2.Results) -> Points:
    assert results.points is not None
    return results.points


def score_short(changed: Any, short: pd.DataFrame, **options: Any) -> dn2.Results:
    """Score changed rows by a model of those that they were made from."""
    return dn2.fit(short, **FITTED | options).score(changed)


# What is found


def test_the_first_three_intervals_are_the_three_anomalies(model: Model, new: pd.DataFrame) -> None:
    results = model.score(new)
    ranked = sorted(results, key=lambda row: -(row.anomaly_score or 0))
    times = new["time"].astype("datetime64[us]").to_numpy()
    for planted in (SPIKE, MISSING_BEAT, SHIFT):
        middle = times[(planted.start + planted.stop) // 2]
        holding = [row for row in ranked[:3] if np.datetime64(row.start) <= middle <= np.datetime64(row.end)]
        assert len(holding) == 1
        assert holding[0].is_anomaly
        assert "series:" + holding[0].start == holding[0].item


def test_a_series_is_scored_against_itself_without_a_model(new: pd.DataFrame) -> None:
    results = dn2.score_self(new, **FITTED)
    ranked = sorted(results, key=lambda row: -(row.anomaly_score or 0))
    m = len(ranked)
    assert results.sample_size == m - 1
    assert [row.p_value for row in ranked] == pytest.approx([(n + 1) / m for n in range(m)])
    assert [row.is_anomaly for row in ranked] == [True] + [False] * (m - 1)
    times = new["time"].astype("datetime64[us]").to_numpy()
    for row in ranked[:3]:
        first, last = (int(np.searchsorted(times, np.datetime64(one))) for one in (row.start, row.end))
        assert any(first < one.stop and one.start <= last for one in (SPIKE, MISSING_BEAT, SHIFT))


def test_points_score_the_mean_of_their_windows_by_the_naive_distance() -> None:
    known, asked = beat(150), beat(90, seed=1)
    results = dn2.fit(known, kind="series", window=20).score(asked)
    scale = [known.std()]

    def nearest(first: int) -> float:
        window = asked[first : first + 20, None]
        others = (known[other : other + 20, None] for other in range(131))
        return min(naive.window_distance(window, other, scale, LEVEL_WEIGHT) for other in others)

    expected = naive.point_scores([nearest(first) for first in range(71)], range(71), 20)
    np.testing.assert_allclose(points_of(results).scores, expected, rtol=1e-3)


def test_against_itself_a_window_is_compared_with_those_that_do_not_overlap_it() -> None:
    known = beat(130)
    results = dn2.score_self(known, window=20)

    def nearest(first: int) -> float:
        others = [other for other in range(111) if abs(other - first) >= 20]
        windows = [known[other : other + 20, None] for other in (first, *others)]
        return min(naive.window_distance(windows[0], one, [known.std()], LEVEL_WEIGHT) for one in windows[1:])

    expected = naive.point_scores([nearest(first) for first in range(111)], range(111), 20)
    np.testing.assert_allclose(points_of(results).scores, expected, rtol=1e-3)


def test_an_interval_has_the_p_value_of_its_highest_point(model: Model, new: pd.DataFrame) -> None:
    results = model.score(new)
    points = points_of(results)
    table = points.to_pandas().set_index("time")
    for row in results:
        inside = table.loc[row.start : row.end]
        assert inside["anomaly_score"].max() == row.anomaly_score
        assert inside["p_value"].min() == row.p_value
        expected = naive.p_value(row.anomaly_score or 0, model.calibration.scores.tolist())
        assert row.p_value == pytest.approx(float(expected))
        assert inside["is_anomaly"].any() == row.is_anomaly
    assert len(points) == len(new)
    loose = results.at(0.3)
    assert points_of(loose).to_pandas()["is_anomaly"].sum() >= table["is_anomaly"].sum()


def test_the_evidence_is_the_strangest_window_over_its_nearest(
    model: Model, rows: pd.DataFrame, new: pd.DataFrame
) -> None:
    row = max(model.score(new), key=lambda one: one.anomaly_score or 0)
    assert row.curves is not None
    assert sum(one.share for one in row.curves) == pytest.approx(1)
    assert row.curves[0].share >= row.curves[1].share
    (neighbor,) = row.neighbors
    first = int(np.flatnonzero(rows["time"] == pd.Timestamp(neighbor.item.removeprefix("series:")))[0])
    for curve in row.curves:
        near = rows[curve.column].to_numpy()[first : first + WINDOW]
        np.testing.assert_allclose(curve.neighbors[0], near, atol=1e-3)
        starts = range(len(new) - WINDOW + 1)
        values = new[curve.column].to_numpy()
        assert any(np.allclose(curve.value, values[start : start + WINDOW], atol=1e-3) for start in starts)


def test_the_series_around_an_interval_is_kept_with_its_stamps(model: Model, new: pd.DataFrame) -> None:
    times = new["time"].dt.strftime("%Y-%m-%dT%H:%M:%S").tolist()
    for row in model.score(new):
        first, last = times.index(row.start), times.index(row.end)
        start, end, values = row.evidence.around
        low, high = max(0, first - 2 * WINDOW), min(len(new) - 1, last + 2 * WINDOW)
        assert (start, end) == (times[low], times[high])
        assert len(values) == min(240, high - low + 1)
        around = new[row.curves[0].column].to_numpy()[low : high + 1]
        np.testing.assert_allclose(values, around[np.rint(np.linspace(0, high - low, len(values))).astype(int)], 1e-6)


def test_a_long_window_is_drawn_by_two_hundred_values_at_most() -> None:
    results = dn2.score_self(beat(2_000), window=450)
    assert all(len(curve.value) == 150 for row in results for curve in row.curves or ())


def test_the_window_is_found_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dn2"):
        model = dn2.fit(beat(360), kind="series")
    assert model.embedder.window == 90
    assert "windows of 90 points, by the length of the series; window sets another" in caplog.messages


def test_several_columns_and_series_are_told_apart(rows: pd.DataFrame) -> None:
    both = pd.concat([rows[:700].assign(pump="a"), rows[1_000:1_900].assign(pump="b")])
    model = dn2.fit(both, **FITTED, id_column="pump", values=["flow"])
    first, second = (model.items[place].name for place in (0, 700 - WINDOW + 1))
    assert (first, second) == ("a:2024-03-01T00:00:00", "b:2024-03-01T16:40:00")
    assert model.embedder.columns == ("flow",)
    results = model.score(both)
    assert {row.item.partition(":")[0] for row in results} == {"a", "b"}
    assert points_of(results).scores.max() < 1e-6  # they are the reference themselves
    assert (model.detector.leave_one_out.neighbors[: 700 - WINDOW + 1] > 700 - WINDOW).any()


def test_a_query_is_found_at_distance_zero_where_it_is_a_reference(short: pd.DataFrame) -> None:
    results = score_short(short, short)
    assert {neighbor.distance for row in results for neighbor in row.neighbors} == {0.0}


# Files and memory


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_score_as_frames_do(
    model: Model, new: pd.DataFrame, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"new.{suffix}")
    new.to_csv(path, index=False) if suffix == "csv" else new.to_parquet(path)
    results = model.score(path)
    assert intervals(results) == intervals(model.score(new))
    assert all(row.item.startswith(f"new.{suffix}:2024-04-0") for row in results)


def test_each_file_is_a_series(rows: pd.DataFrame, tmp_path: Path) -> None:
    for name, part in (("a", rows[:400]), ("b", rows[500:900])):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    results = dn2.fit([tmp_path / "a.csv", tmp_path / "b.csv"], **FITTED).score(tmp_path)
    assert {row.item.partition(":")[0] for row in results} == {"a.csv", "b.csv"}


def test_arrays_and_numbered_stamps_are_series_too() -> None:
    values = np.stack([beat(400), beat(400, seed=1)], axis=1)
    by_array = dn2.score_self(values, window=30)
    numbered = pd.DataFrame({"t": np.arange(400) * 0.5 + 7, "x": values[:, 0], "y": values[:, 1]})
    by_frame = dn2.score_self(numbered, time="t", window=30)
    assert points_of(by_array).scores.tolist() == points_of(by_frame).scores.tolist()
    assert points_of(by_frame).times[:3] == ["7", "7.5", "8"]
    assert dn2.score_self(values[:, 0].tolist(), window=30).rows[0].item.startswith("series:")


def test_what_is_written_is_read_back(model: Model, new: pd.DataFrame, tmp_path: Path) -> None:
    results = model.score(new)
    for suffix in ("csv", "jsonl", "parquet"):
        results.save(tmp_path / f"r.{suffix}")
        assert read_rows(tmp_path / f"r.{suffix}", IntervalEvidence) == list(results.rows)
    header = (tmp_path / "r.csv").read_text().splitlines()[0]
    assert header == "item,anomaly_score,p_value,is_anomaly,neighbors,error,start,end,curves,peak"


# Stamps and values that are not as they should be


def test_rows_out_of_order_are_put_in_order_and_said(short: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    shuffled = short.sample(frac=1, random_state=0)
    assert intervals(score_short(shuffled, short)) == intervals(score_short(short, short))
    assert "series: rows are not in the order of their stamps; they are put in it" in caplog.messages


def test_values_of_one_stamp_are_averaged_and_said(short: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    values = ["pressure", "flow"]
    twice = pd.concat([short, short[:3]])
    twice[values] += np.where(np.arange(len(twice)) < len(short), 0.5, -0.5)[:, None]
    twice.iloc[3 : len(short), 1:] -= 0.5
    results = score_short(twice, short)
    assert len(points_of(results)) == len(short)
    assert points_of(results).scores.max() < 1e-6
    assert "series: 3 stamps come more than once; their values are averaged" in caplog.messages


def test_a_row_without_a_value_is_bridged_and_a_long_run_cuts(
    short: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    holes = short.copy()
    holes.loc[100:102, "flow"] = np.nan
    holes.loc[500:540, "flow"] = np.inf
    results = score_short(holes, short)
    points = points_of(results).to_pandas()
    assert len(points) == len(short)
    assert points["error"].notna().to_numpy().nonzero()[0].tolist() == [100, 101, 102, *range(500, 541)]
    assert set(points["error"].dropna()) == {"it lacks a value"}
    assert points["anomaly_score"].isna().equals(points["error"].notna())
    assert "series: 44 rows lack a value; short runs of them are bridged" in caplog.messages
    assert not any(row.start < "2024-03-01T08:20:00" < row.end for row in results)  # row 500


def test_series_of_which_the_same_is_said_are_named_once_each_and_five_at_most(
    short: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    many = pd.concat([short[::-1].assign(p=f"p{n}") for n in range(8)])
    dn2.fit(many, **FITTED, id_column="p")
    assert sum("not in the order" in one for one in caplog.messages) == 5
    assert "... and so it is with 3 more series" in caplog.messages


def test_a_part_between_gaps_that_is_too_short_has_no_score(short: pd.DataFrame) -> None:
    gaps = short.drop([*range(300, 330), *range(360, 400)])
    results = score_short(gaps, short)
    (lost,) = results.errors
    assert (lost.item, lost.start, lost.end) == (
        "series:2024-03-01T05:30:00",
        "2024-03-01T05:30:00",
        "2024-03-01T05:59:00",
    )
    assert lost.error == "30 points between gaps are fewer than a window of 60"
    points = points_of(results).to_pandas()
    assert points["error"].notna().sum() == 30


def test_a_gap_as_short_as_a_tenth_of_a_window_changes_little(short: pd.DataFrame) -> None:
    whole, gap = (points_of(score_short(one, short)).scores for one in (short, short.drop(range(300, 305))))
    assert whole.max() < 1e-6
    assert gap[:240].max() < 1e-6
    assert gap.max() < 0.1


def test_uneven_stamps_are_interpolated_and_said(short: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    times = np.sort(np.random.default_rng(0).uniform(0, 60 * 899, 900))
    times[0] = 0
    known = 60 * np.arange(900.0)
    uneven = {"time": pd.Timestamp("2024-03-01") + pd.to_timedelta(times, unit="s")}
    uneven |= {name: np.interp(times, known, short[name].rolling(9, 1, True).mean()) for name in ("pressure", "flow")}
    uneven["pressure"][400] = 30
    results = score_short(pd.DataFrame(uneven), short)
    assert "series: its stamps are uneven; values are interpolated, 1 min apart" in caplog.messages
    assert len(points_of(results)) == 900
    top = max(results, key=lambda row: row.anomaly_score or 0)
    assert np.datetime64(top.start) < uneven["time"].to_numpy()[400] < np.datetime64(top.end)


def test_uneven_stamps_as_many_as_points_have_times_of_their_own() -> None:
    """The rows are not where the points are, although there are as many."""
    steps = np.r_[np.full(160, 0.5), np.full(80, 1.0), np.full(160, 1.5)]
    times = np.cumsum(np.r_[0, steps])
    values = np.sin(times / 4)
    values[200] = 9
    results = dn2.score_self({"t": times, "x": values}, time="t", window=30)
    top = max(results, key=lambda row: row.anomaly_score or 0)
    assert float(top.start or 0) < times[200] < float(top.end or 0)


def test_stamps_of_another_step_are_refused_and_the_other_series_goes_on(short: pd.DataFrame) -> None:
    slow = short.assign(
        time=pd.Timestamp("2024-03-01") + pd.to_timedelta(np.arange(len(short)) * 5, unit="min"), p="slow"
    )
    model = dn2.fit(short.assign(p="fast"), **FITTED, id_column="p")
    results = model.score(pd.concat([slow, short.assign(p="fast")]))
    (lost,) = results.errors
    assert lost.item == "slow"
    assert lost.error == "its points are 5 min apart, those of the reference 1 min; bring it to the same step"
    assert len(results) > 1
    with pytest.raises(InputError, match="no series has 60 points without a long gap"):
        model.score(slow)


def test_stamps_too_uneven_to_be_put_on_a_grid_are_refused() -> None:
    times = np.cumsum(np.where(np.arange(3_000) % 3 == 0, 30, np.random.default_rng(0).uniform(0.5, 1.5, 3_000)))
    with pytest.raises(InputError, match="its stamps are too uneven for a step of"):
        dn2.score_self({"t": times, "x": beat(3_000)}, time="t", window=400)


def test_a_repeated_hour_of_local_time_is_averaged(caplog: pytest.LogCaptureFixture) -> None:
    rows = short_pump(1_200)
    rows.loc[600:, "time"] -= pd.Timedelta(hours=1)
    results = dn2.score_self(rows, **FITTED)
    assert len(points_of(results)) == 1_140
    assert "series: 60 stamps come more than once; their values are averaged" in caplog.messages


@pytest.mark.parametrize("asked", [[], ["pressure", "flow"]])
def test_a_cell_that_is_no_number_is_an_error_of_its_row(
    short: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short.astype({"flow": object}).assign(flow=lambda rows: rows["flow"].mask(rows.index == 7, "ERR")).to_csv("e.csv")
    short.to_csv("good.csv")
    model = dn2.fit("e.csv", **FITTED, values=asked or ["pressure", "flow"])
    assert [(row.item, row.error) for row in model.unreadable] == [("e.csv:8", "flow holds numbers, got 'ERR'")]
    assert model.embedder.columns == ("pressure", "flow")
    results = model.score(["e.csv", "good.csv"])
    assert [row.item for row in results.errors] == ["e.csv:8"]
    assert {row.item.partition(":")[0] for row in results} == {"e.csv", "good.csv"}


def test_numbers_as_stamps_may_have_a_bad_one_and_be_very_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stamps = [str(1_700_000_000_000_000_000 + 60_000_000_000 * n) for n in range(300)]
    stamps[20] = "oops"
    rows = "".join(f"{stamp},{value}\n" for stamp, value in zip(stamps, beat(300), strict=True))
    Path("ns.csv").write_text(f"t,x\n{rows}")
    results = dn2.score_self("ns.csv", time="t", window=40)
    assert [(row.item, row.error) for row in results.errors] == [("ns.csv:21", "its stamp 'oops' cannot be read")]
    assert len(points_of(results)) == 299


def test_rows_without_stamps_are_numbered_in_each_series() -> None:
    both = {"x": np.repeat(beat(300), 2), "id": np.tile(["a", "b"], 300)}
    model = dn2.fit(both, kind="series", window=40, id_column="id")
    assert model.embedder.step == 1
    assert model.score({"x": beat(300), "id": ["c"] * 300}).errors == []
    assert {row.item for row in model.score(both)} >= {"a:0", "b:0"}


def test_one_extreme_value_of_one_series_leaves_the_others_as_they_are(short: pd.DataFrame) -> None:
    wild = short.assign(p="wild")
    wild.loc[400, "flow"] = 1e40
    both = pd.concat([short.assign(p="tame"), wild])
    results = dn2.fit(short.assign(p="one"), **FITTED, id_column="p").score(both)
    assert results.errors == []
    table = points_of(results).to_pandas().set_index("series")["anomaly_score"]
    assert table["tame"].max() < 1e-6
    assert table["wild"].max() > 1e20


def test_a_part_of_the_reference_that_is_too_short_is_told(short: pd.DataFrame) -> None:
    both = pd.concat([short.assign(p="long"), short[:20].assign(p="brief")])
    model = dn2.fit(both, **FITTED, id_column="p")
    (lost,) = model.unreadable
    assert (lost.item, lost.error) == (
        "brief:2024-03-01T00:00:00",
        "20 points between gaps are fewer than a window of 60",
    )
    model.add(pd.concat([short.assign(p="more"), short[:9].assign(p="less")]))
    assert [row.item for row in model.unreadable] == ["less:2024-03-01T00:00:00"]


def test_the_default_window_fits_between_gaps() -> None:
    runs = np.concatenate([np.arange(40.0) + 46 * run for run in range(10)])
    results = dn2.score_self({"t": runs, "x": beat(400)}, time="t")
    assert results.errors == []
    assert len(points_of(results)) == 400


def test_series_of_two_steps_leave_one_out(short: pd.DataFrame) -> None:
    slow = {"t": 300 * np.arange(300), "x": beat(300), "p": ["slow"] * 300}
    fast = {"t": 60 * np.arange(300), "x": beat(300), "p": ["fast"] * 300}
    both = {name: np.concatenate([fast[name], slow[name]]) for name in fast}
    model = dn2.fit(both, time="t", id_column="p", window=40)
    assert [row.item for row in model.unreadable] == ["slow"]


def test_more_neighbors_are_averaged_and_a_query_of_one_window_is_scored(short: pd.DataFrame) -> None:
    model = dn2.fit(short, **FITTED, neighbors=3)
    (row,) = model.score(short[100 : 100 + WINDOW])
    assert len(row.neighbors) == 3
    assert row.neighbors[0].distance == 0
    assert row.anomaly_score == pytest.approx(sum(one.distance**2 for one in row.neighbors) / 3)
    assert row.curves is not None
    assert len(row.curves[0].neighbors) == 3


def test_many_short_series_are_embedded_together_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dn2.kinds.series.windows.MOST_WINDOWS", 50)
    rows = {"x": beat(70 * 12), "id": np.repeat([f"s{n:02d}" for n in range(12)], 70)}
    model = dn2.fit(rows, kind="series", window=20, id_column="id")
    together = points_of(model.score(rows)).scores
    assert together.max() < 1e-6
    assert len(model.items) == 12 * 51


def test_bad_stamps_are_errors_of_their_rows(
    short: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = short.to_csv(index=False).splitlines()
    text[5] = text[5].replace("2024-03-01 00:04:00", "yesterday")
    text[9] = text[9].replace("2024-03-01 00:08:00", "")
    text[12] = "only one cell"
    Path("bad.csv").write_text("\n".join(text) + "\n")
    results = score_short("bad.csv", short)
    assert [(row.item, row.error) for row in results.errors] == [
        ("bad.csv:5", "its stamp 'yesterday' cannot be read"),
        ("bad.csv:9", "its stamp 'time' is missing"),
        ("bad.csv:12", results.errors[2].error),
    ]
    assert "1" in (results.errors[2].error or "")


def test_a_constant_stretch_is_no_trouble_and_stands_out(short: pd.DataFrame) -> None:
    flat = short.copy()
    flat.loc[400:520, ["pressure", "flow"]] = flat.loc[400, ["pressure", "flow"]].to_numpy()
    results = score_short(flat, short)
    assert np.isfinite(points_of(results).scores).all()
    top = max(results, key=lambda row: row.anomaly_score or 0)
    assert top.start < "2024-03-01T07:30:00" < top.end
    assert top.is_anomaly


def test_a_series_that_never_changes_has_nothing_strange() -> None:
    results = dn2.score_self(np.full(300, 5.0))
    (row,) = results
    assert (row.anomaly_score, row.p_value, row.is_anomaly) == (0.0, 1.0, False)
    model = dn2.fit(np.full(300, 5.0), kind="series")
    assert [one.is_anomaly for one in model.score(np.full(300, 5.0))] == [False]
    assert any(one.is_anomaly for one in model.score(np.r_[np.full(200, 5.0), np.full(200, 6.0)]).at(0.5))


@pytest.mark.parametrize(
    ("inputs", "options", "why"),
    [
        (
            beat(50),
            {"window": 60},
            r"a window of 60 points is longer than every series: .* has 50; give a window of 12",
        ),
        (beat(300), {"window": 1}, "window must be an integer of at least 2, got 1"),
        (np.zeros((3, 3, 3)), {}, r"a series in memory is an array of numbers, .* got float64 of \(3, 3, 3\)"),
        (np.array(["a", "b"]), {}, "a series in memory is an array of numbers"),
        (np.full(30, np.nan), {}, "all 30 values of the series are missing"),
        (beat(300), {"time": "t"}, "an array has the columns 'value', and 't' is asked for; give a frame"),
        (
            {"t": [-1e308, 0, 1e308], "x": [1.0, 2, 3]},
            {"time": "t"},
            "the stamps must be numbers that can be told apart",
        ),
        (
            {"t": [1.0, 2], "x": ["a", "b"]},
            {"time": "t"},
            "no column of numbers is left to be the values; there is 't', 'x'",
        ),
        (
            {"t": [1.0, 2], "x": ["a", "b"]},
            {"time": "t", "values": ["x"]},
            "'x' must hold numbers, .* texts such as 'a'",
        ),
        ({"t": ["a", "b"], "x": [1.0, 2]}, {"time": "t"}, "stamps 't' must hold numbers or moments such as 2024-01-31"),
        ({"t": [1.0, 2], "x": [1.0, 2]}, {"time": "when"}, "there is no column 'when'"),
        ({"t": [1.0, 2], "x": [1.0, 2]}, {"values": ["y"]}, "there is none of the columns 'y'"),
        ({"t": [1.0, 2], "x": [1.0, 2]}, {"time": "t", "values": ["t"]}, "'t' cannot be both a value and the stamp"),
        (
            {"t": [1.0, 2], "x": [np.nan, np.inf]},
            {"time": "t"},
            "no series can be read; 'series': no row has a number in",
        ),
    ],
)
def test_what_is_no_series_is_refused(inputs: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        dn2.score_self(inputs, **options)


def test_series_that_are_too_short_are_refused() -> None:
    with pytest.raises(ReferenceTooSmall, match="must have 8 points at least, got 7"):
        dn2.score_self(beat(7))
    with pytest.raises(
        ReferenceTooSmall, match="a series of at least 119 points, got 110; give more, or a window of 37"
    ):
        dn2.fit(beat(110), kind="series", window=40)
    with pytest.raises(ReferenceTooSmall, match="needs at least 99 intervals of reference series"):
        dn2.fit(beat(900), kind="series", window=40, false_alarm_rate=0.01)
    for series, rate in ((beat(900), 0.001), (np.full(300, 5.0), 0.1)):
        with pytest.raises(ReferenceTooSmall):
            dn2.score_self(series, window=40, false_alarm_rate=rate)
    assert [row.is_anomaly for row in dn2.score_self(np.full(300, 5.0))] == [False]


def test_a_false_discovery_rate_of_series_is_refused(model: Model, new: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="p-values of intervals have no false-discovery rate; give a false-alarm rate"):
        model.score(new, fdr=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "lite0"},
        {"groups": True},
        {"normalize": "unit"},
        {"whiten": True},
        {"column": "x"},
        {"preset": "fast"},
    ],
)
def test_options_that_series_have_no_use_for_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="and the items here are of the kind series"):
        dn2.fit(beat(300), kind="series", **options)


def test_a_contaminated_reference_is_to_be_scored_against_itself() -> None:
    with pytest.raises(InputError, match=r"scored against themselves, by dn2\.score_self"):
        dn2.fit(beat(300), kind="series", contaminated=True)


def test_options_of_series_are_refused_for_tables(rows: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="window belongs to the kind series, and the items here are of the kind table"):
        dn2.fit(rows, kind="table", window=10)


def test_a_query_lacks_a_column_of_the_model(model: Model, new: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="there is no column 'flow'"):
        model.score(new.drop(columns="flow"))
    with pytest.raises(InputError, match="there is no column 'time'"):
        model.score(new.drop(columns="time"))
    with pytest.raises(InputError, match="an array has the columns 'value 1', 'value 2', and 'value' is asked for"):
        dn2.fit(beat(300), kind="series").score(np.zeros((300, 2)))


# The model


def test_a_saved_model_scores_alike_to_the_bit(model: Model, rows: pd.DataFrame, new: pd.DataFrame) -> None:
    fresh = dn2.fit(rows, **FITTED)
    assert intervals(model.score(new)) == intervals(fresh.score(new))
    assert model.calibration.measured == fresh.calibration.measured
    assert model.describe()["calibration"] == fresh.describe()["calibration"]


def test_after_adding_and_removing_all_is_as_before(
    model: Model, rows: pd.DataFrame, new: pd.DataFrame, tmp_path: Path
) -> None:
    before = intervals(model.score(new))
    names = [item.name for item in model.items]
    with pytest.raises(InputError, match="the model has an item 'series:2024-03-01T00:00:00' already"):
        model.add(rows[:200])
    more = pump(300, seed=5, start="2024-06-01")
    model.add(more)
    model.save(tmp_path / "m.dn2")
    grown = dn2.load(tmp_path / "m.dn2")
    both = dn2.fit(pd.concat([rows, more]).assign(p=["a"] * 3_000 + ["b"] * 300), **FITTED, id_column="p")
    assert (grown.calibration.scores == model.calibration.scores).all()
    assert len(grown.items) == len(both.items)
    grown.remove([item.name for item in grown.items if item.name not in set(names)])
    grown.save(tmp_path / "m.dn2")
    assert intervals(dn2.load(tmp_path / "m.dn2").score(new)) == before


def test_half_a_window_taken_out_leaves_the_others(short: pd.DataFrame, tmp_path: Path) -> None:
    model = dn2.fit(short, **FITTED)
    gone = [item.name for item in model.items[200:230]]
    model.remove(gone)
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert intervals(again.score(short)) == intervals(model.score(short))
    assert points_of(again.score(short)).scores[229] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"embedder": {"window": 60}},
        {"time": 7},
        {"detector": Steps(1, windows=Windows(61)).as_dict()},
        {"kind": "vector", "dimension": 122, "embedder": None},
        {"detector": Steps(1).as_dict()},
        {"detector": {"n_neighbors": 1}},
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(model: Model, tmp_path: Path, change: dict[str, Any]) -> None:
    model.save(tmp_path / "m.dn2")
    reseal(tmp_path / "m.dn2", lambda manifest: manifest.update(change))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(tmp_path / "m.dn2")


def test_damaged_places_are_found(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.dn2")
    flip_a_bit(tmp_path / "m.dn2", "places")
    with pytest.raises(ModelError, match="damaged"):
        dn2.load(tmp_path / "m.dn2")


def test_an_approximate_search_scores_as_the_exact_one_nearly() -> None:
    known, asked = beat(4_000), beat(1_000, seed=1)
    asked[500:520] += 2
    exact, near = (
        dn2.fit(known, kind="series", window=40, index=index).score(asked) for index in ("exact", "approximate")
    )
    assert "cells" in dn2.fit(known, kind="series", window=40, index="approximate").describe()["search"]
    ratio = points_of(near).scores / points_of(exact).scores
    assert ((ratio >= 1 - 1e-6) & (ratio < 1.05)).all()


def test_series_with_known_anomalies_are_evaluated(model: Model, new: pd.DataFrame) -> None:
    figures, lost = model.evaluate(pump(1_000, seed=9, start="2024-07-01"), new[1_170:1_320])
    assert lost == []
    assert figures.roc_auc == 1


def test_points_are_written_as_they_are(tmp_path: Path) -> None:
    points = Points(["a", "a"], ["1", "2"], np.array([0.5, math.nan]), np.array([0.01, math.nan]), {1: "why"}).at(0.05)
    points.save(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == (
        "series,time,anomaly_score,p_value,is_anomaly,error\na,1,0.5,0.01,true,\na,2,,,,why\n"
    )
    points.save(tmp_path / "p.parquet")
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert table["is_anomaly"].tolist() == [True, None]
    with pytest.raises(InputError, match=r"a file of points must end in .csv or .parquet, got"):
        points.save(tmp_path / "p.txt")


def test_the_names_of_evidence_are_public() -> None:
    assert Curve("x", 1.0, (1.0,), ((2.0,),)).neighbors == ((2.0,),)

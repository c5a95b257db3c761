"""Models of tables: fit, score, reasons, add, remove, save, and what they do when something is wrong."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from safetensors.numpy import save as save_tensors

import dn2
import naive
from dn2 import InputError, Model, ModelError, ReferenceTooSmall
from dn2.kinds.table.evidence import RowEvidence
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import NO_MEMBERSHIP
from dn2.neighbors.sampling import Sampler
from dn2.results.files import read_rows
from small_models import contents, flip_a_bit, replace_part, reseal
from small_tables import DROPPED, bits, frame, write

FITTED: dict[str, Any] = {"id_column": "part", "drop_columns": [DROPPED]}
LEFT_OUT = {
    "count": "an identifier: 120 different whole numbers",
    "serial": "an identifier or free text: 120 different ones in 120 rows",
}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """120 reference rows; not to be changed."""
    return frame(120)


@pytest.fixture(scope="module")
def queries() -> pd.DataFrame:
    """30 rows to score; not to be changed."""
    return frame(30, 1)


@pytest.fixture(scope="module")
def saved_table(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of `rows`; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "rows.dn2"
    dn2.fit(rows, **FITTED).save(folder)
    return folder


@pytest.fixture
def model(saved_table: Path) -> Model:
    return dn2.load(saved_table)


@pytest.fixture
def copy(saved_table: Path, tmp_path: Path) -> Path:
    """A copy of the saved model, to be changed."""
    return Path(shutil.copytree(saved_table, tmp_path / "copy.dn2"))


def changed(rows: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Return rows with other values in some columns; a dictionary changes only those places."""
    rows = rows.copy()
    for name, values in columns.items():
        if isinstance(values, dict):
            rows[name] = rows[name].astype(object)
            for place, value in values.items():
                rows.loc[place, name] = value
        else:
            rows[name] = values
    return rows


def state(model: Model) -> tuple[Any, ...]:
    """Everything that must not change when a change is refused or taken back."""
    return (
        list(model.items),
        model.kind.values.tobytes(),
        [np.asarray(block).tobytes() for block in model.detector.blocks],
        [array.tobytes() for array in vars(model.detector.leave_one_out).values()],
        model.detector.offset,
    )


# Fit


def test_columns_are_compared_or_left_out_without_configuration(rows: pd.DataFrame) -> None:
    model = dn2.fit(rows, **FITTED)
    about = model.describe()
    assert about["kind"] == "table"
    assert about["id_column"] == "part"
    assert about["embedder"]["columns"] == {"category": 4, "date": 1, "number": 3}
    assert about["embedder"]["left_out"] == LEFT_OUT
    assert [item.name for item in model.items] == rows["part"].tolist()
    assert [(column.name, column.words) for column in model.columns if column.is_compared] == [
        ("machine", "3 categories"),
        ("load", "numbers"),
        ("temperature", "numbers"),
        ("pressure", "numbers"),
        ("passed", "truth values"),
        ("made", "dates"),
        ("line", "categories, always 'L1'"),
        ("nothing", "categories, always empty"),
    ]
    assert {column.name: column.words for column in model.columns if not column.is_compared} == LEFT_OUT
    assert model.unreadable == []
    assert (about["calibration"]["method"], about["calibration"]["sample_size"]) == ("split", 60)


@pytest.mark.parametrize("way", ["csv", "parquet", "polars", "arrow", "mapping", "kind"])
def test_frames_and_files_of_the_same_rows_score_alike_bit_for_bit(
    rows: pd.DataFrame, queries: pd.DataFrame, model: Model, tmp_path: Path, way: str
) -> None:
    forms: dict[str, Any] = {
        "csv": lambda one: write(one, tmp_path / f"{len(one)}.csv"),
        "parquet": lambda one: write(one, tmp_path / f"{len(one)}.parquet"),
        "polars": pl.from_pandas,
        "arrow": pa.Table.from_pandas,
        "mapping": lambda one: one.to_dict("list"),
        "kind": lambda one: write(one, tmp_path / str(len(one)) / "rows.csv").parent,
    }
    for n in (30, 120):
        (tmp_path / str(n)).mkdir()
    as_kind = {"kind": "table"} if way == "kind" else {}
    other = dn2.fit(forms[way](rows), **FITTED, **as_kind)
    assert other.score(forms[way](queries)).rows == model.score(queries).rows
    assert other.describe() == model.describe()
    assert model.score(forms[way](queries)).rows == other.score(queries).rows


def test_rows_without_ids_are_named_by_file_and_number_or_by_number(
    rows: pd.DataFrame, queries: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows, queries = rows.drop(columns="part"), queries.drop(columns="part")
    of_frame = dn2.fit(rows)
    of_file = dn2.fit(write(rows, Path("rows.csv")))
    assert [item.name for item in of_frame.items] == [f"row {number}" for number in range(1, 121)]
    assert [item.name for item in of_file.items] == [f"rows.csv:{number}" for number in range(1, 121)]
    assert {item.path for item in of_file.items} == {str(tmp_path / "rows.csv")}
    one, other = of_frame.score(queries), of_file.score(write(queries, Path("new.csv")))
    assert [row.item for row in other] == [f"new.csv:{number}" for number in range(1, 31)]
    assert bits(one) == bits(other)
    labelled = of_frame.score(queries.set_index(pd.Index([f"label {row}" for row in range(30)])))
    assert [row.item for row in labelled] == [f"label {row}" for row in range(30)]


def test_microseconds_of_dates_are_the_same_in_a_file_and_in_a_frame(tmp_path: Path) -> None:
    at = pd.Timestamp("2024-03-01T12:00") + pd.to_timedelta(np.random.default_rng(0).integers(0, 10**9, 60), unit="us")
    rows = pd.DataFrame({"at": at})
    of_file = dn2.fit(write(rows, tmp_path / "rows.csv"))
    assert bits(of_file.score(tmp_path / "rows.csv")) == bits(dn2.fit(rows).score(rows))


# Scores


def features(rows: pd.DataFrame) -> list[tuple[list[float], bool]]:
    """Write each column that is compared as numbers, and whether they are categories, by hand."""
    made = rows["made"]
    turn = 2 * math.pi * (made.dt.hour * 60 + made.dt.minute) / 1440
    return [
        (rows["machine"].map(ord).tolist(), True),
        *((rows[name].tolist(), False) for name in ("load", "temperature", "pressure")),
        (rows["passed"].astype(int).tolist(), True),
        ([(one - pd.Timestamp("2024-03-01")).total_seconds() for one in made], False),
        (made.dt.day_of_week.tolist(), True),
        ([math.sin(one) for one in turn], False),
        ([math.cos(one) for one in turn], False),
    ]


def test_scores_are_those_of_columns_compared_by_hand(rows: pd.DataFrame, queries: pd.DataFrame, model: Model) -> None:
    learning = Sampler(model.detector.blocks, NO_MEMBERSHIP).split().learning
    reference, asked = features(rows), features(queries.iloc[:4])
    some = sorted(range(120), key=lambda row: row % 3)[:40]  # of the references, for the sake of time
    parts = np.zeros((4, 40, len(reference)))
    for column, ((values, categorical), (own, _)) in enumerate(zip(reference, asked, strict=True)):
        known = [values[place] for place in learning]
        for query in range(4):
            for place, row in enumerate(some):
                parts[query, place, column] = naive.column_distance(own[query], values[row], known, categorical)
    compared = model.detector.as_compared(model.kind.embedder.embed(model.kind.values))
    asked_for = model.detector.as_compared(model.kind.embedder.embed(model.kind.embedder.read(_cells(queries))[0]))
    for query in range(4):
        got = [naive.squared_distance(asked_for[query], compared[row]) for row in some]
        np.testing.assert_allclose(got, parts[query].sum(axis=1), rtol=2e-3)
    # And a score is the mean over the nearest of these distances.
    for row, query in zip(model.score(queries.iloc[:4]), asked_for, strict=False):
        near = naive.nearest(query, compared, 2)
        assert row.anomaly_score == pytest.approx(sum(distance for distance, _ in near) / 2, rel=1e-5)
        assert [one.item for one in row.neighbors] == [rows["part"][place] for _, place in near]


def _cells(rows: pd.DataFrame) -> dict[str, Any]:
    texts = {name: rows[name].astype(str).to_numpy(object) for name in ("machine", "passed", "made")}
    return texts | {name: rows[name].to_numpy(float) for name in ("load", "temperature", "pressure")}


def test_p_values_are_those_of_the_half_that_calibrates(queries: pd.DataFrame, model: Model) -> None:
    learning, members, *_ = Sampler(model.detector.blocks, NO_MEMBERSHIP).split()
    assert sorted([*learning, *members]) == list(range(120))
    compared = model.detector.as_compared(model.kind.embedder.embed(model.kind.values))
    scores = naive.split_scores(compared, range(120), members, 2)
    np.testing.assert_allclose(model.calibration.scores, sorted(scores), rtol=1e-5)
    for row in model.score(queries):
        assert row.p_value == float(naive.p_value(row.anomaly_score, model.calibration.scores))
        assert row.is_anomaly == (row.p_value <= 1 / 61)


def test_a_reference_row_is_at_distance_0_from_itself_and_nothing_is_strange_about_a_copy(
    rows: pd.DataFrame, model: Model
) -> None:
    one = dn2.fit(rows, **FITTED, neighbors=1)
    for row in one.score(rows):
        assert (row.neighbors[0].item, row.anomaly_score, row.columns) == (row.item, 0, ())
    assert all(row.neighbors[0].distance == 0 for row in model.score(rows))


def test_rows_are_scored_alike_in_any_company_and_order(
    queries: pd.DataFrame, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.score(queries).rows
    assert model.score(queries.iloc[::-1]).rows == whole[::-1]
    assert [row for place in range(3) for row in model.score(queries.iloc[[place]])] == whole[:3]
    monkeypatch.setattr("dn2.kinds.batches.ROWS_AT_ONCE", 7)
    done: list[tuple[int, int]] = []
    assert model.score(queries, progress=lambda *counts: done.append(counts)).rows == whole
    assert done[-5:] == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]


def test_columns_in_another_order_and_of_other_types_change_nothing(queries: pd.DataFrame, model: Model) -> None:
    expected = model.score(queries).rows
    other = queries[sorted(queries.columns, reverse=True)].astype({"load": object, "temperature": "float64"})
    other["machine"] = other["machine"].astype("category")
    other["made"] = other["made"].dt.strftime("%Y-%m-%d %H:%M")
    other["passed"] = other["passed"].map({True: "TRUE", False: "False"})
    other["temperature"] = other["temperature"].astype(str)
    assert model.score(other).rows == expected
    other["made"] = pd.to_datetime(other["made"]).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    assert model.score(other).rows == expected
    assert model.score(queries.drop(columns=list(LEFT_OUT))).rows == expected


@pytest.mark.parametrize("options", [{}, {"contaminated": True, "neighbors": 5}, {"index": "kmeans:5"}])
def test_every_way_to_fit_tells_wrong_rows_from_right_ones(
    rows: pd.DataFrame, queries: pd.DataFrame, options: dict[str, Any]
) -> None:
    model = dn2.fit(rows, **FITTED, **options)
    wrong = changed(queries, temperature=queries["temperature"] + 300)
    evaluation, unreadable = model.evaluate(queries, wrong)
    assert unreadable == []
    assert evaluation.roc_auc > 0.9
    for row in model.score(wrong):
        assert sum(one.share for one in row.columns) <= 1 + 1e-9


def test_anomalies_among_the_rows_are_set_aside_by_their_names(rows: pd.DataFrame) -> None:
    # Three that are alike would be one another's neighbours: each is wrong in its own way.
    wrong = changed(frame(3, 2), temperature=[700.0, -500, 70], load=[0, 0, 99], pressure=[1234567.89, 1e9, -1e9])
    model = dn2.fit(pd.concat([rows, wrong], ignore_index=True), **FITTED, contaminated=True, drop=0.1)
    assert set(wrong["part"]) <= set(model.set_aside)
    assert len(model.set_aside) < 40
    shown = {one.item for row in model.score(rows) for one in row.neighbors}
    assert not shown & set(model.set_aside)


def test_many_small_tables_raise_no_more_false_alarms_than_asked_for() -> None:
    alarms, n = [], 40
    for draw in range(60):
        rows = frame(n + 10, 1_000 + draw).iloc[:, 1:7]
        model = dn2.fit(rows.iloc[:n], false_alarm_rate=0.1)
        assert model.describe()["embedder"]["columns"] == {"category": 2, "date": 1, "number": 3}
        alarms.append(np.mean([row.is_anomaly for row in model.score(rows.iloc[n:])]))
    # 2 / 21 are flagged on average; of one set, the rate is that of a beta distribution, and 10 rows show it.
    spread = math.sqrt(2 / 21 * 19 / 21 * (1 / 22 + 1 / 10) / 60)
    assert 2 / 21 - 4 * spread < np.mean(alarms) < 2 / 21 + 4 * spread


# Reasons


def test_reasons_are_at_most_five_columns_whose_shares_fall_and_are_shares(queries: pd.DataFrame, model: Model) -> None:
    for row in model.score(queries):
        shares = [one.share for one in row.columns]
        assert 0 < len(shares) <= 5
        assert shares == sorted(shares, reverse=True)
        assert min(shares) > 0
        assert sum(shares) <= 1 + 1e-9
        assert len({one.column for one in row.columns}) == len(shares)


def test_parts_of_all_columns_add_up_to_the_score(
    queries: pd.DataFrame, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.table.kind.CONTRIBUTIONS_NAMED", 99)
    vectors = model.kind.embedder.embed(model.kind.embedder.read(_cells(queries))[0])
    parts = model.detector.contributions(vectors)
    names = ["machine", "load", "temperature", "pressure", "passed", *["made"] * 4, "line", "nothing"]
    for row, of_features in zip(model.score(queries), parts, strict=True):
        assert sum(one.share for one in row.columns) == pytest.approx(1)
        expected = dict.fromkeys(names, 0.0)
        for name, part in zip(names, of_features, strict=True):
            expected[name] += part
        assert sum(expected.values()) == pytest.approx(row.anomaly_score, rel=1e-9)
        for one in row.columns:
            assert one.share * row.anomaly_score == pytest.approx(expected[one.column], rel=1e-6)


def test_values_are_shown_as_the_table_has_them(rows: pd.DataFrame, queries: pd.DataFrame, model: Model) -> None:
    asked = changed(queries, machine={0: "unseen"}, pressure={1: 1234567.89}, passed={2: "Perhaps"})
    by_name = pd.concat([rows, asked]).set_index("part")

    def cell(name: str, column: str) -> Any:
        value = by_name.loc[name, column]
        if column == "made":
            return value.isoformat()
        if column == "passed":
            return "Perhaps" if value == "Perhaps" else str(value).lower()
        return None if value != value else value

    seen = set()
    for row in model.score(asked):
        for one in row.columns:
            seen.add(one.column)
            assert one.value == cell(row.item, one.column)
            assert one.neighbors == tuple(cell(near.item, one.column) for near in row.neighbors)
    assert seen == {"machine", "load", "temperature", "pressure", "passed", "made"}
    first, second = model.score(asked.iloc[:2])
    assert (first.columns[0].column, first.columns[0].value) == ("machine", "unseen")
    assert 1234567.89 in [one.value for one in second.columns]


def test_a_planted_wrong_value_ranks_first() -> None:
    rng = np.random.default_rng(3)
    # Six numbers and two categories that depend on three causes.
    causes = rng.normal(size=(600, 3))
    numbers = causes @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(600, 6))
    table = pd.DataFrame(
        (numbers * 10.0 ** rng.integers(-3, 7, 6)).round(6), columns=[f"n{place}" for place in range(6)]
    )
    table["c0"] = np.where(causes[:, 0] > 0, "up", "down")
    table["c1"] = np.where(causes[:, 1] > 0.5, "x", np.where(causes[:, 1] < -0.5, "y", "z"))
    model = dn2.fit(table.iloc[:400], neighbors=5)
    queries = table.iloc[400:].reset_index(drop=True)
    planted = rng.choice(table.columns, 200)
    for row, name in enumerate(planted):
        if name.startswith("n"):
            queries.loc[row, name] += 6 * rng.choice([-1, 1]) * table[name].std()
        else:
            queries.loc[row, name] = "unseen"
    first = [row.columns[0].column for row in model.score(queries)]
    assert np.mean(planted == np.array(first)) >= 0.95
    assert all(one == name for one, name in zip(first, planted, strict=True) if name.startswith("c"))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_results_of_tables_come_back_from_their_file(
    queries: pd.DataFrame, model: Model, tmp_path: Path, ending: str
) -> None:
    asked = changed(queries, load={2: "a lot", 5: None}, machine={3: 'odd, "quoted"\n; é'})
    result = model.score(asked)
    assert [row.item for row in result.errors] == ["p1-2"]
    assert result.columns == ("item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error", "columns")
    result.save(tmp_path / f"r.{ending}")
    assert read_rows(tmp_path / f"r.{ending}", RowEvidence) == result.rows
    assert result.to_pandas()["columns"][2] == []


def test_results_of_tables_in_json_have_the_columns_of_the_contract(queries: pd.DataFrame, model: Model) -> None:
    result = model.score(queries)
    record = json.loads(json.dumps(result.rows[0].as_dict()))
    assert list(record) == ["item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error", "columns"]
    assert [list(one) for one in record["columns"]] == [["column", "share", "value", "neighbors"]] * len(
        record["columns"]
    )


# Change


def test_rows_added_and_removed_again_change_no_bit(queries: pd.DataFrame, model: Model, saved_table: Path) -> None:
    before, expected = state(model), bits(model.score(queries))
    more = changed(frame(20, 4), machine={0: "d", 1: "e"})
    model.add(more)
    assert len(model.items) == 140
    assert [item.name for item in model.items[120:]] == more["part"].tolist()
    assert model.score(more.iloc[:1]).rows[0].neighbors[0].distance == 0
    assert bits(model.score(queries)) != expected
    model.remove(more["part"])
    assert state(model) == before
    assert bits(model.score(queries)) == expected


def test_a_model_without_a_row_is_that_of_the_others(rows: pd.DataFrame, queries: pd.DataFrame, model: Model) -> None:
    model.remove(["p0-5", "p0-70"])
    left = rows.drop([5, 70])
    assert [item.name for item in model.items] == left["part"].tolist()
    np.testing.assert_array_equal(model.kind.values[:, 1], left["load"])
    detector = Detector.fit(model.detector.steps, model.kind.embedder.embed(model.kind.values))
    fresh = Model(model.kind, detector, model.items)
    assert bits(fresh.score(queries)) == bits(model.score(queries))
    assert state(fresh) == state(model)


def test_where_a_row_tells_nothing_of_its_columns_removing_it_equals_a_fit_without_it() -> None:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"a": np.arange(90) % 9 // 2, "b": rng.permutation(np.arange(90) % 9 // 2)})
    rows["c"] = rng.choice(list("xyz"), 90)
    rows.loc[89] = [2, 2, "x"]  # the median; the quartiles lie among many of one value
    model = dn2.fit(rows).remove("row 90")
    fresh = dn2.fit(rows.iloc[:89])
    assert bits(model.score(rows)) == bits(fresh.score(rows))
    assert state(model) == state(fresh)


def test_a_row_is_not_removed_without_its_values(rows: pd.DataFrame, model: Model) -> None:
    model.remove(rows["part"][:60])
    (row,) = model.score(rows.iloc[[0]])
    by_name = rows.set_index("part")
    for one in row.columns:
        if one.column == "temperature":
            assert one.neighbors == tuple(by_name.loc[near.item, "temperature"] for near in row.neighbors)
    assert {near.item for near in row.neighbors} <= set(rows["part"][60:])


def test_what_cannot_be_changed_changes_nothing(rows: pd.DataFrame, model: Model) -> None:
    before = state(model)
    with pytest.raises(InputError, match="has an item 'p0-0' already"):
        model.add(rows.iloc[:2])
    with pytest.raises(InputError, match="has no item 'p9'"):
        model.remove(["p9"])
    with pytest.raises(InputError, match="the table lacks columns that the model compares: 'load'"):
        model.add(frame(5, 6).drop(columns="load"))
    with pytest.raises(InputError, match="none of the 2 rows can be read; 'p6-0': load is infinite"):
        model.add(changed(frame(2, 6), load={0: np.inf}, made={1: "soon"}))
    with pytest.raises(ReferenceTooSmall, match="2 neighbours need at least 3 reference items"):
        model.remove(rows["part"][:118])
    assert state(model) == before


def test_of_added_rows_those_that_cannot_be_read_are_left_out(model: Model) -> None:
    model.add(changed(frame(5, 6), load={1: "a lot"}))
    assert [(row.item, row.error) for row in model.unreadable] == [("p6-1", "load holds numbers, got 'a lot'")]
    assert [item.name for item in model.items[120:]] == ["p6-0", "p6-2", "p6-3", "p6-4"]


# There and back


@pytest.mark.parametrize(
    "options", [{}, {"contaminated": True}, {"index": "kmeans:5"}, {"neighbors": 3, "false_alarm_rate": 0.05}]
)
def test_a_model_of_a_table_is_the_same_once_saved_and_loaded(
    rows: pd.DataFrame, queries: pd.DataFrame, tmp_path: Path, options: dict[str, Any]
) -> None:
    model = dn2.fit(rows, **FITTED, **options)
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.score(queries).rows == model.score(queries).rows
    assert again.describe() == model.describe()
    assert again.set_aside == model.set_aside
    assert state(again) == state(model)
    for one in (model, again):
        one.add(changed(frame(9, 7), machine={0: "new"})).remove(["p7-3", "p0-3"])
    assert again.score(queries).rows == model.score(queries).rows
    again.save(tmp_path / "m.dn2")
    assert dn2.load(tmp_path / "m.dn2").score(queries).rows == model.score(queries).rows


def test_saving_the_same_again_changes_no_byte(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    dn2.load(copy).save(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_saved_table_is_data(saved_table: Path, rows: pd.DataFrame) -> None:
    manifest, parts = contents(saved_table)
    assert manifest["kind"] == "table"
    assert manifest["embedder"]["left_out"] == LEFT_OUT
    (records,) = parts["columns"]
    assert [(one["kind"], one["name"]) for one in records] == [
        ("category", "machine"),
        ("number", "load"),
        ("number", "temperature"),
        ("number", "pressure"),
        ("category", "passed"),
        ("date", "made"),
        ("category", "line"),
        ("category", "nothing"),
    ]
    (values,) = parts["values"]
    np.testing.assert_array_equal(values["values"][:, 3], rows["pressure"])


# Damage


def values_of(copy: Path) -> np.ndarray:
    return contents(copy)[1]["values"][0]["values"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values[:-1],
        lambda values: values[:, :-1],
        lambda values: values.ravel(),
        lambda values: values.astype(np.float32),
        lambda values: np.where(np.arange(8) == 0, 3.0, values),  # codes of a category that is not there
        lambda values: np.where(np.arange(8) == 0, -1.0, values),
        lambda values: np.where(np.arange(8) == 0, 0.5, values),
        lambda values: np.where(np.arange(8) == 1, np.inf, values),
        lambda values: np.where(np.arange(8) == 5, 1e30, values),
    ],
)
def test_values_that_do_not_fit_the_model_are_refused(copy: Path, damage: Any) -> None:
    values = values_of(copy)
    replace_part(copy, "values", save_tensors({"values": values}))
    assert len(dn2.load(copy).items) == 120
    replace_part(copy, "values", save_tensors({"values": np.ascontiguousarray(damage(values))}))
    with pytest.raises(ModelError, match=r"does not hold together \(.*\); fit it again"):
        dn2.load(copy)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"known": ["a"]}),
        (0, {"known": [1, 2, 3]}),
        (0, {"known": None}),
        (0, {"more": 1}),
        (1, {"scale": 0}),
        (1, {"scale": "1"}),
        (1, {"kind": "numbers"}),
        (1, {"kind": "category"}),
        (1, {"name": None}),
        (5, {"weekday": False}),
        (5, {"clock": True}),
        (5, {"time": 1}),
    ],
)
def test_columns_that_were_edited_are_refused(copy: Path, place: int, change: dict[str, Any]) -> None:
    (records,) = contents(copy)[1]["columns"]
    records[place] |= change
    replace_part(copy, "columns", "".join(json.dumps(one) + "\n" for one in records).encode())
    with pytest.raises(ModelError, match=r"does not hold together \(.*\); fit it again"):
        dn2.load(copy)


def test_a_column_that_was_made_one_of_another_kind_is_refused(copy: Path) -> None:
    (records,) = contents(copy)[1]["columns"]
    records[0] = {"kind": "number", "name": "machine", "offset": 0.0, "scale": 1.0}
    replace_part(copy, "columns", "".join(json.dumps(one) + "\n" for one in records).encode())
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(copy)


@pytest.mark.parametrize("remove", [0, 5])
def test_a_missing_column_is_refused(copy: Path, remove: int) -> None:
    (records,) = contents(copy)[1]["columns"]
    del records[remove]
    replace_part(copy, "columns", "".join(json.dumps(one) + "\n" for one in records).encode())
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(kind="vector", dimension=8),
        lambda manifest: manifest.update(kind="image"),
        lambda manifest: manifest.update(kind="nothing"),
        lambda manifest: manifest.pop("id_column"),
        lambda manifest: manifest["embedder"].pop("left_out"),
        lambda manifest: manifest["embedder"].update(left_out=5),
        lambda manifest: manifest["detector"].update(scale=None),
        lambda manifest: manifest["detector"].update(scale={"categorical": [0]}),
        lambda manifest: manifest["contents"].pop("values"),
        lambda manifest: manifest["contents"].pop("columns"),
        lambda manifest: manifest["contents"].pop("learnt"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(copy: Path, change: Any) -> None:
    reseal(copy, change)
    with pytest.raises(
        ModelError, match=r"does not hold together|needs what it learnt|does not list the model's files"
    ):
        dn2.load(copy)


def test_a_flipped_bit_in_the_values_is_found(copy: Path) -> None:
    flip_a_bit(copy, "values")
    with pytest.raises(ModelError, match="does not match its digest"):
        dn2.load(copy)


# What is wrong with rows


def test_rows_that_cannot_be_read_are_left_out_of_a_fit_and_listed(rows: pd.DataFrame, queries: pd.DataFrame) -> None:
    bad = changed(
        rows,
        load={3: "a lot", 7: np.inf},
        made={9: "soon"},
        part={11: None, 12: "p0-13"},
    )
    model = dn2.fit(bad, **FITTED)
    assert [(row.item, row.error) for row in model.unreadable] == [
        ("p0-3", "load holds numbers, got 'a lot'"),
        ("p0-7", "load is infinite"),
        ("p0-9", "made holds dates, got 'soon'"),
        ("row 12", "its id is missing"),
        ("row 14", "the id 'p0-13' is taken by row 13"),
    ]
    assert len(model.items) == 115
    assert len(model.score(queries).errors) == 0


def test_a_row_with_a_bad_cell_is_an_error_and_the_others_are_scored(queries: pd.DataFrame, model: Model) -> None:
    expected = model.score(queries).rows
    result = model.score(changed(queries, load={4: "a lot"}, made={6: "soon"}, pressure={8: np.inf}))
    errors = {
        4: "load holds numbers, got 'a lot'",
        6: "made holds dates, got 'soon'",
        8: "pressure is infinite",
    }
    assert {place: row.error for place, row in enumerate(result) if row.error} == errors
    for place, (row, good) in enumerate(zip(result, expected, strict=True)):
        assert row == (dn2.Row(row.item, error=errors[place], evidence=RowEvidence(())) if place in errors else good)


def test_a_table_of_which_no_row_can_be_read_is_scored_with_errors_only(queries: pd.DataFrame, model: Model) -> None:
    (row,) = model.score(changed(queries.iloc[:1], load={0: "a lot"}))
    assert (row.error, row.anomaly_score, row.neighbors) == ("load holds numbers, got 'a lot'", None, ())


def test_an_unseen_category_is_far_from_all_and_a_value_missing_where_none_was_too(
    queries: pd.DataFrame, model: Model
) -> None:
    for strange in (
        changed(queries, machine="unseen"),
        changed(queries, machine=None),
        changed(queries, load=np.nan),
        changed(queries, made=pd.NaT),
    ):
        (name,) = [name for name in ("machine", "load", "made") if not strange[name].equals(queries[name])]
        result = model.score(strange)
        assert result.errors == []
        assert {row.columns[0].column for row in result} == {name}
        assert all(row.is_anomaly for row in result)
    # Where values are missing now and then, another one is not strange.
    assert not all(row.is_anomaly for row in model.score(changed(queries, pressure=np.nan)))


def test_a_missing_column_is_named(queries: pd.DataFrame, model: Model, tmp_path: Path) -> None:
    some = queries.drop(columns=["load", "made"])
    for inputs in (some, write(some, tmp_path / "rows.csv")):
        with pytest.raises(
            InputError, match=r"the table lacks columns that the model compares: 'load', 'made'; it has"
        ):
            model.score(inputs)
    with pytest.raises(InputError, match="there is no column 'part'; there is"):
        model.score(queries.drop(columns="part"))
    with pytest.raises(InputError, match="compares: 'machine', 'load', 'temperature' and 3 more; it has 'line'"):
        model.score(queries[["part", "line"]])
    with pytest.raises(InputError, match="there is none of the columns 'machine', 'load'"):
        model.score(queries[["part", "note"]])


def test_columns_that_the_model_does_not_have_are_passed_over_and_named(
    queries: pd.DataFrame, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    expected = model.score(queries).rows
    more = queries.assign(**{f"new {place}": place for place in range(6)})
    with caplog.at_level(logging.INFO, "dn2"):
        caplog.clear()
        assert model.score(more).rows == expected
    shown = "'note', 'new 0', 'new 1', 'new 2', 'new 3' and 2 more"
    assert caplog.messages == [f"columns that the model does not have are passed over: {shown}"]
    with caplog.at_level(logging.INFO, "dn2"):
        caplog.clear()
        model.score(queries.drop(columns="note"))
    assert caplog.messages == []


def test_a_column_that_changed_its_kind_as_a_whole_is_refused(queries: pd.DataFrame, model: Model) -> None:
    for strange, words in [
        (changed(queries, load="high"), "the column 'load' holds numbers in the model"),
        (changed(queries, made="soon"), "the column 'made' holds dates in the model"),
        (changed(queries, load=queries["made"]), "the column 'load' holds numbers in the model"),
        (changed(queries, made=queries["load"]), "the column 'made' holds dates in the model"),
    ]:
        with pytest.raises(InputError, match=words):
            model.score(strange)


def test_a_nested_column_that_was_dropped_does_no_harm_when_scoring(tmp_path: Path) -> None:
    table = pa.table({"a": np.random.default_rng(0).normal(size=40), "tags": [[1, 2]] * 40})
    pa.parquet.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="leave it out with drop_columns='tags'"):
        dn2.fit(tmp_path / "rows.parquet")
    for inputs in (table, tmp_path / "rows.parquet"):
        assert len(dn2.fit(inputs, drop_columns=["tags"]).score(inputs)) == 40


# Bad input, from file to verdict


GOOD = "a,b\n" + "".join(f"{number / 8 % 3:.3f},{'xyz'[number % 3]}\n" for number in range(60))


def fitted(folder: Path, content: str | bytes, name: str = "rows.csv") -> Model:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return dn2.fit(folder, kind="table")


def test_a_ragged_row_is_an_error_and_the_others_are_compared(tmp_path: Path) -> None:
    model = fitted(tmp_path, GOOD + "1\n1,x,2\n")
    assert [(row.item, row.error) for row in model.unreadable] == [
        ("rows.csv:61", "it has 1 cells, the header has 2 columns"),
        ("rows.csv:62", "it has 3 cells, the header has 2 columns"),
    ]
    (tmp_path / "new.csv").write_text("a,b\n1,x\n1\n2,y\n")
    assert [row.error is None for row in model.score(tmp_path / "new.csv")] == [True, False, True]


def test_mixed_types_in_a_column_make_errors_or_categories(tmp_path: Path) -> None:
    assert [row.item for row in fitted(tmp_path, GOOD + "oops,x\n").unreadable] == ["rows.csv:61"]
    mixed = fitted(tmp_path, "a,b\n" + "1,x\nred,y\n2.0,x\nblue,z\n" * 10)
    assert mixed.unreadable == []
    assert mixed.describe()["embedder"]["columns"] == {"category": 2}
    objects = dn2.fit({"a": [1, "red", 2.5, None] * 10, "b": [1.5, 2.5] * 20})
    assert objects.describe()["embedder"]["columns"] == {"category": 1, "number": 1}


def test_ten_thousand_columns_are_compared() -> None:
    rng = np.random.default_rng(0)
    table = {f"c{place}": values for place, values in enumerate(rng.normal(size=(10_000, 8)))}
    model = dn2.fit(table)
    assert model.kind.dimension == 10_000
    odd = {name: values[:1].copy() for name, values in table.items()}
    odd["c1234"][0] += 1e9
    assert model.score(odd).rows[0].columns[0].column == "c1234"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,a\n1,2\n", "the header of .* has two columns named 'a'; rename one"),
        ("", "is empty; its first line must name the columns"),
        ("a,b\n", "has a header and no rows below it"),
        ("a,b\n1\n2\n", "no row can be read"),
        ("1,2\n3,4\n", "the first line must name the columns, got numbers"),
        ("a,b\n,NaN\nNA,\n", "no column is left to compare rows by: a: categories, always empty; b: "),
        ("a,b\n1,x\n1,x\n", "no column is left to compare rows by: a: numbers, always 1; b: categories, always 'x'"),
        ("a\ninf\n-inf\n", "no column is left to compare rows by: a: nothing but infinite values"),
        (
            "a,b\n1,мир\n".encode("cp1251"),
            "line 2: byte 3 .* is no UTF-8, and the file does not read as Windows-1252; save the file as UTF-8",
        ),
        ("a,b\n1,x\n2,y\n", "2 neighbours need at least 3 reference items, got .*2"),
    ],
)
def test_a_file_that_cannot_be_fitted_is_refused_in_words(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises((InputError, ReferenceTooSmall), match=words):
        fitted(tmp_path, content)


def test_one_row_is_too_few() -> None:
    for table in ({"a": [1.0], "b": ["x"]}, pd.DataFrame({"a": [1.0]})):
        with pytest.raises(ReferenceTooSmall, match="one row cannot show what is normal"):
            dn2.fit(table)


def test_utf_16_columns_of_nothing_and_infinite_values_do_not_disturb_the_rest(tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    lines = [lines[0] + ",empty,note", *(f"{line},NaN,é{number % 4}" for number, line in enumerate(lines[1:]))]
    lines[5] = "inf,x,NaN,é1"
    model = fitted(tmp_path, "\n".join(lines).encode("utf-16"))
    assert model.describe()["embedder"]["left_out"] == {}
    assert [column.name for column in model.kind.embedder.columns if column.is_constant] == ["empty"]
    assert [(row.item, row.error) for row in model.unreadable] == [("rows.csv:5", "a is infinite")]
    assert model.kind.embedder.columns[-1].known == ("é0", "é1", "é2", "é3")


def test_values_as_large_as_floats_can_be_are_compared() -> None:
    rng = np.random.default_rng(0)
    table = {"a": np.append(rng.normal(size=60), [1.7e308, -1.7e308]), "b": [1.7e308, -1.7e308] * 31}
    model = dn2.fit(table)
    result = model.score(table)
    assert all(np.isfinite(row.anomaly_score) for row in result)
    assert result.rows[60].columns[0].value == 1.7e308


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"normalize": "unit"}, "normalize belongs to"),
        ({"whiten": True}, "whiten belongs to"),
        ({"kind": "tables"}, "kind must be one of image, series, table, text, vector, got 'tables'"),
        ({"id_column": "parts"}, "there is no column 'parts'; there is 'part'"),
        ({"drop_columns": ["lode"]}, "there is no column 'lode'; there is 'load'"),
        ({"id_column": "part", "drop_columns": ["part"]}, "there is no column 'part'"),
        ({"index": "kmeans:3", "neighbors": 2}, "neighbors must be 1 where items are compared with centroids, got 2"),
        ({"kind": "vector"}, "."),
    ],
)
def test_options_that_do_not_go_with_tables_are_refused(
    rows: pd.DataFrame, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        dn2.fit(rows, **options)


def test_a_rate_that_half_of_the_rows_cannot_support_is_refused_with_the_number_it_takes(rows: pd.DataFrame) -> None:
    with pytest.raises(ReferenceTooSmall, match=r"0\.01 needs at least 99 items that calibrate, got 60 of 120"):
        dn2.fit(rows, false_alarm_rate=0.01)
    assert dn2.fit(rows).false_alarm_rate == 1 / 61

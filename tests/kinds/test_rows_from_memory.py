"""Rows, texts, series and vectors from memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dn2
from dn2.errors import InputError
from dn2.kinds.guess import guess_kind

FRAME = pd.DataFrame({"amount": np.random.default_rng(0).normal(size=60), "color": ["red", "blue", "green"] * 20})
TEXTS = [f"the meeting is at {hour} in room {room}" for hour in range(8, 18) for room in range(4)]
WAVE = np.sin(np.arange(600) / 5) + np.random.default_rng(0).normal(0, 0.1, 600)
CHARACTERS: dict[str, Any] = {"backbone": "characters"}


@pytest.fixture(scope="module")
def table() -> dn2.Model:
    return dn2.fit(FRAME)


@pytest.fixture(scope="module")
def text() -> dn2.Model:
    return dn2.fit(TEXTS, **CHARACTERS)


@pytest.fixture(scope="module")
def series() -> dn2.Model:
    return dn2.fit(WAVE, kind="series", window=30)


@pytest.fixture(scope="module")
def vector() -> dn2.Model:
    return dn2.fit(np.random.default_rng(0).normal(size=(80, 3)))


# Rows


@pytest.mark.parametrize(
    "form",
    [
        lambda frame: frame.to_dict("records"),
        lambda frame: tuple(frame.to_dict("records")),
        lambda frame: [row for _, row in frame.iterrows()],
        lambda frame: {f"row {n + 1}": row for n, row in enumerate(frame.to_dict("records"))},
        lambda frame: pl.DataFrame(frame.to_dict("list")),
        lambda frame: frame.to_dict("list"),
    ],
    ids=["dicts", "tuple of dicts", "Series", "dict of dicts", "polars", "dict of columns"],
)
def test_rows_of_any_form_are_those_of_the_frame(table: dn2.Model, form: Callable[[pd.DataFrame], Any]) -> None:
    queries = FRAME.iloc[:7].assign(amount=range(7))
    assert table.score(form(queries)).rows == table.score(queries).rows
    made = dn2.fit(form(FRAME))
    assert made.describe()["kind"] == "table"
    assert np.array_equal(made.calibration.scores, table.calibration.scores)


@pytest.mark.parametrize("row", [{"amount": 3, "color": "red"}, pd.Series({"color": "red", "amount": 3})])
def test_one_row_is_a_dict_or_a_series(table: dn2.Model, row: Any) -> None:
    expected = table.score(pd.DataFrame([{"amount": 3, "color": "red"}])).rows
    assert table.score(row).rows == expected
    assert table.score(row, names=["today"])[0].item == "today"
    assert table.score_one(row) == expected[0]


def test_missing_keys_are_missing_values(table: dn2.Model) -> None:
    expected = table.score(pd.DataFrame({"amount": [1.5, np.nan], "color": [None, "blue"]})).rows
    assert table.score([{"amount": 1.5}, {"color": "blue"}]).rows == expected
    assert table.score({"amount": 1.5}).rows[0] == expected[0]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"amount": "much"}, "amount holds numbers, got 'much'"),
        ({"amount": np.inf}, "amount is infinite"),
        ({"weight": 3}, "it has none of the columns that the model compares, only 'weight'"),
        ({}, "a row must be a dict of its columns, got dict"),
        (5, "a row must be a dict of its columns, got int"),
        ({"amount": [1, 2]}, "amount holds one value a row, got list"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_row_with_its_error(table: dn2.Model, bad: Any, why: str) -> None:
    good = {"amount": 0.5, "color": "red"}
    results = table.score([good, bad, good])
    assert [row.error for row in results] == [None, why, None]
    assert results[0] == table.score([good])[0]
    with pytest.raises((dn2.UnreadableItem, InputError)):
        table.score_one(bad)


@pytest.mark.parametrize("inputs", [[[1, "red"]], [(1.5, 2.5)], np.zeros((3, 2)), [1.5]])
def test_rows_without_names_of_columns_are_refused(table: dn2.Model, inputs: Any) -> None:
    with pytest.raises(InputError, match="columns need names"):
        table.score(inputs)


def test_rows_are_named_by_their_id_where_they_have_one() -> None:
    model = dn2.fit(FRAME.assign(part=[f"p{n}" for n in range(60)]), id_column="part")
    rows = [{"part": "x", "amount": 1.0}, {"amount": 2.0}]
    assert [(row.item, row.error) for row in model.score(rows)] == [("x", None), ("row 2", "its id is missing")]
    assert [row.item for row in model.score([{"amount": 2.0}])] == ["row 1"]
    assert model.score_one({"amount": 2.0}).error is None


def test_rows_are_added_and_removed_by_name(table: dn2.Model) -> None:
    model = dn2.fit(FRAME.to_dict("records"))
    before = model.score(FRAME).rows
    model.add({"amount": 0.1, "color": "red"}, names=["new"]).remove("new")
    assert model.score(FRAME).rows == before


# Texts


@pytest.mark.parametrize(
    "form",
    [list, tuple, iter, np.array, pd.Series, lambda texts: {f"text {n}": text for n, text in enumerate(texts, 1)}],
    ids=["list", "tuple", "iterator", "array", "Series", "dict"],
)
def test_texts_of_any_form_are_messages(text: dn2.Model, form: Callable[[Any], Any]) -> None:
    made = dn2.fit(form(TEXTS), **CHARACTERS)
    assert made.describe()["kind"] == "text"
    assert np.array_equal(made.calibration.scores, text.calibration.scores)
    scores = [row.anomaly_score for row in made.score(form(["hello there", "FREE!!!"]))]
    assert scores == [row.anomaly_score for row in text.score(["hello there", "FREE!!!"])]


def test_texts_are_named_by_position(text: dn2.Model) -> None:
    assert text.items[0].name == "text 1"
    assert [row.item for row in text.score(["hello"])] == ["text 1"]
    assert [row.item for row in text.score({"a": "hello"})] == ["a"]
    assert [row.item for row in text.score(pd.Series(["hello"]))] == ["row 1"]


@pytest.mark.parametrize("bad", ["", " \n", None, "a" * 2**21, "caf\udce9"])
def test_a_text_that_cannot_be_read_is_a_row_with_its_error(text: dn2.Model, bad: Any) -> None:
    results = text.score(["hello there", bad])
    assert [row.error is None for row in results] == [True, False]
    with pytest.raises((dn2.UnreadableItem, InputError)):
        text.score_one(bad)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_what_is_missing_among_texts_is_an_error_of_its_own(text: dn2.Model, nothing: Any) -> None:
    for texts in (["please help", nothing], pd.Series(["please help", nothing], dtype=object)):
        assert [row.error for row in text.score(texts)] == [None, "it is missing"]
    for texts in ([nothing] * 3, pd.Series([nothing] * 3, dtype=object)):
        assert [row.error for row in text.score(texts)] == ["it is missing"] * 3
        with pytest.raises(dn2.InputError, match=r"none of the 3 rows can be read; '.*': it is missing"):
            dn2.fit(texts, kind="text", backbone="characters")


def test_texts_after_very_many_that_are_missing_are_messages() -> None:
    column = pd.Series([None] * 1_500 + ["pump runs", "pump stops"] * 30, dtype=object)
    assert dn2.fit(column, backbone="characters").kind.name == "text"


def test_texts_of_which_none_is_a_path_name_the_way_to_messages() -> None:
    with pytest.raises(dn2.InputError, match=r"'hello' does not exist, nor does any other .*; if these .* kind='text'"):
        dn2.fit(["hello", "ok", None])
    with pytest.raises(dn2.InputError, match="'missing/a' does not exist; name a folder"):
        dn2.fit(["missing/a", "missing/b"])


def test_a_series_of_nothing_says_so() -> None:
    with pytest.raises(dn2.InputError, match="all 50 values of the series are missing"):
        dn2.fit(pd.Series([np.nan] * 50))


def test_a_list_of_paths_stays_paths(text: dn2.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello there\nbye\n")
    assert [row.item for row in text.score(["notes.txt"])] == ["notes.txt:1", "notes.txt:2"]
    for paths in (["missing.txt", "gone.csv"], ["notes.txt", "hello there"]):
        with pytest.raises(InputError, match="texts themselves come as a list without paths"):
            text.score(paths)


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        (["hello there", "bye"], "text"),
        (["gone", "missing"], "image"),  # names of folders, more likely than messages of one word each
        (["hello there", "gone/"], "image"),
        (["hello there", "@list"], "image"),
        (["hello there", "a*.png"], "image"),
        (["hello there", "photo.jpg"], "image"),
        ({"a": "hello there"}, "text"),
        ([b"x"], "image"),
        ([{"a": 1}], "table"),
        ({"a": [1, 2]}, "table"),
        ({"a": 1}, "table"),
        (np.zeros((2, 2), np.uint8), "vector"),
        (np.zeros((2, 2, 3), np.uint8), "image"),
        (np.zeros((2, 2, 2, 3), np.uint8), "image"),
        ([np.zeros((2, 2))], "image"),
        ([np.zeros(2)], "vector"),
        ([[1, 2], [3, 4]], "vector"),
        ([1, 2], "vector"),
        (pd.Series([1.0, 2.0]), "series"),
        (pl.Series([1.0, 2.0]), "series"),
        (pd.Series(["a", "b"]), "text"),
        (np.array(["a", "b"]), "text"),
        (np.array(["a.png", "b.png"]), "image"),
    ],
)
def test_what_inputs_from_memory_are_is_told_by_their_form(inputs: Any, kind: str, tmp_path: Path) -> None:
    assert guess_kind(inputs) == kind


# Series


def test_a_series_of_pandas_brings_its_stamps() -> None:
    hours = pd.Series(WAVE, index=pd.date_range("2024-01-01", periods=600, freq="h"))
    model = dn2.fit(hours, window=30)
    frame = pd.DataFrame({"t": hours.index, "x": WAVE})
    expected = dn2.fit(frame, time="t", window=30)
    assert np.array_equal(model.calibration.scores, expected.calibration.scores)
    assert model.items[0].name == "series:2024-01-01T00:00:00"
    scores = [(row.item, row.anomaly_score) for row in model.score(hours[:90])]
    assert [(row.item, row.anomaly_score) for row in expected.score(hours[:90])] == scores
    berlin = model.score(hours[:90].tz_localize("Europe/Berlin"))
    assert berlin[0].item.startswith("series:2023-12-31T23:00:00")


@pytest.mark.parametrize("form", [list, np.array, pd.Series, pl.Series, lambda one: pd.Series(one, dtype="Float64")])
def test_series_of_any_form_are_those_of_the_array(series: dn2.Model, form: Callable[[Any], Any]) -> None:
    assert series.score(form(WAVE[:120].tolist())).rows == series.score(WAVE[:120]).rows


def test_a_dict_is_several_series(series: dn2.Model) -> None:
    both = series.score({"a": WAVE[:100], "b": pd.Series(WAVE[200:300])})
    assert {row.item.partition(":")[0] for row in both} == {"a", "b"}
    alone = {row.item: row.anomaly_score for row in series.score(WAVE[:100], names=["a"])}
    assert {row.item: row.anomaly_score for row in both if row.item.startswith("a:")} == alone
    made = dn2.fit({"a": WAVE[:300], "b": WAVE[300:]}, kind="series", window=30)
    assert made.items[0].name == "a:0"


def test_a_dict_of_the_columns_of_a_model_is_a_frame() -> None:
    model = dn2.fit({"t": np.arange(600.0), "x": WAVE}, kind="series", time="t", window=30)
    assert {row.item.partition(":")[0] for row in model.score({"t": np.arange(100.0), "x": WAVE[:100]})} == {"series"}
    plain = dn2.fit(pd.DataFrame({"x": WAVE}), kind="series", window=30)
    assert plain.score({"x": WAVE[:100]}).rows == plain.score(WAVE[:100]).rows


def test_a_series_that_cannot_be_read_is_a_row_with_its_error(series: dn2.Model) -> None:
    results = series.score(
        {"good": WAVE[:100], "empty": np.full(50, np.nan), "short": WAVE[:9], "words": pd.Series(["a"])}
    )
    assert {row.item.partition(":")[0] for row in results if row.error is None} == {"good"}
    errors = {row.item.partition(":")[0]: row.error for row in results.errors}
    assert "all 50 values of the series are missing" in errors["empty"]
    assert "9 points between gaps are fewer than a window" in errors["short"]
    assert "a series in memory is an array of numbers" in errors["words"]
    stamps = pd.DatetimeIndex([pd.NaT, *pd.date_range("2024", periods=99)])
    with pytest.raises(InputError, match="it lacks some"):
        series.score(pd.Series(WAVE[:100], index=stamps))


def test_of_one_point_of_a_series_there_is_no_verdict(series: dn2.Model) -> None:
    with pytest.raises(InputError, match="an interval needs the series around it"):
        series.score_one(WAVE[:100])


# Vectors


@pytest.mark.parametrize("form", [list, lambda rows: rows.tolist(), lambda rows: tuple(map(tuple, rows.tolist()))])
def test_vectors_of_any_form_are_those_of_the_array(vector: dn2.Model, form: Callable[[Any], Any]) -> None:
    queries = np.random.default_rng(1).normal(size=(5, 3))
    assert vector.score(form(queries)).rows == vector.score(queries).rows
    assert [row.anomaly_score for row in vector.score({"a": queries[0], "b": queries[1].tolist()})] == [
        row.anomaly_score for row in vector.score(queries[:2])
    ]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ([1.0, 2.0], "a vector must have 3 numbers here, got 2"),
        ([1.0, np.nan, 2.0], "it holds NaN or infinity"),
        (["a", "b", "c"], "a vector must be a sequence of numbers, got list"),
        (None, "a vector must be a sequence of numbers, got NoneType"),
    ],
)
def test_a_vector_that_cannot_be_used_is_a_row_with_its_error(vector: dn2.Model, bad: Any, why: str) -> None:
    assert [row.error for row in vector.score([[0, 0, 0], bad])] == [None, why]
    with pytest.raises((dn2.UnreadableItem, InputError)):
        vector.score_one(bad)


@pytest.mark.parametrize("inputs", [[1.0, 2.0, 3.0], np.zeros(3)])
def test_one_vector_outside_of_a_list_is_refused_with_the_way_out(vector: dn2.Model, inputs: Any) -> None:
    for ask in (vector.score, dn2.fit):
        with pytest.raises(InputError, match=r"one vector is \[vector\], and a series takes kind='series'"):
            ask(inputs)
    assert vector.score_one(inputs) == vector.score([inputs])[0]

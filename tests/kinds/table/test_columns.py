"""Columns of tables: what kind each is, the numbers that its values become, and what is wrong with others."""

from __future__ import annotations

import json
import math
import zlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2 import InputError
from dn2.inputs.cells import to_moments
from dn2.inputs.numbers import Notation
from dn2.kinds.table.columns import CategoryColumn, DateColumn, NumberColumn, check_kind
from dn2.kinds.table.embedder import as_record, from_record
from dn2.kinds.table.finding import find_column

DAYS = [f"2024-03-{day:02}" for day in range(1, 32)]


def texts(*cells: str | None) -> Any:
    return np.array(cells, dtype=object)


def moments(*cells: str) -> Any:
    return np.array(cells, dtype="datetime64[us]")


def microseconds(text: str) -> float:
    """Return microseconds since 1970, by Python's own clock."""
    moment = datetime.fromisoformat(text)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1e6 + since.microseconds


def kind_of(name: str, cells: Any) -> str:
    found = find_column(name, cells)
    assert not isinstance(found, str), found
    return found.kind


def reason_for(name: str, cells: Any) -> str:
    found = find_column(name, cells)
    assert isinstance(found, str), found
    return found


# What kind a column is


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (np.array([1.5, 2.5, 2.5]), "number"),
        (np.array([1.5, np.nan, 2.5]), "number"),
        (np.array([0.0, 1, 1, 0]), "number"),
        (texts("1", " 2.5 ", "-3e4", None), "number"),
        (texts("a", "b", "a"), "category"),
        (texts("true", "false", None), "category"),
        (texts("1_000", "2_000"), "category"),
        (texts("007", "7", "012"), "category"),
        (texts("1234567890123456701", "1234567890123456702"), "category"),
        (np.cumsum(np.random.default_rng(1).integers(1, 99, 30)).astype(float), "number"),  # sorted, and no identifier
        (texts("12:30", "13:30"), "category"),
        (moments("2024-03-01", "2024-05-01", "NaT"), "date"),
        (texts("2024-03-01", "2024-05-01", None), "date"),
        (texts("2024-03-01T12:30:00+02:00", "2024-03-01 12:30"), "date"),
        (texts("31.12.2024", "1.1.2025 08:30"), "date"),
        (texts("2024/12/31", "2025/1/1 08:30:15"), "date"),
    ],
)
def test_the_kind_of_a_column_is_read_from_its_cells(cells: Any, kind: str) -> None:
    assert kind_of("x", cells) == kind


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (np.array([np.inf, -np.inf]), "nothing but infinite values"),
        (texts("5 EUR", "6 USD"), "numbers in several units: EUR, USD"),
        (texts("5 %", "6"), "numbers in several units: %, none"),
        (np.arange(20.0), "an identifier: 20 different whole numbers"),
        (np.arange(1_000.0, 1_040)[::-1], "an identifier: 40 different whole numbers"),
        (np.random.default_rng(1).permutation(np.arange(500.0, 600)), "an identifier: 100 different whole numbers"),
        (np.arange(100.0, 400, 10), "an identifier: 30 different whole numbers"),
        (texts(*(f"serial {number}" for number in range(20))), "an identifier or free text: 20 different ones in 20"),
        (texts(*(f"{number % 21}x" for number in range(40))), "an identifier or free text: 21 different ones in 40"),
    ],
)
def test_a_column_that_tells_nothing_is_left_out_with_the_reason(cells: Any, reason: str) -> None:
    assert reason_for("x", cells).startswith(reason)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (np.full(30, np.nan), "categories, always empty"),
        (texts(None, None), "categories, always empty"),
        (moments("NaT", "NaT"), "categories, always empty"),
        (np.full(3, 5.0), "numbers, always 5"),
        (np.full(3, 2.5), "numbers, always 2.5"),
        (texts("7", "7.0"), "numbers, always 7"),
        (texts("L1", "l1 "), "categories, always 'L1'"),
        (texts("True", "true", "TRUE"), "categories, always 'true'"),
        (texts("a" * 50, "a" * 50), f"categories, always '{'a' * 38} …'"),
        (moments("2024-03-01", "2024-03-01"), "dates, always 2024-03-01"),
        (texts("2024-03-01", "1.3.2024"), "dates, always 2024-03-01"),
    ],
)
def test_a_column_that_is_always_the_same_is_compared_in_case_it_changes(cells: Any, words: str) -> None:
    column = find_column("x", cells)
    assert not isinstance(column, str)
    assert (column.words, column.is_constant) == (words, True)


@pytest.mark.parametrize("name", ["id", "ID", "part_id", "part id", "part-UUID", "row_index", "sort key", "guid"])
def test_different_whole_numbers_are_an_identifier_by_their_name(name: str) -> None:
    cells = np.random.default_rng(2).permutation(np.arange(30.0) * 1_000)
    assert reason_for(name, cells) == "an identifier: 30 different whole numbers"


@pytest.mark.parametrize("name", ["load", "valid", "fluid", "indexed", "monkey", "id of line"])
def test_different_whole_numbers_are_numbers_elsewhere(name: str) -> None:
    assert kind_of(name, np.random.default_rng(2).permutation(np.arange(30.0) * 1_000)) == "number"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (np.arange(19.0), "number"),  # too few rows to tell
        (np.arange(30.0) / 2, "number"),
        (np.append(np.arange(30.0), 29.0), "number"),
        (np.append(np.arange(0, 300.0, 10), 295.0)[::-1][np.r_[5:31, 0:5]], "number"),  # no order, and many left out
        (texts(*(f"serial {number}" for number in range(19))), "category"),
        (texts(*(f"{number % 20}x" for number in range(40))), "category"),  # half of them are different
    ],
)
def test_what_looks_nearly_like_an_identifier_is_compared(cells: Any, kind: str) -> None:
    assert kind_of("x", cells) == kind


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (np.append(np.full(30, 5.0), np.nan), "number"),
        (texts(*["yes"] * 30, None), "category"),
        (moments(*["2024-03-01"] * 30, "NaT"), "date"),
    ],
)
def test_a_column_that_is_constant_where_it_is_not_missing_is_compared(cells: Any, kind: str) -> None:
    assert kind_of("x", cells) == kind


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("make", [texts, moments])
def test_dates_in_order_are_the_clock(make: Any, order: int) -> None:
    daily = find_column("day", make(*DAYS[::order]))
    assert (daily.clock, daily.weekday, daily.time) == (True, True, False)
    noons = find_column("at", make(*(f"{day}T12:00" for day in DAYS[::order])))
    assert (noons.clock, noons.weekday, noons.time) == (True, True, False)
    hourly = find_column("at", make(*[f"{day}T{hour:02}:00" for hour, day in enumerate(DAYS[:24])][::order]))
    assert (hourly.clock, hourly.weekday, hourly.time) == (True, True, True)


def test_dates_without_order_or_too_few_of_them_are_compared_by_their_moment() -> None:
    shuffled = find_column("day", texts(*DAYS[10:], *DAYS[:10]))
    assert (shuffled.clock, shuffled.weekday, shuffled.time) == (False, True, False)
    assert not find_column("day", texts(*DAYS[:19])).clock
    assert find_column("day", texts(*DAYS[:20])).clock
    within = find_column("at", moments(*(f"2024-03-01T{hour:02}:00" for hour in (5, 3, 9))))
    assert (within.clock, within.weekday, within.time) == (False, False, True)


@pytest.mark.parametrize("good", ["1.5", "2024-03-01"])
@pytest.mark.parametrize(("n_bad", "most"), [(1, True), (2, False)])
def test_a_column_is_of_a_kind_that_19_in_20_of_its_values_are_of(good: str, n_bad: int, most: bool) -> None:
    cells = texts("bad", "worse", *[good] * 18, None, None)
    cells[1] = cells[1] if n_bad == 2 else good
    cells[2] = "2.5" if good == "1.5" else "2024-03-02"
    assert kind_of("x", cells) == ({"1.5": "number", "2024-03-01": "date"}[good] if most else "category")


# Numbers


def test_numbers_are_read_and_what_is_none_is_an_error_of_its_row() -> None:
    column = NumberColumn("load", 0, 1)
    values, errors = column.read(texts("1.5", None, "n. a.", "inf", "1_000", " -2 "))
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan, np.nan, np.nan, -2])
    assert errors == {
        2: "load holds numbers, got 'n. a.'",
        3: "load is infinite",
        4: "load holds numbers, got '1_000'",
    }
    values, errors = column.read(np.array([-np.inf, 3, np.nan]))
    np.testing.assert_array_equal(values, [np.nan, 3, np.nan])
    assert errors == {0: "load is infinite"}
    values, errors = column.read(moments("2024-03-01", "NaT"))
    assert (np.isnan(values).all(), list(errors)) == (True, [0])


def test_numbers_of_a_large_offset_keep_their_differences_in_float32() -> None:
    small = np.arange(21) / 10
    column = find_column("x", 1e9 + small[np.r_[11:21, 0:11]])
    (feature,) = column.features(1e9 + small)
    steps = np.diff(feature.astype(np.float32))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)
    assert steps[0] > 0


def test_moments_within_a_second_keep_their_differences_in_float32() -> None:
    at = [f"2024-03-01T12:00:00.{100 * tick:06}" for tick in range(20)]
    column = find_column("at", moments(*at[7:], *at[:7]))
    feature = column.features(column.read(moments(*at))[0])[0].astype(np.float32)
    steps = np.diff(feature)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
    assert steps[0] > 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2, 3, 4, 5], (3, 2)),  # the median, and the quartiles' distance
        ([0.0, 0, 0, 0, 9], (0, 9)),  # where the quartiles are one, how far the largest lies above
        ([-9.0, 0, 0, 0, 0], (0, 9)),  # or the smallest below
        ([4.0, 4, 4], (4, 1)),
    ],
)
def test_numbers_are_taken_relative_to_the_middle_of_them(values: list[float], expected: tuple[float, float]) -> None:
    column = find_column("x", np.array([*values, np.nan]))
    assert (column.offset, column.scale) == expected
    np.testing.assert_array_equal(
        column.features(np.array([7.0, np.nan]))[0], [(7 - expected[0]) / expected[1], np.nan]
    )


@pytest.mark.parametrize("cells", [np.array([-1.7e308, 1.7e308] * 20), np.array([1.0, 2, 3, -1.7e308, 1.7e308])])
def test_extreme_values_are_cut_off_where_float32_can_hold_their_squares(cells: Any) -> None:
    column = find_column("x", cells)
    (feature,) = column.features(np.array([1.7e308, -1.7e308, 1e300, 1e-300, 0]))
    assert np.isfinite(feature).all()
    assert np.isfinite(np.square(feature.astype(np.float32))).all()
    assert feature[0] > feature[-1] > feature[1]


def test_a_tiny_scale_cuts_off_what_lies_far_from_it() -> None:
    (feature,) = NumberColumn("x", 0, 1e-300).features(np.array([1e300, -1e300, 2e-300]))
    np.testing.assert_allclose(feature, [1e12, -1e12, 2])


# Categories


def test_categories_are_codes_in_the_order_of_their_coming() -> None:
    column = find_column("x", texts("b", None, "a", "b", "c"))
    assert column == CategoryColumn("x", ("b", "a", "c"))
    values, errors = column.read(texts("c", "b", None, "d", "a "))
    codes = {text: zlib.crc32(text.encode()) % 2**24 for text in ("a", "b", "c", "d")}
    np.testing.assert_array_equal(values, [2, 0, np.nan, -1 - codes["d"], 1])  # "a " is "a"
    assert errors == {}
    (feature,) = column.features(values)
    np.testing.assert_array_equal(feature, [codes["c"], codes["b"], np.nan, codes["d"], codes["a"]])
    assert len(set(codes.values())) == 4
    assert column.categorical == [True]


def test_a_text_has_the_same_code_whatever_else_is_known() -> None:
    one, other = CategoryColumn("x", ("a", "b")), CategoryColumn("x", ("c", "b", "d"))
    cells = texts("a", "b", "c", None)
    np.testing.assert_array_equal(one.features(one.read(cells)[0]), other.features(other.read(cells)[0]))


def test_truth_values_are_alike_however_they_are_written() -> None:
    column = find_column("ok", texts("true", "False", "FALSE", "True"))
    assert column.known == ("true", "false")
    np.testing.assert_array_equal(column.read(texts("TRUE", "false", "yes", "0", "1.0", " No"))[0], [0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(column.read(np.array([1.0, 0.0]))[0], [0, 1])
    assert column.read(texts("maybe"))[0][0] < 0
    flags = find_column("ok", np.array([0.0, 1, 1, 0]))
    values, errors = flags.read(texts("true", "no", "maybe"))
    assert (values[:2].tolist(), list(errors)) == ([1, 0], [2])


# Dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-12-31", "2024-12-31T00:00:00"),
        (" 2024-12-31 ", "2024-12-31T00:00:00"),
        ("2024-12-31 08:30", "2024-12-31T08:30:00"),
        ("2024-12-31T08:30:15.250000", "2024-12-31T08:30:15.250000"),
        ("2024-12-31T08:30:15.123457", "2024-12-31T08:30:15.123457"),
        ("2024-12-31T23:30:00-02:00", "2025-01-01T01:30:00"),
        ("2024-12-31T23:30:00Z", "2024-12-31T23:30:00"),
        ("31.12.2024", "2024-12-31T00:00:00"),
        ("31.12.2024 08:30", "2024-12-31T08:30:00"),
        ("31.12.2024 08:30:15", "2024-12-31T08:30:15"),
        ("2024/12/31", "2024-12-31T00:00:00"),
        ("2024/12/31 08:30", "2024-12-31T08:30:00"),
        ("2024/12/31 08:30:15", "2024-12-31T08:30:15"),
        ("1969-12-31T23:59:59", "1969-12-31T23:59:59"),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, expected: str) -> None:
    values, wrong = to_moments(texts(text))
    assert (values.tolist(), wrong) == ([microseconds(expected)], [])
    assert to_moments(moments(expected))[0].tolist() == values.tolist()


@given(st.datetimes(datetime(1700, 1, 1), datetime(2240, 1, 1)))
def test_a_moment_is_the_same_as_text_and_as_a_moment(moment: datetime) -> None:
    assert to_moments(texts(moment.isoformat()))[0] == to_moments(np.array([moment], "datetime64[us]"))[0]


@pytest.mark.parametrize("text", ["32.12.2024", "2024-13-01", "yesterday", "", "5.1"])
def test_what_is_no_date_is_an_error_of_its_row(text: str) -> None:
    column = DateColumn("day", 0, 1, False, True, False)
    values, errors = column.read(texts("2024-12-31", text, None))
    np.testing.assert_array_equal(values, [microseconds("2024-12-31"), np.nan, np.nan])
    assert errors == {1: f"day holds dates, got '{text}'"}


def test_numbers_are_no_dates() -> None:
    values, errors = DateColumn("day", 0, 1, False, True, False).read(np.array([np.nan, 20241231]))
    assert np.isnan(values).all()
    assert list(errors) == [1]


def features_at(column: DateColumn, *at: str) -> Any:
    return np.stack(column.features(column.read(moments(*at))[0]), axis=1)


def test_a_date_is_its_moment_its_day_of_the_week_and_its_time_of_day() -> None:
    column = DateColumn("at", microseconds("2024-01-01"), 1e6 * 3_600, False, True, True)
    got = features_at(column, "2024-01-01T06:00", "2024-01-07T12:00", "1969-12-31T00:00", "NaT")
    wednesday_before = (microseconds("1969-12-31") - microseconds("2024-01-01")) / 3_600e6
    expected = [[6, 0, 1, 0], [6 * 24 + 12, 6, 0, -1], [wednesday_before, 2, 0, 1], [np.nan] * 4]
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert column.categorical == [False, True, False, False]


@pytest.mark.parametrize(
    ("flags", "categorical"),
    [
        ((False, False, False), [False]),
        ((True, True, False), [True]),
        ((True, False, True), [False, False]),
        ((True, True, True), [True, False, False]),
    ],
)
def test_a_date_has_only_the_features_that_tell_something(flags: tuple[bool, ...], categorical: list[bool]) -> None:
    column = DateColumn("at", 0, 1, *flags)
    assert column.categorical == categorical
    assert features_at(column, "2024-01-01T06:00").shape == (1, len(categorical))


def test_a_minute_before_midnight_is_near_a_minute_after_it() -> None:
    column = DateColumn("at", 0, 1, True, False, True)
    before, after, noon = features_at(column, "2024-01-01T23:59", "2024-03-05T00:01", "2024-01-01T12:00")
    assert np.linalg.norm(before - after) == pytest.approx(2 * math.sin(2 * math.pi / 1440), rel=1e-6)
    assert np.linalg.norm(before - noon) > 1.99


# Evidence


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (NumberColumn("x", 0, 1), 1234567.89, 1234567.89),
        (NumberColumn("x", 0, 1), 3.0, 3),
        (NumberColumn("x", 0, 1), -1e300, -1e300),
        (NumberColumn("x", 0, 1), math.nan, None),
        (CategoryColumn("x", ("b", "a")), 1.0, "a"),
        (CategoryColumn("x", ("b", "a")), math.nan, None),
        (DateColumn("x", 0, 1, True, True, True), microseconds("2024-12-31T08:30:15"), "2024-12-31T08:30:15"),
        (DateColumn("x", 0, 1, True, True, True), microseconds("1969-12-31T08:30:15"), "1969-12-31T08:30:15"),
        (DateColumn("x", 0, 1, True, True, True), math.nan, None),
    ],
)
def test_a_value_is_shown_as_the_table_has_it(column: Any, value: float, shown: Any) -> None:
    got = column.show(value)
    assert (got, type(got)) == (shown, type(shown))


# To records and back


finite = st.floats(allow_nan=False, allow_infinity=False)
scales = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
notations = st.builds(
    Notation, st.sampled_from([".", ",", None]), st.sampled_from([" ", "'", None]), st.sampled_from(["", "$", "EUR"])
)
columns = st.one_of(
    st.builds(NumberColumn, st.text(), finite, scales, notations, st.none() | finite, st.booleans()),
    st.builds(CategoryColumn, st.text(), st.lists(st.text(), unique=True).map(tuple), st.booleans()),
    st.builds(
        DateColumn, st.text(), finite, scales, st.booleans(), st.booleans(), st.booleans(), st.none() | st.booleans()
    ).filter(lambda column: column.categorical),  # one that tells nothing is left out
)


@given(columns)
def test_a_column_comes_back_from_its_record(column: Any) -> None:
    assert from_record(json.loads(json.dumps(as_record(column)))) == column


MARKS = {"decimal": ",", "grouping": ".", "unit": "€"}
NUMBER = {
    "kind": "number", "name": "x", "offset": 0.5, "scale": 2, "notation": MARKS, "constant": None, "binary": False
}  # fmt: skip
CATEGORY = {"kind": "category", "name": "x", "known": ["a", "b"], "truth": False}
DAY = {"clock": False, "weekday": True, "time": True, "day_first": None}
DATE = {"kind": "date", "name": "x", "offset": 0.5, "scale": 2, **DAY}


@pytest.mark.parametrize("record", [NUMBER, CATEGORY, DATE])
def test_a_good_record_is_taken_and_each_of_its_fields_is_needed(record: dict[str, Any]) -> None:
    assert as_record(from_record(record)) == {**record} | ({"known": ("a", "b")} if "known" in record else {})
    for name in record:
        with pytest.raises((KeyError, TypeError)):
            from_record({key: value for key, value in record.items() if key != name})
    with pytest.raises(TypeError):
        from_record({**record, "more": 1})


@pytest.mark.parametrize(
    "record",
    [
        {**NUMBER, "scale": 0},
        {**NUMBER, "scale": -1.0},
        {**NUMBER, "scale": math.inf},
        {**NUMBER, "offset": math.nan},
        {**NUMBER, "offset": "0"},
        {**NUMBER, "scale": None},
        {**NUMBER, "kind": "complex"},
        {**NUMBER, "kind": None},
        {**NUMBER, "name": 5},
        {**CATEGORY, "known": ["a", 5]},
        {**CATEGORY, "known": "ab"},
        {**CATEGORY, "known": ["a", "a"]},
        {**CATEGORY, "name": None},
        {**NUMBER, "notation": {**MARKS, "decimal": "x"}},
        {**NUMBER, "notation": {**MARKS, "grouping": ".."}},
        {**NUMBER, "notation": {**MARKS, "unit": "€" * 9}},
        {**NUMBER, "notation": {**MARKS, "unit": None}},
        {**NUMBER, "constant": "5"},
        {**NUMBER, "binary": 1},
        {**CATEGORY, "truth": "yes"},
        {**DATE, "day_first": "yes"},
        {**DATE, "scale": 0},
        {**DATE, "clock": "yes"},
        {**DATE, "weekday": 2},
        {**DATE, "clock": True, "weekday": False, "time": False},
    ],
)
def test_a_record_of_no_column_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"column|categor"):
        from_record(record)


# A column that has changed


@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [
        (NumberColumn("load", 0, 1), texts("low", "high", None), "'load' holds numbers in the model.*'low'"),
        (NumberColumn("load", 0, 1), moments("2024-03-01", "2024-03-02"), "'load' holds numbers"),
        (NumberColumn("load", 0, 1), moments("2024-03-01", "2024-03-02", "NaT", "NaT"), "'load' holds numbers"),
        (DateColumn("day", 0, 1, True, True, False), texts("7", "8"), "'day' holds dates in the model.*'7'"),
        (DateColumn("day", 0, 1, True, True, False), np.array([7, 8, np.nan]), "'day' holds dates in the model"),
    ],
)
def test_a_column_that_changed_its_kind_as_a_whole_is_refused(column: Any, cells: Any, words: str) -> None:
    _, wrong = column.read(cells)
    with pytest.raises(InputError, match=words):
        check_kind(column, cells, wrong)


def test_a_few_bad_cells_or_a_single_row_are_no_change_of_kind() -> None:
    column = NumberColumn("load", 0, 1)
    for cells in (texts("low"), texts("low", "high", "1.5"), texts("low", None), np.array([np.nan, np.nan])):
        check_kind(column, cells, column.read(cells)[1])
    check_kind(category := CategoryColumn("x", ("a",)), texts("b", "c"), category.read(texts("b", "c"))[1])

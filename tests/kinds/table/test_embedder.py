"""Rows of a table to vectors: what is learnt of the columns, what is read, what is refused."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import numpy as np
import pytest

from dn2 import InputError, ReferenceTooSmall
from dn2.kinds.table.columns import CategoryColumn, DateColumn, NumberColumn
from dn2.kinds.table.embedder import TableEmbedder

DAY = 86_400e6  # microseconds


def texts(*cells: str | None) -> Any:
    return np.array(cells, dtype=object)


@pytest.fixture
def table() -> dict[str, Any]:
    return {
        "load": np.array([1.0, 2, np.nan, 4]),
        "machine": texts("b", None, "a", "b"),
        "endless": np.full(4, np.inf),
        "made": np.array(["1970-01-05", "1970-01-01T12:00", "NaT", "1970-01-02"], "datetime64[us]"),
    }


@pytest.fixture
def embedder(table: dict[str, Any]) -> TableEmbedder:
    return TableEmbedder.learn(table)


def test_columns_are_found_and_those_left_out_have_a_reason(embedder: TableEmbedder) -> None:
    assert [(column.kind, column.name) for column in embedder.columns] == [
        ("number", "load"),
        ("category", "machine"),
        ("date", "made"),
    ]
    assert embedder.left_out == {"endless": "nothing but infinite values"}
    assert embedder.as_dict() == {
        "columns": {"category": 1, "date": 1, "number": 1},
        "left_out": {"endless": "nothing but infinite values"},
        "dimension": 6,
    }


def test_each_feature_knows_its_column_and_whether_it_holds_categories(embedder: TableEmbedder) -> None:
    assert embedder.owners.tolist() == [0, 1, 2, 2, 2, 2]  # of a date: moment, weekday, and a point on the clock's face
    assert embedder.categorical == [1, 3]
    assert embedder.dimension == 6
    assert embedder.texts == ["machine", "made"]


def test_a_table_of_which_no_column_is_left_is_refused_with_the_reasons() -> None:
    with pytest.raises(InputError, match=r"by: line: categories, always 'L1'; a: categories, always empty$"):
        TableEmbedder.learn({"line": texts("L1", "L1"), "a": np.array([np.nan, np.nan])})


def test_a_single_row_shows_nothing_of_its_columns() -> None:
    with pytest.raises(ReferenceTooSmall, match="one row cannot show what is normal"):
        TableEmbedder.learn({"line": texts("L1"), "a": np.array([5.0])})


def test_values_are_read_column_by_column(embedder: TableEmbedder, table: dict[str, Any]) -> None:
    values, errors = embedder.read(table)
    assert errors == {}
    nan = math.nan
    expected = [[1, 0, 4 * DAY], [2, nan, DAY / 2], [nan, 1, nan], [4, 0, DAY]]
    np.testing.assert_array_equal(values, expected)
    assert values.dtype == np.float64


def test_features_are_float32_with_codes_for_categories_and_nan_for_what_is_missing(
    embedder: TableEmbedder, table: dict[str, Any]
) -> None:
    vectors = embedder.embed(embedder.read(table)[0])
    load, made = embedder.columns[0], embedder.columns[2]
    assert (load.offset, load.scale) == (2, 1.5)  # the median of 1, 2, 4 and the distance of their quartiles
    assert (made.offset, made.scale) == (DAY, 1.75 * DAY)
    nan = math.nan
    a, b = (zlib.crc32(text) % 2**24 for text in (b"a", b"b"))
    expected = [
        [-1 / 1.5, b, 3 / 1.75, 0, 0, 1],  # a Monday at midnight
        [0, nan, -0.5 / 1.75, 3, 0, -1],  # a Thursday at noon
        [nan, a, nan, nan, nan, nan],
        [2 / 1.5, b, 0, 4, 0, 1],
    ]
    np.testing.assert_allclose(vectors, np.float32(expected), rtol=1e-6, atol=1e-7)
    assert (vectors.dtype, vectors.flags.c_contiguous) == (np.float32, True)


def test_a_row_becomes_the_same_vector_in_any_company(embedder: TableEmbedder, table: dict[str, Any]) -> None:
    values, _ = embedder.read(table)
    whole = embedder.embed(values)
    for row in range(4):
        alone, _ = embedder.read({name: cells[row : row + 1] for name, cells in table.items()})
        assert embedder.embed(alone).tobytes() == whole[row].tobytes()
    assert embedder.embed(values[:0]).shape == (0, 6)


def test_a_column_that_was_always_the_same_counts_when_it_changes_and_is_assumed_where_it_is_not_there() -> None:
    table = {"load": np.array([1.0, 2, 4]), "line": texts("L1", "L1", "L1"), "rate": np.full(3, 19.0)}
    embedder = TableEmbedder.learn(table)
    usual, _ = embedder.read(table)
    assert embedder.changes(usual) == []
    changed, _ = embedder.read({**table, "line": texts("L1", "L2", None), "rate": np.array([19.0, 0, 7])})
    assert embedder.changes(changed) == [
        "line: was always 'L1'; 1 of 2 values differ",
        "rate: was always 19; 2 of 3 values differ",
    ]
    assert (embedder.embed(changed) != embedder.embed(usual)).sum() == 4
    without, _ = embedder.read({"load": table["load"]})
    np.testing.assert_array_equal(without, usual)
    extended = embedder.with_categories({**table, "rate": np.array([19.0, 0, 7])})
    assert [column.is_constant for column in extended.columns] == [False, True, False]


def test_missing_columns_are_named_with_what_is_there(embedder: TableEmbedder, table: dict[str, Any]) -> None:
    some = {"Load": table["load"], "made": table["made"]}
    with pytest.raises(
        InputError, match=r"lacks columns that the model compares: 'load', 'machine'; it has 'Load', 'm"
    ):
        embedder.read(some)
    wide = TableEmbedder(tuple(NumberColumn(f"c{place}", 0, 1) for place in range(5)), {})
    with pytest.raises(InputError, match=r"'c0', 'c1', 'c2' and 2 more; it has 'a', 'b', 'c', 'd', 'e' …$"):
        wide.read(dict.fromkeys("abcdef", np.zeros(2)))


def test_columns_in_any_order_and_more_of_them_change_nothing(embedder: TableEmbedder, table: dict[str, Any]) -> None:
    other = {"more": texts("x", "y", "z", "z"), **{name: table[name] for name in reversed(table)}}
    assert embedder.read(other)[0].tobytes() == embedder.read(table)[0].tobytes()


def test_a_bad_cell_is_an_error_of_its_row_by_the_first_bad_column(embedder: TableEmbedder) -> None:
    table = {
        "load": texts("1", "2", "much", "4"),
        "machine": texts("a", "a", "a", "a"),
        "made": texts("1970-01-05", "soon", "late", None),
    }
    values, errors = embedder.read(table)
    assert errors == {1: "made holds dates, got 'soon'", 2: "load holds numbers, got 'much'"}
    np.testing.assert_array_equal(values[:, 0], [1, 2, np.nan, 4])


def test_a_column_of_another_kind_as_a_whole_is_refused(embedder: TableEmbedder, table: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the column 'load' holds numbers in the model, and here it does not: 'high'"):
        embedder.read({**table, "load": texts("high", "low", "low", None)})
    with pytest.raises(InputError, match="the column 'made' holds dates in the model"):
        embedder.read({**table, "made": texts("1", "2", None, "3")})


def test_new_categories_get_the_next_codes_and_known_ones_keep_theirs(
    embedder: TableEmbedder, table: dict[str, Any]
) -> None:
    more = {**table, "machine": texts("c", "b", None, "d")}
    np.testing.assert_array_equal(np.sign(embedder.read(more)[0][:, 1]), [-1, 0, np.nan, -1])
    extended = embedder.with_categories(more)
    assert extended.columns[1] == CategoryColumn("machine", ("b", "a", "c", "d"))
    np.testing.assert_array_equal(extended.read(more)[0][:, 1], [2, 0, np.nan, 3])
    assert extended.read(table)[0].tobytes() == embedder.read(table)[0].tobytes()
    assert embedder.columns[1].known == ("b", "a")
    assert extended.columns[::2] == embedder.columns[::2]


def test_categories_are_kept_as_texts_even_unknown_ones(embedder: TableEmbedder, table: dict[str, Any]) -> None:
    queries = {**table, "machine": texts("new", "b", "True", None)}
    assert embedder.texts_of(queries, np.array([0, 3, 2])) == {1: ["new", None, "true"]}


@pytest.mark.parametrize(
    "values",
    [
        [[np.inf, 0, 0]],
        [[-np.inf, 0, 0]],
        [[0, 2, 0]],
        [[0, -1, 0]],
        [[0, 0.5, 0]],
        [[0, np.inf, 0]],
        [[0, 0, 2.0**63]],
        [[0, 0, -np.inf]],
    ],
)
def test_values_that_reading_would_not_give_are_refused(embedder: TableEmbedder, values: Any) -> None:
    embedder.check(np.array([[1e300, 1, -1e15], [np.nan, np.nan, np.nan], [0, 0, 0]]))
    with pytest.raises(ValueError, match="values of the column"):
        embedder.check(np.array(values))


def test_an_embedder_comes_back_from_its_records(embedder: TableEmbedder) -> None:
    records = json.loads(json.dumps(embedder.as_records()))
    assert TableEmbedder.from_records(records, embedder.left_out) == embedder
    assert len(records) == 3


def test_dates_that_are_but_the_clock_have_no_moment() -> None:
    days = np.arange("2024-03-01", "2024-03-31", dtype="datetime64[D]").astype("datetime64[us]")
    embedder = TableEmbedder.learn({"made": days})
    assert embedder.columns == (
        DateColumn("made", embedder.columns[0].offset, embedder.columns[0].scale, True, True, False),
    )
    np.testing.assert_array_equal(embedder.embed(embedder.read({"made": days})[0])[:8, 0], [4, 5, 6, 0, 1, 2, 3, 4])

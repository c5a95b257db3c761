"""From files and frames to tables: which cells are numbers, what rows are called, and what is refused."""

import csv
import datetime as dt
import decimal
import fractions
import hashlib
import io
import math
import os
import struct
import subprocess
import sys
import time
import tracemalloc
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dn2
from dn2.errors import InputError
from dn2.inputs import csv_files, csv_lines, encodings
from dn2.inputs.tables import is_frame, read_table
from dn2.system import bounds

NAN = float("nan")
BERLIN = ZoneInfo("Europe/Berlin")
ANY_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Make an empty folder the working one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def small_pieces(monkeypatch):
    """Read two rows at a time."""
    monkeypatch.setattr(csv_files, "MOST_ROWS", 2)


def write(content, name="rows.csv"):
    with open(name, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return name


def cells(column):
    """List the cells of a column, None for a missing one."""
    if column.dtype.kind == "M":
        return [None if np.isnat(one) else str(one.astype("datetime64[s]")) for one in column]
    return [None if one is None or one != one else one for one in column.tolist()]


def table(content, **options):
    """Read the content of a CSV file, and list the cells of each column."""
    read = read_table(write(content), **options)
    return {name: cells(column) for name, column in read.columns.items()}


def frame(values, **options):
    """Read a frame of one column, and list its type and cells."""
    (column,) = read_table(values, **options).columns.values()
    return column.dtype.kind, cells(column)


# Cells of CSV


def test_a_column_is_numbers_where_every_cell_is_one_and_text_elsewhere():
    read = read_table(write("a,b\n1,x\n2.5,3\n-1e3,z\n"))
    assert (read.columns["a"].dtype, read.columns["b"].dtype) == (np.float64, object)
    assert read.columns["a"].tolist() == [1, 2.5, -1000]
    assert read.columns["b"].tolist() == ["x", "3", "z"]
    assert read.errors == {}


@pytest.mark.parametrize("marker", ["", "NA", "n/a", "NaN", "nan", "NULL", "none", "?", "-", "  ", " NA "])
def test_a_missing_cell_has_many_names(marker):
    assert table(f"a,b\n1,x\n{marker},{marker}\n") == {"a": [1, None], "b": ["x", None]}


def test_infinite_numbers_are_kept():
    assert table("a,b\ninf,1\n-Infinity,2\n1e999,3\n")["a"] == [np.inf, -np.inf, np.inf]


def test_digits_in_groups_are_text():
    assert table("a\n1_000\n2\n") == {"a": ["1_000", "2"]}


def test_long_integers_are_text_because_floats_would_merge_them():
    assert table("a,b,c\n9007199254740993,123456789012345,0.12345678901234567\n1,2,3\n") == {
        "a": ["9007199254740993", "1"],
        "b": [123456789012345, 2],
        "c": [0.12345678901234567, 3],
    }


def test_truth_values_and_dates_stay_text():
    assert table("a,b\ntrue,2020-01-01\nFalse,2020-01-02\n") == {
        "a": ["true", "False"],
        "b": ["2020-01-01", "2020-01-02"],
    }


def test_a_column_named_as_text_stays_as_written():
    assert table("a,b\n007,1\n08,2\n", text=["a", "absent"]) == {"a": ["007", "08"], "b": [1, 2]}


@pytest.mark.usefixtures("small_pieces")
def test_a_column_of_numbers_that_turns_into_text_is_kept_as_written_from_its_start():
    assert table("a,b,c\n007,1,x\n1.50,2,y\nNA,3,3\nten,4,4\n 5,5,5\n") == {
        "a": ["007", "1.50", None, "ten", " 5"],
        "b": [1, 2, 3, 4, 5],
        "c": ["x", "y", "3", "4", "5"],
    }


def test_a_column_with_nothing_in_it_is_missing_numbers():
    read = read_table(write("a,b\n1,\n2,NA\n"))
    assert read.columns["b"].dtype == np.float64
    assert cells(read.columns["b"]) == [None, None]


def test_quotes_delimiters_and_ends_of_lines_belong_to_their_cell():
    assert table('a,"b, ""c"""\n"x,\r\ny",1\n"he said ""no""",2\n') == {
        "a": ["x,\r\ny", 'he said "no"'],
        'b, "c"': [1, 2],
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_the_header_has_most_of(delimiter):
    lines = [["a,;b", "c", "d"], ["1", "x", "2"]]
    text = "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    assert table(text) == {"a,;b": [1], "c": ["x"], "d": [2]}


def test_a_tsv_file_has_tabs_whatever_its_header_holds():
    read = read_table(write("a,b,c\td\n1\t2\n", "rows.tsv"))
    assert {name: cells(column) for name, column in read.columns.items()} == {"a,b,c": [1], "d": [2]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_numbers_that_a_decimal_point_alone_does_not_explain_stay_as_written(delimiter):
    text = 'a;b;c;d;e\n"1,5";1.5;1.234;007;1.234\n2;2;12.345;7;9.1\n;3;3;12;3\n'
    assert table(text.replace(";", delimiter)) == {
        "a": ["1,5", "2", None],
        "b": [1.5, 2, 3],
        "c": ["1.234", "12.345", "3"],  # 1234, as likely
        "d": ["007", "7", "12"],
        "e": [1.234, 9.1, 3],
    }


def test_a_point_that_is_known_to_be_decimal_is_read_so():
    assert table("a,b\n1.234,1.234\n", with_points=["a"]) == {"a": [1.234], "b": ["1.234"]}
    assert read_table(write("a,b,c\n1.5,1.234,2\n")).with_points == {"a"}


@pytest.mark.usefixtures("small_pieces")
def test_a_column_is_text_throughout_if_a_later_cell_makes_it_so():
    assert table("a;b\n1;1.234\n2;2\n1,5;2\n1;1\n3;1\n4;1\n") == {
        "a": ["1", "2", "1,5", "1", "3", "4"],
        "b": ["1.234", "2", "2", "1", "1", "1"],
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_with_their_marks_and_all_ends_of_lines_are_read(encoding, end):
    assert table(f"größe,b{end}1,é{end}{end}2,ü{end}".encode(encoding)) == {"größe": [1, 2], "b": ["é", "ü"]}


def test_the_last_line_needs_no_end_and_empty_lines_are_none():
    assert table("\n\na,b\n\n1,2\n\n\n3,4") == {"a": [1, 3], "b": [2, 4]}


def test_one_row_and_one_column_are_a_table():
    assert table("a\n1\n") == {"a": [1]}
    assert table('a\n""\n5\n') == {"a": [None, 5]}


def test_ten_thousand_columns_are_read():
    header = ",".join(f"c{place}" for place in range(10_000))
    row = ",".join(str(place) for place in range(10_000))
    read = read_table(write(f"{header}\n{row}\n{row}\n"))
    assert len(read.columns) == 10_000
    assert read.columns["c9999"].tolist() == [9999, 9999]


def test_more_than_a_hundred_thousand_columns_are_refused():
    with pytest.raises(InputError, match="100,001 columns; at most 100,000"):
        read_table(write(",".join(f"c{place}" for place in range(100_001)) + "\n"))


def test_equal_texts_share_an_object():
    column = read_table(write("a\n" + "red\nblue\n" * 50)).columns["a"]
    assert len({id(one) for one in column}) == 2


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@ANY_FOLDER
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1), st.sampled_from([",", ";", "\t", "|"]))
def test_text_cells_come_back_as_they_were_written(rows, delimiter):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows([("a", "b"), *rows])
    read = read_table(write(buffer.getvalue()), text=["a", "b"])
    missing = {"", "na", "n/a", "nan", "null", "none", "?", "-"}
    kept = [[None if cell.strip().lower() in missing else cell for cell in row] for row in rows]
    assert [list(row) for row in zip(read.columns["a"], read.columns["b"], strict=True)] == kept


@ANY_FOLDER
@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_come_back_as_they_were_written(numbers):
    read = read_table(write("a,b\n" + "".join(f"{number!r},x\n" for number in numbers)))
    assert read.columns["a"].tolist() == numbers


# Headers


def test_a_header_that_names_a_column_twice_is_refused():
    with pytest.raises(InputError, match=r"the header of rows\.csv has two columns named 'a'"):
        table("a,b,a\n1,2,3\n")


def test_a_column_without_a_name_is_called_by_its_place():
    assert table(",b,\n1,2,3\n") == {"column 1": [1], "b": [2], "column 3": [3]}


@pytest.mark.parametrize("header", ["1.5,2,3,4", "7", "1,,3", "1234567890123456789,2", "1e5;2,5;3"])
def test_a_header_of_numbers_is_refused_because_it_is_a_row(header):
    with pytest.raises(InputError, match=r"first line must name the columns, got numbers .*add a header line"):
        table(f"{header}\n1,2,3,4\n")


@pytest.mark.parametrize("content", ["", "\n\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_refused(content):
    with pytest.raises(InputError, match=r"rows\.csv is empty"):
        table(content)


def test_a_header_without_rows_is_refused():
    with pytest.raises(InputError, match=r"rows\.csv has a header and no rows"):
        table("a,b\n\n")


# Lines that cannot be read


def test_a_row_with_another_number_of_cells_is_an_error_and_missing_everywhere():
    read = read_table(write("a,b,c\n1,x,2\n1,x\n3,y,4\n1,2,3,4\n"))
    assert read.errors == {1: "it has 2 cells, the header has 3 columns", 3: "it has 4 cells, the header has 3 columns"}
    assert cells(read.columns["a"]) == [1, None, 3, None]
    assert cells(read.columns["b"]) == ["x", None, "y", None]
    assert read.names == ["rows.csv:1", "rows.csv:2", "rows.csv:3", "rows.csv:4"]


@pytest.mark.usefixtures("small_pieces")
def test_rows_that_cannot_be_read_keep_their_place_in_a_long_file():
    read = read_table(write("a,b\n1,2\n3,4\n5,6\n7\n8,9\n"))
    assert list(read.errors) == [3]
    assert cells(read.columns["a"]) == [1, 3, 5, None, 8]


def test_a_file_of_which_no_row_fits_the_header_is_refused():
    with pytest.raises(InputError, match="no row can be read; of the first, it has 3 cells, the header has 2 columns"):
        table("a,b\n1,2,3\n4,5,6\n")


def test_a_nul_byte_spoils_its_row_only():
    read = read_table(write("a,b\n1,2\n3,\x004\n5,6\n"))
    assert read.errors == {1: "line 3: it holds a NUL byte"}
    assert cells(read.columns["b"]) == [2, None, 6]


def test_a_nul_byte_in_the_header_is_refused():
    with pytest.raises(InputError, match="the header cannot be read: line 1: it holds a NUL byte"):
        table("a,\x00b\n1,2\n")


def test_a_broken_quote_spoils_its_row_only():
    read = read_table(write('a,b\n1,2\n3,"x"y\n5,6\n'))
    assert list(read.errors) == [1]
    assert "line 3" in read.errors[1]
    assert cells(read.columns["a"]) == [1, None, 5]


def test_a_quote_that_is_never_closed_is_refused_because_it_swallows_rows():
    with pytest.raises(InputError, match=r"rows\.csv, from line 3: .*never closed"):
        table('a,b\n1,2\n3,"x\n5,6\n7,8\n')


def test_a_cell_that_is_too_long_spoils_its_row_only():
    limit = csv.field_size_limit()
    read = read_table(write(f"a,b\n1,{'x' * (1 << 20)}\n2,{'x' * ((1 << 20) + 1)}\n3,y\n"))
    assert list(read.errors) == [1]
    assert [len(one or "") for one in read.columns["b"]] == [1 << 20, 0, 1]
    assert csv.field_size_limit() == limit


def test_another_encoding_is_refused_with_the_place_of_its_first_byte():
    with pytest.raises(
        InputError,
        match=r"rows\.csv, line 3: byte 3 \(0xec\) is no UTF-8, and .*; save the file as UTF-8",
    ):
        table("a,b\n1,x\n2,мир\n".encode("cp1251"))
    with pytest.raises(InputError, match=r"line 1: byte 1 \(0x84\)"):
        table("ändern,Größe\n1,x\n".encode("cp850"))


def test_half_a_character_of_utf_16_is_refused():
    with pytest.raises(InputError, match=r"rows\.csv begins as UTF-16 and does not go on as such; save the file as"):
        table("a,b\n1,x\n".encode("utf-16") + b"x")


# Which files


def test_files_are_put_below_each_other_by_the_names_of_their_columns(folder):
    write("a,b\n1,x\n", "one.csv")
    write("b\ta\ny\t2\nz\t3\n", "two.tsv")
    read = read_table(["one.csv", "two.tsv"])
    assert read.names == ["one.csv:1", "two.tsv:1", "two.tsv:2"]
    assert read.columns["a"].tolist() == [1, 2, 3]
    assert read.columns["b"].tolist() == ["x", "y", "z"]
    assert read.paths == ["one.csv", "two.tsv", "two.tsv"]
    digests = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in read.paths]
    assert read.digests == digests


def test_a_folder_is_searched_for_tables(tmp_path):
    for name in ("in/b.CSV", "in/a.csv", "in/readme.txt"):
        (tmp_path / "in").mkdir(exist_ok=True)
        write("a\n1\n", name)
    assert read_table("in").names == ["a.csv:1", "b.CSV:1"]


def test_a_column_that_is_text_in_one_file_is_text_as_written_in_all():
    write("a,b\n007,1\n", "1.csv")
    write("a,b\nx,1\n", "2.csv")
    write("a,b\n08,1\n", "3.csv")
    read = read_table(["1.csv", "2.csv", "3.csv"])
    assert read.columns["a"].tolist() == ["007", "x", "08"]
    assert read.columns["b"].tolist() == [1, 1, 1]


def test_errors_of_a_later_file_are_counted_on():
    write("a,b\n1,2\n3,4\n", "1.csv")
    write("a,b\n1,2\n3\n", "2.csv")
    assert list(read_table(["1.csv", "2.csv"]).errors) == [3]


def test_files_with_other_columns_are_refused_by_what_they_lack_and_have():
    write("a,b\n1,x\n", "one.csv")
    write("a,c\n1,x\n", "two.csv")
    with pytest.raises(
        InputError, match=r"two\.csv must have the columns of one\.csv: it lacks 'b' and it also has 'c'"
    ):
        read_table(["one.csv", "two.csv"])
    assert list(read_table(["one.csv", "two.csv"], drop=["b", "c"]).columns) == ["a"]


def test_what_is_no_table_is_refused_by_its_ending(tmp_path):
    with pytest.raises(InputError, match=r"rows\.md is no table; files ending in \.csv, .*, \.tsv, \.tsv\.gz are read"):
        read_table(write("a\n1\n", "rows.md"))
    with pytest.raises(InputError, match="does not exist"):
        read_table("absent.csv")
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    with pytest.raises(InputError, match=r"link\.csv cannot be read"):
        read_table("link.csv")


# Names of rows, columns left out


def test_a_column_of_ids_names_the_rows_as_written_and_is_no_column():
    read = read_table(write("id,a\n007,1\n08,2\n"), id_column="id")
    assert read.names == ["007", "08"]
    assert list(read.columns) == ["a"]


def test_a_column_of_few_values_does_not_name_rows():
    rows = "".join(f"{'abc'[number % 3]},{number}\n" for number in range(300))
    with pytest.raises(InputError, match="'country' does not name rows: it has 3 different values in 300 rows"):
        read_table(write("country,value\n" + rows), id_column="country")


def test_a_row_without_an_id_or_with_a_taken_one_is_an_error_and_missing_everywhere():
    read = read_table(write("id,a,b\nx,1,p\n,2,q\nx,3,r\ny,4,s\nz\n"), id_column="id")
    assert read.names == ["x", "rows.csv:2", "rows.csv:3", "y", "rows.csv:5"]
    assert read.errors == {
        1: "its id is missing",
        2: "the id 'x' is taken by rows.csv:1",
        4: "it has 1 cells, the header has 3 columns",
    }
    assert cells(read.columns["a"]) == [1, None, None, 4, None]
    assert cells(read.columns["b"]) == ["p", None, None, "s", None]


def test_an_id_is_taken_across_files():
    write("id,a\nx,1\n", "1.csv")
    write("id,a\nx,1\n", "2.csv")
    assert read_table(["1.csv", "2.csv"], id_column="id").errors == {1: "the id 'x' is taken by 1.csv:1"}


def test_a_name_that_is_no_column_is_refused_with_the_nearest():
    content = "serial,width\n1,2\n"
    with pytest.raises(InputError, match="there is no column 'serail'; there is 'serial'"):
        table(content, id_column="serail")
    with pytest.raises(InputError, match="there is no column 'widht'; there is 'width'"):
        table(content, drop=["widht"])
    with pytest.raises(InputError, match="there is no column 'q'; there is 'serial', 'width'"):
        table(content, drop=["q"])


def test_dropped_columns_are_left_out_and_one_must_be_left():
    assert table("a,b,c\n1,2,3\n", drop={"b"}) == {"a": [1], "c": [3]}
    with pytest.raises(InputError, match="no column is left"):
        table("a,b\n1,2\n", drop=["a", "b"])
    with pytest.raises(InputError, match="no column is left"):
        table("a,b\n1,2\n", drop=["a"], id_column="b")


# Parquet


def parquet(columns, **options):
    pq.write_table(pa.table(columns), "rows.parquet")
    read = read_table("rows.parquet", **options)
    return {name: (column.dtype.kind, cells(column)) for name, column in read.columns.items()}


def test_the_types_of_parquet_become_numbers_texts_and_moments():
    moment = dt.datetime(2020, 7, 1, 12, 0, 0)
    columns = {
        "int": pa.array([1, None], pa.int32()),
        "unsigned": pa.array([2**53, None], pa.uint64()),
        "large": pa.array([2**53 + 1, -5]),
        "half": pa.array([np.float16(0.5), None], pa.float16()),
        "float": pa.array([0.5, None], pa.float32()),
        "decimal": pa.array([decimal.Decimal("1.25"), None]),
        "nothing": pa.nulls(2),
        "bool": pa.array([True, None]),
        "text": pa.array(["x", None]),
        "large text": pa.array(["1", "NA"], pa.large_string()),
        "category": pa.array(["x", None]).dictionary_encode(),
        "codes": pa.array([5, 6]).dictionary_encode(),
        "bytes": pa.array([b"x", None]),
        "date": pa.array([moment.date(), None]),
        "seconds": pa.array([moment, None], pa.timestamp("s")),
        "nanoseconds": pa.array([moment, None], pa.timestamp("ns")),
        "zone": pa.array([moment.replace(tzinfo=BERLIN), None], pa.timestamp("ms", tz="Europe/Berlin")),
        "duration": pa.array([dt.timedelta(minutes=1), None]),
        "time": pa.array([dt.time(1, 2, 3), None]),
    }
    assert parquet(columns) == {
        "int": ("f", [1, None]),
        "unsigned": ("f", [2**53, None]),
        "large": ("O", ["9007199254740993", "-5"]),
        "half": ("f", [0.5, None]),
        "float": ("f", [0.5, None]),
        "decimal": ("f", [1.25, None]),
        "nothing": ("f", [None, None]),
        "bool": ("O", ["true", None]),
        "text": ("O", ["x", None]),
        "large text": ("O", ["1", "NA"]),
        "category": ("O", ["x", None]),
        "codes": ("f", [5, 6]),
        "bytes": ("O", ["x", None]),
        "date": ("M", ["2020-07-01T00:00:00", None]),
        "seconds": ("M", ["2020-07-01T12:00:00", None]),
        "nanoseconds": ("M", ["2020-07-01T12:00:00", None]),
        "zone": ("M", ["2020-07-01T10:00:00", None]),
        "duration": ("f", [60, None]),
        "time": ("O", ["01:02:03", None]),
    }


def test_a_row_of_parquet_is_named_by_its_file_and_number_or_by_its_id():
    pq.write_table(pa.table({"id": [1.0, 2.0], "a.b": [1, 2]}), "rows.parquet")
    assert read_table("rows.parquet").names == ["rows.parquet:1", "rows.parquet:2"]
    assert read_table("rows.parquet", id_column="id").names == ["1", "2"]
    assert list(read_table("rows.parquet", id_column="id").columns) == ["a.b"]


def test_a_nested_column_is_refused_with_the_way_out():
    columns = {"a": [1, 2], "b": [[1], [2]], "c": [{"x": 1}, {"x": 2}]}
    with pytest.raises(InputError, match=r"rows\.parquet: the column 'b' holds list<.*drop_columns='b'"):
        parquet(columns)
    assert parquet(columns, drop=["b", "c"]) == {"a": ("f", [1, 2])}


def test_more_columns_than_are_read_at_once_keep_their_order():
    read = parquet({f"c{place}": [place] for place in range(200)}, drop=["c7"])
    assert list(read.items()) == [(f"c{place}", ("f", [place])) for place in range(200) if place != 7]


def test_what_is_no_parquet_is_refused():
    with pytest.raises(InputError, match=r"rows\.parquet cannot be read as Parquet"):
        read_table(write("a,b\n1,2\n", "rows.parquet"))
    with pytest.raises(InputError, match=r"rows\.parquet has no rows"):
        parquet({"a": pa.array([], pa.int64())})


def test_parquet_and_csv_may_be_mixed_and_agree_on_text():
    pq.write_table(pa.table({"a": [1.5, 2.0], "b": [1, 2], "c": [dt.date(2020, 1, 1), None]}), "1.parquet")
    write("a,b,c\nx,3,2020-01-02\n", "2.csv")
    read = read_table(["1.parquet", "2.csv"])
    assert read.columns["a"].tolist() == ["1.5", "2", "x"]
    assert read.columns["b"].tolist() == [1, 2, 3]
    assert read.columns["c"].tolist() == ["2020-01-01", None, "2020-01-02"]


# Frames


def test_what_is_a_frame_is_told_from_paths_and_arrays():
    assert all(map(is_frame, [pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}), pa.table({"a": [1]}), {"a": [1]}]))
    assert not any(map(is_frame, ["rows.csv", ["a.csv", "b.csv"], np.zeros((2, 2)), [[1, 2]], None]))


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_every_frame_gives_the_same_table(make):
    values = {"a": [1, 2], "b": ["x", None], "c": [True, False], "d": [0.5, NAN], "e": [dt.datetime(2020, 1, 1)] * 2}
    read = read_table(make(values))
    assert {name: (column.dtype.kind, cells(column)) for name, column in read.columns.items()} == {
        "a": ("f", [1, 2]),
        "b": ("O", ["x", None]),
        "c": ("O", ["true", "false"]),
        "d": ("f", [0.5, None]),
        "e": ("M", ["2020-01-01T00:00:00"] * 2),
    }
    assert (read.names, read.paths, read.digests) == (["row 1", "row 2"], ["", ""], ["", ""])
    assert read.columns["a"].flags.writeable


MOMENT = dt.datetime(2020, 7, 1, 12, 0, 0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None], ("f", [1, None])),
        ([None, None], ("f", [None, None])),
        ([1, 2.5, decimal.Decimal("0.5"), NAN], ("f", [1, 2.5, 0.5, None])),
        ([2**53, -(2**53)], ("f", [2**53, -(2**53)])),
        ([2**53 + 1, None], ("O", ["9007199254740993", None])),
        (np.array([2**53 + 1, 1]), ("O", ["9007199254740993", "1"])),
        (np.array([1, 2], np.uint8), ("f", [1, 2])),
        (np.array([0.5, NAN], np.float16), ("f", [0.5, None])),
        (np.array([True, False]), ("O", ["true", "false"])),
        ([True, None, np.bool_(False)], ("O", ["true", None, "false"])),
        ([1, "x", 2.0, True, None], ("O", ["1", "x", "2", "true", None])),
        (np.array(["x", "NA"]), ("O", ["x", "NA"])),
        (["", "1"], ("O", ["", "1"])),
        ([b"x", b"\xff"], ("O", ["x", "\udcff"])),
        ([MOMENT, MOMENT.date(), None], ("M", ["2020-07-01T12:00:00", "2020-07-01T00:00:00", None])),
        (
            [MOMENT.replace(tzinfo=BERLIN), np.datetime64("2020-01-01")],
            ("M", ["2020-07-01T10:00:00", "2020-01-01T00:00:00"]),
        ),
        (np.array(["2020-01-01", "NaT"], "datetime64[D]"), ("M", ["2020-01-01T00:00:00", None])),
        ([dt.timedelta(seconds=90), None], ("f", [90, None])),
        (np.array([90, "NaT"], "timedelta64[s]"), ("f", [90, None])),
        (np.ma.masked_array([1, 2], [False, True]), ("f", [1, None])),
        (pa.array([1, None]), ("f", [1, None])),
        (pa.array([5, 6, None]).dictionary_encode(), ("O", ["5", "6", None])),
        (range(2), ("f", [0, 1])),
    ],
)
def test_values_of_a_mapping_become_a_column(values, expected):
    assert frame({"a": values}) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([1, None], dtype="Int64"), ("f", [1, None])),
        (pd.Series([2**53 + 1, None], dtype="Int64"), ("O", ["9007199254740993", None])),
        (pd.Series([0.5, None], dtype="Float64"), ("f", [0.5, None])),
        (pd.Series([True, None], dtype="boolean"), ("O", ["true", None])),
        (pd.Series(["x", None], dtype="string"), ("O", ["x", None])),
        (pd.Series(["x", None]), ("O", ["x", None])),
        (pd.Series(["x", None], dtype=object), ("O", ["x", None])),
        (pd.Series([1, pd.NA], dtype=object), ("f", [1, None])),
        (pd.Series([5, 6, None], dtype="category"), ("O", ["5", "6", None])),
        (pd.Series(["x", None], dtype="category"), ("O", ["x", None])),
        (pd.Series([MOMENT, None]), ("M", ["2020-07-01T12:00:00", None])),
        (pd.Series([MOMENT, None]).dt.tz_localize("Europe/Berlin"), ("M", ["2020-07-01T10:00:00", None])),
        (
            pd.Series([pd.Timestamp("2020-07-01 12:00:00.123456789"), pd.NaT], dtype=object),
            ("M", ["2020-07-01T12:00:00", None]),
        ),
        (pd.Series([pd.Timedelta("90s"), None]), ("f", [90, None])),
        (pd.Series([1.5, None], dtype="float64[pyarrow]"), ("f", [1.5, None])),
        (pd.Series([0.0, 1.0], dtype=pd.SparseDtype(float)), ("f", [0, 1])),
        (pd.Series(pd.period_range("2020-01", periods=2, freq="M")), ("O", ["2020-01", "2020-02"])),
    ],
)
def test_a_series_of_pandas_becomes_a_column(values, expected):
    assert frame(pd.DataFrame({"a": values})) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([1, None]), ("f", [1, None])),
        (pl.Series([2**53 + 1, None]), ("O", ["9007199254740993", None])),
        (pl.Series([0.5, None], dtype=pl.Float32), ("f", [0.5, None])),
        (pl.Series([True, None]), ("O", ["true", None])),
        (pl.Series(["x", None]), ("O", ["x", None])),
        (pl.Series(["x", None], dtype=pl.Categorical), ("O", ["x", None])),
        (pl.Series(["5", "6"], dtype=pl.Enum(["5", "6"])), ("O", ["5", "6"])),
        (pl.Series([decimal.Decimal("1.5"), None]), ("f", [1.5, None])),
        (pl.Series([MOMENT.date(), None]), ("M", ["2020-07-01T00:00:00", None])),
        (pl.Series([MOMENT.replace(tzinfo=BERLIN)]), ("M", ["2020-07-01T10:00:00"])),
        (pl.Series([MOMENT.replace(tzinfo=BERLIN), None]), ("M", ["2020-07-01T10:00:00", None])),
        (pl.Series([dt.timedelta(seconds=90), None]), ("f", [90, None])),
        (pl.Series([dt.time(1, 2, 3), None]), ("O", ["01:02:03", None])),
        (pl.Series([None, None]), ("f", [None, None])),
    ],
)
def test_a_series_of_polars_becomes_a_column(values, expected):
    assert frame(pl.DataFrame({"a": values})) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"bad": [[1], [2, 3]]},
        {"bad": [{"x": 1}, None]},
        {"bad": [1j, 2]},
        {"bad": np.array([1j, 2])},
        {"bad": np.zeros((2, 2))},
        {"bad": 5},
        {"bad": "text"},
        {"bad": np.zeros(2, [("x", int)])},
        pl.DataFrame({"bad": [[1], [2]]}),
        pl.DataFrame({"bad": [{"x": 1}]}),
        pa.table({"bad": [[1], [2]]}),
        pd.DataFrame({"bad": [(1, 2), (3, 4)]}),
    ],
)
def test_what_is_no_column_is_refused_by_its_name(values):
    with pytest.raises(InputError, match="the column 'bad'"):
        read_table(values)


def test_frames_that_are_no_table_are_refused():
    with pytest.raises(InputError, match="the table has no columns"):
        read_table({})
    with pytest.raises(InputError, match="the table has no rows"):
        read_table({"a": []})
    with pytest.raises(InputError, match="the column 'b' has 1 rows and 'a' has 2"):
        read_table({"a": [1, 2], "b": [1]})
    with pytest.raises(InputError, match="the table has two columns named '1'"):
        read_table({"1": [1, 2], 1: [1, 2]})
    with pytest.raises(InputError, match="the table has two columns named 'a'"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_names_of_columns_become_text():
    assert list(read_table(pd.DataFrame([[1, 2, 3]], columns=[0, ("a", "b"), "\udcff"])).columns) == [
        "0",
        "('a', 'b')",
        r"\xff",
    ]


def test_the_labels_of_pandas_name_rows_where_they_tell_them_apart():
    values = pd.DataFrame({"a": [1, 2, 3]})
    assert read_table(values).names == ["row 1", "row 2", "row 3"]
    assert read_table(values[values.a > 1]).names == ["1", "2"]
    assert read_table(values.set_axis(pd.Index(["x", "y", "\udcff"], dtype=object))).names == ["x", "y", r"\xff"]
    assert read_table(values.set_axis(["x", "y", "x"])).names == ["row 1", "row 2", "row 3"]
    assert read_table(values.set_axis([1, "1", 2])).names == ["row 1", "row 2", "row 3"]


def test_ids_of_a_frame_are_written_as_text():
    values = {
        "id": [7.0, None, 7.0, "\udcff"],
        "a": [1, 2, 3, 4],
        "when": np.array(["2020-01-01"] * 4, "datetime64[s]"),
    }
    read = read_table(values, id_column="id")
    assert read.names == ["7", "row 2", "row 3", r"\xff"]
    assert read.errors == {1: "its id is missing", 2: "the id '7' is taken by row 1"}
    assert cells(read.columns["a"]) == [1, None, None, 4]
    assert cells(read.columns["when"]) == ["2020-01-01T00:00:00", None, None, "2020-01-01T00:00:00"]


def test_errors_leave_the_frame_as_it_was():
    values = pd.DataFrame({"id": ["x", "x"], "a": [1.0, 2.0], "b": ["p", "q"]})
    before = values.copy()
    assert cells(read_table(values, id_column="id").columns["a"]) == [1, None]
    pd.testing.assert_frame_equal(values, before)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_options_hold_for_frames(make):
    values = make({"id": ["x", "y"], "a": [1.0, 2.5], "b": [[1], [2]], "when": [dt.date(2020, 1, 1), MOMENT.date()]})
    read = read_table(values, id_column="id", text=["a", "when"], drop=["b"])
    assert read.names == ["x", "y"]
    assert read.columns["a"].tolist() == ["1", "2.5"]
    assert read.columns["when"].tolist() == ["2020-01-01", "2020-07-01"]


def test_no_library_of_frames_is_imported_to_read_a_file():
    write("a\n1\n")
    code = (
        "import sys; from dn2.inputs.tables import read_table; read_table('rows.csv');"
        "print({'pandas', 'polars', 'pyarrow'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# Only some columns


def test_columns_that_are_not_asked_for_are_passed_over_and_named():
    read = read_table(write("a,b,c\n1,x,2\n3,y,4\n"), only=["c", "d", "a"])
    assert list(read.columns) == ["a", "c"]
    assert read.passed_over == ["b"]
    assert read_table(write("a,b,c\n1,x,2\n"), id_column="b", only=["c"]).names == ["x"]
    with pytest.raises(InputError, match="there is none of the columns 'd', 'e'; there is 'a', 'b'"):
        read_table(write("a,b\n1,2\n"), only=["d", "e"])
    with pytest.raises(InputError, match="there is no column 'z'"):
        read_table(write("a,b\n1,2\n"), only=["a"], id_column="z")


def test_what_cannot_be_compared_does_no_harm_in_a_column_that_is_not_asked_for(tmp_path):
    nested = pa.table({"a": [1.0, 2.0], "tags": [[1], [2, 3]]})
    pq.write_table(nested, tmp_path / "rows.parquet")
    for inputs in (nested, tmp_path / "rows.parquet", {"a": [1.0, 2.0], "tags": [[1], [2, 3]]}):
        read = read_table(inputs, only=["a"])
        assert read.columns["a"].tolist() == [1, 2]
        assert read.passed_over == ["tags"]


# Bounds


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def test_empty_lines_are_passed_over_between_rows_and_kept_within_quotes():
    for end in ("\n", "\r\n", "\r"):
        content = f"{end * 3}a,b{end}{end * 9}1,x{end}{end}2,'y{end}{end}z'{end * 4}".replace("'", '"')
        assert table(content) == {"a": [1, 2], "b": ["x", f"y{end}{end}z"]}
    with pytest.raises(InputError, match=r"rows\.csv has a header and no rows below it"):
        table("a,b\n" + "\n" * 1_000)
    read = read_table(write("\n\na,b\n\n\n1,2\n\n\n\n1\n\0,2\n"))
    assert read.errors == {1: "it has 1 cells, the header has 2 columns", 2: "line 11: it holds a NUL byte"}


def test_empty_lines_cost_next_to_nothing_before_the_header_and_after_it():
    assert seconds(lambda: table("\n" * 500_000 + "a,b\n" + "\n" * 500_000 + "1,2\n")) < 5


def test_a_header_of_a_long_cell_of_lines_is_refused_soon():
    for content in ('"' + "\n" * 1_100_000, '"' * 1_100_001, "\0" * 17_000_000):
        write(content)
        with pytest.raises(InputError, match=r"rows\.csv.* line 1"):
            assert seconds(lambda: read_table("rows.csv")) < 5


def test_a_line_that_is_longer_than_any_row_is_an_error_of_its_row_and_the_next_is_read(monkeypatch):
    monkeypatch.setattr(csv_lines, "LONGEST_LINE", 1_000)
    for long in ("x" * 5_000, ",x" * 3_000, '"' * 5_000, "\0" * 5_000):
        read = read_table(write(f"a,b\n1,2\n{long}\n3,4\n"))
        assert read.errors == {1: "line 3: it has more than 1,000 characters"}
        assert cells(read.columns["a"]) == [1, None, 3]


def test_a_file_of_which_no_row_can_be_read_is_left_early(monkeypatch):
    monkeypatch.setattr(csv_files, "MOST_UNREADABLE", 3_000)
    with pytest.raises(InputError, match=r"no row can be read of 3,000; of the first, it has 1 cells"):
        table("a,b\n" + "1\n" * 10_000)
    read = read_table(write("a,b\n1,2\n" + "1\n" * 10_000))
    assert (len(read.names), len(read.errors)) == (10_001, 10_000)


def test_short_rows_below_a_wide_header_are_refused_before_they_are_filled_up(monkeypatch):
    wide = ",".join(f"c{place}" for place in range(2_000)) + "\n" + ",".join(["1"] * 2_000) + "\n"
    read = read_table(write(wide + "1\n" * 3))
    assert (list(read.errors), cells(read.columns["c7"])) == ([1, 2, 3], [1, None, None, None])
    monkeypatch.setattr(bounds, "free_memory", lambda: 20_000_000.0)
    with pytest.raises(InputError, match=r"rows\.csv, 3,001 rows of 2,000 columns, takes about 0\.048 GB of memory"):
        read_table(write(wide + "1\n" * 3_000))


def test_where_the_first_pieces_hold_no_row_that_can_be_read_columns_are_what_the_others_say(small_pieces):
    read = read_table(write("a,b\n1\n2\n3\n4\n5,x\n6,y\n7\n"))
    assert cells(read.columns["a"]) == [None] * 4 + [5, 6, None]
    assert cells(read.columns["b"]) == [None] * 4 + ["x", "y", None]


def test_the_place_of_a_byte_that_is_no_text_is_told_in_any_part_of_the_file(monkeypatch):
    monkeypatch.setattr(encodings, "PART", 7)
    for rows, told in (
        (b"1,2\n" * 9 + b"\xc3\xa4,\xff", "line 11: byte 4"),
        (b"1,\xc3", "line 2: byte 3"),
        (b"1,\xc3\xa4\xc3", "line 2: byte 5"),
        (b"1,2\n" * 3 + b"123456789\xe4\xd0", "line 5: byte 10"),
    ):
        with pytest.raises(InputError, match=rf"rows\.csv, {told} \(0x.. *\) is no UTF-8"):
            read_table(write(b"a,b\n" + rows))


def wide_inputs(n):
    """Return ways to read n columns: two CSV files, Parquet, frames, with columns dropped or chosen."""
    names = [f"c{place}" for place in range(n)]
    columns = {name: [1.0, 2.0] for name in names}
    for name, header in (("rows.csv", names), ("more.csv", names[::-1])):
        write(",".join(header) + "\n" + ",".join(["1"] * n) + "\n", name)
    pq.write_table(pa.table(columns), "rows.parquet")
    return {
        "csv": lambda: read_table(["rows.csv", "more.csv"]),
        "parquet": lambda: read_table("rows.parquet"),
        "dropped": lambda: read_table(columns, drop=names[:-1]),
        "chosen": lambda: read_table(columns, only=names),
    }


@pytest.mark.parametrize("way", ["csv", "parquet", "dropped", "chosen"])
def test_time_is_linear_in_columns(way):
    """Of 16 times the columns, it is 16 times as long, or 256 where it is quadratic."""
    few = min(seconds(wide_inputs(250)[way]) for _ in range(4))
    assert min(seconds(wide_inputs(4_000)[way]) for _ in range(2)) < 50 * max(few, 0.002)


def test_more_columns_than_are_read_are_refused_by_their_number():
    with pytest.raises(InputError, match=r"the header of rows\.csv has 100,001 columns; at most 100,000 are read"):
        table(",".join(f"c{place}" for place in range(100_001)) + "\n1\n")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(suffix):
    os.mkfifo(f"rows.{suffix}")
    os.symlink("/dev/zero", f"zero.{suffix}")
    for name, kind in ((f"rows.{suffix}", "a pipe"), (f"zero.{suffix}", "a device")):
        with pytest.raises(InputError, match=f"{name} cannot be read: it is {kind} and no regular file; save what it"):
            read_table(name)


# Parquet that is damaged, or says more than it holds


def test_a_file_whose_columns_have_other_numbers_of_rows_than_it_says_is_refused():
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": ["x", "y"]}), file)
    content = bytearray(file.getvalue())
    (length,) = struct.unpack("<I", content[-8:-4])
    place = content.index(b"\x16\x04\x19", len(content) - 8 - length)  # of the whole file: 2 rows, then the row groups
    for byte in (0x06, 0x02, 0x00, 0x03):
        content[place + 1] = byte
        with pytest.raises(InputError, match=r"rows\.parquet (cannot be read as Parquet|has no rows)"):
            read_table(write(bytes(content), "rows.parquet"))


def test_any_damage_to_a_parquet_file_is_one_line():
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": ["x", "y"], "c": [1, None]}), file)
    whole = file.getvalue()
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 7)):
            content[place] = rng.integers(256)
        try:
            read = read_table(write(bytes(content), "rows.parquet"))
        except InputError as error:
            told = str(error)
        else:
            told = ""
            assert {len(column) for column in read.columns.values()} == {len(read.names)}
        assert "\n" not in told


def test_texts_that_are_few_bytes_in_a_file_are_held_once():
    text = "x" * 1_000_000
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), [text])
    pq.write_table(pa.table({"a": np.arange(50_000.0), "b": many}), "rows.parquet", store_schema=False)
    tracemalloc.start()
    column = read_table("rows.parquet").columns["b"]
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()
    assert len({id(cell) for cell in column}) == 1
    assert (len(column), column[0]) == (50_000, text)


def test_parquet_that_takes_more_memory_than_is_free_is_refused_before_it_is_read(monkeypatch):
    pq.write_table(pa.table({"a": np.zeros(100_000), "b": [b"12345678"] * 100_000}), "rows.parquet")
    monkeypatch.setattr(bounds, "free_memory", lambda: 10_000_000.0)
    with pytest.raises(InputError, match=r"rows\.parquet, unpacked, takes about 0\.02 GB of memory, and 0\.01 GB"):
        read_table("rows.parquet")


# Values beyond what numbers and moments hold


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (decimal.Decimal("1e999999999"), math.inf),
        (-fractions.Fraction(10**400, 3), -math.inf),
        (np.longdouble("1e4000") if np.finfo(np.longdouble).maxexp > 1024 else math.inf, math.inf),
        (decimal.Decimal("sNaN"), None),
    ],
)
def test_a_number_beyond_floats_is_infinite_which_is_an_error_of_its_row(value, read):
    assert frame({"a": [1.5, value]}) == ("f", [1.5, read])
    assert frame({"a": np.array([1.5, 0], np.longdouble) * np.longdouble(2)}) == ("f", [3, 0])


def test_whole_numbers_of_any_length_are_texts():
    assert frame({"a": [1, 10**5_000]})[0] == "O"
    assert frame({"a": [np.int64(-(2**63)), np.int64(1)]}) == ("O", ["-9223372036854775808", "1"])


@pytest.mark.parametrize(
    "moments",
    [
        np.array(["2024-01-01", "300000-01-01", "NaT"], "M8[D]"),
        pd.Series(np.array(["2024-01-01", "300000-01-01", "NaT"], "M8[s]")),
        [np.datetime64("2024-01-01"), np.datetime64("300000-01-01"), None],
        [dt.datetime(2024, 1, 1), np.datetime64("300000-01-01"), None],
        pa.table({"a": pa.array([19_723, 108_853_222, None], pa.date32())}),
    ],
)
def test_a_moment_beyond_microseconds_makes_texts_of_which_it_alone_is_no_date(moments):
    values = moments if isinstance(moments, pa.Table) else {"a": moments}
    assert frame(values) == ("O", ["2024-01-01", "the year 300,000", None])


@pytest.mark.parametrize("year", [1, 9999])
def test_a_moment_that_no_year_in_utc_has_is_kept_as_it_is_written(year):
    zone = dt.timezone(dt.timedelta(hours=14 if year == 1 else -14))
    end = dt.datetime(year, 1, 1, tzinfo=zone) if year == 1 else dt.datetime(year, 12, 31, 23, tzinfo=zone)
    assert frame({"a": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), end]}) == ("O", ["2024-01-01 00:00:00+00:00", str(end)])


def test_durations_of_any_length_are_seconds():
    long = np.array([1, 10**15, "NaT"], "m8[D]")
    assert frame({"a": long}) == ("f", [86_400, 8.64e19, None])
    assert frame({"a": [np.timedelta64(1, "D"), np.timedelta64(10**15, "D"), None]}) == ("f", [86_400, 8.64e19, None])
    assert frame({"a": [dt.timedelta.max, None]}) == ("f", [dt.timedelta.max.total_seconds(), None])
    with pytest.raises(InputError, match=r"the column 'a' cannot be read: .*; leave it out"):
        frame({"a": np.array([1, 2], "m8[Y]")})


def test_whatever_a_librarys_values_raise_is_an_error_that_names_the_column():
    class Shy:
        def __str__(self):
            raise RuntimeError("not\ntold")

    with pytest.raises(InputError, match="the column 'a' cannot be read: not told; leave it out"):
        frame({"a": [Shy(), Shy()]})
    with pytest.raises(InputError, match="the column 'a' cannot be read: "):
        frame(pa.table({"a": pa.array([2**62], pa.duration("s"))}))


def test_a_frame_that_is_only_planned_is_collected():
    planned = pl.LazyFrame({"a": [1.0, 2.0, 4.0], "b": [2.5, 1.0, 3.0]})
    model = dn2.fit(planned)
    assert model.score(planned).rows == dn2.fit(planned.collect()).score(planned.collect()).rows


@pytest.mark.parametrize("n_comments", [0, 2])
@pytest.mark.parametrize("line", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n\n", ""])
def test_what_programs_write_before_the_header_is_passed_over(line, n_comments):
    before = "# exported by a program, 2024-01-01\n" * n_comments + line
    assert table(before + "a;b\n1;x\n2;y,z\n") == {"a": [1, 2], "b": ["x", "y,z"]}
    assert table(line + "# exported\n#\n" * n_comments + "a;b\n1;x\n2;y,z\n") == {"a": [1, 2], "b": ["x", "y,z"]}
    assert table(line + "#a;b\n1;x\n2;y\n") == {"#a": [1, 2], "b": ["x", "y"]}  # a header


def test_rows_below_comments_keep_their_numbers_in_errors():
    read = read_table(write("# by hand\na,b\n1,2\n3\n"))
    assert (read.names, read.errors) == (["rows.csv:1", "rows.csv:2"], {1: "it has 1 cells, the header has 2 columns"})

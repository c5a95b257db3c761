"""Results: one row an item, a sequence, in files that other programs read."""

from __future__ import annotations

import copy
import csv
import doctest
import json
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dn2 import InputError, Member, MissingExtra, Neighbor, ReferenceTooSmall, Results, Row
from dn2.kinds.image.evidence import GroupEvidence
from dn2.results import embeddings as vectors
from dn2.results import results as results_module
from dn2.results import writing
from dn2.results.context import Context
from dn2.results.rows import COLUMNS
from dn2.results.words import join_words, number_in_words, rate_in_words
from dn2.results.written import writer_for

CONTRACT = ["item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error"]
STRANGE = 'a "quoted", name\nwith a line,\r\nbreak\tand\rmore \u2028 é 日本 😀 ; \\n'


def evidence(*pairs: tuple[str, float]) -> tuple[Neighbor, ...]:
    return tuple(Neighbor(item, distance) for item, distance in pairs)


@pytest.fixture
def results() -> Results:
    """Five rows with 19 calibrating items: p-values are multiples of 1 / 20."""
    rows = [
        Row("good/1.png", 0.25, 0.6, None, evidence(("r1", 0.5), ("r2", 0.5))),
        Row(STRANGE, 1 / 3, 0.05, None, evidence((STRANGE, 0.1), ("r2", 1e-30))),
        Row("broken.png", error="damaged picture: 'x', \"y\"\nz"),
        Row("bad/2.png", 7.5, 0.05, None, evidence(("r1", 2.5), ("r2", 3.0))),
        Row("same.png", 0.0, 1.0, None, evidence(("same.png", 0.0), ("r2", 0.1))),
    ]
    return Results(rows, None, 19).at(0.05)


def as_in_contract(results: Results) -> list[dict[str, object]]:
    return [
        {
            "item": row.item,
            "anomaly_score": row.anomaly_score,
            "p_value": row.p_value,
            "is_anomaly": row.is_anomaly,
            "neighbors": [{"item": one.item, "distance": one.distance} for one in row.neighbors],
            "error": row.error,
        }
        for row in results
    ]


def test_the_columns_are_those_of_the_contract_in_every_form(results: Results, tmp_path: Path) -> None:
    for ending in ("csv", "jsonl", "parquet"):
        results.save(tmp_path / f"r.{ending}")
    assert list(COLUMNS) == CONTRACT
    assert (tmp_path / "r.csv").read_text().split("\n")[0] == ",".join(CONTRACT)
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").split("\n")
    assert [list(json.loads(line)) for line in lines[:-1]] == [CONTRACT] * 5
    assert lines[-1] == ""
    assert pyarrow.parquet.read_table(tmp_path / "r.parquet").column_names == CONTRACT
    assert list(results.to_pandas().columns) == CONTRACT


def test_json_lines_hold_every_value_as_it_was(results: Results, tmp_path: Path) -> None:
    results.to_jsonl(tmp_path / "r.jsonl")
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line) for line in lines] == as_in_contract(results)
    frame = pandas.read_json(tmp_path / "r.jsonl", lines=True)
    assert frame["item"].tolist() == [row.item for row in results]


def test_csv_holds_every_value_as_it_was(results: Results, tmp_path: Path) -> None:
    results.to_csv(tmp_path / "r.csv")
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == CONTRACT
    for row, (item, score, p_value, is_anomaly, neighbors, error) in zip(results, rows, strict=True):
        assert (item, error) == (row.item, row.error or "")
        assert score == ("" if row.anomaly_score is None else repr(row.anomaly_score))
        assert p_value == ("" if row.p_value is None else repr(row.p_value))
        assert is_anomaly == {True: "true", False: "false", None: ""}[row.is_anomaly]
        expected = [{"item": one.item, "distance": one.distance} for one in row.neighbors]
        assert (json.loads(neighbors) if neighbors else []) == expected


def test_pandas_reads_the_csv(results: Results, tmp_path: Path) -> None:
    results.to_csv(tmp_path / "r.csv")
    frame = pandas.read_csv(tmp_path / "r.csv")
    assert frame["item"].tolist() == [row.item for row in results]
    readable = frame[frame["error"].isna()]
    assert readable["anomaly_score"].tolist() == pytest.approx([0.25, 1 / 3, 7.5, 0.0], rel=1e-15)
    assert readable["is_anomaly"].astype(bool).tolist() == [False, True, True, False]
    assert json.loads(readable["neighbors"].iloc[1])[0] == {"item": STRANGE, "distance": 0.1}
    assert frame.loc[2, ["anomaly_score", "p_value", "is_anomaly", "neighbors"]].isna().all()


def test_pandas_reads_the_parquet(results: Results, tmp_path: Path) -> None:
    results.to_parquet(tmp_path / "r.parquet")
    frame = pandas.read_parquet(tmp_path / "r.parquet")
    assert frame["item"].tolist() == [row.item for row in results]
    assert frame["anomaly_score"].dropna().tolist() == [0.25, 1 / 3, 7.5, 0.0]
    assert frame["is_anomaly"].dropna().tolist() == [False, True, True, False]
    assert json.loads(frame["neighbors"][1])[0] == {"item": STRANGE, "distance": 0.1}
    assert frame.loc[2, ["anomaly_score", "p_value", "is_anomaly", "neighbors"]].isna().all()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_results_of_nothing_but_errors_have_all_columns_and_empty_numbers(ending: str, tmp_path: Path) -> None:
    Results([Row("a", error="x"), Row("b", error="y")], 0.1, 19).save(tmp_path / f"r.{ending}")
    frame = getattr(pandas, f"read_{ending}")(tmp_path / f"r.{ending}")
    assert list(frame.columns) == CONTRACT
    assert frame[["anomaly_score", "p_value", "is_anomaly", "neighbors"]].isna().all(axis=None)
    assert frame["error"].tolist() == ["x", "y"]


@example("a\rb")
@example("a\nb")
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_name_comes_back_from_csv_and_json_lines(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    results = Results([Row(name, 1.0, 0.5, False, evidence((name, 1.0)))], 0.1, 19)
    results.to_csv(folder / "r.csv")
    with open(folder / "r.csv", encoding="utf-8", newline="") as file:
        _, row = csv.reader(file)
    assert (row[0], json.loads(row[4])[0]["item"]) == (name, name)
    results.to_jsonl(folder / "r.jsonl")
    (line,) = (folder / "r.jsonl").read_bytes().split(b"\n")[:-1]
    assert json.loads(line)["item"] == name


def test_to_pandas_holds_neighbors_as_lists(results: Results) -> None:
    frame = results.to_pandas()
    assert frame["neighbors"][0] == [{"item": "r1", "distance": 0.5}, {"item": "r2", "distance": 0.5}]
    assert frame["neighbors"][2] == []
    assert frame["anomaly_score"].isna().tolist() == [False, False, True, False, False]


def test_a_new_rate_decides_anew_without_a_new_search(results: Results) -> None:
    relaxed = results.at(0.6)
    assert [row.is_anomaly for row in results] == [False, True, None, True, False]
    assert [row.is_anomaly for row in relaxed] == [True, True, None, True, False]
    assert relaxed.false_alarm_rate == 0.6
    assert [row.p_value for row in relaxed] == [row.p_value for row in results]
    assert results.false_alarm_rate == 0.05  # the first is as it was


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(1, 19))
def test_an_item_is_anomalous_where_its_p_value_is_at_most_the_rate(numerators: list[int], rate: int) -> None:
    results = Results([Row(str(n), float(-n), n / 20) for n in numerators], None, 19)
    assert [row.is_anomaly for row in results.at(rate / 20)] == [n <= rate for n in numerators]


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_rate_that_is_none_is_refused(results: Results, rate: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        results.at(rate)


def test_an_unattainable_rate_is_refused_with_the_number_of_items_it_takes(results: Results) -> None:
    results.at(1 / 20)
    with pytest.raises(ReferenceTooSmall, match="needs at least 99 reference items, got 19; add 80 more"):
        results.at(0.01)


def test_anomalies_come_most_anomalous_first_and_errors_in_order(results: Results) -> None:
    assert [row.item for row in results.anomalies] == ["bad/2.png", STRANGE]
    assert [row.item for row in results.errors] == ["broken.png"]
    assert len(results) == 5


@pytest.mark.parametrize("name", ["r.txt", "r", "csv", "r.csv.gz", "r.json"])
def test_an_unknown_ending_is_refused_and_nothing_written(results: Results, tmp_path: Path, name: str) -> None:
    for refuse in (lambda: results.save(tmp_path / name), lambda: writer_for(tmp_path / name)):
        with pytest.raises(InputError, match=r"must end in \.csv or \.jsonl or \.parquet"):
            refuse()
    assert list(tmp_path.iterdir()) == []


def test_an_ending_may_be_in_capitals(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "R.CSV")
    assert (tmp_path / "R.CSV").read_text().startswith("item,")


def test_a_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for choose, name in ((writer_for, "file/no/r.csv"), (vectors.writer_for, "file/v.npz")):
        with pytest.raises(InputError, match="file is no folder"):
            choose(tmp_path / name)


def test_a_folder_that_is_not_there_is_made_by_what_is_written_and_not_before(results: Results, tmp_path: Path) -> None:
    writer_for(tmp_path / "a/b/r.csv")
    assert not (tmp_path / "a").exists()
    results.to_csv(tmp_path / "a/b/r.csv")
    assert (tmp_path / "a/b/r.csv").is_file()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = tmp_path / f"r.{ending}"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.os, "replace", fail)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        results.save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_row_that_cannot_be_written_leaves_the_old_file(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        Results([*results, Row("\ud800", 1.0, 0.5)], 0.1, 19).to_csv(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/r.csv", "folder.csv", "/proc/dn2/r.csv"])
def test_a_place_that_cannot_be_written_is_refused_in_one_line(results: Results, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="cannot be written") as refused:
        results.to_csv(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_parquet_without_pyarrow_names_the_extra(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for refuse in (
        lambda: results.to_parquet(tmp_path / "r.parquet"),
        lambda: writer_for(tmp_path / "r.parquet"),
        lambda: vectors.writer_for(tmp_path / "v.parquet"),
    ):
        with pytest.raises(MissingExtra, match=r"pip install 'dn2\[parquet\]'"):
            refuse()
    assert list(tmp_path.iterdir()) == []
    results.to_csv(tmp_path / "r.csv")  # which needs no extra


def test_a_frame_without_pandas_says_what_to_install(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pip install pandas"):
        results.to_pandas()


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_embeddings_come_back_as_they_were(tmp_path: Path, ending: str) -> None:
    names, embeddings = [STRANGE, "b", "c"], np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    path = tmp_path / f"v.{ending}"
    vectors.writer_for(path)(path, names, embeddings)
    if ending == "npz":
        with np.load(path, allow_pickle=False) as file:
            got_names, got = file["items"].tolist(), file["embeddings"]
    else:
        frame = pandas.read_parquet(path)
        assert list(frame.columns) == ["item", "embedding"]
        got_names, got = frame["item"].tolist(), np.stack(frame["embedding"].tolist())
    assert got_names == names
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, embeddings)
    assert os.listdir(tmp_path) == [path.name]


def test_an_unknown_ending_of_embeddings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.npz or \.parquet"):
        vectors.writer_for(tmp_path / "v.csv")


# A sequence


def test_results_are_a_sequence_of_their_rows(results: Results) -> None:
    rows = list(results.rows)
    assert isinstance(results, Sequence)
    assert list(results) == rows
    assert list(reversed(results)) == rows[::-1]
    assert (results[0], results[-1], results[np.int64(3)]) == (rows[0], rows[4], rows[3])
    assert rows[3] in results
    assert Row("stranger") not in results
    assert (results.index(rows[3]), results.count(rows[3])) == (3, 1)
    with pytest.raises(IndexError):
        results[5]
    with pytest.raises(ValueError):  # noqa: PT011  of which Python says nothing more
        results.index(Row("stranger"))


@given(st.slices(5))
def test_a_slice_is_results_with_the_same_decisions(some: slice) -> None:
    rows = [Row(str(n), float(-n), (n + 1) / 20) for n in range(5)]
    whole = Results(rows, None, 19, counted="intervals", nouns=("row", "rows")).at(0.1)
    part = whole[some]
    assert isinstance(part, Results)
    assert part.rows == whole.rows[some]
    assert [row.is_anomaly for row in part] == [n < 2 for n in range(5)[some]]
    assert (part.false_alarm_rate, part.sample_size, part.counted, part.nouns) == (0.1, 19, "intervals", whole.nouns)
    assert part.at(0.2) == whole.at(0.2)[some]
    assert whole[:] == whole


def test_a_slice_has_the_pictures_and_the_map_of_its_rows() -> None:
    rows = [Row(str(n), 1.0, 0.5) for n in range(4)]
    vectors = {0: np.zeros(2), 2: np.ones(2), 3: np.full(2, 3.0)}
    context = Context(None, None, ["f0", "f1", None, "f3"], vectors)
    part = Results(rows, 0.5, 9, context)[3:0:-1].context
    assert part is not None
    assert part.files == ["f3", None, "f1"]
    assert {place: vector.tolist() for place, vector in part.vectors.items()} == {0: [3.0, 3.0], 1: [1.0, 1.0]}
    assert Results(rows, 0.5, 9, Context(None, None, None, {}))[:2].context == Context(None, None, None, {})


def test_equal_results_are_those_of_equal_rows_and_decisions(results: Results) -> None:
    assert results == Results(list(results.rows), 0.05, 19)
    assert results != results.at(0.6)
    assert results != results[:4]
    assert results != list(results)
    with pytest.raises(TypeError, match="unhashable"):
        hash(results)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_copies_share_the_model_and_pickles_leave_it(results: Results, again: Callable[[Results], Results]) -> None:
    whole = replace(results, context=Context(object(), None, None, {}))
    copied = again(whole)
    assert copied == whole
    assert copied.context is not None
    assert copied.context.model is whole.context.model
    pickled = pickle.loads(pickle.dumps(whole))  # noqa: S301
    assert pickled == whole
    assert pickled.context is None


def test_rows_are_values(groups: Results) -> None:
    row = groups[0]
    for again in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row)), replace(row)):  # noqa: S301
        assert again == row
        assert hash(again) == hash(row)
        assert again.members == row.members
    assert row != replace(row, evidence=None)
    assert len({*groups, *groups}) == 3
    with pytest.raises(AttributeError):
        row.item = "other"


def test_what_a_kind_adds_is_read_from_the_row_and_a_misspelt_name_is_an_error(groups: Results) -> None:
    assert groups[0].members[0] == Member("a.png", 1.25)
    assert Row("a", 1.0, 0.5).members is None
    assert groups[0].columns is None  # which rows of tables have
    for row in (groups[0], Row("a", 1.0, 0.5)):
        assert not hasattr(row, "anomly_score")
        assert not hasattr(row, "__array__")
        with pytest.raises(AttributeError, match="a row has no attribute 'member'"):
            row.member  # noqa: B018


# Words


def test_a_sentence_says_what_was_asked_and_what_came_out() -> None:
    rows = [Row("a", 2, 0.01, True), Row("b", 1, 0.5, False), Row("c", error="broken")]

    def said(count: int, rate: float | None, *nouns: str, **more: float) -> str:
        return Results(rows[:count], rate, 199, nouns=nouns or ("image", "images"), **more).summary()

    assert said(3, 0.01) == "2 images, 1 anomalous at 1 false alarm in 100; 1 could not be read"
    assert said(1, 0.05) == "1 image, 1 anomalous at 1 false alarm in 20"
    assert said(2, 0.3, "group", "groups") == "2 groups, 1 anomalous at 30 false alarms in 100"
    assert said(2, 0.005) == "2 images, 1 anomalous at 1 false alarm in 200"
    assert said(2, 0.03) == "2 images, 1 anomalous at 3 false alarms in 100"
    assert said(2, None) == "2 images, 1 anomalous, as the results file has it"
    assert said(2, None, false_discovery_rate=0.05) == "2 images, 1 anomalous at a false-discovery rate of 5 %"
    assert said(2, 0.05, among_themselves=True) == "2 images, 1 anomalous: the highest 1 in 20, whatever they are"
    assert Results(rows[2:], 0.1, 9).summary() == ("0 items, 0 anomalous at 1 false alarm in 10; 1 could not be read")


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.01, "1 in 100"),
        (0.03, "3 in 100"),
        (1 / 3, "1 in 3"),
        (2 / 3, "66.7 in 100"),
        (0.5, "1 in 2"),
        (1 / 41, "1 in 41"),
        (2 / 41, "4.88 in 100"),
        (0.0003, "3 in 10,000"),
        (0.00488, "4.88 in 1,000"),
        (1 / 1_000_001, "1 in 1,000,001"),
    ],
)
def test_a_rate_is_so_many_in_so_many(rate: float, words: str) -> None:
    assert rate_in_words(rate) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (24_720.4, "24,720"), (999.9, "999.9"), (0.01493, "0.01493"), (1234.5, "1,234"), (123_456_789, "123,500,000"),
        (0, "0"), (-24_720.4, "-24,720"), (1e-9, "1e-09"), (1e20, "1e+20"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_a_number_is_written_without_an_exponent_where_people_would(value: float, words: str) -> None:
    assert number_in_words(value) == words


def test_words_are_listed_as_people_do() -> None:
    assert [join_words(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


def test_results_and_rows_are_shown_in_one_short_line(results: Results, groups: Results) -> None:
    assert repr(results) == "<Results: 4 items, 2 anomalous at 1 in 20; 1 not read>"
    assert repr(replace(groups, nouns=("group", "groups"))) == "<Results: 2 groups, 1 anomalous at 1 in 20; 2 not read>"
    assert repr(Results([], None, 19)) == "<Results: 0 items, 0 anomalous>"
    assert len(repr(Results([Row("x" * 10_000, 1.0, 0.5)] * 1_000, 0.1, 19))) < 80
    assert repr(results[0]) == "<Row 'good/1.png': anomaly score 0.25, p-value 0.6, normal>"


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(results_module).failed == 0
    assert len(doctest.DocTestFinder().find(Results)) > 0


# Groups


@pytest.fixture
def groups() -> Results:
    """Three groups: one with a member that cannot be read, one without a picture, one of strange names."""
    members = (Member("a.png", 1.25), Member("b.png", -0.25), Member("c.png", error='damaged, "x"'))
    rows = [
        Row("lot-1", 0.25, 0.6, None, evidence(("r1", 0.5)), evidence=GroupEvidence(members)),
        Row("empty", error="a group without pictures", evidence=GroupEvidence(())),
        Row(STRANGE, 7.5, 0.05, None, evidence((STRANGE, 2.7)), evidence=GroupEvidence((Member(STRANGE, 1.0),))),
    ]
    return Results(rows, None, 19).at(0.05)


MEMBERS = [
    [
        {"item": "a.png", "share": 1.25, "error": None},
        {"item": "b.png", "share": -0.25, "error": None},
        {"item": "c.png", "share": None, "error": 'damaged, "x"'},
    ],
    [],
    [{"item": STRANGE, "share": 1.0, "error": None}],
]


def test_results_of_groups_have_one_column_more_in_every_form(groups: Results, tmp_path: Path) -> None:
    columns = [*CONTRACT, "members"]
    for ending in ("csv", "jsonl", "parquet"):
        groups.save(tmp_path / f"r.{ending}")
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == columns
    assert [json.loads(row[6]) if row[6] else [] for row in rows] == MEMBERS
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert [list(json.loads(line)) for line in lines] == [columns] * 3
    assert [json.loads(line)["members"] for line in lines] == MEMBERS
    frame = pandas.read_parquet(tmp_path / "r.parquet")
    assert list(frame.columns) == columns
    assert [json.loads(text) if isinstance(text, str) else [] for text in frame["members"]] == MEMBERS
    assert list(groups.to_pandas().columns) == columns
    assert groups.to_pandas()["members"].tolist() == MEMBERS


def test_a_new_rate_keeps_the_members(groups: Results) -> None:
    assert [row.members for row in groups.at(0.9)] == [row.members for row in groups]


def test_members_that_could_not_be_read_are_listed_after_the_items(groups: Results) -> None:
    assert [(row.item, row.error) for row in groups.unreadable] == [
        ("empty", "a group without pictures"),
        ("lot-1/c.png", 'damaged, "x"'),
    ]
    assert [row.item for row in groups.errors] == ["empty"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_single_items_among_groups_have_no_members(groups: Results, tmp_path: Path, ending: str) -> None:
    mixed = Results([*groups, Row("one.png", 1.0, 0.5, False, evidence(("r1", 1.0)))], None, 19)
    mixed.save(tmp_path / f"r.{ending}")
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet}
    frame = (
        read[ending](tmp_path / f"r.{ending}") if ending in read else pandas.read_json(tmp_path / "r.jsonl", lines=True)
    )
    assert list(frame.columns) == [*CONTRACT, "members"]
    assert frame["members"].isna()[3]
    assert len((tmp_path / f"r.{ending}").read_bytes()) > 0
    if ending == "csv":
        with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
            assert {len(row) for row in csv.reader(file)} == {7}

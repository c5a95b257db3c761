"""The commands on tables and on vectors; run in this process."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dn2
from dn2.kinds.table.evidence import RowEvidence
from dn2.results.files import read_rows
from dn2.results.words import number_in_words
from small_tables import frame, write

LEFT_OUT = (
    "count (an identifier: 120 different whole numbers); serial (an identifier or free text: 120 different ones in 120 "
    "rows)"
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rows.csv` to fit on; `new.csv` with rows like these, `odd.csv` with others, `more.csv`; not to be changed."""
    folder = tmp_path_factory.mktemp("tables")
    write(frame(120), folder / "rows.csv")
    write(frame(10, 1), folder / "new.csv")
    odd = frame(10, 2)
    odd["temperature"] += 500
    write(odd, folder / "odd.csv")
    write(frame(5, 3), folder / "more.csv")
    return folder


@pytest.fixture(scope="module")
def saved_rows(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of `rows.csv`; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "rows.dn2"
    dn2.fit(tables / "rows.csv", id_column="part", drop_columns=["note"]).save(folder)
    return folder


@pytest.fixture
def model(saved_rows: Path, tmp_path: Path) -> Path:
    """A copy of the saved model, to be changed."""
    return Path(shutil.copytree(saved_rows, tmp_path / "rows.dn2"))


def lines(text: str) -> list[str]:
    return text.splitlines()


def broken(tables: Path, folder: Path) -> Path:
    """Write `new.csv` with a word among numbers in its third row, and a row of two cells below."""
    rows = (tables / "new.csv").read_text().splitlines()
    cells = next(csv.reader([rows[3]]))
    cells[2] = "much"
    rows[3] = ",".join(cells)
    (folder / "broken.csv").write_text("\n".join([*rows, "p9,a"]) + "\n")
    return folder / "broken.csv"


# Tables


def test_fit_of_a_table_says_which_columns_it_leaves_out(dn2_command, tables: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.dn2"
    done = dn2_command("fit", tables / "rows.csv", "--id-column", "part", "--drop-columns", "note", "-o", output)
    assert (done.status, done.out) == (0, "")
    assert lines(done.err) == [
        f"dn2: columns left out: {LEFT_OUT}",
        f"{output}: 120 reference items, false-alarm rate 1 in 61, the smallest that they support",
        "machine: 3 categories",
        "load: numbers",
        "temperature: numbers",
        "pressure: numbers",
        "passed: truth values",
        "made: dates",
        "line: categories, always 'L1'",
        "nothing: categories, always empty",
        f"next: dn2 score {output} INPUT",
    ]
    again = dn2.fit(tables / "rows.csv", id_column="part", drop_columns=["note"])
    assert dn2.load(output).score(tables / "new.csv").rows == again.score(tables / "new.csv").rows


def test_fit_passes_every_option_of_tables_on(dn2_command, tables: Path, tmp_path: Path) -> None:
    options = ["--kind", "table", "--neighbors", 3, "--false-alarm-rate", 0.1, "--contaminated", "--drop", 0.05]
    dropped = [part for name in ("note", "line", "count") for part in ("--drop-columns", name)]
    done = dn2_command(
        "fit", tables / "rows.csv", "-o", tmp_path / "m.dn2", *options, *dropped, "--id-column", "serial"
    )
    assert done.status == 0
    about = dn2.load(tmp_path / "m.dn2").describe()
    assert about["id_column"] == "serial"
    assert sorted(about["embedder"]["left_out"]) == ["part"]
    assert about["detector"] == {
        "n_neighbors": 3,
        "false_alarm_rate": 0.1,
        "normalize": "none",
        "scale": {"categorical": [0, 4, 6, 9]},
        "whiten": False,
        "clean": {"drop": 0.05, "first_neighbors": None},
        "windows": None,
        "search": {"index": "auto", "recall": 0.999, "storage": "auto", "memory": None},
        "calibrate": {"confidence": None, "smooth": False, "seed": 0, "hold_out": False},
    }


def test_a_folder_of_tables_is_fitted_whether_or_not_its_kind_is_said(
    dn2_command, tables: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write(frame(60), folder / "a.csv")
    write(frame(60, 5), folder / "b.csv")
    for said in ([], ["--kind", "table"]):
        assert dn2_command("fit", folder, *said, "-o", tmp_path / "m.dn2", "--force").status == 0
        names = [item.name for item in dn2.load(tmp_path / "m.dn2").items]
        assert names == [f"{name}.csv:{row}" for name in "ab" for row in range(1, 61)]


def test_fit_reports_rows_that_cannot_be_read_with_status_3(dn2_command, tables: Path, tmp_path: Path) -> None:
    path = broken(tables, tmp_path)
    done = dn2_command("fit", tables / "rows.csv", path, "--id-column", "part", "-o", tmp_path / "m.dn2")
    assert done.status == 3
    assert lines(done.err)[-3:-1] == [
        "dn2: not read: p1-2: load holds numbers, got 'much'",
        f"dn2: not read: {path}:11: it has 2 cells, the header has 12 columns",
    ]
    assert len(dn2.load(tmp_path / "m.dn2").items) == 129


def test_inspect_says_which_columns_are_compared_and_which_are_not(dn2_command, saved_rows: Path) -> None:
    done = dn2_command("inspect", saved_rows)
    assert (done.status, done.err) == (0, "")
    pairs = dict(line.split("  ", 1) for line in lines(done.out) if "  " in line)
    told = {name.strip(): words.strip() for name, words in pairs.items()}
    assert told["kind"] == "rows of a table, named by part"
    assert told["reference items"] == "120"
    assert told["columns compared"] == "4 of categories, 1 of dates, 3 of numbers"
    assert told["columns left out"] == LEFT_OUT
    assert told["false-alarm rate"] == "1 in 61 (smallest: 1 in 61)"
    assert "the scaling of columns was learnt from the others" in done.out
    done = dn2_command("inspect", saved_rows, "--json")
    assert json.loads(done.out)["embedder"]["columns"] == {"category": 4, "date": 1, "number": 3}
    done = dn2_command("inspect", saved_rows, "--items")
    assert lines(done.out)[:2] == ["p0-0", "p0-1"]


def test_score_prints_the_reasons(dn2_command, saved_rows: Path, tables: Path) -> None:
    done = dn2_command("score", saved_rows, tables / "odd.csv")
    assert done.status == 0
    table = lines(done.out)[1:]
    assert len(table) == 10
    for line, row in zip(table, sorted(dn2.load(saved_rows).score(tables / "odd.csv"), key=_by_score), strict=True):
        assert line.split()[:4] == [row.item, number_in_words(row.anomaly_score), f"{row.p_value:.4f}", "yes"]
        first = row.columns[0]
        beside = ", ".join(f"{value:.6g}" for value in first.neighbors)
        assert f"temperature {first.value:.6g} beside {beside} ({first.share:.0%})" in line
        assert line.rstrip().endswith(", ".join(f"{one.item} ({one.distance:.3g})" for one in row.neighbors))
    assert "10 rows, 10 anomalous at 1 false alarm in 61" in done.err
    assert "columns that the model does not have are passed over: 'note'" in done.err


def _by_score(row: Any) -> float:
    return -row.anomaly_score


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_score_writes_reasons_to_a_file(
    dn2_command, saved_rows: Path, tables: Path, tmp_path: Path, ending: str
) -> None:
    path, output = broken(tables, tmp_path), tmp_path / f"r.{ending}"
    done = dn2_command("score", saved_rows, path, "-o", output)
    assert (done.status, done.out) == (3, "")
    assert "2 could not be read" in done.err
    rows = read_rows(output, RowEvidence)
    assert rows == dn2.load(saved_rows).score(path).rows
    assert [row.item for row in rows] == [*(f"p1-{row}" for row in range(10)), f"{path}:11"]
    assert [row.error for row in rows if row.error] == [
        "load holds numbers, got 'much'",
        "it has 2 cells, the header has 12 columns",
    ]
    if ending == "csv":
        with open(output, encoding="utf-8", newline="") as file:
            head = next(csv.reader(file))
        assert head == ["item", "anomaly_score", "p_value", "is_anomaly", "neighbors", "error", "columns"]


def test_score_writes_a_page_of_rows_with_errors_among_them(
    dn2_command, saved_rows: Path, tables: Path, tmp_path: Path
) -> None:
    done = dn2_command(
        "score", saved_rows, tables / "odd.csv", broken(tables, tmp_path), "--report", tmp_path / "r.html"
    )
    assert done.status == 3
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "p2-3" in page
    assert "holds numbers, got" in page


def test_score_ends_with_1_for_an_anomaly_where_asked(dn2_command, saved_rows: Path, tables: Path) -> None:
    assert dn2_command("score", saved_rows, tables / "odd.csv", "--json", "--fail-on-anomaly").status == 1


def test_a_table_that_cannot_be_scored_is_refused_in_one_line(
    dn2_command, saved_rows: Path, tables: Path, tmp_path: Path
) -> None:
    lacking = write(frame(4, 1).drop(columns=["load"]), tmp_path / "lacking.csv")
    nameless = write(frame(4, 1).drop(columns=["part"]), tmp_path / "nameless.csv")
    for path, words in [
        (lacking, "the table lacks columns that the model compares: 'load'; it has"),
        (nameless, "there is no column 'part'; there is"),
        (tmp_path / "none.csv", "none.csv"),
    ]:
        done = dn2_command("score", saved_rows, path)
        assert (done.status, done.out, len(lines(done.err))) == (2, "", 1)
        assert words in done.err
    done = dn2_command("fit", tables / "rows.csv", "--backbone", "lite0", "-o", tmp_path / "m.dn2")
    assert done.status == 2
    assert lines(done.err) == [
        "dn2: --backbone belongs to the kinds image and text, and the items here are of the kind table: leave it out"
    ]


def test_rows_are_added_removed_and_verified(dn2_command, model: Path, tables: Path) -> None:
    before = dn2.load(model).score(tables / "new.csv").rows
    done = dn2_command("add", model, tables / "more.csv")
    assert done.status == 0
    assert "5 items added" in lines(done.err)
    assert "machine: 3 categories" in lines(done.err)
    assert len(dn2.load(model).items) == 125
    assert dn2_command("verify", model).status == 0
    done = dn2_command("remove", model, *(f"p3-{row}" for row in range(5)))
    assert (done.status, lines(done.err)[0]) == (0, "5 items removed")
    assert dn2.load(model).score(tables / "new.csv").rows == before
    assert dn2_command("add", model, tables / "rows.csv").status == 2


def test_verify_names_a_damaged_file_of_a_table(dn2_command, model: Path) -> None:
    assert dn2_command("verify", model).status == 0
    (path,) = model.glob("values-*")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = dn2_command("verify", model)
    assert done.status == 2
    assert path.name in done.out + done.err


def test_evaluate_measures_rows(dn2_command, saved_rows: Path, tables: Path) -> None:
    known = ["--normal", tables / "new.csv", "--anomalous", tables / "odd.csv"]
    done = dn2_command("evaluate", saved_rows, *known, "--json")
    assert done.status == 0
    figures = json.loads(done.out)
    assert (figures["n_normal"], figures["n_anomalous"], figures["roc_auc"]) == (10, 10, 1.0)


# Vectors


def test_vectors_are_fitted_scored_and_inspected(dn2_command, embeddings: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "known.npy", embeddings)
    np.save(tmp_path / "new.npy", embeddings[:3] + 5)
    model = tmp_path / "v.dn2"
    done = dn2_command("fit", tmp_path / "known.npy", "--normalize", "unit", "-o", model)
    assert done.status == 0
    assert lines(done.err)[0] == f"{model}: 120 reference items, false-alarm rate 1 in 100"
    done = dn2_command("inspect", model)
    assert "vectors of 16 numbers" in done.out
    assert "unit" in done.out
    done = dn2_command("score", model, tmp_path / "new.npy", "--json")
    rows = [json.loads(line) for line in lines(done.out)]
    assert [row["item"] for row in rows] == [f"{tmp_path / 'new.npy'}:{number}" for number in (1, 2, 3)]
    assert "columns" not in rows[0]
    done = dn2_command("fit", tmp_path / "known.npy", "--id-column", "part", "-o", tmp_path / "w.dn2")
    assert (done.status, len(lines(done.err))) == (2, 1)
    assert "--id-column belongs to the kinds text, table and series, and the items here are of the kind" in done.err

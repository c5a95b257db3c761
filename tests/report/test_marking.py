"""What a page writes into the file of verdicts: names and files, exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.model.scoring import read_scored
from dn2.report import results_page
from dn2.report.around import Map
from dn2.report.marking import marking_data
from dn2.report.results_page import choose_rows
from dn2.results.rows import Row
from small_report import data_in, many_rows, row, written


def files(marking: dict[str, Any], names: list[str]) -> list[str]:
    """Return the file of each item as the page's script does."""
    texts = marking["texts"]
    return [
        "" if place is None else texts[place[0]] if isinstance(place, list) else texts[place] + name
        for place, name in zip(marking["files"], names, strict=True)
    ]


def test_files_are_written_once_by_what_comes_before_the_name() -> None:
    names = ["a/1.png", "a/2.png", "row 3", "x" * 300, "m", "\ud800"]
    paths = ["/data/a/1.png", "/data/a/2.png", "/data/table.csv", f"/data/{'x' * 300}", "", r"/data/\ud800"]
    rows = [replace(row(name, 1.0, 0.5), audit=name == "m") for name in names]
    marking = marking_data(rows, [name[:160] for name in names], paths, "dn2 feedback MODEL verdicts.csv")
    assert marking["texts"] == ["/data/", "/data/table.csv"]
    assert marking["whole"] == {3: "x" * 300, 5: r"\ud800"}
    assert files(marking, [*names[:5], r"\ud800"]) == paths
    assert marking["audits"] == [4]


def test_marks_belong_to_names_and_scores() -> None:
    rows = many_rows(3)
    digests = [
        marking_data(some, [one.item for one in some], None, "")["digest"]
        for some in (rows, many_rows(3), rows[:2], [replace(rows[0], item="other"), *rows[1:]])
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_page_names_the_model_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / ("good" if number < 10 else "new")
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (240, 300, 3), np.uint8)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    model = dn2.fit("good")
    model.score("new").to_html("page.html")
    assert data_in(tmp_path / "page.html")["marking"]["command"] == "dn2 feedback MODEL verdicts.csv"
    model.save("my parts.dn2")
    model.score("new").to_html("page.html")
    data = data_in(tmp_path / "page.html")
    folder = (tmp_path / "my parts.dn2").resolve()
    assert data["marking"]["command"] == f"dn2 feedback '{folder}' verdicts.csv"
    assert files(data["marking"], data["items"]["name"]) == [f"{tmp_path}/new/{number}.png" for number in (10, 11)]
    model.score("new").to_csv("results.csv")
    again = read_scored(model, Path("results.csv"), Path("new"))
    again.to_html("again.html")
    assert data_in(tmp_path / "again.html")["marking"] == data["marking"]
    later = data_in(tmp_path / "page.html", "later")
    assert later["items"].keys() == {"0", "1"}
    assert all(picture.startswith("/9j/") for some in later.values() for picture in some.values())


def test_a_page_of_very_many_items_lists_audits_and_the_most_anomalous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_page, "MOST_ROWS", 10)
    rows: list[Row] = [replace(one, audit=place in (3, 5)) for place, one in enumerate(many_rows(50))]
    rows.insert(0, Row("lost", error="cut off"))
    drawn = Map(np.zeros((1, 2)), np.random.default_rng(0).normal(size=(50, 2)), range(1, 51))
    data = written(tmp_path / "page.html", rows, map=drawn, paths=[f"/data/{one.item}" for one in rows])
    by_score = sorted((one for one in rows[1:] if not one.audit), key=lambda one: -(one.anomaly_score or 0))
    listed = {rows[4].item, rows[6].item, *(one.item for one in by_score[:8])}
    names = data["items"]["name"]
    assert names == [one.item for one in rows if one.item in listed]
    assert files(data["marking"], names) == [f"/data/{name}" for name in names]
    assert data["words"]["scored"] == "50 items"
    assert len(data["drawn"]) == 50
    assert sorted(data["map"]["items"]) == list(range(10))
    values, unlisted = data["calibration"]["values"], data["calibration"]["unlisted"]
    for rank, count in zip(data["calibration"]["ranks"], unlisted, strict=True):
        assert count == sum(one.p_value <= values[rank - 1] for one in rows[1:] if one.item not in listed)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "The 10 most anomalous of 50 items and those to audit are listed; counts are of all." in text
    assert choose_rows(rows[1:4]) == [0, 1, 2]


def test_a_page_of_100_000_items_is_below_30_mb(tmp_path: Path) -> None:
    near = tuple(f"good/2026-10/IMG_{number:08}.jpg" for number in range(2))
    rows = [
        row(f"line-3/2026-11-30/camera-2/IMG_{number:08}.jpg", number / 7, (1 + number % 100) / 100, *near)
        for number in range(100_000)
    ]
    written(tmp_path / "page.html", rows, paths=[f"/data/incoming/{one.item}" for one in rows])
    # Beside it small and large pictures, whose limits are 8.5 MB and, of so many rows, 7 MB.
    assert (tmp_path / "page.html").stat().st_size < 14e6

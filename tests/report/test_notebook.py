"""What a notebook shows: results, models, and short lines of everything else."""

from __future__ import annotations

import base64
import io
import pickle
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image

import dn2
from dn2.kinds.registry import KINDS
from dn2.report.notebook import PICTURE_SIZE
from dn2.results.results import Results
from dn2.results.rows import Row
from dn2.results.words import number_in_words
from made_messages import messages
from made_series import pump
from small_report import explained, row

LARGEST = 200_000  # characters
HOSTILE = "</td></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e\ud800"


class Reader(HTMLParser):
    """Reads HTML strictly: every element is closed, nothing runs, and nothing is asked for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.in_cell = False
        self.pictures: list[bytes] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "style", "iframe", "object")
        assert not [name for name, _ in attributes if name.startswith("on") or name == "href"]
        if tag == "img":
            source = dict(attributes)["src"] or ""
            assert source.startswith("data:image/jpeg;base64,")
            self.pictures.append(base64.b64decode(source.partition(",")[2]))
        elif tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        self.in_cell = self.in_cell or tag in ("td", "th")
        if tag in ("td", "th") and self.cells:
            self.cells[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell and self.cells and self.cells[-1]:
            self.cells[-1][-1] += data


def read(shown: Any) -> Reader:
    html = shown._repr_html_()
    assert len(html) < LARGEST
    html.encode()
    return Reader(html)


@pytest.fixture(scope="module")
def models(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dn2.Model]:
    """A model of each kind."""
    rng = np.random.default_rng(0)
    table = pandas.DataFrame({HOSTILE[:40]: rng.normal(size=120), "plan": rng.choice(["a", "b"], 120)})
    return {
        "image": dn2.fit(world / "normal", backbone=str(world / "tiny.onnx")),
        "table": dn2.fit(table),
        "text": dn2.fit(messages(120, seed=0, first=1), column="body", id_column="ticket", backbone="characters"),
        "series": dn2.fit(pump(1_000, seed=0), time="time", window=60),
        "vector": dn2.fit(rng.normal(size=(60, 4))),
    }


def some_results(kind: str, models: dict[str, dn2.Model], world: Path) -> Results:
    rng = np.random.default_rng(1)
    new = {
        "image": world / "other",
        "table": pandas.DataFrame({HOSTILE[:40]: [9.0, *rng.normal(size=14)], "plan": ["c", *["a"] * 14]}),
        "text": messages(30, seed=1, first=2_001),
        "series": pump(900, seed=1),
        "vector": rng.normal(size=(15, 4)),
    }
    return models[kind].score(new[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_the_ten_most_anomalous_stand_with_what_they_rest_on(
    kind: str, models: dict[str, dn2.Model], world: Path
) -> None:
    results = some_results(kind, models, world)
    shown = read(results)
    assert shown.text.startswith(results.summary())
    head, *lines = shown.cells
    ranked = sorted(results, key=lambda one: -(one.anomaly_score or 0))[:10]
    assert len(lines) == len(ranked)
    assert head[:4] == ["item", "anomaly score", "p-value", "decision"]
    for cells, one in zip(lines, ranked, strict=True):
        assert cells[0].startswith(one.item)
        assert cells[1:3] == [f"{one.anomaly_score:.4g}", f"{one.p_value:.3g}"]
        assert cells[3] == ("anomalous" if one.is_anomaly else "normal")
        assert all(f"{near.distance:.3g}" in cells[-1] for near in one.neighbors[:1])
    left = len(results) - len(ranked)
    assert (f"and {left:,} less anomalous" in shown.text) == (left > 0)
    assert bool(shown.pictures) == (kind == "image")


def test_pictures_stand_beside_those_of_their_nearest(models: dict[str, dn2.Model], world: Path) -> None:
    results = some_results("image", models, world)
    shown = read(results)
    top = max(results, key=lambda one: one.anomaly_score or 0)
    assert len(shown.pictures) == 10 * (1 + len(top.neighbors))
    first, near, *_ = (np.asarray(Image.open(io.BytesIO(one)).convert("L"), float) for one in shown.pictures)
    for got, path in ((first, world / "other" / top.item), (near, world / "normal" / top.neighbors[0].item)):
        assert np.abs(got - np.asarray(Image.open(path).convert("L"), float)).mean() < 6
    assert shown.cells[0][4:] == ["scored", "nearest normal items (distance)"]


def test_large_pictures_are_small_and_a_budget_holds(world: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("normal", "new"):
        (tmp_path / name).mkdir()
        for number in range(14):
            noise = rng.integers(0, 255, (400, 300, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{number}.png")
    model = dn2.fit(tmp_path / "normal", backbone=str(world / "tiny.onnx"), neighbors=5)
    shown = read(model.score(tmp_path / "new"))
    assert 10 < len(shown.pictures) <= 40
    assert all(max(Image.open(io.BytesIO(one)).size) == PICTURE_SIZE for one in shown.pictures)


def test_without_the_files_the_neighbors_are_left_and_without_the_model_the_words(
    models: dict[str, dn2.Model], world: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(world / "other", tmp_path / "other"))
    results = models["image"].score(folder)
    shutil.rmtree(folder)
    shown = read(results)
    assert len(shown.pictures) == 20
    assert shown.text.count("no picture") == 10
    alone = read(pickle.loads(pickle.dumps(results)))  # noqa: S301
    assert alone.pictures == []
    near = results.anomalies[0].neighbors[0]
    assert f"{near.item} ({near.distance:.3g})" in alone.cells[1][-1]


def test_groups_stand_with_contact_sheets_and_the_members_that_pull_them_away(saved_lots: Path, lots: Path) -> None:
    results = dn2.load(saved_lots).score(lots / "bad")
    shown = read(results)
    top = max(results, key=lambda one: one.anomaly_score or 0)
    assert len(shown.pictures) == 3 * (1 + len(top.neighbors))
    assert f"pulled away by {top.members[0].item} ({top.members[0].share:.0%})" in shown.cells[1][-1]


def test_a_model_that_has_changed_still_shows_what_it_scored(saved: Path, world: Path) -> None:
    model = dn2.load(saved)
    results = model.score(world / "other")
    gone = max(results, key=lambda one: one.anomaly_score or 0).neighbors[0].item
    model.remove(gone)
    shown = read(results)
    assert 10 < len(shown.pictures) < 30
    assert "no picture" in shown.text


def test_names_reasons_and_values_are_text() -> None:
    lost = [Row(f"lost {HOSTILE}", error=f"why {HOSTILE} {'x' * 9_000}") for _ in range(5)]
    rows = [row(HOSTILE, 2, 0.01, HOSTILE), explained(HOSTILE, 1, dn2.Contribution(HOSTILE, 1.0, HOSTILE, ("a",)))]
    shown = read(Results([*rows, *lost], 0.05, 99))
    assert shown.pictures == []
    assert HOSTILE[:20] in shown.cells[1][0]
    assert shown.text.count("not read: lost") == 3
    assert "and 2 more that could not be read" in shown.text


def test_results_of_nothing_are_a_sentence() -> None:
    assert read(Results([], 0.05, 99)).text == "0 items, 0 anomalous at 1 false alarm in 20"
    assert read(Results([Row("a", error="empty")], 0.05, 99)).cells == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_says_what_it_is_and_what_its_rate_means(kind: str, models: dict[str, dn2.Model]) -> None:
    model = models[kind]
    shown = read(model)
    assert repr(model) == f"<{shown.text.partition('kind')[0]}>"
    pairs = dict(shown.cells)
    assert pairs["reference items"] == f"{len(model.items):,}"
    threshold = model.calibration.threshold(model.false_alarm_rate)
    assert pairs["flagged above"] == f"anomaly score {number_in_words(threshold)}"
    assert pairs["copies"] == "0 exact, 0 near"
    for words in model.kind.assumptions(model.calibration):
        assert words in shown.text


def test_a_model_of_a_table_says_how_each_column_was_read(models: dict[str, dn2.Model]) -> None:
    frame = {"amount": np.random.default_rng(0).normal(size=120), "note": [f"note {n}" for n in range(120)]}
    shown = dict(read(dn2.fit(frame | {HOSTILE[:20]: ["x"] * 120})).cells)
    assert (shown["amount"], shown[HOSTILE[:20]]) == ("numbers", "categories, always 'x'")
    assert shown["note"] == "left out: an identifier or free text: 120 different ones in 120 rows"
    assert "How its columns were read" in read(models["table"]).text
    assert "How its columns were read" not in read(models["vector"]).text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("image", "<Model of 40 images (tiny.onnx), false-alarm rate 1 in 41>"),
        ("table", "<Model of 120 rows (2 columns), false-alarm rate 1 in 61>"),
        ("text", "<Model of 120 messages (characters), false-alarm rate 1 in 100>"),
        ("series", "<Model of 941 windows (60 points each), false-alarm rate 1 in "),
        ("vector", "<Model of 60 vectors (4 numbers), false-alarm rate 1 in 61>"),
    ],
)
def test_a_model_is_one_short_line(kind: str, words: str, models: dict[str, dn2.Model]) -> None:
    assert repr(models[kind]).startswith(words)


def test_what_was_set_aside_is_not_counted(saved_unsorted: Path) -> None:
    model = dn2.load(saved_unsorted)
    assert repr(model).startswith(f"<Model of {len(model.items) - len(model.set_aside)} images ")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_prints_megabytes(kind: str, models: dict[str, dn2.Model], world: Path) -> None:
    model, results = models[kind], some_results(kind, models, world)
    shown = [model, model.kind, model.state, model.embedder, model.detector, results, results[0], results.context]
    assert [one for one in shown if len(repr(one)) > 1_500] == []
    if results.points is not None:
        assert repr(results.points) == "<Points: 900 of 1 series>"


def test_an_embedder_shows_the_parameters_that_differ(tmp_path: Path) -> None:
    assert repr(dn2.ImageEmbedder()) == "ImageEmbedder()"
    changed = dn2.ImageEmbedder("lite1", cache=dn2.Cache(tmp_path / "c.sqlite"))
    in_a_line = re.sub(r"\s+", " ", repr(changed))
    assert in_a_line == f"ImageEmbedder(backbone='lite1', cache=Cache({str(tmp_path / 'c.sqlite')!r}))"

"""The pages in a browser, as a person meets them.  `make test-browser` installs what this needs."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import dn2
from dn2.kinds.image.evidence import Region, RegionEvidence
from dn2.kinds.table.evidence import Contribution
from dn2.report.around import Map
from dn2.report.section import Section
from dn2.results.results import Results
from dn2.results.rows import Row
from in_browser import (
    IN_BROWSER,
    Open,
    browser,
    choose,
    move_slider,
    names_shown,
    open_page,
    settle,
    violations,
    wait_until,
)
from made_messages import STRANGE, messages, with_strangers
from made_series import SHIFT, pump, with_anomalies
from small_report import LocatedSmallPictures, M, explained, many_rows, row, written, written_images, written_table

__all__ = ["browser", "open_page"]

pytestmark = IN_BROWSER

HOSTILE = "<b>bold</b>\"'&amp;\u202eright to left\u202c" + "x" * 260


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """The page of two pumps, one of which has anomalies, and the results."""
    path = tmp_path_factory.mktemp("plant") / "report.html"
    model = dn2.fit(pump(1_500, seed=0).assign(pump="one"), time="time", window=60, id_column="pump")
    new = [with_anomalies(pump(1_600, seed=1)).assign(pump="one"), pump(500, seed=2).assign(pump=HOSTILE[:60])]
    results = model.score(pandas.concat(new))
    results.to_html(path)
    return path, results


@pytest.fixture(scope="module")
def demo(demo_run: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """The folder that the demo writes."""
    return demo_run[0] / "dn2-demo"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """The page and the results of 15 rows, one of them made strange."""
    rng = np.random.default_rng(0)

    def orders(count: int, first: int) -> pandas.DataFrame:
        numbers = {name: rng.normal(size=count).round(3) for name in ("a", "b", "c", "d", "e")}
        names = [f"order {number}" for number in range(first, first + count)]
        kinds = rng.choice(["x", "y"], count)
        return pandas.DataFrame({"name": names, "kind": kinds, "weight": rng.normal(50, 2, count).round(2), **numbers})

    new = orders(15, 1_000)
    new.loc[7, ["weight", "kind"]] = [91.25, None]
    path = tmp_path_factory.mktemp("table") / "page.html"
    results = dn2.fit(orders(200, 0), id_column="name").score(new)
    results.to_html(path)
    return path, results


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """The page and the results of 200 messages, some of which do not belong; one is hostile."""
    new = with_strangers(messages(200, seed=1, first=2_001))
    new.loc[3, "body"] = f"<script>alert(1)</script> {HOSTILE}"
    path = tmp_path_factory.mktemp("desk") / "page.html"
    model = dn2.fit(messages(240, seed=0, first=1), column="body", id_column="ticket", backbone="characters")
    results = model.score(new)
    results.to_html(path)
    return path, results


def results_of(demo: Path) -> list[dict[str, str]]:
    with open(demo / "results.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_sentence_of_the_demo_agrees_with_its_results(demo: Path, open_page: Open) -> None:
    found = results_of(demo)
    flagged = sum(one["is_anomaly"] == "true" for one in found)
    expected = f"{len(found):,} images, {flagged:,} anomalous at 1 false alarm in 20"
    text = (demo / "report.html").read_text("utf-8")
    assert f'<h1 id="sentence">{expected}</h1>' in text
    page = open_page(demo / "report.html")
    assert page.locator("h1").text_content() == page.title() == expected
    assert page.locator("#found").text_content() == f"{flagged:,}"
    reached = max(p_value for one in found if (p_value := float(one["p_value"])) <= 0.05)
    assert page.locator("#expected").text_content() == f"{reached * len(found):.0f}"
    by_score = sorted(found, key=lambda one: -float(one["anomaly_score"]))
    assert names_shown(page) == [one["item"] for one in by_score[:48]]


def test_the_slider_decides_everything_as_the_results_file_says(demo: Path, open_page: Open) -> None:
    found = results_of(demo)
    page = open_page(demo / "report.html")
    rates = page.evaluate("ranks.map((rank) => calibration.values[rank - 1])")
    for place in (0, len(rates) // 2, len(rates) - 1):
        move_slider(page, place)
        rate = rates[place]
        flagged = {one["item"] for one in found if float(one["p_value"]) <= rate}
        assert page.locator("#found").text_content() == f"{len(flagged):,}"
        assert (
            f"{len(flagged):,} {Results([], rate, 99).summary().removeprefix('0 items, 0 ')}"
            in page.locator("h1").text_content()
        )
        choose(page, "#filter", "anomalous")
        shown = page.locator("#count").text_content()
        assert shown == f"{len(flagged):,} of {len(found):,} match"
        assert set(names_shown(page)) <= flagged
        assert page.locator(".card.anomalous").count() == page.locator(".card").count()
        choose(page, "#filter", "normal")
        assert set(names_shown(page)).isdisjoint(flagged)
        marked = page.locator("#map .alarm-mark").count()
        assert marked == len(flagged)  # the demo has fewer items than a map shows
    page.get_by_role("button", name="Back to what was asked").click()
    assert page.locator("#found").text_content() == f"{sum(one['is_anomaly'] == 'true' for one in found):,}"


def test_an_item_is_found_opened_and_left_by_keyboard(demo: Path, open_page: Open) -> None:
    page = open_page(demo / "report.html")
    page.keyboard.press("/")
    page.keyboard.type("4/0650")
    wait_until(page, "state.order.length === 1")
    assert names_shown(page) == ["4/0650.png"]
    page.locator("#search").fill("")
    wait_until(page, "state.order.length > 1")
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.place") == "1"
    page.keyboard.press("Enter")
    second = names_shown(page)[1]
    assert page.locator("#large-name").text_content() == second
    evidence = next(one for one in results_of(demo) if one["item"] == second)["neighbors"]
    for near in json.loads(evidence):
        assert f"{near['item']} ({near['distance']:.3g})" in page.locator("#large-body").text_content()
    assert page.locator("#large-body .side img").count() == 2
    assert page.locator("#large-body img").first.evaluate("image => image.naturalWidth") > 0
    page.keyboard.press("ArrowRight")
    assert page.locator("#large-name").text_content() == names_shown(page)[2]
    page.keyboard.press("Escape")
    assert not page.locator("#large").is_visible()
    wait_until(page, "document.activeElement.dataset.place === '2'")


def test_a_point_of_the_map_opens_its_item(demo: Path, open_page: Open) -> None:
    page = open_page(demo / "report.html")
    point = page.locator("#map [data-item]").last
    name = point.locator("title").text_content()
    point.dispatch_event("click")
    assert page.locator("#large-name").text_content() == name
    page.keyboard.press("Escape")  # far down the gallery: nothing is built up to it
    assert page.locator(".card").count() == 48


def test_items_are_sorted_and_more_are_shown_on_request(tmp_path: Path, open_page: Open) -> None:
    rows = many_rows(60)
    written(tmp_path / "page.html", rows)
    page = open_page(tmp_path / "page.html")
    for order, key in (
        ("score", lambda one: -one.anomaly_score),
        ("least", lambda one: one.anomaly_score),
        ("name", lambda one: one.item),
        ("input", lambda one: 0),
    ):
        choose(page, "#sort", order)
        assert names_shown(page) == [one.item for one in sorted(rows, key=key)[:48]]
    page.get_by_role("button", name="Show more (12 left)").click()
    assert page.locator(".card").count() == 60
    assert not page.locator("#more").is_visible()


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_the_demo_is_accessible_and_fits_the_screen(
    demo: Path, open_page: Open, width: int, height: int, scheme: str
) -> None:
    page = open_page(demo / "report.html", width, height, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.locator(".card").first.click()
    assert page.locator("#large").is_visible()
    assert violations(page) == []


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_maps_and_outlines_lie_over_pictures_and_buttons_take_them_away(
    tmp_path: Path, open_page: Open, width: int, height: int, scheme: str
) -> None:
    region = Region((8, 4, 24, 20), ((8, 4), (24, 4), (16, 20)), 128, 0.04, 2.5, 0.01, HOSTILE, (0.1, 0.2, 0.3, 0.4))
    rows = [
        row("strange", 2, 0.01, "near", evidence=RegionEvidence((region,))),
        row("usual", 1, 0.5, "near", evidence=RegionEvidence()),
    ]
    written_images(tmp_path / "page.html", rows, LocatedSmallPictures())
    page = open_page(tmp_path / "page.html", width, height, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.locator(".card", has_text="strange").click()
    assert violations(page) == []
    assert page.locator("dialog td.text").text_content() == f"{HOSTILE[:80]} … {HOSTILE[-77:]}"
    assert [cell.strip() for cell in page.locator("dialog td").all_text_contents()][1:6] == [
        "16 x 16 px at 8, 4", "128 px", "4 %", "2.5", "0.01"
    ]  # fmt: skip
    own = page.locator("dialog .over")
    wait_until(page, "document.querySelector('dialog .whole').style.getPropertyValue('--ratio') !== ''")
    boxes = [own.locator(layer).bounding_box() for layer in ("img >> nth=0", "img.map", "svg")]
    assert boxes[0] == boxes[1] == boxes[2]
    assert boxes[0]["width"] == pytest.approx(boxes[0]["height"], rel=0.02)  # as the picture has it
    page.get_by_label("Map", exact=True).and_(page.locator("input")).fill("40")
    assert own.locator("img.map").evaluate("map => map.style.opacity") == "0.4"
    on_top = "([x, y]) => document.elementFromPoint(x, y).getAttribute('class')"
    middle = [boxes[0]["x"] + boxes[0]["width"] * 0.9, boxes[0]["y"] + boxes[0]["height"] * 0.9]
    assert page.evaluate(on_top, middle) in ("map", "outlines")  # not below the picture
    for button, is_map, is_outlined in (("Regions", False, True), ("Picture alone", False, False), ("Map", True, True)):
        page.locator("dialog").get_by_role("button", name=button).click()
        assert own.locator("img.map").is_visible() == is_map
        assert own.locator("svg").is_visible() == is_outlined
        pressed = page.locator('[data-layer][aria-pressed="true"]').all_text_contents()
        assert pressed == [button, button]  # of the page, and of the large view
    page.locator("#next").click()
    assert "No region of it exceeds the threshold." in page.locator("#large-body").text_content()


def test_names_and_reasons_are_shown_as_text(tmp_path: Path, open_page: Open) -> None:
    rows = [row(HOSTILE, 2, 0.01, f"near {HOSTILE}"), Row(f"lost {HOSTILE}", error=f"why {HOSTILE}")]
    written(tmp_path / "page.html", rows, notes=[HOSTILE])
    page = open_page(tmp_path / "page.html", 390, 844)
    cut = f"{HOSTILE[:80]} … {HOSTILE[-77:]}"
    assert page.locator(".card .name").text_content() == cut
    assert page.locator("#error-rows td").all_text_contents()[1] == f"why {HOSTILE}"
    assert page.locator("#sources").text_content().startswith(HOSTILE)
    page.locator(".card").click()
    assert page.locator("#large-name").text_content() == cut
    assert page.locator("b:text-is('bold')").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_model_without_anomalies_nothing_readable_and_equal_scores_have_a_page(
    tmp_path: Path, open_page: Open
) -> None:
    cases = {
        "none": [Row("a", error="empty")],
        "equal": [row(f"item {n}", 0.0, 1.0, "near") for n in range(3)],
        "one": [row("item", 5.0, 0.01)],
    }
    for name, rows in cases.items():
        written_images(tmp_path / f"{name}.html", rows)
        page = open_page(tmp_path / f"{name}.html")
        assert page.locator("html[data-ready]").count() == 1
        assert violations(page) == []
    assert page.locator("h1").text_content() == "1 image, 1 anomalous at 1 false alarm in 20"


def test_a_row_of_a_table_shows_its_columns_beside_those_of_its_neighbors(
    table: tuple[Path, Results], open_page: Open
) -> None:
    path, results = table
    worst = results.anomalies[0]
    assert worst.item == "order 1007"
    assert worst.columns is not None
    page = open_page(path)
    card = page.locator(".card").first
    assert page.locator(".picture, .gone, img").count() == 0
    assert card.locator(".column").all_text_contents() == [one.column for one in worst.columns[:3] if one.share >= 0.05]
    weight = next(one for one in worst.columns if one.column == "weight")
    assert f"91.25 beside {', '.join(map(str, weight.neighbors))}" in card.text_content()
    assert "missing beside" in card.text_content()
    card.focus()
    page.keyboard.press("Enter")
    assert page.locator("#large-name").text_content() == "order 1007"
    heads = page.locator("#large-body thead tr").last.locator("th").all_text_contents()
    assert [one.strip() for one in heads] == [f"{one.item} ({one.distance:.3g})" for one in worst.neighbors]
    shown = [line.locator("th, td").all_text_contents() for line in page.locator("#large-body tbody tr").all()]
    for (column, share, own, *near), one in zip(shown, worst.columns, strict=False):
        assert (column, own) == (one.column, "missing" if one.value is None else str(one.value))
        assert near == list(map(str, one.neighbors))
        assert share.strip() == ("< 1 %" if one.share < 0.01 else f"{one.share:.0%}".replace("%", " %"))
    page.keyboard.press("ArrowRight")
    second = sorted(results, key=lambda one: -(one.anomaly_score or 0))[1]
    assert page.locator("#large-name").text_content() == second.item
    rest = 1 - sum(one.share for one in second.columns or ())
    assert rest > 0.01  # of the 7 columns five are listed
    others = page.locator("#large-body tbody tr").last.locator("th, td").all_text_contents()
    assert (others[0], others[1].strip()) == ("others", f"{rest:.0%}".replace("%", " %"))
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    wait_until(page, "document.activeElement.dataset.place === '1'")
    assert page.locator("#map [data-item]").count() == 15
    columns = page.locator("h2", has_text="How its columns were read").locator("+ dl")
    assert columns.locator("dt").all_text_contents() == [one.name for one in results.context.model.columns]
    assert "numbers" in columns.text_content()


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light"), (390, 844, "dark")])
def test_the_page_of_a_table_is_accessible_speaks_of_rows_and_fits_the_screen(
    table: tuple[Path, Results], open_page: Open, width: int, height: int, scheme: str
) -> None:
    page = open_page(table[0], width, height, scheme)
    assert violations(page) == []
    page.locator(".card").first.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    text = page.locator("body").inner_text()
    assert "Nearest normal rows (distance)" in text
    assert not re.search("image|picture", text)


def test_a_message_is_shown_with_its_new_words_marked_beside_the_nearest(
    desk: tuple[Path, Results], open_page: Open
) -> None:
    path, results = desk
    page = open_page(path)
    winner = results.rows[17]
    assert winner.text is not None
    page.locator("#search").fill("winner!!")
    settle(page)
    card = page.locator(".card")
    assert card.count() == 1
    assert card.locator(".message").first.text_content() == STRANGE[17]
    assert set(card.locator("mark").all_text_contents()) == set(winner.text.new_words)
    assert card.locator(".quote .message").text_content() == winner.text.neighbors[0]
    card.click()
    assert page.locator("#large-body p .message").text_content() == STRANGE[17]
    shown = [line.locator("th, td").all_text_contents() for line in page.locator("#large-body tbody tr").all()]
    assert [(name, text) for name, text, _ in shown] == [
        (one.item, text) for one, text in zip(winner.neighbors, winner.text.neighbors, strict=True)
    ]


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "dark"), (390, 844, "light")])
def test_the_page_of_messages_is_accessible_takes_them_as_text_and_fits_the_screen(
    desk: tuple[Path, Results], open_page: Open, width: int, height: int, scheme: str
) -> None:
    page = open_page(desk[0], width, height, scheme)
    assert violations(page) == []
    assert "<script>alert(1)</script>" in page.locator("#gallery").inner_text()
    page.locator(".card").first.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not re.search("image|picture", page.locator("body").inner_text())


def test_intervals_stand_in_their_time_and_windows_lie_over_their_nearest(
    plant: tuple[Path, Results], open_page: Open
) -> None:
    path, results = plant
    page = open_page(path)
    assert page.locator("#times-section").is_visible()
    assert "more where series drift" in page.locator("#worth").text_content()
    assert page.locator("#times figcaption").all_text_contents() == ["one", HOSTILE[:60]]
    assert page.locator("#times rect").count() == len(results)
    assert page.locator("#times rect.alarm-mark").count() == len(results.anomalies)
    assert page.locator(".card svg.overlay").count() == len(results)
    top = results.anomalies[0]
    middle = f"2024-03-01T{(SHIFT.start + 45) // 60}:00:00"
    assert (top.start or "") < middle < (top.end or "")
    page.locator("#times rect.alarm-mark").locator(f"text=one:{top.start}").first.locator("..").click()
    assert page.locator("#large-name").text_content() == top.item
    assert f"From {top.start} to {top.end}, highest at {top.peak}." in page.locator("#large-body").inner_text()
    assert top.curves is not None
    assert page.locator("#large-body svg.chart").count() == 1 + len(top.curves) == 3
    assert (
        page.locator("#large-body figcaption").nth(1).text_content()
        == f"flow ({round(100 * top.curves[0].share)} % of the distance)"
    )
    drawn = page.locator("#large-body svg.chart").nth(1).locator("polyline")
    assert [len((one.get_attribute("points") or "").split()) for one in drawn.all()] == [60, 60]


@pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "dark"), (390, 844, "light")])
def test_the_page_of_series_is_accessible_and_fits_the_screen(
    plant: tuple[Path, Results], open_page: Open, width: int, height: int, scheme: str
) -> None:
    page = open_page(plant[0], width, height, scheme)
    assert violations(page) == []
    page.locator(".card").first.click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not re.search("image|picture", page.locator("body").inner_text())


def test_values_are_shown_as_text_and_rows_beyond_those_explained_by_their_neighbors(
    tmp_path: Path, open_page: Open
) -> None:
    rows = [
        explained("a", 9, Contribution(HOSTILE, 1.0, f"1{HOSTILE}", (f"2{HOSTILE}", None))),
        explained("copy", 0),
    ]
    written_table(tmp_path / "page.html", rows)
    page = open_page(tmp_path / "page.html", 390, 844)
    near = page.locator(".card").last.locator(".near").all_text_contents()
    assert [one.strip() for one in near] == ["near 1 (1)", "near 2 (2)"]
    page.locator(".card").first.click()
    cells = page.locator("#large-body tbody tr").locator("th, td").all_text_contents()
    cut = [f"{one[:40]} … {one[-37:]}" for one in (HOSTILE, f"1{HOSTILE}", f"2{HOSTILE}")]
    assert [cells[0], *cells[2:]] == [*cut, "missing"]
    assert page.locator("b:text-is('bold')").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("ArrowRight")
    assert "It differs from them in no column." in page.locator("#large-body").text_content()


def test_vectors_show_their_nearest_by_name_and_distance(tmp_path: Path, open_page: Open) -> None:
    rng = np.random.default_rng(0)
    results = dn2.fit(rng.normal(size=(200, 4))).score(rng.normal(size=(20, 4)) + 1)
    results.to_html(tmp_path / "page.html")
    page = open_page(tmp_path / "page.html")
    worst = max(results, key=lambda one: one.anomaly_score or 0)
    near = page.locator(".card").first.locator(".near").all_text_contents()
    assert [one.strip() for one in near] == [f"{one.item} ({one.distance:.3g})" for one in worst.neighbors]
    page.locator(".card").first.click()
    assert page.locator("#large-body tbody td.text").all_text_contents() == [one.item for one in worst.neighbors]
    assert not re.search("image|picture|column", page.locator("body").inner_text())
    assert page.locator("#map [data-item]").count() == 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_warnings_have_a_color_a_shape_a_count_and_a_filter(tmp_path: Path, open_page: Open, scheme: str) -> None:
    rows = Results(many_rows(100), None, M).at(0.02, warn_rate=0.05).rows
    places = np.random.default_rng(0).normal(size=(103, 2))
    drawn = Map(places[:3], places[3:], range(100))
    written(tmp_path / "page.html", rows, 0.02, warn_rate=0.05, map=drawn)
    page = open_page(tmp_path / "page.html", scheme=scheme)
    said = "100 items, 2 anomalous at 1 false alarm in 50, 3 warnings at 1 in 20"
    assert page.title() == said == page.locator("h1").text_content()
    assert [page.locator(f"#{name}").text_content() for name in ("found", "warned", "expected")] == ["2", "3", "2 + 3"]
    for name, word, count in (("anomalous", "reject", 2), ("warned", "warn", 3), ("normal", "accept", 95)):
        choose(page, "#filter", word)
        assert page.locator("#count").text_content() == f"{count} of 100 match"
        assert page.locator(f".card.{name} .verdict b", has_text=word).count() == min(count, 48)
    choose(page, "#filter", "all")
    marks = [page.locator(f"#map .{name}").first for name in ("alarm-mark", "warn-mark", "query-mark")]
    assert len({mark.get_attribute("d") for mark in marks}) == 3
    fills = [mark.evaluate("mark => getComputedStyle(mark).fill") for mark in marks]
    colors = [[int(part) for part in re.findall(r"\d+", fill)] for fill in fills]
    for seen in (MACHADO_PROTAN, MACHADO_DEUTAN, MACHADO_TRITAN):
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert lab_distance(seen, colors[one], colors[other]) > 20, (scheme, one, other)
    assert page.locator(".warn-threshold-mark").count() == 1
    assert violations(page) == []
    move_slider(page, page.evaluate("ranks.length - 1"))
    assert page.locator("#warned").text_content() == "0"
    assert page.locator(".warn-threshold-mark").count() == 0


# Machado, Oliveira, Fernandes 2009: what people see who lack one kind of cones, in linear RGB.
MACHADO_PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
MACHADO_DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
MACHADO_TRITAN = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def lab_distance(seen: list[list[float]], one: list[int], other: list[int]) -> float:
    """Return how far two colours, 0 to 255, are apart in CIELAB, as somebody sees them."""

    def lab(color: list[int]) -> Any:
        share = np.array(color) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        x, y, z = np.cbrt(np.array(XYZ) @ np.clip(np.array(seen) @ linear, 0, 1) / [0.9505, 1.0, 1.089])
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    return float(np.linalg.norm(lab(one) - lab(other)))


def test_large_numbers_of_the_axis_stand_within_the_figure(tmp_path: Path, open_page: Open) -> None:
    written(tmp_path / "page.html", [row("a", 1e7, 0.01), row("b", 1.0, 0.9)])
    page = open_page(tmp_path / "page.html")
    assert page.locator("#histogram text").last.text_content() == "10M"
    box = page.locator("#histogram").bounding_box()
    for tick in page.locator("#histogram text").all():
        inside = tick.bounding_box()
        assert box["x"] <= inside["x"] <= box["x"] + box["width"] - inside["width"]


TOY = """
mount(({ data, neighbors, listOfNearest, mark, openItem }) => {
  const lamp = make("button", { type: "button", onclick: () => openItem(1) }, "open the second");
  return {
    card: (item) => (item ? null : make("span", { class: "toy" }, `${data.lengths[item]} letters`)),
    detail: (item) => [make("p", { class: "toy" }, `${neighbors(item).length} near`), ...listOfNearest(item)],
    text: (item) => `letters${data.lengths[item]}`,
    panels: () => [{ id: "toys", title: "Toys", content: [lamp] }],
    decided() { lamp.title = [0, 1].map(mark).join(); },
  };
});
"""


class Toy(Section):
    """A section of a kind that dn2 does not have."""

    def data(self, reference: Any) -> dict[str, Any]:
        return {"lengths": [len(one.item) for one in self.rows]}

    @classmethod
    def script(cls) -> str:
        return TOY


def test_a_kind_shows_what_it_alone_has_through_its_script(tmp_path: Path, open_page: Open) -> None:
    written(tmp_path / "page.html", [row("abc", 2, 0.01, "near"), row("d", 1, 0.5, "far")], section=Toy)
    page = open_page(tmp_path / "page.html")
    assert page.locator(".card").first.locator(".toy").text_content() == "3 letters"
    assert (
        page.locator(".card").last.locator(".near").text_content().strip() == "far (1)"
    )  # by name where it shows none
    assert page.locator("main > section, #panels > section").locator("h2").all_text_contents()[:4] == [
        "Items",
        "Toys",
        "Scores",
        "Parts",
    ]
    assert page.locator("#toys-section button").get_attribute("title") == "alarm-mark,query-mark"
    move_slider(page, page.evaluate("ranks.length - 1"))
    assert page.locator("#toys-section button").get_attribute("title") == "alarm-mark,alarm-mark"
    page.locator("#search").fill("letters1")
    settle(page)
    assert names_shown(page) == ["d"]
    page.locator("#search").fill("")
    settle(page)
    page.locator("#toys-section button").click()
    assert page.locator("#large-name").text_content() == "d"
    assert page.locator("#large-body .toy").text_content() == "1 near"
    assert page.locator("#large-body tbody td.text").all_text_contents() == ["far"]

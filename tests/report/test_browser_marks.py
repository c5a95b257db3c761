"""Marks, audits, the large view and the map of a page in a browser, as a person uses them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dn2.kinds.image.evidence import Region, RegionEvidence
from dn2.kinds.table.evidence import Contribution
from dn2.report.around import Map
from dn2.results.rows import Row
from in_browser import IN_BROWSER, Open, browser, choose, names_shown, open_page, settle, violations, wait_until
from small_report import (
    LocatedSmallPictures,
    SmallPictures,
    explained,
    many_rows,
    row,
    written,
    written_images,
    written_table,
)

__all__ = ["browser", "open_page"]

pytestmark = IN_BROWSER

HOSTILE = 'a,"b"\r\n<b>=é' + "x" * 200
COMMAND = "dn2 feedback '/models/my parts' verdicts.csv"


def saved_by(page: Any, button: str) -> bytes:
    """Press a button and return the bytes of the file that it saves."""
    with page.expect_download() as started:
        page.locator(button).click()
    return Path(started.value.path()).read_bytes()


def large_jpeg(shade: int, size: tuple[int, int] = (1200, 800)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, shade).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def audited(tmp_path: Path) -> tuple[Path, list[Row]]:
    """The page of 30 items, every seventh of which is to be judged unseen: two of these are flagged."""
    rows = [replace(one, audit=place % 7 == 0) for place, one in enumerate(many_rows(30))]
    rows[7] = replace(rows[7], p_value=0.01, is_anomaly=True, anomaly_score=300.0)
    places = np.random.default_rng(0).normal(size=(33, 2))
    written(tmp_path / "page.html", rows, map=Map(places[:3], places[3:], range(30)))
    return tmp_path / "page.html", rows


def test_ten_items_are_marked_by_keyboard_and_written_as_a_file(tmp_path: Path, open_page: Open) -> None:
    rows = [replace(one, item=f"folder/{one.item}.png") for one in many_rows(12)]
    rows[0] = replace(rows[0], item=HOSTILE, anomaly_score=999.0)
    rows[1] = replace(rows[1], item="\ud800", anomaly_score=998.0)
    rows[2] = replace(rows[2], audit=False)
    paths = [f"/data/{one.item}" for one in rows]
    paths[0], paths[1], paths[3] = f"/other/{HOSTILE}.png", r"/data/\ud800", ""
    written(tmp_path / "page.html", rows, paths=paths, command=COMMAND)
    page = open_page(tmp_path / "page.html")
    assert not page.locator("#marks-bar").is_visible()
    order = page.evaluate("state.order")
    page.keyboard.press("j")
    pressed = ["n", "d", "u", "n", "d", "u", "n", "n", "d", "u"]
    for place, key in enumerate(pressed):
        page.keyboard.press(key)
        page.keyboard.press(["j", "ArrowRight"][place % 2])
    page.keyboard.press("d")  # the eleventh, taken back
    page.keyboard.press("Backspace")
    assert page.locator("#marks-count").text_content() == "10 marked: 4 normal, 3 defect, 3 unsure"
    page.locator(".gallery li").nth(1).locator(".kind").fill('scratch, "deep"')
    text = saved_by(page, "#marks-save")
    names = [one.item for one in rows]
    names[1] = r"\ud800"  # as a results file has it
    words = {"n": "normal", "d": "defect", "u": "unsure"}
    lines = [
        [names[item], words[key], paths[item], "", 'scratch, "deep"' if place == 1 else ""]
        for place, (item, key) in enumerate(zip(order, pressed, strict=False))
    ]
    lines = [line for _, line in sorted(zip(order, lines, strict=False))]
    expected = io.StringIO(newline="")
    csv.writer(expected).writerows([["item", "verdict", "path", "audit", "kind"], *lines])
    assert text == expected.getvalue().encode()
    assert page.locator("#marks-command code").text_content() == COMMAND
    page.reload()  # marks are kept
    assert page.locator("#marks-count").text_content() == "10 marked: 4 normal, 3 defect, 3 unsure"
    assert saved_by(page, "#marks-save") == text
    choose(page, "#filter", "marked")
    assert page.locator(".card").count() == 10
    assert violations(page) == []


def test_marks_by_mouse_say_false_alarm_where_an_item_is_flagged(tmp_path: Path, open_page: Open) -> None:
    written(tmp_path / "page.html", [row("a", 2, 0.01), row("b", 1, 0.5)])
    page = open_page(tmp_path / "page.html")
    flagged, usual = (page.locator(".gallery li").nth(place).locator("button[data-verdict]") for place in (0, 1))
    assert flagged.all_text_contents() == ["false alarm", "defect", "unsure"]
    assert usual.all_text_contents() == ["normal", "defect", "unsure"]
    flagged.first.click()
    assert flagged.first.get_attribute("aria-pressed") == "true"
    page.locator(".card").first.click()
    page.locator("#large").get_by_role("button", name="defect").click()
    page.locator("#large .kind").fill("null")
    assert flagged.nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert page.locator("#marks-count").text_content() == "1 marked: 1 defect"
    flagged.nth(1).click()  # once more takes it back
    assert not page.locator("#marks-bar").is_visible()


def test_marks_stay_in_memory_where_storage_is_refused(tmp_path: Path, open_page: Open) -> None:
    path = tmp_path / "page.html"
    written(path, many_rows(3))
    page = open_page(
        path, script="Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })"
    )
    page.keyboard.press("j")
    page.keyboard.press("u")
    assert page.locator("#marks-count").text_content() == "1 marked: 1 unsure · kept until the page is closed"
    assert saved_by(page, "#marks-save").count(b"\r\n") == 2


def test_items_to_audit_tell_nothing_until_they_are_judged(audited: tuple[Path, list[Row]], open_page: Open) -> None:
    path, rows = audited
    drawn = [one.item for one in rows if one.audit]
    page = open_page(path)
    assert page.locator("#filter option").first.text_content() == "to audit"
    assert set(names_shown(page)).isdisjoint(drawn)
    assert page.locator("#map [data-item]:not([hidden])").count() == 30 - len(drawn)
    choose(page, "#filter", "anomalous")
    assert set(names_shown(page)).isdisjoint(drawn)
    page.locator("#marks-audit").click()
    assert names_shown(page) == drawn  # in the order of the input, whatever they score
    text = page.locator("#gallery").inner_text()
    assert "score" not in text
    assert "p-value" not in text
    assert page.locator("#gallery").locator(".near, .anomalous, .normal").count() == 0
    lines = list(csv.DictReader(io.StringIO(saved_by(page, "#save").decode(), newline="")))
    assert [(one["item"], one["anomaly_score"], one["p_value"], one["decision"]) for one in lines] == [
        (name, "", "", "") for name in drawn
    ]
    page.locator(".card").nth(1).click()
    assert "300" not in page.locator("#large").inner_text()
    assert page.locator("#large .near, #large td").count() == 0
    assert violations(page) == []
    page.keyboard.press("d")
    assert "anomalous · p-value 0.01 · score 300" in page.locator("#large").inner_text()
    assert page.locator("#large td").count() == 4
    page.keyboard.press("Escape")
    assert page.locator(".card").nth(1).get_attribute("class") == "card anomalous"
    assert page.locator("#map [data-item]:not([hidden])").count() == 31 - len(drawn)
    assert f"1 marked: 1 defect · {len(drawn) - 1} to audit" in page.locator("#marks-count").text_content()
    (line,) = csv.DictReader(io.StringIO(saved_by(page, "#marks-save").decode(), newline=""))
    assert line == {"item": rows[7].item, "verdict": "defect", "path": "", "audit": "true", "kind": ""}


def test_a_picture_to_audit_has_no_map_no_neighbor_and_no_wipe(tmp_path: Path, open_page: Open) -> None:
    region = Region((8, 4, 24, 20), ((8, 4), (24, 4), (16, 20)), 128, 0.04, 2.5, 0.01, "near", (0.1, 0.2, 0.3, 0.4))
    seen = row("seen", 2, 0.01, "near", evidence=RegionEvidence((region,)))
    rows = [seen, replace(seen, item="drawn", audit=True)]
    written_images(tmp_path / "page.html", rows, LocatedSmallPictures())
    page = open_page(tmp_path / "page.html")
    choose(page, "#filter", "to audit")
    evidence = page.locator(
        ".gallery .map, .gallery polygon, .pair, .viewer-controls label, dialog .map, dialog polygon"
    )
    assert page.locator(".card img").count() == 1
    assert evidence.count() == 0
    page.locator(".card").click()
    assert page.locator("dialog img").count() == 1
    assert evidence.count() == 0
    page.keyboard.press("n")
    assert page.locator("dialog .over .map").count() == 1
    assert page.locator(".viewer-controls label").all_text_contents() == ["Map", "Nearest normal"]


def test_a_part_is_not_told_before_its_items_are_judged(tmp_path: Path, open_page: Open) -> None:
    rows = [row("a", 3, 0.01, part="x", audit=True), row("b", 2, 0.5, part="y", audit=False)]
    parts = [replace(row(name, 3 - place, 0.2), items=1) for place, name in enumerate("xy")]
    written(tmp_path / "page.html", rows, parts=parts)
    page = open_page(tmp_path / "page.html")
    assert page.locator("#part-rows td.text").all_text_contents() == ["y"]
    page.locator("#marks-audit").click()
    page.keyboard.press("n")
    assert page.locator("#part-rows td.text").all_text_contents() == ["x", "y"]


def test_a_row_to_audit_shows_its_values_alone(tmp_path: Path, open_page: Open) -> None:
    columns = Contribution("weight", 0.9, 91.25, (50, 51)), Contribution("kind", 0.1, None, ("x", "y"))
    written_table(tmp_path / "page.html", [replace(explained("order", 9, *columns), audit=True), explained("b", 1)])
    page = open_page(tmp_path / "page.html")
    page.locator("#marks-audit").click()
    shown = page.locator(".card .reason").all_text_contents()
    assert shown == ["kindmissing", "weight91.25"]  # in the order of names, not of shares
    page.locator(".card").click()
    assert page.locator("#large .reason").all_text_contents() == shown
    page.keyboard.press("u")
    assert page.locator("#large td.differing").count() == 6


@pytest.fixture
def pictured(tmp_path: Path) -> Path:
    """The page of three pictures, of which two have a large one."""
    pictures = SmallPictures(large=lambda names: {name: large_jpeg(128) for name in names if name != "c"})
    rows = [row(name, 3 - place, 0.01, "near") for place, name in enumerate("abc")]
    written_images(tmp_path / "page.html", rows, pictures, paths=["/data/a.png", "/data/b.png", ""])
    return tmp_path / "page.html"


def zoom(page: Any) -> str:
    said: str = page.locator(".zoom-buttons output").text_content()
    return said


def test_a_picture_is_zoomed_by_mouse_and_keyboard_and_moved(pictured: Path, open_page: Open) -> None:
    page = open_page(pictured)
    page.locator(".card").first.click()
    own = page.locator("dialog .over img")
    assert own.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1200
    assert page.locator("dialog .path code").text_content() == "/data/a.png"
    page.get_by_role("button", name="Copy the path").click()
    wait_until(page, "['Copied', 'Selected'].includes(document.querySelector('.path button').textContent)")
    frame = page.locator(".frame")
    box = frame.bounding_box()
    before = own.bounding_box()
    corner = box["x"] + 10, box["y"] + 10
    page.mouse.move(*corner)
    page.mouse.wheel(0, -300)
    wait_until(page, "document.querySelector('.zoom-buttons output').textContent === '272 %'")
    after = own.bounding_box()
    assert after["width"] == pytest.approx(np.e * before["width"], rel=0.01)
    assert corner[0] - after["x"] == pytest.approx(np.e * (corner[0] - before["x"]), abs=1)  # what was there stays
    page.mouse.down()
    page.mouse.move(corner[0] - 50, corner[1] - 20)
    page.mouse.up()
    moved = own.bounding_box()
    assert (moved["x"] - after["x"], moved["y"] - after["y"]) == (pytest.approx(-50, abs=1), pytest.approx(-20, abs=1))
    page.keyboard.press("ArrowRight")  # moves the picture, and not on
    assert page.locator("#large-name").text_content() == "a"
    assert own.bounding_box()["x"] < moved["x"]
    page.keyboard.press("0")
    assert (zoom(page), own.bounding_box()) == ("100 %", before)
    page.keyboard.press("+")
    assert zoom(page) == "150 %"
    page.keyboard.press("-")
    assert zoom(page) == "100 %"
    page.keyboard.press("ArrowRight")
    assert page.locator("#large-name").text_content() == "b"
    page.keyboard.press("j")
    assert page.locator("#large-name").text_content() == "c"
    assert (
        "This is a small picture, enlarged: the page holds large ones of 2 images."
        in page.locator("#large").inner_text()
    )
    page.keyboard.press("k")
    assert page.locator("#large-name").text_content() == "b"
    page.keyboard.press("Escape")
    wait_until(page, "document.activeElement.dataset.place === '1'")
    assert not page.locator("#large").is_visible()


def test_two_fingers_zoom_and_one_moves(pictured: Path, open_page: Open) -> None:
    page = open_page(pictured, 390, 844, has_touch=True)
    page.locator(".card").first.tap()
    box = page.locator(".frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": across, "y": down, "id": number} for number, (across, down) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    fingers("touchStart", (x - 20, y), (x + 20, y))
    for apart in (30, 40, 50, 60):
        fingers("touchMove", (x - apart, y), (x + apart, y))
    fingers("touchEnd")
    wait_until(page, "document.querySelector('.zoom-buttons output').textContent === '300 %'")
    before = page.locator("dialog .over img").bounding_box()
    fingers("touchStart", (x, y))
    fingers("touchMove", (x + 15, y))
    fingers("touchMove", (x + 30, y))
    fingers("touchEnd")
    settle(page)
    assert page.locator("dialog .over img").bounding_box()["x"] - before["x"] == pytest.approx(30, abs=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_nearest_normal_picture_is_wiped_over(pictured: Path, open_page: Open) -> None:
    page = open_page(pictured)
    page.locator(".card").first.click()
    over, edge = page.locator("dialog .over"), page.locator("dialog .edge")
    assert not edge.is_visible()
    wipe = page.get_by_label("Nearest normal", exact=True)
    wipe.focus()
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    assert over.evaluate("element => element.style.clipPath") == "inset(0px 0px 0px 25%)"
    whole = page.locator("dialog .whole").bounding_box()
    assert edge.bounding_box()["x"] + 1 == pytest.approx(whole["x"] + whole["width"] / 4, abs=1)
    assert page.locator("#large-name").text_content() == "a"  # arrows were the slider's
    assert page.locator("dialog .normal").evaluate("image => image.naturalWidth") == 8
    assert violations(page) == []


def test_the_map_is_walked_by_arrows(tmp_path: Path, open_page: Open) -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.1], [2.0, 0.0], [1.0, 2.0]])
    rows = [row(name, 1, 0.5) for name in "abcd"]
    written(tmp_path / "page.html", rows, map=Map(np.zeros((1, 2)), points, range(4)))
    page = open_page(tmp_path / "page.html")
    page.locator('#map [tabindex="0"]').focus()
    for key, expected in (("ArrowRight", "b"), ("ArrowRight", "c"), ("ArrowLeft", "b"), ("ArrowDown", "d")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.querySelector('title').textContent") == expected
    page.keyboard.press("Enter")
    assert page.locator("#large-name").text_content() == "d"


def test_cards_are_sized_and_pictures_brightened_by_sliders(pictured: Path, open_page: Open) -> None:
    page = open_page(pictured)
    card = page.locator(".card").first
    before = card.bounding_box()["width"]
    page.get_by_label("Size").fill("26")
    assert card.bounding_box()["width"] > 1.4 * before
    page.get_by_label("Size").fill("6")
    assert card.bounding_box()["width"] < 0.5 * before
    assert not card.locator(".pair").is_visible()
    page.get_by_label("Brightness").fill("10")
    assert card.locator("img").first.evaluate("image => getComputedStyle(image).filter") == "brightness(2)"


def test_the_axis_says_that_it_is_logarithmic(tmp_path: Path, open_page: Open) -> None:
    for high, words in ((1e7, "anomaly score, logarithmic axis"), (250.0, "anomaly score")):
        written(tmp_path / "page.html", [row("a", high, 0.01), row("b", 150.0, 0.9)])
        page = open_page(tmp_path / "page.html")
        assert words in page.locator("#histogram text").all_text_contents()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (2560, "light")])
def test_marks_and_audits_are_accessible_and_fit_the_screen(
    audited: tuple[Path, list[Row]], open_page: Open, width: int, scheme: str
) -> None:
    page = open_page(audited[0], width, 900, scheme)
    page.locator("#marks-audit").click()
    page.keyboard.press("d")
    assert page.locator(".kind:visible").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []

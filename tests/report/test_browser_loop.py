"""The loop as a person goes it: look at the page, mark, export, feed back, score again, and take it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import dn2
from in_browser import IN_BROWSER, Open, browser, open_page

__all__ = ["browser", "open_page"]

pytestmark = IN_BROWSER


def plate(seed: int, mark: str = "") -> Image.Image:
    """Make up a picture of a plate: plain, with a label, which is normal and new, or with a hole, a defect."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray((120 + rng.normal(0, 9, (64, 64))).clip(0, 255).astype(np.uint8)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    if mark == "label":
        pen.rectangle([14, 16, 44, 38], fill=(40, 90, 220))
    if mark == "hole":
        pen.ellipse([14, 14, 44, 44], fill=(5, 5, 5))
    return picture


def test_marks_of_a_page_mend_false_alarms_and_leave_the_rest(tmp_path: Path, open_page: Open) -> None:
    for folder, marks in (("good", [""] * 200), ("new", ["label"] * 5 + ["hole"] * 5 + [""] * 10)):
        (tmp_path / folder).mkdir()
        for number, mark in enumerate(marks):
            seed = number + 1000 * (folder == "new")
            plate(seed, mark).save(tmp_path / folder / f"{mark or 'plain'}-{number:03}.png")
    model = dn2.fit(tmp_path / "good", backbone="lite0@32", false_alarm_rate=0.02)
    model.save(tmp_path / "plates.dn2")
    before = (tmp_path / "plates.dn2" / "model.json").read_bytes()
    results = model.score(tmp_path / "new")
    assert all(row.is_anomaly for row in results if not row.item.startswith("plain"))
    results.to_html(tmp_path / "report.html")

    page = open_page(tmp_path / "report.html")
    assert f"dn2 feedback {tmp_path / 'plates.dn2'} verdicts.csv" in page.content()
    page.keyboard.press("j")
    for row in sorted(results, key=lambda row: -(row.anomaly_score or 0))[:10]:
        page.keyboard.press("n" if row.item.startswith("label") else "d")
        page.keyboard.press("j")
    with page.expect_download() as started:
        page.locator("#marks-save").click()
    started.value.save_as(tmp_path / "verdicts.csv")

    loaded = dn2.load(tmp_path / "plates.dn2")
    told = loaded.feedback(tmp_path / "verdicts.csv")
    loaded.save(tmp_path / "plates.dn2")
    assert sorted(told.neighbors) == [f"label-00{number}.png" for number in range(5)]
    assert sorted(told.defects) == [f"hole-00{number}.png" for number in range(5, 10)]
    assert (told.caught, told.tests, told.alarms, told.right) == (5, 5, 10, 5)
    again = {row.item: row.is_anomaly for row in dn2.load(tmp_path / "plates.dn2").score(tmp_path / "new")}
    assert not any(flag for item, flag in again.items() if item.startswith("label"))
    assert all(flag for item, flag in again.items() if item.startswith("hole"))
    (tmp_path / "more").mkdir()
    for number in range(5):
        plate(5000 + number, "label").save(tmp_path / "more" / f"{number}.png")
    labels = zip(loaded.score(tmp_path / "more"), model.score(tmp_path / "more"), strict=True)
    assert all(now.anomaly_score < then.anomaly_score / 2 for now, then in labels)  # of plates that nobody marked
    loaded.undo()
    assert (tmp_path / "plates.dn2" / "model.json").read_bytes() == before
    assert dn2.load(tmp_path / "plates.dn2").score(tmp_path / "new").rows == results.rows

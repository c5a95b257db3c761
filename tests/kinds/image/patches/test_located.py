"""A page of pictures with where they are strange: now and later, from the scored files and the model's own items."""

from __future__ import annotations

import base64
import builtins
import io
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.kinds.image import page as image_page
from dn2.kinds.image.patches.drawing import color_table
from dn2.model.model import Model
from dn2.model.scoring import read_scored
from small_patches import HEIGHT, WIDTH, picture
from small_report import data_in

pytestmark = pytest.mark.xdist_group("patches")  # which one process fits once


def opened(encoded: str) -> Image.Image:
    """Decode a picture of a page."""
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def place_of(data: dict[str, Any], name: str) -> str:
    """Return an item's place among those of a page."""
    return str(data["items"]["name"].index(name))


def test_a_page_holds_the_map_the_outlines_and_the_worst_regions_beside_the_nearest_normal_patches(
    plate_model: Model, plates: Path, tmp_path: Path
) -> None:
    results = plate_model.score(plates / "new")
    results.to_html(tmp_path / "page.html")
    data = data_in(tmp_path / "page.html")
    located = data["kind"]["located"]
    row = next(row for row in results if row.item == "bad/200.png")
    shown = located["items"][place_of(data, row.item)]
    assert shown["size"] == [WIDTH, HEIGHT]
    assert opened(shown["picture"]).size == (WIDTH, HEIGHT)
    with opened(shown["map"]) as drawn:
        colors = np.asarray(drawn.convert("RGBA"))
    assert colors.shape[:2] == row.evidence.anomaly_map.shape
    strangest = np.unravel_index(row.evidence.anomaly_map.argmax(), colors.shape[:2])
    assert colors[strangest][3] == colors[..., 3].max() > color_table()[0, 3]
    outline, box, area, share, _, p_value, nearest = located["regions"][place_of(data, row.item)][0]
    region = row.regions[0]
    assert (tuple(map(tuple, outline)), tuple(box)) == (region.outline, region.box)
    assert (area, nearest) == (region.area, region.nearest)
    assert (share, p_value) == pytest.approx((region.share, region.p_value), rel=1e-5)
    own, (left, top, right, bottom), near, size, *_ = shown["crops"][0]
    assert left <= region.box[0] < region.box[2] <= right
    assert top <= region.box[1] < region.box[3] <= bottom
    assert opened(near).size == tuple(size)
    assert np.asarray(opened(own)).min() < 20  # the black square, which no normal plate has
    assert np.asarray(opened(near)).min() > 80
    assert place_of(data, "ok/100.png") in located["items"]


def test_a_page_that_is_written_later_shows_the_same(plate_model: Model, plates: Path, tmp_path: Path) -> None:
    results = plate_model.score(plates / "new")
    results.to_csv(tmp_path / "results.csv")
    results.to_html(tmp_path / "now.html")
    again = read_scored(plate_model, tmp_path / "results.csv", plates / "new")
    again.to_html(tmp_path / "later.html")
    now, later = (data_in(tmp_path / name)["kind"]["located"] for name in ("now.html", "later.html"))
    assert now == later
    assert len(now["items"]) == 5


def test_a_page_opens_scored_files_and_reference_items_alone_and_a_changed_one_is_shown_by_its_thumbnail(
    plates: Path, saved_plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(plates / "normal", tmp_path / "normal")
    model = dn2.load(saved_plates)
    here = [item._replace(path=str(tmp_path / "normal" / item.name)) for item in model.items]
    model.state = replace(model.state, items=here)
    results = model.score(plates / "new")
    results.to_csv(tmp_path / "results.csv")
    nearest = next(row for row in results if row.item == "bad/200.png").regions[0].nearest
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(tmp_path / "normal" / nearest)
    written = (tmp_path / "results.csv").read_text()
    (tmp_path / "forged.csv").write_text(
        written.replace(f'""nearest"": ""{nearest}""', '""nearest"": ""../secret.png""')
    )
    (tmp_path / "secret.png").write_bytes((plates / "new" / "ok" / "100.png").read_bytes())
    read: list[str] = []
    plain = builtins.open

    def watched(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).endswith(".png"):
            read.append(os.path.relpath(path, tmp_path))
        return plain(path, *arguments, **options)

    monkeypatch.setattr(builtins, "open", watched)
    for name in ("results.csv", "forged.csv"):
        read_scored(model, tmp_path / name, plates / "new").to_html(tmp_path / "page.html")
        data = data_in(tmp_path / "page.html")
        crops = data["kind"]["located"]["items"][place_of(data, "bad/200.png")]["crops"]
        if name == "results.csv":
            assert np.asarray(opened(crops[0][2])).min() > 80  # not the black picture of now
            assert f"normal/{nearest}" in read
        else:
            assert crops[0][2] is None
    assert "secret.png" not in read


def test_pictures_from_memory_are_shown_with_their_maps(plate_model: Model, tmp_path: Path) -> None:
    large = np.kron(picture(300, strange=True), np.ones((5, 5), np.uint8))  # larger than what is kept of it
    plate_model.score([large, large]).to_html(tmp_path / "page.html")
    shown = data_in(tmp_path / "page.html")["kind"]["located"]["items"]["0"]
    assert shown["size"] == [5 * WIDTH, 5 * HEIGHT]
    assert shown["map"]


def test_maps_and_crops_count_among_the_pictures_of_a_page(
    plate_model: Model, plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_page, "MOST_PICTURES", 20)
    plate_model.score(plates / "new").to_html(tmp_path / "page.html")
    data = data_in(tmp_path / "page.html")
    assert 0 < len(data["kind"]["located"]["items"]) < 5
    assert "Without a picture" in (tmp_path / "page.html").read_text("utf-8")

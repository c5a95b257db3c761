"""Anomaly maps: of one picture, and as files beside the results."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dn2
from dn2.errors import InputError
from dn2.kinds.image.patches import drawing
from dn2.kinds.image.patches.drawing import at_pixels, overlaid, to_grey
from dn2.kinds.image.patches.writing import place_names
from dn2.model.model import Model
from dn2.neighbors.patches.joining import resize
from small_patches import HEIGHT, SQUARE, WIDTH, picture

pytestmark = pytest.mark.xdist_group("patches")  # which one process fits once


def jpeg(pixels: np.ndarray, orientation: int = 1) -> bytes:
    """Encode a picture, which is to be turned when it is shown."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def test_the_map_of_a_picture_is_high_where_it_is_strange_at_its_own_pixels(plate_model: Model) -> None:
    found = plate_model.anomaly_map(picture(300, strange=True))
    assert (found.shape, found.dtype) == ((HEIGHT, WIDTH), np.float32)
    row, column = np.unravel_index(found.argmax(), found.shape)
    left, top, right, bottom = SQUARE
    assert left - 8 <= column <= right + 8
    assert top - 8 <= row <= bottom + 8
    assert plate_model.anomaly_map(picture(301)).max() < found.max() / 2


def test_the_map_and_the_regions_of_a_large_turned_jpeg_lie_at_the_pixels_it_is_shown_with(plate_model: Model) -> None:
    times = 24  # so large that the JPEG is decoded at a fraction of its size
    large = np.kron(picture(300, strange=True), np.ones((times, times), np.uint8))
    turned = jpeg(np.rot90(large), orientation=6)  # shown a quarter turn clockwise
    found = plate_model.anomaly_map(turned)
    assert found.shape == large.shape
    row, column = np.unravel_index(found.argmax(), found.shape)
    left, top, right, bottom = SQUARE
    assert left - 8 <= column / times <= right + 8
    assert top - 8 <= row / times <= bottom + 8
    boxes = [region.box for region in plate_model.score([turned])[0].regions]
    assert any(box[0] <= column < box[2] and box[1] <= row < box[3] for box in boxes)


def test_one_picture_alone_has_the_verdict_and_the_regions_of_a_batch(plate_model: Model, plates: Path) -> None:
    path = plates / "new" / "bad" / "200.png"
    alone, (batched,) = plate_model.score_one(path), plate_model.score([path])
    assert alone.regions
    assert (alone.regions, alone.is_anomaly) == (batched.regions, True)
    assert alone.anomaly_score == pytest.approx(batched.anomaly_score, rel=1e-6)


def test_a_map_at_pixels_is_interpolated_between_the_middles_of_cells() -> None:
    cells = np.random.default_rng(0).gamma(1.0, size=(9, 13)).astype(np.float32)
    assert at_pixels(cells, 100, 71) == pytest.approx(resize(cells, 71, 100), abs=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "shape"), [(71, 100, (9, 13)), (5, 90, (40, 12)), (90, 5, (12, 40)), (9, 13, (9, 13))]
)
def test_a_large_map_has_the_bits_at_pixels_that_it_has_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    cells = rng.gamma(1.0, size=shape).astype(np.float32)
    pixels = rng.integers(0, 256, (height, width), np.uint8)
    drawn = []
    for at_once in (1 << 20, 200, 1):
        monkeypatch.setattr(drawing, "PIXELS_AT_ONCE", at_once)
        over = [overlaid(Image.fromarray(one), cells, 0.5, ()) for one in (pixels, np.stack([pixels] * 3, axis=2))]
        drawn.append([at_pixels(cells, width, height), to_grey(cells, width, height, 0.5), *map(np.asarray, over)])
    whole = Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR)
    assert np.array_equal(drawn[0][0], np.asarray(whole))
    for cut in drawn[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(drawn[0], cut, strict=True))


def test_grey_values_of_a_large_picture_take_hardly_more_than_themselves() -> None:
    cells = np.ones((250, 250), np.float32)
    tracemalloc.start()
    try:
        grey = to_grey(cells, 4000, 4000, 1.0)
        assert tracemalloc.get_traced_memory()[1] < 1.6 * grey.nbytes
    finally:
        tracemalloc.stop()


def test_a_model_without_patches_has_no_maps(tmp_path: Path) -> None:
    model = dn2.fit(np.random.default_rng(0).normal(size=(40, 3)))
    with pytest.raises(InputError, match="patch by patch"):
        model.anomaly_map([0, 0, 0])
    with pytest.raises(InputError, match="patch by patch"):
        model.score([[0, 0, 0]], maps=tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


def test_the_maps_of_a_folder_have_one_scale_that_leads_back_to_them(
    plate_model: Model, plates: Path, tmp_path: Path
) -> None:
    results = plate_model.score(plates / "new", maps=tmp_path / "maps")
    written = {path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.*")}
    names = [PurePosixPath(row.item).with_suffix("") for row in results if row.error is None]
    assert written == {"maps.json", *(f"{name}{end}" for name in names for end in (".png", "_overlay.jpg"))}
    about = json.loads((tmp_path / "maps" / "maps.json").read_text())
    for row in results:
        if row.error is None:
            name = str(PurePosixPath(row.item).with_suffix(""))
            with Image.open(tmp_path / "maps" / f"{name}.png") as image:
                values = np.asarray(image).astype(np.float64) / 65535 * about["largest"]
            expected = plate_model.anomaly_map(plates / "new" / row.item)
            assert values == pytest.approx(np.minimum(expected, about["largest"]), abs=about["largest"] / 65535)
            assert row.regions or expected.max() <= about["threshold"]
            with Image.open(tmp_path / "maps" / f"{name}_overlay.jpg") as overlay:
                assert overlay.size == (WIDTH, HEIGHT)
    again = plate_model.score(plates / "new", maps=tmp_path / "maps")  # over maps that were written before
    assert again.rows == results.rows


def test_maps_are_written_as_pictures_are_scored(plate_model: Model, plates: Path, tmp_path: Path) -> None:
    counts = []

    def count(done: int, total: int) -> None:
        counts.append(len(list((tmp_path / "maps").rglob("*_overlay.jpg"))))

    plate_model.score(plates / "normal", maps=tmp_path / "maps", progress=count)
    assert 0 < counts[12] < 20


@pytest.mark.parametrize("place", ["a file", "other files", "the pictures", "a file above"])
def test_a_folder_that_maps_cannot_be_written_to_is_refused_before_the_work(
    plate_model: Model, plates: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    folders = {"a file": tmp_path / "file", "other files": tmp_path, "the pictures": tmp_path / "maps"}
    folder = folders.get(place, tmp_path / "file" / "maps")
    inputs = plates / "new"
    if place == "the pictures":
        inputs = folder
        folder.mkdir()
        (folder / "maps.json").touch()
        (folder / "one.png").write_bytes((plates / "new" / "ok" / "100.png").read_bytes())
    before = sorted(tmp_path.rglob("*"))

    def never(done: int, total: int) -> None:
        raise AssertionError("work was begun")

    with pytest.raises(InputError, match=r"maps|file"):
        plate_model.score(inputs, maps=folder, progress=never)
    assert sorted(tmp_path.rglob("*")) == before


@given(
    st.lists(
        st.text("aA.\\/:\n é~", max_size=8) | st.sampled_from(["x" * 300, "X" * 300, "maps.json"]),
        unique=True,
        max_size=6,
    )
)
def test_files_of_maps_lie_below_their_folder_each_with_a_name_of_its_own(items: list[str]) -> None:
    names = place_names(items)
    assert len({name.casefold() for name in names}) == len(items)
    for name in names:
        assert os.path.normpath(name) == name
        assert not name.startswith(("/", ".."))
        assert all(len(part) <= 140 for part in name.split("/"))
        assert not set(name) & set('\0\n:\\"')


def test_items_that_differ_in_their_ending_alone_keep_it_in_the_names_of_their_files() -> None:
    assert place_names(["a/1.png", "a/1.jpg", "../b.png", "/c.png"]) == ["a/1.png", "a/1.jpg", "__/b", "_/c"]

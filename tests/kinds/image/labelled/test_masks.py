"""What a mask shows, whatever the numbers that people save masks with."""

import numpy as np
import pytest
from PIL import Image

from dn2.errors import UnreadableItem
from dn2.kinds.image.labelled.masks import ColorMap, Mask, read_color_map


def saved(path, numbers, **options):
    image = numbers if isinstance(numbers, Image.Image) else Image.fromarray(np.asarray(numbers))
    image.save(path, **options)
    return Mask(path)


def grey(*values):
    return np.array([values], np.uint8)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (grey(0, 255, 0), [0, 1, 0]),
        (grey(0, 1, 7), [0, 1, 1]),  # labels, as of VisA
        (grey(0, 127, 1), [0, 1, 1]),
        (grey(3, 120, 140, 250), [0, 0, 1, 1]),  # grey, as of scaling and JPEG
        (grey(0, 0), [0, 0]),
        (np.array([[0, 1, 300]], np.uint16), [0, 1, 1]),
        (np.array([[0, 65535, 0]], np.uint16), [0, 1, 0]),
        (np.array([[False, True]]), [0, 1]),
        (np.array([[[0, 0, 0], [0, 0, 90], [200, 0, 0]]], np.uint8), [0, 1, 1]),  # colours
        (np.array([[[0, 0, 0], [90, 90, 90], [200, 200, 200]]], np.uint8), [0, 0, 1]),  # grey, saved as colours
    ],
)
def test_what_is_a_defect(tmp_path, numbers, expected):
    read = saved(tmp_path / "mask.png", numbers).read()
    assert read.dtype == bool
    assert read.astype(int).tolist() == [expected]


def test_a_palette_and_a_jpeg(tmp_path):
    image = Image.fromarray(grey(0, 1, 2)).convert("P")
    image.putpalette([0, 0, 0, 0, 60, 0, 128, 0, 0])
    assert saved(tmp_path / "mask.png", image).read().tolist() == [[False, True, True]]
    square = np.zeros((40, 40, 3), np.uint8)
    square[10:30, 10:30] = 255
    square[10:30, 30:32] = (255, 0, 0)
    read = saved(tmp_path / "mask.jpg", square, quality=30).read()
    assert (read[:, :28] == (square[:, :28, 0] > 0)).all()  # whose edge is not black on either side


def test_a_mask_with_holes_is_refused_because_what_shows_through_is_unknown(tmp_path):
    numbers = np.array([[[0, 0, 0, 255], [255, 255, 255, 255]]], np.uint8)
    assert saved(tmp_path / "mask.png", numbers).read().tolist() == [[False, True]]
    numbers[0, 0, 3] = 0
    with pytest.raises(UnreadableItem, match=r"mask.png: a mask must be opaque, and parts of it are transparent"):
        saved(tmp_path / "mask.png", numbers).read()


def test_a_mask_of_another_size_or_that_is_damaged_is_named(tmp_path):
    mask = saved(tmp_path / "mask.png", grey(0, 1, 2))
    assert mask.read((3, 1)).shape == (1, 3)
    with pytest.raises(
        UnreadableItem, match=r"the mask .*mask.png: a mask must have the size of its picture, 4 x 1, got 3 x 1"
    ):
        mask.read((4, 1))
    mask.path.write_bytes(b"\x89PNG")
    with pytest.raises(UnreadableItem, match=r"the mask .*mask.png: "):
        mask.read()
    with pytest.raises(UnreadableItem, match=r"the mask .*lost.png: cannot be read"):
        Mask(tmp_path / "lost.png").read()


RED, GREEN, WHITE = 0xFF0000, 0x2CA02C, 0xFFFFFF


def colors(*codes):
    return np.array([[[code >> 16, code >> 8 & 255, code & 255] for code in codes]], np.uint8)


def test_colors_mean_what_their_map_says(tmp_path):
    numbers = colors(WHITE, RED, GREEN, RED)
    path = saved(tmp_path / "mask.png", numbers).path
    both = Mask(path, ColorMap({RED: "scratch", GREEN: "dent"}, WHITE))
    assert both.read().tolist() == [[False, True, True, True]]
    assert both.kinds() == ["dent", "scratch"]
    without = Mask(path, ColorMap({RED: "scratch"}, None))
    assert without.read().tolist() == [[False, True, False, True]]
    assert without.kinds() == ["scratch"]
    with pytest.raises(UnreadableItem, match="every colour must be in its colour map, and #2ca02c is not"):
        Mask(path, ColorMap({RED: "scratch"}, WHITE)).read()
    assert Mask(path).kinds() == []


def entry(name, color=None):
    return {"class-name": name} | ({} if color is None else {"hex-color": color})


def test_color_maps():
    found = read_color_map({"0": entry("BACKGROUND", "#ffffff"), "1": entry("dent", "#2CA02C")})
    assert found == ColorMap({GREEN: "dent"}, WHITE)
    assert read_color_map({"0": entry("cracked", "#ff0000")}) == ColorMap({RED: "cracked"}, None)
    assert read_color_map({"0": entry("BACKGROUND"), "1": entry("dent")}) is None


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (None, "is an object of kinds"),
        ({}, "is an object of kinds"),
        ({"0": 3}, "got 3"),
        ({"0": entry(5, "#ffffff")}, "a class-name the hex-color #RRGGBB, got"),
        ({"0": entry("dent", "red")}, "a class-name the hex-color #RRGGBB, got"),
        ({"0": entry("dent", "#2ca02c"), "1": entry("cut")}, "for every kind, or for none"),
        ({"0": entry("background", "#2ca02c"), "1": entry("cut", "#2ca02c")}, "that no kind of defect has"),
    ],
)
def test_color_maps_that_cannot_be_read(entries, words):
    with pytest.raises(UnreadableItem, match=words):
        read_color_map(entries)

"""A model of patches, and what it finds, in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.kinds.image import alignment
from dn2.kinds.image.evidence import RegionEvidence
from dn2.model.model import Model
from dn2.model.words import describe_model
from dn2.networks.pixels import to_thumbnail
from dn2.results.rows import Neighbor
from small_patches import HEIGHT, WIDTH

pytestmark = pytest.mark.xdist_group("patches")  # which one process fits once


def test_a_model_of_patches_says_what_it_compares_and_how_small_a_defect_would_be_found(plate_model: Model) -> None:
    about = plate_model.describe()
    said = dict(describe_model(about))
    assert said["maps"] == "40 features each 8 px, 112 features each 16 px, 320 features each 32 px"
    assert said["pictures"] == "scaled to about as many pixels as 96 x 96, never squeezed, brought to one light"
    assert said["bank 1"].startswith("150 normal patches; half of all others are within ")
    assert "whitening" not in said
    assert about["patches"]["side"] == round(np.sqrt(WIDTH * HEIGHT))
    sizes = {1: "0.8 px", 2: "1.7 px", 4: "3 px", 8: "7 px", 16: "13 px"}
    for percent, pixels in sizes.items():
        found = [one for one in about["patches"]["finding"] if one["size"] == percent / 100]
        counts = {one["kind"]: f"{one['found']} of {one['drawn']}" for one in found}
        assert said[f"{percent} % ({pixels})"] == (
            f"scratches {counts['scratch']}, spots {counts['spot']}, stains {counts['stain']}, "
            f"misplaced pieces {counts['swap']}"
        )


def test_regions_are_said_with_their_share_and_place_the_strangest_first(plate_model: Model, plates: Path) -> None:
    (row,) = plate_model.score([plates / "new" / "bad" / "200.png"])
    region = replace(row.regions[0], box=(10, 20, 40, 30), share=0.0123)
    near = (Neighbor("a", 1.0),)
    said = "1.2 % at 10, 20 (30 x 10 px)"
    assert RegionEvidence((region,)).say(near, "x") == ("x", f"{said}; like a (1)")
    assert RegionEvidence((region,) * 5).say(near, "x")[1] == f"{said}; {said}; {said}; 2 more; like a (1)"
    assert RegionEvidence().say(near, "x")[1] == "no region; like a (1)"


@pytest.mark.parametrize(("angle", "side", "suggested"), [(0.3, 120, True), (1.5, 120, False), (0.3, 64, False)])
def test_patches_are_suggested_for_large_pictures_that_look_alike(angle: float, side: int, suggested: bool) -> None:
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(size=(30, 40)) * angle + 1).astype(np.float32)
    thumbnail = to_thumbnail(Image.new("L", (side, side)))
    assert bool(alignment.say_if_aligned(vectors, [thumbnail] * 30)) == suggested


def test_fit_suggests_patches_for_plates_and_not_to_a_model_that_has_them(plate_model: Model, plates: Path) -> None:
    assert plate_model.kind.remarks(plate_model.state) == []
    pictures = [Image.open(path).resize((192, 144)) for path in sorted((plates / "normal").glob("*.png"))]
    model = dn2.fit(pictures)
    assert ["patches=True" in remark for remark in model.kind.remarks(model.state)] == [True]

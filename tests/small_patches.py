"""A small model of patches, fitted once: even pictures with a bright band, and some with a black square somewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.arrays import Pixels
from dn2.kinds.image.patches import finding
from dn2.model.model import Model

HEIGHT, WIDTH = 72, 96
SQUARE = (60, 16, 76, 32)  # left, top, right, bottom of what is strange


def picture(seed: int, *, strange: bool = False) -> Pixels:
    """Make a picture, (72, 96) uint8."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(110, 130, (HEIGHT, WIDTH), np.uint8)
    pixels[40:48] += 90
    if strange:
        left, top, right, bottom = SQUARE
        pixels[top:bottom, left:right] = 0
    return pixels


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of plates: `normal` to learn from, `new` to score, two of which are strange, and one damaged."""
    folder = tmp_path_factory.mktemp("plates")
    for name, seeds in (("normal", range(20)), ("new/ok", range(100, 103)), ("new/bad", range(200, 202))):
        (folder / name).mkdir(parents=True)
        for seed in seeds:
            Image.fromarray(picture(seed, strange=seed >= 200)).save(folder / name / f"{seed}.png")
    (folder / "new" / "damaged.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def saved_plates(plates: Path) -> Path:
    """Return the folder of a saved model of `plates`, fitted once: nothing changes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "MOST_PLANTED", 20)
        fitted = dn2.fit(str(plates / "normal"), patches=True, resolution=96, bank=100, false_alarm_rate=0.1)
    fitted.save(plates / "plates.dn2")
    return plates / "plates.dn2"


@pytest.fixture(scope="session")
def plate_model(saved_plates: Path) -> Model:
    """Return the model of `saved_plates`: nothing changes it."""
    return dn2.load(saved_plates)

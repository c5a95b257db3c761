"""A small labelled data set of pictures with defects, laid out as MVTec AD, and a model of their patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.kinds.image.patches import finding

SIDE = 64
COUNTS = {"train/good": 24, "test/good": 4, "test/spot": 3, "test/line": 3}
DEFECTS = {"spot": (slice(20, 36), slice(24, 44)), "line": (slice(40, 44), slice(8, 60))}


def write_defects(folder: Path) -> Path:
    """Write pictures of a slope with noise, some with a bright defect, and the masks of these."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((SIDE, SIDE))
    for inner, count in COUNTS.items():
        kind = inner.partition("/")[2]
        for number in range(count):
            picture = rows + columns + 20 * np.sin(rows / 4) + rng.integers(0, 30, (SIDE, SIDE))
            mask = np.zeros((SIDE, SIDE), bool)
            if kind in DEFECTS:
                mask[DEFECTS[kind]] = True
                picture[mask] += 90
                save(folder / "ground_truth" / kind / f"{number:03d}_mask.png", 255 * mask)
            save(folder / inner / f"{number:03d}.png", picture)
    return folder


def save(path: Path, picture: np.ndarray) -> None:
    """Save grey levels as a file, in a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def defects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the data set, with `m.dn2`, fitted on `train/good`; not to be changed."""
    folder = write_defects(tmp_path_factory.mktemp("defects") / "data")
    with pytest.MonkeyPatch.context() as patch:  # how small a defect would be found is of no matter here
        patch.setattr(finding, "MOST_PIXELS", 0)
        patch.setattr(finding, "LEAST_PLANTED", 1)
        options = {"patches": True, "resolution": SIDE, "bank": 50, "false_alarm_rate": 0.2}
        model = dn2.fit(folder / "train/good", cache=None, **options)
    model.save(folder.parent / "m.dn2")
    return folder

"""The bench on real photographs, where they are at hand."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import dn2
from dn2.kinds.image.bench import ONE_CLASS, ClassesOptions
from small_bench import silent

ROOT = Path(__file__).parents[2]
ARCHIVE = Path(os.environ.get("DN2_DATA", ROOT.parent / "shared" / "data")) / "cifar10" / "cifar10_png_35k.zip"
COUNTS = {"train": 100, "test": 50}


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack some pictures of three classes."""
    if not ARCHIVE.exists():
        pytest.skip(f"{ARCHIVE} is absent; set DN2_DATA to the folder with the data")
    folder = tmp_path_factory.mktemp("cifar")
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        for part, count in COUNTS.items():
            for kind in ("cat", "ship", "truck"):
                archive.extractall(folder, [name for name in names if name.startswith(f"{part}/{kind}/")][:count])
    return folder


def test_one_class_on_photographs_is_what_the_detector_gives(cifar: Path) -> None:
    result = ONE_CLASS.run(cifar, ClassesOptions(), silent)
    assert result.unreadable == []
    assert [one.setting for one in result.measurements] == ["cat", "ship", "truck"]
    assert all(one.roc_auc > 0.8 for one in result.measurements)

    detector = dn2.KNNDetector(normalize="root-unit")
    embedder = dn2.ImageEmbedder("lite0", cache=dn2.Cache())
    detector.fit(embedder.transform(sorted((cifar / "train" / "ship").iterdir())))
    queries = sorted((cifar / "test").rglob("*.png"))
    scores = detector.anomaly_score(embedder.transform(queries))
    normal = np.array([path.parent.name == "ship" for path in queries])
    wins = (scores[~normal][:, None] > scores[normal]).mean()
    assert result.measurements[1].roc_auc == pytest.approx(wins, abs=1e-6)

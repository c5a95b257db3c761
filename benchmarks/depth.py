"""Cameras of 10 and 12 bits: magnetic tiles as 16-bit PNG files hold them, with and without white, image-level ROC AUC.

Run: python benchmarks/depth.py

The grey levels are those of the 8-bit pictures, with the lower bits of the camera drawn at random."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

from common import SMALL_BACKBONES, Backbones, begin
from dn2 import ImageEmbedder, KNNDetector

CASES = ((8, None), (10, None), (10, 1023), (12, None), (12, 4095), (16, None))


def encode(grey: np.ndarray, bits: int, rng: np.random.Generator) -> bytes:
    """Encode grey levels, (height, width) uint8, as a camera of more bits has them; 8 and 16 fill their range."""
    if bits == 16:
        numbers = grey.astype(np.uint16) * 257
    elif bits > 8:
        numbers = (grey.astype(np.uint16) << bits - 8) + rng.integers(0, 1 << bits - 8, grey.shape, np.uint16)
    else:
        numbers = grey
    buffer = io.BytesIO()
    Image.fromarray(numbers).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print ROC AUC by bits and white."""
    run = begin(__doc__, arguments, Backbones(("lite0",)), SMALL_BACKBONES)
    report = run.report("depth")
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    train = np.array([row["split"] == "train" for row in rows])
    defective = np.array([row["label"] == "1" for row in rows])
    report.say(f"{train.sum()} reference tiles, {(~train).sum()} tested of which {defective.sum()} defective, in %:")
    report.say(f"  {'':<10} {'bits':>5} {'white':>8} {'ROC AUC':>8}")
    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        tiles = [np.asarray(Image.open(Path(folder, row["image"])).convert("L")) for row in rows]
        for name in run.sizes.backbones:
            for bits, white in CASES:
                rng = np.random.default_rng(0)
                embedder = ImageEmbedder(name, cache=False, white=white)
                vectors = embedder.transform([encode(tile, bits, rng) for tile in tiles])
                scores = KNNDetector(normalize="root-unit").fit(vectors[train]).anomaly_score(vectors[~train])
                value = 100 * roc_auc_score(defective[~train], scores)
                report.say(f"  {name:<10} {bits:>5} {white or 'unsaid':>8} {value:8.2f}")
    report.save()


if __name__ == "__main__":
    main()

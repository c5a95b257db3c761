"""Squash or pad: magnetic tiles of many aspect ratios, whole picture, image-level ROC AUC.

Run: python benchmarks/shapes.py

The default of squashing was chosen on this table, so it is no test result for that choice.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.metrics import roc_auc_score

from common import SMALL_BACKBONES, Backbones, begin
from dn2 import KNNDetector
from dn2.kinds.image.pipeline import ImagePipeline
from dn2.neighbors.prepare.normalize import NORMALIZATIONS
from dn2.networks.openvino import Network
from dn2.networks.registry import get_backbone


def main(arguments: Sequence[str] | None = None) -> None:
    """Print ROC AUC by backbone, shape and normalisation."""
    run = begin(__doc__, arguments, Backbones(), SMALL_BACKBONES)
    report = run.report("shapes")
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    train = np.array([row["split"] == "train" for row in rows])
    defective = np.array([row["label"] == "1" for row in rows])
    report.say(f"{train.sum()} reference tiles, {(~train).sum()} tested of which {defective.sum()} defective, in %:")
    report.say(f"  {'':<16}" + "".join(f"{name:>12}" for name in NORMALIZATIONS))
    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        for name in run.sizes.backbones:
            for shape in ("squash", "pad"):
                backbone = get_backbone(name)
                backbone = replace(backbone, preprocessing=replace(backbone.preprocessing, shape=shape))
                pipeline = ImagePipeline([Network(backbone)])
                vectors = np.stack([one.vector for one in pipeline.embed(folder / row["image"] for row in rows)])
                detectors = [KNNDetector(normalize=method).fit(vectors[train]) for method in NORMALIZATIONS]
                values = [
                    100 * roc_auc_score(defective[~train], one.anomaly_score(vectors[~train])) for one in detectors
                ]
                report.say(f"  {name + ' ' + shape:<16}" + "".join(f"{value:12.2f}" for value in values))
    report.save()


if __name__ == "__main__":
    main()

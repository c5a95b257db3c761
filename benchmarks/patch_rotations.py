"""Rotations of the reference: how well defects are told on parts that lie anyhow, by how many rotations teach.

Run: python benchmarks/patch_rotations.py [--rotations 1 4 8]

Tiles: good magnetic tiles as photographed are the reference, and those that are tested are turned by random quarters,
or all are, the reference too; photographs of one tile are a part.  Plates: made up (docs/made_plates.py), each before
an even belt, turned by any angle, in the reference as well; the defects are scratches, stains and dents.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

import dn2
from common import ROOT, Run, begin, prepare_torch, timed
from dn2.arrays import Pixels
from dn2.kinds.image.patches import finding

sys.path.append(str(ROOT / "docs"))
from made_plates import plate

RATE = 0.05
BELT = 320  # pixels a side, on which a plate lies
PLATE = (200, 150)
DEFECTS = ("scratch", "stain", "dent")


@dataclass(frozen=True)
class Sizes:
    """What is measured; learning, testing : photos of tiles, and plates."""

    rotations: tuple[int, ...] = (1, 4, 8)
    learning: int = 300
    testing: int = 300
    plates: int = 80
    tested_plates: int = 120
    resolution: int = 256
    bank: int | None = None


SMALLEST = Sizes(rotations=(3,), learning=12, testing=8, plates=6, tested_plates=4, resolution=64, bank=20)


@dataclass(frozen=True)
class Pictures:
    """What is learnt from, with the parts that it shows, and what is tested, with whether it is defective.

    are_all_turned : those to learn from, too, so that it is no surprise if the others are."""

    learning: Sequence[Pixels]
    parts: Sequence[str]
    testing: Sequence[Pixels]
    is_defective: Sequence[bool]
    are_all_turned: bool = True


def turned_tiles(run: Run[Sizes]) -> Iterator[tuple[str, Pictures]]:
    """Read tiles: those that are tested turned by quarters, and then all."""
    rng = np.random.default_rng(0)

    def read(folder: Path, rows: Sequence[dict[str, str]], *, turn: bool) -> list[Pixels]:
        pictures = [np.asarray(Image.open(folder / row["image"]).convert("L")) for row in rows]
        return [np.rot90(one, rng.integers(4)).copy() for one in pictures] if turn else pictures

    with run.unpacked("magnetic_tile/magnetic_tile.zip") as folder:
        listed = list(csv.DictReader(run.need("magnetic_tile/split.csv").read_text("utf-8").splitlines()))
        learning = [row for row in listed if row["split"] == "train" and row["label"] == "0"]
        testing = [row for row in listed if row["split"] == "test"]
        learning = learning[: run.sizes.learning]
        testing = testing[:: -(-len(testing) // run.sizes.testing)]
        parts, truth = [row["tile_group"] for row in learning], [row["label"] == "1" for row in testing]
        tested = read(folder, testing, turn=True)
        yield (
            "tiles, tested ones turned",
            Pictures(read(folder, learning, turn=False), parts, tested, truth, are_all_turned=False),
        )
        yield "tiles, all turned", Pictures(read(folder, learning, turn=True), parts, tested, truth)


def plates_on_a_belt(run: Run[Sizes]) -> Iterator[tuple[str, Pictures]]:
    """Make up plates that lie anyhow, half of those tested with a defect."""

    def photo(seed: int, defect: str = "") -> Pixels:
        rng = np.random.default_rng([seed, 1])
        belt = Image.fromarray(rng.normal(90, 3, (BELT, BELT)).astype(np.uint8))
        angle, lying = rng.uniform(0, 360), plate(seed, defect).resize(PLATE)
        where = Image.new("L", PLATE, 255).rotate(angle, Image.Resampling.BICUBIC, expand=True)
        lying = lying.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        belt.paste(lying, tuple((BELT - side) // 2 + int(rng.integers(-20, 21)) for side in lying.size), where)
        return np.asarray(belt)

    n = run.sizes.tested_plates
    truth = [bool(number % 2) for number in range(n)]
    testing = [photo(10_000 + number, DEFECTS[number // 2 % 3] if number % 2 else "") for number in range(n)]
    learning = [photo(number) for number in range(run.sizes.plates)]
    yield "plates on a belt", Pictures(learning, [str(number) for number in range(len(learning))], testing, truth)


def measure(pictures: Pictures, rotations: int, run: Run[Sizes]) -> tuple[float, float, float, float]:
    """Fit, and test: the ROC AUC, the shares of good and defective pictures flagged, and seconds for the fit."""
    with mock.patch.multiple(finding, LEAST_PLANTED=40, MOST_PLANTED=40):
        fit, model = timed(
            lambda: dn2.fit(
                pictures.learning,
                part=pictures.parts,
                patches=True,
                resolution=run.sizes.resolution,
                bank=run.sizes.bank,
                rotations=rotations,
                false_alarm_rate=0.5 if run.smallest else RATE,
                cache=False,
                progress=False,
            )
        )
    rows = model.score(pictures.testing, progress=False)
    scores, flags = np.array([row.anomaly_score for row in rows]), np.array([row.is_anomaly for row in rows])
    truth = np.array(pictures.is_defective)
    return float(roc_auc_score(truth, scores)), float(flags[~truth].mean()), float(flags[truth].mean()), fit


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each set of pictures and number of rotations."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    prepare_torch()
    report = run.report("patch_rotations")
    report.say(f"{run.sizes.resolution} px; flags at {RATE:g} asked, by part")
    sets: tuple[Callable[[Run[Sizes]], Iterator[tuple[str, Pictures]]], ...] = (turned_tiles, plates_on_a_belt)
    for read in sets:
        for name, pictures in read(run):
            defective = sum(pictures.is_defective)
            report.say()
            report.say(
                f"{name}: {len(pictures.learning)} to learn from, {len(pictures.testing)} tested, {defective} defective"
            )
            report.say(f"  {'rotations':>9}{'ROC AUC':>10}{'good flagged':>15}{'found':>9}{'fit, s':>9}")
            found = {}
            for rotations in run.sizes.rotations:
                found[rotations], *others = measure(pictures, rotations, run)
                flagged, hits, fit = others
                report.say(f"  {rotations:>9}{found[rotations]:>10.4f}{flagged:>15.3f}{hits:>9.3f}{fit:>9.1f}")
                report.save()  # kept, in case that the next one is interrupted
            if not pictures.are_all_turned:
                report.claim(max(found.values()) > found[min(found)], f"{name}: rotations tell no better")


if __name__ == "__main__":
    main()

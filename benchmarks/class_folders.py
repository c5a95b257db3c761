"""MNIST and the white blood cells as folders of classes, as `dn2 bench` reads them.

Run: python benchmarks/class_folders.py mnist|wbc FOLDER

mnist: the first 2,000 training and 1,000 test pictures of each digit, `train/<digit>/` and `test/<digit>/`, as PNG.
wbc: all 300 pictures of dataset1, `<label>-<name>/`; the fifth class has a single picture, so bench the other four.
"""

from __future__ import annotations

import argparse
import csv
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from common import need

MNIST_COUNTS = {"train": 2_000, "test": 1_000}


def write_mnist(folder: Path) -> None:
    """Write a part of MNIST as PNG files; the names are their places in the set."""
    with np.load(need("mnist/mnist.npz"), allow_pickle=False) as data:
        for part, count in MNIST_COUNTS.items():
            pictures, digits = data[f"x_{part}"], data[f"y_{part}"]
            for digit in range(10):
                target = folder / part / str(digit)
                target.mkdir(parents=True)
                for place in np.flatnonzero(digits == digit)[:count]:
                    Image.fromarray(pictures[place]).save(target / f"{place:05d}.png")


def write_wbc(folder: Path) -> None:
    """Unpack dataset1 of the white blood cells by class."""
    with open(need("wbc/labels.csv"), newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "1"]
    with zipfile.ZipFile(need("wbc/wbc.zip")) as archive:
        for row in rows:
            target = folder / f"{row['label']}-{row['name']}" / Path(row["image"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(row["image"]))


WRITERS: dict[str, Callable[[Path], None]] = {"mnist": write_mnist, "wbc": write_wbc}


def main() -> None:
    """Write a data set into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=WRITERS)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    WRITERS[arguments.data](arguments.folder)


if __name__ == "__main__":
    main()

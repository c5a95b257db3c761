"""MNIST and the white blood cells as folders of classes, as `dn2 bench` reads them.

Run: python benchmarks/class_folders.py mnist|wbc FOLDER

mnist: the first 2,000 training and 1,000 test pictures of each digit, `train/<digit>/` and `test/<digit>/`, as PNG.
wbc: all 300 pictures of dataset1, `<label>-<name>/`; the fifth class has a single picture, so bench the other four.
"""

from __future__ import annotations

import contextlib
import csv
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common import CIFAR10, Run, begin

MNIST_COUNTS = {"train": 2_000, "test": 1_000}


def write_mnist(run: Run[Any], folder: Path) -> None:
    """Write a part of MNIST as PNG files; the names are their places in the set."""
    with np.load(run.need("mnist/mnist.npz"), allow_pickle=False) as data:
        for part, count in MNIST_COUNTS.items():
            pictures, digits = data[f"x_{part}"], data[f"y_{part}"]
            for digit in range(10):
                target = folder / part / str(digit)
                target.mkdir(parents=True)
                for place in np.flatnonzero(digits == digit)[:count]:
                    Image.fromarray(pictures[place]).save(target / f"{place:05d}.png")


def write_wbc(run: Run[Any], folder: Path) -> None:
    """Unpack dataset1 of the white blood cells by class."""
    with open(run.need("wbc/labels.csv"), newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "1"]
    with zipfile.ZipFile(run.need("wbc/wbc.zip")) as archive:
        for row in rows:
            target = folder / f"{row['label']}-{row['name']}" / Path(row["image"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(row["image"]))


WRITERS: dict[str, Callable[[Run[Any], Path], None]] = {"mnist": write_mnist, "wbc": write_wbc}


@contextlib.contextmanager
def class_folders(run: Run[Any], name: str) -> Iterator[Path]:
    """Lay a data set out as folders of classes, for a time."""
    if name == "cifar10":
        with run.unpacked(CIFAR10) as folder:
            yield folder
    else:
        with tempfile.TemporaryDirectory() as made:
            WRITERS[name](run, Path(made))
            yield Path(made)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a data set into a folder; the smallest run writes each for a time and counts its pictures."""
    flags: dict[str, dict[str, Any]] = {"data": {"nargs": "?", "choices": WRITERS}, "folder": {"nargs": "?"}}
    run = begin(__doc__, arguments, flags=flags)
    data, folder = run.options.data, run.options.folder
    if run.smallest:
        for name in WRITERS:
            with class_folders(run, name) as made:
                print(f"{name}: {sum(path.is_file() for path in made.rglob('*'))} pictures")
    elif folder is None:
        sys.exit("name a data set, mnist or wbc, and a folder")
    else:
        WRITERS[data](run, Path(folder))


if __name__ == "__main__":
    main()

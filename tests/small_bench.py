"""Small data sets for the bench, as folders and as vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from dn2.bench.context import Bench
from dn2.bench.data import ClassFolders
from dn2.inputs.files import Item
from small_models import places_of, write_backbone, write_digits

DIGITS = (0, 1, 4)
N_TRAIN, N_TEST = 80, 10


@contextlib.contextmanager
def silent(_: str) -> Iterator[Callable[[int, int], None]]:
    """Show no progress."""
    yield lambda done, total: None


def make_bench(
    n_train: int = 40, n_test: int = 10, classes: Sequence[str] = "abcd", *, random: bool = False, **options: int
) -> Bench:
    """Make a bench of vectors around one centre a class, (n, 8) float32; train/ comes before test/ in each class."""
    rng = np.random.default_rng(7)
    n = n_train + n_test
    labels = np.repeat(np.arange(len(classes)), n)
    vectors = (rng.normal(size=(len(classes), 8))[labels] + rng.normal(size=(len(labels), 8))).astype(np.float32)
    in_train = None if random else np.tile(np.arange(n) < n_train, len(classes))
    items = [Item(f"{place}.png", Path(f"{place}.png")) for place in range(len(labels))]
    data = ClassFolders(Path("data"), tuple(classes), tuple(classes), items, labels, in_train)
    return Bench(data, "tiny", vectors, options.get("n_neighbors", 2), options.get("seeds", 3), silent)


def write_set(path: Path, *, n_normal: int = 40, n_anomalies: int = 10, distance: float = 100) -> None:
    """Write a table of four columns, the last constant, as `.npz`; anomalies lie away by a distance in each other."""
    rng = np.random.default_rng(3)
    truth = rng.permutation(np.arange(n_normal + n_anomalies) < n_anomalies)
    rows = rng.normal(size=(len(truth), 4)) + distance * truth[:, None]
    rows[:, 3] = 5
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, X=rows, y=truth.astype(np.int8))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `train/<digit>/` and `test/<digit>/` for three digits, with `tiny.onnx`; not to be changed."""
    folder = tmp_path_factory.mktemp("digits")
    for digit in DIGITS:
        places = places_of(digit)
        write_digits(folder / "train" / str(digit), places[:N_TRAIN])
        write_digits(folder / "test" / str(digit), places[N_TRAIN : N_TRAIN + N_TEST])
    write_backbone(folder)
    return folder

"""Small data sets for the bench, as folders and as vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dn2.inputs.items import Item
from dn2.kinds.image.bench.data import ClassFolders
from dn2.kinds.image.bench.pictures import Bench
from dn2.kinds.image.kind import ImageKind
from dn2.kinds.image.options import ImageOptions
from dn2.kinds.image.pooling import Pooling
from small_models import places_of, write_backbone, write_digits

DIGITS = (0, 1, 4)
N_TRAIN, N_TEST = 80, 10


@contextlib.contextmanager
def silent(_: str) -> Iterator[Callable[[int, int], None]]:
    """Show no progress."""
    yield lambda done, total: None


def make_data(n_train: int, n_test: int, classes: Sequence[str], *, random: bool) -> ClassFolders:
    """Make classes of pictures that do not exist; train/ comes before test/ in each class."""
    n = n_train + n_test
    labels = np.repeat(np.arange(len(classes)), n)
    in_train = None if random else np.tile(np.arange(n) < n_train, len(classes))
    items = [Item(f"{place}.png", Path(f"{place}.png")) for place in range(len(labels))]
    return ClassFolders(Path("data"), tuple(classes), tuple(classes), items, labels, in_train)


def make_bench(
    n_train: int = 40,
    n_test: int = 10,
    classes: Sequence[str] = "abcd",
    *,
    random: bool = False,
    seeds: int = 3,
    **options: Any,
) -> Bench:
    """Make a bench of embeddings around one centre a class, (n, 8) float32, compared as they are.

    options : of `dn2.fit`; by default 2 neighbours."""
    data = make_data(n_train, n_test, classes, random=random)
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(len(classes), 8))[data.labels] + rng.normal(size=(len(data.labels), 8))
    asked = ImageOptions(**{"backbone": "tiny", "neighbors": 2, "normalize": "none"} | options)
    pooling = Pooling.of(asked.normalize or "none") if asked.groups else None
    kind = ImageKind(None, pooling)  # type: ignore[arg-type]  # no network: the embeddings are made already
    return Bench(data, kind, asked, vectors.astype(np.float32), seeds, silent)


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

"""Small data made in the layout of the real sets, for the smallest runs of the benchmarks."""

from __future__ import annotations

import atexit
import csv
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PICTURES = {"train": 24, "test": 6}  # of each class
DIGITS = {"train": 8, "test": 4}
CELLS = {"neutrophil": 8, "lymphocyte": 8, "monocyte": 6, "eosinophil": 6, "basophil": 1}
TILES = {"train": (12, 0), "test": (4, 4)}  # good ones and defective ones
TABLES = ("45_wine", "46_WPBC")
NAB = (
    "realKnownCause/nyc_taxi",
    "realKnownCause/ambient_temperature_system_failure",
    "realTraffic/occupancy_6005",
    "realTweets/Twitter_volume_AAPL",
    "realTweets/Twitter_volume_AMZN",
    "realTweets/Twitter_volume_CRM",
)
NAB_POINTS, SKAB_POINTS = 1_800, 700


def make(name: str) -> Path:
    """Return a made file or folder of the data, written by the first that needs it."""
    top = Path(name).parts[0]
    _write(top)
    return _folder() / name


@cache
def _folder() -> Path:
    """Make the folder of this process, which goes when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="made-data-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _write(top: str) -> None:
    folder = _folder() / top
    folder.mkdir()
    WRITERS[top](folder, np.random.default_rng(0))


def _picture(rng: np.random.Generator, kind: int, size: tuple[int, int], form: str) -> bytes:
    """Draw a picture of a kind, a slope of its own colour and noise; size : height, width."""
    rows, columns = np.indices(size)
    slope = (rows * (kind + 1) + columns * (9 - kind % 9)) % 256
    noisy = slope[..., None] // 2 + np.array([kind * 12, 100 - kind * 9, 60]) + rng.integers(0, 60, (*size, 3))
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, form)
    return buffer.getvalue()


def _zip(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)


def _csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _cifar10(folder: Path, rng: np.random.Generator) -> None:
    members = (
        (f"{part}/{name}/{name}_{number:06d}.png", _picture(rng, kind, (32, 32), "PNG"))
        for part, count in PICTURES.items()
        for kind, name in enumerate(CIFAR10)
        for number in range(count)
    )
    _zip(folder / "cifar10_png_35k.zip", members)


def _mnist(folder: Path, rng: np.random.Generator) -> None:
    arrays = {}
    for part, count in DIGITS.items():
        digits = np.tile(np.arange(10), count)
        bright = rng.integers(0, 100, (len(digits), 28, 28))
        bright[np.arange(len(digits)), 2 + 2 * digits] += 150  # a line whose height is the digit's
        arrays |= {f"x_{part}": bright.astype(np.uint8), f"y_{part}": digits.astype(np.uint8)}
    np.savez(folder / "mnist.npz", **arrays)


def _wbc(folder: Path, rng: np.random.Generator) -> None:
    kinds = [(label, name) for label, (name, count) in enumerate(CELLS.items(), 1) for _ in range(count)]
    paths = [f"dataset1/images/{number:03d}.bmp" for number in range(len(kinds))]
    rows = [(path, "", 1, *kind) for path, kind in zip(paths, kinds, strict=True)]
    _csv(folder / "labels.csv", [("image", "mask", "dataset", "label", "name"), *rows])
    _zip(folder / "wbc.zip", ((row[0], _picture(rng, row[3], (40, 40), "BMP")) for row in rows))


def _magnetic_tile(folder: Path, rng: np.random.Generator) -> None:
    rows = [
        (
            f"images/{part}_{label}_{number}.jpg",
            label,
            part,
            f"{part} {label} {number // 2}",
            1 + number % 2,
            f"masks/{part}_{label}_{number}.png",
            "crack" if label else "free",
        )
        for part, counts in TILES.items()
        for label, count in enumerate(counts)
        for number in range(count)
    ]
    _csv(folder / "split.csv", [("image", "label", "split", "tile_group", "exposure", "mask", "kind"), *rows])
    pictures = [(row[0], _picture(rng, 8 * row[1], (60, 90), "JPEG")) for row in rows]
    _zip(folder / "magnetic_tile.zip", pictures + [(row[5], _mask((60, 90), bool(row[1]))) for row in rows])


def _mask(size: tuple[int, int], is_anomalous: bool) -> bytes:
    """Draw a mask, whose left half is a defect, if there is one; size : height, width."""
    buffer = io.BytesIO()
    Image.fromarray(np.where(is_anomalous & (np.indices(size)[1] < size[1] // 2), 255, 0).astype(np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def _table(path: Path, rng: np.random.Generator, columns: int) -> None:
    """Write 60 normal rows and 12 anomalies, some distance away."""
    truth = np.arange(72) >= 60
    np.savez(path, X=rng.normal(size=(72, columns)) + 3 * truth[:, None], y=truth.astype(np.int8))


def _adbench(folder: Path, rng: np.random.Generator) -> None:
    for name in TABLES:
        _table(folder / f"{name}.npz", rng, 4)
    _csv(folder / "list.csv", [("file", "n", "anomalies"), *((f"{name}.npz", 72, 12) for name in TABLES)])


def _goad(folder: Path, rng: np.random.Generator) -> None:
    for name in ("thyroid", "arrhythmia"):
        _table(folder / f"{name}.npz", rng, 6)
    n = 1_600
    label = rng.integers(2, size=n)
    arrays: dict[str, Any] = {"label": label, "label_names": ["normal", "smurf"], "num_columns": np.arange(4)}
    arrays["X_num"] = np.exp(rng.normal(size=(n, 4)) + 2 * label[:, None])
    for name in ("protocol", "service", "flag"):
        arrays |= {f"cat_{name}": rng.integers(3, size=n), f"cat_{name}_names": [f"{name} {one}" for one in "abc"]}
    np.savez(folder / "kddcup99_10pct.npz", **arrays)


def _nab(folder: Path, rng: np.random.Generator) -> None:
    arrays = {}
    for name in NAB:
        window = np.zeros(NAB_POINTS, np.int8)
        window[50:90] = 1
        beat = np.sin(2 * np.pi * np.arange(NAB_POINTS) / 24) + 0.1 * rng.normal(size=NAB_POINTS)
        arrays |= {f"{name}/v": beat + 2 * window, f"{name}/window": window}
    np.savez(folder / "nab.npz", **arrays)


def _skab(folder: Path, rng: np.random.Generator) -> None:
    anomaly = (np.arange(SKAB_POINTS) >= SKAB_POINTS - 40).astype(np.int8)
    normal, other = rng.normal(size=(2, SKAB_POINTS, 2)).cumsum(axis=1) / 10
    arrays = {"anomaly-free/anomaly-free/X": normal, "other/1/X": other + 5 * anomaly[:, None]}
    np.savez(folder / "skab.npz", **arrays, **{"other/1/anomaly": anomaly})


def _text(folder: Path, rng: np.random.Generator) -> None:
    usual = ["pump", "valve", "order", "price", "invoice", "please", "send", "thanks", "today"]
    unusual = ["WIN", "free", "prize", "!!!", "claim", "now"]

    def message(words: list[str]) -> str:
        return " ".join(rng.choice(words, 6))

    rows = [("ham", message(usual)) for _ in range(160)] + [("spam", message(unusual)) for _ in range(10)]
    _csv(folder / "sms_spam.csv", [("label", "text"), *rows])
    counts = {"train": 130, "val": 10, "test": 30, "oos_train": 4, "oos_val": 4, "oos_test": 6}
    records = [
        {"split": split, "text": message(unusual if outside else usual), "intent": "oos" if outside else "order"}
        for split, count in counts.items()
        for outside in [split.startswith("oos")]
        for _ in range(count)
    ]
    (folder / "clinc150_full.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")


WRITERS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    "cifar10": _cifar10,
    "mnist": _mnist,
    "wbc": _wbc,
    "magnetic_tile": _magnetic_tile,
    "tabular_adbench": _adbench,
    "tabular_goad": _goad,
    "nab": _nab,
    "skab": _skab,
    "text": _text,
}

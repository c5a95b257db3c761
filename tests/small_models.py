"""Small real models: scikit-learn's handwritten digits as PNG files, and a network that embeds them in no time."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image
from sklearn.datasets import load_digits

import dn2
from dn2.neighbors import blocks as blocks_module
from dn2.networks.backbone import Backbone
from dn2.networks.opening import open_map_network, open_network

N_REFERENCE = 40
SHARD_ROWS = 16  # so that the saved model has three shards, of 16, 16 and 8


digits = functools.cache(load_digits)  # which reads a compressed text


def write_digits(folder: Path, places: Iterable[int], side: int = 32) -> list[Path]:
    """Write digits, by their places in scikit-learn's set, as `0007.png`; returns the files."""
    images = digits().images
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for place in places:
        picture = Image.fromarray((images[place] * (255 / 16)).astype(np.uint8))
        paths.append(folder / f"{place:04d}.png")
        picture.resize((side, side), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def places_of(digit: int) -> list[int]:
    """Return the places of one digit in scikit-learn's set."""
    return np.flatnonzero(digits().target == digit).tolist()


def write_backbone(folder: Path, pool: str = "AveragePool") -> str:
    """Write an ONNX network that pools a picture to 8 x 8 x 3 values; returns its path."""
    import onnx
    from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

    picture = make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, 64, 64])
    vector = make_tensor_value_info("vector", onnx.TensorProto.FLOAT, [1, 192])
    pooled = make_node(pool, ["picture"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8])
    graph = make_graph([pooled, make_node("Flatten", ["pooled"], ["vector"])], "tiny", [picture], [vector])
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 13)], ir_version=8), folder / "tiny.onnx")
    (folder / "tiny.json").write_text('{"size": [64, 64]}')
    return str(folder / "tiny.onnx")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test, and what it starts, out of the user's cache."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("DN2_CACHE", str(folder))
    return folder


def once(opening: Callable[[Backbone, str], Any]) -> Callable[..., Any]:
    """Return a function that compiles each network once, told apart by all that determines it."""
    networks: dict[tuple[Any, ...], Any] = {}

    def opened(backbone: Backbone, precision: str = "auto") -> Any:
        key = backbone.digest, backbone.name, backbone.preprocessing, precision
        if key not in networks:
            networks[key] = opening(backbone, precision)
        return networks[key]

    return opened


@pytest.fixture(autouse=True, scope="module")
def networks_once() -> Iterator[None]:
    """Compile each network once for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dn2.kinds.image.embedder.open_network", once(open_network))
        patch.setattr("dn2.kinds.image.patches.embedder.open_map_network", once(open_map_network))
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `normal/` (40 zeros), `more/` (8 zeros), `other/` (12 fours) and `tiny.onnx`; not to be changed."""
    folder = tmp_path_factory.mktemp("world")
    zeros, fours = places_of(0), places_of(4)
    write_digits(folder / "normal", zeros[:N_REFERENCE])
    write_digits(folder / "more", zeros[N_REFERENCE : N_REFERENCE + 8])
    write_digits(folder / "other", fours[:12])
    write_backbone(folder)
    return folder


@pytest.fixture(scope="session")
def lots(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with groups of 3 to 7 zeros in `good/` (24) and `new/` (4), and of zeros and fours in `bad/` (3)."""
    folder = tmp_path_factory.mktemp("lots")
    zeros, fours = iter(places_of(0)), iter(places_of(4))
    for number in range(24):
        write_digits(folder / "good" / f"lot-{number:02}", itertools.islice(zeros, 3 + number % 5))
    for number in range(4):
        write_digits(folder / "new" / f"new-{number}", itertools.islice(zeros, 5))
    for number in range(3):
        write_digits(folder / "bad" / f"bad-{number}" / "day", itertools.islice(zeros, 2))
        write_digits(folder / "bad" / f"bad-{number}" / "night", itertools.islice(fours, 3))
    return folder


@pytest.fixture(scope="session")
def saved_lots(world: Path, lots: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of the groups in `good/`; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "lots.dn2"
    dn2.fit(lots / "good", backbone=str(world / "tiny.onnx"), groups=True, normalize="unit").save(folder)
    return folder


@pytest.fixture(scope="session")
def unsorted(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 60 zeros with 12 fours among them, named `four-...`; not to be changed."""
    folder = tmp_path_factory.mktemp("unsorted")
    write_digits(folder, places_of(0)[:60])
    for path in write_digits(folder, places_of(4)[:12]):
        path.rename(folder / f"four-{path.name}")
    return folder


@pytest.fixture(scope="session")
def saved_unsorted(world: Path, unsorted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of `unsorted`, a third of which was dropped; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "unsorted.dn2"
    dn2.fit(unsorted, backbone=str(world / "tiny.onnx"), contaminated=True, drop=0.3).save(folder)
    return folder


@pytest.fixture(scope="session")
def saved(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of `normal/` in three shards; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "zeros.dn2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_ROWS", SHARD_ROWS)
        dn2.fit(world / "normal", backbone=str(world / "tiny.onnx")).save(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the saved model, to be changed."""
    return Path(shutil.copytree(saved, tmp_path / "zeros.dn2"))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the shards small when a model changes."""
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", SHARD_ROWS)


def contents(folder: Path) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Read a saved model without dn2: what `model.json` says beside the files, and the rows or arrays of each file."""
    manifest = json.loads((folder / "model.json").read_text())
    parts: dict[str, list[Any]] = {}
    for kind, names in manifest["contents"].items():
        parts[kind] = [
            [json.loads(line) for line in (folder / name).read_text().splitlines()]
            if name.endswith(".jsonl")
            else safetensors.numpy.load_file(folder / name)
            for name in names
        ]
    return {key: value for key, value in manifest.items() if key not in ("contents", "files", "digest")}, parts


def flip_a_bit(folder: Path, kind: str) -> None:
    """Damage the one file of a kind in a saved model."""
    (path,) = folder.glob(f"{kind}-*")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def reseal(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change `model.json` and give it the digest of its new bytes, as anyone can."""
    manifest = json.loads((folder / "model.json").read_text())
    del manifest["digest"]
    change(manifest)
    body = json.dumps(manifest, indent=1).encode()[:-2] + b",\n "
    digest = hashlib.sha256(body).hexdigest()
    (folder / "model.json").write_bytes(body + f'"digest": "{digest}"\n}}\n'.encode())


def replace_part(folder: Path, kind: str, data: bytes, number: int = 0) -> None:
    """Put other bytes in the place of one file of a model, with all digests right."""
    digest = hashlib.sha256(data).hexdigest()

    def change(manifest: dict[str, Any]) -> None:
        old = manifest["contents"][kind][number]
        new = f"{kind}-{digest[:16]}.{old.rpartition('.')[2]}"
        (folder / new).write_bytes(data)
        manifest["contents"][kind][number] = new
        manifest["files"].pop(old, None)
        manifest["files"][new] = digest

    reseal(folder, change)


def start_python(code: str, *arguments: object, cache: Path | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start Python on some code in another process; warnings are errors there too."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    if cache is not None:
        environment["DN2_CACHE"] = str(cache)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def files_of(folder: Path) -> Iterator[Path]:
    """List the files of a model in the order of their names."""
    return iter(sorted(folder.iterdir()))

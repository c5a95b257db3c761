"""Patches of networks that the user brings: maps and tokens, of any size or of one, large pictures in tiles."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dn2
from dn2.arrays import Pixels
from dn2.errors import BackboneError
from dn2.networks import maps as maps_module
from dn2.networks.maps import MapNetwork, Maps
from dn2.networks.pixels import Preprocessing
from dn2.networks.registry import get_map_backbone
from small_models import networks_once, own_cache, places_of, write_digits

__all__ = ["networks_once", "own_cache"]

TOKENS_BESIDE = np.array([[[9, 8, 7], [6, 5, 4]]], np.float32)  # of a class and a register
SIZE = [32, 48]
Bring = Callable[..., str]


def make(sides: Any = ("h", "w"), scale: float = 1.0) -> onnx.ModelProto:
    """Make a network that averages squares of 8 and 16 pixels, `fine` and `coarse`, and lays the first out as
    `tokens`, with two others before them."""
    node = helper.make_node
    nodes = [
        node("Mul", ["x", "scale"], ["scaled"]),
        node("AveragePool", ["scaled"], ["fine"], kernel_shape=[8, 8], strides=[8, 8]),
        node("AveragePool", ["fine"], ["coarse"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["fine", "flat"], ["rows"]),
        node("Transpose", ["rows"], ["patches"], perm=[0, 2, 1]),
        node("Concat", ["beside", "patches"], ["tokens"], axis=1),
        node("ReduceMean", ["tokens"], ["vector"], axes=[1], keepdims=0),
        node("Slice", ["fine", "zero", "one", "rows axis"], ["odd"]),
    ]
    constants = {
        "scale": np.float32(scale),
        "flat": np.array([1, 3, -1]),
        "beside": TOKENS_BESIDE,
        "zero": np.array([0]),
        "one": np.array([1]),
        "rows axis": np.array([2]),
    }
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *sides])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.fixture
def bring(tmp_path: Path) -> Bring:
    """Return a function that writes a network and its JSON, and returns the network's path."""

    def run(maps: Any = ("fine", "coarse"), network: onnx.ModelProto | None = None, **recipe: Any) -> str:
        path = tmp_path / "net.onnx"
        onnx.save(network or make(), path)
        named = {} if maps is None else {"maps": list(maps) if isinstance(maps, tuple) else maps}
        path.with_suffix(".json").write_text(json.dumps({"size": SIZE} | named | recipe))
        return str(path)

    return run


def picture(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def by_hand(pixels: Pixels, stride: int) -> np.ndarray[Any, Any]:
    """Average squares, and these over each place and the 8 around it, of which nothing lies beyond the edge."""
    height, width = (side // stride for side in pixels.shape[:2])
    squares = (pixels / 255).reshape(height, stride, width, stride, 3).mean(axis=(1, 3))
    padded = np.pad(squares, ((1, 1), (1, 1), (0, 0)))
    return sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9


@pytest.mark.parametrize("sides", [("h", "w"), SIZE], ids=["any size", "one size"])
@pytest.mark.parametrize("maps", [("fine",), ("fine", "coarse"), ("tokens", "tokens"), ("tokens", "coarse")])
def test_maps_and_tokens_become_patches(bring: Bring, maps: tuple[str, ...], sides: Any) -> None:
    network = MapNetwork(get_map_backbone(bring(maps, make(sides)), 64), "f32")
    strides = [16 if name == "coarse" else 8 for name in maps]
    assert network.dimensions == [3] * len(maps)
    for size in (SIZE, [96, 64]) if sides == ("h", "w") else (SIZE,):
        pixels = picture(*size)
        (levels,) = network.embed([pixels])
        for level, stride in zip(levels, strides, strict=True):
            assert level.dtype == np.float16
            assert np.abs(level - by_hand(pixels, stride)).max() < 1e-3


def test_networks_of_any_size_take_pictures_at_the_resolution_and_others_squash_them(bring: Bring) -> None:
    backbone = get_map_backbone(bring(interpolation="bilinear"), 64)
    assert backbone.preprocessing == Preprocessing(64, 64, "area", interpolation="bilinear", multiple=16)
    assert get_map_backbone(bring(("fine",)), None).preprocessing == Preprocessing(4096, 4096, "full", multiple=8)
    assert get_map_backbone(bring(network=make(SIZE)), 64).preprocessing == Preprocessing(*SIZE, "squash")
    for recipe in ({"shape": "pad"}, {"shape": "crop"}, {"crop_share": 0.9}):
        with pytest.raises(BackboneError, match="a network of a fixed size whose maps are wanted sees whole pictures"):
            get_map_backbone(bring(network=make(SIZE), **recipe), 64)


def test_a_large_picture_passes_in_tiles_of_whole_patches(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    network = MapNetwork(get_map_backbone(bring(), None), "f32")
    pixels = picture(304, 208)
    (whole,) = network.embed([pixels])
    monkeypatch.setattr(maps_module, "TILE", 70)
    monkeypatch.setattr(maps_module, "MARGIN", 20)
    (tiled,) = network.embed([pixels])
    received: list[Maps] = []
    network.start(pixels.copy(), received.append)
    network.wait()
    assert maps_module.largest_uncut(network.backbone.preprocessing) == 64 + 2 * 32
    for maps in (tiled, *received):
        assert all(np.array_equal(one, other) for one, other in zip(whole, maps, strict=True))
    assert np.array_equal(pixels, picture(304, 208))


def test_maps_that_were_received_are_not_overwritten_by_the_next(bring: Bring) -> None:
    pixels = picture(*SIZE)
    for sides in (("h", "w"), SIZE):
        network = MapNetwork(get_map_backbone(bring(network=make(sides)), 64), "f32")
        received: list[Maps] = []
        for one in (pixels, *[255 - pixels] * 20):
            network.start(one, received.append)
            network.wait()
        (expected,) = network.embed([pixels])
        assert all(map(np.array_equal, received[0], expected))


def test_tiles_of_lite0_do_not_show_in_its_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    network = MapNetwork(get_map_backbone("lite0", None), "f32")
    pixels = picture(288, 1408)
    (tiled,) = network.embed([pixels])
    monkeypatch.setattr(maps_module, "_cut", lambda side, tile, margin: [(0, side)])
    (whole,) = network.embed([pixels])
    *finer, coarsest = (np.abs(one.astype(float) - other) for one, other in zip(tiled, whole, strict=True))
    assert all(apart.max() < 0.02 for apart in finer)  # these see less than the margin
    assert 0 < coarsest.max() < 0.1 * whole[-1].std(dtype=float)


def test_numbers_beyond_float16_stay_finite(bring: Bring) -> None:
    network = MapNetwork(get_map_backbone(bring(network=make(scale=1e6)), 64), "f32")
    assert all(np.isfinite(level).all() for level in network.embed([picture(*SIZE)])[0])


def test_the_digest_tells_maps_from_vectors_and_one_map_from_another(bring: Bring) -> None:
    digests = [get_map_backbone(bring(maps), 64).digest for maps in (("fine",), ("coarse",), ("fine", "coarse"))]
    plain = dn2.ImageEmbedder(bring(network=make(SIZE)), cache=False)
    assert len({*digests, plain.digest}) == 4
    assert plain.transform([picture(*SIZE)]).shape == (1, 3)  # with maps named beside it


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "none named": (None, {}, 'must name the tensors that hold patches, the finest first: "maps": ["name", ...]'),
    "no list": ("fine", {}, "maps must be 1 to 4 names of tensors"),
    "too many": (["fine"] * 5, {}, "maps must be 1 to 4 names of tensors"),
    "numbers": ([1], {}, "maps must be 1 to 4 names of tensors"),
    "unknown": (["fine", "final"], {}, "has no tensor 'final', which its JSON names among its maps"),
    "the coarsest first": (["coarse", "fine"], {}, "must be the finest first, got patches of [16, 8] pixels"),
    "a vector": (["vector"], {}, "must be (1, d, height, width), or tokens (1, n, d), it is [1,3]"),
    "no grid": (["tokens"], {"size": [1024, 1032]}, "tokens, which are no grid"),
    "one row": (["odd"], {}, "must have patches as far apart down as across"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_maps_that_are_none_are_refused(bring: Bring, name: str) -> None:
    maps, recipe, words = REFUSED[name]
    if name == "no grid":
        network = make([1024, 1032])
        network.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.zeros((1, 40, 3), np.float32), "beside"))
    else:
        network = make()
    with pytest.raises(BackboneError, match=re.escape(words)):
        get_map_backbone(bring(maps, network, **recipe), 64)


def test_a_model_of_an_own_network_holds_it_and_exports_it(
    bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.image.patches.finding.MOST_PIXELS", 0)
    monkeypatch.setattr("dn2.kinds.image.patches.finding.LEAST_PLANTED", 4)
    path = bring(("tokens", "coarse"))
    write_digits(tmp_path / "normal", places_of(0)[:20])
    options: dict[str, Any] = {"resolution": 64, "bank": 20, "precision": "f32", "cache": False}
    model = dn2.fit(tmp_path / "normal", patches=True, backbone=path, **options)
    model.save(tmp_path / "own.dn2")
    Path(path).unlink()
    loaded = dn2.load(tmp_path / "own.dn2", cache=False)
    odd = picture(40, 60)
    assert loaded.score_one(odd).anomaly_score == model.score_one(odd).anomaly_score
    proof = loaded.export(tmp_path / "out")["proof"]["decision.onnx"]
    assert proof["decisions_equal"] == proof["pictures"] == 20

"""Whole decisions as files: the script of the documents decides with them as the model does."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dn2
from dn2.kinds.image.exporting import of_pictures
from dn2.kinds.image.exporting.proof import Expected, Proof, Sample
from dn2.kinds.image.exporting.table import as_table
from dn2.kinds.image.patches import finding
from dn2.model.exporting import summary
from dn2.neighbors.calibration import Calibration
from small_models import lots, networks_once, own_cache, places_of, saved, world, write_digits

__all__ = ["lots", "networks_once", "own_cache", "saved", "world"]

PAGE = Path(__file__).parents[3] / "docs" / "export.md"


def fit_patches(folder: Path, patch: pytest.MonkeyPatch, **options: Any) -> dn2.Model:
    """Fit a model of patches, with few planted defects."""
    patch.setattr(finding, "MOST_PIXELS", 0)
    patch.setattr(finding, "LEAST_PLANTED", 4)
    return dn2.fit(folder, patches=True, bank=40, cache=False, **options)


@pytest.fixture(scope="module")
def of_patches(world: Path) -> dn2.Model:
    """A model of patches, in f32."""
    with pytest.MonkeyPatch.context() as patch:
        return fit_patches(world / "normal", patch, resolution=64, precision="f32")


def script(folder: Path) -> dict[str, Any]:
    """Run the script of the documents on an export, for no picture yet; returns its names."""
    block = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[1]
    code = block.partition("\n\nfor path in")[0].replace('Path("decision")', f"Path({str(folder)!r})")
    names: dict[str, Any] = {}
    exec(compile(code, PAGE.name, "exec"), names)
    return names


def check_script(model: dn2.Model, folder: Path, pictures: list[Path], per: str | None = None) -> list[Any]:
    """Decide about pictures by script and by the model; returns the outputs of the network and the rows."""
    decide = script(folder)["decide"]
    results = model.score(pictures, per=None if per is None else [per] * len(pictures))
    found = []
    for path, row in zip(pictures, results, strict=True):
        outputs, score, p_value, is_anomaly = decide(path, per)
        assert score == pytest.approx(row.anomaly_score, rel=1e-4)
        assert (p_value, is_anomaly) == (row.p_value, row.is_anomaly), path
        found.append((outputs, row))
    assert {row.is_anomaly for _, row in found} == {True, False}
    return found


@pytest.fixture(scope="module")
def pictures(world: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """New pictures, normal and others, two of them large JPEGs that are wide and tall."""
    folder = tmp_path_factory.mktemp("new")
    large = []
    for number, (place, size) in enumerate(((places_of(0)[50], (1900, 900)), (places_of(4)[20], (900, 1700)))):
        (png,) = write_digits(folder / str(number), [place])
        large.append(folder / f"{number}.jpg")
        Image.open(png).resize(size).save(large[-1])
    return [*sorted((world / "more").iterdir())[:4], *sorted((world / "other").iterdir())[:4], *large]


def test_the_files_of_a_model_of_patches_decide_as_it_does(
    of_patches: dn2.Model, pictures: list[Path], tmp_path: Path
) -> None:
    about = of_patches.export(tmp_path / "out")
    assert about == json.loads((tmp_path / "out" / "decision.json").read_text(encoding="utf-8"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*about["files"], "decision.json"])
    for name, digest in about["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert about["proof"].keys() == {"decision.onnx", "decision.xml"}
    for proof in about["proof"].values():
        assert (proof["pictures"], proof["reference_pictures"], proof["decisions_equal"]) == (20, 16, 20)
        assert proof["largest_map_difference"] < 1e-4
    kind = of_patches.kind
    assert about["map_threshold"] == kind.learnt.threshold(of_patches.false_alarm_rate)
    owners = np.concatenate([bank.owners for bank in kind.patches.banks])
    for outputs, row in check_script(of_patches, tmp_path / "out", pictures):
        assert np.abs(outputs["anomaly_map"] - row.evidence.anomaly_map).max() < 1e-3
        highest = int(outputs["anomaly_map"].argmax())
        nearest = int(outputs["nearest"].ravel()[highest])
        assert about["patches"][nearest] == owners[nearest]
        assert about["reference"][owners[nearest]] == row.neighbors[0].item


def test_files_look_where_the_model_does(
    world: Path, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((140, 110), np.uint8)
    mask[20:100, 9:77] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = {"mask": str(tmp_path / "mask.png"), "resolution": 96, "precision": "f32"}
    model = fit_patches(world / "normal", monkeypatch, **options)
    about = model.export(tmp_path / "out")
    assert about["files"]["region.png"] == hashlib.sha256((tmp_path / "out" / "region.png").read_bytes()).hexdigest()
    for proof in about["proof"].values():
        assert (proof["pictures"], proof["decisions_equal"]) == (20, 20)
        assert proof["largest_map_difference"] < 1e-4
    for outputs, row in check_script(model, tmp_path / "out", pictures):
        assert np.abs(outputs["anomaly_map"] - row.evidence.anomaly_map).max() < 1e-3
        assert np.array_equal(outputs["anomaly_map"] == 0, row.evidence.anomaly_map == 0)
        assert 0.2 < (outputs["anomaly_map"] > 0).mean() < 0.6
    model.export(tmp_path / "out", format="openvino", overwrite=True)


MODELS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "with confidence": {"confidence": 0.9, "false_alarm_rate": 0.2},
    "cleaned": {"contaminated": True, "drop": 0.1},
    "whitened": {"whiten": True},
    "in parts": {"part": r"(\d\d)\d"},
    "joined": {"backbone": "lite0-posterior@32+tiny+lite0-posterior@48", "precision": "f32"},
}


@pytest.mark.parametrize("name", MODELS)
def test_the_files_of_a_model_of_whole_pictures_decide_as_it_does(
    world: Path, pictures: list[Path], tmp_path: Path, name: str
) -> None:
    options = {"backbone": "tiny", "precision": "f32"} | MODELS[name]
    options["backbone"] = options["backbone"].replace("tiny", str(world / "tiny.onnx"))
    model = dn2.fit(world / "normal", cache=False, **options)
    about = model.export(tmp_path / "out", format="openvino")
    for outputs, row in check_script(model, tmp_path / "out", pictures):
        assert [about["reference"][place] for place in outputs["nearest"]] == [one.item for one in row.neighbors]
        distances = [one.distance for one in row.neighbors]
        assert outputs["distances"].tolist() == pytest.approx(distances, rel=1e-4, abs=1e-6)


def test_each_line_has_a_table_of_its_own(world: Path, pictures: list[Path], tmp_path: Path) -> None:
    normal = sorted((world / "normal").iterdir())
    lines = ["left" if number % 3 else "right" for number in range(len(normal))]
    model = dn2.fit(normal, backbone=str(world / "tiny.onnx"), precision="f32", per=lines, cache=False)
    about = model.export(tmp_path / "out", format="openvino")
    assert {line: table["sample_size"] for line, table in about["decision"]["per"].items()} == {"left": 26, "right": 14}
    check_script(model, tmp_path / "out", pictures, "right")


def test_a_model_in_bf16_says_how_far_its_files_are_from_it(world: Path, tmp_path: Path, needs_bf16: None) -> None:
    model = dn2.fit(world / "normal", backbone="lite0@32", precision="bf16", cache=False)
    about = model.export(tmp_path / "out", format="openvino")
    assert about["arithmetic"] == {"model": "bf16", "exported": "f32"}
    assert 1e-4 < about["proof"]["the model in bf16"]["largest_score_difference"] < 0.5
    assert about["proof"]["decision.xml"]["largest_score_difference"] < 1e-4
    assert summary(about)[1].startswith("the model in bf16: scores differ by at most")


def test_reference_pictures_that_are_gone_are_tried_as_thumbnails(tmp_path: Path, world: Path) -> None:
    write_digits(tmp_path / "normal", places_of(0)[:20])
    model = dn2.fit(tmp_path / "normal", backbone=str(world / "tiny.onnx"), precision="f32", cache=False)
    for path in (tmp_path / "normal").iterdir():
        path.unlink()
    about = model.export(tmp_path / "out", format="onnx")
    assert about["files"].keys() == {"decision.onnx"}
    assert about["proof"]["decision.onnx"]["reference_pictures"] == 16


def test_nothing_is_written_that_decides_otherwise(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = dn2.load(saved)
    model.export(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    neighbors_of = of_pictures.neighbors_of
    monkeypatch.setattr(of_pictures, "neighbors_of", lambda detector: neighbors_of(detector)[:20])
    with pytest.raises(dn2.BackboneError, match=r"decision.onnx decides otherwise than dn2: .* nothing was written"):
        model.export(tmp_path / "out", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name != "own-cache"] == ["out"]


def test_an_export_is_replaced_only_where_that_is_asked_for(saved: Path, tmp_path: Path) -> None:
    model, out = dn2.load(saved), tmp_path / "new" / "out"
    model.export(out)
    with pytest.raises(dn2.InputError, match=r"out is an export already; .* overwrite=True to replace it"):
        model.export(out)
    model.export(out, format="openvino", overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["decision.bin", "decision.json", "decision.xml"]
    assert list(out.parent.iterdir()) == [out]
    (out / "notes.txt").touch()
    for target in (out, saved, saved / "model.json"):
        with pytest.raises(dn2.InputError, match=r"holds other files than an export|is no folder"):
            model.export(target, overwrite=True)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "smooth": ({"smooth": True}, "drawn by the names of items"),
    "float16": ({"storage": "float16"}, "fit with storage='float32'"),
    "centroids": ({"index": "kmeans:4"}, "searches by kmeans; fit with index='exact'"),
    "groups": ({"groups": True, "normalize": "unit"}, "compares groups of pictures"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_network_decides_is_refused(world: Path, lots: Path, tmp_path: Path, name: str) -> None:
    options, words = REFUSED[name]
    inputs = lots / "good" if name == "groups" else world / "normal"
    model = dn2.fit(inputs, backbone=str(world / "tiny.onnx"), cache=False, **options)
    with pytest.raises(dn2.InputError, match=re.escape(words)):
        model.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_kinds_and_unknown_formats_are_refused(saved: Path, tmp_path: Path) -> None:
    rows = dn2.fit(np.random.default_rng(0).normal(size=(40, 3)))
    with pytest.raises(dn2.InputError, match="models of pictures are exported, and this is one of vectors"):
        rows.export(tmp_path / "out")
    for formats in ("onxx", ["onnx", "tflite"], []):
        with pytest.raises(dn2.InputError, match="format must be onnx or openvino, got"):
            dn2.load(saved).export(tmp_path / "out", format=formats)


def test_pictures_that_dn2_sees_in_tiles_are_refused(
    of_patches: dn2.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.image.export.largest_uncut", lambda _: 32)
    with pytest.raises(dn2.InputError, match=r"which dn2 sees in tiles, .* at most 32 pixels a side"):
        of_patches.export(tmp_path / "out", format="openvino")


@given(
    scores=st.lists(st.integers(0, 9).map(float), min_size=1, max_size=30),
    queries=st.lists(st.integers(-1, 11).map(lambda n: n / 2), min_size=1),
    confidence=st.none() | st.just(0.9),
    in_parts=st.booleans(),
)
def test_a_table_gives_the_p_values_of_the_calibration(
    scores: list[float], queries: list[float], confidence: float | None, in_parts: bool
) -> None:
    parts = np.arange(len(scores)) // 2 if in_parts else None
    n_parts = int(parts[-1]) + 1 if parts is not None else 0
    calibration = Calibration(np.sort(scores), len(scores), parts=parts, n_parts=n_parts, confidence=confidence)
    table = json.loads(json.dumps(as_table(calibration, calibration.smallest_rate, [])))
    found = np.array(table["p_values"])[np.searchsorted(table["scores"], queries)]
    assert found.tolist() == calibration.p_value(np.array(queries)).tolist()


def test_a_score_on_the_threshold_may_fall_on_either_side() -> None:
    sample, proof = Sample({}, (), False), Proof()
    proof.add(sample, Expected(1.00001), Expected(1.0), 1.0)
    proof.check("it")
    assert (proof.pictures, proof.decisions_equal, proof.within_rounding) == (1, 0, 1)
    proof.add(sample, Expected(1.0), Expected(1.002), 1.0)
    with pytest.raises(dn2.BackboneError, match="of 2 pictures 1 are decided otherwise"):
        proof.check("it")

"""Patch models: where in a picture, from fit to saved model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load, save

import dn2
from dn2 import InputError, Model, ModelError, ReferenceTooSmall
from dn2.kinds.image import embedding
from dn2.kinds.image.evidence import RegionEvidence
from dn2.kinds.image.patches import finding
from dn2.kinds.image.patches.planting import KINDS, SIZES, plant
from dn2.kinds.image.patches.regions import find_regions
from dn2.networks import maps
from dn2.results.files import read_rows
from dn2.store import kept
from small_models import networks_once, own_cache, replace_part, reseal

__all__ = ["networks_once", "own_cache"]  # fixtures

OPTIONS = {"patches": True, "resolution": 96, "precision": "f32", "bank": 60}
SPOT = (60, 30, 76, 46)  # left, top, right, bottom


@pytest.fixture(autouse=True, scope="module")
def few_planted() -> Iterator[None]:
    """Draw few defects: what is told of them is slow, and tested once, on `fitted`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "MOST_PLANTED", 20)
        yield


def part(number: int, size: tuple[int, int] = (96, 80)) -> np.ndarray:
    """Draw a picture of a made part: brighter to the right, a hole at its place, grain of its own."""
    width, height = size
    rng = np.random.default_rng(number)
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    picture = 90 + 60 * across + 8 * rng.normal(size=(height, width)) + 6 * rng.normal()
    picture[np.hypot(across - 0.25, down - 0.5) < 0.15] = 30
    return picture.clip(0, 255).astype(np.uint8)


def with_spot(number: int) -> np.ndarray:
    picture = part(number)
    picture[SPOT[1] : SPOT[3], SPOT[0] : SPOT[2]] = 220
    return picture


def write(folder: Path, numbers: Sequence[int]) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(part(number)).save(folder / f"part_{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("patches") / "good", range(40))


@pytest.fixture(scope="module")
def fitted(good: Path) -> Model:
    """A model as it was fitted; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "MOST_PLANTED", 60)
        return dn2.fit(good, cache=False, progress=False, **OPTIONS)


@pytest.fixture(scope="module")
def saved(fitted: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `fitted`, saved; not to be changed."""
    folder = tmp_path_factory.mktemp("model") / "parts.dn2"
    fitted.save(folder)
    return folder


@pytest.fixture
def model(saved: Path) -> Model:
    return dn2.load(saved, cache=False)


def test_a_defect_is_found_and_outlined_and_compared_with_a_normal_patch_of_its_place(model: Model) -> None:
    normal, strange = model.score([part(100), with_spot(101)], names=["normal", "strange"], progress=False)
    assert (normal.is_anomaly, strange.is_anomaly) == (False, True)
    assert normal.regions == ()
    region = strange.regions[0]
    assert region.p_value == pytest.approx(1 / 21)
    left, top, right, bottom = region.box
    assert left < (SPOT[0] + SPOT[2]) / 2 < right
    assert top < (SPOT[1] + SPOT[3]) / 2 < bottom
    assert 0 <= left < right <= 96
    assert 0 <= top < bottom <= 80
    assert region.area == pytest.approx(region.share * 96 * 80, abs=1)
    corners = np.array(region.outline)
    assert (corners >= (left - 1, top - 1)).all()
    assert (corners <= (right + 1, bottom + 1)).all()
    assert region.nearest in {item.name for item in model.items}
    middle = [(region.nearest_box[0] + region.nearest_box[2]) / 2, (region.nearest_box[1] + region.nearest_box[3]) / 2]
    assert 0 < min(middle) <= max(middle) < 1
    assert region.peak > 1.5
    assert strange.evidence.anomaly_map.max() == pytest.approx(region.peak)


def test_maps_and_decisions_are_the_same_one_by_one_and_all_together(model: Model) -> None:
    pictures = [part(100), with_spot(101), part(102, (60, 130)), part(103, (200, 90))]
    together = model.score(pictures, progress=False)
    for picture, row in zip(pictures, together, strict=True):
        alone = model.score_one(picture)
        assert (alone.anomaly_score, alone.p_value, alone.neighbors) == (
            row.anomaly_score,
            row.p_value,
            row.neighbors,
        )
        assert np.array_equal(alone.evidence.anomaly_map, row.evidence.anomaly_map)
        assert alone.regions == row.regions
    shapes = [row.evidence.anomaly_map.shape for row in together]
    assert shapes[2][0] > shapes[2][1]  # as tall as the picture
    assert shapes[3][0] < shapes[3][1]


def test_a_saved_model_scores_as_the_one_that_was_fitted(fitted: Model, saved: Path, tmp_path: Path) -> None:
    loaded = dn2.load(saved)
    rows = [one.score([part(100), with_spot(101)], progress=False).rows for one in (fitted, loaded)]
    for a, b in zip(*rows, strict=True):
        assert replace(a, evidence=None) == replace(b, evidence=None)
        assert a.regions == b.regions
    about, again = fitted.describe(), loaded.describe()
    assert about["patches"] == again["patches"]
    assert about["calibration"]["method"] == "split"
    assert about["calibration"]["sample_size"] == 20
    results = loaded.score([part(100), with_spot(101)], names=["a", "b"], progress=False)
    results.to_csv(tmp_path / "results.csv")
    read = read_rows(tmp_path / "results.csv", RegionEvidence)
    assert [row.regions for row in read] == [row.regions for row in results]


def test_how_small_a_defect_would_be_found_is_told_by_kind_and_size(model: Model) -> None:
    found = model.describe()["patches"]["finding"]
    assert {(one["kind"], one["size"]) for one in found} == {(kind, size) for kind in KINDS for size in SIZES}
    assert all(0 <= one["found"] <= one["drawn"] for one in found)
    spots = [one["found"] / one["drawn"] for one in found if one["kind"] == "spot"]
    assert spots[-1] > spots[0]


def test_the_strength_of_the_lamp_says_nothing_unless_it_is_asked_for(good: Path, model: Model) -> None:
    bright, dark = (part(100).astype(float) * share + 20 for share in (0.9, 0.3))
    rows = model.score([bright.astype(np.uint8), dark.astype(np.uint8)], progress=False)
    assert rows[0].anomaly_score == pytest.approx(rows[1].anomaly_score, rel=0.1)
    as_is = dn2.fit(good, cache=False, progress=False, light="as-is", **OPTIONS)
    rows = as_is.score([bright.astype(np.uint8), dark.astype(np.uint8)], progress=False)
    assert rows[1].anomaly_score > rows[0].anomaly_score
    assert (rows[0].is_anomaly, rows[1].is_anomaly) == (False, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [SIZES[0], SIZES[-1]])
def test_a_planted_defect_changes_about_what_its_size_says_and_nothing_else(kind: str, size: float) -> None:
    picture = np.repeat(part(0, (200, 160))[..., None], 3, axis=2)
    planted = plant(picture, kind, size, np.random.default_rng(3))
    assert not np.shares_memory(planted.pixels, picture)
    changed = (planted.pixels != picture).any(axis=2)
    length = max(2.0, size * np.sqrt(200 * 160))
    assert planted.pixels.shape == picture.shape
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert np.hypot(np.ptp(rows), np.ptp(columns)) <= 3.5 * length + 3


@pytest.mark.parametrize(
    "changed",
    [{"box": [1, 2, 3]}, {"box": [1, 2, 3, 4.5]}, {"outline": [[1, 2, 3]]}, {"nearest_box": [0.1]}, {"area": "many"}],
)
def test_regions_of_another_form_are_refused_when_a_file_is_read(changed: dict[str, object]) -> None:
    region = {
        "box": [1, 2, 3, 4],
        "outline": [[1, 2], [3, 4]],
        "area": 4,
        "share": 0.1,
        "peak": 2.0,
        "p_value": 0.1,
        "nearest": "part 1",
        "nearest_box": [0, 0, 0.5, 0.5],
    }
    (read,) = RegionEvidence.from_record({"regions": json.dumps([region])}).regions
    assert (read.box, read.outline) == ((1, 2, 3, 4), ((1, 2), (3, 4)))
    with pytest.raises((TypeError, ValueError)):
        RegionEvidence.from_record({"regions": json.dumps([region | changed])})


def test_regions_are_the_connected_places_above_the_threshold() -> None:
    anomaly_map = np.ones((10, 14), np.float32)
    anomaly_map[2:4, 3:6] = 3
    anomaly_map[7, 12] = 4
    anomaly_map[2, 3] = 3.5
    found = find_regions(anomaly_map, 2)
    assert [(region.peak, region.cell) for region in found] == [(4, (7, 12)), (3.5, (2, 3))]
    box, outline = np.array(found[1].box) * (14, 10, 14, 10), found[1].outline * (14, 10)
    assert np.allclose(box, (3, 2, 6, 4), atol=0.5)
    assert np.abs(outline.min(axis=0) - (3, 2)).max() < 0.5
    assert np.abs(outline.max(axis=0) - (6, 4)).max() < 0.5
    assert found[1].area == pytest.approx(6 / 140, rel=0.3)
    assert find_regions(anomaly_map, 4) == []
    assert [region.cell for region in find_regions(anomaly_map, 3.99)] == [(7, 12)]


def test_added_pictures_join_the_banks_or_those_that_calibrate_and_removed_ones_leave(
    model: Model, tmp_path: Path
) -> None:
    before = model.state.kind.learnt
    model.add(write(tmp_path / "more", range(40, 50)), progress=False)
    grown = model.state.kind.learnt
    calibrating = len(grown.members) - len(before.members)
    assert len(model.items) == 50
    assert 0 < calibrating < 10
    assert grown.joined == 10 - calibrating
    assert np.isin(before.members, grown.members).all()
    owners = np.concatenate([bank.owners for bank in grown.detector.banks])
    assert owners.max() < 50
    model.remove(["part_03.png", "part_40.png"])
    learnt = model.state.kind.learnt
    assert len(model.items) == 48
    assert max(bank.owners.max() for bank in learnt.detector.banks) < len(model.items)
    assert model.score_one(with_spot(101)).is_anomaly


def test_what_calibrates_is_scored_anew_where_patches_have_left_the_bank(model: Model, good: Path) -> None:
    learnt = model.state.kind.learnt
    owners = np.unique(np.concatenate([bank.owners for bank in learnt.detector.banks]))
    removed = int(owners[~np.isin(owners, learnt.members)][0])
    model.remove([model.items[removed].name])
    after = model.state.kind.learnt
    assert len(after.members) == len(learnt.members)
    for position, score in zip(after.members.tolist(), after.scores, strict=True):
        picture = np.asarray(Image.open(good / model.items[position].name))
        detector, embedded = after.detector, model.embedder.picture_of(picture)
        near = detector.compare(embedded.parts, np.array([position]))
        assert score == pytest.approx(detector.score(detector.anomaly_map(near)), rel=1e-5)


def test_pictures_that_are_gone_calibrate_no_longer(tmp_path: Path) -> None:
    folder = write(tmp_path / "good", range(30))
    model = dn2.fit(folder, cache=False, progress=False, **OPTIONS)
    learnt = model.state.kind.learnt
    gone = [model.items[position].name for position in learnt.members[:5]]
    for name in gone:
        (folder / name).unlink()
    owners = np.unique(np.concatenate([bank.owners for bank in learnt.detector.banks]))
    model.remove([model.items[int(owners[~np.isin(owners, learnt.members)][0])].name])
    assert model.calibration.sample_size == len(learnt.members) - 5


def test_parts_are_halved_whole_and_a_known_part_of_a_picture_is_left_out(tmp_path: Path) -> None:
    pictures = [part(number // 2) for number in range(40)]
    labels = [f"part {number // 2}" for number in range(40)]
    model = dn2.fit(pictures, part=labels, cache=False, progress=False, **OPTIONS)
    learnt = model.state.kind.learnt
    calibrating = {model.items[position].part for position in learnt.members}
    others = {item.part for place, item in enumerate(model.items) if place not in learnt.members}
    assert not calibrating & others
    assert len(calibrating) == model.calibration.sample_size == 10
    strange = with_spot(0)
    known, new = (model.score([strange], part=[label], progress=False)[0] for label in ("part 0", "part 99"))
    assert known.anomaly_score >= new.anomaly_score
    assert all(neighbor.part != "part 0" for neighbor in known.neighbors)


def test_each_group_has_a_rate_of_its_own_and_regions_have_one_for_all(good: Path) -> None:
    labels = ["left" if number % 2 else "right" for number in range(40)]
    model = dn2.fit(good, per=labels, cache=False, progress=False, **OPTIONS)
    strange, of_none = model.score([with_spot(101)] * 2, per=["left", "elsewhere"], progress=False)
    assert strange.p_value == pytest.approx(1 / 11)
    assert (of_none.p_value, of_none.is_anomaly) == (None, None)
    assert [row.regions[0].p_value for row in (strange, of_none)] == pytest.approx([1 / 21] * 2)


def test_with_confidence_pictures_that_calibrate_give_no_patches(good: Path) -> None:
    model = dn2.fit(good, cache=False, progress=False, confidence=0.9, false_alarm_rate=0.2, **OPTIONS)
    learnt = model.state.kind.learnt
    owners = np.concatenate([bank.owners for bank in learnt.detector.banks])
    assert not np.isin(owners, learnt.members).any()
    assert model.calibration.method == "held-out"
    assert model.score_one(with_spot(101)).is_anomaly


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resolution": 96}, "resolution is of patches: say patches, too"),
        ({"bank": 9}, "bank is of patches: say patches, too"),
        ({"patches": True, "resolution": 20}, "resolution must be full, or the side of a square of 64 to 4,096 pixels"),
        ({"patches": True, "resolution": "big"}, "resolution must be full, or the side of a square"),
        ({"patches": True, "groups": True}, "patches are those of single pictures: leave out groups, or patches"),
        ({"patches": True, "contaminated": True}, "patches are learnt from pictures that are normal"),
        ({"patches": True, "whiten": True}, "patches are compared as they are: leave out whiten, or patches"),
        ({"patches": True, "index": "kmeans:4"}, "the bank of patches is searched whole: leave out index"),
    ],
)
def test_options_that_do_not_go_with_patches_are_refused(good: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        dn2.fit(good, progress=False, **options)


def test_only_the_region_of_interest_is_looked_at(good: Path, tmp_path: Path) -> None:
    mask = np.full((40, 48), 255, np.uint8)
    mask[:, 20:] = 0  # the side of the spot
    Image.fromarray(mask).save(tmp_path / "mask.png")
    model = dn2.fit(good, progress=False, mask=str(tmp_path / "mask.png"), **{**OPTIONS, "resolution": 160})
    learnt = model.state.kind.learnt
    assert max(bank.places[:, 1].max() for bank in learnt.detector.banks) < 0.45
    strange = part(101)
    strange[30:46, 78:94] = 220
    row = model.score_one(strange)
    assert (row.is_anomaly, row.regions) == (False, ())
    width = row.evidence.anomaly_map.shape[1]
    plain = model.score_one(part(101))
    assert np.array_equal(row.evidence.anomaly_map, plain.evidence.anomaly_map)
    assert not row.evidence.anomaly_map[:, width // 2 :].any()
    assert row.evidence.anomaly_map[:, : width // 3].all()
    inside = part(102)
    inside[60:76, 8:24] = 220
    assert model.score_one(inside).is_anomaly
    model.save(tmp_path / "m.dn2")
    loaded = dn2.load(tmp_path / "m.dn2")
    assert loaded.score_one(inside).anomaly_score == model.score_one(inside).anomaly_score
    assert loaded.describe()["patches"]["looked_at"] == pytest.approx(20 / 48, abs=0.02)
    assert ("looked at", "42% of a picture, where the mask is white") in loaded.kind.say(loaded.describe())


def test_a_mask_that_is_no_picture_or_black_is_refused_before_the_work(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.image.kind.embed_items", lambda *_, **__: pytest.fail("worked"))
    (tmp_path / "words.png").write_bytes(b"words")
    Image.new("L", (9, 9)).save(tmp_path / "black.png")
    for name, words in (
        ("words.png", "must be a picture, white where"),
        ("black.png", "nothing in it is"),
        ("none.png", "must be a picture"),
    ):
        with pytest.raises(InputError, match=words):
            dn2.fit(good, progress=False, mask=str(tmp_path / name), **OPTIONS)


def test_a_network_without_maps_is_refused(good: Path) -> None:
    with pytest.raises(dn2.BackboneError, match="patches are those of lite0"):
        dn2.fit(good, progress=False, patches=True, backbone="lite0-posterior")


def test_a_rate_that_half_of_the_pictures_cannot_support_is_refused_before_the_work(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.image.kind.embed_items", lambda *_, **__: pytest.fail("worked"))
    with pytest.raises(ReferenceTooSmall, match=r"0\.04 needs"):
        dn2.fit(good, progress=False, false_alarm_rate=0.04, **OPTIONS)


def test_a_broken_picture_is_named_and_stops_nothing(model: Model, tmp_path: Path) -> None:
    folder = write(tmp_path / "new", [100, 101])
    (folder / "broken.png").write_bytes(b"no picture")
    rows = {row.item: row for row in model.score(folder, progress=False)}
    assert rows["broken.png"].error is not None
    assert rows["part_100.png"].p_value is not None


def test_large_pictures_are_seen_in_tiles_and_a_scratch_of_them_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "LEAST_PLANTED", 4)
    monkeypatch.setattr(finding, "MOST_PIXELS", 0)
    monkeypatch.setattr(maps, "TILE", 512)
    monkeypatch.setattr(maps, "MARGIN", 128)
    rng = np.random.default_rng(0)
    pictures = [(120 + 10 * rng.normal(size=(256, 900))).clip(0, 255).astype(np.uint8) for _ in range(7)]
    model = dn2.fit(
        pictures[:6], cache=False, progress=False, patches=True, resolution="full", false_alarm_rate=0.25, bank=100
    )
    pictures[6][100:103, 700:712] = 255
    row = model.score_one(pictures[6])
    assert row.evidence.anomaly_map.shape == (32, 112)
    left, top, right, bottom = row.regions[0].box
    assert (left < 712, right > 700, top < 103, bottom > 100) == (True, True, True, True)
    assert right - left < 200
    assert bottom - top < 200
    monkeypatch.setattr(embedding, "BATCH_BYTES", 1)  # one at a time
    monkeypatch.setattr(kept, "MOST_IN_MEMORY", 0)  # and their maps in a file
    (first, last) = model.score([pictures[5], pictures[6]])
    assert np.array_equal(last.evidence.anomaly_map, row.evidence.anomaly_map)
    assert (last.anomaly_score, last.regions) == (row.anomaly_score, row.regions)
    assert first.anomaly_score < last.anomaly_score


def test_a_damaged_bank_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts.dn2"
    shutil.copytree(saved, folder)
    reseal(folder, lambda manifest: manifest["patches"].update(given="many"))
    with pytest.raises(ModelError, match="does not hold together"):
        dn2.load(folder)
    shutil.rmtree(folder)
    shutil.copytree(saved, folder)
    manifest = json.loads((folder / "model.json").read_text())
    (name,) = manifest["contents"]["bank"]
    arrays = load((folder / name).read_bytes())
    arrays["bank-owners-0"] = arrays["bank-owners-0"] + 1000
    replace_part(folder, "bank", save(arrays))
    with pytest.raises(ModelError, match="patches of a bank must be of pictures"):
        dn2.load(folder)

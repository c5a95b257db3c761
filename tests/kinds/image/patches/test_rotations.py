"""Pictures that teach what is normal in several rotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dn2
from dn2.errors import InputError
from dn2.kinds.image.patches import finding
from dn2.model.model import Model
from dn2.neighbors.patches.looking import unturned
from dn2.networks.looking import turn, turned_region, write_region
from dn2.networks.pixels import EVEN_MEAN, Preprocessing, to_pixels
from small_patches import picture

AREA = Preprocessing(96, 96, "area", multiple=8)
OPTIONS: dict[str, Any] = {
    "patches": True,
    "resolution": 96,
    "false_alarm_rate": 0.2,
    "cache": False,
    "progress": False,
}
EVERY_PATCH = 10_000  # a bank of all that are sampled


@pytest.fixture(scope="module")
def turned_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return a model of pictures in quarter turns, and with all their patches, that was saved: nothing changes it."""
    folder = tmp_path_factory.mktemp("turned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "LEAST_PLANTED", 4)
        patch.setattr(finding, "MOST_PLANTED", 4)
        model = dn2.fit([picture(seed) for seed in range(10)], rotations=4, bank=EVERY_PATCH, **OPTIONS)
    model.save(folder / "m.dn2")
    return dn2.load(folder / "m.dn2")


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_are_exact_and_turn_the_region_along(quarters: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)
    white = np.random.default_rng(1).uniform(size=(72, 96)) < 0.7
    image, region = Image.fromarray(pixels), write_region(white)
    assert np.array_equal(turn(image, 90 * quarters), np.rot90(pixels, quarters))
    assert np.array_equal(turned_region(region, image.size, 90 * quarters), np.rot90(white, quarters))
    size = Preprocessing(96, 96, "full", region=region, turned=90.0 * quarters)
    expected = np.where(np.rot90(white, quarters)[..., None], np.rot90(pixels, quarters), EVEN_MEAN)
    assert np.array_equal(to_pixels(image, size), expected)


@pytest.mark.parametrize("degrees", [30.0, 90.0, 135.0, 180.0, 200.0, 270.0])
def test_a_place_of_a_turned_picture_is_found_in_the_picture(degrees: float) -> None:
    pixels = np.zeros((60, 80), np.uint8)
    pixels[38:42, 48:52] = 255
    turned = np.asarray(turn(Image.fromarray(pixels), degrees), float)
    assert turned.shape == ((80, 60) if degrees % 180 == 90 else (60, 80))
    middle = (np.argwhere(turned > 99) + 0.5).mean(axis=0)
    (found,) = unturned(middle[None], *turned.shape, degrees)
    assert np.allclose(found, (40 / 60, 50 / 80), atol=0.01)


def test_what_comes_in_at_the_corners_is_what_the_edges_reflect_and_is_left_out() -> None:
    pixels = np.full((60, 80), 120, np.uint8)
    assert (np.asarray(turn(Image.fromarray(pixels), 40)) == 120).all()
    region = np.asarray(turned_region(None, (80, 60), 40.0))
    assert not region[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert region[20:40, 20:60].all()
    assert np.asarray(turned_region(None, (80, 60), 90.0)).all()


def test_a_picture_that_taught_is_normal_in_any_quarter_turn_patch_by_patch(turned_model: Model) -> None:
    learnt = turned_model.kind.learnt
    taught = np.setdiff1d(np.arange(10), learnt.members).tolist()
    for quarters in range(4):
        row = turned_model.score_one(np.rot90(picture(taught[quarters]), quarters).copy())
        assert row.anomaly_score == 0
        assert not row.evidence.anomaly_map.any()
        assert row.neighbors[0].item == turned_model.items[taught[quarters]].name
    strange = turned_model.score_one(np.rot90(picture(200, strange=True)).copy())
    assert strange.is_anomaly


def test_those_that_calibrate_are_compared_as_they_were_photographed(turned_model: Model) -> None:
    learnt = turned_model.kind.learnt
    for position, score in zip(learnt.members.tolist(), learnt.scores.tolist(), strict=True):
        row = turned_model.embedder.picture_of(picture(position))
        near = learnt.detector.compare(row.parts, np.array([position]))
        assert score == pytest.approx(learnt.detector.score(learnt.detector.anomaly_map(near)), rel=1e-5)
    of_members = [np.isin(bank.owners, learnt.members) for bank in learnt.detector.banks]
    assert all(flags.sum() <= 16 * len(learnt.members) for flags in of_members)


def test_places_are_not_told_apart_and_it_is_said_how_pictures_taught(turned_model: Model) -> None:
    about = turned_model.describe()
    assert (about["patches"]["by_place"], about["patches"]["rotations"]) == (False, 4)
    said = dict(turned_model.kind.say(about))
    assert said["learnt from"] == "each picture in 4 rotations, but for those that calibrate"
    assert said["distances"].endswith("usual anywhere in the pictures")


def test_the_patch_that_a_region_is_like_lies_where_it_was_before_the_turn(turned_model: Model) -> None:
    bank = turned_model.kind.learnt.detector.banks[0]
    taught = int(np.setdiff1d(np.arange(10), turned_model.kind.learnt.members)[0])
    shown = turned_model.embedder.picture_of(np.rot90(picture(taught)).copy())
    near = turned_model.kind.patches.compare(shown.parts)
    for cell in ((0, 0), (3, 7), (11, 2)):
        owner, box = turned_model.kind.patches.nearest_place(cell, near, (12, 12))
        patch = near[0].patches[cell]
        assert owner == bank.owners[patch] == taught
        expected = (cell[1] + 0.5) / 12, 1 - (cell[0] + 0.5) / 12  # down and across, of what was turned by a quarter
        assert bank.places[patch] == pytest.approx(expected, abs=1e-5)
        assert box[0] < expected[1] < box[2]
        assert box[1] < expected[0] < box[3]


def test_what_is_turned_out_of_the_picture_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_PLANTED", 2)
    corner = np.zeros((72, 96), bool)
    corner[:8, :8] = True
    model = dn2.fit([picture(seed) for seed in range(10)], mask=[corner] * 10, rotations=8, bank=EVERY_PATCH, **OPTIONS)
    learnt = model.kind.learnt
    for bank in learnt.detector.banks:
        assert (bank.places < 0.2).all()
    assert model.score_one(picture(20), mask=corner).anomaly_score > 0


def test_added_pictures_teach_in_the_same_rotations(turned_model: Model, tmp_path: Path) -> None:
    turned_model.save(tmp_path / "m.dn2")
    model = dn2.load(tmp_path / "m.dn2")
    model.add([picture(seed, strange=True) for seed in range(30, 36)], names=list("abcdef"), progress=False)
    learnt = model.kind.learnt
    teaching = np.setdiff1d(np.arange(10, 16), learnt.members).tolist()
    assert teaching
    assert learnt.joined == len(teaching)
    for position in teaching:
        for quarters in range(4):
            left, top = 68 / 96, 24 / 72
            places = learnt.detector.banks[0].places[learnt.detector.banks[0].owners == position]
            assert np.hypot(*(places - (top, left)).T).min() < 0.15
            turned = np.rot90(picture(position + 20, strange=True), quarters).copy()
            assert model.score_one(turned).anomaly_score < turned_model.score_one(turned).anomaly_score / 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rotations": 4}, "rotations is of patches: say patches, too"),
        ({"rotations": 0, "patches": True}, "rotations must be an integer of at least 1"),
        ({"rotations": 37, "patches": True}, "rotations must be at most 36, got 37"),
    ],
)
def test_rotations_that_are_none_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        dn2.fit([picture(0)] * 9, progress=False, **options)

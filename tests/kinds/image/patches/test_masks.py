"""A mask for each picture: what is outside of it is not seen, and what has none is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import dn2
from dn2.arrays import Flags, Pixels
from dn2.errors import InputError, UnreadableItem
from dn2.kinds.image.patches import finding
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.kinds.image.patches.masks import read_mask
from dn2.model.model import Model
from dn2.model.scoring import read_scored
from dn2.networks.looking import REGION_SIDE, read_region, write_region
from dn2.networks.maps import MapNetwork
from dn2.networks.sources import Viewed
from dn2.store.cache import Cache

HEIGHT, WIDTH = 300, 360  # more than a region has places
OPTIONS: dict[str, Any] = {"patches": True, "resolution": 96, "bank": 60, "false_alarm_rate": 0.1}


def mask_of(seed: int) -> Flags:
    """Return where the part lies: a slanted bar, each time elsewhere."""
    rng = np.random.default_rng([seed, 1])
    slope, middle = rng.uniform(-0.3, 0.3), rng.uniform(120, 180)
    down = np.arange(HEIGHT)[:, None] - middle - slope * (np.arange(WIDTH)[None] - WIDTH / 2)
    return np.abs(down) < 55


def part(seed: int, background: int, *, spot: bool = False) -> Pixels:
    """Return a photo of a part before a noisy background, which reaches to the pixel beside it."""
    pixels = np.random.default_rng([seed, 2]).integers(110, 130, (HEIGHT, WIDTH), np.uint8)
    mask, behind = mask_of(seed), np.random.default_rng([seed, 3, background])
    if spot:
        row = int(np.flatnonzero(mask[:, 180]).mean())
        pixels[row - 20 : row + 20, 160:200] = 0
    return np.where(mask, pixels, behind.integers(0, 256, mask.shape, np.uint8))


def write(folder: Path, seeds: range, background: int, **options: bool) -> Path:
    """Write photos to `parts`, and their masks to `masks`."""
    for name in ("parts", "masks"):
        (folder / name).mkdir(parents=True)
    for seed in seeds:
        Image.fromarray(part(seed, background, **options)).save(folder / "parts" / f"{seed}.png")
        Image.fromarray(mask_of(seed)).save(folder / "masks" / f"{seed}_mask.png")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of good parts before two backgrounds, of further ones, and of new ones with a spot."""
    folder = tmp_path_factory.mktemp("masks")
    for background in (0, 1):
        write(folder / f"good{background}", range(20), background)
        write(folder / f"more{background}", range(20, 26), background)
        write(folder / f"bad{background}", range(100, 102), background, spot=True)
    return folder


@pytest.fixture(scope="module")
def fitted(world: Path) -> list[Model]:
    """Return a model of the parts before each background, which takes in further ones and is saved."""
    models = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "LEAST_PLANTED", 8)
        patch.setattr(finding, "MOST_PLANTED", 8)
        for background in (0, 1):
            good, more = world / f"good{background}", world / f"more{background}"
            model = dn2.fit(good / "parts", mask=good / "masks", cache=False, progress=False, **OPTIONS)
            model.add(more / "parts", mask=str(more / "masks"), progress=False)
            owners, members = model.kind.learnt.detector.banks[0].owners, model.kind.learnt.members
            model.remove(model.items[int(owners[~np.isin(owners, members)][0])].name)
            model.save(world / f"{background}.dn2")
            models.append(dn2.load(world / f"{background}.dn2"))
    return models


def test_what_lies_outside_of_the_masks_changes_nothing_not_by_a_bit(world: Path, fitted: list[Model]) -> None:
    learnt = [model.kind.learnt for model in fitted]
    assert learnt[0].as_dict() == learnt[1].as_dict()
    for name, array in learnt[0].as_arrays().items():
        assert np.array_equal(array, learnt[1].as_arrays()[name]), name
    rows = [
        model.score(world / name / "parts", mask=world / name / "masks", progress=False)
        for model in fitted
        for name in ("bad0", "bad1")
    ]
    for several in zip(*rows, strict=True):
        assert len({(row.anomaly_score, row.p_value, row.regions) for row in several}) == 1
        assert all(np.array_equal(row.evidence.anomaly_map, several[0].evidence.anomaly_map) for row in several)
        assert several[0].is_anomaly
        mask = mask_of(int(several[0].item.removesuffix(".png")))
        shown = np.array(Image.fromarray(several[0].evidence.anomaly_map).resize((WIDTH, HEIGHT), 0))
        assert not shown[:40].any()
        assert shown[mask].mean() > 0.5


def test_from_memory_and_alone_a_picture_is_looked_at_as_from_a_file(world: Path, fitted: list[Model]) -> None:
    (row, other), model = fitted[0].score(world / "bad0/parts", mask=world / "bad0/masks", progress=False), fitted[0]
    pictures = [part(100, 0, spot=True), part(101, 0, spot=True)]
    masks = [Image.fromarray(mask_of(100)), mask_of(101)]
    together = model.score(pictures, mask=masks, progress=False)
    assert [one.anomaly_score for one in together] == [row.anomaly_score, other.anomaly_score]
    named = model.score(pictures, names=["x/100", "x/101"], mask=world / "bad0/masks", progress=False)
    assert [one.anomaly_score for one in named] == [row.anomaly_score, other.anomaly_score]
    assert model.score_one(pictures[0], mask=masks[0]).anomaly_score == row.anomaly_score
    assert model.score_one(pictures[0], mask=masks[1]).anomaly_score != row.anomaly_score
    found = model.anomaly_map(world / "bad0/parts/100.png", mask=world / "bad0/masks/100_mask.png")
    assert found.shape == (HEIGHT, WIDTH)


def test_a_model_from_memory_has_the_masks_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "MOST_PLANTED", 2)
    seeds = range(10)
    options = {**OPTIONS, "false_alarm_rate": 0.2, "cache": False, "progress": False}
    model = dn2.fit([part(seed, 0) for seed in seeds], mask=[mask_of(seed) for seed in seeds], **options)
    assert [bytes(one) for one in model.kind.masks] == [write_region(mask_of(seed)) for seed in seeds]
    about = model.describe()
    share = np.mean([mask_of(seed).mean() for seed in seeds])
    assert about["patches"]["looked_at"] == pytest.approx(share, abs=0.02)
    assert ("looked at", "36% of a picture, where its mask is white; the mean of all") in model.kind.say(about)
    with pytest.raises(InputError, match="a model with a mask for each picture is not exported"):
        model.export("decision")


def test_an_item_without_a_mask_is_an_error_that_names_what_was_looked_for(
    world: Path, fitted: list[Model], tmp_path: Path
) -> None:
    folder = write(tmp_path / "new", range(100, 105), 0)
    masks = folder / "masks"
    (masks / "100_mask.png").unlink()
    Image.new("L", (WIDTH, HEIGHT)).save(masks / "101_mask.png")
    (masks / "102_mask.png").write_bytes(b"words")
    Image.fromarray(mask_of(103)).save(masks / "103_gt.png")
    (folder / "parts" / "b").mkdir()
    Image.fromarray(part(104, 0)).save(folder / "parts" / "b" / "104.png")
    Image.fromarray(part(103, 0)).resize((WIDTH // 2, HEIGHT)).save(folder / "parts" / "103.png")
    results = fitted[0].score(folder / "parts", mask=masks, progress=False)
    errors = {row.item: row.error for row in results}
    looked_for = os.path.join(masks, "100")
    assert errors["100.png"].startswith(f"it has no mask: {looked_for} was looked for, at its picture's path or as")
    assert errors["101.png"].startswith(f"the mask {masks / '101_mask.png'}: it must be white where pictures are")
    assert errors["102.png"].startswith(f"the mask {masks / '102_mask.png'}: not a picture")
    assert errors["103.png"] == (
        "a mask must have the shape of its picture, 180 x 300, and it is 1.2 times as wide as it is high"
    )
    assert (
        errors["104.png"]
        == errors["b/104.png"]
        == (f"a mask is of one picture, and {masks / '104_mask.png'} would be of 2")
    )
    with pytest.raises(UnreadableItem, match="the mask: it must be white"):
        fitted[0].score_one(part(100, 0), mask=np.zeros((9, 9), bool))
    with pytest.raises(UnreadableItem, match=f"shape of its picture, {WIDTH} x {HEIGHT}"):
        fitted[0].score_one(part(100, 0), mask=np.ones((9, 9), bool))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (None, "was fitted with a mask for each picture: give mask"),
        ("bad0/masks/100_mask.png", "mask names a folder of masks here, got"),
        ("bad0", "must hold masks, and .* is one of the pictures"),
        ("good0/masks", "must hold a mask of each picture, at its picture's path .*; 100.png has none"),
        (["a.png"], "or a list of one for each of the 2 pictures, got a list of 1"),
        (5, "or a list of one for each of the 2 pictures, got int"),
    ],
)
def test_masks_that_are_none_are_refused_before_the_work(
    world: Path, fitted: list[Model], mask: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatchEmbedder, "embed", lambda *_, **__: pytest.fail("worked"))
    with pytest.raises(InputError, match=words):
        fitted[0].score(world / "bad0/parts", mask=world / mask if isinstance(mask, str) else mask, progress=False)


def test_a_model_without_masks_refuses_them(plate_model: Model, world: Path) -> None:
    for refused in (
        lambda: plate_model.score(world / "bad0/parts", mask=world / "bad0/masks"),
        lambda: plate_model.score_one(part(0, 0), mask=mask_of(0)),
        lambda: dn2.fit(np.eye(9)).score([[1.0] * 9], mask="masks"),
    ):
        with pytest.raises(InputError, match="was not fitted with a mask for each item: leave out mask"):
            refused()


def test_with_another_mask_a_picture_is_embedded_anew_and_with_the_same_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    start = MapNetwork.start
    monkeypatch.setattr(MapNetwork, "start", lambda self, *given: (started.append(1), start(self, *given))[1])
    embedder = PatchEmbedder(resolution=96, cache=Cache(tmp_path / "cache.sqlite"))
    picture, regions = part(0, 0), [write_region(mask_of(seed)) for seed in (0, 1)]
    embedder.networks  # noqa: B018  measured
    counts, parts = [], []
    for source in (picture, *(Viewed(picture, lambda one=one: one) for one in (*regions, *regions))):
        started.clear()
        (embedded,) = embedder.embed([source])
        counts.append(len(started))
        parts.append(embedded.parts[0][0])
    assert counts == [1, 1, 1, 0, 0]
    assert np.array_equal(parts[1], parts[3])
    assert not np.array_equal(parts[1], parts[2])
    of_all = PatchEmbedder(resolution=96, region=regions[0], cache=embedder.cache)
    started.clear()
    (embedded,) = of_all.embed([picture])
    assert np.array_equal(embedded.parts[0][0], parts[1])
    assert len(started) == 1  # measured: one mask for all is the same as that mask of its own


@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_nothing_black_of_a_mask_is_within_its_region(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    white = np.ones((height, width), bool)
    for _ in range(3):
        top, left = rng.integers(height), rng.integers(width)
        white[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] = False
    try:
        region = write_region(white)
    except UnreadableItem:
        return
    small = read_region(region)
    assert max(small.size) <= REGION_SIDE
    within = np.asarray(small.resize((width, height)))
    assert not (within & ~white).any()
    if max(height, width) <= REGION_SIDE:
        assert np.array_equal(within, white)


def test_a_mask_of_labels_or_of_any_depth_is_read_as_what_is_not_0(tmp_path: Path) -> None:
    expected = write_region(mask_of(0))
    for name, array in (("a.png", mask_of(0) * np.uint8(1)), ("b.png", mask_of(0) * np.uint16(60000))):
        Image.fromarray(array).save(tmp_path / name)
        assert read_mask(tmp_path / name) == expected
    assert read_mask(mask_of(0)) == read_mask(mask_of(0) * np.uint8(255)) == expected


def test_masks_say_where_pictures_are_looked_at_in_evaluation_and_in_a_later_report(
    world: Path, fitted: list[Model], tmp_path: Path
) -> None:
    for name in ("more0", "bad0"):
        shutil.copytree(world / name / "masks", tmp_path / "masks", dirs_exist_ok=True)
    parts = world / "more0" / "parts", world / "bad0" / "parts"
    figures, unreadable = fitted[0].evaluate(*parts, mask=tmp_path / "masks", progress=False)
    assert (figures.n_normal, figures.n_anomalous, unreadable) == (6, 2, [])
    assert figures.roc_auc == 1
    results = fitted[0].score(parts[1], mask=tmp_path / "masks", progress=False)
    results.to_csv(tmp_path / "results.csv")
    again = read_scored(fitted[0], tmp_path / "results.csv", parts[1], mask=tmp_path / "masks")
    assert all(file is not None for file in again.context.files)
    pictures = fitted[0].kind.pictures(again.context.files, fitted[0].state, None)
    shown = [pictures.located(rows.rows) for rows in (results, again)]
    assert shown[0] == shown[1]
    assert all(one.map is not None for one in shown[1].values())
    with pytest.raises(InputError, match="was fitted with a mask for each picture"):
        read_scored(fitted[0], tmp_path / "results.csv", parts[1])

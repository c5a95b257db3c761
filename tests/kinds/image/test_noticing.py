"""What is said of pictures that are read otherwise than a person may think, and the value that is white."""

import io
import json
import logging
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageFile

import dn2
from dn2.errors import InputError
from dn2.kinds.image.pipeline import ImagePipeline

from .test_pipeline import FakeCache, FakeNetwork

RNG = np.random.default_rng(4)
GREY = [RNG.integers(0, 256, (20, 24)).astype(np.uint16) for _ in range(6)]


@pytest.fixture
def folder(tmp_path):
    """A folder of 10-bit pictures in PNG files of 16 bits, and one of the same in 8 bits."""
    for name, factor, dtype in (("deep", 1023 / 255, np.uint16), ("plain", 1, np.uint8)):
        (tmp_path / name).mkdir()
        for number, grey in enumerate(GREY):
            Image.fromarray(np.round(grey * factor).astype(dtype)).save(tmp_path / name / f"{number}.png")
    return tmp_path


@pytest.fixture
def fit(world):
    """Fit pictures with a small network."""
    return partial(dn2.fit, backbone=str(world / "tiny.onnx"))


@pytest.fixture
def said(caplog):
    """Return what was said since the last call."""

    def take():
        words = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        caplog.clear()
        return words

    return take


def scores(model, folder):
    return [row.anomaly_score for row in model.score(folder)]


@pytest.mark.parametrize("cache", [False, True])
def test_10_bits_in_files_of_16_are_noticed_and_with_their_white_are_as_8(folder, said, fit, cache, tmp_path):
    cache = dn2.Cache(tmp_path / "cache.sqlite") if cache else False
    plain = fit(folder / "plain", cache=cache)
    assert said() == []
    words = [
        "no value above 1,023 of 65,535 in 6 pictures of more than 8 bits, nearly black to dn2; if it is data of 10 "
        "bits, fit with white=1023; white=65535 says that it is as dark as that"
    ]
    for _ in range(2):  # the second time, from the cache
        dark = fit(folder / "deep", cache=cache)
        assert said() == words
    for _ in range(2):
        deep = fit(folder / "deep", white=1023, cache=cache)
        assert said() == []
    assert fit(folder / "deep", white=65535, cache=cache).embedder.white == 65535
    assert said() == []
    assert np.array_equal(deep.detector.blocks[0], plain.detector.blocks[0])
    assert not np.array_equal(dark.detector.blocks[0], plain.detector.blocks[0])
    assert bytes(deep.kind.thumbnails[0]) == bytes(plain.kind.thumbnails[0]) != bytes(dark.kind.thumbnails[0])


def test_a_model_keeps_its_white_in_all_that_it_does(folder, said, fit, tmp_path):
    fit(folder / "deep", white=1023, cache=False).save(tmp_path / "deep.dn2")
    model = dn2.load(tmp_path / "deep.dn2", cache=False)
    assert model.describe()["embedder"]["white"] == 1023
    assert ("white", "1,023 in grey pictures of more than 8 bits") in type(model.kind).say(model.describe())
    assert scores(model, folder / "deep") == scores(model, folder / "plain")
    deep = np.asarray(Image.open(folder / "deep" / "0.png")).astype(np.uint16)
    assert (
        model.score_one(deep).neighbors[0].distance == model.score_one(folder / "plain" / "0.png").neighbors[0].distance
    )
    small = model.kind.pictures(model.score(folder / "deep").context.files, model, None).of_items(["0.png"])["0.png"]
    assert small == bytes(model.kind.thumbnails[0])
    (tmp_path / "over").mkdir()
    Image.fromarray(deep * 4).save(tmp_path / "over" / "over.png")
    said()
    model.add(tmp_path / "over")
    assert said() == [f"values up to {4 * deep.max():,} in 1 picture, and what is above 1,023 is read as white"]
    manifest = json.loads((tmp_path / "deep.dn2" / "model.json").read_text())
    assert manifest["embedder"]["white"] == 1023


@pytest.mark.parametrize("white", [0, -1, 65536, True, "1023", 10.5])
def test_white_is_a_whole_number_of_16_bits(folder, fit, white):
    with pytest.raises(InputError, match="white must be an integer"):
        fit(folder / "deep", white=white, cache=False)


def test_white_belongs_to_pictures():
    with pytest.raises(InputError, match="white belongs to the kind image"):
        dn2.fit(np.zeros((5, 3)), white=1023)


def test_pages_and_what_is_transparent_are_said_once(folder, said, fit, tmp_path):
    pages = [Image.fromarray(grey.astype(np.uint8)) for grey in GREY]
    model = fit(folder / "plain", cache=False)
    for name, count in (("a", 4), ("b", 5)):
        pages[0].save(tmp_path / f"{name}.tif", save_all=True, append_images=pages[1:count])
    Image.new("RGBA", (9, 9), (1, 2, 3, 0)).save(tmp_path / "clear.png")
    model.score([tmp_path / "a.tif"])
    assert said() == [
        f"1 file has 3 further pages or frames that are not read; each file is its first page: {tmp_path / 'a.tif'}"
    ]
    model.score([tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "clear.png", folder / "plain" / "0.png"])
    assert said() == [
        "2 files have 7 further pages or frames in all that are not read; each file is its first page: "
        f"{tmp_path / 'a.tif'}",
        f"nothing to see in 1 picture: all of it is transparent, which is white to dn2: {tmp_path / 'clear.png'}",
    ]


def test_what_is_read_of_damaged_pictures_at_another_programs_wish_is_not_kept(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, "JPEG")
    (tmp_path / "half.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    cache = FakeCache()

    def embed():
        (item,) = ImagePipeline([FakeNetwork()], cache, thumbnails=True).embed([tmp_path / "half.jpg"])
        return item

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert embed().error is None
    assert not cache
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    assert "truncated" in embed().error

"""The embedder as a scikit-learn transformer."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import dn2
from dn2.embed.embedder import ImageEmbedder
from dn2.errors import BackboneError, InputError, UnreadableItem


@pytest.fixture(scope="module")
def embedder(lite0):
    """Return lite0 in f32, with the network that is compiled already."""
    made = ImageEmbedder("lite0", precision="f32")
    made.networks = [lite0]
    return made


def test_paths_become_rows_of_float32_in_their_order(embedder, files, crops, lite0):
    vectors = embedder.transform(files)
    assert (vectors.shape, vectors.dtype) == ((8, 1280), np.float32)
    pixels = [np.asarray(Image.fromarray(crop).resize((224, 224), Image.Resampling.BICUBIC)) for crop in crops]
    assert np.array_equal(vectors, lite0.embed(pixels))


def test_paths_may_be_strings_or_paths_in_any_iterable(embedder, files):
    expected = embedder.transform(files[:2])
    for paths in ([str(path) for path in files[:2]], tuple(files[:2]), iter(files[:2]), np.array(files[:2], object)):
        assert np.array_equal(embedder.transform(paths), expected)


def test_no_paths_give_no_rows(embedder):
    assert embedder.transform([]).shape == (0, 1280)


def test_a_file_that_cannot_be_read_is_named(embedder, files, tmp_path):
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:500])
    with pytest.raises(UnreadableItem, match=r"broken\.png: damaged picture"):
        embedder.transform([files[0], tmp_path / "broken.png", tmp_path / "missing.png"])


def test_one_path_outside_of_a_list_is_refused(embedder, files):
    for one in (str(files[0]), files[0]):
        with pytest.raises(InputError, match="the paths must be a list"):
            embedder.transform(one)


def test_embedding_item_by_item_gives_the_rows_of_transform(embedder, files, tmp_path):
    (tmp_path / "broken.png").touch()
    items = list(embedder.embed([files[0], tmp_path / "broken.png", files[1]], thumbnails=True))
    assert [item.error is None for item in items] == [True, False, True]
    assert np.array_equal(np.stack([items[0].vector, items[2].vector]), embedder.transform(files[:2]))
    assert items[0].thumbnail.startswith(b"\xff\xd8")


def test_a_clone_has_the_same_parameters_and_shares_the_cache(tmp_path):
    cache = dn2.Cache(tmp_path / "cache.sqlite")
    copy = clone(ImageEmbedder("lite1", precision="f32", cache=cache))
    assert copy.get_params() == {"backbone": "lite1", "precision": "f32", "cache": cache}
    assert type(copy) is ImageEmbedder
    cache.close()


def test_a_clone_of_an_embedder_in_use_can_be_made(embedder, files):
    assert embedder.transform(files[:1]).any()
    assert clone(embedder).get_params() == embedder.get_params()


def test_other_parameters_take_another_network():
    embedder = ImageEmbedder("lite0", precision="f32")
    assert (embedder.specs[0].name, embedder.networks[0].backbone.name) == ("lite0", "lite0")
    embedder.set_params(backbone="lite1")
    assert (embedder.specs[0].name, embedder.networks[0].backbone.name) == ("lite1", "lite1")


def test_an_embedder_is_made_before_its_backbone_is_looked_for(files):
    embedder = ImageEmbedder("lite7")
    assert repr(embedder) == "ImageEmbedder(backbone='lite7')"
    with pytest.raises(BackboneError, match="got 'lite7'"):
        embedder.transform(files)


def test_fit_learns_nothing_and_asks_for_nothing(embedder, files):
    before = dict(vars(embedder))
    assert embedder.fit() is embedder
    assert embedder.fit(files) is embedder
    assert dict(vars(embedder)) == before
    assert np.array_equal(embedder.fit_transform(files[:2]), embedder.transform(files[:2]))


def test_a_pipeline_with_the_detector_finds_the_digit_among_photographs(embedder, files, digits, tmp_path):
    Image.fromarray(digits[3]).save(tmp_path / "digit.png")
    pipeline = make_pipeline(embedder, dn2.KNNDetector(2, normalize="root-unit"))
    queries = [*files[:3], tmp_path / "digit.png"]
    scores = pipeline.fit(files).score_samples(queries)
    assert scores.argmin() == 3
    by_hand = dn2.KNNDetector(2, normalize="root-unit").fit(embedder.transform(files))
    assert np.array_equal(scores, by_hand.score_samples(embedder.transform(queries)))


def test_with_a_cache_the_second_time_needs_no_file_decoded(files, tmp_path, lite0, monkeypatch):
    from dn2.embed import pipeline

    cache = dn2.Cache(tmp_path / "cache.sqlite")
    embedder = ImageEmbedder("lite0", precision="f32", cache=cache)
    embedder.networks = [lite0]
    first = embedder.transform(files)
    monkeypatch.setattr(pipeline, "decode", None)
    assert np.array_equal(embedder.transform(files), first)
    cache.close()

"""The embedder as a scikit-learn transformer."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import dn2
from dn2.errors import BackboneError, InputError, UnreadableItem
from dn2.kinds.image import embedder as embedder_module
from dn2.kinds.image.transformer import ImageEmbedder
from small_models import write_backbone


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
    copy = clone(ImageEmbedder("lite1", precision="f32", cache=cache, white=1023))
    assert copy.get_params() == {"backbone": "lite1", "precision": "f32", "cache": cache, "white": 1023}
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
    from dn2.networks import sources

    cache = dn2.Cache(tmp_path / "cache.sqlite")
    embedder = ImageEmbedder("lite0", precision="f32", cache=cache)
    embedder.networks = [lite0]
    first = embedder.transform(files)
    monkeypatch.setattr(sources, "open_decoded", None)
    assert np.array_equal(embedder.transform(files), first)
    cache.close()


# Several networks


class Part:
    """A network that is only asked for its dimension and its precision."""

    def __init__(self, dimension, precision="f32"):
        self.dimension, self.precision = dimension, precision


@pytest.fixture(scope="session")
def two_onnx(tmp_path_factory):
    """Return the paths of two small ONNX networks, which pool means and maxima."""
    pools = ("AveragePool", "MaxPool")
    return [write_backbone(tmp_path_factory.mktemp(pool), pool) for pool in pools]


def test_joined_networks_give_one_embedding_of_parts_of_length_1(two_onnx, files):
    joined = ImageEmbedder("+".join(two_onnx), precision="f32")
    alone = [ImageEmbedder(one, precision="f32").transform(files).astype(np.float64) for one in two_onnx]
    expected = np.hstack([rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in alone])
    assert joined.dimension == 384
    np.testing.assert_allclose(joined.transform(files), expected, rtol=1e-6, atol=1e-9)


def test_a_network_at_several_input_sizes_is_averaged_over_them():
    joined = ImageEmbedder("lite0+lite2@192+lite2")
    parts = [np.array([1, 3, 0], np.float32), np.array([2, 0], np.float32), np.array([1, 1], np.float32)]
    assert joined.join(parts).tolist() == [0.25, 0.75, 0, 0.75, 0.25]


def test_golden_pictures_go_the_way_of_files(two_onnx, files):
    joined = ImageEmbedder("+".join(two_onnx), precision="f32")
    pictures = [path.read_bytes() for path in files]
    assert np.array_equal(joined.embed_pictures(pictures), joined.transform(files))


def test_lite_networks_are_joined_by_distributions_that_weigh_alike():
    joined = ImageEmbedder("lite0+lite2")
    assert [spec.name for spec in joined.specs] == ["lite0", "lite2"]
    assert joined.normalize == "root-unit"
    parts = [np.array([1, 3, 0], np.float32), np.array([0, 0.5], np.float32)]
    assert joined.join(parts).tolist() == [0.25, 0.75, 0, 0, 1]
    assert ImageEmbedder("lite0").join(parts[:1]) is parts[0]


def test_class_probabilities_of_joined_networks_are_averaged_beside_their_features():
    joined = ImageEmbedder("lite0-posterior+lite2-posterior+lite2-posterior@192")
    features = [np.array(row, np.float32) for row in ([0, 1], [0.25, 0.75, 0], [0.5, 0.5, 0])]
    classes = np.zeros((3, 1000), np.float32)
    classes[[0, 0, 1, 1, 2], [0, 1, 1, 2, 3]] = 0.35, 0.35, 0.35, 0.35, 0.7
    found = joined.join([np.concatenate(pair) for pair in zip(features, classes, strict=True)])
    assert found[:5].tolist() == [0, 1, 0.375, 0.625, 0]
    assert found[5:10] == pytest.approx([0.7 / 3, 1.4 / 3, 0.7 / 3, 1.4 / 3, 0])  # twice their mean, for two networks
    assert len(found) == 1005


def test_plain_features_join_those_with_class_probabilities():
    joined = ImageEmbedder("lite1+lite2-posterior")
    classes = np.full(1000, 0.0007, np.float32)
    found = joined.join([np.array([1, 3], np.float32), np.concatenate([np.ones(1, np.float32), classes])])
    assert found[:3].tolist() == [0.25, 0.75, 1]
    assert found[3:] == pytest.approx(2 * classes)


@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_parts_of_any_scale_weigh_alike(two_onnx, scale):
    for backbone, expected in (("lite0+lite1", [0.5, 0.5, 1]), ("+".join(two_onnx), [0.5**0.5, 0.5**0.5, 1])):
        parts = [np.full(2, 3 * scale, np.float32), np.ones(1, np.float32)]
        joined = ImageEmbedder(backbone).join(parts)
        assert joined.dtype == np.float32
        assert joined.tolist() == pytest.approx(expected, rel=1e-6)


def test_a_part_of_zeros_stays_one(two_onnx):
    for backbone in ("lite0+lite1", "+".join(two_onnx)):
        parts = [np.zeros(2, np.float32), np.array([4], np.float32)]
        assert ImageEmbedder(backbone).join(parts).tolist() == [0, 0, 1]


def test_networks_that_want_different_normalizations_are_compared_by_unit(two_onnx):
    assert ImageEmbedder(f"{two_onnx[0]}+lite0").normalize == "unit"


def test_of_joined_networks_each_is_recorded():
    embedder = ImageEmbedder("lite0+lite2@192")
    embedder.networks = [Part(1280, "bf16"), Part(1280, "bf16")]
    about = embedder.as_dict()
    assert about["digest"] == [spec.digest for spec in embedder.specs]
    assert [one["width"] for one in about["preprocessing"]] == [224, 192]
    assert (about["precision"], about["dimension"]) == ("bf16", 2560)
    embedder.networks = [Part(1280, "bf16"), Part(1280, "f32")]
    assert embedder.as_dict()["precision"] == "bf16+f32"
    alone = ImageEmbedder("lite0")
    alone.networks = [Part(1280)]
    assert alone.as_dict()["digest"] == alone.specs[0].digest
    assert isinstance(alone.as_dict()["preprocessing"], dict)


def test_one_precision_is_that_of_all_and_several_are_one_each(two_onnx, monkeypatch):
    opened = []
    monkeypatch.setattr(embedder_module, "open_network", lambda spec, precision: opened.append(precision))
    for precision in ("f32", "bf16+f32"):
        assert ImageEmbedder("+".join(two_onnx), precision=precision).networks == [None, None]
    assert opened == ["f32", "f32", "bf16", "f32"]


@pytest.mark.parametrize(("count", "precision"), [(1, "f32+f32"), (2, "f32+f32+bf16")])
def test_more_precisions_than_networks_are_refused(two_onnx, files, count, precision):
    with pytest.raises(BackboneError, match=rf"{count} networks need one precision or one each, got 'f32\+f32"):
        _ = ImageEmbedder("+".join(two_onnx[:count]), precision=precision).networks


def test_a_model_of_joined_networks_is_saved_and_loaded(two_onnx, files, tmp_path):
    model = dn2.fit(files, backbone="+".join(two_onnx))
    model.save(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2")
    assert again.describe() == model.describe()
    assert again.score(files).rows == model.score(files).rows
    assert again.embedder.dimension == 384

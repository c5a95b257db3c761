"""The embedders as scikit-learn sees them."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_array

import dn2
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.kinds.text.embedder import PlainTextEmbedder
from dn2.kinds.transformer import Transformer
from dn2.store import cache as cache_module
from small_models import write_backbone

TAKES_NO_NUMBERS = "it takes texts, not rows of numbers"
LEARNS_NOTHING = "fit learns nothing, and does not look at what it is given"

# Checks that no embedder passes as it is: they give rows of numbers, or want them refused.
EXCEPTIONS = {
    "check_complex_data": LEARNS_NOTHING,
    "check_estimators_empty_data_messages": LEARNS_NOTHING,
    "check_estimators_nan_inf": LEARNS_NOTHING,
    "check_estimator_sparse_tag": LEARNS_NOTHING,
    "check_fit1d": LEARNS_NOTHING,
    "check_n_features_in": LEARNS_NOTHING,
    "check_n_features_in_after_fitting": LEARNS_NOTHING,
    "check_dict_unchanged": "what embeds is loaded at first use, and kept",
    "check_dtype_object": TAKES_NO_NUMBERS,
    "check_transformer_preserve_dtypes": "embeddings are float32, whatever is embedded",
}


class OfRows:
    """Takes rows of numbers, which is what scikit-learn's checks give."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.two_d_array, tags.no_validation = True, False
        return tags


class OfRowsAsTexts(OfRows, dn2.TextEmbedder):
    def __init__(self, backbone: str = "characters", *, precision: str = "f32", cache: Any = True) -> None:
        super().__init__(backbone, precision=precision, cache=cache)

    def transform(self, X: Any) -> Any:
        return super().transform([str(row.tolist()) for row in check_array(X, dtype=float)])


class OfRowsAsPictures(OfRows, dn2.ImageEmbedder):
    def __init__(
        self, backbone: str = "lite0@32", *, precision: str = "f32", cache: Any = False, white: int | None = None
    ) -> None:
        super().__init__(backbone, precision=precision, cache=cache, white=white)

    def transform(self, X: Any) -> Any:
        shades = (255 / (1 + np.exp(-check_array(X, dtype=float)))).astype(np.uint8)
        return super().transform([row[None] for row in shades])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_backbone(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(params=["image", "text"])
def embedder(request: pytest.FixtureRequest, tiny: str) -> Transformer:
    return dn2.ImageEmbedder(tiny) if request.param == "image" else dn2.TextEmbedder("characters")


def things(embedder: Transformer) -> list[Any]:
    """Return three that an embedder takes."""
    if isinstance(embedder, dn2.TextEmbedder):
        return ["hello", "hello there", "bye"]
    return list(np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8))


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{getattr(check, 'func', check).__name__}-{n}")
        for made in (OfRowsAsTexts(), OfRowsAsPictures())
        for n, (estimator, check) in enumerate(estimator_checks_generator(made))
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass_but_for_the_exceptions(estimator: Any, check: Any) -> None:
    reason = EXCEPTIONS.get(getattr(check, "func", check).__name__)
    if reason is None:
        check(estimator)
        return
    with pytest.raises((AssertionError, ValueError, TypeError, dn2.Dn2Error)):
        check(estimator)


def test_frames_come_out_where_they_are_asked_for(embedder: Transformer) -> None:
    X = things(embedder)
    frame = embedder.set_output(transform="pandas").fit_transform(X)
    name = type(embedder).__name__.lower()
    assert list(frame.columns[:2]) == [f"{name}0", f"{name}1"]
    assert frame.shape == (3, embedder.n_features_out_)
    assert np.array_equal(frame.to_numpy(), clone(embedder).set_output(transform="default").transform(X))
    assert list(embedder.get_feature_names_out()) == list(frame.columns)


def test_an_embedder_is_the_first_step_of_a_pipeline(embedder: Transformer) -> None:
    X = things(embedder) * 2
    pipeline = clone(make_pipeline(embedder, dn2.KNNDetector(1)))
    scores = pipeline.fit(X).score_samples(X)
    assert scores.tolist() == [0.0] * 6
    assert pickle.loads(pickle.dumps(pipeline)).score_samples(X).tolist() == [0.0] * 6  # noqa: S301


def test_the_cache_is_the_users_and_is_opened_at_first_use(
    embedder: Transformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DN2_CACHE", str(tmp_path))
    for made in (clone(embedder), copy.deepcopy(embedder), pickle.loads(pickle.dumps(embedder))):  # noqa: S301
        assert made.get_params() == embedder.get_params()
        assert made.cache is True
        repr(made)
    assert os.listdir(tmp_path) == []
    if isinstance(embedder, dn2.ImageEmbedder):
        first = embedder.transform(things(embedder))
        assert os.listdir(tmp_path)
        monkeypatch.setattr(embedder.networks[0], "start", None)  # all is in the cache
        assert np.array_equal(embedder.transform(things(embedder)), first)
    assert embedder.opened_cache.path == tmp_path / "cache.sqlite"
    monkeypatch.setattr(cache_module, "_File", None)
    again = pickle.loads(pickle.dumps(embedder))  # noqa: S301  opens nothing
    assert again.cache is True
    embedder.opened_cache.close()


def test_the_embedder_of_a_model_is_a_transformer_that_shares_its_networks(tiny: str) -> None:
    pictures = list(np.random.default_rng(0).integers(0, 256, (24, 40, 50, 3), np.uint8))
    model = dn2.fit(pictures, backbone=tiny, cache=False)
    assert type(model.embedder) is dn2.ImageEmbedder
    assert model.embedder.networks is model.kind.embedder.networks
    frame = model.embedder.set_output(transform="pandas").transform(pictures)
    assert np.array_equal(frame.to_numpy(), dn2.ImageEmbedder(tiny, cache=False).transform(pictures))
    of_patches = PatchEmbedder("lite0", resolution=64, even_light=False, cache=False).as_transformer()
    assert isinstance(of_patches, dn2.ImageEmbedder)
    assert clone(of_patches).get_params()["resolution"] == 64
    assert of_patches.transform(pictures[:2]).shape == (2, of_patches.n_features_out_)
    of_texts = PlainTextEmbedder("characters").as_transformer()
    assert type(of_texts) is dn2.TextEmbedder
    assert of_texts.as_transformer() is of_texts


@pytest.mark.parametrize("cache", [False, None])
def test_no_cache_is_opened_where_there_is_to_be_none(tiny: str, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_File", None)
    assert dn2.ImageEmbedder(tiny, cache=cache).transform(np.zeros((8, 8), np.uint8)).shape == (1, 192)


def test_other_parameters_open_another_cache(tiny: str, tmp_path: Path) -> None:
    embedder = dn2.ImageEmbedder(tiny, cache=dn2.Cache(tmp_path / "a.sqlite"))
    first = embedder.opened_cache
    assert embedder.set_params(cache=False).opened_cache is None
    first.close()

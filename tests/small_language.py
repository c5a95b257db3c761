"""Small language models with random weights, in folders as sentence-transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
POSITIONS = 40


def write_model(
    folder: Path, *, model_type: str = "bert", pooling: str = "mean", unit: bool = True, **settings: Any
) -> Path:
    """Write a model of two layers of 16 numbers that reads letters; settings : more of sentence-transformers'."""
    from safetensors.numpy import save_file

    (folder / "1_Pooling").mkdir(parents=True)
    offset = 0 if model_type == "bert" else 1
    save_file(random_weights(POSITIONS + offset), folder / "model.safetensors")
    write_tokenizer(folder / "tokenizer.json")
    kinds = ["Transformer", "Pooling", *(["Normalize"] if unit else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (kind, path) in enumerate(zip(kinds, paths, strict=False))
    ]
    config = {
        "model_type": model_type,
        "architectures": ["BertModel" if model_type == "bert" else "XLMRobertaModel"],
        "vocab_size": len(SPECIAL) + 2 * len(LETTERS),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": POSITIONS + offset,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    files: dict[str, Any] = {
        "config.json": config,
        "modules.json": modules,
        "1_Pooling/config.json": {
            "word_embedding_dimension": 16,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": pooling == "max",
        },
        "sentence_bert_config.json": {"max_seq_length": 24, "do_lower_case": settings.pop("lower_case", False)},
        "config_sentence_transformers.json": settings,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": POSITIONS,
            **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")},
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def random_weights(positions: int) -> dict[str, np.ndarray]:
    """Draw the weights of such a model, by name."""
    rng = np.random.default_rng(7)
    shapes = {
        "embeddings.word_embeddings.weight": (len(SPECIAL) + 2 * len(LETTERS), 16),
        "embeddings.position_embeddings.weight": (positions, 16),
        "embeddings.token_type_embeddings.weight": (2, 16),
        "pooler.dense.weight": (16, 16),
        "pooler.dense.bias": (16,),
    }
    norms = ["embeddings"]
    for layer in (f"encoder.layer.{number}" for number in range(2)):
        norms += [f"{layer}.attention.output", f"{layer}.output"]
        linear = {f"attention.self.{part}": (16, 16) for part in ("query", "key", "value")}
        linear |= {"attention.output.dense": (16, 16), "intermediate.dense": (32, 16), "output.dense": (16, 32)}
        for name, shape in linear.items():
            shapes[f"{layer}.{name}.weight"], shapes[f"{layer}.{name}.bias"] = shape, shape[:1]
    weights = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        weights[f"{name}.LayerNorm.weight"] = rng.normal(1, 0.2, 16).astype(np.float32)
        weights[f"{name}.LayerNorm.bias"] = rng.normal(0, 0.2, 16).astype(np.float32)
    return weights


def write_tokenizer(path: Path) -> None:
    """Write a tokenizer that reads small letters; anything else, capitals too, is unknown."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=1_000))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path))

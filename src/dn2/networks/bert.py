"""Language models of BERT's shape, such as MiniLM, built with OpenVINO's operators: no PyTorch is needed.

Each window of tokens is a request of its own, without padding, so that its vector depends on nothing else.

Source: Devlin et al., "BERT", 2019; the folders that sentence-transformers saves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dn2.arrays import Array, Vectors
from dn2.extras import import_openvino
from dn2.networks.language import LanguageModel, Places
from dn2.networks.openvino import Requests, choose_precision

if TYPE_CHECKING:
    import openvino as ov

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
OF_BERT = re.compile(r"^(bert|roberta)\.")  # before the names of weights that were saved with more around them
POOLINGS = ("mean", "cls")

Weights = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class BertShape:
    """A model of BERT's shape in a folder.

    heads, layers : of the encoder; epsilon : of its normalisations.
    first_position : the place of the first token in the table of positions.
    pooling : what the vectors of the tokens become, their `mean` or that of the first, `cls`.
    unit : whether the result has length 1; window : the number of tokens that are read at once.
    lower_case : whether texts are written in lower case first; prompt : what is put before each text."""

    folder: Path
    heads: int
    layers: int
    epsilon: float
    first_position: int
    pooling: str
    unit: bool
    window: int
    lower_case: bool
    prompt: str


def find_shape(folder: Path) -> BertShape | None:
    """Read the shape of a model that sentence-transformers saved; None for a model of any other shape.

    Raises OSError and ValueError for files that cannot be read, KeyError for settings that lack."""
    needed = ("config.json", "modules.json", WEIGHTS, TOKENIZER)
    if not all((folder / name).is_file() for name in needed):
        return None
    config, modules = _read(folder, "config.json"), _read(folder, "modules.json")
    if not _is_bert(config) or (ends := _ends(folder, modules)) is None:
        return None
    transformer, sentences = _read(folder, "sentence_bert_config.json"), _read(folder, _SENTENCES)
    first_position = 0 if config["model_type"] == "bert" else config["pad_token_id"] + 1
    positions = config["max_position_embeddings"] - first_position
    asked = transformer.get("max_seq_length") or _read(folder, "tokenizer_config.json").get("model_max_length")
    return BertShape(
        folder=folder,
        heads=config["num_attention_heads"],
        layers=config["num_hidden_layers"],
        epsilon=config["layer_norm_eps"],
        first_position=first_position,
        pooling=ends[0],
        unit=ends[1],
        window=min(positions, int(asked or positions)),
        lower_case=bool(transformer.get("do_lower_case")),
        prompt=(sentences.get("prompts") or {}).get(sentences.get("default_prompt_name")) or "",
    )


_SENTENCES = "config_sentence_transformers.json"


def _read(folder: Path, name: str) -> Any:
    """Read a file of settings; {} where there is none."""
    path = folder / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _is_bert(config: dict[str, Any]) -> bool:
    """Tell whether an encoder has BERT's layers, with positions in a table."""
    return (
        config.get("model_type") in ("bert", "roberta", "xlm-roberta")
        and config.get("position_embedding_type", "absolute") == "absolute"
        and config.get("hidden_act") == "gelu"
        and not config.get("is_decoder")
    )


def _ends(folder: Path, modules: list[dict[str, Any]]) -> tuple[str, bool] | None:
    """Return the pooling, and whether vectors are scaled to length 1; None unless that is all after the encoder."""
    first, *others = [module["type"].rpartition(".")[2] for module in modules]
    if first != "Transformer" or others not in (["Pooling"], ["Pooling", "Normalize"]):
        return None
    settings = _read(folder, f"{modules[1]['path']}/config.json")
    modes = [name for name in settings if name.startswith("pooling_mode_") and settings[name]]
    mode = settings.get("pooling_mode") or "+".join(modes)
    pooling = mode.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
    if pooling not in POOLINGS or not settings.get("include_prompt", True):
        return None
    return pooling, "Normalize" in others


class BertModel(LanguageModel[list[int]]):
    """A language model of BERT's shape, compiled for this machine.

    precision : `f32`, `bf16`, or `auto`, which takes bf16 where the processor computes in it; digest : see
    `LanguageModel`.  Raises BackboneError, and whatever a broken file raises."""

    runs_on = "openvino"

    def __init__(self, shape: BertShape, digest: str, precision: str = "f32") -> None:
        from tokenizers import Tokenizer, normalizers

        self.digest, self.precision, self.window = digest, choose_precision(precision), shape.window
        self._prompt = shape.prompt
        self._tokenizer = Tokenizer.from_file(str(shape.folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(shape.window)
        if shape.lower_case:
            usual = [] if self._tokenizer.normalizer is None else [self._tokenizer.normalizer]
            self._tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *usual])
        self._requests = Requests(partial(build, shape), self.precision)
        self.dimension = self._requests.dimension

    def cut(self, texts: Sequence[str]) -> tuple[Places, list[list[int]]]:
        """See `LanguageModel`.  Texts are cut one by one: the tokenizer's own threads do not survive a fork."""
        owners, windows = [], []
        for place, text in enumerate(texts):
            first = self._tokenizer.encode(self._prompt + text)
            for window in (first, *first.overflowing):
                owners.append(place)
                windows.append(window.ids)
        return np.array(owners, np.int64), windows

    def embed_windows(self, windows: Sequence[list[int]], tell: Callable[[int], None]) -> tuple[Vectors, Places]:
        """See `LanguageModel`.  Windows of one length follow each other: a change of shape costs time, and no bit."""
        vectors = np.empty((len(windows), self.dimension), np.float32)
        sizes = np.array([len(tokens) for tokens in windows])
        for done, place in enumerate(np.argsort(sizes, kind="stable").tolist()):
            self._requests.start(np.array([windows[place]], np.int32), partial(_keep, vectors[place]))
            tell(done)
        self._requests.wait()
        return vectors, sizes


def _keep(row: Array, outputs: Sequence[Array]) -> None:
    row[:] = outputs[0]


def build(shape: BertShape) -> ov.Model:
    """Build the network: tokens, (1, length) int32, to (1, d) float32."""
    from safetensors.numpy import load_file

    op = import_openvino().opset13
    named = load_file(shape.folder / WEIGHTS)
    weights = {OF_BERT.sub("", name): values.astype(np.float32) for name, values in named.items()}
    tokens = op.parameter([1, -1], np.int32, name="tokens")
    x = _embed_tokens(tokens, weights, shape)
    for layer in range(shape.layers):
        x = _encode(x, weights, f"encoder.layer.{layer}", shape)
    if shape.pooling == "cls":
        pooled = op.gather(x, _integers(0), _integers(1))
    else:
        pooled = op.reduce_mean(x, _integers([1]), keep_dims=False)
    if shape.unit:
        pooled = op.normalize_l2(pooled, _integers([1]), eps=1e-12, eps_mode="max")
    return import_openvino().Model([pooled], [tokens], "bert")


def _embed_tokens(tokens: Any, weights: Weights, shape: BertShape) -> Any:
    """Look up tokens, and add their positions and the only type that they have."""
    op, table = import_openvino().opset13, "embeddings.{}_embeddings.weight"
    positions = weights[table.format("position")][shape.first_position :] + weights[table.format("token_type")][0]
    length = op.gather(op.shape_of(tokens), _integers([1]), _integers(0))
    placed = op.slice(op.constant(positions), _integers([0]), length, _integers([1]), _integers([0]))
    looked_up = op.gather(op.constant(weights[table.format("word")]), tokens, _integers(0))
    return _normalize(op.add(looked_up, placed), weights, "embeddings", shape)


def _encode(x: Any, weights: Weights, name: str, shape: BertShape) -> Any:
    """Let tokens attend to each other, and pass each through two layers; what comes in is added both times."""
    op = import_openvino().opset13
    queries, keys, values = (
        op.transpose(
            op.reshape(_linear(x, weights, f"{name}.attention.self.{part}"), _integers([0, 0, shape.heads, -1]), True),
            _integers([0, 2, 1, 3]),
        )
        for part in ("query", "key", "value")
    )
    attended = op.transpose(op.scaled_dot_product_attention(queries, keys, values), _integers([0, 2, 1, 3]))
    joined = op.reshape(attended, _integers([0, 0, -1]), True)
    x = op.add(x, _linear(joined, weights, f"{name}.attention.output.dense"))
    x = _normalize(x, weights, f"{name}.attention.output", shape)
    hidden = op.gelu(_linear(x, weights, f"{name}.intermediate.dense"), "erf")
    x = op.add(x, _linear(hidden, weights, f"{name}.output.dense"))
    return _normalize(x, weights, f"{name}.output", shape)


def _linear(x: Any, weights: Weights, name: str) -> Any:
    op = import_openvino().opset13
    y = op.matmul(x, op.constant(weights[f"{name}.weight"]), transpose_a=False, transpose_b=True)
    return op.add(y, op.constant(weights[f"{name}.bias"]))


def _normalize(x: Any, weights: Weights, name: str, shape: BertShape) -> Any:
    op = import_openvino().opset13
    y = op.mvn(x, _integers([2]), True, shape.epsilon, "inside_sqrt")
    scaled = op.multiply(y, op.constant(weights[f"{name}.LayerNorm.weight"]))
    return op.add(scaled, op.constant(weights[f"{name}.LayerNorm.bias"]))


def _integers(values: int | list[int]) -> Any:
    return import_openvino().opset13.constant(np.array(values, np.int64))

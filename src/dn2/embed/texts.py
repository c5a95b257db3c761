"""Texts to vectors, as a scikit-learn transformer: what they mean, how they are worded, what form they have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from dn2.embed.characters import FORM, RECIPE, WORDING, embed_characters
from dn2.embed.pipeline import Cache
from dn2.embed.sentences import MINILM, NEEDED, FoundModel, SentenceModel, at_unit_length, find_model, is_installed
from dn2.errors import InputError, UnreadableItem
from dn2.processes import cached_property

Vectors = np.ndarray[Any, np.dtype[np.float32]]

CHARACTERS = "characters"
DEFAULT = f"{MINILM}+{CHARACTERS}"
TEXTS_AT_ONCE = 512  # and in the cache only then: what a killed run may lose

# What squared distances of each part weigh beside each other; chosen in benchmarks/text_weights.py.
WEIGHTS = {"meaning": 1.0, "wording": 0.5, "form": 1.0}

# Longer ones are no messages, and a table's cell holds no more either.
LONGEST_TEXT = 1 << 20

GOLDEN = ("the meeting is at noon", "FREE!!! Call 0800-123 now & win £1,000", "où est la gare ?", "привет 你好 😀")


def choose_text_backbone() -> tuple[str, str]:
    """Return the default backbone that this installation has, and what it lacks, in words, or ''."""
    return (DEFAULT, "") if is_installed() else (CHARACTERS, f"texts are compared by their characters alone: {NEEDED}")


def problem_of(text: str) -> str | None:
    """Say why a text cannot be embedded, None if it can."""
    if not text or text.isspace():
        return "it is empty"
    if len(text) > LONGEST_TEXT:
        return f"it has more than {LONGEST_TEXT:,} characters"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        what = f"the byte 0x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"the half character U+{code:04X}"
        return f"it is no UTF-8: {what} at place {error.start + 1:,}; save it as UTF-8"
    return None


@dataclass(frozen=True)
class EmbeddedTexts:
    """vectors : (m, d) float32; windows : (m,) in how many pieces the language model read each, 1 without any."""

    vectors: Vectors
    windows: np.ndarray[Any, np.dtype[np.int64]]


class TextEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds texts with a frozen language model, joined with their characters; there is nothing to fit.

    backbone : `minilm+characters`; either of the two; or another language model of sentence-transformers, by its name
        at a hub or as a folder, alone or with `+characters`.
    cache : where the language model's vectors are kept by content (a `dn2.Cache`), or None."""

    def __init__(self, backbone: str = DEFAULT, *, cache: Cache | None = None) -> None:
        self.backbone = backbone
        self.cache = cache
        self._fetch = True

    @property
    def language_model(self) -> str | None:
        """The name of the language model, None for characters alone."""
        return None if self.backbone == CHARACTERS else self.backbone.removesuffix(f"+{CHARACTERS}")

    @property
    def with_characters(self) -> bool:
        """Whether characters are compared."""
        return self.backbone == CHARACTERS or self.backbone.endswith(f"+{CHARACTERS}")

    @classmethod
    def held_by_model(cls, backbone: str, *, cache: Cache | None = None) -> Self:
        """Make an embedder of what a saved model says: no folder is opened and nothing downloaded that it names."""
        embedder = cls(backbone, cache=cache)
        embedder._fetch = False
        return embedder

    @cached_property
    def model(self) -> SentenceModel | None:
        """The language model, loaded at first use.  Raises MissingExtra, BackboneError."""
        return None if self._found is None else SentenceModel.read(*self._found)

    @cached_property
    def _found(self) -> FoundModel | None:
        return None if self.language_model is None else find_model(self.language_model, fetch=self._fetch)

    @property
    def digest(self) -> str:
        """What identifies the embeddings."""
        recipe = [None if self._found is None else self._found.digest]
        if self.with_characters:
            recipe.append(f"{RECIPE} {WEIGHTS}")
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()

    @property
    def dimension(self) -> int:
        """The length d of an embedding."""
        of_characters = WORDING.width + FORM.width if self.with_characters else 0
        return of_characters + (0 if self.model is None else self.model.dimension)

    def as_dict(self) -> dict[str, Any]:
        """Return what determines the embeddings, as recorded in `model.json`."""
        return {
            "backbone": self.backbone,
            "digest": self.digest,
            "precision": "f32",
            "dimension": self.dimension,
            "window": None if self.model is None else self.model.window,
        }

    def fit(self, X: Any = None, y: None = None) -> Self:
        """Do nothing: nothing is learnt from the texts."""
        return self

    def transform(self, X: Iterable[str]) -> Vectors:
        """Embed n texts: (n, d) float32, rows of length 1 with characters, or if the language model's are.

        Raises UnreadableItem for the first that is empty, too long or no UTF-8, InputError for one text outside of a
        list."""
        if isinstance(X, str):
            raise InputError(f"the texts must be a list, got {X[:40]!r}; write [{X[:40]!r}]")
        texts = list(X)
        for place, text in enumerate(texts):
            if reason := problem_of(text):
                raise UnreadableItem(f"text {place}: {reason}")
        return self.embed_all(texts)

    def embed_all(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Embed texts that have no `problem_of`, some at a time: (n, d) float32; progress : called with (done, n)."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            stop = min(start + TEXTS_AT_ONCE, len(texts))
            vectors[start:stop] = self.embed(texts[start:stop]).vectors
            if progress is not None:
                progress(stop, len(texts))
        return vectors

    def embed(self, texts: Sequence[str], *, remember: bool = True) -> EmbeddedTexts:
        """Embed texts that have no `problem_of`, together; remember : whether the cache is asked and filled."""
        parts: list[tuple[float, Vectors]] = []
        windows = np.ones(len(texts), np.int64)
        if self.model is not None:
            meaning, windows = self._meaning(self.model, texts, self.cache if remember else None)
            parts.append((WEIGHTS["meaning"], at_unit_length(meaning) if self.with_characters else meaning))
        if self.with_characters:
            parts += zip((WEIGHTS["wording"], WEIGHTS["form"]), embed_characters(texts), strict=True)
        total = sum(weight for weight, _ in parts)
        joined = [np.float32(np.sqrt(weight / total)) * part for weight, part in parts]
        return EmbeddedTexts(np.concatenate(joined, axis=1), windows)

    def _meaning(
        self, model: SentenceModel, texts: Sequence[str], cache: Cache | None
    ) -> tuple[Vectors, np.ndarray[Any, Any]]:
        """Take vectors from the cache, which keeps the number of windows before each, or from the language model."""
        keys = [hashlib.sha256(f"{model.digest} {text}".encode()).digest() for text in texts]
        kept = [None if cache is None else cache.get(key) for key in keys]
        rows = np.empty((len(texts), 1 + model.dimension), np.float32)
        for row, one in zip(rows, kept, strict=True):
            if one is not None:
                row[:] = np.frombuffer(one, np.float32)
        new = {keys[place]: place for place, one in enumerate(kept) if one is None}
        if new:
            places = list(new.values())
            vectors, windows = model.embed([texts[place] for place in places])
            known = dict(zip(new, np.column_stack([windows.astype(np.float32), vectors]), strict=True))
            for place, one in enumerate(kept):
                if one is None:
                    rows[place] = known[keys[place]]
            if cache is not None:
                cache.put({key: row.tobytes() for key, row in known.items()})
        return rows[:, 1:], rows[:, 0].astype(np.int64)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the language model is loaded anew at its next use."""
        super().set_params(**params)
        for made in ("model", "_found"):
            self.__dict__.pop(made, None)
        self._fetch = self._fetch or "backbone" in params
        return self

    def __sklearn_clone__(self) -> Self:
        """Make an embedder of the same parameters, which shares the cache: an open file cannot be copied."""
        cloned = type(self)(self.backbone, cache=self.cache)
        cloned._fetch = self._fetch
        return cloned

    def __sklearn_is_fitted__(self) -> bool:
        return True

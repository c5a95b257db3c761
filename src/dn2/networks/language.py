"""Language models, whatever computes them: a text is read in windows of tokens, and is the mean of their vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from dn2.arrays import Vectors

Places = np.ndarray[Any, np.dtype[np.int64]]
Share = Callable[[float], None]  # called with the share of the work that is done, in [0, 1]

# What is cut into tokens at once.
TEXTS_AT_ONCE = 512
CHARACTERS_AT_ONCE = 1 << 20

WindowT = TypeVar("WindowT")


class LanguageModel(ABC, Generic[WindowT]):
    """A frozen language model and its tokenizer.

    runs_on : the library that computes it; precision : of its arithmetic.
    digest : SHA-256 over the model's files.
    dimension : the length d of a vector; window : the number of tokens that the model reads at once."""

    runs_on: str
    precision: str
    digest: str
    dimension: int
    window: int

    @property
    def recipe(self) -> str:
        """All that determines a vector, up to the processor."""
        return f"{self.digest} {self.runs_on} {self.precision}"

    @abstractmethod
    def cut(self, texts: Sequence[str]) -> tuple[Places, list[WindowT]]:
        """Cut texts into windows of tokens: of each the place of its text, (m,), ascending, and what it holds."""

    @abstractmethod
    def embed_windows(self, windows: Sequence[WindowT], tell: Callable[[int], None]) -> tuple[Vectors, Places]:
        """Embed windows: (m, d), and the number of tokens in each, (m,); tell : called with how many are done."""

    def embed(self, texts: Sequence[str], progress: Share | None = None) -> tuple[Vectors, Places]:
        """Embed n texts: (n, d), and how many windows each was read in, (n,).

        The vector of a text of several windows is the mean of theirs, weighted by their numbers of tokens; if the
        model gives vectors of length 1, the mean is scaled to length 1."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        counts = np.empty(len(texts), np.int64)
        characters = np.cumsum([0, *(max(1, len(text)) for text in texts)])
        for start, stop in cut_into_pieces(texts):
            owners, windows = self.cut(texts[start:stop])
            before, after = characters[[start, stop]] / characters[-1]

            def tell(done: int, before: float = before, step: float = (after - before) / len(windows)) -> None:
                if progress is not None:
                    progress(before + done * step)

            parts, sizes = self.embed_windows(windows, tell)
            counts[start:stop] = np.bincount(owners, minlength=stop - start)
            vectors[start:stop] = _mean_of_windows(parts, sizes, owners, counts[start:stop])
        return vectors, counts


def _mean_of_windows(parts: Vectors, sizes: Places, owners: Places, counts: Places) -> Vectors:
    """Average the windows of each text, (m, d) to (n, d); counts : (n,) of the windows.  One window stays as it is."""
    means: Vectors = parts[np.cumsum(counts) - counts]  # of each text the first window; a copy
    for place in np.flatnonzero(counts > 1).tolist():
        of_text = owners == place
        mean = np.average(parts[of_text].astype(np.float64), axis=0, weights=sizes[of_text])
        if np.allclose(np.linalg.norm(parts[of_text], axis=1), 1, atol=1e-3):
            mean = scale_to_unit_length(mean[None])[0]
        means[place] = mean
    return means


def scale_to_unit_length(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scale rows to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray[Any, Any] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


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

"""Texts to vectors of their meaning, wording and form, as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from dn2.arrays import Vectors
from dn2.errors import InputError, UnreadableItem
from dn2.kinds.text.embedder import PlainTextEmbedder, problem_of
from dn2.kinds.transformer import Transformer


class TextEmbedder(Transformer, PlainTextEmbedder):
    """Embeds texts with a frozen language model, joined with their characters; there is nothing to fit.

    Parameters
    ----------
    backbone : str, default="minilm+characters"
        Both, or either of the two; or another language model, by its name at a hub or as a folder that
        sentence-transformers saved, alone or with `+characters`.
    precision : {"f32", "bf16", "auto"}, default="f32"
        The arithmetic of the language model.  Vectors in f32 are the same on any machine, but for rounding; auto takes
        bf16 where the processor computes in it.
    cache : Cache, bool or None, default=True
        Where the language model's vectors are kept by content: True for the user's cache, which is opened at first use,
        a `dn2.Cache`, or False or None for nowhere.

    Attributes
    ----------
    n_features_out_ : int
        The length d of an embedding.

    Examples
    --------
    >>> import dn2
    >>> dn2.TextEmbedder("characters").transform(["the meeting is at noon"]).dtype
    dtype('float32')
    """

    def transform(self, X: Iterable[str]) -> Vectors:
        """Embed texts.

        Parameters
        ----------
        X : iterable of n str
            A list, an array or a Series of texts.

        Returns
        -------
        vectors : ndarray of shape (n, d), float32
            Rows of length 1 with characters, or if the language model's are.

        Raises
        ------
        UnreadableItem
            For the first item that is not a text, or a text that is empty, too long or not valid UTF-8.
        InputError
            For one text outside of a list.

        Examples
        --------
        >>> import dn2
        >>> embedder = dn2.TextEmbedder("characters")
        >>> vectors = embedder.transform(["hello", "hello", "bye"])
        >>> bool((vectors[0] == vectors[1]).all()), bool((vectors[0] == vectors[2]).all())
        (True, False)
        """
        if isinstance(X, str):
            raise InputError(f"the texts must be a list, got {X[:40]!r}; write [{X[:40]!r}]")
        texts = list(X)
        for place, text in enumerate(texts):
            reason = problem_of(text) if isinstance(text, str) else f"it must be a text, got a {type(text).__name__}"
            if reason:
                raise UnreadableItem(f"text {place + 1}: {reason}")
        return self.embed_all(texts)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the language model is loaded anew at its next use."""
        super().set_params(**params)
        self._fetch = self._fetch or "backbone" in params
        return self

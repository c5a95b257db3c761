"""Pictures to vectors, as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from dn2.embed.network import Network
from dn2.embed.pipeline import Cache, Embedded, ImagePipeline
from dn2.embed.registry import Backbone, get_backbone
from dn2.errors import InputError, UnreadableItem


class ImageEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds image files with a frozen, pretrained network; there is nothing to fit.

    backbone : `lite0`, `lite1`, `lite2`, or the path of an ONNX file.
    precision : `auto` (bf16 where the processor computes in it), `f32` or `bf16`.
    cache : where embeddings are kept by content (a `dn2.Cache`), or None."""

    def __init__(self, backbone: str = "lite0", *, precision: str = "auto", cache: Cache | None = None) -> None:
        self.backbone = backbone
        self.precision = precision
        self.cache = cache

    @cached_property
    def network(self) -> Network:
        """The backbone, compiled for this machine at first use.  Raises BackboneError."""
        return Network(self.spec, self.precision)

    @cached_property
    def spec(self) -> Backbone:
        """The backbone's digest, preprocessing and recommended normalisation.  Raises BackboneError."""
        return get_backbone(self.backbone)

    def fit(self, X: Any = None, y: None = None) -> Self:
        """Do nothing: the network is frozen."""
        return self

    def transform(self, X: Iterable[str | os.PathLike[str]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed image files, given by n paths: (n, d) float32, before any normalisation.

        Raises UnreadableItem for the first file that is no picture, InputError for one path outside of a list."""
        if isinstance(X, (str, os.PathLike)):
            raise InputError(f"the paths must be a list, got {os.fspath(X)!r}; write [{os.fspath(X)!r}]")
        paths = [Path(path) for path in X]
        vectors = np.empty((len(paths), self.network.dimension), np.float32)
        for row, item in zip(vectors, self.embed(paths), strict=True):
            if item.vector is None:
                raise UnreadableItem(f"{item.path}: {item.error}")
            row[:] = item.vector
        return vectors

    def embed(self, paths: Iterable[Path], *, thumbnails: bool = False) -> Iterator[Embedded]:
        """Embed image files in order; one that cannot be read comes with its error instead of a vector."""
        return ImagePipeline(self.network, self.cache, thumbnails=thumbnails).embed(paths)

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the network is compiled anew at its next use."""
        super().set_params(**params)
        for made in ("network", "spec"):
            self.__dict__.pop(made, None)
        return self

    def __sklearn_clone__(self) -> Self:
        """Make an embedder of the same parameters, which shares the cache: an open file cannot be copied."""
        return type(self)(self.backbone, precision=self.precision, cache=self.cache)

    def __sklearn_is_fitted__(self) -> bool:
        return True

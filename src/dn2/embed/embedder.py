"""Pictures to vectors, as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from dn2.embed.golden import embed_pictures
from dn2.embed.network import AnyNetwork, Vector, open_network
from dn2.embed.pipeline import Cache, Embedded, ImagePipeline
from dn2.embed.registry import Backbone, count_files, get_backbone, split_name, without_folders
from dn2.errors import BackboneError, InputError, UnreadableItem
from dn2.processes import cached_property

MOST_NETWORKS = 8  # that are joined


class ImageEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embeds image files with a frozen, pretrained network; there is nothing to fit.

    backbone : `lite0`, `lite1`, `lite2`, `timm/NAME`, the path of an ONNX file, or several joined: `lite0+lite2`.
        In a joined embedding the features of each network weigh alike, those of one network at several input sizes are
        averaged, and so are the class probabilities of all that give them.
    precision : `auto` (bf16 where the processor computes in it), `f32` or `bf16`; one of each network, joined by +, if
        they differ.
    cache : where embeddings are kept by content (a `dn2.Cache`), or None."""

    def __init__(self, backbone: str = "lite0", *, precision: str = "auto", cache: Cache | None = None) -> None:
        self.backbone = backbone
        self.precision = precision
        self.cache = cache
        self._held: tuple[bytes, ...] | None = None

    @cached_property
    def networks(self) -> list[AnyNetwork]:
        """The networks, compiled for this machine at first use.  Raises BackboneError."""
        precisions = self.precision.split("+")
        if len(precisions) == 1:
            precisions *= len(self.specs)
        if len(precisions) != len(self.specs):
            raise BackboneError(f"{len(self.specs)} networks need one precision or one each, got {self.precision!r}")
        return [open_network(spec, one) for spec, one in zip(self.specs, precisions, strict=True)]

    @cached_property
    def specs(self) -> list[Backbone]:
        """Digest, preprocessing and recommended normalisation of each network.  Raises BackboneError."""
        names = split_name(self.backbone)
        if len(names) > MOST_NETWORKS:
            raise BackboneError(f"a backbone joins at most {MOST_NETWORKS} networks, got {len(names):,}")
        if self._held is None:
            return [get_backbone(name) for name in names]
        held, counts = iter(self._held), [count_files(name) for name in names]
        if sum(counts) != len(self._held):
            raise BackboneError(
                f"the model names the network {self.backbone!r} and does not hold it, and a saved model opens nothing "
                f"by itself; name it yourself: --backbone (in Python backbone=) {self.backbone}"
            )
        return [get_backbone(name, list(islice(held, count))) for name, count in zip(names, counts, strict=True)]

    @classmethod
    def held_by_model(
        cls, backbone: str, files: Sequence[bytes], *, precision: str = "auto", cache: Cache | None = None
    ) -> Self:
        """Make an embedder of what a saved model says: the files that its networks take are those that it holds."""
        embedder = cls(backbone, precision=precision, cache=cache)
        embedder._held = tuple(files)
        return embedder

    @property
    def files(self) -> list[bytes]:
        """The files of all networks that the user brought, which a saved model holds."""
        return [file for spec in self.specs for file in spec.files]

    @property
    def digest(self) -> str | list[str]:
        """What identifies the network, a list of joined ones."""
        digests = [spec.digest for spec in self.specs]
        return digests if len(digests) > 1 else digests[0]

    @property
    def preprocessing(self) -> dict[str, Any] | list[dict[str, Any]]:
        """How pictures become the network's input, a list for joined ones."""
        preprocessing = [spec.preprocessing.as_dict() for spec in self.specs]
        return preprocessing if len(preprocessing) > 1 else preprocessing[0]

    @property
    def dimension(self) -> int:
        """The length d of an embedding."""
        return len(self.join([np.zeros(network.dimension, np.float32) for network in self.networks]))

    @property
    def normalize(self) -> str:
        """The feature normalisation that measures best with the backbone."""
        methods = {spec.normalize for spec in self.specs}
        return methods.pop() if len(methods) == 1 else "unit"

    def as_dict(self) -> dict[str, Any]:
        """Return what determines the embeddings, as recorded in `model.json`; of joined networks a list each."""
        precisions = [network.precision for network in self.networks]
        return {
            "backbone": without_folders(self.backbone),
            "digest": self.digest,
            "preprocessing": self.preprocessing,
            "precision": "+".join(precisions if len(set(precisions)) > 1 else precisions[:1]),
            "dimension": self.dimension,
        }

    def fit(self, X: Any = None, y: None = None) -> Self:
        """Do nothing: the network is frozen."""
        return self

    def transform(self, X: Iterable[str | os.PathLike[str]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed image files, given by n paths: (n, d) float32, before any normalisation.

        Raises UnreadableItem for the first file that is no picture, InputError for one path outside of a list."""
        if isinstance(X, (str, os.PathLike)):
            raise InputError(f"the paths must be a list, got {os.fspath(X)!r}; write [{os.fspath(X)!r}]")
        paths = [Path(path) for path in X]
        vectors = np.empty((len(paths), self.dimension), np.float32)
        for row, item in zip(vectors, self.embed(paths), strict=True):
            if item.vector is None:
                raise UnreadableItem(f"{item.path}: {item.error}")
            row[:] = item.vector
        return vectors

    def embed(self, paths: Iterable[Path], *, thumbnails: bool = False) -> Iterator[Embedded]:
        """Embed image files in order; one that cannot be read comes with its error instead of a vector."""
        return ImagePipeline(self.networks, self.cache, join=self.join, thumbnails=thumbnails).embed(paths)

    def join(self, parts: Sequence[Vector]) -> Vector:
        """Make the embedding, (d,), of what the networks give for one picture.

        The features of each network are scaled, to sum to 1 where all are compared by root-unit, else to length 1, and
        are averaged over its input sizes.  Class probabilities are averaged over all networks that give them."""
        if len(parts) == 1:
            return parts[0]
        order = 1 if self.normalize == "root-unit" else 2
        features: dict[str, list[Any]] = {}
        probabilities = []
        for spec, part in zip(self.specs, parts, strict=True):
            wide = part.astype(np.float64)  # whose squares neither overflow nor vanish
            own, classes = np.split(wide, [len(part) - spec.probabilities])
            features.setdefault(spec.digest, []).append(own / (float(np.linalg.norm(own, order)) or 1.0))
            if spec.probabilities:
                probabilities.append(classes)
        joined = [np.mean(sizes, axis=0) for sizes in features.values()]
        if probabilities:  # which weigh beside the features of all as they do beside those of one
            joined.append(len(features) * np.mean(probabilities, axis=0))
        return np.concatenate(joined).astype(np.float32)

    def embed_pictures(self, pictures: Iterable[bytes | memoryview]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed encoded pictures through the whole way a file takes: (n, d) float32."""
        encoded = list(pictures)
        parts = [embed_pictures(network, encoded) for network in self.networks]
        return np.stack([self.join(rows) for rows in zip(*parts, strict=True)])

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the networks are compiled anew at its next use."""
        super().set_params(**params)
        for made in ("networks", "specs"):
            self.__dict__.pop(made, None)
        if "backbone" in params:
            self._held = None
        return self

    def __sklearn_clone__(self) -> Self:
        """Make an embedder of the same parameters, which shares the cache: an open file cannot be copied."""
        cloned = type(self)(self.backbone, precision=self.precision, cache=self.cache)
        cloned._held = self._held
        return cloned

    def __sklearn_is_fitted__(self) -> bool:
        return True

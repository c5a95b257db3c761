"""Pictures to vectors, as a scikit-learn transformer."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Self

import numpy as np

from dn2.arrays import Vector, Vectors
from dn2.errors import BackboneError, InputError, UnreadableItem
from dn2.kinds.image.options import check_white
from dn2.kinds.image.pipeline import EmbeddedPicture, ImagePipeline, embed_one
from dn2.kinds.image.reading import list_pictures
from dn2.kinds.transformer import Embedder
from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.networks.golden import embed_pictures
from dn2.networks.opening import open_network
from dn2.networks.registry import count_files, get_backbone, split_name, strip_folders
from dn2.networks.sources import PLAIN_VIEW, Source, View
from dn2.store.cache import Cache
from dn2.system.interface import option
from dn2.system.processes import cached_property

MOST_NETWORKS = 8  # that are joined


class ImageEmbedder(Embedder):
    """Embeds pictures with a frozen, pretrained network; there is nothing to fit.

    Parameters
    ----------
    backbone : str, default="lite0"
        `lite0`, `lite1`, `lite2`, `timm/NAME`, the path of an ONNX file, or several joined: `lite0+lite2`.  In a joined
        embedding the features of each network weigh alike, those of one network at several input sizes are averaged,
        and so are the class probabilities of all that give them.
    precision : str, default="auto"
        `auto` (bf16 where the processor computes in it), `f32` or `bf16`; one of each network, joined by +, if they
        differ.
    cache : Cache, bool or None, default=True
        Where embeddings are kept by content: True for the user's cache, which is opened at first use, a `dn2.Cache`, or
        False or None for nowhere.
    white : int, default=None
        The value, 1 to 65,535, that stands for white in grey pictures of more than 8 bits, unless their files say it:
        1,023 of a 10-bit camera.  None takes 65,535.

    Attributes
    ----------
    n_features_out_ : int
        The length d of an embedding, 1,280 of `lite0`.

    Examples
    --------
    >>> import dn2, numpy
    >>> frames = numpy.zeros((2, 60, 80, 3), numpy.uint8)
    >>> dn2.ImageEmbedder("lite0", cache=False).transform(frames).shape
    (2, 1280)
    """

    derived_attributes = ("networks", "specs")
    _held: tuple[bytes, ...] | None = None  # the files that a saved model brings

    def __init__(
        self,
        backbone: str = "lite0",
        *,
        precision: str = "auto",
        cache: Cache | bool | None = True,
        white: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.precision = precision
        self.cache = cache
        self.white = white

    @cached_property
    def networks(self) -> list[AnyNetwork]:
        """The networks, compiled for this machine at first use.  Raises BackboneError."""
        return [open_network(spec, precision) for spec, precision in self._each()]

    def _each(self) -> Iterator[tuple[Backbone, str]]:
        """Give each network with its precision.  Raises BackboneError."""
        precisions = self.precision.split("+")
        if len(precisions) == 1:
            precisions *= len(self.specs)
        if len(precisions) != len(self.specs):
            raise BackboneError(f"{len(self.specs)} networks need one precision or one each, got {self.precision!r}")
        return zip(self.specs, precisions, strict=True)

    def _backbone(self, name: str, held: Sequence[bytes] | None = None) -> Backbone:
        return get_backbone(name, held)

    @cached_property
    def specs(self) -> list[Backbone]:
        """Digest, preprocessing and recommended normalisation of each network.  Raises BackboneError."""
        names = split_name(self.backbone)
        if len(names) > MOST_NETWORKS:
            raise BackboneError(f"a backbone joins at most {MOST_NETWORKS} networks, got {len(names):,}")
        if self._held is None:
            return [self._backbone(name) for name in names]
        held, counts = iter(self._held), [count_files(name) for name in names]
        if sum(counts) != len(self._held):
            raise BackboneError(
                f"the model names the network {self.backbone!r} and does not hold it, and a saved model opens nothing "
                f"by itself; name it yourself: {option('backbone', self.backbone)}"
            )
        return [self._backbone(name, list(islice(held, count))) for name, count in zip(names, counts, strict=True)]

    @classmethod
    def held_by_model(
        cls,
        backbone: str,
        files: Sequence[bytes],
        *,
        precision: str = "auto",
        cache: Cache | bool | None = None,
        white: int | None = None,
        **options: Any,
    ) -> Self:
        """Make the embedder of a saved model: its networks are opened from the files that the model holds."""
        embedder = cls(backbone, precision=precision, cache=cache, white=white, **options)
        embedder._held = tuple(files)
        return embedder

    @property
    def files(self) -> list[bytes]:
        """The network files that the user brought; a saved model holds them."""
        return [file for spec in self.specs for file in spec.files]

    @property
    def digest(self) -> str | list[str]:
        """The digest of the network; of joined networks a list."""
        digests = [spec.digest for spec in self.specs]
        return digests if len(digests) > 1 else digests[0]

    @property
    def preprocessing(self) -> dict[str, Any] | list[dict[str, Any]]:
        """How pictures become the network's input; of joined networks a list."""
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
            "backbone": strip_folders(self.backbone),
            "digest": self.digest,
            "preprocessing": self.preprocessing,
            "precision": "+".join(precisions if len(set(precisions)) > 1 else precisions[:1]),
            "dimension": self.dimension,
            **({} if self.white is None else {"white": self.white}),
        }

    def transform(self, X: Any) -> Vectors:
        """Embed pictures, before any normalisation.

        Parameters
        ----------
        X : iterable of n pictures
            Each a path, the bytes of a file, a picture of Pillow, or an array of uint8, of uint16 where `white` is
            given, of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, 4); or an array
            of shape (n, height, width, c).
            A single picture in memory stands for a list of one.

        Returns
        -------
        vectors : ndarray of shape (n, d), float32

        Raises
        ------
        UnreadableItem
            For the first item that is not a readable picture.
        InputError
            For a path outside of a list.

        Examples
        --------
        >>> import dn2, numpy
        >>> frame = numpy.zeros((60, 80), numpy.uint8)
        >>> dn2.ImageEmbedder(cache=False).transform([frame, frame]).shape
        (2, 1280)
        """
        if isinstance(X, (str, os.PathLike)):
            raise InputError(f"the paths must be a list, got {os.fspath(X)!r}; write [{os.fspath(X)!r}]")
        sources = list(list_pictures(X))
        vectors = np.empty((len(sources), self.dimension), np.float32)
        with closing(self.embed(sources)) as embedded:  # closing ends its threads, also at an error
            for number, (row, item) in enumerate(zip(vectors, embedded, strict=True)):
                if item.vector is None:
                    source = sources[number]
                    name = source if isinstance(source, (str, os.PathLike)) else f"picture {number + 1}"
                    raise UnreadableItem(f"{name}: {item.error}")
                row[:] = item.vector
        return vectors

    def embed(
        self, sources: Iterable[Source], *, thumbnails: bool = False, thumbnails_of_memory: bool = False
    ) -> Generator[EmbeddedPicture, None, None]:
        """Embed pictures in order; one that cannot be read comes with its error instead of a vector.

        thumbnails : also make small pictures; thumbnails_of_memory : at least of pictures in memory."""
        return self._pipeline(thumbnails, thumbnails_of_memory).embed(sources)

    def recall(self, digest: str, view: View = PLAIN_VIEW) -> EmbeddedPicture | None:
        """Return a picture that was embedded before, by its digest, from the cache alone; None for any other.

        view : how it is looked at."""
        return self._pipeline().recall(digest, view)

    def _pipeline(self, thumbnails: bool = False, thumbnails_of_memory: bool = False) -> ImagePipeline:
        return ImagePipeline(
            self.networks,
            self.opened_cache,
            join=self.join,
            thumbnails=thumbnails,
            thumbnails_of_memory=thumbnails_of_memory,
            white=check_white(self.white),
        )

    def embed_one(self, source: Source) -> Vector:
        """Embed one picture in the calling thread, (d,) float32; nothing is kept of it.  Raises UnreadableItem."""
        return self.join(self.picture_of(source).parts)

    def picture_of(self, source: Source) -> EmbeddedPicture:
        """Do what `embed_one` does, up to what the picture becomes in each network."""
        return embed_one(self.networks, source, check_white(self.white))

    def join(self, parts: Sequence[Any]) -> Vector:
        """Make the embedding of a picture, (d,), from the vectors of the networks.

        The features of each network are scaled, to sum to 1 where all are compared by root-unit, else to length 1, and
        are averaged over its input sizes.  Class probabilities are averaged over all networks that give them."""
        if len(parts) == 1:
            vector: Vector = parts[0]
            return vector
        order = 1 if self.normalize == "root-unit" else 2
        features: dict[str, list[Any]] = {}
        probabilities = []
        for spec, part in zip(self.specs, parts, strict=True):
            wide = part.astype(np.float64)  # in float64 squares neither overflow nor vanish
            plain, classes = np.split(wide, [len(part) - spec.probabilities])
            features.setdefault(spec.digest, []).append(plain / (float(np.linalg.norm(plain, order)) or 1.0))
            if spec.probabilities:
                probabilities.append(classes)
        joined = [np.mean(sizes, axis=0) for sizes in features.values()]
        if probabilities:  # scaled to weigh beside several networks' features as beside one network's
            joined.append(len(features) * np.mean(probabilities, axis=0))
        return np.concatenate(joined).astype(np.float32)

    def embed_pictures(self, pictures: Iterable[bytes | memoryview]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Embed encoded pictures just as files are embedded: (n, d) float32."""
        encoded = list(pictures)
        parts = [embed_pictures(network, encoded) for network in self.networks]
        return np.stack([self.join(rows) for rows in zip(*parts, strict=True)])

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the networks are compiled anew at their next use."""
        super().set_params(**params)
        if "backbone" in params:
            self._held = None
        return self

    def __sklearn_clone__(self) -> Self:
        """Make an embedder of the same parameters, which shares the cache: an open file cannot be copied."""
        cloned = type(self)(self.backbone, precision=self.precision, cache=self.cache, white=self.white)
        cloned._held = self._held
        return cloned

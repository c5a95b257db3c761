"""Pictures to vectors."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

import numpy as np

from dn2.arrays import Vector
from dn2.errors import BackboneError
from dn2.extras import import_above
from dn2.kinds.embedder import Embedder
from dn2.kinds.image.options import check_white
from dn2.kinds.image.pipeline import EmbeddedPicture, ImagePipeline, embed_one
from dn2.networks.backbone import AnyNetwork, Backbone
from dn2.networks.golden import embed_pictures
from dn2.networks.opening import open_network
from dn2.networks.registry import count_files, get_backbone, split_name, strip_folders
from dn2.networks.sources import PLAIN_VIEW, Source, View
from dn2.store.cache import Cache
from dn2.system.interface import option
from dn2.system.processes import cached_property

MOST_NETWORKS = 8  # that are joined


class PlainImageEmbedder(Embedder):
    """Embeds pictures with a frozen network; its parameters are those of `dn2.ImageEmbedder`."""

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

    def as_transformer(self) -> Any:
        """See `Embedder`."""
        return import_above("dn2.kinds.image.transformer").ImageEmbedder.sharing(self)

    def fresh_copy(self) -> Self:
        """Make an embedder of the same parameters, which shares the cache: an open file cannot be copied."""
        cloned = type(self)(self.backbone, precision=self.precision, cache=self.cache, white=self.white)
        cloned._held = self._held
        return cloned

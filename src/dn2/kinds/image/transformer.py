"""Pictures to vectors, as a scikit-learn transformer."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any, Self

import numpy as np

from dn2.arrays import Vectors
from dn2.errors import InputError, UnreadableItem
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.reading import list_pictures
from dn2.kinds.transformer import Transformer
from dn2.system.stores import name_stored


class ImageEmbedder(Transformer, PlainImageEmbedder):
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

    def transform(self, X: Any) -> Vectors:
        """Embed pictures, before any normalisation.

        Parameters
        ----------
        X : iterable of n pictures
            Each a path or a URL, the bytes of a file, a picture of Pillow, or an array of uint8, of uint16 where
            `white` is given, of shape (height, width), (height, width, 1), (height, width, 3) or (height, width, 4); or
            an array of shape (n, height, width, c).
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
        sources = [name_stored(one) for one in list_pictures(X)]
        vectors = np.empty((len(sources), self.dimension), np.float32)
        with closing(self.embed(sources)) as embedded:  # closing ends its threads, also at an error
            for number, (row, item) in enumerate(zip(vectors, embedded, strict=True)):
                if item.vector is None:
                    source = sources[number]
                    name = source if isinstance(source, (str, os.PathLike)) else f"picture {number + 1}"
                    raise UnreadableItem(f"{name}: {item.error}")
                row[:] = item.vector
        return vectors

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; the networks are compiled anew at their next use."""
        super().set_params(**params)
        if "backbone" in params:
            self._held = None
        return self

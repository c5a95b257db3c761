"""What only models of pictures do: the anomaly map of one picture, and the decision as files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dn2.arrays import Array
from dn2.kinds.exchange import Belonging
from dn2.model.described import Described
from dn2.model.exporting import export


class Mapped(Described):
    """The methods of a model that show where an item is strange, and write its decision; see `Model`."""

    def anomaly_map(self, item: Any, *, part: str | None = None, mask: Any = None) -> Array:
        """Show where one picture is strange, by a model that compares pictures patch by patch.

        Parameters
        ----------
        item : object
            A picture, as for `score_one`: an array of uint8, a picture of Pillow, the bytes of a file, or its path.
        part : str, default=None
            The part that it shows, where the model's items have parts: patches of that part are not compared with.
        mask : path or picture in memory, default=None
            Where the picture is looked at, of a model that was fitted with a mask for each.

        Returns
        -------
        anomaly_map : ndarray of shape (height, width), float32
            How far each pixel of the picture, upright, is from normal: 1 where it is as far as usual, higher where it
            is stranger.  Interpolated bilinearly between the places that are compared.

        Raises
        ------
        UnreadableItem
            For a picture that cannot be read.
        InputError
            For a model without patches.

        Examples
        --------
        >>> import dn2, numpy
        >>> rng = numpy.random.default_rng(0)
        >>> pictures = [rng.integers(100, 120, (48, 64), numpy.uint8) for _ in range(8)]
        >>> model = dn2.fit(pictures, patches=True, resolution=64, bank=50)
        >>> model.anomaly_map(pictures[0]).shape
        (48, 64)
        """
        now = self.state
        now.rules.resolve(part, None)
        item = now.kind.masked_one(item, mask)
        return now.kind.anomaly_map(now, item, Belonging(None if part is None else [str(part)]))

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | Iterable[str] | None = None,
        overwrite: bool = False,
    ) -> dict[str, Any]:
        """Write the whole decision as files that need no dn2: from pixels to the score, the map and the neighbours.

        Parameters
        ----------
        path : path
            The folder, which is made: `decision.onnx`, `decision.xml` with `decision.bin`, and `decision.json`, which
            says how to use them.
        format : str or iterable of str, default=None
            `onnx` or `openvino`; both by default.
        overwrite : bool, default=False
            Replace an export that is there.

        Returns
        -------
        about : dict
            What `decision.json` holds; `proof` says how the files compared with the model on some pictures.

        Raises
        ------
        InputError
            For a model that is not one of single pictures with an exact search, and a folder that holds other files.
        BackboneError
            If the files decide otherwise than the model; nothing is written then.
        MissingExtra
            For ONNX without the package onnx.

        Examples
        --------
        >>> import dn2, numpy, os, tempfile
        >>> frames = numpy.random.default_rng(0).integers(0, 255, (12, 32, 32, 3), numpy.uint8)
        >>> model = dn2.fit(frames, backbone="lite0@32")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     about = model.export(os.path.join(folder, "decision"), format="openvino")
        >>> sorted(about["files"])
        ['decision.bin', 'decision.xml']
        """
        return export(self.state, Path(path), format, overwrite)

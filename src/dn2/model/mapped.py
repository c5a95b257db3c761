"""Where an item is strange: the anomaly map of one picture."""

from __future__ import annotations

from typing import Any

from dn2.arrays import Array
from dn2.kinds.exchange import Belonging
from dn2.model.described import Described


class Mapped(Described):
    """The method of a model that says where an item is strange: see `dn2.model.model.Model`."""

    def anomaly_map(self, item: Any, *, part: str | None = None) -> Array:
        """Show where one picture is strange, by a model that compares pictures patch by patch.

        Parameters
        ----------
        item : object
            A picture, as for `score_one`: an array of uint8, a picture of Pillow, the bytes of a file, or its path.
        part : str, default=None
            The part that it shows, where the model's items have parts: patches of that part are not compared with.

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
        return now.kind.anomaly_map(now, item, Belonging(None if part is None else [str(part)]))

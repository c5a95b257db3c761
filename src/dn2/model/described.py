"""The parts of a model, and what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dn2.kinds.embedder import Embedder
from dn2.kinds.exchange import ReadColumn, ReferenceItem
from dn2.kinds.kind import Kind
from dn2.model.state import Origin, State
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.detector import Detector
from dn2.results.rows import Row


class Described:
    """The methods of a model that say what it is: see `dn2.model.model.Model`.

    state : the parts of the model; replaced as a whole."""

    state: State

    @property
    def kind(self) -> Kind[Any]:
        """How items become vectors and evidence."""
        return self.state.kind

    @property
    def detector(self) -> Detector:
        """What scores items."""
        return self.state.detector

    @property
    def items(self) -> list[ReferenceItem]:
        """The reference set, in the detector's order."""
        return self.state.items

    @property
    def unreadable(self) -> list[Row]:
        """Rows with the error of each item that the last fit or add could not read."""
        return self.state.unreadable

    @property
    def origin(self) -> Origin | None:
        """The saved model that this one was loaded from or saved as."""
        return self.state.origin

    @property
    def embedder(self) -> Any:
        """What turns items into vectors: an `ImageEmbedder` for pictures; None where they are vectors."""
        embedder = self.kind.embedder
        return embedder.as_transformer() if isinstance(embedder, Embedder) else embedder

    @property
    def columns(self) -> Sequence[ReadColumn]:
        """How each column of a table was read, or why it is left out: name, words, is_compared."""
        return self.kind.columns

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        return self.state.calibration

    @property
    def false_alarm_rate(self) -> float:
        """The rate at which `score` decides by default."""
        return self.state.false_alarm_rate

    @property
    def set_aside(self) -> list[str]:
        """The names of the items that the cleaning of a contaminated reference set leaves out."""
        return self.state.set_aside

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List the reference items that nearly are others.

        Returns
        -------
        pairs : list of (str, str)
            An item, and the one that it nearly is; of two that are each other's nearest both ways round.

        Examples
        --------
        >>> import dn2, numpy
        >>> normal = numpy.random.default_rng(0).normal(size=(200, 4))
        >>> dn2.fit(numpy.vstack([normal, normal[:1]])).near_duplicates()
        [('row 1', 'row 201'), ('row 201', 'row 1')]
        """
        return self.state.near_duplicates()

    def describe(self) -> dict[str, Any]:
        """Say what the model is: embedder, detector, calibration; the values are those of `model.json`.

        Returns
        -------
        about : dict
            `removed_in_files` counts the items taken away whose rows are still in the model's files: where much would
            have to be rewritten, a file keeps them until a quarter of its rows is gone.

        Examples
        --------
        >>> import dn2, numpy
        >>> about = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4))).describe()
        >>> about["kind"], about["dimension"], about["calibration"]["n_reference"]
        ('vector', 4, 200)
        """
        return self.state.describe()

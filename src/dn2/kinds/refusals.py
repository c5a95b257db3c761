"""What only some kinds of data do: the others refuse it, and say why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self

from dn2.arrays import Array
from dn2.errors import InputError
from dn2.kinds.exchange import NOTHING, Batch, Belonging, FoundT, Judge, ScoredItems
from dn2.system.interface import command, option


class Refusals(Generic[FoundT]):
    """The methods of a kind of data that raise InputError unless it has its own: see `dn2.kinds.kind.Kind`."""

    name: ClassVar[str]
    if TYPE_CHECKING:

        @property
        def many(self) -> str: ...

    def embed_one(self, item: Any) -> Batch:
        """Embed one item from memory in the calling thread, and keep nothing of it.

        Raises UnreadableItem for an item that cannot be read, InputError unless it is exactly one item, and for a kind
        whose items are not scored alone."""
        raise InputError(f"{self.many} are not scored alone: give them to Model.score")

    def score_itself(self, judge: Judge, found_items: FoundT) -> ScoredItems:
        """Score the items that a model was fitted on, each among all others.

        Raises InputError for a kind that is not compared without a model."""
        raise InputError(f"{self.many} are not scored among themselves: fit a model, and score with it")

    @classmethod
    def check_points(cls, path: Path) -> None:
        """Raise InputError, before the work, unless scores of points can be written to this file."""
        raise InputError(f"only series have points, and items here are of the kind {cls.name}: leave {path} out")

    def anomaly_map(self, judge: Judge, item: Any, belonging: Belonging = NOTHING) -> Array:
        """Return how far each pixel of one picture from memory is from normal, (height, width) float32.

        Raises InputError for items without anomaly maps, and as `embed_one` does."""
        raise InputError(self._without_maps())

    def writing_maps(self, folder: Path) -> Self:
        """Return the same kind, which also writes the anomaly map of each picture that it scores into a folder.

        Raises InputError for items without anomaly maps, and for a folder that cannot be written."""
        raise InputError(self._without_maps())

    def masked(self, found_items: FoundT, mask: Any) -> FoundT:
        """Return found items with the masks that say where they are looked at.

        mask : a folder of masks, or one for each item; None for none.
        Raises InputError for masks where the model has none for each item, and without them where it has."""
        self.check_no_mask(mask)
        return found_items

    def masked_one(self, item: Any, mask: Any) -> Any:
        """Return one item from memory with its mask, if it has one; raises InputError as `masked` does."""
        self.check_no_mask(mask)
        return item

    def check_no_mask(self, mask: Any) -> None:
        """Raise InputError for masks, where the model has none for each item."""
        if mask is not None:
            fitted = command("dn2 fit INPUT -o MODEL --patches --mask FOLDER", "dn2.fit(..., patches=True, mask=...)")
            raise InputError(
                f"the model was not fitted with a mask for each item: leave out {option('mask')}; {fitted} makes one "
                "that is"
            )

    def _without_maps(self) -> str:
        fitted = command("dn2 fit INPUT -o MODEL --patches", "dn2.fit(..., patches=True)")
        return f"only pictures that are compared patch by patch have anomaly maps: {fitted} makes such a model"

"""What a labelled data set is, however it is laid out."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dn2.errors import InputError
from dn2.inputs.items import Item
from dn2.kinds.image.labelled.masks import Mask
from dn2.results.words import count_in_words

logger = logging.getLogger("dn2")


@dataclass(frozen=True)
class LabelledPicture:
    """One picture whose truth is known.

    name : its path relative to the data set's folder, with `/`.
    split : `train`, `validation` or `test`; None where the data set does not say.
    kind : of its defect, None where it has no name, and of a normal picture.
    mask : where the defect is; None where nothing says so, and of most normal pictures.
    part : what several pictures show together, None where nothing says so."""

    name: str
    path: Path
    split: str | None
    is_anomalous: bool
    kind: str | None = None
    mask: Mask | None = None
    part: str | None = None

    @property
    def item(self) -> Item:
        """The picture as an item to fit or score."""
        return Item(self.name, self.path, in_folder=True)


@dataclass(frozen=True)
class LabelledSet:
    """A data set of pictures whose truth is known.

    layout : the name of its layout; folder : of the data set, or of the chosen category.
    errors : by the name of a picture, or by the line that names it, why it is not among the pictures."""

    layout: str
    folder: Path
    pictures: tuple[LabelledPicture, ...]
    errors: Mapping[str, str]


@dataclass
class Gathering:
    """The pictures of a data set while it is read.

    source : what the user named: the folder, or a manifest.
    unused_masks : masks that are of no picture."""

    layout: str
    folder: Path
    source: Path
    pictures: list[LabelledPicture] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    unused_masks: Sequence[Path] = ()

    def name_of(self, path: Path) -> str:
        """Return the name of a picture."""
        return path.relative_to(self.folder).as_posix()

    def finish(self) -> LabelledSet:
        """Check the pictures together, and warn of what does not fit.

        Raises InputError if there is none."""
        self._refuse_contradictions()
        self._refuse_shared_masks()
        if not self.pictures:
            first = next(iter(self.errors.items()), None)
            why = "it has none" if first is None else f"of the first, {first[0]}: {first[1]}"
            raise InputError(f"{self.source}, read as {self.layout}, must hold pictures that can be used; {why}")
        bare = [picture.name for picture in self.pictures if picture.is_anomalous and picture.mask is None]
        if bare and any(picture.mask is not None for picture in self.pictures):
            words = count_in_words(len(bare), "anomalous picture has", "anomalous pictures have")
            logger.warning("%s: %s no mask, such as %s", self.source, words, bare[0])
        if self.unused_masks:
            words = count_in_words(len(self.unused_masks), "mask belongs", "masks belong")
            logger.warning("%s: %s to no picture, such as %s", self.source, words, self.unused_masks[0])
        if self.errors:
            name, reason = next(iter(self.errors.items()))
            words = count_in_words(len(self.errors), "picture is", "pictures are")
            logger.warning("%s: %s left out; of the first, %s: %s", self.source, words, name, reason)
        return LabelledSet(self.layout, self.folder, tuple(self.pictures), self.errors)

    def _refuse_contradictions(self) -> None:
        """Leave out files that are normal in one place and anomalous in another, to which a link leads."""
        real = {one.name: os.path.realpath(one.path) for one in self.pictures}
        anomalous = {real[one.name] for one in self.pictures if one.is_anomalous}
        both = anomalous & {real[one.name] for one in self.pictures if not one.is_anomalous}
        for name in [one.name for one in self.pictures if real[one.name] in both]:
            self.errors[name] = f"a picture is normal or anomalous, and {real[name]} would be both"
        self.pictures = [one for one in self.pictures if one.name not in self.errors]

    def _refuse_shared_masks(self) -> None:
        """Leave out anomalous pictures that share a mask, found by the end of their names; normal ones lose theirs."""
        users = Counter(one.mask.path for one in self.pictures if one.is_anomalous and one.mask is not None)
        pictures, self.pictures = self.pictures, []
        for picture in pictures:
            if picture.mask is None or picture.mask.path not in users:
                self.pictures.append(picture)
            elif not picture.is_anomalous:
                self.pictures.append(replace(picture, mask=None))
            elif (count := users[picture.mask.path]) > 1:
                self.errors[picture.name] = f"a mask is of one picture, and {picture.mask.path} would be of {count:,}"
            else:
                self.pictures.append(picture)

"""A model: an embedder, a detector, and the items that the detector calls normal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.images import SUFFIXES
from dn2.embedding import EmbeddedItems, Progress, embed_items
from dn2.errors import InputError
from dn2.inputs.files import Inputs, Item, find_groups, find_items
from dn2.neighbors.conformal import Calibration, Scores, false_discoveries
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.groups import Pooling
from dn2.neighbors.metrics import Evaluation, evaluate
from dn2.scoring import discover, score_items
from dn2.store.cache import Cache
from dn2.store.packed import PackedBytes
from dn2.store.results import Results, Row


class ReferenceItem(NamedTuple):
    """A normal item: its name, where its file was, and the SHA-256 of the file's bytes."""

    name: str
    path: str
    sha256: str


class KnownScores(NamedTuple):
    """Scores, p-values and truth of items, (n,) each, and the rows of those that could not be read and are left out."""

    scores: Scores
    p_values: Scores
    is_anomalous: np.ndarray[Any, np.dtype[np.bool_]]
    unreadable: list[Row]

    def evaluate(self, rate: float) -> Evaluation:
        """Compare with the truth, decided at a rate.  Raises InputError if a class is empty."""
        return evaluate(self.scores, self.p_values, self.is_anomalous, rate)


@dataclass(frozen=True)
class Origin:
    """The saved model that one in memory came from, by folder and digest."""

    folder: Path
    digest: str


class Model:
    """What normal looks like; made by `dn2.fit` or `dn2.load`.

    embedder, detector : the parts; items, thumbnails : the reference set in the detector's order, and a small JPEG
        of each item.  pooling : how groups become items, None where items are pictures.
    unreadable : rows with the error of each item that the last fit or add could not read.
    origin : the saved model that this one was loaded from or saved as."""

    def __init__(
        self,
        embedder: ImageEmbedder,
        detector: KNNDetector,
        items: Sequence[ReferenceItem],
        thumbnails: PackedBytes,
        pooling: Pooling | None = None,
    ) -> None:
        self.embedder = embedder
        self.detector = detector
        self.items = list(items)
        self.thumbnails = thumbnails
        self.pooling = pooling
        self.unreadable: list[Row] = []
        self.origin: Origin | None = None

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        return self.detector.calibration_

    @property
    def false_alarm_rate(self) -> float:
        """The rate at which `score` decides by default."""
        return float(self.detector.false_alarm_rate_)

    def score(
        self,
        inputs: Inputs,
        *,
        false_alarm_rate: float | None = None,
        fdr: float | None = None,
        progress: Progress | None = None,
    ) -> Results:
        """Score items: an anomaly score, a p-value, a decision and the nearest reference items for each.

        inputs : a folder, files, a glob, `@list.txt`, or several of these.
        false_alarm_rate : decide at this rate instead of the model's; fdr : decide the batch by Benjamini-Hochberg
        at this false-discovery rate instead.
        An item that cannot be read gets a row with its error.
        Raises InputError if nothing is found or both rates are given, ReferenceTooSmall for a rate that the reference
        set cannot support."""
        if fdr is not None:
            if false_alarm_rate is not None:
                raise InputError(
                    "a false-alarm rate and a false-discovery rate are two ways to decide; give one of them"
                )
            false_discoveries(np.empty(0), fdr)  # a bad level is refused before the work, not after it
        rate = self.false_alarm_rate if false_alarm_rate is None else self.calibration.rate(false_alarm_rate)
        results = score_items(self, self.find(inputs), progress)
        return results.at(rate) if fdr is None else discover(results, fdr)

    def find(self, inputs: Inputs) -> list[Item]:
        """List the items, or the groups, that inputs name.  Raises InputError if there are none."""
        return find_items(inputs, SUFFIXES) if self.pooling is None else find_groups(inputs, SUFFIXES)

    def score_known(self, normal: Inputs, anomalous: Inputs, *, progress: Progress | None = None) -> KnownScores:
        """Score items known to be normal and anomalous.  Raises InputError if nothing is found."""
        results = [self.score(inputs, progress=progress) for inputs in (normal, anomalous)]
        rows = [[row for row in one if row.error is None] for one in results]
        figures = np.array([(row.anomaly_score, row.p_value) for of_one in rows for row in of_one], float)
        scores, p_values = figures.reshape(-1, 2).T
        truth = np.repeat([False, True], [len(of_one) for of_one in rows])
        return KnownScores(scores, p_values, truth, [row for one in results for row in one.unreadable])

    def evaluate(
        self, normal: Inputs, anomalous: Inputs, *, progress: Progress | None = None
    ) -> tuple[Evaluation, list[Row]]:
        """Score items known to be normal and anomalous, and compare.

        Returns the figures, and the rows of items that could not be read and are left out.
        Raises InputError if a class has no readable item."""
        known = self.score_known(normal, anomalous, progress=progress)
        return known.evaluate(self.false_alarm_rate), known.unreadable

    def add(self, inputs: Inputs, *, progress: Progress | None = None) -> Self:
        """Add items to the reference set.

        Raises InputError, and changes nothing, for a name that the model has already or if nothing is readable."""
        items = self.find(inputs)
        known = {item.name for item in self.items}
        if taken := [item.name for item in items if item.name in known]:
            raise InputError(
                f"the model has an item {taken[0]!r} already ({len(taken)} such names in all); "
                "remove it first or give the file another name"
            )
        new = embed_items(self.embedder, items, progress, reference=True, pooling=self.pooling)
        reference = self.items + reference_items(new)
        thumbnails = PackedBytes.of([*self.thumbnails, *new.thumbnails])
        self.detector.add(new.vectors)  # the last that may fail, and it changes nothing then
        self.items, self.thumbnails, self.unreadable = reference, thumbnails, new.unreadable
        return self

    def remove(self, names: str | Iterable[str]) -> Self:
        """Take items away by name; the model is then as if it never had them.

        Raises InputError, and changes nothing, for a name that the model does not have; ReferenceTooSmall if too few
        items would remain."""
        unwanted = self._known(names)
        kept = [place for place, item in enumerate(self.items) if item.name not in unwanted]
        reference = [self.items[place] for place in kept]
        thumbnails = PackedBytes.of(self.thumbnails[place] for place in kept)
        self.detector.remove([place for place, item in enumerate(self.items) if item.name in unwanted])
        self.items, self.thumbnails = reference, thumbnails
        return self

    @property
    def set_aside(self) -> list[str]:
        """The names of the items that the cleaning of a contaminated reference set leaves out."""
        return [self.items[position].name for position in self.detector.aside_]

    def readmit(self, names: str | Iterable[str]) -> Self:
        """Take items that were set aside back into the reference set, by name.

        Raises InputError, and changes nothing, for an item that is not set aside."""
        wanted = self._known(names)
        if strangers := wanted - set(self.set_aside):
            raise InputError(f"{min(strangers)!r} is not set aside; `dn2 inspect MODEL --aside` lists what is")
        self.detector.readmit([place for place, item in enumerate(self.items) if item.name in wanted])
        return self

    def _known(self, names: str | Iterable[str]) -> set[str]:
        """Check names of reference items."""
        asked = {names} if isinstance(names, str) else set(names)
        if unknown := asked - {item.name for item in self.items}:
            raise InputError(f"the model has no item {min(unknown)!r}; `dn2 inspect MODEL --items` lists their names")
        return asked

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List pairs (item, its near copy) in the reference set."""
        return [(self.items[one].name, self.items[other].name) for one, other in self.detector.near_duplicates()]

    def describe(self) -> dict[str, Any]:
        """Say what the model is: embedder, detector, calibration; the values are those of `model.json`."""
        share = self.detector.contamination_
        return {
            "kind": "image",
            "groups": None if self.pooling is None else self.pooling.as_dict(),
            "embedder": self.embedder.as_dict(),
            "detector": self.detector.get_params(),
            "calibration": self.calibration.as_dict(self.false_alarm_rate),
            "contamination": None if share is None else asdict(share) | {"aside": len(self.detector.aside_)},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model as a folder; a model that is there already is replaced in one step.

        Raises InputError for a folder that is no model, ModelError if it was changed since it was loaded."""
        from dn2.saved import write

        write(self, Path(path))


def load(path: str | os.PathLike[str], *, cache: Cache | None = None) -> Model:
    """Load a saved model and check that its files are whole and that this machine embeds alike.

    cache : where embeddings are kept by content, None for nowhere.
    Raises ModelError if it is missing or damaged, NotReproducible, BackboneError."""
    from dn2.saved import read

    return read(Path(path), cache)


def reference_items(embedded: EmbeddedItems) -> list[ReferenceItem]:
    """Make reference items of embedded ones."""
    return [
        ReferenceItem(item.name, os.path.abspath(item.path), digest)
        for item, digest in zip(embedded.items, embedded.digests, strict=True)
    ]

"""A model: an embedder, a detector, and the items that the detector calls normal."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.bounds import check_fits
from dn2.embedding import Progress
from dn2.errors import InputError
from dn2.kinds.kind import Found, Kind, ReferenceItem
from dn2.kinds.series import Series
from dn2.naming import identity
from dn2.neighbors.choice import check_scoring
from dn2.neighbors.conformal import Calibration, Scores, false_discoveries
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.metrics import Evaluation, evaluate
from dn2.processes import PerProcess
from dn2.scoring import check_apart, discover, score_items
from dn2.state import Origin, State
from dn2.store.cache import Cache
from dn2.store.results import Results
from dn2.store.rows import Row

logger = logging.getLogger("dn2")

BYTES_A_RESULT = 600  # of an item's row, its name and its neighbours

REFERENCE_ITEMS = (
    "%d of %d %s items are reference items, or copies of them: such an item has itself as a neighbour, and the figures "
    "are not those of new items; keep some items back from fit, and give those"
)


class KnownScores(NamedTuple):
    """Scores, p-values and truth of items, (n,) each, and the rows of those that could not be read and are left out.

    normal_reference, anomalous_reference : how many of them are reference items, or copies of them."""

    scores: Scores
    p_values: Scores
    is_anomalous: np.ndarray[Any, np.dtype[np.bool_]]
    unreadable: list[Row]
    normal_reference: int
    anomalous_reference: int

    def evaluate(self, rate: float) -> Evaluation:
        """Compare with the truth, decided at a rate, and warn of reference items.  Raises InputError if a class is
        empty."""
        figures = evaluate(self.scores, self.p_values, self.is_anomalous, rate)
        if self.normal_reference:
            logger.warning(REFERENCE_ITEMS, self.normal_reference, figures.n_normal, "normal")
        if self.anomalous_reference:
            logger.warning(REFERENCE_ITEMS, self.anomalous_reference, figures.n_anomalous, "anomalous")
        return replace(figures, normal_reference=self.normal_reference, anomalous_reference=self.anomalous_reference)


class Model:
    """What normal looks like; made by `dn2.fit` or `dn2.load`.

    kind : how items become vectors and evidence; detector : what scores them; items : the reference set, in the
        detector's order.
    unreadable : rows with the error of each item that the last fit or add could not read.
    origin : the saved model that this one was loaded from or saved as.

    All of these are of one `state`, which changes replace as a whole: threads that score meanwhile see the model as it
    was before or as it is after.  Changes, of which saving is one, wait for each other."""

    def __init__(
        self,
        kind: Kind,
        detector: KNNDetector,
        items: Sequence[ReferenceItem],
        *,
        unreadable: Sequence[Row] = (),
        origin: Origin | None = None,
    ) -> None:
        self.state = State(kind, detector, list(items), list(unreadable), origin)
        self._changing = PerProcess(threading.RLock)

    @property
    def kind(self) -> Kind:
        """How items become vectors and evidence."""
        return self.state.kind

    @property
    def detector(self) -> KNNDetector:
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
        return self.kind.embedder

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

    def score(
        self,
        inputs: Any,
        *,
        false_alarm_rate: float | None = None,
        fdr: float | None = None,
        memory_limit: str | int | None = None,
        progress: Progress | None = None,
    ) -> Results:
        """Score items: an anomaly score, a p-value, a decision and the nearest reference items for each.

        inputs : a folder, files, a glob, `@list.txt`, or several of these; a table also as a frame of pandas or polars,
        vectors and series also as an array.
        false_alarm_rate : decide at this rate instead of the model's; fdr : decide the batch by Benjamini-Hochberg
        at this false-discovery rate instead.
        memory_limit : such as `4GB`, see `dn2.fit`; what does not fit is refused.
        An item that cannot be read gets a row with its error.
        Raises InputError if nothing is found or both rates are given, ReferenceTooSmall for a rate that the reference
        set cannot support."""
        now = self.state
        if fdr is not None:
            if isinstance(now.kind, Series):
                raise InputError("p-values of series have no false-discovery rate; give a false-alarm rate")
            if false_alarm_rate is not None:
                raise InputError(
                    "a false-alarm rate and a false-discovery rate are two ways to decide; give one of them"
                )
            false_discoveries(np.empty(0), fdr)  # a bad level is refused before the work, not after it
        rate = now.false_alarm_rate if false_alarm_rate is None else now.calibration.rate(false_alarm_rate)
        found = now.kind.find(inputs, progress)
        results = self._score_found(now, found, memory_limit, progress)
        return results.at(rate) if fdr is None else discover(results, fdr)

    def _score_found(
        self, now: State, found: Found, memory_limit: str | int | None, progress: Progress | None
    ) -> Results:
        sizes = len(now.items), now.kind.dimension, len(found.names)
        check_scoring(now.detector.get_params(), memory_limit, *sizes)
        check_fits(BYTES_A_RESULT * len(found.names), f"what is found of {len(found.names):,} items")
        return score_items(self, now, found, progress)

    def score_known(self, normal: Any, anomalous: Any, *, progress: Progress | None = None) -> KnownScores:
        """Score items known to be normal and anomalous.

        Raises InputError if nothing is found, and for a file that is given as both."""
        now = self.state
        found = [now.kind.find(inputs, progress) for inputs in (normal, anomalous)]
        check_apart(*found)
        results = [self._score_found(now, one, None, progress) for one in found]
        known = [one.reference_items for one in results]
        rows = [[row for row in one if row.error is None] for one in results]
        figures = np.array([(row.anomaly_score, row.p_value) for of_one in rows for row in of_one], float)
        scores, p_values = figures.reshape(-1, 2).T
        truth = np.repeat([False, True], [len(of_one) for of_one in rows])
        return KnownScores(scores, p_values, truth, [row for one in results for row in one.unreadable], *known)

    def evaluate(
        self, normal: Any, anomalous: Any, *, progress: Progress | None = None
    ) -> tuple[Evaluation, list[Row]]:
        """Score items known to be normal and anomalous, and compare.

        Returns the figures, and the rows of items that could not be read and are left out.
        Raises InputError if a class has no readable item."""
        known = self.score_known(normal, anomalous, progress=progress)
        return known.evaluate(self.false_alarm_rate), known.unreadable

    def add(self, inputs: Any, *, progress: Progress | None = None) -> Self:
        """Add items to the reference set.

        Raises InputError, and changes nothing, for a name that the model has already or if nothing is readable."""
        with self._changing.get():
            now = self.state
            found = now.kind.find(inputs, progress)
            known = {identity(item.name) for item in now.items}
            if taken := [name for name in found.names if identity(name) in known]:
                raise InputError(
                    f"the model has an item {taken[0]!r} already ({len(taken)} such names in all); "
                    "remove it first or give the new one another name"
                )
            new = now.kind.reference(found, progress)
            detector = copy(now.detector).add(new.vectors, places=new.places)
            self.state = State(new.kind, detector, now.items + new.items, new.unreadable, now.origin)
        return self

    def remove(self, names: str | Iterable[str]) -> Self:
        """Take items away by name; the model is then as if it never had them.

        Raises InputError, and changes nothing, for a name that the model does not have; ReferenceTooSmall if too few
        items would remain."""
        with self._changing.get():
            now = self.state
            unwanted = _known(now, names)
            stay = [identity(item.name) not in unwanted for item in now.items]
            detector = copy(now.detector).remove(np.flatnonzero(np.logical_not(stay)))
            kept = now.kind.only(np.flatnonzero(stay))
            self.state = replace(now, kind=kept, detector=detector, items=list(compress(now.items, stay)))
        return self

    def readmit(self, names: str | Iterable[str]) -> Self:
        """Take items that were set aside back into the reference set, by name.

        Raises InputError, and changes nothing, for an item that is not set aside."""
        with self._changing.get():
            now = self.state
            wanted = _known(now, names)
            if strangers := wanted - set(map(identity, now.set_aside)):
                raise InputError(f"{min(strangers)!r} is not set aside; `dn2 inspect MODEL --aside` lists what is")
            places = [place for place, item in enumerate(now.items) if identity(item.name) in wanted]
            self.state = replace(now, detector=copy(now.detector).readmit(places))
        return self

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List pairs (item, its near copy) in the reference set."""
        return self.state.near_duplicates()

    def describe(self) -> dict[str, Any]:
        """Say what the model is: embedder, detector, calibration; the values are those of `model.json`.

        `removed_in_files` counts the items taken away whose rows are still in the model's files: where much would have
        to be rewritten, a file keeps them until a quarter of its rows is gone."""
        return self.state.describe()

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save the model as a folder.  The model that it was loaded from or saved as before is replaced in one step.

        overwrite : replace any other model that is there, too.
        Raises InputError for another model, and for a folder that is none; ModelError if the model was changed since
        it was loaded."""
        from dn2.saved import write

        with self._changing.get():
            self.state = replace(self.state, origin=write(self.state, Path(path), overwrite))


def _known(now: State, names: str | Iterable[str]) -> set[str]:
    """Check names of reference items, and return the identity of each."""
    asked = set(map(identity, [names] if isinstance(names, str) else names))
    if unknown := asked.difference(identity(item.name) for item in now.items):
        raise InputError(f"the model has no item {min(unknown)!r}; `dn2 inspect MODEL --items` lists their names")
    return asked


def load(path: str | os.PathLike[str], *, cache: Cache | None = None, backbone: str | None = None) -> Model:
    """Load a saved model and check that its files are whole and that this machine embeds alike.

    Nothing that the model says is opened outside of its folder, or downloaded: its network lies in it, comes with an
    installed package, or is in the cache of its library.
    cache : where embeddings are kept by content, None for nowhere.
    backbone : the network by name or path, where the model does not hold it: named by you, it may be opened and
        downloaded, and must be the one that the model was made with.
    Raises ModelError if it is missing or damaged, NotReproducible, BackboneError."""
    from dn2.loading import read

    return read(Path(path), cache, backbone)

"""Files that have arrived, scored many at once; one that cannot be is an error of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from dn2.errors import BackboneError, Dn2Error, InputError, ModelError
from dn2.inputs.items import FilesIn
from dn2.model.audits import check_audit
from dn2.model.model import Model
from dn2.monitor.arriving import Arrivals, Arrived, arrived
from dn2.monitor.batch import costs_little
from dn2.monitor.drift import DriftMonitor
from dn2.monitor.messages import Judge
from dn2.results.rows import Row
from dn2.store.manifest import MANIFEST
from dn2.system.interface import option
from dn2.system.naming import encodable, ending_of, path_to_text

logger = logging.getLogger("dn2")

AT_ONCE = 256  # files
VERSION_LENGTH = 16  # of the digest of a model


@dataclass(frozen=True)
class Deciding:
    """How files are decided: see `Model.score`."""

    false_alarm_rate: float | None = None
    warn_rate: float | None = None
    audit: int | None = None
    mask: Any = None

    def check(self, model: Model) -> None:
        """Raise InputError, ReferenceTooSmall unless a model can decide so on files that arrive."""
        if model.kind.sent_as == "files":
            raise InputError(
                "single files are watched for, and this model compares groups of them: no file says when a group is "
                "whole; score the folder of the groups instead"
            )
        model.kind.masked_one(None, self.mask)
        model.state.rate(self.false_alarm_rate, self.warn_rate)
        check_audit(model.state, self.audit)


@dataclass(frozen=True)
class ScoredFile:
    """The rows of a file; one with an error if the file cannot be read."""

    file: Arrived
    rows: list[Row] = field(repr=False)

    @property
    def is_lost(self) -> bool:
        """Whether nothing of it could be read."""
        return all(row.error is not None for row in self.rows)


class FileScorer:
    """Scores files by the saved model as it is by now.

    Parameters
    ----------
    path : Path
        The folder of the model.
    load : callable
        Loads it.
    deciding : Deciding
        How to decide.
    drift : dict or None
        What `DriftMonitor.as_dict` gave before.

    Attributes
    ----------
    model : Model
        As it was loaded last.
    monitor : DriftMonitor or None
        What watches for drift; None where that is not possible, as `unwatched` says.

    Raises
    ------
    InputError, ReferenceTooSmall
        For a model that cannot decide so.
    ModelError
        For one that is missing or damaged."""

    def __init__(self, path: Path, load: Callable[[], Model], deciding: Deciding, drift: dict[str, Any] | None) -> None:
        self.path, self.deciding = path, deciding
        self._load = load
        self._seen = arrived(path / MANIFEST, MANIFEST)
        self._take(load(), drift)

    def _take(self, model: Model, drift: dict[str, Any] | None) -> None:
        self.deciding.check(model)
        self.model, self.unwatched = model, _why_unwatched(model)
        self.monitor: DriftMonitor | None = None
        if self.unwatched is None:
            self.monitor = _monitor(model, drift)

    @property
    def judge(self) -> Judge:
        """What decides."""
        origin = self.model.state.origin
        return Judge(self.path.resolve().name, "" if origin is None else origin.digest[:VERSION_LENGTH])

    def batches(self, files: Iterable[Arrived]) -> Iterator[list[Arrived]]:
        """Cut files, in their order, into those that are scored together: of tables and the like, each alone."""
        single = self.model.kind.single_files
        for is_single, some in groupby(files, lambda file: ending_of(file.name) in single):
            while batch := list(islice(some, AT_ONCE if is_single else 1)):
                yield batch

    def refresh(self) -> bool:
        """Take over the model where it was replaced, and tell whether it was; one that cannot decide is warned of."""
        seen = arrived(self.path / MANIFEST, MANIFEST)
        if seen is None or seen == self._seen:
            return False
        self._seen = seen
        before = self.judge
        try:
            self._take(self._load(), None if self.monitor is None else self.monitor.as_dict())
        except Dn2Error as error:
            logger.warning("the model was replaced, and the one before decides on: %s", error)
            return False
        return self.judge != before

    def score(self, arrivals: Arrivals, files: Sequence[Arrived]) -> list[ScoredFile]:
        """Score files that lie in the folder that is watched.

        Raises ModelError, BackboneError where the model fails; whatever a file does to a reader is its own error."""
        try:
            return self._scored(arrivals, files)
        except (ModelError, BackboneError):
            raise
        except Exception as error:
            if len(files) > 1:
                return [one for file in files for one in self.score(arrivals, [file])]
            if not isinstance(error, (Dn2Error, OSError, MemoryError)):
                logger.exception("a fault of dn2's at %s; please report it", files[0].name)
            return [ScoredFile(files[0], [Row(files[0].name, error=encodable(str(error)) or type(error).__name__)])]

    def _scored(self, arrivals: Arrivals, files: Sequence[Arrived]) -> list[ScoredFile]:
        paths = {path_to_text(arrivals.path(file)): file for file in files}
        watching = nullcontext() if self.monitor is None else self.monitor.watching()
        how = self.deciding
        with watching:
            results = self.model.score(
                [FilesIn(arrivals.folder, tuple(map(arrivals.path, files)))],
                false_alarm_rate=how.false_alarm_rate,
                warn_rate=how.warn_rate,
                audit=how.audit,
                mask=how.mask,
                progress=False,
            )
        rows: dict[Arrived, list[Row]] = {file: [] for file in files}
        if len(files) == 1:
            rows[files[0]] = list(results)
        else:
            origins = None if results.context is None else results.context.paths
            for row, origin in zip(results, origins or (), strict=True):
                rows[paths[origin]].append(row)
        if empty := [file for file, own in rows.items() if not own]:
            raise InputError(f"{empty[0].name} holds no {self.model.kind.many}")
        return [ScoredFile(file, own) for file, own in rows.items()]


def _monitor(model: Model, drift: dict[str, Any] | None) -> DriftMonitor:
    if drift is not None:
        try:
            return DriftMonitor.from_dict(model, drift)
        except InputError as error:  # such as the state of another release
            logger.warning("drift is watched anew: %s", error)
    return DriftMonitor(model)


def _why_unwatched(model: Model) -> str | None:
    """Say why drift is not watched; None where it is."""
    now = model.state
    if now.detector.steps.windows is not None:
        return f"{now.kind.many} are near in time, and so alike"
    if lists := [name for name, rule in vars(now.rules).items() if rule == ""]:
        return f"{option(lists[0])} was a list at fit, so that nothing tells that of new items"
    if not costs_little(now):
        return "it would take too long beside the scores; a model fitted with --confidence is watched"
    return None

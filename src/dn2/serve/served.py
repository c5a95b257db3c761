"""A model in service: it is taken over anew when its folder changes, and its stream is watched for drift."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from dn2.errors import Dn2Error, InputError
from dn2.model.answering import Asked, Policy, answer
from dn2.model.loading import load
from dn2.model.model import Model
from dn2.model.state import State
from dn2.monitor.drift import DriftMonitor
from dn2.results.rows import Row
from dn2.serve.limits import Limits, Refused
from dn2.serve.line import Answer, Line
from dn2.store.manifest import MANIFEST
from dn2.system.naming import encodable
from dn2.system.processes import cpu_count

logger = logging.getLogger("dn2")

LOOKS_EVERY = 1.0  # seconds, at what the folder holds
SHOWN_LENGTH = 16  # characters of a digest that name a version
TRIES_EVERY = 5.0  # seconds, to take over a model that could not be
REMEMBERED = 2_000  # items, to show those since a change


class Recent(NamedTuple):
    """An item of the stream: its number, name, p-value, and whether it was flagged; neither of one to be audited."""

    number: int
    item: str
    p_value: float | None
    is_anomaly: bool | None


class Loaded(NamedTuple):
    """A model as it was loaded, and its version."""

    model: Model
    version: str


class ServedModel:
    """A model that requests are scored by.

    folder : of the saved model; name : what requests call it.
    watch : the state of an earlier watch for drift, to go on from."""

    def __init__(
        self, folder: Path, policy: Policy, limits: Limits, watch: Mapping[str, Any] | None = None, threads: int = 0
    ) -> None:
        self.folder, self.name, self.policy = folder, name_of(folder), policy
        self._seen = _stamp(folder)
        self._loaded = self._load()
        self.problem = ""  # why the folder's present model cannot be taken over
        self._again_at = 0.0  # when to try that again
        self.reloads = 0
        self.monitor: DriftMonitor | None = None
        self.recent: deque[Recent] = deque(maxlen=REMEMBERED)
        self._earlier_watch = watch
        self._ends = threading.Event()
        self._taking_over = threading.Lock()
        self._line = Line(self._answer, threads or cpu_count(), limits)
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    @property
    def state(self) -> State:
        """The model as it is now."""
        return self._loaded.model.state

    @property
    def model(self) -> Model:
        """The model as it is now."""
        return self._loaded.model

    @property
    def version(self) -> str:
        """What names the model as it is now, among its versions."""
        return self._loaded.version

    @property
    def rate(self) -> float:
        """The false-alarm rate that the model decides at."""
        return self.state.rate(self.policy.false_alarm_rate)

    def about(self) -> dict[str, Any]:
        """Say what the model is, and whether its stream has changed, as JSON."""
        now, monitor = self.state, self.monitor
        alarm = None if monitor is None else monitor.alarm
        drift = None
        if monitor is not None:
            places = None if alarm is None else {"at": alarm.at._asdict(), "since": alarm.since._asdict()}
            drift = {"items": monitor.n_seen, "wealth": monitor.wealth, "delta": monitor.delta, "alarm": places}
        return {
            "name": self.name,
            "kind": now.kind.name,
            "version": self.version,
            "reference_items": len(now.items),
            "false_alarm_rate": self.rate,
            "warn_rate": self.policy.warn_rate,
            "audit": self.policy.audit,
            "waiting": self.waiting,
            "problem": self.problem or None,
            "drift": drift,
        }

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._line)

    def ask(self, asked: Asked) -> Any:
        """Put a request in line; return the future of its `Answer`.  Raises Refused where too many wait."""
        return self._line.ask(asked)

    def close(self) -> None:
        """Answer who waits, and end."""
        self._ends.set()
        self._line.close()
        self._looking.join()

    def _load(self) -> Loaded:
        model = load(self.folder, cache=False)
        assert model.origin is not None
        self.policy.check(model.state)
        return Loaded(model, model.origin.digest[:SHOWN_LENGTH])

    def _answer(self, asked: Asked) -> Answer:
        loaded, monitor = self._loaded, self.monitor
        with nullcontext() if monitor is None else monitor.watching():
            rows = answer(loaded.model.state, asked, self.policy)
        self._remember(rows)
        return Answer(rows, loaded.version)

    def _remember(self, rows: Sequence[Row]) -> None:
        seen = 0 if self.monitor is None else self.monitor.n_seen
        first = seen - len(rows) + 1
        self.recent.extend(
            Recent(number, row.item, *((None, None) if row.audit else (row.p_value, row.is_anomaly)))
            for number, row in enumerate(rows, first)
        )

    def _look(self) -> None:
        """Watch the folder, and take its model over once it has changed."""
        with self._taking_over:
            self._watch_anew(self._earlier_watch)
        while not self._ends.wait(LOOKS_EVERY):
            self.look()

    def look(self) -> None:
        """Take over the model that is in the folder now, if it is another."""
        with self._taking_over:
            self._take_over()

    def _take_over(self) -> None:
        stamp = _stamp(self.folder)
        if stamp == self._seen or (self.problem and time.monotonic() < self._again_at):
            return
        try:
            loaded = self._load()
        except Exception as error:  # whatever is in the folder, it must not end the watch over it
            if self.problem != str(error):  # it may be on its way, file by file
                logger.warning("%s has changed and cannot be taken over; what it was serves on: %s", self.name, error)
            self.problem, self._again_at = str(error), time.monotonic() + TRIES_EVERY
            return
        self._seen, self.problem = stamp, ""
        if loaded.version == self.version:
            return
        watch = None if self.monitor is None else self.monitor.as_dict()
        self._loaded = loaded
        self.reloads += 1
        logger.info("%s: version %s is taken over", self.name, loaded.version)
        self._watch_anew(watch)

    def _watch_anew(self, watch: Mapping[str, Any] | None) -> None:
        """Watch the stream for drift, from an earlier watch on where there is one; series are not watched."""
        model = self.model
        if model.detector.steps.windows is not None:
            return
        try:
            self.monitor = DriftMonitor(model) if watch is None else DriftMonitor.from_dict(model, watch)
        except Dn2Error as error:
            self.monitor = None
            logger.warning("%s is not watched for drift: %s", self.name, error)


class Models:
    """The models in service, by name."""

    def __init__(self, served: Sequence[ServedModel]) -> None:
        self.by_name = {one.name: one for one in served}

    def of(self, name: str | None) -> ServedModel:
        """Return a model by its name, or the only one.  Raises Refused."""
        if name is None and len(self.by_name) == 1:
            return next(iter(self.by_name.values()))
        if name is None:
            raise Refused(422, f"say which model: model={' or '.join(self.by_name)}")
        if name not in self.by_name:
            raise Refused(404, f"no model is called {name!r:.100}; there is {', '.join(self.by_name)}")
        return self.by_name[name]


def name_of(folder: Path) -> str:
    """Return what a model in a folder is called."""
    return folder.resolve().name.removesuffix(".dn2")


def check_names(folders: Sequence[Path]) -> None:
    """Raise InputError for two models of one name."""
    names = [name_of(folder) for folder in folders]
    for number, name in enumerate(names):
        if name in ("", ".", "..") or not name.isprintable() or name != encodable(name):
            raise InputError(f"a model is called as its folder is, and {name!r} names none: rename the folder")
        if name in names[:number]:
            raise InputError(
                f"models are called as their folders are, and two would be called {name!r}: rename one of the folders"
            )


def _stamp(folder: Path) -> tuple[int, ...]:
    """Return what changes with the saved model."""
    try:
        about = os.stat(folder / MANIFEST)
    except OSError:
        return ()
    return about.st_mtime_ns, about.st_ino, about.st_size

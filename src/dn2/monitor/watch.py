"""The watch: finished files are scored, each once, and what is found is delivered."""

from __future__ import annotations

import json
import logging
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dn2.monitor.arriving import Arrivals, Arrived
from dn2.monitor.delivering import Delivery
from dn2.monitor.files import FileScorer, ScoredFile
from dn2.monitor.journal import Journal, Result
from dn2.monitor.messages import drift_message, message_of, now
from dn2.monitor.sinks import Sink
from dn2.results.decisions import decision_of
from dn2.results.rows import Row

logger = logging.getLogger("dn2")

EVERY = 1.0  # seconds between two looks at the folder
GRACE = 10.0  # seconds for what is to be delivered, once the watch is stopped
FORGET_EVERY = 3_600.0  # seconds
DRIFT = "drift"  # what the journal keeps the state of the monitor under


@dataclass
class Tally:
    """What a watch has done so far.

    files : that were scored; decisions : how many rows by decision; undelivered : how many results wait, by sink."""

    files: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    undelivered: dict[str, int] = field(default_factory=dict)

    def count(self, rows: Iterable[Row]) -> None:
        """Count the rows of one file more."""
        self.files += 1
        for row in rows:
            decision = decision_of(row)
            self.decisions[decision] = self.decisions.get(decision, 0) + 1

    def of(self, decision: str) -> int:
        """Return how many rows there were with a decision."""
        return self.decisions.get(decision, 0)


class Watch:
    """Scores each file of a folder once it is finished, also if the process is killed at any moment.

    Parameters
    ----------
    arrivals : Arrivals
        Of the folder.
    scorer : FileScorer
    journal : Journal
    sinks : sequence of Sink
        What takes the results.
    tell : callable
        Called with each scored file, once the journal has it.

    Attributes
    ----------
    tally : Tally
        What was done so far."""

    def __init__(
        self,
        arrivals: Arrivals,
        scorer: FileScorer,
        journal: Journal,
        sinks: Sequence[Sink],
        tell: Callable[[ScoredFile], None] = lambda _: None,
    ) -> None:
        self.arrivals, self.scorer, self.journal = arrivals, scorer, journal
        self.tally = Tally()
        self._tell = tell
        for name, lost in journal.join([sink.name for sink in sinks]).items():
            if lost:
                logger.warning("%s is no longer named: %d results are not delivered to it", name, lost)
        self._deliveries = [Delivery(sink, journal) for sink in sinks]
        self._forgotten = time.monotonic()
        self._has_changed = scorer.monitor is not None and scorer.monitor.alarm is not None

    def run(self, stopped: threading.Event, *, every: float = EVERY, once: bool = False) -> None:
        """Watch until it is stopped; once : until all that is there at first is done, but for files still written to.

        every : seconds between two looks.
        Raises InputError where the journal cannot be written, ModelError or BackboneError where the model fails."""
        for delivery in self._deliveries:
            delivery.start()
        try:
            self._watch(stopped, every, once)
            self._finish(stopped)
        finally:
            for delivery in self._deliveries:
                delivery.stop()
            self.tally.undelivered = {
                one.sink.words: left for one in self._deliveries if (left := self.journal.left(one.sink.name))
            }

    def _watch(self, stopped: threading.Event, every: float, once: bool) -> None:
        first: set[Arrived] | None = None
        while not stopped.is_set():
            start = time.monotonic()
            self._refresh()
            finished = self.arrivals.look(self.journal.is_done)
            first = self.arrivals.waiting if first is None else first & self.arrivals.waiting
            self._forget_gone()
            for files in self.scorer.batches(finished):
                if stopped.is_set():
                    return
                self._refresh()
                self._score(files)
                self._check()
            first = {file for file in first if not self.journal.is_done(file)}
            if once and not first:
                return
            if not finished:
                self._check()
                stopped.wait(max(every, time.monotonic() - start))  # a slow drive is not looked at all the time

    def _score(self, files: Sequence[Arrived]) -> None:
        scored = [one for one in self.scorer.score(self.arrivals, files) if self._is_settled(one)]
        if not scored:
            return
        self._say_drift()
        about = {} if self.scorer.monitor is None else {DRIFT: json.dumps(self.scorer.monitor.as_dict())}
        judge, at = self.scorer.judge, now()
        changed = None if self.scorer.monitor is None else self._has_changed
        results = [
            Result(one.file, decision_of(row), message_of(row, one.file.name, judge, changed, at))
            for one in scored
            for row in one.rows
        ]
        self.journal.record([one.file for one in scored], results, about)
        self.arrivals.waiting.difference_update([one.file for one in scored])
        for delivery in self._deliveries:
            delivery.tell()
        for one in scored:
            self.tally.count(one.rows)
            self._tell(one)

    def _is_settled(self, scored: ScoredFile) -> bool:
        """Tell whether a file was read as it is by now; one that could not be read may be tried again later."""
        state = self.arrivals.state(scored.file)
        if scored.is_lost:
            return state == scored.file and not self.arrivals.put_back(scored.file)
        return state is None or state == scored.file

    def _say_drift(self) -> None:
        monitor = self.scorer.monitor
        alarm = None if monitor is None else monitor.alarm
        if alarm is not None and not self._has_changed:
            again = f"dn2 recalibrate {shlex.quote(str(self.scorer.path))} NORMALS, with normal items of now"
            logger.warning("drift: %s; look at these: if they are normal, %s", alarm, again)
        self._has_changed = alarm is not None

    def _refresh(self) -> None:
        if self.scorer.refresh():
            logger.info("the model was replaced: version %s decides from now on", self.scorer.judge.version)
            self._has_changed = self.scorer.monitor is not None and self.scorer.monitor.alarm is not None

    def _forget_gone(self) -> None:
        if time.monotonic() - self._forgotten > FORGET_EVERY:
            self._forgotten = time.monotonic()
            self.journal.forget_gone(self.arrivals.present)

    def _check(self) -> None:
        for delivery in self._deliveries:
            if delivery.failure is not None:
                raise delivery.failure

    def _finish(self, stopped: threading.Event) -> None:
        """Deliver what is there, for as long as it is taken; if the watch was stopped, for a few seconds."""
        for delivery in self._deliveries:
            delivery.end()
        end: float | None = None
        for delivery in self._deliveries:
            while not delivery.has_ended(0.1):
                if stopped.is_set():
                    end = end or time.monotonic() + GRACE
                if end is not None and time.monotonic() > end:
                    break
        self._check()


def drift_of(scorer: FileScorer) -> str:
    """Return the message of the state of drift, as a scorer watches it."""
    monitor = scorer.monitor
    alarm = None if monitor is None else monitor.alarm
    return drift_message(scorer.judge, alarm, is_watched=monitor is not None)

"""Delivery: each sink takes the results of the journal in order, in a thread of its own, and waits for nobody."""

from __future__ import annotations

import logging
import threading

from dn2.monitor.journal import Journal
from dn2.monitor.sinks import NotTaken, Sink
from dn2.results.words import count_in_words

logger = logging.getLogger("dn2")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until it is tried again, twice as many each time
LOOK = 1.0  # seconds between two looks for results, where nothing tells of them
LONGEST_STEP = 30.0  # seconds, in which any sink has taken a result or given up


class Delivery:
    """Delivers results to a sink; what it does not take waits for it in the journal, however long.

    Parameters
    ----------
    sink : Sink
    journal : Journal
        In which the sink has joined.
    first_pause, longest_pause : float
        Seconds until it is tried again.

    Attributes
    ----------
    failure : Exception or None
        What has ended the thread, such as a journal that cannot be written."""

    def __init__(
        self, sink: Sink, journal: Journal, first_pause: float = FIRST_PAUSE, longest_pause: float = LONGEST_PAUSE
    ) -> None:
        self.sink, self.journal = sink, journal
        self.failure: Exception | None = None
        self._first, self._longest = first_pause, longest_pause
        self._news, self._ending, self._stopped = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"dn2 {sink.words}", daemon=True)
        self._said: str | None = None

    def start(self) -> None:
        """Begin.  Raises OSError where the sink cannot."""
        self.sink.start(self.journal)
        self._thread.start()

    def tell(self) -> None:
        """Tell that there are results."""
        self._news.set()

    def end(self) -> None:
        """Begin to end: deliver what is there, up to the first failure."""
        self._ending.set()
        self._news.set()

    def has_ended(self, seconds: float) -> bool:
        """Wait so many seconds for the end; tell whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End before the next result, whatever is left; wait as long as a sink takes to give up."""
        self._stopped.set()
        self.end()
        if self._thread.ident is not None:
            self._thread.join(LONGEST_STEP)

    def _run(self) -> None:
        try:
            self._deliver()
        except Exception as error:
            self.failure = error
        finally:
            self.sink.close()

    def _deliver(self) -> None:
        position, pause = self.journal.position(self.sink.name), self._first
        while True:
            self._news.clear()
            ending = self._ending.is_set()
            if self._stopped.is_set():
                return
            entries = self.journal.after(position, self.sink.at_once)
            if ending and not entries:
                return
            try:
                if entries:
                    taken = self.sink.send(entries)
                    position = entries[taken - 1].sequence
                    self.journal.advance(self.sink.name, position)
                else:
                    self.sink.rest()
                self._recovered()
                pause = self._first
                if not entries:
                    self._news.wait(LOOK)
            except (OSError, NotTaken) as error:
                self._failed(error)
                if ending:
                    return
                self._ending.wait(pause)  # at the end it is tried once more
                pause = min(2 * pause, self._longest)

    def _failed(self, error: Exception) -> None:
        """Warn of a failure that is new."""
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if why != self._said:
            logger.warning("%s: %s; results are kept for it, and it is tried again", self.sink.words, why)
        self._said = why

    def _recovered(self) -> None:
        if self._said is not None:
            left = count_in_words(self.journal.left(self.sink.name), "result", "results")
            logger.info("%s: takes results again; %s to deliver", self.sink.words, left)
        self._said = None

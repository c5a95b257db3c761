"""Drift: whether the items of a stream are still what they were."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from dn2.errors import InputError
from dn2.kinds.exchange import Batch, Belonging, Judge, Judgement
from dn2.kinds.scoring import seeing
from dn2.model.model import Model
from dn2.monitor.betting import count_of
from dn2.monitor.frozen import Frozen
from dn2.monitor.stream import DELTA, Change, Stream
from dn2.neighbors.steps import Calibrate
from dn2.results.results import Results
from dn2.results.rows import Row
from dn2.system.processes import PerProcess
from dn2.system.progress import Shown

logger = logging.getLogger("dn2")


class DriftMonitor:
    """Notices when the items that a model scores have changed: the light, the camera, the supplier, the words.

    Each score is ranked among the scores of reference items and of all items before.  As long as normal items come as
    the reference items did, each rank is as likely as any other, and bets that it is not win nothing in the long run:
    that they ever reach 1 / delta has a probability of at most delta, however long the stream is.

    Parameters
    ----------
    model : Model
        What scores the items; not of series, whose windows are alike where they are near.  Half of its reference items
        are held out as no neighbours, which takes a while, unless the model does so itself.  If it changes, the watch
        starts anew.
    delta : float in (0, 1), default=0.01
        The probability, at most, of ever raising an alarm where nothing changes.
    seed : int, default=0
        Of the chance that breaks ties between scores.

    Attributes
    ----------
    alarm : Change or None
        The first change: `at` and `since`, an item's number and name each, and `wealth`.  It stays until the model
        changes; a new monitor starts anew.
    wealth : float
        What the bets have won so far, from 1 on.
    n_seen : int
        Items seen, whether or not they tell something.
    n_ranked : int
        Items ranked: readable ones; the first of each part that is new, and of known groups.

    References
    ----------
    Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", 2003.
    Vovk, "Testing randomness online", 2021.

    Examples
    --------
    >>> import dn2, numpy
    >>> rng = numpy.random.default_rng(0)
    >>> model = dn2.fit(rng.normal(size=(200, 4)))
    >>> monitor = dn2.DriftMonitor(model)
    >>> results = monitor.score(rng.normal(size=(500, 4)))
    >>> print(monitor.alarm)
    None
    >>> results = monitor.score(rng.normal(size=(500, 4)) + 1.5)
    >>> monitor.alarm.since.number, monitor.alarm.at.number
    (503, 526)
    """

    def __init__(self, model: Model, *, delta: float = DELTA, seed: int = 0) -> None:
        if isinstance(delta, bool) or not isinstance(delta, (int, float)) or not 0 < delta < 1:
            raise InputError(f"delta is the probability of a false alarm, between 0 and 1, such as 0.01, got {delta!r}")
        Calibrate(seed=seed).check()
        self.model, self.delta, self.seed = model, float(delta), int(seed)
        self._lock = PerProcess(threading.Lock)
        self._stream = Stream(Frozen.of(model.state), self.delta, self.seed)

    def __repr__(self) -> str:
        change = "no change" if self.alarm is None else str(self.alarm)
        return f"<DriftMonitor: {self.n_seen:,} items, {change}, wealth {self.wealth:.3g} of {1 / self.delta:.3g}>"

    @property
    def alarm(self) -> Change | None:
        """The first change, if any."""
        return self._stream.alarm

    @property
    def wealth(self) -> float:
        """What the bets have won so far, from 1 on."""
        return self._stream.bets.total

    @property
    def n_seen(self) -> int:
        """Items seen, whether or not they tell something."""
        return self._stream.n_seen

    @property
    def n_ranked(self) -> int:
        """Items ranked."""
        return self._stream.n_ranked

    def score(
        self,
        inputs: Any,
        *,
        names: Iterable[str] | None = None,
        part: str | Sequence[Any] | None = None,
        per: str | Sequence[Any] | None = None,
        progress: Shown = None,
    ) -> Results:
        """Score items by the model, and watch them in their order.

        Parameters
        ----------
        inputs : path, iterable of paths, or items from memory
            As in `Model.score`.
        names : iterable of n str, default=None
            What items from memory are called.
        part, per : str or list of n labels, default=None
            What the items belong to, see `Model.score`; by default by the rules of the model.
        progress : callable or False, default=None
            As in `Model.score`.

        Returns
        -------
        results : Results
            Those of `Model.score`.

        Raises
        ------
        InputError
            As `Model.score` does, and where items of the model belong to parts or groups and nothing tells those of
            these items.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> monitor = dn2.DriftMonitor(model)
        >>> len(monitor.score([[0, 0, 0, 0], [9, 9, 9, 9]])), monitor.n_seen
        (2, 2)
        """
        rules = self.model.state.rules
        rules.required(rules.resolve(part, per))
        with self.watching():
            return self.model.score(inputs, names=names, part=part, per=per, progress=progress)

    def score_one(self, item: Any, *, part: str | None = None, per: str | None = None) -> Row:
        """Score one item by the model, and watch it as the next of the stream.

        Parameters
        ----------
        item : object
            As in `Model.score_one`.
        part, per : str, default=None
            Labels of what the item belongs to, where the model's items do.

        Returns
        -------
        row : Row
            That of `Model.score_one`.

        Raises
        ------
        UnreadableItem
            For an item that cannot be read.
        InputError
            As `Model.score_one` does.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> monitor = dn2.DriftMonitor(model)
        >>> monitor.score_one([9, 9, 9, 9]).is_anomaly, monitor.n_ranked
        (True, 1)
        """
        with self.watching():
            return self.model.score_one(item, part=part, per=per)

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """Watch whatever the model scores in a `with` block, in any way but on a cluster.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> with dn2.DriftMonitor(model).watching() as monitor:
        ...     results = model.score([[0, 0, 0, 0]], warn_rate=0.1)
        >>> monitor.n_seen
        1
        """
        with seeing(self._see):
            yield self

    def _see(self, judge: Judge, batch: Batch, judgement: Judgement, belonging: Belonging) -> None:
        """Take the next items of the stream: see `dn2.kinds.scoring.seeing`."""
        with self._lock.get():
            now = self.model.state
            if judge.detector is not self._stream.frozen.detector:
                if judge.detector is not now.detector:
                    return  # another model, or one that has changed meanwhile
                self._start_anew(Frozen.of(now), self.n_seen)
            self._stream.see(batch, judgement, belonging)

    def as_dict(self) -> dict[str, Any]:
        """Return the state of the watch, for `from_dict` to go on later: JSON, whatever was seen.

        Returns
        -------
        dict
        """
        with self._lock.get():
            return self._stream.as_dict()

    @classmethod
    def from_dict(cls, model: Model, about: Mapping[str, Any]) -> Self:
        """Go on watching where `as_dict` left it; anew, with a warning, where the model has changed since.

        Parameters
        ----------
        model : Model
            What scores the items.
        about : dict
            What `as_dict` gave.

        Returns
        -------
        monitor : DriftMonitor

        Raises
        ------
        InputError
            For anything else, and for series.

        Examples
        --------
        >>> import dn2, json, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> monitor = dn2.DriftMonitor(model, delta=0.05)
        >>> row = monitor.score_one([0, 0, 0, 0])
        >>> kept = json.dumps(monitor.as_dict())
        >>> dn2.DriftMonitor.from_dict(model, json.loads(kept))
        <DriftMonitor: 1 items, no change, wealth 0.998 of 20>
        """
        try:
            monitor = cls(model, delta=about["delta"], seed=about["seed"])
            frozen = monitor._stream.frozen
            if about["model"] == frozen.digest:
                monitor._stream = Stream.restored(frozen, about, monitor.delta, monitor.seed)
            else:
                monitor._start_anew(frozen, count_of(about["n_seen"]))
        except InputError:
            raise
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InputError(f"a watch goes on from what DriftMonitor.as_dict gave: {error}") from error
        return monitor

    def _start_anew(self, frozen: Frozen, n_seen: int) -> None:
        logger.warning("the model has changed: drift is watched anew from item %s on", f"{n_seen + 1:,}")
        self._stream = Stream(frozen, self.delta, self.seed, n_seen)

"""Items that are scored at once, watched in their order where they are many and that costs little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from dn2.kinds.exchange import Batch, Belonging, Judge, Judgement
from dn2.kinds.scoring import seeing
from dn2.model.model import Model
from dn2.model.state import State
from dn2.monitor.frozen import Frozen, is_held_out
from dn2.monitor.stream import DELTA, Change, Stream

FEWEST = 200  # items
MOST_COMPARED = 1 << 33  # numbers, where half of the reference items is compared with the other: a second or two


class BatchWatch:
    """Watches what a model scores inside a `with` block, with the usual delta; nothing is done for few items.

    model : what scores the items."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._stream: Stream | None = None
        self._waiting: list[tuple[Batch, Judgement, Belonging]] = []
        self._n_waiting = 0

    @property
    def alarm(self) -> Change | None:
        """The change that was noticed, if any."""
        return None if self._stream is None else self._stream.alarm

    @contextmanager
    def watching(self) -> Iterator[Self]:
        """Watch what this thread scores inside, if that costs little."""
        if not costs_little(self.model.state):
            yield self
            return
        with seeing(self._see):
            yield self

    def _see(self, judge: Judge, batch: Batch, judgement: Judgement, belonging: Belonging) -> None:
        self._waiting.append((batch, judgement, belonging))
        self._n_waiting += len(batch.names)
        if self._n_waiting < FEWEST:
            return
        if self._stream is None:
            self._stream = Stream(Frozen.of(self.model.state), DELTA, 0)
        for one in self._waiting:
            self._stream.see(*one)
        self._waiting.clear()


def costs_little(now: State) -> bool:
    """Tell whether the items of a model can be watched, and are held out already, or soon."""
    if now.detector.steps.windows is not None:
        return False
    compared = (len(now.items) // 2) ** 2 * now.kind.dimension
    return is_held_out(now) or (not now.kind.learns_beside and compared <= MOST_COMPARED)

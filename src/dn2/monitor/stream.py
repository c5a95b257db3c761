"""A stream of items, scored by one frozen model: ranks, bets on them, and the change that these tell of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.kinds.exchange import Batch, Belonging, Judgement
from dn2.monitor.betting import Place, Wealth, count_of, place_of
from dn2.monitor.frozen import Frozen
from dn2.monitor.pool import Pool, heights_of

DELTA = 0.01  # usually
PARTS_REMEMBERED = 10_000


@dataclass(frozen=True)
class Change:
    """A change that was noticed.

    at : the item at which it was; since : the likeliest item to have been the first after the change.
    wealth : what bets on a change had won by then, from 1 on."""

    at: Place
    since: Place
    wealth: float

    def __str__(self) -> str:
        return (
            f"since about item {self.since.number:,} ({self.since.name}) the items are unlike those before and the "
            f"reference items, apart from single anomalies; noticed at item {self.at.number:,} ({self.at.name})"
        )


class Stream:
    """Items in order, each ranked among those before it, and bets on the ranks up to an alarm.

    frozen : what scores them; delta : the probability of a false alarm, at most; seed : of ties.
    n_seen, n_ranked : items so far, and those that were ranked; bets : what these have won.
    alarm : the change that was noticed, if any."""

    def __init__(self, frozen: Frozen, delta: float, seed: int, n_seen: int = 0) -> None:
        self.frozen, self.delta, self.seed = frozen, delta, seed
        self.n_seen, self.n_ranked = n_seen, 0
        self.bets = Wealth()
        self.alarm: Change | None = None
        self._forget()

    def see(self, batch: Batch, judgement: Judgement, belonging: Belonging) -> None:
        """Take the next items, as a kind of data judged them."""
        if self.alarm is None:
            self._watch(batch, judgement, belonging)
        self.n_seen += len(batch.names)

    def _watch(self, batch: Batch, judgement: Judgement, belonging: Belonging) -> None:
        chosen, strata = [], []
        for index, (stratum, part) in enumerate(self.frozen.strata(batch, belonging)):
            if stratum is not None and self._is_new(part):
                chosen.append(index)
                strata.append(stratum)
        if not chosen:
            return
        heights = heights_of(self.frozen.scores(batch, judgement)[chosen])
        bits = np.random.PCG64(self.seed)
        chances = np.random.Generator(bits.advance(self.n_ranked)).random(len(chosen))
        ranks, known = np.empty(len(chosen)), np.array(strata)
        for stratum in dict.fromkeys(strata):
            own = np.flatnonzero(known == stratum)
            ranks[own] = self._pools[stratum].ranks(heights[own], chances[own])
        for rank, place in zip(ranks.tolist(), batch.places[chosen].tolist(), strict=True):
            at = Place(self.n_seen + place + 1, batch.names[place])
            self.n_ranked += 1
            if self.bets.bet(rank, at) >= 1 / self.delta:
                self.alarm = Change(at, self.bets.since, self.bets.total)
                self._forget()
                return

    def _forget(self) -> None:
        """Forget the scores and parts of the stream."""
        self._pools = {name: Pool(heights) for name, heights in self.frozen.heights.items()}
        self._parts: dict[str, None] = {}

    def _is_new(self, part: str) -> bool:
        """Tell whether no item of a part has come yet, and remember that one has; '' is no part."""
        if not part:
            return True
        is_new = part not in self._parts
        self._parts.pop(part, None)
        self._parts[part] = None
        if len(self._parts) > PARTS_REMEMBERED:
            del self._parts[next(iter(self._parts))]
        return is_new

    def as_dict(self) -> dict[str, Any]:
        """Return what `restored` takes: JSON."""
        alarm = self.alarm
        return {
            "model": self.frozen.digest,
            "delta": self.delta,
            "seed": self.seed,
            "n_seen": self.n_seen,
            "n_ranked": self.n_ranked,
            "parts": list(self._parts),
            "pools": {name: pool.since(self.frozen.heights[name]) for name, pool in self._pools.items()},
            "bets": self.bets.as_dict(),
            "alarm": None if alarm is None else {"at": [*alarm.at], "since": [*alarm.since], "wealth": alarm.wealth},
        }

    @classmethod
    def restored(cls, frozen: Frozen, about: Mapping[str, Any], delta: float, seed: int) -> Self:
        """Restore what `as_dict` gave, of the same model.  Raises LookupError, TypeError, ValueError for other."""
        stream = cls(frozen, delta, seed, count_of(about["n_seen"]))
        stream.n_ranked, parts, pools = count_of(about["n_ranked"]), about["parts"], about["pools"]
        if pools.keys() != frozen.heights.keys():
            raise ValueError(f"the groups of this model are {', '.join(map(repr, frozen.heights))}, got {list(pools)}")
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"parts by name, got {parts!r:.80}")
        stream._parts = dict.fromkeys(parts)
        stream._pools = {name: Pool.restored(own, pools[name]) for name, own in frozen.heights.items()}
        stream.bets = Wealth.restored(about["bets"])
        if (alarm := about["alarm"]) is not None:
            stream.alarm = Change(place_of(alarm["at"]), place_of(alarm["since"]), float(alarm["wealth"]))
        return stream

"""Bets against ranks being even: what they win is evidence that a stream has changed.

Twelve densities, each bet on from each item on: a mixture over both.  Where ranks are even and independent, what the
mixture has won is a martingale that starts at 1, so that it ever reaches 1 / delta with probability delta at most.
Sources: Ville, 1939; Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line", 2003.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Array

CELLS = 64
SLOPES = (0.6, 1.5, 4.0, 10.0)  # of ranks that have become small, or large; none wins more than tenfold by one item
SPREADS = (4.0, 12.0)  # of ranks that have become both
BULGES = (2, 5)  # of ranks that have become neither
USUAL_START = 100  # items; what is bet on later starts is less and less


class Place(NamedTuple):
    """An item of a stream: its number, from 1, and its name."""

    number: int
    name: str


def _densities() -> Array:
    """Return what each density wins by a rank in each cell, (cells, densities): on average over cells, 1."""
    edges = np.linspace(0, 1, CELLS + 1)

    def sloped(slope: float) -> Array:
        return np.asarray(-np.expm1(-slope * edges) / -math.expm1(-slope))

    def bulging(a: int) -> Array:  # Beta(a, a)
        n = 2 * a - 1
        return np.asarray(sum(math.comb(n, j) * edges**j * (1 - edges) ** (n - j) for j in range(a, n + 1)))

    distributions = [sloped(sign * slope) for slope in SLOPES for sign in (1, -1)]
    distributions += [(sloped(slope) + sloped(-slope)) / 2 for slope in SPREADS]
    distributions += [bulging(a) for a in BULGES]
    return np.diff(np.stack(distributions, axis=1), axis=0) * CELLS


WINS: list[list[float]] = _densities().tolist()
LOG_WINS: list[list[float]] = np.log(_densities()).tolist()
BETS = len(WINS[0])


def left_to_bet(n: int) -> float:
    """Return what is not yet bet after n items."""
    return 1 / (1 + math.log2(1 + n / USUAL_START))


class Wealth:
    """What bets have won so far.

    n : ranks bet on; won : by density, of all starts; gains : by density, the log of what the best start won; starts :
    by density, that start."""

    def __init__(self) -> None:
        self.n = 0
        self.won = [0.0] * BETS
        self.gains = [0.0] * BETS
        self.starts = [Place(0, "")] * BETS

    @property
    def total(self) -> float:
        """What all bets have won, and what is not yet bet."""
        return left_to_bet(self.n) + sum(self.won)

    @property
    def since(self) -> Place:
        """The likeliest start of a change."""
        return self.starts[max(range(BETS), key=self.gains.__getitem__)]

    def bet(self, rank: float, place: Place) -> float:
        """Bet on the rank of an item, and return the total."""
        cell = min(int(rank * CELLS), CELLS - 1)
        left = left_to_bet(self.n + 1)
        stake, self.n = (left_to_bet(self.n) - left) / BETS, self.n + 1
        self.won = [(won + stake) * win for won, win in zip(self.won, WINS[cell], strict=True)]
        for bet, gain in enumerate(self.gains):
            if gain <= 0:
                self.starts[bet] = place
        self.gains = [max(gain, 0.0) + log for gain, log in zip(self.gains, LOG_WINS[cell], strict=True)]
        return left + sum(self.won)

    def as_dict(self) -> dict[str, Any]:
        """Return what `restored` takes."""
        return {"n": self.n, "won": [*self.won], "gains": [*self.gains], "starts": [[*one] for one in self.starts]}

    @classmethod
    def restored(cls, about: Mapping[str, Any]) -> Self:
        """Restore what `as_dict` gave.  Raises LookupError, TypeError, ValueError for anything else."""
        wealth = cls()
        wealth.n = count_of(about["n"])
        wealth.won, wealth.gains = ([float(one) for one in about[name]] for name in ("won", "gains"))
        wealth.starts = [place_of(one) for one in about["starts"]]
        numbers = [*wealth.won, *wealth.gains]
        if {len(wealth.won), len(wealth.gains), len(wealth.starts)} != {BETS} or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{BETS} bets have won finite numbers, each since an item")
        if min(wealth.won) < 0:
            raise ValueError("bets win 0 or more")
        return wealth


def count_of(number: Any) -> int:
    """Return a number of items.  Raises ValueError for anything else."""
    if type(number) is not int or number < 0:
        raise ValueError(f"a number of items, got {number!r:.80}")
    return number


def place_of(about: Any) -> Place:
    """Return a place, given as a list.  Raises TypeError, ValueError for anything else."""
    number, name = about
    if not isinstance(name, str):
        raise ValueError(f"the name of an item, got {name!r:.80}")
    return Place(count_of(number), name)

"""Which items of a reference set calibrate: all, a random sample, or a random half of them, of whole parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from dn2.arrays import Array, Flags, Positions
from dn2.neighbors.blocks import Block, Draws, size_of
from dn2.neighbors.membership import Keys, Membership

ALL_UP_TO = 20_000
SAMPLE_SIZE = 10_000
STRATUM_SIZE = 1_000  # at least, of each stratum, where there are several
NO_STRATUM = np.zeros(1, np.uint64)


@dataclass(frozen=True)
class Limits:
    """Which items calibrate: all that have drawn a number up to a limit, see `Sampler.draw`.

    limit : (s,) uint64 of each stratum; size : (1,) int64, the items of the set when they were drawn.
    strata : (s,) keys, ascending; one of 0 where there are none."""

    limit: Draws
    size: Positions
    strata: Keys

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, limit: Draws, size: Positions, strata: Keys) -> Self:
        """Restore what `as_arrays` gave."""
        return cls(limit, size, strata)

    def check(self) -> None:
        """Raise ValueError unless there is a limit for each stratum, and one size."""
        typed = self.limit.dtype == self.strata.dtype == np.uint64 and self.size.dtype == np.int64
        formed = self.size.shape == (1,) and self.limit.ndim == 1 and len(self.limit) > 0
        ascending = self.strata.shape == self.limit.shape and (self.strata[1:] > self.strata[:-1]).all()
        if not typed or not formed or not ascending:
            raise ValueError(f"a draw must have a limit for each stratum, and one size, got {self.limit}, {self.size}")


class Split(NamedTuple):
    """A reference set, split at random: positions of each part.

    learning : of the items to learn from, in random order: the first of them, of any number, are a random sample.
    members : of the items that calibrate, ascending; limits : what they have drawn.
    parts : of all items, (n,), where they belong to any."""

    learning: Positions
    members: Positions
    limits: Limits
    parts: Keys | None = None


@dataclass(frozen=True)
class Sampler:
    """Draws random samples of a reference set: items of one part all together, or none of them.

    Rows are drawn by a hash of their content and the seed, parts by that of their name, so that the draw does not
    depend on the order in which the set came to be: after adding and removing it is the draw of a fresh fit.  Copies
    of a row are drawn one by one: all of them together, or none, would be no random sample.

    blocks : the reference set; membership : what its items belong to; seed : at least 0.
    at_least : how many items, or parts, the false-alarm rate takes, where that is more than `SAMPLE_SIZE`."""

    blocks: Sequence[Block]
    membership: Membership
    seed: int = 0
    at_least: int = 0

    def draw(self) -> Draws:
        """Draw a random number for each item, (n,): one for all of a part."""
        salt = _mixed(np.array([self.seed], np.uint64)) if self.seed else NO_STRATUM
        if self.membership.parts is not None:
            return _mixed(self.membership.parts ^ salt)
        draws = np.concatenate([block.draws for block in self.blocks])
        if self.seed:
            draws = _mixed(draws ^ salt)
        order = np.argsort(draws, kind="stable")
        ascending = draws[order]
        copy = np.arange(len(draws), dtype=np.uint64) - np.searchsorted(ascending, ascending).astype(np.uint64)
        draws[order] = _mixed(ascending + copy)
        return draws

    def shuffled(self) -> Positions:
        """Return all positions in the order of their draws, (n,)."""
        return np.argsort(self.draw(), kind="stable").astype(np.int64)

    def sample(self) -> Positions:
        """Choose the items that calibrate: all of a set of up to `ALL_UP_TO`, else a random sample.

        Returns (m,) positions, ascending."""
        n = size_of(self.blocks)
        if n <= max(ALL_UP_TO, self.at_least):
            return np.flatnonzero(self._may_calibrate())
        strata = self._strata(self.draw())
        chosen = [order[: ends[self._enough(ends, count) - 1]] for _, order, ends, count in strata]
        return self._with_audited(np.concatenate(chosen))

    def split(self, needed: int = 0, kept: int = 0, step: int = 1) -> Split:
        """Split the set into the items to learn from and those that calibrate, of each stratum.

        These are half of the items, or parts; fewer where that is enough; but `needed`, or more, so long as `kept`
        items are left to learn from; and one less than a multiple of `step`, where that many calibrate, so that a rate
        of 1 / step is reached."""
        draws, members, limits, strata = self.draw(), [], [], []
        kept = max(0, kept - int((~self._may_calibrate()).sum()))  # what may not calibrate is left in any case
        for stratum, order, ends, n_strata in self._strata(draws):
            units = np.searchsorted(ends, len(order) - -(-kept // n_strata), side="right")
            count = min(len(ends) // 2, self._enough(ends, n_strata))
            count = max(1, min(max(count, needed), int(units)))
            count -= (count + 1) % step if count + 1 >= step else 0
            members.append(order[: ends[count - 1]])
            limits.append(draws[members[-1][-1]])
            strata.append(stratum)
        chosen = self._with_audited(np.concatenate(members))
        learning = np.argsort(draws, kind="stable").astype(np.int64)
        learning = learning[~np.isin(learning, chosen)]
        size = np.array([len(draws)], np.int64)
        found = Limits(np.array(limits), size, np.array(strata, np.uint64))
        return Split(learning, chosen, found, self.membership.parts)

    def drawn_again(self, limits: Limits) -> Positions | None:
        """Return the positions, ascending, of the items that calibrate in a set that has changed since `split`: all
        that have drawn a number up to the same limit; None for a stratum that is new."""
        strata = self._by_stratum()
        places = np.searchsorted(limits.strata, strata).clip(max=len(limits.strata) - 1)
        if (limits.strata[places] != strata).any():
            return None
        return self._with_audited(np.flatnonzero((self.draw() <= limits.limit[places]) & self._may_calibrate()))

    def _may_calibrate(self) -> Flags:
        """Tell which items may calibrate, (n,)."""
        barred = self.membership.barred
        return np.ones(size_of(self.blocks), bool) if barred is None else ~barred

    def _with_audited(self, members: Positions) -> Positions:
        """Return the positions of items that calibrate, ascending, with those that do in any case."""
        audited = self.membership.audited
        return np.sort(members) if audited is None else np.union1d(members, np.flatnonzero(audited))

    def _enough(self, ends: Positions, n_strata: int) -> int:
        """Return how many units, items or parts, are a large enough sample; ends : (u,) the items up to each."""
        size = SAMPLE_SIZE if n_strata == 1 else max(STRATUM_SIZE, SAMPLE_SIZE // n_strata)
        at_least = self.at_least if n_strata == 1 else max(STRATUM_SIZE, self.at_least // n_strata)
        return min(len(ends), max(int(np.searchsorted(ends, size)) + 1, at_least))

    def _by_stratum(self) -> Keys:
        """Return the stratum from which each item is drawn, (n,): that of the first item of its part."""
        strata, parts = self.membership.strata, self.membership.parts
        if strata is None:
            return np.zeros(size_of(self.blocks), np.uint64)
        if parts is None:
            return strata
        _, firsts, numbers = np.unique(parts, return_index=True, return_inverse=True)
        of_parts: Keys = strata[firsts[numbers]]
        return of_parts

    def _strata(self, draws: Draws) -> Iterator[tuple[int, Positions, Positions, int]]:
        """Iterate over strata: the key, the positions of the items that may calibrate in the order of their draws, for
        each unit, an item or a part, the number of items up to its end, and how many strata there are."""
        strata, may = self._by_stratum(), self._may_calibrate()
        keys = np.unique(strata[may])
        for key in keys.tolist():
            positions = np.flatnonzero((strata == np.uint64(key)) & may)
            order = positions[np.argsort(draws[positions], kind="stable")]
            ends = np.arange(1, len(order) + 1, dtype=np.int64)
            if self.membership.parts is not None:
                parts = self.membership.parts[order]
                ends = np.append(np.flatnonzero(parts[1:] != parts[:-1]) + 1, len(order))
            yield key, order, ends, len(keys)


def _mixed(draws: Draws) -> Draws:
    """Turn numbers that differ at all into independent ones.  Source: SplitMix64, Steele et al., 2014."""
    draws = draws + np.uint64(0x9E3779B97F4A7C15)
    draws = (draws ^ draws >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    draws = (draws ^ draws >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return draws ^ draws >> np.uint64(31)

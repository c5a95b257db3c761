"""Everything dn2 raises on purpose: one tree, rooted at :class:`Dn2Error`.

A message names the thing, the rule, what came, and the way out, in one line.
"""

from __future__ import annotations

import math

from dn2.naming import encodable


class Dn2Error(Exception):
    """Base of all errors that dn2 raises for a reason a user can act on."""

    def __init__(self, *words: object) -> None:
        # A message names paths, and goes where only UTF-8 can: into a row of results.
        super().__init__(*(encodable(one) if isinstance(one, str) else one for one in words))


class InputError(Dn2Error, ValueError):
    """What was given cannot be used: no such folder, no item in it, a name given twice."""


class UnreadableItem(Dn2Error):
    """One item cannot be read; a run records it and goes on with the next."""


class BackboneError(Dn2Error):
    """A backbone is unknown, its weights are missing or were altered, or it is no embedder."""


class ModelError(Dn2Error):
    """A saved model is missing, damaged, or made by a release that this one does not know."""


class NotReproducible(ModelError):
    """This machine does not reproduce the embeddings that the model was made with."""


class MissingExtra(Dn2Error, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class ReferenceTooSmall(Dn2Error, ValueError):
    """The reference set cannot support what was asked of it."""

    @classmethod
    def for_rate(cls, rate: float, n: int, n_reference: int | None = None, what: str = "") -> ReferenceTooSmall:
        """Say how many calibrating items a false-alarm rate takes.

        rate : the rate asked for, in (0, 1).
        n : number of items that calibrate, for which 1 / (n + 1) is attainable.
        n_reference : size of the reference set, where the others were learnt from.
        what : the items that calibrate, where they are no reference items."""
        need = math.ceil(1 / rate) - 1
        # 1 / rate is rounded: settle by the rule itself which neighbour is the first to attain the rate.
        if 1 / (need + 1) > rate:
            need += 1
        elif need > 1 and 1 / need <= rate:
            need -= 1
        got, more = f"{what or 'reference items'}, got {n}", need - n
        if n_reference is not None:
            got = f"items that calibrate, got {n} of {n_reference}"
            more = math.ceil(need * n_reference / n) - n_reference
        return cls(
            f"a false-alarm rate of {rate:g} needs at least {need} {got}; "
            f"add {more} more or ask for {math.ceil(1e4 / (n + 1)) / 1e4:g}"
        )

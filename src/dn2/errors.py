"""Everything dn2 raises on purpose: one tree, rooted at :class:`Dn2Error`.

A message names the thing, the rule, what came, and the way out, in one line.
"""

from __future__ import annotations

from dn2.system.naming import encodable, without_keys


class Dn2Error(Exception):
    """Base of all errors that dn2 raises for a reason a user can act on."""

    def __init__(self, *words: object) -> None:
        # A message names paths, must be UTF-8, since it goes into a row of results, and shows nobody's keys.
        super().__init__(*(encodable(without_keys(word)) if isinstance(word, str) else word for word in words))


class InputError(Dn2Error, ValueError):
    """An input or an option cannot be used: a missing folder, a folder without items, a name given twice."""


class UnreadableItem(Dn2Error):
    """One item cannot be read; a run records it and goes on with the next."""


class BackboneError(Dn2Error):
    """A backbone is unknown, its weights are missing or altered, or it does not give embeddings."""


class ModelError(Dn2Error):
    """A saved model is missing or damaged, or made by a release that this one cannot read."""


class NotReproducible(ModelError):
    """This machine does not reproduce the embeddings of the machine where the model was made."""


class MissingExtra(Dn2Error, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class ClusterError(Dn2Error):
    """A cluster cannot be reached, or has failed in a way that starting lost work again does not mend."""


class ReferenceTooSmall(Dn2Error, ValueError):
    """The reference set has too few items for the rate or the number of neighbours asked for."""
